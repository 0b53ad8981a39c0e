# SPDX-License-Identifier: BSD-3-Clause
DEPS := app/tarnctl lib/jsonrpc lib/util
