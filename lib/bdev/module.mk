# SPDX-License-Identifier: BSD-3-Clause
SRCS := channel.c create_wait.c depth.c depth_auto.c device_events.c fallback.c file.c file_change.c file_facts.c file_ops.c info.c io.c merge.c nvme_nodes.c probe.c qos.c registry.c split.c stats.c wrapper.c
DEPS := lib/util lib/env lib/reactor
