/* SPDX-License-Identifier: BSD-3-Clause */
/* Start and end of lib/env. */
#include "internal.h"

int
tarn_env_init(const struct tarn_env_opts *opts)
{
	static const struct tarn_env_opts defaults;
	int status;

	status = env_iomem_init(opts != NULL ? opts : &defaults);
	if (status != 0)
		return status;
	status = env_iobuf_init(tarn_iomem_chunk_count());
	if (status != 0) {
		env_iomem_fini();
		return status;
	}
	env_clock_init();
	return 0;
}

void
tarn_env_fini(void)
{
	tarn_iobuf_thread_flush();
	env_iobuf_fini();
	env_iomem_fini();
}
