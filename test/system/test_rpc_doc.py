# SPDX-License-Identifier: BSD-3-Clause
"""doc/rpc.md says what the declarations say, and the example of each method runs."""
import errno
import os
import subprocess

from tarn import TARND, TOP
from tarn_rpc import RpcError


def test_the_reference_is_up_to_date():
    generated = subprocess.run([os.path.join(TOP, "scripts", "gen-rpc-doc"), TARND], capture_output=True, text=True,
                               check=True).stdout
    with open(os.path.join(TOP, "doc", "rpc.md"), encoding="utf-8") as file:
        assert file.read() == generated, "run scripts/gen-rpc-doc build/plain/bin/tarnd doc/rpc.md"


def test_every_method_and_field_is_explained(daemon):
    for method in daemon.rpc.tarn_get_schema()["methods"]:
        assert method["help"] and method["result"] and "example" in method, method["name"]
        for field in method["params"]:
            assert field["help"], f"{method['name']}: {field['name']}"


def needs_missing_device(method, methods):
    """Whether its example is about a device in /dev, or a bdev on one, that this machine does not have."""
    create = next((m for m in methods if m["name"] == method["name"].rpartition("_")[0] + "_create"), method)
    path = create["example"].get("filename", "")
    return path.startswith("/dev/") and not os.path.exists(path)


def turn(method):
    """Creates first, deletes last, wrappers and caches within what they stand on; the end at the end."""
    name = method["name"]
    if name == "spdk_kill_instance":
        return 9
    wrapper = "error" in name or "delay" in name
    if name.startswith("cache_"):
        return {"cache_create": 2, "cache_delete": 6}.get(name, 3)
    if name.endswith("_create"):
        return 1 if wrapper else 0
    if name.endswith("_delete"):
        return 7 if wrapper else 8
    return 3


def test_every_example_runs(start):
    daemon = start("--wait-for-rpc")
    for number in range(3):
        daemon.file(f"disk{number}.img", 64 << 20)
    rpc = daemon.rpc
    methods = rpc.tarn_get_schema()["methods"]
    assert rpc.framework_start_init() is True
    waiting = sorted((method for method in methods if method["name"] != "framework_start_init"), key=turn)
    held = None
    for method in waiting:
        if method["name"] == "bdev_delay_create":
            held = method  # ram0 has its error bdev: this one's turn comes when that is gone
            continue
        if method["name"] in ("bdev_delay_update_latency", "bdev_delay_delete"):
            continue
        try:
            rpc.call(method["name"], **method["example"])
        except RpcError as error:
            # As far as it goes here: the method was understood, and missed its device.
            if not needs_missing_device(method, methods) or error.code not in (-errno.ENOENT, -errno.ENODEV):
                raise AssertionError(f"{method['name']}: {error}") from error
        if method["name"] == "bdev_error_delete":
            rpc.call("bdev_delay_create", **held["example"])
            for name in ["bdev_delay_update_latency", "bdev_delay_delete"]:
                rpc.call(name, **next(m["example"] for m in methods if m["name"] == name))
    assert daemon.wait() == 0
