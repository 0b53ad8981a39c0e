# SPDX-License-Identifier: BSD-3-Clause
SRCS := ban.c batch.c block.c block_read.c block_write.c commit.c flush.c format.c index.c log.c mover.c mover_control.c object_read.c object_write.c op.c payload.c read.c reclaim.c repair.c scan.c segment.c shard.c
DEPS := lib/util lib/env lib/reactor lib/bdev
PKGS := libxxhash
