# SPDX-License-Identifier: BSD-3-Clause
"""What cache_get_stats says, beside what was done; and odd keys through every method that takes one."""
import pytest
from cache import MIB, Cache, b64, make, unb64
from tarn_rpc import RpcError

# What the control scripts of operators read, by group.
GROUPS = {
    "hits": {"total", "ram", "device", "bytes"},
    "misses": {"total", "absent", "expired", "banned", "other_key", "checksum", "unreadable"},
    "stores": {"total", "bytes"},
    "rejects": {"total", "too_large", "index_full", "dirty_full", "no_memory", "log_failed"},
    "reclaim": {"reappended", "dropped", "expired", "banned", "segments_freed", "throttled"},
    "errors": {"checksum_clean", "checksum_dirty", "read", "write", "flush"},
    "checkpoints": {"total", "bytes"},
    "log": {"head", "durable", "tail", "batches", "entries", "bytes", "flushes", "write_amplification"},
    "segments": {"free", "open", "sealed", "reclaiming"},
    "index": {"entries", "objects", "dirty", "suspect", "slots", "load"},
}
LATENCIES = {"count", "p50", "p90", "p99", "p99_9", "max"}
ODD_KEYS = [b"\x00", b"a\x00b", b"a\x00c", b"a", b"line\nline", b"line\n", b"\r\n", b"\xff\xfe", b"k" * 1024, b'"\\']


@pytest.fixture
def failing(daemon):
    daemon.file("c0.img", 64 * MIB)
    daemon.create("uring", name="base", filename="c0.img")
    daemon.rpc.bdev_error_create(base_name="base")
    daemon.rpc.cache_create(name="c0", bdev_name="EE_base", shard_count=1)

    def inject(io_type, error_type, num=1):
        daemon.rpc.bdev_error_inject_error(name="EE_base", io_type=io_type, error_type=error_type, num=num)

    return Cache(daemon.rpc), inject


def test_every_statistic_has_its_name_and_place(daemon):
    stats = make(daemon).get_stats()
    for group, names in GROUPS.items():
        assert set(stats[group]) == names, group
    assert set(stats["latency_ns"]) == {"hit", "miss", "store"}
    assert all(set(latency) == LATENCIES for latency in stats["latency_ns"].values())
    assert {"hit_ratio", "removes", "touches", "bans", "ram_bytes", "shards"} <= set(stats)
    assert stats["ram_bytes"] > stats["index"]["slots"] * 16


def test_misses_and_rejects_are_counted_by_their_reason(failing):
    cache, inject = failing
    cache.store(key="past", value="v", expire_at_s=1)
    cache.store(key="purged/k", value="v")
    cache.store(key="bad", value="v" * 3000)
    cache.store(key="lost", value="v" * 3000)
    cache.purge(prefix="purged/")
    cache.flush()
    for key in ("absent", "past", "purged/k"):
        assert not cache.lookup(key=key)["hit"]
    inject("read", "corrupt_data")
    assert not cache.lookup(key="bad")["hit"]
    inject("read", "clear")
    inject("read", "failure")
    assert not cache.lookup(key="lost")["hit"]
    inject("read", "clear")
    with pytest.raises(RpcError):
        cache.store(key="large", value_base64=b64(bytes(32 * MIB // 2)))
    stats = cache.get_stats()
    assert stats["misses"] == {"total": 5, "absent": 1, "expired": 1, "banned": 1, "other_key": 0, "checksum": 1,
                               "unreadable": 1}
    assert (stats["errors"]["checksum_clean"], stats["errors"]["read"]) == (1, 1)
    assert stats["rejects"]["too_large"] == stats["rejects"]["total"] == 1 and stats["bans"] == 1
    inject("write", "failure", 1 << 30)
    with pytest.raises(RpcError):
        cache.store(key="k", value="v")
    stats = cache.get_stats()
    assert stats["rejects"]["log_failed"] == 1 and stats["errors"]["write"] > 0
    inject("write", "clear")


def test_a_log_that_wraps_tells_what_became_of_its_entries(daemon):
    cache = make(daemon, size_bytes=32 * MIB, shard_count=1, segment_bytes=131072)
    value = b64(bytes(3000))
    segments = sum(cache.get_stats()["segments"].values())
    cache.store_batch(entries=[{"key": f"past{n}", "value_base64": value, "expire_at_s": 1} for n in range(100)])
    cache.store_batch(entries=[{"key": f"hot{n}", "value_base64": value} for n in range(100)])
    cache.lookup_batch(entries=[{"key": f"hot{n}"} for n in range(100)])
    for first in range(0, segments * 31, 500):
        cache.store_batch(entries=[{"key": f"k{n}", "value_base64": value} for n in range(first, first + 500)])
    stats = cache.get_stats()
    reclaim = stats["reclaim"]
    assert reclaim["segments_freed"] > 6 and reclaim["expired"] == 100 and reclaim["reappended"] >= 100
    assert reclaim["dropped"] > 0
    assert stats["index"]["objects"] == stats["stores"]["total"] - reclaim["expired"] - reclaim["dropped"]
    assert sum(stats["segments"].values()) == segments
    assert stats["log"]["head"] > stats["log"]["tail"] > 0
    assert 1 < stats["log"]["write_amplification"] < 3
    assert stats["log"]["bytes"] > stats["stores"]["bytes"]
    cache.reset_stats()
    after = cache.get_stats()
    assert after["stores"]["total"] == 0 and after["reclaim"]["expired"] == 0  # reclaim goes on beside it
    assert after["index"]["slots"] == stats["index"]["slots"] and after["index"]["objects"] > 0


def test_odd_keys_go_through_every_method(daemon):
    cache = make(daemon)
    key = {number: {"key_base64": b64(odd)} for number, odd in enumerate(ODD_KEYS)}
    answers = cache.store_batch(entries=[{**key[n], "value": f"value {n}"} for n in key])
    assert answers == [{"stored": True}] * len(ODD_KEYS)
    found = cache.lookup_batch(entries=list(key.values()))
    assert [answer["value"] for answer in found] == [f"value {n}" for n in key]
    assert all(cache.touch(**key[n], ttl_s=1000)["touched"] for n in key)
    assert all(cache.exists(**key[n])["exists"] for n in key)
    listed, cursor = [], None
    while True:
        answer = cache.list_keys(cursor=cursor, max_count=3)
        listed += [item["key"].encode() if "key" in item else unb64(item["key_base64"]) for item in answer["keys"]]
        cursor = answer.get("cursor")
        if cursor is None:
            break
    assert sorted(listed) == sorted(ODD_KEYS)
    assert cache.lookup(key="line\nline")["value"] == cache.lookup(**key[4])["value"]
    cache.purge(prefix_base64=b64(b"a\x00"))
    left = [answer["hit"] for answer in cache.lookup_batch(entries=list(key.values()))]
    assert left == [not odd.startswith(b"a\x00") for odd in ODD_KEYS]
    assert cache.remove(**key[5]) == {"removed": True}
    assert cache.value(b"line\n") is None and cache.value(b"line\nline") == b"value 4"
