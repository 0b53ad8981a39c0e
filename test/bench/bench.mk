# SPDX-License-Identifier: BSD-3-Clause
# The programs of test/bench; `make bench` itself is in the Makefile.
.PHONY: bench-bins
bench-bins: $(B)/test/bench/reactor_bench
$(eval $(call link_rule,$(B)/test/bench/reactor_bench,$(B)/test/bench/reactor_bench.o $(call \
	objs_of,$(call closure,lib/reactor)),$(call closure,lib/reactor)))
-include $(B)/test/bench/reactor_bench.d
