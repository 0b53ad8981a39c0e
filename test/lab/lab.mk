# SPDX-License-Identifier: BSD-3-Clause
# The lab's daemon: tarnd with methods that do I/O; `make lab` itself is in the Makefile.
LAB_OBJS := $(patsubst %.c,$(B)/%.o,$(wildcard test/lab/daemon/*.c))
lab-bins: $(B)/test/lab/tarnd
$(eval $(call link_rule,$(B)/test/lab/tarnd,$(LAB_OBJS) $(call objs_of,$(call closure,app/tarnd)),$(call \
	closure,app/tarnd)))
-include $(LAB_OBJS:.o=.d)
