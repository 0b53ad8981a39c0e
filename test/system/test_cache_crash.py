# SPDX-License-Identifier: BSD-3-Clause
"""tarnd killed under load, again and again: what was acknowledged is there (C7), by the clients' own record."""
import os
import random
import subprocess
import threading
import time

import pytest
from cache import BLOCK_BYTES, DEVICE_BYTES, Cache, b64, damage, make, set_super_version, value_of
from tarn import Stream, request, until
from tarn_rpc import RpcError, TarnError

ROUNDS = 4
CLIENTS = 3
KEYS_OF_EACH = 300
CHANGES_MAX = 3000  # acknowledged before a kill


class Recorder(threading.Thread):
    """One client with keys of its own. For each key it knows the last acknowledged state, and what it asked for since
    without having been answered: either may be there after a crash, an older one may not."""

    def __init__(self, number):
        super().__init__()
        self.number = number
        self.random = random.Random(number)
        self.known = {}   # key: value, or None for absent
        self.asked = {}   # key: what was on its way
        self.done = 0
        self.client = None
        self.failure = None

    def keys(self):
        return [f"{self.number}/{n}" for n in range(KEYS_OF_EACH)]

    def next_round(self, client):
        fresh = Recorder(self.number)
        fresh.random, fresh.known, fresh.done, fresh.client = self.random, self.known, self.done, client
        return fresh

    def value(self):
        size = self.random.choice([0, 10, 200, 4000, 4096, 30000])
        return (self.random.randbytes(16).hex() * (size // 32 + 1))[:size] + f"#{self.done}"

    def ask(self, changes, call):
        self.asked.update(changes)
        call()
        self.known.update(changes)
        for key in changes:
            del self.asked[key]
        self.done += len(changes)

    def step(self, cache):
        key = self.random.choice(self.keys())
        what = self.random.randrange(10)
        if what < 4:
            value = self.value()
            self.ask({key: value}, lambda: cache.store(key=key, value=value))
        elif what < 6:
            changes = {k: self.value() for k in self.random.sample(self.keys(), 20)}
            entries = [{"key": k, "value": v} for k, v in changes.items()]
            self.ask(changes, lambda: cache.store_batch(entries=entries))
        elif what == 6:
            self.ask({key: None}, lambda: cache.remove(key=key))
        elif what == 7:
            cache.touch(key=key, ttl_s=100000)
        elif what == 8 and self.random.randrange(20) == 0:
            cache.flush()
        else:
            found = value_of(cache.lookup(key=key))
            self.check(key, found)

    def check(self, key, found):
        found = found.decode() if found is not None else None
        allowed = [self.known.get(key)] + ([self.asked[key]] if key in self.asked else [])
        assert found in allowed, f"{key}: {found!r:.60} is none of {allowed!r:.200}"

    def run(self):
        cache = Cache(self.client)
        try:
            while True:
                self.step(cache)
        except RpcError as error:
            self.failure = error
        except TarnError:
            return  # the daemon was killed
        except AssertionError as error:
            self.failure = error

    def check_all(self, cache):
        for start in range(0, KEYS_OF_EACH, 100):
            keys = self.keys()[start:start + 100]
            answers = cache.lookup_batch(entries=[{"key": key} for key in keys])
            for key, answer in zip(keys, answers):
                self.check(key, value_of(answer))
                found = value_of(answer)
                self.known[key] = found.decode() if found is not None else None
        self.asked.clear()


@pytest.fixture(params=["file", "loop"])
def device(request, folder):
    path = os.path.join(folder, "c0.img")
    with open(path, "wb") as file:
        file.truncate(DEVICE_BYTES)
    if request.param == "file":
        yield path
        return
    done = subprocess.run(["losetup", "--find", "--show", "--direct-io=on", path], capture_output=True, text=True,
                          check=False)
    if done.returncode != 0:
        pytest.skip(f"no loop device: {done.stderr.strip()}")
    yield done.stdout.strip()
    subprocess.run(["losetup", "--detach", done.stdout.strip()], check=False)


def begin(start, device, driver, cache=True, **options):
    daemon = start("-m", "0,1") if (os.cpu_count() or 1) > 1 else start()

    daemon.rpc.call(f"bdev_{driver}_create", name="dev_c0", filename=device)
    if cache:
        daemon.rpc.cache_create(name="c0", bdev_name="dev_c0", **options)
    return daemon


def stop_by_kill(daemon):
    daemon.process.kill()
    daemon.process.wait()


@pytest.mark.parametrize("driver", ["uring", "aio"])
def test_what_was_acknowledged_survives_kill_9(start, device, driver):
    recorders = [Recorder(number) for number in range(CLIENTS)]
    for number in range(ROUNDS):
        # With and without a running checkpoint; also in its midst.
        daemon = begin(start, device, driver, checkpoint_interval_s=1 if number % 2 else 0)
        cache = Cache(daemon.rpc)
        start_info = daemon.rpc.cache_get_caches()[0]["start"]
        assert start_info["kind"] == ("recovered" if number else "formatted"), start_info
        assert start_info["damaged_segments"] == 0
        for recorder in recorders:
            recorder.check_all(cache)
        recorders = [recorder.next_round(daemon.client()) for recorder in recorders]
        before = sum(recorder.done for recorder in recorders)
        for recorder in recorders:
            recorder.start()
        target = before + random.randint(1, CHANGES_MAX)
        until(lambda: sum(r.done for r in recorders) >= target or any(r.failure for r in recorders), "load")
        stop_by_kill(daemon)
        for recorder in recorders:
            recorder.join(60)
            assert recorder.failure is None, recorder.failure
    daemon = begin(start, device, driver)
    for recorder in recorders:
        recorder.check_all(Cache(daemon.rpc))


def test_a_kill_during_recovery_loses_nothing(start, folder):
    daemon = start()
    cache = make(daemon)
    values = {f"k{n}": f"{n}-" * 100 for n in range(3000)}
    for first in range(0, 3000, 500):
        cache.store_batch(entries=[{"key": f"k{n}", "value": values[f"k{n}"]} for n in range(first, first + 500)])
    cache.remove(key="k7")
    stop_by_kill(daemon)
    for wait_ms in [0, 1, 2, 4, 8, 16]:
        interrupted = begin(start, "c0.img", "aio", cache=False)
        stream = Stream(interrupted)
        stream.send(request("cache_create", {"name": "c0", "bdev_name": "dev_c0"}))
        time.sleep(wait_ms / 1000)
        stop_by_kill(interrupted)
        stream.close()
    cache = Cache(begin(start, "c0.img", "aio").rpc)
    answers = []
    for first in range(0, 3000, 500):
        answers += cache.lookup_batch(entries=[{"key": f"k{n}"} for n in range(first, first + 500)])
    assert answers.pop(7) == {"hit": False}
    assert [answer.get("value") for answer in answers] == [v for k, v in values.items() if k != "k7"]


def test_nearly_all_clean_entries_survive_kill_9(start, folder):
    daemon = start()
    cache = make(daemon)
    count = 4000
    for first in range(0, count, 500):
        cache.store_batch(entries=[{"key": f"k{n}", "value": f"{n}" * 200} for n in range(first, first + 500)])
    stop_by_kill(daemon)
    again = begin(start, "c0.img", "uring")
    answers = []
    for first in range(0, count, 500):
        answers += Cache(again.rpc).lookup_batch(entries=[{"key": f"k{n}"} for n in range(first, first + 500)])
    assert [value_of(answer) for answer in answers] == [(f"{n}" * 200).encode() for n in range(count)]


# --- Devices that are not what they were ---


@pytest.fixture
def stopped(start, folder):
    """A cache with something in it, on c0.img, and its configuration; no daemon holds it."""
    daemon = start()
    cache = make(daemon)
    cache.put(b"k", b"v")
    saved = daemon.rpc.save_config()
    assert daemon.stop() == 0
    return os.path.join(folder, "c0.img"), saved


def cache_call(saved):
    (entry,) = saved["subsystems"][1]["config"]
    return entry["params"]


def opens(start, **params):
    daemon = start()
    daemon.rpc.bdev_uring_create(name="dev_c0", filename="c0.img")
    daemon.rpc.cache_create(**{"name": "c0", "bdev_name": "dev_c0", **params})
    return daemon


def refusal(start, path, **params):
    """What it says; and nothing was written."""
    with open(path, "rb") as file:
        before = file.read()
    daemon = start()
    daemon.rpc.bdev_uring_create(name="dev_c0", filename=path)
    with pytest.raises(RpcError) as caught:
        daemon.rpc.cache_create(**{"name": "c0", "bdev_name": "dev_c0", **params})
    assert daemon.stop() == 0
    with open(path, "rb") as file:
        assert file.read() == before
    return caught.value


def test_a_saved_configuration_brings_the_cache_back(start, stopped):
    _, saved = stopped
    daemon = start()
    assert daemon.rpc.load_config(config=saved) is True
    assert Cache(daemon.rpc).value(b"k") == b"v"
    assert daemon.rpc.save_config() == saved
    assert "force" not in str(saved)


def test_another_caches_device_is_refused_by_its_identity(start, stopped, folder):
    path, saved = stopped
    daemon = start()
    make(daemon, "other")
    assert daemon.stop() == 0
    os.replace(os.path.join(folder, "other.img"), path)
    assert refusal(start, path, **cache_call(saved)).code == -76
    assert "force" not in cache_call(saved)


def test_a_blank_device_in_its_place_is_not_formatted(start, stopped):
    path, saved = stopped
    with open(path, "r+b") as file:
        file.truncate(0)
        file.truncate(DEVICE_BYTES)
    refusal(start, path, **cache_call(saved))


def test_a_device_that_shrank_is_refused(start, stopped):
    path, _ = stopped
    os.truncate(path, DEVICE_BYTES // 2)
    error = refusal(start, path)
    assert str(DEVICE_BYTES // 2) in error.message


def test_a_device_that_grew_is_opened(start, stopped):
    os.truncate(stopped[0], DEVICE_BYTES * 2)
    assert Cache(opens(start).rpc).value(b"k") == b"v"


@pytest.mark.parametrize("copy", [0, 1])
def test_one_damaged_superblock_costs_nothing(start, stopped, copy):
    path, saved = stopped
    damage(path, copy * BLOCK_BYTES + 40)
    daemon = opens(start, **cache_call(saved))
    assert Cache(daemon.rpc).value(b"k") == b"v"


def test_two_damaged_superblocks_are_refused(start, stopped):
    path, _ = stopped
    for copy in (0, 1):
        damage(path, copy * BLOCK_BYTES + 40)
    error = refusal(start, path)
    assert error.code == -117 and "superblock" in error.message
    daemon = opens(start, force=True)
    assert Cache(daemon.rpc).value(b"k") is None


def test_a_newer_version_is_refused(start, stopped):
    path, _ = stopped
    for copy in (0, 1):
        set_super_version(path, copy, 99)
    error = refusal(start, path)
    assert error.code == -93 and "newer version" in error.message


def test_a_damaged_checkpoint_is_noticed_and_not_needed(start, stopped):
    path, _ = stopped
    for offset in range(2 * BLOCK_BYTES, 2 * BLOCK_BYTES + (6 << 20), 64 << 10):
        damage(path, offset)
    daemon = opens(start)
    info = daemon.rpc.cache_get_caches()[0]["start"]
    assert info["checkpoint_damaged"] and not info["checkpoint_used"], info
    assert Cache(daemon.rpc).value(b"k") == b"v"


# --- A device that fails ---


def inject(rpc, io_type, count=2**40):
    rpc.bdev_error_inject_error(name="EE_dev_c0", io_type=io_type, error_type="failure", num=count)


def clear(rpc):
    rpc.bdev_error_inject_error(name="EE_dev_c0", io_type="clear", error_type="clear")


@pytest.fixture
def failing(daemon):
    daemon.file("c0.img", DEVICE_BYTES)
    daemon.rpc.bdev_uring_create(name="dev_c0", filename="c0.img")
    daemon.rpc.bdev_error_create(base_name="dev_c0")
    daemon.rpc.cache_create(name="c0", bdev_name="EE_dev_c0")
    return daemon


def test_a_store_that_could_not_be_written_is_never_a_wrong_hit(failing):
    cache = Cache(failing.rpc)
    cache.put(b"k", b"old")
    inject(failing.rpc, "write")
    with pytest.raises(RpcError) as caught:
        cache.store(key_base64=b64(b"k"), value="new")
    assert caught.value.code == -5
    assert cache.value(b"k") is None
    assert failing.rpc.cache_get_caches()[0]["state"] == "failed"
    clear(failing.rpc)
    assert cache.value(b"k") is None


def test_a_store_is_written_elsewhere_when_one_write_fails(failing):
    cache = Cache(failing.rpc)
    for number in range(20):
        inject(failing.rpc, "write", 1)
        cache.put(b"k%d" % number, b"%d" % number)
    for number in range(20):
        assert cache.value(b"k%d" % number) == b"%d" % number
    assert cache.get_stats()["errors"]["write"] == 20


def test_what_cannot_be_read_is_a_miss_and_counted(failing):
    cache = Cache(failing.rpc)
    cache.put(b"k", b"v" * 10000)
    cache.flush()
    inject(failing.rpc, "read", 1)
    assert cache.value(b"k") is None
    clear(failing.rpc)
    stats = cache.get_stats()
    assert stats["misses"]["unreadable"] == stats["errors"]["read"] == 1
    cache.put(b"k", b"w")
    assert cache.value(b"k") == b"w"


def test_what_fails_its_checksum_is_a_miss_and_counted(failing):
    cache = Cache(failing.rpc)
    cache.put(b"k", b"v" * 10000)
    failing.rpc.bdev_error_inject_error(name="EE_dev_c0", io_type="read", error_type="corrupt_data", num=1,
                                        corrupt_offset=200)
    assert cache.value(b"k") is None
    stats = cache.get_stats()
    assert stats["misses"]["checksum"] == stats["errors"]["checksum_clean"] == 1


def test_a_flush_that_fails_says_so(failing):
    cache = Cache(failing.rpc)
    cache.put(b"k", b"v")
    inject(failing.rpc, "flush", 1)
    with pytest.raises(RpcError) as caught:
        cache.flush()
    assert caught.value.code == -5 and "c0" in caught.value.message
    assert cache.flush() is True
    assert cache.value(b"k") == b"v"
    assert cache.get_stats()["errors"]["flush"] >= 1
