# SPDX-License-Identifier: BSD-3-Clause
DEPS := lib/cache test/unit/cache
