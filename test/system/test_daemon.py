# SPDX-License-Identifier: BSD-3-Clause
"""tarnd as a process: options, sockets, signals, what the system forbids it."""
import ctypes
import os
import resource
import signal
import socket
import struct
import subprocess
import threading

import pytest
from tarn import TARND, config_of, run_tarnd, until
from tarn_rpc import Client, ConnectionFailed, RpcError


def run(*args, **options):
    return subprocess.run([TARND, *args], capture_output=True, text=True, timeout=60, check=False, **options)


def test_help_and_version_are_printed():
    assert "Examples:" in run("--help").stdout
    assert run("--version").stdout.startswith("tarnd ")


@pytest.mark.parametrize("args,word", [
    (["--no-such"], "no-such"), (["-m", "zero"], "zero"), (["-m", "0x0"], "0x0"), (["--poll", "lazy"], "lazy"),
    (["-s", "-1"], "-1"), (["-s", "1x"], "1x"), (["--iomem-bytes", "5"], "5"), (["-L", "no-such"], "no-such"),
    (["-e", "LOUD"], "LOUD"), (["stray"], "stray"), (["-c"], "c"),
])
def test_wrong_usage_is_exit_status_2_and_names_the_argument(args, word):
    result = run(*args)
    assert result.returncode == 2 and word in result.stderr and "--help" in result.stderr


def test_a_cpu_that_is_not_there_is_refused(folder):
    result = run_tarnd(folder, "-m", "1023")
    assert result.returncode == 1 and "--cpumask" in result.stderr


@pytest.mark.parametrize("cpus", ["0x3", "[0,1]", "0,1", "0-1"])
def test_cpus_are_taken_in_every_form(start, cpus):
    if not {0, 1} <= os.sched_getaffinity(0):
        pytest.skip("needs CPUs 0 and 1")
    reactors = start("-m", cpus).rpc.framework_get_reactors()["reactors"]
    assert [reactor["lcore"] for reactor in reactors] == [0, 1]


@pytest.mark.parametrize("mode", ["busy", "adaptive"])
def test_the_poll_mode_is_in_force(start, mode):
    (reactor, ) = start("--poll", mode, "-m", "0").rpc.framework_get_reactors()["reactors"]
    assert reactor["tarn"]["poll_mode"] == mode
    assert (reactor["tarn"]["sleep_count"] == 0) or mode == "adaptive"


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start, signal_number):
    daemon = start()
    daemon.rpc.bdev_malloc_create(name="m", num_blocks=8)
    daemon.rpc.bdev_error_create(base_name="m")
    assert daemon.stop(signal_number) == 0
    assert not os.path.exists(daemon.socket_path)


@pytest.mark.parametrize("poll", ["busy", "adaptive"])
def test_a_signal_under_load_lets_io_complete_and_ends_with_0(start, poll):
    daemon = start("--poll", poll, "-m", "0,1" if {0, 1} <= os.sched_getaffinity(0) else "0")
    path = daemon.file("load.img", 8 << 20)
    started = threading.Event()

    def load():
        client = daemon.client()
        started.set()
        try:
            client.bdev_probe(filename=path, duration_ms=2000, queue_depth=64)
        except (RpcError, ConnectionFailed):
            pass

    thread = threading.Thread(target=load)
    thread.start()
    started.wait()
    until(lambda: any(bdev["tarn"]["open_count"] for bdev in daemon.rpc.bdev_get_bdevs()), "the load")
    assert daemon.stop() == 0
    thread.join(60)
    assert not os.path.exists(daemon.socket_path)


def test_a_second_signal_ends_it_at_once(start):
    daemon = start()
    daemon.rpc.bdev_malloc_create(name="m", num_blocks=8)
    daemon.process.send_signal(signal.SIGSTOP)
    daemon.process.send_signal(signal.SIGTERM)
    daemon.process.send_signal(signal.SIGINT)
    daemon.process.send_signal(signal.SIGCONT)
    assert daemon.wait() in (0, 128 + signal.SIGTERM, 128 + signal.SIGINT)
    assert not os.path.exists(daemon.socket_path)


def test_a_stale_socket_of_a_dead_daemon_is_replaced(start):
    first = start()
    first.process.kill()
    first.wait()
    assert os.path.exists(first.socket_path)
    second = start()
    assert second.rpc.spdk_get_version()


def test_the_socket_of_a_live_daemon_is_not_replaced(daemon, folder):
    result = run_tarnd(folder)
    assert result.returncode == 1 and "t.sock" in result.stderr
    assert daemon.rpc.spdk_get_version()


def test_what_is_no_socket_is_not_replaced(folder):
    path = os.path.join(folder, "t.sock")
    with open(path, "w", encoding="ascii") as file:
        file.write("precious")
    result = run_tarnd(folder)
    assert result.returncode == 1 and "t.sock" in result.stderr
    with open(path, encoding="ascii") as file:
        assert file.read() == "precious"


@pytest.mark.parametrize("path,word", [("no/such/t.sock", "no/such/t.sock"), ("x" * 200, "x" * 50)])
def test_a_socket_that_cannot_be_made_is_refused(folder, path, word):
    result = run("-r", path, "--no-huge", cwd=folder)
    assert result.returncode == 1 and word in result.stderr


def test_the_service_manager_is_told(start, folder):
    path = os.path.join(folder, "notify.sock")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(path)
    manager.settimeout(60)
    daemon = start(env=dict(os.environ, NOTIFY_SOCKET=path))
    assert manager.recv(100) == b"READY=1"
    assert daemon.stop() == 0
    assert manager.recv(100) == b"STOPPING=1"


# --- What a container forbids ---

SYS_IO_URING_SETUP = 425
EPERM = 1


def forbid_io_uring():
    """A seccomp filter as a container's: io_uring_setup fails with EPERM. Runs in the child."""
    def statement(code, true, false, value):
        return struct.pack("HBBI", code, true, false, value)

    program = b"".join([
        statement(0x20, 0, 0, 0),                    # load the number of the system call
        statement(0x15, 0, 1, SYS_IO_URING_SETUP),   # is it io_uring_setup?
        statement(0x06, 0, 0, 0x00050000 | EPERM),   # fail with EPERM
        statement(0x06, 0, 0, 0x7FFF0000),           # allow
    ])
    buffer = ctypes.create_string_buffer(program)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    libc = ctypes.CDLL(None, use_errno=True)
    bpf = Program(len(program) // 8, ctypes.addressof(buffer))
    if libc.prctl(38, 1, 0, 0, 0) != 0 or libc.prctl(22, 2, ctypes.byref(bpf), 0, 0) != 0:
        os._exit(99)


def test_without_io_uring_uring_is_refused_with_the_reason(start):
    daemon = start(preexec_fn=forbid_io_uring)
    with pytest.raises(RpcError, match="io_uring") as refused:
        daemon.create("uring")
    assert "fallback" in refused.value.message
    assert daemon.create("aio") == "disk0"


def test_without_io_uring_fallback_takes_aio_and_says_why(start, folder):
    daemon = start(preexec_fn=forbid_io_uring)
    daemon.create("uring", fallback=True)
    (bdev,) = daemon.rpc.bdev_get_bdevs()
    (facts,) = bdev["driver_specific"].values()
    assert bdev["tarn"]["driver"] == "aio"
    assert facts["requested_driver"] == "uring" and "io_uring" in facts["fallback_reason"]
    (entry,) = daemon.rpc.framework_get_config(name="bdev")
    assert entry["method"] == "bdev_uring_create" and entry["params"]["fallback"] is True
    assert daemon.rpc.bdev_uring_delete(name="disk0") is True


def test_the_probe_says_that_io_uring_is_forbidden(start):
    daemon = start(preexec_fn=forbid_io_uring)
    report = daemon.rpc.bdev_probe(filename=daemon.file("p.img"), duration_ms=10)
    uring = [result for result in report["results"] if result["driver"] == "uring"]
    assert uring and not any(result["works"] for result in uring)
    assert all(result["reason"] for result in uring)
    assert report["fastest"]["driver"] in ("aio", "sync")


def test_little_lockable_memory_costs_fixed_buffers_and_nothing_else(start):
    def limit():
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (1 << 16, 1 << 16))
        if os.getuid() == 0:
            drop_lock_right()

    daemon = start(preexec_fn=limit)
    daemon.create("uring")
    report = daemon.rpc.bdev_probe(filename=daemon.file("p.img"), duration_ms=20)
    assert any(r["works"] for r in report["results"] if r["driver"] == "uring")


def drop_lock_right():
    """Without CAP_IPC_LOCK, the limit holds for root too: take it out of the bounding set and, by a user id
    that is not root's, out of effect."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(24, 14, 0, 0, 0) != 0:
        os._exit(98)


def test_a_config_error_leaves_no_socket_and_no_process(folder):
    import json
    with open(os.path.join(folder, "c.json"), "w", encoding="ascii") as file:
        json.dump(config_of(("bdev_null_create", {"name": "n", "num_blocks": 8}), ("bdev_null_create", {})), file)
    result = run_tarnd(folder, "-c", "c.json")
    assert result.returncode == 1
    assert not os.path.exists(os.path.join(folder, "t.sock"))
    with pytest.raises(ConnectionFailed):
        Client(os.path.join(folder, "t.sock"))
