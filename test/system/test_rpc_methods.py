# SPDX-License-Identifier: BSD-3-Clause
"""Every method that is no create method: its answer's shape, and what it does."""
import base64
import os
import struct
import threading
import time

import pytest
from tarn import TARND, until
from tarn_rpc import Busy, InvalidParams, NoSuchDevice, NoSuchMethod, RpcError


@pytest.fixture
def rpc(daemon):
    return daemon.rpc


@pytest.fixture
def ram(rpc):
    return rpc.bdev_malloc_create(name="ram0", num_blocks=2048, block_size=512)


def test_methods_are_listed_and_the_start_up_one_is_not_current_at_run_time(rpc):
    everything = rpc.rpc_get_methods()
    current = rpc.rpc_get_methods(current=True)
    assert everything == sorted(everything)
    assert "framework_start_init" in everything and "framework_start_init" not in current
    assert set(everything) - set(current) == {"framework_start_init"}
    with pytest.raises(NoSuchMethod):
        rpc.framework_start_init()


def test_the_version_has_spdks_form(rpc):
    version = rpc.spdk_get_version()
    assert set(version["fields"]) == {"major", "minor", "patch", "suffix"}
    assert os.popen(f"{TARND} --version").read().split()[1] in version["version"]


def test_reactors_are_described_as_threads(start):
    rpc = start("-m", "0").rpc
    reactors = rpc.framework_get_reactors()
    stats = rpc.thread_get_stats()
    pollers = rpc.thread_get_pollers()
    assert reactors["tick_rate"] == stats["tick_rate"] == 10**9
    (reactor,), (thread,), (listed,) = reactors["reactors"], stats["threads"], pollers["threads"]
    assert reactor["lcore"] == 0 and reactor["lw_threads"][0]["cpumask"] == "1" == thread["cpumask"]
    assert reactor["lw_threads"][0]["id"] == thread["id"] == listed["id"]
    assert {"busy", "idle", "active_pollers_count", "timed_pollers_count", "paused_pollers_count"} <= set(thread)
    assert {"active_pollers", "timed_pollers", "paused_pollers"} <= set(listed)
    assert os.path.isdir(f"/proc/{reactors['pid']}/task/{reactor['tid']}")


def test_log_levels_and_flags_are_set_and_read_back(daemon, rpc):
    for level in ["ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"]:
        assert rpc.log_set_level(level=level) is True
        assert rpc.log_get_level() == level
        assert rpc.log_set_print_level(level=level) is True
        assert rpc.log_get_print_level() == level
    assert rpc.log_set_flag(flag="all") is True
    flags = rpc.log_get_flags()
    assert all(flags.values())
    for flag in flags:
        rpc.log_clear_flag(flag=flag)
    assert not any(rpc.log_get_flags().values())
    with pytest.raises(NoSuchDevice, match="no-such"):
        rpc.log_set_flag(flag="no-such")
    with pytest.raises(InvalidParams, match="level"):
        rpc.log_set_level(level="LOUD")


def test_events_tell_of_devices_that_come_and_go(rpc, ram):
    assert {"bdev_register", "bdev_unregister"} <= set(rpc.notify_get_types())
    rpc.bdev_malloc_delete(name=ram)
    events = rpc.notify_get_notifications()
    assert [(event["type"], event["ctx"]) for event in events] == [
        ("bdev_register", "ram0"), ("bdev_unregister", "ram0")]
    assert rpc.notify_get_notifications(id=events[0]["id"] + 1) == events[1:]
    assert rpc.notify_get_notifications(id=0, max=1) == events[:1]
    assert rpc.notify_get_notifications(id=events[-1]["id"] + 1) == []


def test_old_events_make_room_and_ids_have_no_gaps(rpc):
    for _ in range(600):
        rpc.bdev_null_create(name="null0", num_blocks=8)
        rpc.bdev_null_delete(name="null0")
    events = rpc.notify_get_notifications(max=5000)
    assert len(events) == 1024
    assert [event["id"] for event in events] == list(range(1200 - 1024, 1200))


def test_bdevs_are_found_by_name_and_by_uuid(rpc, ram):
    (by_name,) = rpc.bdev_get_bdevs(name=ram)
    (by_uuid,) = rpc.bdev_get_bdevs(name=by_name["uuid"])
    assert by_uuid == by_name
    assert by_name["aliases"] == [by_name["uuid"]]
    assert (by_name["block_size"], by_name["num_blocks"]) == (512, 2048)
    assert by_name["supported_io_types"]["read"] is True and by_name["supported_io_types"]["zcopy"] is False
    assert {"product_name", "assigned_rate_limits", "claimed", "zoned", "driver_specific"} <= set(by_name)
    with pytest.raises(NoSuchDevice, match="no-such"):
        rpc.bdev_get_bdevs(name="no-such")


def test_get_bdevs_waits_for_a_name(daemon, rpc):
    found = []
    thread = threading.Thread(
        target=lambda: found.extend(daemon.client().bdev_get_bdevs(name="late", timeout=30000)))
    thread.start()
    time.sleep(0.1)
    assert not found
    rpc.bdev_null_create(name="late", num_blocks=8)
    thread.join(30)
    assert [bdev["name"] for bdev in found] == ["late"]
    with pytest.raises(NoSuchDevice, match="never"):
        rpc.bdev_get_bdevs(name="never", timeout=50)


def test_a_wait_for_a_name_ends_with_the_daemon(daemon, rpc):
    outcome = []

    def wait():
        client = daemon.client()
        outcome.append("connected")
        try:
            client.bdev_get_bdevs(name="never", timeout=3600000)
        except Exception as error:  # whichever: answered, or cut off
            outcome.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    until(lambda: outcome, "the second client")
    time.sleep(0.05)
    daemon.process.terminate()
    assert daemon.wait() == 0
    thread.join(30)
    assert len(outcome) == 2


def test_examine_and_options_are_accepted_as_spdks_clients_send_them(rpc, ram):
    assert rpc.bdev_wait_for_examine() is True
    assert rpc.bdev_examine(name=ram) is True
    assert rpc.bdev_set_options() is True
    assert rpc.bdev_set_options(bdev_io_pool_size=65535, bdev_io_cache_size=256, bdev_auto_examine=True) is True
    with pytest.raises(InvalidParams, match="bdev_auto_examine"):
        rpc.bdev_set_options(bdev_auto_examine=False)


OPS = ["read", "write", "unmap", "copy"]


def test_iostat_has_spdks_fields(rpc, ram):
    rpc.bdev_null_create(name="null0", num_blocks=8)
    stats = rpc.bdev_get_iostat()
    assert stats["tick_rate"] > 0 and stats["ticks"] > 0
    assert [bdev["name"] for bdev in stats["bdevs"]] == ["ram0", "null0"]
    for bdev in stats["bdevs"]:
        for op in OPS:
            times = {f"{kind}{op}_latency_ticks" for kind in ["", "max_", "min_"]}
            assert times | {f"num_{op}_ops"} <= set(bdev)
        assert {"bytes_read", "bytes_written", "bytes_unmapped", "bytes_copied", "io_error"} <= set(bdev)
        assert "queue_depth" not in bdev
    assert [b["name"] for b in rpc.bdev_get_iostat(name="null0")["bdevs"]] == ["null0"]
    assert [b["name"] for b in rpc.bdev_get_iostat(names=["null0", "ram0"])["bdevs"]] == ["null0", "ram0"]
    channels = rpc.bdev_get_iostat(name="ram0", per_channel=True)
    assert channels["name"] == "ram0" and isinstance(channels["channels"], list) and "bdevs" not in channels
    percentiles = rpc.bdev_get_iostat(name="ram0", percentiles=True)["bdevs"][0]["latency_percentiles_ns"]
    assert {"p50", "p99", "p99_9"} <= set(percentiles["read"])


def test_iostat_refuses_what_it_cannot_tell(rpc, ram):
    with pytest.raises(NoSuchDevice, match="no-such"):
        rpc.bdev_get_iostat(name="no-such")
    with pytest.raises(InvalidParams, match="names"):
        rpc.bdev_get_iostat(name=ram, names=[ram])
    with pytest.raises(InvalidParams, match="per_channel"):
        rpc.bdev_get_iostat(per_channel=True)
    with pytest.raises(InvalidParams, match="reset_mode"):
        rpc.bdev_get_iostat(reset_mode="some")
    for mode in ["all", "maxmin", "error", "none"]:
        assert rpc.bdev_get_iostat(reset_mode=mode)["bdevs"]
        assert rpc.bdev_reset_iostat(mode=mode) is True
    assert rpc.bdev_reset_iostat(name=ram) is True
    with pytest.raises(NoSuchDevice):
        rpc.bdev_reset_iostat(name="no-such")


def test_sampling_makes_queue_depth_appear(rpc, ram):
    assert rpc.bdev_set_qd_sampling_period(name=ram, period=1000) is True
    stats = until(lambda: rpc.bdev_get_iostat(name=ram)["bdevs"][0], "statistics")
    assert stats["queue_depth_polling_period"] == 1000
    assert {"queue_depth", "io_time", "weighted_io_time"} <= set(stats)
    assert rpc.bdev_set_qd_sampling_period(name=ram, period=0) is True
    assert "queue_depth" not in rpc.bdev_get_iostat(name=ram)["bdevs"][0]


def test_a_histogram_has_spdks_layout(rpc, ram):
    with pytest.raises(RpcError, match="bdev_enable_histogram"):
        rpc.bdev_get_histogram(name=ram)
    assert rpc.bdev_enable_histogram(name=ram, enable=True) is True
    answer = rpc.bdev_get_histogram(name=ram)
    raw = base64.b64decode(answer["histogram"], validate=True)
    ranges = 64 - answer["granularity"] + 1
    assert len(raw) == 8 * (ranges << answer["granularity"])
    assert sum(struct.unpack(f"<{len(raw) // 8}Q", raw)) == 0
    assert answer["tsc_rate"] > 0
    assert rpc.bdev_enable_histogram(name=ram, enable=False) is True
    with pytest.raises(RpcError):
        rpc.bdev_get_histogram(name=ram)


def test_qos_limits_are_set_one_by_one_and_shown(rpc, ram):
    assert rpc.bdev_set_qos_limit(name=ram, rw_ios_per_sec=20000, r_mbytes_per_sec=7) is True
    assert rpc.bdev_set_qos_limit(name=ram, r_mbytes_per_sec=8) is True
    assert rpc.bdev_get_bdevs(name=ram)[0]["assigned_rate_limits"] == {
        "rw_ios_per_sec": 20000, "rw_mbytes_per_sec": 0, "r_mbytes_per_sec": 8, "w_mbytes_per_sec": 0}
    with pytest.raises(RpcError, match="no limit given"):
        rpc.bdev_set_qos_limit(name=ram)


def test_malloc_names_itself_when_it_gets_no_name(rpc):
    assert [rpc.bdev_malloc_create(num_blocks=8, block_size=512) for _ in range(2)] == ["Malloc0", "Malloc1"]


def test_a_null_bdev_is_resized(rpc):
    rpc.bdev_null_create(name="null0", num_blocks=256, block_size=4096)
    assert rpc.bdev_null_resize(name="null0", new_size=16) is True
    assert rpc.bdev_get_bdevs(name="null0")[0]["num_blocks"] == 4096


def test_delete_wants_the_right_driver_and_nobody_above(rpc, ram):
    rpc.bdev_error_create(base_name=ram)
    with pytest.raises(Busy, match="ram0"):
        rpc.bdev_malloc_delete(name=ram)
    with pytest.raises(NoSuchDevice, match="null"):
        rpc.bdev_null_delete(name=ram)
    assert rpc.bdev_error_delete(name="EE_ram0") is True
    assert rpc.bdev_malloc_delete(name=ram) is True
    with pytest.raises(NoSuchDevice):
        rpc.bdev_malloc_delete(name=ram)


def test_an_error_bdev_is_named_for_its_base_and_takes_every_injection(rpc, ram):
    assert rpc.bdev_error_create(base_name=ram) == "EE_ram0"
    for io_type in ["read", "write", "flush", "unmap", "write_zeroes", "all"]:
        for error_type in ["failure", "pending", "corrupt_data", "nomem", "clear"]:
            value = 170 if error_type == "corrupt_data" else None
            if error_type == "corrupt_data" and io_type not in ("read", "write", "all"):
                continue
            assert rpc.bdev_error_inject_error(name="EE_ram0", io_type=io_type, error_type=error_type, num=2,
                                               corrupt_value=value) is True
    assert rpc.bdev_error_inject_error(name="EE_ram0", io_type="clear", error_type="failure") is True
    with pytest.raises(NoSuchDevice):
        rpc.bdev_error_inject_error(name=ram, io_type="all", error_type="failure")


def test_the_latency_of_a_delay_bdev_is_changed(rpc, ram):
    rpc.bdev_delay_create(name="slow0", base_bdev_name=ram, avg_read_latency=1, p99_read_latency=2,
                          avg_write_latency=3, p99_write_latency=4)
    for kind in ["avg_read", "p99_read", "avg_write", "p99_write"]:
        assert rpc.bdev_delay_update_latency(delay_bdev_name="slow0", latency_type=kind, latency_us=50) is True
    entry = [e for e in rpc.framework_get_config(name="bdev") if e["method"] == "bdev_delay_create"][0]
    assert entry["params"]["avg_read_latency"] == entry["params"]["p99_write_latency"] == 50


def test_probe_measures_the_drivers(daemon, rpc):
    path = daemon.file("probe.img")
    report = rpc.bdev_probe(filename=path, duration_ms=20, queue_depth=4)
    assert {result["driver"] for result in report["results"]} >= {"aio", "sync"}
    working = [result for result in report["results"] if result["works"]]
    assert working and report["fastest"]["driver"] in {result["driver"] for result in working}
    assert all(result["deep"]["ios_per_s"] > 0 for result in working)
    assert rpc.bdev_get_bdevs() == []


def test_the_schema_describes_every_method(rpc):
    schema = rpc.tarn_get_schema()
    assert [method["name"] for method in schema["methods"]] == rpc.rpc_get_methods()
    assert schema["state"] == "runtime"


@pytest.mark.parametrize("signal", ["SIGINT", "SIGTERM", "SIGQUIT", "SIGHUP"])
def test_kill_instance_ends_the_daemon_in_order(daemon, rpc, signal):
    rpc.spdk_kill_instance(sig_name=signal)
    assert daemon.wait() == 0
    assert not os.path.exists(daemon.socket_path)
