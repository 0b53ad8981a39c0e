# SPDX-License-Identifier: BSD-3-Clause
"""What SPDK's own clients send, byte for byte as they send it: rpc.py (indented requests without framing, ids from
1, fields that are None left out and those that are False not), its save_config and load_config, and iostat.py."""
import base64
import json
import socket
import struct

import pytest
from tarn import LIMIT_S


class SpdkClient:
    """Requests are indented JSON without a newline at the end; answers are decoded as soon as one is whole."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT_S)
        self.socket.connect(path)
        self.buffer = ""
        self.request_id = 0

    def send(self, *calls):
        texts = []
        for method, params in calls:
            self.request_id += 1
            body = {"jsonrpc": "2.0", "method": method, "id": self.request_id}
            if params:
                body["params"] = params
            texts.append(json.dumps(body, indent=2))
        self.socket.sendall("\n".join(texts).encode("utf-8"))

    def receive(self):
        while True:
            try:
                answer, end = json.JSONDecoder().raw_decode(self.buffer.lstrip())
                self.buffer = self.buffer.lstrip()[end:]
                return answer
            except ValueError:
                data = self.socket.recv(4096)
                assert data, "the daemon closed the connection"
                self.buffer += data.decode("utf-8")

    def call(self, method, **params):
        self.send((method, {name: value for name, value in params.items() if value is not None}))
        answer = self.receive()
        assert answer["id"] == self.request_id
        assert "error" not in answer, answer["error"]
        return answer["result"]


@pytest.fixture
def spdk(daemon):
    return SpdkClient(daemon.socket_path)


def test_several_requests_in_one_stream_are_answered_in_order(spdk):
    spdk.send(("spdk_get_version", {}), ("rpc_get_methods", {"current": True, "include_aliases": False}))
    assert spdk.receive()["result"]["version"]
    assert "bdev_get_bdevs" in spdk.receive()["result"]


def test_the_fields_of_every_create_command_are_taken(daemon, spdk):
    """As the command line's parser leaves them: a switch that was not given is False, an option is absent."""
    for number in range(3):
        daemon.file(f"{number}.img")
    assert spdk.call("bdev_malloc_create", num_blocks=2048, block_size=512, physical_block_size=None, name="Malloc0",
                     uuid=None, optimal_io_boundary=None, md_size=None, md_interleave=False, dif_type=None,
                     dif_is_head_of_md=False, dif_pi_format=None, numa_id=None) == "Malloc0"
    assert spdk.call("bdev_null_create", num_blocks=2048, block_size=512, name="Null0", md_size=None, dif_type=None,
                     dif_is_head_of_md=False, dif_pi_format=None, physical_block_size=None, uuid=None,
                     preferred_write_alignment=None, optimal_write_size=None) == "Null0"
    assert spdk.call("bdev_aio_create", filename="0.img", name="aio0", block_size=512, readonly=False, fallocate=False,
                     uuid=None, nowait=False) == "aio0"
    assert spdk.call("bdev_uring_create", filename="1.img", name="uring0", block_size=None, uuid=None) == "uring0"
    assert spdk.call("bdev_error_create", base_name="Malloc0", uuid=None) == "EE_Malloc0"
    assert spdk.call("bdev_delay_create", base_bdev_name="Null0", name="Delay0", uuid=None, avg_read_latency=10,
                     p99_read_latency=20, avg_write_latency=30, p99_write_latency=40) == "Delay0"
    for method, params in [
            ("bdev_aio_rescan", {"name": "aio0"}), ("bdev_uring_rescan", {"name": "uring0"}),
            ("bdev_error_inject_error", {"name": "EE_Malloc0", "io_type": "all", "error_type": "failure", "num": 1,
                                         "queue_depth": 0, "corrupt_offset": 0, "corrupt_value": 0}),
            ("bdev_error_inject_error", {"name": "EE_Malloc0", "io_type": "clear", "error_type": "failure", "num": 1}),
            ("bdev_delay_update_latency", {"delay_bdev_name": "Delay0", "latency_type": "p99_read", "latency_us": 5}),
            ("bdev_set_qos_limit", {"name": "aio0", "rw_ios_per_sec": 20000, "rw_mbytes_per_sec": 0}),
            ("bdev_set_qd_sampling_period", {"name": "aio0", "period": 1000}),
            ("bdev_enable_histogram", {"name": "aio0", "enable": True}),
            ("bdev_wait_for_examine", {}), ("bdev_reset_iostat", {}),
            ("log_set_flag", {"flag": "all"}), ("log_clear_flag", {"flag": "all"}),
            ("bdev_delay_delete", {"name": "Delay0"}), ("bdev_error_delete", {"name": "EE_Malloc0"}),
            ("bdev_null_delete", {"name": "Null0"}), ("bdev_malloc_delete", {"name": "Malloc0"}),
            ("bdev_aio_delete", {"name": "aio0"}), ("bdev_uring_delete", {"name": "uring0"})]:
        assert spdk.call(method, **params) is True, method


def test_metadata_that_tarn_does_not_have_is_refused_by_name(spdk):
    spdk.send(("bdev_null_create", {"num_blocks": 8, "block_size": 512, "name": "n", "md_size": 8}))
    error = spdk.receive()["error"]
    assert error["code"] == -32602 and "md_size" in error["message"]


def test_older_names_of_methods_are_known_and_listed_as_aliases(spdk):
    names = spdk.call("rpc_get_methods", include_aliases=True)
    plain = spdk.call("get_rpc_methods")
    assert "get_bdevs" in names and "get_bdevs" not in plain and set(plain) < set(names)
    assert spdk.call("construct_malloc_bdev", num_blocks=64, block_size=512, name="m") == "m"
    assert spdk.call("get_bdevs", name="m")[0]["name"] == "m"


def save(spdk):
    """save_config as rpc.py does it, client-side."""
    return {"subsystems": [{"subsystem": element["subsystem"],
                            "config": spdk.call("framework_get_config", name=element["subsystem"])}
                           for element in spdk.call("framework_get_subsystems") if element["depends_on"] is not None]}


def load(spdk, config):
    """load_config as rpc.py does it: what may be called now, again and again, with framework_start_init between."""
    subsystems = [subsystem for subsystem in config["subsystems"] if subsystem["config"]]
    known = spdk.call("rpc_get_methods", include_aliases=False)
    assert all(call["method"] in known for subsystem in subsystems for call in subsystem["config"])
    while subsystems:
        allowed = spdk.call("rpc_get_methods", current=True, include_aliases=False)
        progress = False
        for subsystem in list(subsystems):
            for call in list(subsystem["config"]):
                if call["method"] in allowed:
                    spdk.call(call["method"], **call["params"])
                    subsystem["config"].remove(call)
                    progress = True
            if not subsystem["config"]:
                subsystems.remove(subsystem)
        if "framework_start_init" in allowed:
            spdk.call("framework_start_init")
            progress = True
        assert progress


@pytest.mark.parametrize("options", [[], ["--wait-for-rpc"]])
def test_what_it_saves_it_loads_again(start, options):
    first = start()
    first.file("0.img")
    spdk = SpdkClient(first.socket_path)
    spdk.call("bdev_aio_create", filename="0.img", name="aio0", block_size=512, readonly=False, fallocate=False,
              nowait=False)
    spdk.call("bdev_malloc_create", num_blocks=64, block_size=512, name="m")
    spdk.call("bdev_error_create", base_name="m")
    saved = save(spdk)
    spdk.socket.close()
    assert first.stop() == 0
    second = start(*options)
    spdk = SpdkClient(second.socket_path)
    load(spdk, json.loads(json.dumps(saved)))
    assert save(spdk) == saved


def test_iostat_finds_what_it_adds_up(spdk):
    spdk.call("bdev_malloc_create", num_blocks=64, block_size=512, name="m")
    for arguments in [{}, {"name": "m"}]:
        answer = spdk.call("bdev_get_iostat", **arguments)
        (bdev,) = answer["bdevs"]
        sectors = [int(bdev[name]) >> 9 for name in ["bytes_read", "bytes_written", "bytes_unmapped"]]
        operations = bdev["num_read_ops"] + bdev["num_write_ops"] + bdev["num_unmap_ops"]
        assert sectors == [0, 0, 0] and operations == 0


def test_a_histogram_is_decoded_as_histogram_py_does(spdk):
    spdk.call("bdev_malloc_create", num_blocks=64, block_size=512, name="m")
    spdk.call("bdev_enable_histogram", name="m", enable=True)
    answer = spdk.call("bdev_get_histogram", name="m")
    buckets = [count for (count,) in struct.iter_unpack("<Q", base64.b64decode(answer["histogram"]))]
    shift = answer["granularity"]
    assert len(buckets) == (64 - shift + 1) << shift
    assert answer["tsc_rate"] > 0 and sum(buckets) == 0


def test_kill_instance_answers_or_closes_and_the_daemon_ends(daemon, spdk):
    spdk.send(("spdk_kill_instance", {"sig_name": "SIGTERM"}))
    assert daemon.wait() == 0
