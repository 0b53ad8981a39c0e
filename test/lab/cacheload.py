# SPDX-License-Identifier: BSD-3-Clause
"""A cache in a guest with load on it, and the record of what it must hold (test/lab/daemon/cache_load.h), which
outlives the daemon."""
import itertools

from tarnd import LIMIT_S, until

numbers = itertools.count(1)


class CacheLoad:
    """The cache "c0" on a bdev "disk", and the load "load"."""

    def __init__(self, guest, seed, driver, path, **params):
        self.guest = guest
        self.seed = seed
        self.driver = driver
        self.bdev = {"name": "disk", "filename": path, **params}
        self.cache = {"name": "c0", "bdev_name": "disk"}
        self.record = f"/dev/shm/record{next(numbers)}"
        self.daemon = None

    def remove_record(self):
        self.guest.run(f"rm -f {self.record}")

    def open(self, daemon, force=False):
        """The cache, as it is on the device, or new on a blank one; and the load, on its record."""
        self.seed += 1  # other requests each time; what is stored is of the first one
        self.daemon = daemon
        daemon.calls((f"bdev_{self.driver}_create", self.bdev),
                     ("cache_create", {**self.cache, "segment_bytes": 128 << 10, "shard_count": 2, "force": force}),
                     ("lab_cache_create", {"name": "load", "record": self.record, "seed": self.seed}))

    def close(self):
        """A clean end of cache and bdev."""
        self.daemon.calls(("cache_delete", {"name": "c0", "keep": True}),
                          (f"bdev_{self.driver}_delete", {"name": "disk"}))

    def start_info(self):
        return self.daemon.call("cache_get_caches")[0]["start"]

    def stats(self):
        return self.daemon.call("cache_get_stats", name="c0")

    def start(self, **params):
        self.daemon.call("lab_cache_start", name="load", cache_name="c0", **params)

    def get(self):
        return self.daemon.call("lab_cache_get", name="load")

    def stop(self):
        return self.daemon.call("lab_cache_stop", name="load")

    def run(self, limit_s=LIMIT_S, **params):
        """To its end; what it counted."""
        self.start(**params)
        until(lambda: not self.get()["running"], "the load's end", limit_s)
        return self.get()

    def delete(self):
        self.daemon.call("lab_cache_delete", name="load")

    @staticmethod
    def must_be_good(stats):
        assert stats["lost"] == stats["wrong"] == sum(stats["errors"].values()) == stats["bad"] == 0, stats

    def check_for_wrong(self, **rules):
        """What is lost is the caller's to judge."""
        found = self.daemon.call("lab_cache_check", name="load", cache_name="c0", **rules)
        assert found["old"] == found["wrong"] == 0, found
        return found

    def check(self, **rules):
        found = self.check_for_wrong(**rules)
        assert found["lost"] == found["errors"] == 0, found
        return found
