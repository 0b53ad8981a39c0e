# SPDX-License-Identifier: BSD-3-Clause
"""tarnperf as its users see it: loads, verify, limits, refusals, output."""
import hashlib
import json
import os
import signal
import subprocess
import time

import pytest
from tarn import BUILD, FILE_DRIVERS, LIMIT_S, until
from test_daemon import forbid_io_uring

TARNPERF = os.path.join(BUILD, "bin", "tarnperf")
SIZE = 4 << 20


def tarnperf(*args, status=0, **options):
    result = subprocess.run([TARNPERF, *map(str, args)], capture_output=True, text=True, timeout=LIMIT_S,
                            check=False, **options)
    assert result.returncode == status, result.stderr + result.stdout
    return result


def measured(*args, status=0):
    return json.loads(tarnperf("--json", "--quiet", *args, status=status).stdout)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture
def path(folder):
    name = os.path.join(folder, "data")
    with open(name, "wb") as file:
        file.write(os.urandom(SIZE))
    return name


@pytest.fixture(params=FILE_DRIVERS)
def driver(request):
    """The driver's options; where the kernel forbids one, the next."""
    return ["--driver", request.param, "--fallback"]


def test_where_io_uring_is_forbidden_fallback_takes_the_next_driver(path):
    assert "io_uring" in tarnperf("--ios", 10, path, status=2, preexec_fn=forbid_io_uring).stderr
    done = tarnperf("--json", "--quiet", "--fallback", "--ios", 10, path, preexec_fn=forbid_io_uring)
    assert json.loads(done.stdout)["devices"][0]["driver"] == "aio"


def test_each_load_counts_its_operations(driver, path):
    for load, present in {"read": {"read"}, "randread": {"read"}, "write": {"write"}, "randwrite": {"write"},
                          "rw": {"read", "write"}, "randrw": {"read", "write"}}.items():
        result = measured(*driver, "-w", load, "--ios", 500, "--destroy-data", path)
        operations = {name: result[name]["ios"] for name in ("read", "write", "flush") if name in result}
        assert set(operations) == present, load
        assert sum(operations.values()) == 500, load
        assert all(result[name]["bytes"] == 4096 * count for name, count in operations.items())


def test_latencies_are_in_order_and_the_mean_between_them(driver, path):
    latency = measured(*driver, "--ios", 2000, path)["read"]["latency_us"]
    order = ["p50", "p90", "p95", "p99", "p99_9", "p99_99", "p99_999"]
    values = [latency[name] for name in order]
    assert values == sorted(values)
    assert 0 < latency["mean"] <= latency["max"]


def test_bytes_end_the_run_across_all_jobs(path):
    result = measured("--driver", "sync", "-j", 3, "--bytes", "1m", "-b", "8k", path)
    assert result["read"]["bytes"] == 1 << 20
    assert result["settings"]["jobs"] == 3


def test_jobs_run_on_every_cpu_named(path):
    cpus = sorted(os.sched_getaffinity(0))[:2]
    result = measured("--driver", "sync", "-m", ",".join(map(str, cpus)), "--ios", 100, path)
    assert result["settings"]["jobs"] == len(cpus)
    assert result["read"]["ios"] == 100


def test_time_and_warmup_bound_the_run(path):
    start = time.monotonic()
    result = measured("--driver", "sync", "--time", "300ms", "--warmup", "200ms", path)
    assert time.monotonic() - start >= 0.5
    assert result["duration_s"] >= 0.3
    assert result["read"]["ios"] > 0


def test_rate_is_kept(path):
    result = measured("--driver", "sync", "--rate", 1000, "--time", 1, path)
    assert 0 < result["iops"] <= 1050


def test_batches_are_submitted_whole(path):
    result = measured("--driver", "aio", "--batch", 16, "--ios", 1600, path)
    assert result["settings"]["depth"] == 16
    assert result["read"]["ios"] == 1600
    assert result["ios_per_submission"] > 4


def test_every_so_many_writes_a_flush(path):
    result = measured("--driver", "sync", "-w", "write", "-q", 1, "--fsync-every", 10, "--ios", 110,
                      "--destroy-data", path)
    assert result["write"]["ios"] == 100
    assert result["flush"]["ios"] == 10


def test_force_unit_access_writes(driver, path):
    result = measured(*driver, "-w", "randwrite", "--fua", "--ios", 20, "--destroy-data", path)
    assert result["write"]["errors"] == 0


@pytest.mark.parametrize("load", ["write", "randwrite", "randrw"])
def test_verify_finds_its_own_data_good_at_depth(driver, path, load):
    result = measured(*driver, "-w", load, "--verify", "-q", 64, "-j", 2, "--ios", 4000, "--destroy-data", path)
    assert result["verify"]["checked"] > 0
    assert result["verify"]["wrong"] == 0


def test_verify_with_zipf_batches_and_flushes_finds_its_own_data_good(path):
    result = measured("--driver", "sync", "-w", "randwrite", "--verify", "--random", "zipf:1.2", "--batch", 20,
                      "--fsync-every", 7, "--ios", 3000, "--destroy-data", path)
    assert result["verify"]["wrong"] == 0


def test_a_later_pass_by_another_driver_and_block_size_finds_each_planted_error(path):
    tarnperf("--driver", "sync", "-w", "write", "--verify", "--bytes", SIZE, "--destroy-data", path)
    assert measured("--driver", "aio", "-w", "verify", "-b", "64k", path)["verify"] == {
        "checked": SIZE // 65536, "wrong": 0, "errors": []}
    with open(path, "r+b") as file:
        file.seek(100_000)
        byte = file.read(1)
        file.seek(100_000)
        file.write(bytes([byte[0] ^ 1]))  # damaged
        file.seek(1 << 20)
        moved = file.read(4096)
        file.seek(2 << 20)
        file.write(moved)  # misplaced
        file.seek(3 << 20)
        file.write(bytes(512))  # lost
    result = measured("--driver", "sync", "-w", "verify", "-q", 1, path, status=1)["verify"]
    assert result["checked"] == SIZE // 4096
    assert result["wrong"] == 3
    assert [error["offset_bytes"] for error in result["errors"]] == [100_000 // 512 * 512, 2 << 20, 3 << 20]
    text = tarnperf("--driver", "sync", "-w", "verify", "-q", 1, path, status=1).stdout
    assert text.count("WRONG") == 3


def test_verify_of_data_that_is_not_its_own_fails(path):
    result = measured("--driver", "sync", "-w", "verify", path, status=1)
    assert result["verify"]["wrong"] == SIZE // 4096


def test_a_file_that_holds_data_is_not_written_without_permission(path):
    before = digest(path)
    for load in ("write", "randwrite", "rw", "randrw"):
        result = tarnperf("-w", load, "--ios", 10, path, status=2)
        assert "--destroy-data" in result.stderr
    assert digest(path) == before


def test_reading_loads_leave_the_file_as_it_is(driver, path):
    before = digest(path)
    for load in ("read", "randread"):
        tarnperf(*driver, "-w", load, "--ios", 100, path)
    tarnperf(*driver, "-w", "verify", path, status=1)
    assert digest(path) == before


def test_a_config_does_not_get_round_the_permission(folder, path):
    config = os.path.join(folder, "config.json")
    calls = [{"method": "bdev_sync_create", "params": {"name": "s", "filename": path}},
             {"method": "bdev_delay_create",
              "params": {"name": "d", "base_bdev_name": "s", "avg_read_latency": 0, "p99_read_latency": 0,
                         "avg_write_latency": 0, "p99_write_latency": 0}}]
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"subsystems": [{"subsystem": "bdev", "config": calls}]}, file)
    before = digest(path)
    result = tarnperf("-c", config, "-w", "write", "--ios", 10, status=2)
    assert "bdev s" in result.stderr and "--destroy-data" in result.stderr
    assert digest(path) == before
    assert measured("-c", config, "--ios", 10)["devices"][0]["name"] == "d"
    assert measured("-c", config, "-w", "write", "--ios", 10, "--destroy-data")["write"]["ios"] == 10
    assert digest(path) != before


def test_a_config_s_mistakes_are_told(folder):
    config = os.path.join(folder, "config.json")
    with open(config, "w", encoding="utf-8") as file:
        file.write('{"subsystems": [')
    assert config in tarnperf("-c", config, status=2).stderr
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"subsystems": []}, file)
    assert "no bdev" in tarnperf("-c", config, status=2).stderr


def test_create_fills_an_absent_file_and_only_that(folder, path):
    new = os.path.join(folder, "new")
    assert "--create" in tarnperf(new, status=2).stderr
    tarnperf("--driver", "sync", "-w", "write", "--ios", 10, "--create", "1m", new)
    assert os.path.getsize(new) == 1 << 20
    assert os.stat(new).st_blocks * 512 >= 1 << 20
    before = digest(path)
    tarnperf("--driver", "sync", "--ios", 10, "--create", "1m", path)
    assert digest(path) == before


def test_the_region_is_kept(path):
    with open(path, "rb") as file:
        before = file.read()
    tarnperf("--driver", "sync", "-w", "randwrite", "--offset", "1m", "--length", "64k", "--ios", 500,
             "--destroy-data", path)
    with open(path, "rb") as file:
        after = file.read()
    start, end = 1 << 20, (1 << 20) + 65536
    assert after[:start] == before[:start] and after[end:] == before[end:]
    assert after[start:end] != before[start:end]


@pytest.mark.parametrize("args, named", [
    (["--driver", "nothing", "x", "--create", "1m"], "nothing"),
    (["/"], "/"),
    (["--driver", "null", "--block-size", "512", "--device-block-size", "4096"], "block"),
    (["--driver", "null", "--offset", "2t"], "--offset"),
    (["--driver", "ram", "--device-size", "64k", "-w", "write", "--verify"], "depth"),
])
def test_what_cannot_be_run_is_refused_with_the_reason(folder, args, named):
    assert named in tarnperf(*args, status=2, cwd=folder).stderr


def test_failing_io_ends_the_run_with_1_or_is_counted(folder):
    config = os.path.join(folder, "config.json")
    calls = [{"method": "bdev_malloc_create", "params": {"name": "m", "num_blocks": 256, "block_size": 4096}},
             {"method": "bdev_error_create", "params": {"base_name": "m"}},
             {"method": "bdev_error_inject_error",
              "params": {"name": "EE_m", "io_type": "read", "error_type": "failure", "num": 5}}]
    with open(config, "w", encoding="utf-8") as file:
        json.dump({"subsystems": [{"subsystem": "bdev", "config": calls}]}, file)
    assert "--ignore-errors" in tarnperf("-c", config, "--time", 5, "-q", 1, status=1).stderr
    result = measured("-c", config, "--ios", 100, "-q", 1, "--ignore-errors", status=1)
    assert result["read"]["errors"] == 5
    assert result["read"]["ios"] == 100


@pytest.mark.parametrize("options", [[], ["--poll", "busy"], ["--warmup", "60"]])
def test_an_interrupt_ends_it_with_the_result_so_far(path, options):
    with subprocess.Popen([TARNPERF, "--driver", "sync", "--time", "60", "--json", "--progress", *options, path],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert "IOPS" in process.stderr.readline()  # it runs, and tells its progress
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0
    result = json.loads(out)
    assert result["interrupted"] is True
    assert result["duration_s"] < 60


def test_json_into_a_file_goes_beside_the_text(folder, path):
    target = os.path.join(folder, "result.json")
    text = tarnperf("--driver", "sync", "--ios", 10, f"--json={target}", path).stdout
    assert "IOPS" in text
    with open(target, encoding="utf-8") as file:
        result = json.load(file)
    assert set(result) >= {"version", "machine", "settings", "devices", "duration_s", "iops", "read", "cpu"}


def test_memory_drivers_take_any_load():
    assert measured("--driver", "null", "--ios", 100000)["read"]["ios"] == 100000
    assert measured("--driver", "ram", "-w", "randrw", "--verify", "--ios", 20000)["verify"]["wrong"] == 0


def test_a_device_is_not_written_without_permission(path):
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    found = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"no loop device: {found.stderr}")
    device = found.stdout.strip()
    try:
        before = digest(device)
        assert "--destroy-data" in tarnperf("--driver", "sync", "-w", "write", device, status=2).stderr
        assert digest(device) == before
        tarnperf("--driver", "sync", "-w", "write", "--ios", 10, "--destroy-data", device)
        assert digest(device) != before
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)
    until(lambda: device not in subprocess.run(["losetup", "-a"], capture_output=True, text=True,
                                               check=True).stdout, "the loop device is gone")
