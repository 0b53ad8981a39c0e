# SPDX-License-Identifier: BSD-3-Clause
"""Every cache method: its answer, what it does, and what it says to wrong use."""
import os
import stat
import threading
import time

import pytest
from cache import DEVICE_BYTES, MIB, Cache, b64, make, open_device, reopen, unb64, value_of
from tarn import Stream, request, until
from tarn_rpc import AlreadyExists, Busy, InvalidParams, NoSuchDevice, RpcError, TarnError

ODD_KEYS = [b"\x00", b"a\x00b", b"line\nline", b"\xff\xfe", "schlüssel".encode(), b"k" * 1024, b'"\\']


@pytest.fixture
def cache(daemon):
    return make(daemon)


def refused(call, words, kind=InvalidParams, **params):
    with pytest.raises(kind) as caught:
        call(**params)
    for word in words:
        assert word in str(caught.value), str(caught.value)
    return caught.value


# --- Life ---


def test_a_cache_is_described_by_name_and_identity(daemon, cache):
    (info,) = daemon.rpc.cache_get_caches()
    assert daemon.rpc.cache_get_caches(name="c0") == [info]
    assert (info["name"], info["bdev_name"], info["state"]) == ("c0", "dev_c0", "running")
    assert info["start"]["kind"] == "formatted" and info["device_bytes"] == DEVICE_BYTES
    assert len(info["uuid"]) == 36 and 0 < info["data_bytes"] <= info["device_bytes"]
    assert info["options"]["default_ttl_s"] == 0 and info["options"]["max_object_bytes"] > 0
    refused(daemon.rpc.cache_get_caches, ["no-such"], NoSuchDevice, name="no-such")


def test_the_geometry_asked_for_is_what_there_is_and_other_geometry_is_refused(daemon):
    cache = make(daemon, shard_count=2, segment_bytes=262144, expected_entry_bytes=512)
    (info,) = cache.rpc.cache_get_caches(name="c0")
    assert (info["shard_count"], info["segment_bytes"]) == (2, 262144)
    cache.delete(keep=True)
    create = lambda **options: daemon.rpc.cache_create(name="c0", bdev_name="dev_c0", **options)
    refused(create, ["shard"], RpcError, shard_count=3)
    refused(create, ["segment"], RpcError, segment_bytes=131072)
    refused(create, ["expected_entry_bytes"], RpcError, expected_entry_bytes=4096)
    assert create(shard_count=2, segment_bytes=262144, expected_entry_bytes=512) == "c0"


def test_create_refuses_wrong_fields_by_name(daemon):
    open_device(daemon)
    create = daemon.rpc.cache_create
    good = {"name": "c0", "bdev_name": "dev_c0"}
    for wrong in [{"shard_count": 17}, {"segment_bytes": 200000}, {"segment_bytes": 65536}, {"expected_entry_bytes": 8},
                  {"default_ttl_s": -1}, {"checkpoint_interval_s": 86401}, {"uuid": "x"}, {"name": ""}, {"colour": 1},
                  {"max_object_bytes": -5}, {"force": 1}]:
        refused(create, wrong, **{**good, **wrong})
    refused(create, ["no-such"], RpcError, name="c0", bdev_name="no-such")
    assert daemon.rpc.cache_get_caches() == []


def test_name_and_device_are_one_caches_alone(daemon, cache):
    open_device(daemon, "c1")
    refused(daemon.rpc.cache_create, ["c0"], AlreadyExists, name="c0", bdev_name="dev_c1")
    refused(daemon.rpc.cache_create, ["dev_c0"], Busy, name="c1", bdev_name="dev_c0")
    refused(daemon.rpc.bdev_uring_delete, ["cache"], Busy, name="dev_c0")
    assert cache.exists(key="k") == {"exists": False}


def test_what_is_no_cache_is_formatted_by_force_only(daemon):
    open_device(daemon)
    with open(os.path.join(daemon.folder, "c0.img"), "r+b") as file:
        file.write(b"somebody's data")
    create = lambda **options: daemon.rpc.cache_create(name="c0", bdev_name="dev_c0", **options)
    refused(create, ["dev_c0", "force"], AlreadyExists)
    with open(os.path.join(daemon.folder, "c0.img"), "rb") as file:
        assert file.read(15) == b"somebody's data"
    assert create(force=True) == "c0"


def test_delete_makes_blank_and_keep_does_not(daemon, cache):
    cache.put(b"k", b"v")
    assert cache.delete(keep=True) is True
    daemon.rpc.cache_create(name="c0", bdev_name="dev_c0")
    assert cache.value(b"k") == b"v"
    (info,) = daemon.rpc.cache_get_caches()
    assert info["start"]["kind"] == "clean"
    assert cache.delete() is True
    refused(cache.lookup, ["c0"], NoSuchDevice, key="k")
    daemon.rpc.cache_create(name="c0", bdev_name="dev_c0")
    assert cache.value(b"k") is None
    assert daemon.rpc.cache_get_caches()[0]["start"]["kind"] == "formatted"
    refused(cache.delete, ["keep"], force=True, keep=True)


def test_a_device_that_is_too_small_is_refused(daemon):
    open_device(daemon, size_bytes=MIB)
    refused(daemon.rpc.cache_create, [str(MIB), "too few"], RpcError, name="c0", bdev_name="dev_c0")
    assert daemon.rpc.cache_get_caches() == []
    assert daemon.rpc.bdev_uring_delete(name="dev_c0") is True  # nothing holds it


def test_every_method_names_a_cache_that_is_not_there(daemon):
    schema = daemon.rpc.tarn_get_schema()["methods"]
    names = [method["name"] for method in schema if method["name"].startswith("cache_")]
    assert len(names) >= 17
    for method in schema:
        if not method["name"].startswith("cache_") or method["name"] == "cache_create":
            continue
        params = {**method["example"], "name": "no-such"}
        refused(lambda m=method, p=params: daemon.rpc.call(m["name"], **p), ["no-such", "cache_get_caches"],
                NoSuchDevice)


# --- Keys and values ---


def test_values_come_back_by_every_encoding(cache):
    for value in [b"", b"x", "grüße".encode(), b"a\x00b", b"\xff\x00", bytes(range(256)) * 33, b"\n\t\"\\"]:
        cache.put(b"k", value)
        answer = cache.lookup(key="k")
        assert value_of(answer) == value and answer["value_bytes"] == len(value)
        assert unb64(cache.lookup(key="k", encoding="base64")["value_base64"]) == value
        text = b"\x00" not in value and b"\xff" not in value and value.decode(errors="replace").encode() == value
        assert ("value" in answer) == text
    assert cache.store(key="k", value="") == {"stored": True}
    assert cache.lookup(key="k")["value"] == ""


def test_keys_may_have_any_bytes(cache):
    for number, key in enumerate(ODD_KEYS):
        cache.put(key, b"%d" % number)
    for number, key in enumerate(ODD_KEYS):
        assert cache.value(key) == b"%d" % number
        assert cache.exists(key_base64=b64(key)) == {"exists": True, "value_bytes": 1}
    listed = cache.list_keys()["keys"]
    assert {item["key"].encode() if "key" in item else unb64(item["key_base64"]) for item in listed} == set(ODD_KEYS)
    for key in ODD_KEYS:
        assert cache.remove(key_base64=b64(key)) == {"removed": True}
        assert cache.remove(key_base64=b64(key)) == {"removed": False}
        assert cache.value(key) is None


def test_wrong_keys_and_values_are_refused_by_name(cache):
    for call, rest in [(cache.store, {"value": "v"}), (cache.lookup, {}), (cache.remove, {}), (cache.exists, {}),
                       (cache.touch, {"ttl_s": 5})]:
        refused(call, ["key"], **rest)
        refused(call, ["key"], key="a", key_base64="YQ==", **rest)
        refused(call, ["key", "empty"], key="", **rest)
        refused(call, ["key_base64", "empty"], key_base64="", **rest)
        refused(call, ["key", "1025"], key="k" * 1025, **rest)
        refused(call, ["key_base64", "1025"], key_base64=b64(b"k" * 1025), **rest)
        refused(call, ["key_base64", "base64"], key_base64="?", **rest)
        refused(call, ["key"], key=7, **rest)
    refused(cache.store, ["value"], key="k")
    refused(cache.store, ["value"], key="k", value="v", value_base64="dg==")
    refused(cache.store, ["value"], key="k", value="v", file="f")
    refused(cache.store, ["value_base64"], key="k", value_base64="x")
    refused(cache.store, ["if_absent"], key="k", value="v", if_absent=True, if_present=True)
    refused(cache.lookup, ["encoding"], key="k", encoding="latin1")
    assert cache.list_keys() == {"keys": []}


def test_a_range_of_a_value_is_read(cache):
    value = bytes(range(256)) * 1024
    cache.put(b"k", value)
    for offset, length in [(0, 1), (4095, 2), (100000, 5000), (len(value) - 1, 1), (len(value) - 1, 100), (0, 0)]:
        answer = cache.lookup(key="k", offset_bytes=offset, length_bytes=length, encoding="base64")
        assert unb64(answer["value_base64"]) == value[offset:offset + length if length else None]
        assert answer["value_bytes"] == len(value)
    assert value_of(cache.lookup(key="k", offset_bytes=len(value))) == b""
    refused(cache.lookup, ["offset_bytes", str(len(value))], RpcError, key="k", offset_bytes=len(value) + 1)


def test_conditions_hold_a_store_back(cache):
    assert cache.store(key="k", value="1", if_present=True) == {"stored": False}
    assert cache.store(key="k", value="2", if_absent=True) == {"stored": True}
    assert cache.store(key="k", value="3", if_absent=True) == {"stored": False}
    assert cache.value(b"k") == b"2"
    assert cache.store(key="k", value="4", if_present=True, durable=True) == {"stored": True}
    assert cache.value(b"k") == b"4"
    assert cache.remove(key="k", durable=True) == {"removed": True}


def test_values_of_the_limit_and_one_over(daemon, cache):
    limit = daemon.rpc.cache_get_caches()[0]["options"]["max_object_bytes"]
    value = os.urandom(limit)
    cache.put(b"whole", value)
    assert cache.value(b"whole") == value
    refused(cache.store, ["max_object_bytes"], RpcError, key="whole", value_base64=b64(value + b"x"))
    assert cache.value(b"whole") is None  # never the old one
    cache.set_options(max_object_bytes=100)
    cache.put(b"k", b"x" * 100)
    assert refused(cache.store, ["max_object_bytes"], RpcError, key="k", value="x" * 101).code == -7
    assert cache.get_stats()["rejects"]["too_large"] == 2
    cache.set_options(max_object_bytes=0)
    cache.put(b"whole", value)
    refused(cache.set_options, ["max_object_bytes", "segment"], max_object_bytes=limit + 1)


# --- Time ---


def test_ttl_zero_is_the_default_and_never_is_never(cache):
    cache.put(b"k", b"v")
    assert "expire_at_s" not in cache.lookup(key="k")
    cache.set_options(default_ttl_s=1000)
    cache.store(key="k", value="v")
    assert 998 <= cache.lookup(key="k")["expire_at_s"] - time.time() <= 1003
    cache.store(key="k", value="v", ttl_s="never")
    assert "expire_at_s" not in cache.exists(key="k")
    cache.store(key="k", value="v", ttl_s=10**12)
    assert "expire_at_s" not in cache.exists(key="k")  # beyond 2106
    cache.store(key="k", value="v", ttl_s=2**53 - 1)
    assert "expire_at_s" not in cache.exists(key="k")


def test_wrong_times_are_refused_by_name(cache):
    for call, rest in [(cache.store, {"value": "v"}), (cache.touch, {})]:
        refused(call, ["ttl_s"], key="k", ttl_s=-1, **rest)
        refused(call, ["ttl_s"], key="k", ttl_s=0.5, **rest)
        refused(call, ["ttl_s"], key="k", ttl_s="soon", **rest)
        refused(call, ["expire_at_s"], key="k", expire_at_s=-1, **rest)
        refused(call, ["expire_at_s", "ttl_s"], key="k", expire_at_s=2 * 10**9, ttl_s=5, **rest)
        refused(call, ["expire_at_s", "ttl_s"], key="k", expire_at_s=2 * 10**9, ttl_s="never", **rest)


def test_what_has_expired_is_a_miss_and_a_touch_keeps(cache):
    cache.store(key="past", value="v", expire_at_s=1)
    assert cache.lookup(key="past") == {"hit": False}
    assert cache.touch(key="past", ttl_s=9) == {"touched": False}
    cache.store(key="short", value="v", ttl_s=1)
    cache.store(key="kept", value="v", ttl_s=1)
    at = int(time.time()) + 1000
    assert cache.touch(key="kept", expire_at_s=at) == {"touched": True, "expire_at_s": at}
    until(lambda: not cache.lookup(key="short")["hit"], "expiry")
    assert cache.lookup(key="kept") == {"hit": True, "value": "v", "value_bytes": 1, "expire_at_s": at}
    assert cache.get_stats()["misses"]["expired"] >= 2
    assert cache.touch(key="kept", ttl_s="never") == {"touched": True}
    assert cache.exists(key="short") == {"exists": False}


# --- Files ---


def path_of(daemon, name):
    return os.path.join(daemon.folder, name)


def test_values_go_from_and_to_files(daemon, cache):
    for value in [b"", b"x", os.urandom(300000)]:
        with open(path_of(daemon, "in"), "wb") as file:
            file.write(value)
        assert cache.store(key="k", file="in") == {"stored": True}
        assert cache.lookup(key="k", file=path_of(daemon, "out")) == {
            "hit": True, "file": path_of(daemon, "out"), "value_bytes": len(value)}
        with open(path_of(daemon, "out"), "rb") as file:
            assert file.read() == value
    assert stat.S_IMODE(os.stat(path_of(daemon, "out")).st_mode) == 0o600
    cache.lookup(key="k", file="part", offset_bytes=5, length_bytes=10)
    with open(path_of(daemon, "part"), "rb") as file:
        assert file.read() == value[5:15]
    assert cache.lookup(key="absent", file="never") == {"hit": False}
    assert not os.path.exists(path_of(daemon, "never"))


def test_files_that_cannot_be_had_are_named(daemon, cache):
    os.mkfifo(path_of(daemon, "pipe"))
    for name in ["no-such", "pipe", ".", "no-such/f", "x" * 300]:
        refused(cache.store, [name], RpcError, key="k", file=name)
    refused(cache.store, ["file"], key="k", file="")
    cache.put(b"k", b"v")
    for name in ["no-such/f", "."]:
        refused(cache.lookup, [name], RpcError, key="k", file=name)
    assert [name for name in os.listdir(daemon.folder) if name.startswith(".") or "XXXX" in name] == []


def test_a_file_over_the_limit_is_refused_like_a_value(daemon, cache):
    daemon.file("large", 1 << 40)  # sparse: it is not read to its end
    cache.put(b"k", b"v")
    assert refused(cache.store, ["max_object_bytes"], RpcError, key="k", file="large").code == -7
    assert cache.value(b"k") is None


# --- Batches ---


def test_batches_answer_in_order(daemon, cache):
    count = 300
    with open(path_of(daemon, "in"), "wb") as file:
        file.write(b"from a file")
    entries = [{"key": f"k{n}", "value": f"v{n}"} for n in range(count)]
    entries[7] = {"key": "k7", "file": "no-such"}
    entries[8] = {"key": "k8", "file": "in", "ttl_s": 100}
    entries[9] = {"key": "k8", "value": "late", "if_absent": True}
    stored = cache.store_batch(entries=entries)
    assert len(stored) == count
    assert stored[7]["error"]["code"] == -2 and "no-such" in stored[7]["error"]["message"]
    assert stored[9] == {"stored": False}
    assert all(answer == {"stored": True} for n, answer in enumerate(stored) if n not in (7, 9))
    found = cache.lookup_batch(entries=[{"key": f"k{n}"} for n in reversed(range(count))])[::-1]
    assert found[7] == found[9] == {"hit": False}
    assert found[8]["value"] == "from a file" and "expire_at_s" in found[8]
    assert all(found[n]["value"] == f"v{n}" for n in range(count) if n not in (7, 8, 9))
    answers = cache.lookup_batch(entries=[{"key": "k1", "offset_bytes": 9}, {"key": "k1", "file": "out"},
                                          {"key_base64": b64(b"k2"), "encoding": "base64"}])
    assert answers[0]["error"]["code"] == -22 and answers[1]["file"] == "out" and answers[2]["value_base64"] == "djI="
    assert cache.store_batch(entries=[]) == cache.lookup_batch(entries=[]) == []


def test_wrong_entries_are_refused_with_their_place_and_nothing_is_done(cache):
    good = {"key": "a", "value": "1"}
    for wrong, words in [({"value": "1"}, ["entries[1]", "key"]), ({"key": "b"}, ["entries[1]", "value"]),
                         ({"key": "", "value": ""}, ["entries[1]", "key"]), (7, ["entries[1]"]),
                         ({"key": "b", "value": "1", "ttl_s": -1}, ["entries[1]", "ttl_s"]),
                         ({"key": "b", "value": "1", "name": "c0"}, ["entries[1]", "name"])]:
        refused(cache.store_batch, words, entries=[good, wrong])
    refused(cache.lookup_batch, ["entries[0]", "key"], entries=[{}])
    refused(cache.store_batch, ["entries", "1024"], entries=[good] * 1025)
    refused(cache.store_batch, ["entries"])
    assert cache.value(b"a") is None


def test_an_answer_that_would_be_too_long_says_so_for_each_entry(cache):
    value = b64(os.urandom(200000))
    cache.store(key="large", value_base64=value)
    answers = cache.lookup_batch(entries=[{"key": "large"}] * 200)
    short = [answer for answer in answers if "error" in answer]
    assert 200 > len(short) >= 200 - (32 * MIB) // 200000 - 1
    assert all(answer["error"]["code"] in (-90, -12) for answer in short)
    assert all(answer["value_base64"] == value for answer in answers if "hit" in answer)


# --- The whole ---


def test_a_purge_takes_what_begins_so_and_what_was_stored_before(cache):
    for key in [b"a/1", b"a/2", b"b/1", b"\x00\xff1"]:
        cache.put(key, b"v")
    assert cache.purge(prefix="a/") is True
    assert [cache.value(key) for key in [b"a/1", b"a/2", b"b/1"]] == [None, None, b"v"]
    cache.put(b"a/1", b"new")
    assert cache.value(b"a/1") == b"new"
    assert cache.purge(prefix_base64=b64(b"\x00\xff")) is True
    assert cache.value(b"\x00\xff1") is None
    assert cache.purge(all=True) is True
    assert cache.list_keys()["keys"] == []
    for wrong in [{}, {"prefix": "a", "all": True}, {"prefix": "a", "prefix_base64": "YQ=="}, {"prefix": ""}]:
        refused(cache.purge, ["prefix"], **wrong)


def test_keys_are_listed_once_over_all_calls(cache):
    count = 500
    cache.store_batch(entries=[{"key": f"k{n}", "value": "v" * (n % 7)} for n in range(count)])
    seen, cursor = [], None
    while True:
        answer = cache.list_keys(cursor=cursor, max_count=64)
        assert len(answer["keys"]) <= 64
        seen += answer["keys"]
        cursor = answer.get("cursor")
        if cursor is None:
            break
    assert sorted(item["key"] for item in seen) == sorted(f"k{n}" for n in range(count))
    assert all(item["value_bytes"] == int(item["key"][1:]) % 7 for item in seen)
    for wrong in ["x", "-1", " 1", "1x", "99999999999999999999"]:
        refused(cache.list_keys, ["cursor"], cursor=wrong)
    refused(cache.list_keys, ["max_count"], max_count=0)


def test_flush_and_checkpoint_are_answered_and_counted(cache):
    cache.put(b"k", b"v")
    assert cache.flush() is True and cache.checkpoint() is True
    stats = cache.get_stats()
    assert stats["log"]["flushes"] >= 1 and stats["checkpoints"]["total"] >= 1


def test_statistics_count_and_begin_anew(cache):
    cache.put(b"k", b"v" * 1000)
    cache.put(b"k", b"v" * 1000)
    cache.lookup(key="k")
    cache.lookup(key="absent")
    cache.touch(key="k", ttl_s=100)
    cache.remove(key="k")
    stats = cache.get_stats(histograms=True)
    assert stats["hit_ratio"] == 0.5 and stats["hits"]["total"] == stats["hits"]["ram"] + stats["hits"]["device"] == 1
    assert stats["hits"]["bytes"] == 1000 and stats["misses"]["absent"] == stats["misses"]["total"] == 1
    assert stats["stores"] == {"total": 2, "bytes": 2000}
    assert (stats["removes"], stats["touches"]) == (1, 1)
    assert stats["log"]["write_amplification"] >= 1 and stats["log"]["head"] > 0 and stats["ram_bytes"] > 0
    assert stats["segments"]["open"] >= 1 and 0 <= stats["index"]["load"] < 1
    for what, count in [("hit", 1), ("miss", 1), ("store", 2)]:
        assert stats["latency_ns"][what]["count"] == count and stats["latency_ns"][what]["max"] > 0
        assert len(unb64(stats["latency_ns"][what]["histogram"])) % 8 == 0
    assert sum(shard["stores"] for shard in stats["shards"]) == 2
    assert cache.reset_stats() is True
    stats = cache.get_stats()
    assert stats["hit_ratio"] is None and stats["stores"]["total"] == 0 and stats["latency_ns"]["hit"]["count"] == 0
    assert "histogram" not in stats["latency_ns"]["hit"]


# --- Limits ---


def test_options_are_saved_as_they_are_now(daemon):
    cache = make(daemon, default_ttl_s=60, max_object_bytes="64KiB", checkpoint_interval_s=7)
    saved = lambda: daemon.rpc.framework_get_config(name="cache")[0]["params"]
    before = saved()
    assert (before["default_ttl_s"], before["max_object_bytes"], before["checkpoint_interval_s"]) == (60, 65536, 7)
    cache.set_options(default_ttl_s=0, max_object_bytes=0)
    assert saved() == {"name": "c0", "bdev_name": "dev_c0", "uuid": before["uuid"], "checkpoint_interval_s": 7}
    assert cache.set_options() is True
    for wrong in [{"default_ttl_s": -1}, {"checkpoint_interval_s": 86401}, {"max_object_bytes": "x"},
                  {"shard_count": 2}]:
        refused(cache.set_options, wrong, **wrong)
    subsystems = daemon.rpc.framework_get_subsystems()
    assert {"subsystem": "cache", "depends_on": ["bdev"]} in subsystems


def test_a_full_index_makes_room_by_what_is_oldest(daemon):
    cache = make(daemon, size_bytes=32 * MIB, expected_entry_bytes=4096)
    slots = daemon.rpc.cache_get_caches()[0]["index_slot_count"]
    answers = []
    for first in range(0, 2 * slots, 1024):
        answers += cache.store_batch(entries=[{"key": f"k{n}", "value": f"{n}"} for n in range(first, first + 1024)])
    full = {n for n, answer in enumerate(answers) if "error" in answer}
    assert all(answers[n]["error"]["code"] == -28 and "index" in answers[n]["error"]["message"] for n in full)
    stats = cache.get_stats()
    assert stats["rejects"]["index_full"] == len(full)
    stored = [n for n in range(len(answers)) if n not in full]
    assert len(stored) > slots and cache.value(b"k0") is None
    for n in stored[-200:]:
        assert cache.value(b"k%d" % n) == b"%d" % n
    for n in [*stored[::997], *sorted(full)[:50]]:
        assert cache.value(b"k%d" % n) in ((None,) if n in full else (None, b"%d" % n))


def test_values_for_which_there_is_no_memory_are_refused_and_the_rest_goes_on(start):
    daemon = start("--iomem-bytes", str(48 * MIB))
    cache = make(daemon)
    value = os.urandom(900_000)
    for n in range(60):
        cache.put(b"k%d" % n, value)
    cache.flush()
    answers = cache.lookup_batch(entries=[{"key": f"k{n}", "file": f"out{n}"} for n in range(60)])
    refused_count = sum("error" in answer for answer in answers)
    assert 0 < refused_count < 60 and all(answer["error"]["code"] == -12 for answer in answers if "error" in answer)
    for n, answer in enumerate(answers):
        if "hit" in answer:
            with open(path_of(daemon, f"out{n}"), "rb") as file:
                assert answer["hit"] and file.read() == value
    assert cache.value(b"k7") == value  # what was lent is back


# --- Many at once ---


def hammer(client, stop, errors):
    cache, number = Cache(client), 0
    while not stop.is_set():
        number += 1
        try:
            cache.store(key=f"k{number % 100}", value="v" * 1000)
            cache.lookup(key=f"k{number % 100}")
            cache.lookup_batch(entries=[{"key": f"k{n}"} for n in range(20)])
            cache.get_stats()
        except RpcError as error:
            errors.append(error.code)


def until_gone(client, stop, errors):
    try:
        hammer(client, stop, errors)
    except TarnError:
        pass  # the daemon has ended


@pytest.mark.parametrize("options", [{}, {"keep": True}])
def test_a_cache_is_deleted_under_load_and_comes_back(start, options):
    daemon = start("-m", "0,1") if (os.cpu_count() or 1) > 1 else start()
    cache = make(daemon)
    stop, errors = threading.Event(), []
    threads = [threading.Thread(target=hammer, args=(daemon.client(), stop, errors)) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            time.sleep(0.1)
            assert cache.delete(**options) is True
            daemon.rpc.cache_create(name="c0", bdev_name="dev_c0")
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert set(errors) <= {-19, -108}
    cache.put(b"k", b"v")
    assert cache.value(b"k") == b"v"


def test_the_daemon_ends_cleanly_under_load(start):
    daemon = start("-m", "0,1") if (os.cpu_count() or 1) > 1 else start()
    cache = make(daemon)
    cache.put(b"kept", b"v")
    stop, errors = threading.Event(), []
    threads = [threading.Thread(target=until_gone, args=(daemon.client(), stop, errors)) for _ in range(3)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    daemon.process.terminate()
    assert daemon.wait() == 0
    stop.set()
    for thread in threads:
        thread.join(60)
    assert set(errors) <= {-1, -19, -108}  # not in this state, gone, stopping
    assert "not stopped cleanly" not in daemon.log()
    cache = reopen(start())
    assert cache.rpc.cache_get_caches()[0]["start"]["kind"] == "clean"
    assert cache.value(b"kept") == b"v" and cache.value(b"k1") == b"v" * 1000


def test_expire_drops_what_has_expired_and_says_how_much(daemon, cache):
    cache.store(key="kept", value="v")
    for i in range(5):
        cache.store(key=f"k{i}", value="v", expire_at_s=int(time.time()) - 5)
    before = daemon.rpc.cache_get_stats(name="c0")["index"]["objects"]
    assert daemon.rpc.cache_expire(name="c0") == {"dropped": 5}
    assert daemon.rpc.cache_get_stats(name="c0")["index"]["objects"] == before - 5
    assert daemon.rpc.cache_expire(name="c0") == {"dropped": 0}
    assert cache.value(b"kept") == b"v"


def test_the_daemon_ends_cleanly_while_a_cache_is_made(start):
    for _ in range(5):
        daemon = start()
        open_device(daemon)
        stream = Stream(daemon)
        stream.send(request("cache_create", {"name": "c0", "bdev_name": "dev_c0"}))
        daemon.process.terminate()
        assert daemon.wait() == 0
        stream.close()
    cache = reopen(start())
    cache.put(b"k", b"v")
    assert cache.value(b"k") == b"v"
