# SPDX-License-Identifier: BSD-3-Clause
# `make lab`, and the lab's daemon: tarnd with methods that do I/O.
LAB_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard test/lab/daemon/*.c))
lab-bins: $(B)/test/lab/tarnd
$(eval $(call link_rule,$(B)/test/lab/tarnd,$(LAB_OBJS) $(call objs_of,$(call closure,app/tarnd)),$(call \
	closure,app/tarnd)))
-include $(LAB_OBJS:.o=.d)

## make lab        the tests in a virtual machine with NVMe (TESTS=WORD); also part of make check.
##                 make lab-long: with the long ones
.PHONY: lab lab-long lab-bins
lab: hint
	@$(MAKE) --no-print-directory test-bins
	@test/run --build $(B) --lab-tier lab lab
lab-long: hint
	@$(MAKE) --no-print-directory test-bins
	@test/run --build $(B) --lab-tier long lab
