# SPDX-License-Identifier: BSD-3-Clause
SRCS := deferred.c fd.c message.c offload.c poller.c reactor.c ring.c spin.c turn.c
DEPS := lib/util lib/env
LDLIBS := -lrte_ring -lrte_eal
