# SPDX-License-Identifier: BSD-3-Clause
"""
What tarnck says that a start would do, against what recovery does: over devices that the simulator
leaves behind, after crashes, failed flushes and damage.
"""
import json
import os
import re
import subprocess

import tarn

LIMIT_S = 120
SIM = os.path.join(tarn.BUILD, "test", "sim", "sim")
TARNCK = os.path.join(tarn.BUILD, "bin", "tarnck")
OPENED = re.compile(r"opened: (.*), (\d+) entries, (\d+) holes, (\d+) suspect, (\d+) failed reads")


def recovered(seed, life, path):
    """What life found on its device, which is written to path; None: it did not come to that."""
    run = subprocess.run([SIM, str(seed), "--life", str(life), "--image", path, "--verbose"], stdout=subprocess.PIPE,
                         stderr=subprocess.DEVNULL, text=True, errors="replace", timeout=LIMIT_S, check=False)
    opened = OPENED.search("\n".join(line for line in run.stdout.splitlines() if line.startswith(f"{life}.")))
    if opened is None or not os.path.exists(path):
        return None
    how, *numbers = opened.groups()
    return how, [int(number) for number in numbers]


def predicted(path):
    run = subprocess.run([TARNCK, "--json", "--quiet", path], stdout=subprocess.PIPE, text=True, timeout=LIMIT_S,
                         check=False)
    shards = json.loads(run.stdout)["shards"]
    return run.returncode, [sum(shard[name] for shard in shards)
                            for name in ("entries_found", "holes_in_flushed", "entries_suspect")]


def test_what_tarnck_predicts_is_what_recovery_finds(tmp_path):
    compared = damaged = 0
    for seed in range(1, 61):
        path = str(tmp_path / "image")
        life = 1 + seed % 4
        found = recovered(seed, life, path)
        if found is not None:
            how, (entries, holes, suspect, failed_reads) = found
            # An image has no blocks that cannot be read; a format, and a clean start, recover nothing.
            if failed_reads == 0 and "formatted" not in how and "clean" not in how:
                status, (said_entries, said_holes, said_suspect) = predicted(path)
                said = (said_holes, said_suspect)
                assert said == (holes, suspect), (seed, life, how)
                # A checkpoint does not know what had been dropped from the index, and is in the log.
                if "checkpoint" not in how:
                    assert said_entries == entries, (seed, life, how)
                assert status == 4 if holes else status in (1, 4), (seed, life, status)
                compared += 1
                damaged += holes != 0
        if os.path.exists(path):
            os.unlink(path)
    assert compared >= 15
