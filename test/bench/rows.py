# SPDX-License-Identifier: BSD-3-Clause
"""The rows of the table: what is measured, by which rule it is met. Each yields dictionaries

{"row": group, "what": case, "target": (">=" or "<=", number) or None, "unit": text, "median": …, "spread": …}

or {"row": …, "what": …, "skipped": reason}.
"""
import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

import devices
import measure
import tools

DEPTHS = {"uring": (1, 32, 128), "aio": (1, 32, 128), "sync": (1,)}
FILE_BYTES = 512 << 20


def row(group, what, target, unit, summary):
    return {"row": group, "what": what, "target": target, "unit": unit, **summary}


def fio_case(context, device, path, load):
    cpu, seconds = context["cpu"], context["seconds"]
    results = measure.interleave({
        "tarnperf": lambda: tools.tarnperf(context["build"], path, load, cpu, seconds),
        "fio": lambda: tools.fio(path, load, cpu, seconds),
    }, context["rounds"])
    what = f"{device} {load['driver']} {load['rw']} depth {load['depth']}"
    for key, target, group in (("iops", (">=", 1.0), "IOPS vs fio"), ("cpu_us", ("<=", 1.0), "CPU per I/O vs fio")):
        ratio = measure.ratios(results["tarnperf"], results["fio"], key)
        if ratio is not None:
            ratio["ours"] = measure.summary([result[key] for result in results["tarnperf"]])["median"]
            ratio["fio"] = measure.summary([result[key] for result in results["fio"]])["median"]
            yield row(group, what, target, "x", ratio)


def fio_rows(context):
    if shutil.which("fio") is None:
        yield {"row": "vs fio", "what": "all", "skipped": "fio is not installed (scripts/deps.sh bench)"}
        return
    places = {
        "file": lambda: devices.plain_file(context["folder"], FILE_BYTES),
        "loop": lambda: devices.loop(FILE_BYTES),
        "zram": lambda: devices.zram(FILE_BYTES),
    }
    for device, place in places.items():
        if context["devices"] and device not in context["devices"]:
            continue
        try:
            with place() as path:
                for driver, depths in DEPTHS.items():
                    for rw in ("randread", "randwrite"):
                        for depth in depths:
                            load = {"driver": driver, "rw": rw, "block": 4096, "depth": depth}
                            yield from fio_case(context, device, path, load)
        except devices.Skip as skip:
            yield {"row": "vs fio", "what": device, "skipped": str(skip)}


def instructions_per_io(context):
    """By callgrind: the difference of two runs, so that start and end do not count."""
    totals = []
    for count in (50000, 150000):
        with tempfile.TemporaryDirectory(prefix="tarn-bench-") as folder:
            result = subprocess.run(
                ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out",
                 f"{context['build']}/bin/tarnperf", "--driver", "null", "--ios", str(count), "--quiet"],
                capture_output=True, text=True, check=False)
        found = re.search(r"Collected : (\d+)", result.stderr)
        if result.returncode != 0 or found is None:
            raise tools.ToolError(f"callgrind: {result.stderr.strip()[-300:]}")
        totals.append(int(found.group(1)))
    return (totals[1] - totals[0]) / 100000


def null_rows(context):
    load = {"driver": "null", "rw": "randread", "block": 4096, "depth": 32}
    results = [tools.tarnperf(context["build"], None, load, context["cpu"], context["seconds"])
               for _ in range(max(3, context["rounds"]))]
    yield row("null bdev", "4 KiB random read, depth 32, one core", (">=", 20e6), "I/O/s",
              measure.summary([result["iops"] for result in results]))
    yield row("null bdev", "the same, per second of CPU time", (">=", 20e6), "I/O/s",
              measure.summary([1e6 / result["cpu_us"] for result in results]))
    yield row("null bdev", "CPU per I/O", None, "us", measure.summary([result["cpu_us"] for result in results]))
    if shutil.which("valgrind") is None:
        yield {"row": "null bdev", "what": "instructions per I/O", "skipped": "valgrind is not installed"}
    else:
        yield row("null bdev", "instructions per I/O", None, "", measure.summary([instructions_per_io(context)]))


def process_cpu_s(pid):
    """CPU time of all threads, to the nanosecond where the kernel tells."""
    total = 0.0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        with open(path, encoding="ascii") as file:
            total += int(file.read().split()[0]) / 1e9
    if total > 0:
        return total
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(path, process, seconds):
    end = time.monotonic() + seconds
    while not os.path.exists(path):
        if process.poll() is not None or time.monotonic() > end:
            raise tools.ToolError(f"tarnd does not start (exit status {process.poll()})")
        time.sleep(0.05)


def idle_rows(context):
    seconds = max(5, context["seconds"])
    with tempfile.TemporaryDirectory(prefix="tarn-bench-") as folder:
        path = os.path.join(folder, "file")
        devices.fill(path, 16 << 20)
        config = os.path.join(folder, "config.json")
        calls = [{"method": f"bdev_{driver}_create", "params": {"name": driver, "filename": f"{path}.{driver}"}}
                 for driver in ("uring", "aio", "sync")]
        for call in calls:
            shutil.copyfile(path, call["params"]["filename"])
        calls[0]["params"]["fallback"] = True
        with open(config, "w", encoding="utf-8") as file:
            json.dump({"subsystems": [{"subsystem": "bdev", "config": calls}]}, file)
        socket = os.path.join(folder, "tarn.sock")
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0))[:2])
        with subprocess.Popen([f"{context['build']}/bin/tarnd", "-c", config, "-r", socket, "-m", cpus],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_for(socket, process, 10)
                time.sleep(1)
                shares = []
                for _ in range(3):
                    before, start = process_cpu_s(process.pid), time.monotonic()
                    time.sleep(seconds / 3)
                    spent = process_cpu_s(process.pid) - before
                    shares.append(100 * spent / (time.monotonic() - start))
            finally:
                process.terminate()
    yield row("idle daemon", f"tarnd on CPUs {cpus}, three file bdevs", ("<=", 0.5), "% of a core",
              measure.summary(shares))


def reactor_rows(context):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    if len(cpus) < 2:
        yield {"row": "reactors", "what": "messages", "skipped": "there is one CPU only"}
        return
    command = [f"{context['build']}/test/bench/reactor_bench", ",".join(map(str, cpus))]
    results = [tools.run_json(command) for _ in range(max(3, context["rounds"]))]
    for percentile in ("p50", "p99"):
        yield row("reactors", f"wake-up of a sleeper by a message, {percentile}", None, "us",
                  measure.summary([result["wakeup_us"][percentile] for result in results]))
    yield row("reactors", "messages between two, 64 in flight", None, "/s",
              measure.summary([result["messages_per_s"] for result in results]))


ROWS = {"null": null_rows, "idle": idle_rows, "reactors": reactor_rows, "fio": fio_rows}
