# SPDX-License-Identifier: BSD-3-Clause
# tarn: one Makefile for everything. `make help` lists what it can do.
# Each folder of code has a module.mk that sets SRCS (its sources), DEPS (the folders it may include
# from; `make lint` holds the includes against them) and, where needed, PKGS (of pkg-config) and
# LDLIBS. A program is linked from the folders that its DEPS lead to, and from every driver where
# they lead to lib/bdev. Nothing here needs pkg-config before something is compiled.

PREFIX ?= /usr/local
DESTDIR ?=
CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
CFLAGS ?= -O2 -g
SAN ?=

comma := ,
B := build/$(if $(SAN),$(subst $(comma),-,$(SAN)),plain)
VERSION := $(shell sed -n 's/.* TARN_VERSION "\(.*\)"/\1/p' include/tarn/version.h)

FUZZ_SAN := address,undefined
WARN := -Wall -Wextra -Wshadow -Wmissing-prototypes -Werror
ARCH := $(if $(filter x86_64,$(shell uname -m)),-march=x86-64-v2)
# -Wno-tsan: the fence that ThreadSanitizer does not follow is between driver uring and the kernel.
SAN_CFLAGS := $(if $(SAN),-fno-omit-frame-pointer -fno-sanitize-recover=all \
	$(if $(filter thread,$(SAN)),-Wno-tsan) \
	-fsanitize=$(if $(filter fuzz,$(SAN)),fuzzer-no-link$(comma)$(FUZZ_SAN),$(SAN)))
BASE_CFLAGS := -std=gnu11 -fPIC -pthread $(ARCH) $(WARN) -Iinclude -iquote . \
	-D_GNU_SOURCE $(SAN_CFLAGS)
BASE_LDFLAGS := -pthread -Wl,--as-needed $(if $(filter-out fuzz,$(SAN)),-fsanitize=$(SAN))

LIBS := $(patsubst %/module.mk,%,$(wildcard lib/*/module.mk lib/*/*/module.mk))
RPCS := $(patsubst %/module.mk,%,$(wildcard rpc/module.mk))
APPS := $(patsubst %/module.mk,%,$(wildcard app/*/module.mk))
DRIVERS := $(filter lib/bdev/%,$(LIBS))
UNITS := $(filter-out test/unit/common,$(patsubst %/,%,$(sort $(dir $(wildcard test/unit/*/*.c)))))
SIMS := $(patsubst %/module.mk,%,$(wildcard test/sim/module.mk))
FUZZERS := $(patsubst test/fuzz/%.c,%,$(wildcard test/fuzz/*.c))
MODULE_MKS := $(addsuffix /module.mk,$(LIBS) $(RPCS) $(APPS) $(SIMS)) $(wildcard test/unit/*/module.mk)

# $(call module,FOLDER): read its module.mk into FOLDER_OBJS, FOLDER_DEPS, FOLDER_PKGS, FOLDER_LDLIBS.
define module
SRCS :=
DEPS :=
PKGS :=
LDLIBS :=
-include $(1)/module.mk
$(1)_OBJS := $$(patsubst %.c,$(B)/$(1)/%.o,$$(SRCS))
$(1)_DEPS := $$(DEPS)
$(1)_PKGS := $$(PKGS)
$(1)_LDLIBS := $$(LDLIBS)
endef
$(foreach m,$(LIBS) $(RPCS) $(APPS) $(SIMS) $(UNITS),$(eval $(call module,$(m))))

# $(call closure,FOLDERS): these and all that their DEPS lead to.
closure = $(if $(filter-out $(2),$(1)),$(call closure,$(sort $(foreach m,$(filter-out $(2),$(1)),\
	$($(m)_DEPS) $(if $(filter lib/bdev,$(m)),$(DRIVERS)))),$(sort $(2) $(1))),$(2))
objs_of = $(foreach m,$(1),$($(m)_OBJS))
pkgs_of = $(sort $(foreach m,$(1),$($(m)_PKGS)))
libs_of = $(if $(pkgs_of),$$$$(pkg-config --libs $(pkgs_of))) $(sort $(foreach m,$(1),$($(m)_LDLIBS)))

# What a unit test folder tests: test/unit/x is for lib/x, rpc or app/x, and whatever else DEPS in a
# module.mk of its own adds. An app's own objects come without its main().
subject = $(firstword $(foreach m,lib/$(1) $(1) app/$(1),$(filter $(m),$(LIBS) $(RPCS) $(APPS))))
unit_modules = $(call closure,$(or $(strip $(call subject,$(notdir $(1))) \
	$($(1)_DEPS)),$(LIBS) $(RPCS)))
unit_objs = $(patsubst %.c,$(B)/%.o,$(wildcard $(1)/*.c test/unit/common/*.c)) \
	$(filter-out %/main.o,$(call objs_of,$(unit_modules)))

BINS := $(APPS:app/%=$(B)/bin/%)
UNIT_BINS := $(UNITS:%=$(B)/%.test)
SIM_BINS := $(SIMS:%=$(B)/%/sim)
FUZZ_BINS := $(FUZZERS:%=$(B)/test/fuzz/%)
FUZZED_OBJS = $(filter-out %/main.o,$(call objs_of,app/tarnck)) # of programs: what parses a device
LIBTARN := $(B)/lib/libtarn.so.$(firstword $(subst ., ,$(VERSION)))
LIBTARN_A := $(B)/lib/libtarn.a
EXAMPLES := $(patsubst doc/example/%.c,$(B)/example/%,$(wildcard doc/example/*.c))
ALL_OBJS := $(call objs_of,$(LIBS) $(RPCS) $(APPS) $(SIMS)) \
	$(patsubst %.c,$(B)/%.o,$(wildcard test/unit/*/*.c test/fuzz/*.c doc/example/*.c))

.PHONY: all help clean FORCE
## make            build the programs, libtarn (shared, static) and the example into build/plain
all: hint $(BINS) $(LIBTARN) $(LIBTARN_A) $(EXAMPLES)

## make help       this list
help:
	@sed -n 's/^## //p' $(MAKEFILE_LIST)

.PHONY: hint deps-build deps-check deps-bench
hint:
	@scripts/deps.sh --check build || true
deps-build deps-check deps-bench:
	@scripts/deps.sh build $(filter-out build,$(@:deps-%=%))

## make run        install what is missing, build, and run tarnd on files as devices until Ctrl-C
##                 (RUN_SECONDS=N: for N seconds)
.PHONY: run
run: deps-build
	@$(MAKE) --no-print-directory all
	@scripts/quickstart.sh $(B)/bin $(RUN_SECONDS)

# --- Tests ---

.PHONY: check unit test-bins lint format fuzz fuzz-bins bench
## make check      install what is missing, build, and run every test: unit, system, lint's, build's, lab's
check: deps-check
	@$(MAKE) --no-print-directory test-bins
	@test/run --build $(B)

## make unit       the unit tests alone (TESTS=WORD: those whose name has it; also for check)
unit: hint
	@$(MAKE) --no-print-directory test-bins
	@test/run --build $(B) unit

test-bins: all $(UNIT_BINS) $(SIM_BINS) lab-bins

## make sim        the cache engine on a simulated device, SEEDS=N of them from SEED=N on (10000, 1)
SEED ?= 1
SEEDS ?= 10000
.PHONY: sim
sim: hint
	@$(MAKE) --no-print-directory $(SIM_BINS)
	@$(B)/test/sim/sim $(SEED) --hard --count $(SEEDS) --progress

## make sim-bugs   plant each bug of test/sim/bugs in a copy of the tree: the simulator must find it
.PHONY: sim-bugs
sim-bugs: hint
	@test/sim/plant

## make lint       format, static analysis, layers, sizes, texts: doc/testing.md says what and why
lint:
	@scripts/lint/lint.py

## make format     clang-format, and comments wrapped (FILES=...; default: all)
format: FILES ?= $(shell git ls-files '*.c' '*.h')
format:
	@clang-format-14 -i $(FILES)
	@scripts/lint/reflow.py $(FILES)

## make fuzz       run each fuzzer for a minute (FUZZ_SECONDS=N, FUZZ=NAME)
FUZZ_SECONDS ?= 60
FUZZ ?= $(FUZZERS)
fuzz:
	@$(MAKE) --no-print-directory SAN=fuzz CC=clang-14 fuzz-bins
	@test/run --build build/fuzz --fuzz-seconds $(FUZZ_SECONDS) fuzz $(FUZZ:%=--fuzzer %)
fuzz-bins: $(FUZZ_BINS)

## make bench      compare with fio and print ratios (BENCH=ARGUMENTS)
bench: deps-bench
	@$(MAKE) --no-print-directory all bench-bins
	@test/bench/run --build $(B) $(BENCH)

# --- Compiling and linking ---

## make SAN=LIST   any of these with sanitizers (address,undefined or thread), into build/LIST
$(B)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS)' | cmp -s - $@ || \
		echo '$(CC) $(BASE_CFLAGS) $(CFLAGS) $(LDFLAGS)' >$@

# The driver of rte_ring is the only code that ThreadSanitizer must not see: see lib/reactor/ring.c.
$(B)/lib/reactor/ring.o: EXTRA_CFLAGS = $(shell pkg-config --cflags-only-I libdpdk) -include rte_config.h \
	-fno-sanitize=thread $(if $(findstring thread,$(SAN)),-DTARN_TSAN)

$(B)/%.o: %.c $(B)/flags
	@mkdir -p $(@D)
	@echo "  CC      $@"
	@$(CC) $(BASE_CFLAGS) $(CFLAGS) $(EXTRA_CFLAGS) -MMD -MP -c -o $@ $<

# $(call link_rule,FILE,OBJECTS,FOLDERS,FLAGS,LIBRARIES)
define link_rule
$(1): $(2) $(B)/flags Makefile $(MODULE_MKS)
	@mkdir -p $$(@D)
	@echo "  LD      $$@"
	@$$(CC) $(BASE_LDFLAGS) $(4) $$(LDFLAGS) -o $$@ $$(filter %.o %.a,$$^) $(call libs_of,$(3)) $(5)
endef
program = $(call link_rule,$(1),$(call objs_of,$(2)),$(2))
$(foreach a,$(APPS),$(eval $(call program,$(B)/bin/$(notdir $(a)),$(call closure,$(a)))))
$(foreach s,$(SIMS),$(eval $(call program,$(B)/$(s)/sim,$(call closure,$(s)))))
$(foreach u,$(UNITS),$(eval $(call link_rule,$(B)/$(u).test,$(call unit_objs,$(u)),$(call \
	unit_modules,$(u)),,-lcunit $($(u)_LDLIBS))))
$(foreach f,$(FUZZERS),$(eval $(call link_rule,$(B)/test/fuzz/$(f),$(B)/test/fuzz/$(f).o $(call \
	objs_of,$(LIBS) $(RPCS)) $(FUZZED_OBJS),$(LIBS) $(RPCS),-fsanitize=fuzzer$(comma)$(FUZZ_SAN))))
$(eval $(call link_rule,$(LIBTARN),$(call objs_of,$(LIBS)),$(LIBS),-shared -Wl$(comma)-soname=$(notdir \
	$(LIBTARN))))

# One object in the archive: drivers register themselves, and would not be linked from one by one.
$(LIBTARN_A): $(call objs_of,$(LIBS)) $(B)/flags Makefile $(MODULE_MKS)
	@mkdir -p $(@D)
	@echo "  AR      $@"
	@$(CC) -r -nostdlib -o $(B)/lib/libtarn.o $(filter %.o,$^)
	@rm -f $@ && $(AR) rcs $@ $(B)/lib/libtarn.o && rm -f $(B)/lib/libtarn.o
$(foreach e,$(EXAMPLES),$(eval $(call link_rule,$(e),$(e:$(B)/example/%=$(B)/doc/example/%.o) \
	$(LIBTARN_A),$(LIBS))))

-include $(ALL_OBJS:.o=.d)
-include test/bench/bench.mk test/lab/lab.mk

# --- Installing ---

MANS := $(B)/man/tarnd.8 $(B)/man/tarnctl.1 $(B)/man/tarnperf.1 $(B)/man/tarnck.8
MAN_NAME_tarnd := userspace block caching service
MAN_NAME_tarnctl := control a running tarnd
MAN_NAME_tarnperf := measure block devices through tarn's drivers
MAN_NAME_tarnck := check a cache that no daemon holds

.SECONDEXPANSION:
$(MANS): $(B)/bin/$$(basename $$(notdir $$@))
	@mkdir -p $(@D)
	@echo "  MAN     $@"
	@help2man --no-info --section $(subst .,,$(suffix $@)) --manual tarn --source "tarn $(VERSION)" \
		--name "$(MAN_NAME_$(basename $(@F)))" --output $@ $< || \
		{ scripts/deps.sh --check install; exit 1; }

fill = sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' \
	-e 's|@PKGS@|$(call pkgs_of,$(LIBS))|g' \
	-e 's|@LIBS@|$(sort $(foreach m,$(LIBS),$($(m)_LDLIBS)))|g'
D = $(DESTDIR)$(PREFIX)

.PHONY: install uninstall
## make install    into $(DESTDIR)$(PREFIX): programs, library, headers, tarn.pc, man pages, systemd
##                 unit, bash completion, configurations, Python client; make uninstall removes them
install: all $(MANS)
	@install -d $(addprefix $D/,bin lib/pkgconfig lib/systemd/system include/tarn share/man/man1 \
		share/man/man8 share/bash-completion/completions share/tarn/json-config share/tarn/example)
	@install -m 755 $(BINS) $D/bin
	@install -m 644 $(LIBTARN) $(LIBTARN_A) $D/lib
	@ln -sf $(notdir $(LIBTARN)) $D/lib/libtarn.so
	@install -m 644 $(wildcard include/tarn/*.h) $D/include/tarn
	@$(fill) scripts/tarn.pc.in >$D/lib/pkgconfig/tarn.pc
	@$(fill) scripts/tarnd.service.in >$D/lib/systemd/system/tarnd.service
	@install -m 644 $(filter %.1,$(MANS)) $D/share/man/man1
	@install -m 644 $(filter %.8,$(MANS)) $D/share/man/man8
	@$(B)/bin/tarnctl completion bash >$D/share/bash-completion/completions/tarnctl
	@install -m 644 $(wildcard json-config/*.json) $D/share/tarn/json-config
	@install -m 644 scripts/tarn_rpc.py scripts/example-control.py $D/share/tarn
	@install -m 644 $(wildcard doc/example/*.c) $D/share/tarn/example
	@echo "installed into $D"

uninstall:
	@rm -rf $D/include/tarn $D/share/tarn $D/lib/libtarn.*
	@rm -f $(BINS:$(B)/bin/%=$D/bin/%) $D/lib/pkgconfig/tarn.pc $D/lib/systemd/system/tarnd.service \
		$D/share/bash-completion/completions/tarnctl $(wildcard $D/share/man/man[18]/tarn*.[18])

## make clean      remove everything that was built
clean:
	@rm -rf build
