# SPDX-License-Identifier: BSD-3-Clause
"""log.pml holds in every history within its bounds, and each bug planted in it is found."""
import os
import re
import shutil
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
BOUNDS = ["CRASHES=2", "FLUSH_FAILURES=1", "SEQUENCES=5", "EVENTS=1", "SEGS=4"]

pytestmark = pytest.mark.skipif(shutil.which("spin") is None, reason="spin is not installed")


def search(folder, defines):
    """\return pan's report of a search of all histories, to the first that breaks an assertion."""
    flags = ["-D" + define for define in defines]
    subprocess.run(["spin", *flags, "-a", os.path.join(HERE, "log.pml")], cwd=folder, check=True, capture_output=True)
    subprocess.run(["gcc", "-O1", "-w", "-DSAFETY", "-DCOLLAPSE", "-DMEMLIM=2000", "-o", "pan", "pan.c"],
                   cwd=folder, check=True, capture_output=True)
    run = subprocess.run(["./pan", "-m100000"], cwd=folder, check=True, capture_output=True, text=True)
    assert "max search depth too small" not in run.stdout, run.stdout
    assert "out of memory" not in run.stdout, run.stdout
    return run.stdout


def errors(report):
    found = re.search(r"errors: (\d+)", report)
    assert found, report
    return int(found[1])


@pytest.mark.parametrize("defines", [
    ["DIRTY", *BOUNDS],
    BOUNDS,
    ["DIRTY", "CRASHES=1", "FLUSH_FAILURES=0", "SEQUENCES=6", "EVENTS=2", "SEGS=4"],
], ids=["dirty", "clean", "wrapped"])
def test_the_log_keeps_its_promises_in_every_history(tmp_path, defines):
    report = search(tmp_path, defines)
    assert errors(report) == 0, report


@pytest.mark.parametrize("bug", ["ACKNOWLEDGE_AHEAD", "RETRY_FLUSH", "UNPUBLISHED", "TRUST_THE_DEAD", "REUSE_EARLY",
                                 "REUSE_IN_DOUBT"])
def test_a_planted_bug_is_found(tmp_path, bug):
    report = search(tmp_path, ["DIRTY", *BOUNDS, bug])
    assert errors(report) == 1 and "assertion violated" in report, report
