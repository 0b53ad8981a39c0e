/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * CRC32C by ISA-L, which picks the fastest code for the CPU. ISA-L leaves out the inversion before
 * and after that RFC 3720 asks for, and takes an int as length: both are settled here.
 */
#include <isa-l/crc.h>

#include "tarn/util.h"

#define CRC_PIECE_BYTES (1 << 30)

uint32_t
tarn_crc32c(uint32_t seed, const void *data, size_t length_bytes)
{
	/* ISA-L's prototype lacks the const; it does not write. */
	unsigned char *bytes = (unsigned char *)(uintptr_t)data;
	uint32_t crc = ~seed;

	while (tarn_unlikely(length_bytes > CRC_PIECE_BYTES)) {
		crc = crc32_iscsi(bytes, CRC_PIECE_BYTES, crc);
		bytes += CRC_PIECE_BYTES;
		length_bytes -= CRC_PIECE_BYTES;
	}
	return ~crc32_iscsi(bytes, (int)length_bytes, crc);
}
