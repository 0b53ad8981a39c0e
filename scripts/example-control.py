#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Give a daemon the devices that it should have, and watch them: an example of a control script.

Creates a bdev for each FILE that has none yet, waits until each is there, then prints what they do every
few seconds and tells of devices that come and go. Running it again changes nothing that is right."""
import argparse
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tarn_rpc import AlreadyExists, Batch, Client, RpcError, TarnError  # noqa: E402


def bdev_name(path):
    return os.path.basename(path).split(".")[0]


def ensure_bdevs(tarn, paths, driver):
    """Returns the names. A device that is there already is right if it is the same file's."""
    for path in paths:
        name = bdev_name(path)
        try:
            tarn.call(f"bdev_{driver}_create", name=name, filename=os.path.abspath(path), fallback=True)
            print(f"{name}: created on {path}")
        except AlreadyExists:
            (bdev,) = tarn.bdev_get_bdevs(name=name)
            (facts,) = bdev["driver_specific"].values()
            if facts.get("filename") != os.path.abspath(path):
                raise
            print(f"{name}: is there already")
    return [bdev_name(path) for path in paths]


def describe(tarn, names):
    batch = Batch()
    for name in names:
        batch.bdev_get_bdevs(name=name, timeout=5000)
    for name, result in zip(names, tarn.batch(batch)):
        if isinstance(result, RpcError):
            print(f"{name}: {result.message}", file=sys.stderr)
            continue
        (bdev,) = result
        (driver,) = bdev["driver_specific"]
        size_mib = bdev["num_blocks"] * bdev["block_size"] >> 20
        print(f"{name}: {size_mib} MiB, blocks of {bdev['block_size']}, driver {driver}")


def events_since(tarn, event_id):
    """Returns the new events, and the id to ask for next time."""
    events = tarn.notify_get_notifications(id=event_id)
    return events, events[-1]["id"] + 1 if events else event_id


def watch(tarn, names, interval_s, rounds):
    _, event_id = events_since(tarn, 0)
    last = {}
    for _ in range(rounds):
        stats = tarn.bdev_get_iostat(names=names, percentiles=True)
        for bdev in stats["bdevs"]:
            before = last.get(bdev["name"], bdev)
            reads = bdev["num_read_ops"] - before["num_read_ops"]
            writes = bdev["num_write_ops"] - before["num_write_ops"]
            p99_us = bdev["latency_percentiles_ns"]["read"]["p99"] / 1000
            print(f"{bdev['name']}: {reads / interval_s:.0f} reads/s, {writes / interval_s:.0f} writes/s, "
                  f"read p99 {p99_us:.0f} us, errors {bdev['io_error'].get('failed', 0)}", flush=True)
            last[bdev["name"]] = bdev
        events, event_id = events_since(tarn, event_id)
        for event in events:
            print(f"event: {event['type']} {event['ctx']}", flush=True)
        time.sleep(interval_s)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, epilog="example: scripts/example-control.py -s ./tarn.sock --rounds 3 disk0.img",
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-s", "--socket", help="of the daemon (default: $TARN_SOCKET or /var/tmp/tarn.sock)")
    parser.add_argument("--driver", choices=["uring", "aio", "sync"], default="uring")
    parser.add_argument("--interval", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--rounds", type=int, default=10, metavar="N", help="how often to print (default: 10)")
    parser.add_argument("files", nargs="+", metavar="FILE", help="block device or regular file")
    options = parser.parse_args()
    try:
        with Client(options.socket, connect_s=5) as tarn:
            tarn.wait_ready()
            names = ensure_bdevs(tarn, options.files, options.driver)
            describe(tarn, names)
            watch(tarn, names, options.interval, options.rounds)
    except TarnError as error:
        print(f"example-control: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
