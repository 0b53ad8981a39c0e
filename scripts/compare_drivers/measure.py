# SPDX-License-Identifier: BSD-3-Clause
"""Modes, loads, rounds, and what they come to."""
import json
import os
import platform
import statistics
import subprocess
import time

# The modes and their options. The first is what the others are compared with.
MODES = {
    "sync": ["--driver", "sync"],
    "sync, 8 threads": ["--driver", "sync", "--workers", "8"],
    "aio": ["--driver", "aio"],
    "uring, bare": ["--driver", "uring", "--no-fixed-buffers", "--no-fixed-files", "--no-ring-flags"],
    "uring, no fixed buffers": ["--driver", "uring", "--no-fixed-buffers"],
    "uring": ["--driver", "uring"],
    "uring, SQPOLL": ["--driver", "uring", "--sqpoll=on"],
    "uring, IOPOLL": ["--driver", "uring", "--iopoll=on"],
    "uring_cmd": ["--driver", "uring_cmd"],
    "uring_cmd, IOPOLL": ["--driver", "uring_cmd", "--iopoll=on"],
}
BASE = "sync"

# io_uring against plain synchronous I/O, as published; beside which loads of ours they are shown.
PUBLISHED = [
    {"what": "4 KiB writes", "ratio": 1.67, "loads": ["4 KiB random write, depth 32"]},
    {"what": "1 MiB writes", "ratio": 1.67, "loads": ["1 MiB sequential write, depth 8"]},
    {"what": "batches of 100 operations", "ratio": 2.5,
     "loads": ["4 KiB random read, batches of 100", "4 KiB random write, batches of 100"]},
]


class MeasureError(Exception):
    pass


def about():
    model = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"machine": {"cpu": model, "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release()},
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def loads(writable, quick):
    kinds = ["read", "write"] if writable else ["read"]
    result = []
    for kind in kinds:
        for depth in (1, 32) if quick else (1, 8, 32, 128):
            result.append({"name": f"4 KiB random {kind}, depth {depth}", "rw": f"rand{kind}", "block": "4k",
                           "depth": depth, "group": f"4 KiB random {kind}"})
    for kind in kinds:
        result.append({"name": f"1 MiB sequential {kind}, depth 8", "rw": kind, "block": "1m", "depth": 8})
    for kind in kinds:
        result.append({"name": f"4 KiB random {kind}, batches of 100", "rw": f"rand{kind}", "block": "4k",
                       "depth": 100, "batch": 100})
    return result


def command(options, place, mode, load, seconds):
    words = [options.tarnperf, *MODES[mode], "--rw", load["rw"], "--block-size", load["block"],
             "--cpus", options.cpus, "--poll", options.poll, "--time", str(seconds),
             "--warmup", str(seconds / 5), "--json", "--quiet"]
    words += ["--batch", str(load["batch"])] if "batch" in load else ["--depth", str(load["depth"])]
    if not load["rw"].endswith("read"):
        if not place.writable:
            raise MeasureError(f"{place.path}: would be written to")
        words.append("--destroy-data")
    return [*words, place.path]


def run(words):
    try:
        result = subprocess.run(words, capture_output=True, text=True, check=False)
    except OSError as error:
        raise MeasureError(f"{words[0]}: {error.strerror}; run make first, or name it by --tarnperf") from error
    if result.returncode != 0:
        lines = result.stderr.strip().splitlines()
        return None, lines[-1].removeprefix("tarnperf: ") if lines else f"exit status {result.returncode}"
    found = json.loads(result.stdout)
    side = found["write" if "write" in found else "read"]
    return {"iops": found["iops"], "bytes_per_s": side["bytes_per_s"], "mean_us": side["latency_us"]["mean"],
            "p99_us": side["latency_us"]["p99"], "cpu_us": found["cpu"]["us_per_io"],
            "driver_specific": found["devices"][0]["driver_specific"]}, None


def spread(values):
    """The distance between the quartiles as a share of the median; with few values that of all."""
    middle = statistics.median(values)
    if len(values) < 2 or middle == 0:
        return 0.0
    if len(values) < 4:
        return (max(values) - min(values)) / middle
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return (high - low) / middle


def summary(values):
    return {"median": statistics.median(values), "spread": spread(values), "values": values}


def find_modes(place, options):
    """Which modes work there; of the others, why not."""
    trial = {"rw": "randread", "block": "4k", "depth": 1}
    result = []
    for mode, words in MODES.items():
        found, reason = run(command(options, place, mode, trial, 0.05))
        entry = {"name": mode, "options": words, "works": found is not None, "reason": reason}
        if found is not None:
            entry["in_force"] = found["driver_specific"]
        result.append(entry)
    return result


def compare_load(place, options, load, modes):
    """One load by all modes, in rounds. Returns a list of results, one for each mode."""
    figures = {mode: [] for mode in modes}
    for number in range(options.rounds):
        for mode in modes if number % 2 == 0 else reversed(modes):
            found, reason = run(command(options, place, mode, load, options.seconds))
            if found is None:
                raise MeasureError(f"{mode}, {load['name']}: {reason}")
            figures[mode].append(found)
    results = []
    for mode in modes:
        result = {"mode": mode, "load": load["name"], "rw": load["rw"], "block": load["block"],
                  "depth": load["depth"], "batch": load.get("batch", 0), "group": load.get("group")}
        for key in ("iops", "bytes_per_s", "mean_us", "p99_us", "cpu_us"):
            result[key] = summary([found[key] for found in figures[mode]])
        ratios = [found["iops"] / base["iops"] for found, base in zip(figures[mode], figures.get(BASE, []))
                  if base["iops"]]
        if ratios:
            result["ratio_to_sync"] = summary(ratios)
        results.append(result)
    return results


def compare(place, options, progress):
    modes = find_modes(place, options)
    working = [mode["name"] for mode in modes if mode["works"]]
    if not working:
        raise MeasureError(f"{place.name}: no driver works there: {modes[0]['reason']}")
    wanted = [load for load in loads(place.writable, options.quick)
              if load["block"] != "1m" or place.size_bytes >= 16 << 20]
    results = []
    for number, load in enumerate(wanted):
        print(f"{place.name}: {load['name']} ({number + 1} of {len(wanted)}, {len(working)} modes)",
              file=progress, flush=True)
        results += compare_load(place, options, load, working)
    return {**place.about(), "modes": modes, "results": results}
