# SPDX-License-Identifier: BSD-3-Clause
"""Contracts C7 and C8: a cache on null_blk with a volatile write cache, whose power goes under load, without a
reboot. What was flushed is there, nothing older is, and it stays so when the process dies as well."""
import random
import time

import devices
import pytest
from cacheload import CacheLoad
from drivers import DRIVERS
from tarnd import until

SIZE_MIB = 80
CACHE_MIB = 64  # all that is not flushed fits, so that none of it is saved by chance


@pytest.fixture(scope="module")
def guest(boot):
    return boot(memory_mb=1536)


@pytest.fixture
def device(request, guest):
    device = devices.NullBlk(guest, poll_queues=1, cache_mib=CACHE_MIB, size_mib=SIZE_MIB, block_size=request.param)
    yield device
    device.remove()


def load_for_a_while(load, chance):
    load.start(depth=16, flush_every=chance.choice([20, 60, 200]), durable_percent=chance.choice([0, 5]))
    until(lambda: load.get()["ok"]["flush"] > 3, "some flushes")
    time.sleep(chance.random() / 2)
    load.must_be_good(load.get())


def lose_power_under_the_daemon(load, device, start):
    """It lives on; what it cannot read is missed, or an error."""
    daemon = load.daemon
    device.power(0)
    until(lambda: "disk" in daemon.events("bdev_gone"), "the news")
    stats = load.stop()
    assert stats["wrong"] == 0 and sum(stats["errors"].values()) > 0, stats
    assert daemon.call("cache_get_caches")[0]["state"] == "failed"
    load.delete()
    assert "Input/output error" in daemon.refused("cache_delete", name="c0", keep=True)
    until(lambda: daemon.names() == [], "the end of the bdev")
    assert daemon.call("cache_get_caches") == []
    device.power(1)
    return daemon


def lose_power_after_a_kill(load, device, start):
    load.daemon.kill()
    device.power(0)
    device.power(1)
    return start(load.daemon.guest)


def check_power_loss(guest, device, start, seed, driver, losses):
    driver, params = DRIVERS[driver]
    chance = random.Random(seed)
    daemon = start(guest)
    load = CacheLoad(guest, seed, driver, device.path, **params)
    for lose_power in losses:
        load.open(daemon)
        load_for_a_while(load, chance)
        daemon = lose_power(load, device, start)
        load.open(daemon)
        assert load.start_info()["same_boot"] is False
        load.check(durable=True, settle=True)
        daemon.kill()
        daemon = start(guest)
        load.open(daemon)
        assert load.start_info()["same_boot"] is True
        assert load.check()["hits"] > 10
        load.delete()
        load.close()
    load.remove_record()


@pytest.mark.parametrize("driver, device, lose_power", [
    ("uring-iopoll", 512, lose_power_under_the_daemon), ("aio", 4096, lose_power_after_a_kill)], indirect=["device"])
def test_what_was_flushed_survives_power_loss_without_a_reboot(guest, device, start, seed, driver, lose_power):
    check_power_loss(guest, device, start, seed, driver, [lose_power])


@pytest.mark.tier("lab")
@pytest.mark.parametrize("driver", list(DRIVERS))
@pytest.mark.parametrize("device", [512, 4096], indirect=True)
def test_power_lost_again_and_again(guest, device, start, seed, driver):
    check_power_loss(guest, device, start, seed, driver,
                     [lose_power_under_the_daemon, lose_power_after_a_kill, lose_power_under_the_daemon])
