DEPS := lib/jsonrpc lib/env
