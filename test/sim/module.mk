# SPDX-License-Identifier: BSD-3-Clause
SRCS := bdev.c blocks.c content.c control.c device.c jobs.c life.c main.c model.c objects.c plan.c refuse.c seed.c volumes.c
DEPS := lib/cache lib/bdev
