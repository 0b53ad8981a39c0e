# SPDX-License-Identifier: BSD-3-Clause
"""fio and tarnperf with the same load, and what each says of it."""
import functools
import json
import os
import subprocess
import tempfile

ENGINES = {
    # tarn's driver: fio's engine, and what makes it fast
    "uring": ["io_uring", "--fixedbufs", "--registerfiles"],
    "aio": ["libaio"],
    "sync": ["psync"],
}


class ToolError(Exception):
    pass


def run_json(command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise ToolError(f"{' '.join(command)}: {result.stderr.strip() or result.stdout.strip()}")
    return json.loads(result.stdout[result.stdout.index("{"):])


def run_json_timed(command):
    """Also the CPU time of the process, its children and the kernel's threads for its rings, in seconds."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with subprocess.Popen(command, stdout=out, stderr=err) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text = out.read().decode()
        if process.returncode != 0:
            raise ToolError(f"{' '.join(command)}: {err.read().decode().strip() or text.strip()}")
    return json.loads(text[text.index("{"):]), usage.ru_utime + usage.ru_stime


@functools.lru_cache(maxsize=None)
def fio_start_cpu_s(command):
    """What fio takes to start and end: it counts its threads only, so its CPU time is taken from outside."""
    return min(run_json_timed([*command, "--rw=randread", "--number_ios=1"])[1] for _ in range(3))


def fio(path, load, cpu, seconds):
    """fio at its best for tarn's purpose: offsets without a map, data not touched, and batches at depth."""
    engine = ENGINES[load["driver"]]
    command = [
        "fio", "--name=bench", f"--filename={path}", "--direct=1", f"--ioengine={engine[0]}",
        f"--cpus_allowed={cpu}", "--output-format=json", *engine[1:], f"--rw={load['rw']}",
        f"--bs={load['block']}", f"--iodepth={load['depth']}", "--norandommap", "--scramble_buffers=0",
    ]
    if load["depth"] >= 8 and load["driver"] != "sync":
        command += [f"--iodepth_batch_submit={load['depth'] // 4}", "--iodepth_batch_complete_min=1",
                    f"--iodepth_batch_complete_max={load['depth']}"]
    found, cpu_s = run_json_timed([*command, "--time_based", f"--runtime={round(seconds * 1000)}ms"])
    cpu_s = max(0, cpu_s - fio_start_cpu_s(tuple(command[:7])))
    job = found["jobs"][0]
    side = job["read" if load["rw"].endswith("read") else "write"]
    return {
        "iops": side["iops"],
        "cpu_us": cpu_s * 1e6 / max(side["total_ios"], 1),
        "p99_us": side["clat_ns"].get("percentile", {}).get("99.000000", 0) / 1000,
    }


def tarnperf(build, path, load, cpu, seconds, *options):
    command = [
        f"{build}/bin/tarnperf", "--driver", load["driver"], "--rw", load["rw"], "--block-size", str(load["block"]),
        "--depth", str(load["depth"]), "--cpus", str(cpu), "--time", str(seconds),
        "--destroy-data", "--quiet", "--json", *options,
    ]
    if path is not None:
        command.append(path)
    result = run_json(command)
    side = result["read" if load["rw"].endswith("read") else "write"]
    return {
        "iops": result["iops"],
        "cpu_us": result["cpu"]["us_per_io"],
        "p99_us": side["latency_us"]["p99"],
        "mean_us": side["latency_us"]["mean"],
    }
