# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: guests that last for a file of tests, daemons in them, and what a failure leaves behind."""
import os
import random
import re
import shutil

import pytest
from machine import TOP, Guest, GuestError, end_with_me
from packages import Unavailable
from tarnd import Daemon

KEPT = os.path.join(TOP, "build", "lab")
TIERS = ["check", "lab", "long"]  # `make check`, `make lab`, `make lab-long`: each runs the ones before it, too
TIER = os.environ.get("TARN_LAB_TIER", "check")
ended = []  # guests whose folders are still there: what fails while their fixtures end is yet to be reported


def pytest_configure(config):
    end_with_me()
    config.addinivalue_line("markers", "tier(name): the first of check, lab and long that runs it (default: check)")
    if TIER not in TIERS:
        pytest.exit(f"TARN_LAB_TIER is {TIER}, and must be one of {', '.join(TIERS)}", returncode=2)


def pytest_collection_modifyitems(config, items):
    def tier(item):
        return max((TIERS.index(mark.args[0]) for mark in item.iter_markers("tier")), default=0)

    kept = [item for item in items if tier(item) <= TIERS.index(TIER)]
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = kept


def close_ended():
    while ended:
        ended.pop().close()


def pytest_unconfigure(config):
    close_ended()


def keep(item, report, guests):
    """Copy what the guests left, and name the place in the report."""
    folder = os.path.join(KEPT, re.sub(r"[^\w.-]+", "-", item.nodeid.split("::", 1)[1]))
    shutil.rmtree(folder, ignore_errors=True)
    for index, guest in enumerate(guests):
        guest.say_where_it_hangs()
        guest.save(folder if index == 0 else f"{folder}.{index}")
    seed = getattr(item, "seed", None)
    if seed is not None:
        with open(os.path.join(folder, "seed"), "w", encoding="utf-8") as file:
            file.write(f"{seed}\n")
    crash = getattr(report.longrepr, "reprcrash", None)
    first = crash.message.splitlines()[0] if crash else "failed"
    where = f"console, logs{' and seed' if seed is not None else ''} are in {os.path.relpath(folder, TOP)}"
    report.longrepr = f"{first} ({where})\n{report.longreprtext}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    guests = getattr(item.getparent(pytest.Module), "guests", [])
    if report.failed and guests:
        keep(item, report, guests)
    if call.when == "teardown":
        close_ended()


@pytest.fixture(scope="module")
def boot(request):
    """boot(drives, ...) gives a Guest, for all tests of the file."""
    request.node.guests = []

    def boot_one(*arguments, **options):
        try:
            guest = Guest(*arguments, **options)
        except Unavailable as error:
            pytest.skip(f"no lab here: {error}")
        request.node.guests.append(guest)
        return guest.boot()

    yield boot_one
    for guest in request.node.guests:
        guest.end()
    ended.extend(request.node.guests)


@pytest.fixture
def start(request):
    """start(guest, *arguments) gives a Daemon of the lab's in the guest, which must end well."""
    daemons = []

    def start_one(guest, *arguments):
        daemons.append(Daemon(guest, *arguments))
        return daemons[-1]

    yield start_one
    for daemon in daemons:
        try:
            daemon.stop()
        except GuestError:
            if daemon.guest.alive():
                raise


@pytest.fixture
def seed(request):
    """A new one each time; TARN_LAB_SEED repeats one."""
    value = int(os.environ.get("TARN_LAB_SEED") or random.randrange(1, 1 << 32))
    request.node.seed = value
    return value
