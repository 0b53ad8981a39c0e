# SPDX-License-Identifier: BSD-3-Clause
"""Wrong input to every method is refused by the name of what is wrong; a cache on a failing device is never wrong."""
import pytest
from cache import MIB, Cache, make, value_of
from tarn_rpc import InvalidParams, RpcError

HIDDEN_NAMES = ["a\nb", "\x1b[2J", "\x7f", "tab\there", "\x85", "\x9b", " ", "    "]
VISIBLE_NAMES = ["schl\u00fcssel", "/dev/sda", "a b", '"quoted"', "\u65e5\u672c", "a\u00a0b"]
WRONG_VALUES = {
    "bool": "yes", "u32": "seven", "i32": "seven", "u64": "seven", "i64": "seven", "size": "seven", "double": "seven",
    "string": 7, "enum": "no such word", "tristate": "perhaps", "base64": "?!", "strings": 7, "objects": 7,
    "inert": {"no": "such"},
}


@pytest.mark.parametrize("name", HIDDEN_NAMES)
def test_names_that_an_operator_cannot_see_are_refused(daemon, name):
    with pytest.raises(RpcError, match="name.*control characters"):
        daemon.create("aio", name=name, filename="disk.img")
    with pytest.raises(RpcError, match="name.*control characters"):
        daemon.rpc.bdev_malloc_create(name=name, num_blocks=1024, block_size=4096)
    assert daemon.rpc.bdev_get_bdevs() == []
    daemon.create("aio", name="disk0", filename="disk.img")
    with pytest.raises(RpcError, match="name.*control characters"):
        daemon.rpc.cache_create(name=name, bdev_name="disk0")
    assert daemon.rpc.cache_get_caches() == []


@pytest.mark.parametrize("name", VISIBLE_NAMES)
def test_other_names_are_as_good_as_any(daemon, name):
    daemon.file("disk.img", 64 * MIB)
    daemon.create("aio", name=name, filename="disk.img")
    daemon.rpc.cache_create(name=name, bdev_name=name)
    cache = Cache(daemon.rpc, name)
    assert cache.store(key=name, value=name) == {"stored": True}
    assert cache.lookup(key=name)["value"] == name
    assert [info["name"] for info in daemon.rpc.cache_get_caches()] == [name]


def test_every_method_names_the_parameter_that_is_wrong(daemon):
    checked = 0
    for method in daemon.rpc.tarn_get_schema()["methods"]:
        if "runtime" not in str(method.get("states", "runtime")):
            continue
        good = method["example"]
        for field in method["params"]:
            if field["type"] not in WRONG_VALUES:
                continue
            wrong = {**good, field["name"]: WRONG_VALUES[field["type"]]}
            with pytest.raises(InvalidParams) as caught:
                daemon.rpc.call(method["name"], **wrong)
            assert field["name"] in caught.value.message, f"{method['name']}: {caught.value.message}"
            checked += 1
        with pytest.raises(InvalidParams, match="no_such_field"):
            daemon.rpc.call(method["name"], **{**good, "no_such_field": 1})
        missing = [field["name"] for field in method["params"] if field.get("required")]
        for name in missing:
            with pytest.raises(InvalidParams, match=name):
                daemon.rpc.call(method["name"], **{key: value for key, value in good.items() if key != name})
    assert checked > 150
    assert daemon.rpc.bdev_get_bdevs() == [] and daemon.rpc.cache_get_caches() == []


@pytest.fixture
def failing(daemon):
    """A cache on an error bdev, and inject(io_type, error_type, num) for it."""
    daemon.file("c0.img", 64 * MIB)
    daemon.create("uring", name="base", filename="c0.img")
    daemon.rpc.bdev_error_create(base_name="base")
    daemon.rpc.cache_create(name="c0", bdev_name="EE_base")

    def inject(io_type, error_type, num=1):
        daemon.rpc.bdev_error_inject_error(name="EE_base", io_type=io_type, error_type=error_type, num=num)

    return Cache(daemon.rpc), inject


def test_a_store_on_a_failing_device_is_kept_or_refused_and_never_a_wrong_hit(failing):
    cache, inject = failing
    for number in range(60):
        key, old, new = f"k{number}", f"old {number}", f"new {number}"
        assert cache.store(key=key, value=old) == {"stored": True}
        inject("write", "failure", 1 + number % 4)
        try:
            stored = cache.store(key=key, value=new) == {"stored": True}
        except RpcError as error:
            assert error.code == -5 and "c0" in error.message
            stored = False
        inject("write", "clear")
        found = value_of(cache.lookup(key=key))
        assert found == new.encode() if stored else found in (None, new.encode()), (number, stored, found)


def test_corrupt_reads_are_misses_and_counted(failing):
    cache, inject = failing
    values = {f"k{number}": "v" * 3000 + str(number) for number in range(20)}
    for key, value in values.items():
        cache.store(key=key, value=value)
    cache.flush()
    inject("read", "corrupt_data", 7)
    found = {key: value_of(cache.lookup(key=key)) for key in values}
    inject("read", "clear")
    assert all(found[key] in (None, value.encode()) for key, value in values.items())
    missed = [key for key in values if found[key] is None]
    assert missed and cache.get_stats()["misses"]["checksum"] == len(missed)


def test_a_device_that_takes_no_more_writes_refuses_stores_and_still_serves(daemon, failing):
    cache, inject = failing
    cache.store(key="kept", value="v")
    cache.flush()
    inject("write", "failure", 1 << 30)
    for number in range(3):
        with pytest.raises(RpcError, match="c0") as caught:
            cache.store(key=f"k{number}", value="x")
        assert caught.value.code == -5
    assert cache.lookup(key="kept")["value"] == "v"
    assert daemon.rpc.cache_get_caches()[0]["state"] == "failed"
    inject("write", "clear")


def test_two_caches_want_one_device(daemon):
    make(daemon)
    with pytest.raises(RpcError, match="dev_c0"):
        daemon.rpc.cache_create(name="c1", bdev_name="dev_c0", force=True)
    with pytest.raises(RpcError, match="c0"):
        daemon.rpc.cache_create(name="c0", bdev_name="dev_c0", force=True)
    assert [info["name"] for info in daemon.rpc.cache_get_caches()] == ["c0"]
