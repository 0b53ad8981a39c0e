# SPDX-License-Identifier: BSD-3-Clause
"""The Python client, and the example control script."""
import os
import subprocess

import pytest
from tarn import TOP
from tarn_rpc import (AlreadyExists, Batch, Busy, Client, ConnectionFailed, InvalidParams, NoSuchDevice, NoSuchMethod,
                      RpcError, Timeout)

SCRIPT = os.path.join(TOP, "scripts", "example-control.py")


def test_errors_have_their_classes(daemon):
    rpc = daemon.rpc
    rpc.bdev_malloc_create(name="m", num_blocks=8)
    rpc.bdev_error_create(base_name="m")
    for error, method, params in [
            (InvalidParams, "bdev_malloc_create", {"num_blocks": -1}), (NoSuchMethod, "no_such", {}),
            (NoSuchDevice, "bdev_get_bdevs", {"name": "x"}),
            (AlreadyExists, "bdev_malloc_create", {"name": "m", "num_blocks": 8}),
            (Busy, "bdev_malloc_delete", {"name": "m"})]:
        with pytest.raises(error) as raised:
            rpc.call(method, **params)
        assert raised.value.method == method and raised.value.message


def test_a_batch_gives_results_and_errors_in_order(daemon):
    batch = Batch()
    batch.bdev_null_create(name="a", num_blocks=8)
    batch.bdev_null_create(name="a", num_blocks=8)
    batch.spdk_get_version()
    first, second, third = daemon.rpc.batch(batch)
    assert first == "a" and isinstance(second, AlreadyExists) and "fields" in third
    assert daemon.rpc.batch(Batch()) == []


def test_none_is_left_out_and_a_closed_client_says_so(daemon):
    client = daemon.client()
    assert client.bdev_get_bdevs(name=None) == []
    client.close()
    with pytest.raises(ConnectionFailed, match="closed"):
        client.bdev_get_bdevs()


def test_no_daemon_and_a_daemon_that_ends_are_connection_failures(daemon, folder):
    with pytest.raises(ConnectionFailed, match="does tarnd run"):
        Client(os.path.join(folder, "none.sock"))
    client = daemon.client()
    daemon.process.kill()
    daemon.wait()
    with pytest.raises(ConnectionFailed):
        client.spdk_get_version()


def test_an_answer_that_does_not_come_is_a_timeout(daemon):
    with Client(daemon.socket_path, timeout_s=0.1) as client:
        with pytest.raises(Timeout):
            client.bdev_get_bdevs(name="never", timeout=60000)
    assert issubclass(NoSuchDevice, RpcError)


def control(daemon, *args):
    return subprocess.run(["/usr/bin/python3", SCRIPT, "-s", daemon.socket_path, "--interval", "0.01", *args],
                          capture_output=True, text=True, timeout=60, check=False)


def test_the_example_creates_watches_and_can_run_again(daemon):
    path = daemon.file("disk0.img")
    first = control(daemon, "--rounds", "2", path)
    assert first.returncode == 0, first.stderr
    assert "disk0: created" in first.stdout and "disk0: 16 MiB" in first.stdout and "reads/s" in first.stdout
    second = control(daemon, "--rounds", "1", path)
    assert second.returncode == 0 and "is there already" in second.stdout


def test_the_example_explains_what_fails(daemon, folder):
    result = control(daemon, os.path.join(folder, "no-such.img"))
    assert result.returncode == 1
    assert "no-such.img" in result.stderr and "Traceback" not in result.stderr
