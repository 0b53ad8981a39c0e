# SPDX-License-Identifier: BSD-3-Clause
"""The cache's rows: hits and stores beside the same bdev raw, RAM, usable share, hit ratio beside plain LRU, recovery
and start beside reading the device once, sustained beside fresh."""
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import tempfile
import time

import devices
import measure
import tools
from rows import row

RECORD_BYTES = 4096  # of a value of 4044 bytes, with its key and head
MIB = 1 << 20


def perf(context, driver, path, *options):
    """One run of tarnperf --cache; options first to last."""
    command = [f"{context['build']}/bin/tarnperf", "--driver", driver, "--cpus", str(context["cpu"]), "--destroy-data",
               "--quiet", "--json", *map(str, options)]
    return tools.run_json(command + ([path] if path else []))


def timed(context, driver, path, *options):
    result = perf(context, driver, path, "--time", context["seconds"], *options)
    return {"iops": result["ops_per_s"], "cpu_us": result["cpu"]["us_per_op"], "result": result}


@contextlib.contextmanager
def images(folder, *sizes):
    """Files without data, which a cache formats without being forced."""
    with tempfile.TemporaryDirectory(prefix="tarn-bench-", dir=folder) as temporary:
        paths = []
        for number, size in enumerate(sizes):
            paths.append(os.path.join(temporary, f"cache{number}"))
            with open(paths[-1], "wb") as file:
                file.truncate(size)
        yield paths


def capacity(context, driver, path, *options):
    """Records of 4 KiB that the data area would hold if there were nothing else in it."""
    found = perf(context, driver, path, "--cache", "lookup", "--no-fill", "--ios", 1, "--format", *options)
    return found["cache"]["data_bytes"] // RECORD_BYTES


# --- Speed ---

PAIRS = [  # (what, cache load, options, raw load, target)
    ("block hit, depth 32", "block-read", ("--depth", 32), "randread", 0.90),
    ("object lookup, depth 32", "lookup", ("--depth", 32), "randread", 0.85),
    ("object store, depth 32", "store", ("--depth", 32), "randwrite", 0.85),
    ("dirty block write, depth 32", "block-write", ("--depth", 32), "randwrite", 1.00),
    ("dirty block write, depth 128", "block-write", ("--depth", 128), "randwrite", 1.00),
]


def pair_rows(context, device, driver, cache_path, raw_path):
    keys = capacity(context, driver, cache_path) // 2
    for what, load, options, raw, target in PAIRS:
        depth = options[1]
        fixed = ("--cache", load, "--keys", keys, "--no-fill", *options)
        filler = {"block-read": "block-write", "lookup": "store"}.get(load)
        perf(context, driver, cache_path, "--cache", filler or load, "--keys", keys, "--ios", keys, "--sequential",
             "--format")
        results = measure.interleave({
            "cache": lambda fixed=fixed: timed(context, driver, cache_path, *fixed),
            "raw": lambda raw=raw, depth=depth: tools.tarnperf(
                context["build"], raw_path, {"driver": driver, "rw": raw, "block": 4096, "depth": depth},
                context["cpu"], context["seconds"]),
        }, context["rounds"])
        ratio = measure.ratios(results["cache"], results["raw"], "iops")
        ratio["ours"] = measure.summary([result["iops"] for result in results["cache"]])["median"]
        ratio["raw"] = measure.summary([result["iops"] for result in results["raw"]])["median"]
        yield row("cache vs raw", f"{device} {driver} {what}", (">=", target), "x", ratio)


def speed_rows(context):
    for what, load, depth, target in (("block hit", "block-read", 32, 1.0e6), ("object lookup", "lookup", 32, None),
                                      ("object store", "store", 32, None),
                                      ("dirty block write", "block-write", 32, 0.6e6)):
        # The warm-up is for the bdev's own memory, which the log touches first when it wraps.
        results = [timed(context, "ram", None, "--cache", load, "--keys", 10000, "--depth", depth, "--warmup", 1)
                   for _ in range(max(3, context["rounds"]))]
        yield row("cache on ram", f"{what}, one core", target and (">=", target), "/s",
                  measure.summary([result["iops"] for result in results]))
        yield row("cache on ram", f"{what}, per second of CPU time", target and (">=", target), "/s",
                  measure.summary([1e6 / result["cpu_us"] for result in results]))
    size = context["cache_bytes"] // 4
    places = {
        "file": lambda: devices.plain_file(context["folder"], size),
        "zram": lambda: devices.zram(size),
    }
    for device, place in places.items():
        if context["devices"] and device not in context["devices"]:
            continue
        try:
            with place() as cache_path, place() as raw_path:
                for driver in ("uring", "aio") if device == "file" else ("aio",):
                    yield from pair_rows(context, device, driver, cache_path, raw_path)
        except devices.Skip as skip:
            yield {"row": "cache vs raw", "what": device, "skipped": str(skip)}


# --- Memory and space ---

def filled(context, path, record_bytes, *options, depth=32):
    """A cache whose log has wrapped, by stores of ever new keys."""
    value = record_bytes - 52 - (0 if record_bytes <= RECORD_BYTES else 4)
    keys = capacity(context, "uring", path, *options) * RECORD_BYTES // record_bytes * 3 // 2
    return perf(context, "uring", path, "--fallback", "--cache", "store", "--sequential", "--keys", keys, "--ios", keys,
                "--value-size", value, "--depth", depth)


def memory_row(context, what, target, record_bytes, sizes, *options):
    depth = 32 if record_bytes == RECORD_BYTES else 256  # small objects fill batches only at depth
    with images(context["folder"], *sizes) as paths:
        small, large = (filled(context, path, record_bytes, *options, depth=depth)["cache"] for path in paths)
    used = [found["rss_bytes"] - found["rss_before_bytes"] for found in (small, large)]
    each = (used[1] - used[0]) / (large["entries"] - small["entries"])
    constant = used[1] - each * large["entries"]
    yield row("cache RAM", f"{what} ({large['entries']:,})", ("<=", target), "bytes each",
              measure.summary([each]))
    yield row("cache RAM", f"{what}, beside", ("<=", 64), "MiB", measure.summary([constant / MIB]))
    yield row("cache space", f"live {what} in the data area, depth {depth}",
              (">=", 0.95) if record_bytes == RECORD_BYTES else None, "",
              measure.summary([large["entries"] * record_bytes / large["data_bytes"]]))


def memory_rows(context):
    size = context["cache_bytes"]
    yield from memory_row(context, "4 KiB objects", 24, RECORD_BYTES, (size // 4, size))
    yield from memory_row(context, "200-byte objects", 40, 256, (size // 16, size // 4), "--entry-size", 256)


# --- Hit ratio ---

def ratio_rows(context):
    room = capacity(context, "ram", None)
    keys = 10 * room
    span = 4 * max(2, context["seconds"])
    for what, options in (("Zipf(0.9)", ()), ("Zipf(0.9) with 20 % scan", ("--scan-percent", 20))):
        found = perf(context, "ram", None, "--cache", "aside", "--keys", keys, "--random", "zipf:0.9", "--lru", room,
                     "--depth", 32, "--warmup", span, "--time", span,
                     *options)
        ratio = found["hit_ratio"] / found["lru_hit_ratio"]
        yield row("cache hit ratio", f"{what}, against LRU", (">=", 1.0), "x",
                  dict(measure.summary([ratio]), ours=found["hit_ratio"], lru=found["lru_hit_ratio"]))


# --- Starting ---

def kill_under_load(context, path, *options):
    """While ever new keys are stored, so that the cache is full of entries that live."""
    command = [f"{context['build']}/bin/tarnperf", "--driver", "uring", "--fallback", "--destroy-data", "--progress",
               "--json", "--cache", "store", "--seed", str(time.time_ns() >> 10), "--keys", "4000000000",
               "--time", "600", *map(str, options), path]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        for _ in range(4):
            process.stderr.readline()  # a line each second
        process.send_signal(signal.SIGKILL)
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the dead process's ring, and its lock, end a little later


def forget_checkpoints(context, path):
    text = subprocess.run([f"{context['build']}/bin/tarnck", "--dump", path], capture_output=True, text=True,
                          check=False).stdout
    with open(path, "r+b") as file:
        for offset in re.findall(r"^checkpoint [AB] offset (\d+)", text, re.MULTILINE):
            file.seek(int(offset))
            file.write(bytes(4096))
        os.fsync(file.fileno())


def open_s(context, path):
    """How long the cache takes to open, by the same driver that reads the device once."""
    found = perf(context, "uring", path, "--fallback", "--cache", "lookup", "--no-fill", "--ios", 1)
    return found["cache"]


def read_once_s(context, path, size):
    start = time.monotonic()
    tools.run_json([f"{context['build']}/bin/tarnperf", "--driver", "uring", "--fallback", "--rw", "read",
                    "--block-size", "1m", "--depth", "8", "--bytes", str(size), "--quiet", "--json", path])
    return time.monotonic() - start


def start_rows(context):
    size = context["cache_bytes"]
    with images(context["folder"], size) as (path,):
        filled(context, path, RECORD_BYTES)
        once = read_once_s(context, path, size)
        clean = open_s(context, path)
        kill_under_load(context, path, "--checkpoint", 1)
        with_checkpoint = open_s(context, path)
        kill_under_load(context, path)
        forget_checkpoints(context, path)
        without = open_s(context, path)
    yield row("cache start", f"reading {size >> 20} MiB once", None, "s", measure.summary([once]))
    for what, found, share in (("clean", clean, max(0.05, 0.2 / once)),
                               ("killed, with checkpoints", with_checkpoint, 0.05),
                               ("killed, without any", without, 0.1)):
        summary = measure.summary([found["open_s"] / once])
        summary["open_s"], summary["entries"] = found["open_s"], found["entries"]
        yield row("cache start", f"{what} ({found['open_s']:.3f} s)", ("<=", share), "x", summary)
    lost = 1 - without["entries"] / max(1, with_checkpoint["entries"])
    yield row("cache start", "entries fewer without checkpoints", ("<=", 0.05), "", measure.summary([lost]))


# --- Sustained ---

def sustained_rows(context):
    size = context["cache_bytes"] // 2
    for what, load, share in (("60 % dirty blocks", "block-write", 0.60), ("objects", "store", 0.90)):
        with images(context["folder"], size) as (path,):
            room = capacity(context, "uring", path)
            keys = int(room * share)
            options = ("--fallback", "--cache", load, "--depth", 32, "--keys", keys)
            fresh = perf(context, "uring", path, *options, "--ios", room // 3)
            perf(context, "uring", path, *options, "--ios", 2 * room)
            worn = perf(context, "uring", path, *options, "--time", 3 * context["seconds"])
            raw = tools.run_json([f"{context['build']}/bin/tarnperf", "--driver", "uring", "--fallback", "--rw",
                                  "randwrite", "--depth", "32", "--time", str(3 * context["seconds"]), "--cpus",
                                  str(context["cpu"]), "--destroy-data", "--quiet", "--json", path])
        latency, raw_latency = worn["store"]["latency_us"], raw["write"]["latency_us"]
        yield row("cache sustained", f"{what}: fresh", None, "/s", measure.summary([fresh["store"]["per_s"]]))
        yield row("cache sustained", f"{what}: log wrapped twice", None, "/s",
                  measure.summary([worn["store"]["per_s"]]))
        yield row("cache sustained", f"{what}: p99.9 of the median", ("<=", 10), "x",
                  measure.summary([latency["p99_9"] / latency["p50"]]))
        yield row("cache sustained", "the same of the raw bdev's random writes", None, "x",
                  measure.summary([raw_latency["p99_9"] / raw_latency["p50"]]))


ROWS = {"cache-speed": speed_rows, "cache-memory": memory_rows, "cache-ratio": ratio_rows, "cache-start": start_rows,
        "cache-sustained": sustained_rows}
