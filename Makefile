# SPDX-License-Identifier: BSD-3-Clause
# tarn: one Makefile for everything. `make help` lists what it can do.
# Each folder of code has a module.mk that sets SRCS (its sources), DEPS (the folders it may include
# from; `make lint` holds the includes against them) and, where needed, PKGS and LDLIBS.

PREFIX ?= /usr/local
CC ?= gcc
CFLAGS ?= -O2 -g
SAN ?=

comma := ,
B := build/$(if $(SAN),$(subst $(comma),-,$(SAN)),plain)
VERSION := $(shell sed -n 's/.* TARN_VERSION "\(.*\)"/\1/p' include/tarn/version.h)

WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror
ARCH := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)
BASE_CFLAGS := -std=gnu11 -fPIC -pthread $(ARCH) $(WARN) -I. -Iinclude -D_GNU_SOURCE \
	$(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all)
BASE_LDLIBS := -pthread $(if $(SAN),-fsanitize=$(SAN))

MODULES := $(patsubst %/module.mk,%,$(wildcard lib/*/module.mk lib/*/*/module.mk rpc/module.mk))
APPS := $(patsubst %/module.mk,%,$(wildcard app/*/module.mk))
UNITS := $(filter-out test/unit/common,$(patsubst %/,%,$(sort $(dir $(wildcard test/unit/*/*.c)))))

# $(call module,FOLDER): read its module.mk into FOLDER_SRCS, FOLDER_DEPS and FOLDER_LDLIBS.
define module
SRCS :=
DEPS :=
PKGS :=
LDLIBS :=
include $(1)/module.mk
$(1)_SRCS := $$(addprefix $(1)/,$$(SRCS))
$(1)_DEPS := $$(DEPS)
$(1)_LDLIBS := $$(LDLIBS) $$(if $$(PKGS),$$(shell pkg-config --libs $$(PKGS) 2>/dev/null))
endef
$(foreach m,$(MODULES) $(APPS),$(eval $(call module,$(m))))

LIB_SRCS := $(foreach m,$(MODULES),$($(m)_SRCS))
LIB_OBJS := $(LIB_SRCS:%.c=$(B)/%.o)
LIB_LDLIBS := $(sort $(foreach m,$(MODULES),$($(m)_LDLIBS)))
UNIT_COMMON_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard test/unit/common/*.c))
BINS := $(APPS:app/%=$(B)/bin/%)
UNIT_BINS := $(UNITS:%=$(B)/%.test)
ALL_SRCS := $(LIB_SRCS) $(foreach a,$(APPS),$($(a)_SRCS)) $(wildcard test/unit/*/*.c)

.PHONY: all help clean
all: $(BINS)

help:
	@sed -n 's/^## //p' Makefile test/module.mk scripts/module.mk 2>/dev/null

## make            build tarnd, tarnctl and tarnperf into build/plain/bin
## make SAN=LIST   the same with sanitizers (address,undefined or thread), into build/LIST
## make clean      remove everything that was built
clean:
	rm -rf build

# The driver of rte_ring is the only code that ThreadSanitizer must not see: see lib/reactor/ring.c.
$(B)/lib/reactor/ring.o: EXTRA_CFLAGS = $(shell pkg-config --cflags-only-I libdpdk) -include rte_config.h \
	-fno-sanitize=thread $(if $(findstring thread,$(SAN)),-DTARN_TSAN)

$(B)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(BASE_CFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

define app_rule
$(B)/bin/$(notdir $(1)): $$($(1)_SRCS:%.c=$(B)/%.o) $(LIB_OBJS)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$(CC) $(LDFLAGS) -o $$@ $$^ $$($(1)_LDLIBS) $(LIB_LDLIBS) $(BASE_LDLIBS)
endef
$(foreach a,$(APPS),$(eval $(call app_rule,$(a))))

define unit_rule
$(B)/$(1).test: $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c)) $(UNIT_COMMON_OBJS) $(LIB_OBJS)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$(CC) $(LDFLAGS) -o $$@ $$^ -lcunit $(LIB_LDLIBS) $(BASE_LDLIBS)
endef
$(foreach u,$(UNITS),$(eval $(call unit_rule,$(u))))

.PHONY: unit
## make unit       build the unit tests and run them
unit: $(UNIT_BINS)
	@set -e; for t in $(UNIT_BINS); do $$t; done

-include $(ALL_SRCS:%.c=$(B)/%.d)
-include test/module.mk scripts/module.mk
