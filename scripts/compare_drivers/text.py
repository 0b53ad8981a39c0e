# SPDX-License-Identifier: BSD-3-Clause
"""The report on a terminal."""


def count(value):
    for limit, unit in ((1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:.3g}{unit}" if value < 100 * limit else f"{value / limit:.0f}{unit}"
    return f"{value:.0f}"


def size(value):
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if value >= 1 << shift:
            return f"{value / (1 << shift):.4g} {unit}"
    return f"{value} bytes"


def ratio(result):
    if "ratio_to_sync" not in result:
        return ""
    found = result["ratio_to_sync"]
    return f"{found['median']:.2f} x ±{100 * found['spread']:.0f} %"


def best_uring(results, load):
    """The uring mode with the highest ratio on that load, or None."""
    found = [result for result in results
             if result["load"] == load and result["mode"].startswith("uring") and "ratio_to_sync" in result]
    return max(found, key=lambda result: result["ratio_to_sync"]["median"], default=None)


def published(report, target):
    """Rows of the comparison with published ratios: (what, theirs, load, mode, ours)."""
    for entry in report["published"]:
        for load in entry["loads"]:
            best = best_uring(target["results"], load)
            if best is not None:
                yield entry["what"], entry["ratio"], load, best["mode"], best["ratio_to_sync"]


def write_target(report, target, out):
    facts = ", ".join(f"{name} {value}" for name, value in target["facts"].items() if value)
    print(f"\n{target['path']}: {target['kind']}, {size(target['size_bytes'])} ({facts})", file=out)
    if not target["written"]:
        print("  only read; --destroy-data would write", file=out)
    for mode in target["modes"]:
        if not mode["works"]:
            print(f"  without {mode['name']}: {mode['reason']}", file=out)
    load = None
    for result in target["results"]:
        if result["load"] != load:
            load = result["load"]
            print(f"\n  {load:36} {'IOPS':>8} {'MiB/s':>8} {'mean us':>9} {'p99 us':>9} {'CPU us':>8}  to sync",
                  file=out)
        print(f"    {result['mode']:34} {count(result['iops']['median']):>8} "
              f"{result['bytes_per_s']['median'] / 2**20:8.1f} {result['mean_us']['median']:9.1f} "
              f"{result['p99_us']['median']:9.1f} {result['cpu_us']['median']:8.2f}  {ratio(result)}", file=out)
    rows = list(published(report, target))
    if rows:
        print("\n  io_uring against synchronous I/O: published, and here", file=out)
    for what, theirs, name, mode, ours in rows:
        print(f"    {what:28} {theirs:.2f} x   here {ours['median']:.2f} x ±{100 * ours['spread']:.0f} %"
              f"   ({name}, {mode})", file=out)


def write(report, out):
    machine, settings = report["machine"], report["settings"]
    print(f"{machine['cpu']}, {machine['cpus']} CPUs, Linux {machine['kernel']}, {report['time']}", file=out)
    print(f"{settings['rounds']} rounds of {settings['seconds']} s, CPUs {settings['cpus']}, poll {settings['poll']}; "
          "medians, spread between quartiles", file=out)
    for target in report["targets"]:
        write_target(report, target, out)
