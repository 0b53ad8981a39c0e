# SPDX-License-Identifier: BSD-3-Clause
"""Fixtures: daemons that end with their test, and show their log when it failed."""
import os
import shutil
import tempfile

import pytest
from tarn import TARND, Daemon


def pytest_configure(config):
    if not os.path.exists(TARND):
        pytest.exit(f"there is no {TARND}: run make first", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    for daemon in getattr(item, "daemons", []):
        if report.failed:
            report.sections.append((f"log of tarnd {daemon.process.pid}", daemon.log()))


@pytest.fixture
def folder():
    """A short path: a socket's name must fit into 107 bytes."""
    path = tempfile.mkdtemp(prefix="tarn-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def start(request, folder):
    """start(*args) gives a Daemon."""
    request.node.daemons = []

    def start_one(*args, **options):
        daemon = Daemon(options.pop("folder", folder), *args, wait=False, **options)
        request.node.daemons.append(daemon)
        client = daemon.client()
        if "--wait-for-rpc" not in args:
            client.wait_ready()
        return daemon

    yield start_one
    for daemon in request.node.daemons:
        running = daemon.process.poll() is None
        status = daemon.stop()
        assert not running or status == 0, f"tarnd ended with {status}:\n{daemon.log()}"


@pytest.fixture
def daemon(start):
    return start()
