/* SPDX-License-Identifier: BSD-3-Clause */
#pragma once
#include "test/unit/bdev_drivers/dut.h"

/** Make it, and set dut_path and dut_device. \return NULL, or why it cannot be had here. */
const char *medium_make(enum dut_medium medium);
void medium_end(enum dut_medium medium);
