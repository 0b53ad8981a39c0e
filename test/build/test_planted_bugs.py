# SPDX-License-Identifier: BSD-3-Clause
"""The bugs that `make sim-bugs` plants still fit the engine, so that it can be asked at any time what the
simulator finds."""
import glob
import os
import re
import subprocess

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PATCHES = sorted(glob.glob(os.path.join(TOP, "test", "sim", "bugs", "*.patch")))


def test_there_are_bugs_to_plant():
    assert len(PATCHES) >= 12


@pytest.mark.parametrize("path", PATCHES, ids=[os.path.basename(path) for path in PATCHES])
def test_a_planted_bug_applies(path):
    with open(path, encoding="utf-8") as file:
        assert re.match(r"Bug: .*\.\nSeen as: (data|volumes|liveness|order|refusal)\n--- ", file.read())
    done = subprocess.run(["patch", "--dry-run", "-p1", "-F1", "-i", path], cwd=TOP, capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_planted_bug_is_in_the_documentation():
    with open(os.path.join(TOP, "doc", "testing.md"), encoding="utf-8") as file:
        text = file.read()
    missing = [name for name in (os.path.basename(path)[:-len(".patch")] for path in PATCHES)
               if f"`{name}`" not in text]
    assert not missing
