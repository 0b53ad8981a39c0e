# SPDX-License-Identifier: BSD-3-Clause
"""The cache within a program: doc/example/cache.c, without a daemon."""
import os
import subprocess

import pytest
from cache import Cache, reopen
from tarn import BUILD, LIMIT_S

EXAMPLE = os.path.join(BUILD, "example", "cache")


@pytest.fixture
def example(folder):
    with open(os.path.join(folder, "c0.img"), "wb") as file:
        file.truncate(256 << 20)

    def run(*args):
        return subprocess.run([EXAMPLE, *args], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S,
                              check=False)

    return run


def test_it_stores_and_finds_again_in_another_process(example):
    assert example("c0.img", "greeting", "hello, world").stdout == "hello, world\n"
    done = example("c0.img", "greeting")
    assert (done.returncode, done.stdout) == (0, "hello, world\n")
    assert example("c0.img", "empty", "").stdout == "\n"
    done = example("c0.img", "absent")
    assert done.returncode == 1 and "a miss" in done.stderr


def test_it_says_what_is_wrong(example, folder):
    assert example().returncode == 2
    done = example("no-such.img", "k")
    assert done.returncode == 1 and "no-such.img" in done.stderr
    with open(os.path.join(folder, "c0.img"), "r+b") as file:
        file.write(b"somebody's")
    done = example("c0.img", "k")
    assert done.returncode == 1 and "not blank" in done.stderr
    done = example("c0.img", "k" * 1025, "v")
    assert done.returncode == 1


def test_the_daemon_opens_what_it_left(example, start):
    assert example("c0.img", "greeting", "hello").returncode == 0
    cache = reopen(start())
    assert isinstance(cache, Cache) and cache.value(b"greeting") == b"hello"
