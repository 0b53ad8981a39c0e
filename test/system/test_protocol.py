# SPDX-License-Identifier: BSD-3-Clause
"""Bad input and bad clients: each is answered or cut off, and the daemon goes on for the others."""
import json
import os
import socket

import pytest
from tarn import BUILD, Stream, request, until

VERSION = request("spdk_get_version")


def works(daemon):
    stream = Stream(daemon)
    assert stream.ask(VERSION)["result"]["fields"]["major"] >= 0
    stream.close()


def error_of(daemon, text):
    stream = Stream(daemon)
    answer = stream.ask(text)
    stream.close()
    return answer["error"]


@pytest.mark.parametrize("text", [
    "{]", "[1,,2]", '{"jsonrpc": "2.0" "id": 1}', "{'method': 1}", "{\"a\": 01}", "{\"a\": 1.}",
    "{\"a\": +1}", "{\"a\": nul}", "{\"a\": NaN}", "{\"a\": \"\\x\"}", "{\"a\": \"\t\"}", "[1] // text",
    '{"a": 1, /* no */ "b": 2}', "nonsense", "\"text\"", "17", "\0", "{\"a\": 1e999}",
])
def test_what_is_no_json_is_answered_with_a_parse_error_and_ends_that_connection_only(daemon, text):
    other = Stream(daemon)
    stream = Stream(daemon)
    stream.send(text + "\n")
    stream.socket.shutdown(socket.SHUT_WR)
    answer = stream.answer()
    if answer is not None and "error" in answer:
        assert answer["error"]["code"] in (-32700, -32600)
    assert "result" not in (answer or {})
    assert other.ask(VERSION)["result"]
    works(daemon)


@pytest.mark.parametrize("data", [
    b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}',
    b'{"jsonrpc":"2.0","id":1,"method":"\xc0\xaf"}',
    b'{"jsonrpc":"2.0","id":1,"method":"\xed\xa0\x80"}',
    b'{"jsonrpc":"2.0","id":1,"method":"log_get_level","params":{"a":"\xf5\x80\x80\x80"}}',
    b'{"jsonrpc":"2.0","id":1,"method":"\\ud800"}',
    b'{"jsonrpc":"2.0","id":1,"method":"log_get_level\\u0000x"}',
    b'{"jsonrpc":"2.0","id":1,"method":"log_get_level","method":"spdk_kill_instance"}',
    b'{"jsonrpc":"2.0","id":1,"method":"log_set_flag","params":{"flag":"all","flag":"none"}}',
])
def test_bad_utf8_nul_and_duplicate_names_are_refused_with_their_place(daemon, data):
    stream = Stream(daemon)
    answer = stream.ask(data)
    assert answer["error"]["code"] == -32700
    assert "line 1" in answer["error"]["message"] or ":1:" in answer["error"]["message"]
    works(daemon)


def test_deep_nesting_is_refused(daemon):
    stream = Stream(daemon)
    stream.send("[" * 100000)
    assert stream.answer()["error"]["code"] in (-32700, -32600)
    works(daemon)


def test_a_request_of_more_than_32_mib_ends_its_connection(daemon):
    stream = Stream(daemon)
    piece = b" " * (1 << 20)
    stream.send(b'{"jsonrpc": "2.0", "id": 1, "method": "')
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(64):
            stream.send(piece)
    works(daemon)


def test_a_large_string_is_refused_by_its_field(daemon):
    error = error_of(daemon, request("log_set_flag", {"flag": "x" * 1000000}))
    assert error["code"] == -32602 and "flag" in error["message"]


@pytest.mark.parametrize("field,value", [
    ("num_blocks", "1024"), ("num_blocks", -1), ("num_blocks", 1.5), ("num_blocks", 2**53),
    ("num_blocks", 2**64), ("num_blocks", None), ("num_blocks", []), ("num_blocks", 0),
    ("name", 7), ("name", ""), ("name", "n" * 256), ("block_size", True), ("block_size", 100),
    ("block_size", 2**32), ("uuid", {}), ("queue_depth", "many"), ("queue_depth", -1),
])
def test_a_wrong_value_is_refused_with_the_name_of_its_field(daemon, field, value):
    params = {"name": "ram0", "num_blocks": 1024, "block_size": 512, field: value}
    error = error_of(daemon, request("bdev_malloc_create", params))
    assert error["code"] == -32602
    assert field in error["message"]
    assert daemon.rpc.bdev_get_bdevs() == []


def test_unknown_and_missing_fields_are_refused_by_name(daemon):
    error = error_of(daemon, request("bdev_malloc_create", {"num_blocks": 8, "blocks": 9}))
    assert error["code"] == -32602 and "blocks" in error["message"]
    error = error_of(daemon, request("bdev_malloc_create", {"name": "ram0"}))
    assert error["code"] == -32602 and "num_blocks" in error["message"]
    error = error_of(daemon, request("spdk_get_version", {"verbose": True}))
    assert error["code"] == -32602 and "verbose" in error["message"]


@pytest.mark.parametrize("params", [[1], "text", 5, True])
def test_params_that_are_no_object_are_refused(daemon, params):
    error = error_of(daemon, request("bdev_get_bdevs", params))
    assert error["code"] in (-32602, -32600)


def test_an_unknown_method_is_answered_as_such(daemon):
    error = error_of(daemon, request("bdev_ocf_create", {}))
    assert error["code"] == -32601 and "bdev_ocf_create" in error["message"]


@pytest.mark.parametrize("body", [
    {"jsonrpc": "1.0", "id": 1, "method": "spdk_get_version"}, {"jsonrpc": "2.0", "id": 1},
    {"jsonrpc": "2.0", "id": 1, "method": 5}, {"jsonrpc": "2.0", "id": {}, "method": "spdk_get_version"},
])
def test_what_is_no_request_is_refused(daemon, body):
    assert error_of(daemon, json.dumps(body))["code"] == -32600


def test_batches_are_answered_as_batches_and_notifications_not_at_all(daemon):
    stream = Stream(daemon)
    note = {"jsonrpc": "2.0", "method": "log_get_level"}
    calls = [json.loads(request("spdk_get_version", request_id="a")), note,
             json.loads(request("no_such", request_id="b"))]
    answers = {answer["id"]: answer for answer in stream.ask(json.dumps(calls))}
    assert set(answers) == {"a", "b"}
    assert "result" in answers["a"] and answers["b"]["error"]["code"] == -32601
    assert stream.ask("[]")["error"]["code"] == -32600
    stream.send(json.dumps(note) + json.dumps([note, note]))
    assert stream.ask(request("log_get_level", request_id=9))["id"] == 9


def test_requests_without_framing_and_in_pieces_are_answered_in_order(daemon):
    stream = Stream(daemon)
    text = "".join(request("spdk_get_version", request_id=i) for i in range(5))
    for byte in text.encode():
        stream.send(bytes([byte]))
    assert [stream.answer()["id"] for _ in range(5)] == list(range(5))


def test_a_client_that_says_nothing_disturbs_nobody(daemon):
    silent = [Stream(daemon) for _ in range(20)]
    works(daemon)
    assert silent[7].ask(VERSION)["result"]


@pytest.mark.parametrize("cut", [1, 10, 30])
def test_a_client_that_leaves_in_mid_request_leaves_nothing_behind(daemon, cut):
    for _ in range(50):
        stream = Stream(daemon)
        stream.send(request("bdev_null_create", {"name": "null0", "num_blocks": 8})[:cut])
        stream.close()
    works(daemon)
    assert daemon.rpc.bdev_get_bdevs() == []


def test_a_client_that_leaves_before_its_answer_is_forgotten(daemon):
    for _ in range(20):
        stream = Stream(daemon)
        stream.send(request("bdev_get_bdevs", {"name": "later", "timeout": 200}))
        stream.close()
    works(daemon)
    daemon.rpc.bdev_null_create(name="later", num_blocks=8)
    works(daemon)


def test_a_client_that_never_reads_costs_bounded_memory_and_no_other_client(daemon):
    def resident_kib():
        with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

    works(daemon)
    before = resident_kib()
    stream = Stream(daemon)
    stream.socket.setblocking(False)
    text = request("tarn_get_schema").encode() * 200
    sent = blocked = 0
    while blocked < 50 and sent < 50 << 20:
        try:
            sent += stream.socket.send(text)
            blocked = 0
        except BlockingIOError:
            blocked += 1
            works(daemon)
    assert blocked == 50, "the daemon went on reading requests whose answers nobody reads"
    sanitized = os.path.basename(BUILD) != "plain"  # these keep freed memory for a while
    assert resident_kib() - before < (512 << 10 if sanitized else 64 << 10)


def test_hundreds_of_clients_are_served(daemon):
    streams = [Stream(daemon) for _ in range(300)]
    for number, stream in enumerate(streams):
        stream.send(request("spdk_get_version", request_id=number))
    for number, stream in enumerate(streams):
        assert stream.answer()["id"] == number
    for stream in streams:
        stream.close()


def test_a_client_too_many_is_refused_and_a_place_becomes_free_again(daemon):
    streams = [Stream(daemon) for _ in range(511)]
    assert streams[-1].ask(VERSION)["result"]
    refused = None
    for _ in range(10):
        stream = Stream(daemon)
        try:
            answer = stream.ask(VERSION)
        except (BrokenPipeError, ConnectionResetError):
            answer = None
        if answer is None or "error" in answer:
            refused = stream
            break
        streams.append(stream)
    assert refused is not None
    for stream in streams:
        stream.close()

    def free_again():
        stream = Stream(daemon)
        try:
            return "result" in (stream.ask(VERSION) or {})
        except (BrokenPipeError, ConnectionResetError):
            return False

    until(free_again, "a place for a client")


def test_the_socket_is_for_its_owner_only(daemon):
    assert os.stat(daemon.socket_path).st_mode & 0o777 == 0o600
