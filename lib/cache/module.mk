# SPDX-License-Identifier: BSD-3-Clause
SRCS := ban.c batch.c block.c block_read.c block_write.c boot.c cache.c chain.c checkpoint.c checkpoint_load.c claims.c commit.c examine.c expire.c fan.c flush.c format.c freeing.c geometry.c headers.c index.c iterate.c judge.c life.c log.c mover.c mover_control.c object_read.c object_write.c op.c order.c payload.c read.c reclaim.c recover.c repair.c replay.c rewrite.c scan.c scan_index.c segment.c shard.c start.c stats.c stop.c super.c sure_read.c volume.c
DEPS := lib/util lib/env lib/reactor lib/bdev
PKGS := libxxhash
