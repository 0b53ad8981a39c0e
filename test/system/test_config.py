# SPDX-License-Identifier: BSD-3-Clause
"""Configuration files: what is wrong in them is said with its place; what is saved brings back the same."""
import copy
import json
import os

import pytest
from tarn import FILE_DRIVERS, Daemon, config_of, run_tarnd
from tarn_rpc import InvalidParams, RpcError

UUID = "6b29fc40-ca47-1067-b31d-00dd010662da"


def write(folder, content, name="c.json"):
    path = os.path.join(folder, name)
    with open(path, "wb") as file:
        file.write(content if isinstance(content, bytes) else json.dumps(content).encode())
    return name


def refusal(folder, content):
    """What tarnd says of a configuration that it must not start with."""
    result = run_tarnd(folder, "-c", write(folder, content))
    assert result.returncode == 1, result.stderr
    assert not os.path.exists(os.path.join(folder, "t.sock"))
    return result.stderr


@pytest.mark.parametrize("content,place,what", [
    (b'{"subsystems": [\n  {"subsystem": "bdev",,}\n]}', "c.json:2:", ""),
    (b'{"subsystems": []', "c.json:1:", ""),
    (b"", "c.json:1:1:", ""),
    (b'{"subsystems": [], "subsystems": []}', "c.json:1:", "subsystems"),
    (b'{"subsystems": [\n\n{"subsystem": "b\xff"}]}', "c.json:3:", "UTF-8"),
    (b'{"subsystems": []} {}', "c.json:1:", ""),
    (b"[" * 1000, "c.json:1:", ""),
])
def test_bad_json_is_refused_with_file_line_and_column(folder, content, place, what):
    said = refusal(folder, content)
    assert place in said and what in said


@pytest.mark.parametrize("content,words", [
    ([], ["subsystems"]),
    ({"subsystem": []}, ["subsystems"]),
    ({"subsystems": {}}, ["subsystems"]),
    ({"subsystems": [], "version": 2}, ["version"]),
    ({"subsystems": [7]}, ["element 1"]),
    ({"subsystems": [{"config": []}]}, ["element 1", "subsystem"]),
    ({"subsystems": [{"subsystem": "bdev", "config": {}}]}, ["bdev", "config"]),
    ({"subsystems": [{"subsystem": "bdev", "configs": []}]}, ["bdev", "configs"]),
    ({"subsystems": [{"subsystem": "bdev", "config": [5]}]}, ["bdev", "call 1"]),
    ({"subsystems": [{"subsystem": "bdev", "config": [{"params": {}}]}]}, ["bdev", "call 1", "method"]),
    ({"subsystems": [{"subsystem": "bdev", "config": [{"method": "x", "param": {}}]}]}, ["call 1", "param"]),
    (config_of(("bdev_malloc_create", {"num_blocks": 8}), ("bdev_no_such", {})), ["call 2", "bdev_no_such"]),
    (config_of(("bdev_malloc_create", [])), ["call 1", "bdev_malloc_create", "params"]),
    (config_of(("bdev_malloc_create", {"num_blocks": 8, "colour": 1})), ["call 1", "bdev_malloc_create", "colour"]),
    (config_of(("bdev_malloc_create", {"num_blocks": "8"})), ["call 1", "num_blocks"]),
    (config_of(("bdev_aio_create", {"name": "a", "filename": "none.img"})), ["call 1", "bdev_aio_create", "none.img"]),
])
def test_a_wrong_form_or_call_is_refused_with_its_place(folder, content, words):
    said = refusal(folder, content)
    for word in ["c.json", *words]:
        assert word in said


def test_a_file_that_cannot_be_read_is_refused_by_name(folder):
    for name in ["no-such.json", "."]:
        result = run_tarnd(folder, "-c", name)
        assert result.returncode == 1 and f"{name}: " in result.stderr


def test_unknown_subsystems_are_skipped_with_a_notice(start, folder):
    content = {"subsystems": [{"subsystem": "iobuf", "config": [{"method": "iobuf_set_options", "params": {"x": 1}}]},
                              {"subsystem": "accel", "config": None},
                              *config_of(("bdev_malloc_create", {"name": "m", "num_blocks": 8}))["subsystems"]]}
    daemon = start("-c", write(folder, content))
    assert [bdev["name"] for bdev in daemon.rpc.bdev_get_bdevs()] == ["m"]
    assert '"iobuf" skipped' in daemon.log() and '"accel" skipped' in daemon.log()


def test_a_configuration_that_would_wait_for_itself_is_refused(folder):
    for method in ["framework_wait_init", "wait_subsystem_init"]:
        inner = config_of((method, {}))
        for config in [inner, config_of(("load_config", {"config": inner}))]:
            outcome = run_tarnd(folder, "-c", write(folder, config))
            assert outcome.returncode == 1
            assert f"call 1: {method} waits for the end of the configuration" in outcome.stderr


@pytest.mark.parametrize("call", [("bdev_get_bdevs", {"name": "never", "timeout": 86400000}),
                                  ("bdev_probe", {"filename": "p.img", "duration_ms": 10000})])
def test_a_signal_ends_a_configuration_that_waits(folder, call):
    """Both would wait for longer than the daemon's end may take."""
    with open(os.path.join(folder, "p.img"), "wb") as file:
        file.truncate(1 << 20)
    daemon = Daemon(folder, "-c", write(folder, config_of(call)), wait=False)
    daemon.client().framework_get_subsystems()
    assert daemon.stop() == 0


def test_batches_of_calls_run_in_their_order(start, folder):
    create = {"method": "bdev_malloc_create", "params": {"name": "m", "num_blocks": 8}}
    wrap = {"method": "bdev_error_create", "params": {"base_name": "m"}}
    daemon = start("-c", write(folder, {"subsystems": [{"subsystem": "bdev", "config": [[create, wrap]]}]}))
    assert [bdev["name"] for bdev in daemon.rpc.bdev_get_bdevs()] == ["m", "EE_m"]


def every_create_method():
    """(method, params with as many fields as it has, what else must be there first)"""
    ram = ("bdev_malloc_create", {"name": "base", "num_blocks": 2048, "block_size": 512})
    yield "bdev_malloc_create", {"name": "d", "num_blocks": 64, "block_size": 1024, "physical_block_size": 4096,
                                 "queue_depth": 8, "background_depth": 2}, []
    yield "bdev_null_create", {"name": "d", "num_blocks": 64, "block_size": 8192}, []
    yield "bdev_error_create", {"base_name": "base", "name": "d"}, [ram]
    yield "bdev_delay_create", {"name": "d", "base_bdev_name": "base", "avg_read_latency": 1, "p99_read_latency": 2,
                                "avg_write_latency": 3, "p99_write_latency": 4}, [ram]
    for driver in FILE_DRIVERS:
        common = {"name": "d", "filename": "d.img"}
        yield f"bdev_{driver}_create", common, []
        yield f"bdev_{driver}_create", dict(common, block_size=4096, readonly=True, fallocate=False, direct=False), []
        yield f"bdev_{driver}_create", dict(common, queue_depth=16, background_depth=4, fallback=True), []
        yield f"bdev_{driver}_create", dict(common, queue_depth="auto", latency_target_us=2000), []
    yield "bdev_uring_create", {"name": "d", "filename": "d.img", "fixed_buffers": False, "fixed_files": False,
                                "ring_flags": False}, []
    yield "bdev_uring_create", {"name": "d", "filename": "d.img", "sqpoll": "auto", "sqpoll_cpu": 0,
                                "sqpoll_idle_ms": 20, "iopoll": "auto"}, []
    yield "bdev_aio_create", {"name": "d", "filename": "d.img", "nowait": False}, []
    yield "bdev_sync_create", {"name": "d", "filename": "d.img", "workers": 3}, []


def state(rpc):
    """What must be the same again. A bdev's own counts and what is measured are not."""
    bdevs = copy.deepcopy(rpc.bdev_get_bdevs())
    return [{key: bdev[key] for key in ["name", "uuid", "block_size", "num_blocks", "assigned_rate_limits", "claimed",
                                        "product_name", "supported_io_types"]}
            | {"queue_depth": bdev["tarn"]["queue_depth"], "read_only": bdev["tarn"]["read_only"]} for bdev in bdevs]


@pytest.mark.parametrize("method,params,before", [pytest.param(*case, id=f"{case[0]}-{number}")
                                                  for number, case in enumerate(every_create_method())])
def test_what_save_config_gives_brings_back_the_same_state(start, folder, method, params, before):
    first = start()
    first.file("d.img")
    for name, arguments in before:
        first.rpc.call(name, **arguments)
    first.rpc.call(method, **params)
    first.rpc.bdev_set_qos_limit(name="d", rw_ios_per_sec=30000, w_mbytes_per_sec=9)
    first.rpc.bdev_enable_histogram(name="d", enable=True)
    first.rpc.bdev_set_qd_sampling_period(name="d", period=250000)
    saved, was = first.rpc.save_config(), state(first.rpc)
    (entry,) = [e for e in saved["subsystems"][0]["config"]
                if e["method"] == method and e["params"]["name"] == "d"]
    for field, value in params.items():
        if value not in (False, None):  # a default may be left out
            assert entry["params"][field] == value
    assert "force" not in json.dumps(saved)
    assert {"method": "bdev_set_qd_sampling_period", "params": {"name": "d", "period": 250000}} in \
        saved["subsystems"][0]["config"]
    assert first.stop() == 0
    second = start("-c", write(folder, saved))
    assert state(second.rpc) == was
    assert second.rpc.save_config() == saved


def test_a_uuid_given_is_kept(start, folder):
    first = start()
    first.rpc.bdev_null_create(name="d", num_blocks=8, uuid=UUID)
    saved = first.rpc.save_config()
    assert first.stop() == 0
    assert start("-c", write(folder, saved)).rpc.bdev_get_bdevs(name=UUID)[0]["name"] == "d"


def test_a_device_that_grew_by_resize_is_saved_at_its_new_size(start, folder):
    first = start()
    first.rpc.bdev_null_create(name="d", num_blocks=256, block_size=4096)
    first.rpc.bdev_null_resize(name="d", new_size=8)
    saved = first.rpc.save_config()
    assert first.stop() == 0
    assert start("-c", write(folder, saved)).rpc.bdev_get_bdevs()[0]["num_blocks"] == 2048


def test_bases_are_saved_before_their_wrappers_in_any_order_of_names(start, folder):
    first = start()
    first.rpc.bdev_malloc_create(name="z", num_blocks=8)
    first.rpc.bdev_error_create(base_name="z", name="m")
    first.rpc.bdev_delay_create(name="a", base_bdev_name="m", avg_read_latency=0, p99_read_latency=0,
                                avg_write_latency=0, p99_write_latency=0)
    saved, was = first.rpc.save_config(), state(first.rpc)
    assert first.stop() == 0
    assert state(start("-c", write(folder, saved)).rpc) == was


def test_load_config_runs_a_configuration_and_says_where_it_ended(daemon):
    assert daemon.rpc.load_config(config=config_of(("bdev_null_create", {"name": "a", "num_blocks": 8}))) is True
    with pytest.raises(RpcError, match=r'"bdev", call 2 \(bdev_null_create\): num_blocks'):
        daemon.rpc.load_config(config=config_of(("bdev_null_create", {"name": "b", "num_blocks": 8}),
                                                ("bdev_null_create", {"name": "c", "num_blocks": -8})))
    assert [bdev["name"] for bdev in daemon.rpc.bdev_get_bdevs()] == ["a", "b"]


def test_subsystems_are_listed_and_saved_one_by_one(daemon):
    daemon.rpc.bdev_null_create(name="a", num_blocks=8)
    names = [element["subsystem"] for element in daemon.rpc.framework_get_subsystems()]
    whole = daemon.rpc.save_config()
    assert names == [element["subsystem"] for element in whole["subsystems"]]
    for element in whole["subsystems"]:
        assert daemon.rpc.framework_get_config(name=element["subsystem"]) == element["config"]
        assert daemon.rpc.framework_get_config(name=element["subsystem"], with_batches=True) == element["config"]
    with pytest.raises(InvalidParams, match="no-such"):
        daemon.rpc.framework_get_config(name="no-such")


def test_wait_for_rpc_holds_the_configuration_until_start_init(start, folder):
    config = config_of(("bdev_null_create", {"name": "a", "num_blocks": 8}))
    daemon = start("--wait-for-rpc", "-c", write(folder, config))
    rpc = daemon.rpc
    assert "framework_start_init" in rpc.rpc_get_methods(current=True)
    assert "bdev_get_bdevs" not in rpc.rpc_get_methods(current=True)
    with pytest.raises(RpcError) as refused:
        rpc.bdev_get_bdevs()
    assert refused.value.code == -1
    assert rpc.bdev_set_options() is True
    assert rpc.framework_start_init() is True
    assert [bdev["name"] for bdev in rpc.bdev_get_bdevs()] == ["a"]
    assert "framework_start_init" not in rpc.rpc_get_methods(current=True)


def test_a_bad_configuration_fails_start_init_and_ends_the_daemon(start, folder):
    daemon = start("--wait-for-rpc", "-c", write(folder, config_of(("bdev_no_such", {}))))
    with pytest.raises(RpcError, match="bdev_no_such"):
        daemon.rpc.framework_start_init()
    assert daemon.wait() == 1
