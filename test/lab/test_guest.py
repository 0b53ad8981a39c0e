# SPDX-License-Identifier: BSD-3-Clause
"""The lab itself: status and output come back, hangs and power failures end, failures leave their traces."""
import contextlib
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

import machine
import pytest
from machine import TOP, Failed, GuestError

GUEST = os.path.join(TOP, "test", "lab", "guest")


@pytest.fixture(scope="module")
def guest(boot):
    return boot([machine.Nvme("lab0")])


def test_status_and_output_come_back(guest):
    assert guest.run("uname -n; exit 3", check=False) == "guest"
    with pytest.raises(Failed, match="status 3 of"):
        guest.run("exit 3")


def test_commands_run_beside_each_other(guest):
    first = guest.start("until [ -e /run/second ]; do sleep .05; done; echo first")
    assert guest.run("touch /run/second; echo second") == "second"
    assert first.wait() == "first\n"


def test_the_build_tree_is_there_and_cannot_be_written(guest):
    with open(os.path.join(TOP, "LICENSE"), encoding="utf-8") as file:
        assert guest.run("cat LICENSE") == file.read().rstrip("\n")
    guest.run(f"touch {TOP}/written-in-the-guest")
    assert not os.path.exists(os.path.join(TOP, "written-in-the-guest"))


def test_a_command_that_hangs_is_told_with_the_kernels_stacks(guest):
    with pytest.raises(GuestError, match="not in 1 s: sleep 1000"):
        guest.run("sleep 1000", limit_s=1)
    assert "sysrq: Show State" in guest.console()


def test_what_a_failure_leaves(guest, tmp_path):
    guest.run("echo seen")
    guest.save(str(tmp_path))
    assert "LAB: up after" in (tmp_path / "console.log").read_text()
    assert any("seen" in path.read_text() for path in (tmp_path / "commands").iterdir())


def test_a_power_failure_ends_it_at_once(boot):
    guest = boot([machine.Nvme("lab0")])
    command = guest.start("sleep 1000")
    guest.power_off()
    with pytest.raises(GuestError, match="the guest ended"):
        command.wait()


BOOTED = """
import os, signal
import machine, pytest

@pytest.fixture(scope="module")
def guest(boot):
    yield boot()
    {at_end}

def test_it(guest, seed):
    {in_test}
"""


def run_tests(folder, **what):
    """pytest on a file of one test."""
    path = os.path.join(folder, "test_it.py")
    with open(path, "w", encoding="utf-8") as file:
        file.write(BOOTED.format(**what))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest", f"--rootdir={folder}",
               path]
    return subprocess.run(command, env=dict(os.environ, TMPDIR=folder, PYTHONPATH=machine.HERE, TARN_LAB_SEED="7"),
                          capture_output=True, text=True, timeout=150, check=False)


@pytest.fixture
def folder(guest):  # skipped where there is no lab
    with tempfile.TemporaryDirectory(prefix="tarn-lab-") as name:  # short: sockets come into it
        yield name


@pytest.mark.tier("lab")
def test_failures_of_a_test_and_of_its_end_name_the_folder_of_what_is_left(folder):
    ended = run_tests(folder, in_test="assert guest.run('echo seen') == ''", at_end="raise AssertionError('bad end')")
    assert ended.returncode == 1 and ended.stdout.count("AssertionError: bad end (console") == 1, ended
    places = re.findall(r"\(console, logs and seed are in (.*)\)", ended.stdout)
    assert len(places) == 2 and len(set(places)) == 1, ended
    kept = os.path.join(TOP, places[0])
    with open(os.path.join(kept, "seed"), encoding="utf-8") as file:
        assert file.read() == "7\n"
    with open(os.path.join(kept, "commands", "1.out"), encoding="utf-8") as file:
        assert file.read() == "seen\n"
    with open(os.path.join(kept, "console.log"), encoding="utf-8", errors="replace") as file:
        assert "sysrq: Show State" in file.read()
    shutil.rmtree(kept)


@pytest.mark.tier("lab")
def test_an_end_by_a_signal_leaves_nothing_behind(folder):
    ended = run_tests(folder, in_test="os.kill(os.getpid(), signal.SIGTERM)", at_end="pass")
    assert ended.returncode == 2 and "KeyboardInterrupt" in ended.stdout, ended
    assert os.listdir(folder) == ["test_it.py"]
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path, "rb") as file:
            assert folder.encode() not in file.read(), path


def run_guest(*arguments):
    return subprocess.run([sys.executable, GUEST, *arguments], capture_output=True, text=True, timeout=150, check=False)


def test_the_program_ends_with_the_commands_status_and_keeps_what_it_is_told_to(guest, tmp_path):
    kept = tmp_path / "kept"
    ended = run_guest("--keep", str(kept), "--", "sh", "-c", "ls /dev/nvme0n1; echo kept >/lab/file; exit 7")
    assert (ended.returncode, ended.stdout) == (7, "/dev/nvme0n1\n"), ended
    assert (kept / "commands" / "file").read_text() == "kept\n"


@pytest.mark.parametrize("arguments, says", [
    ([], "give a command after --, or --shell"),
    (["--shell", "--", "true"], "give a command after --, or --shell"),
    (["--drive", "/nonexistent", "--", "true"], "there is no /nonexistent: give its size=MIB"),
    (["--drive", "x,block=100", "--", "true"], "'block=100' is none of"),
    (["--kernel", "5.10", "--", "true"], "invalid choice: '5.10'"),
])
def test_wrong_use_is_refused(arguments, says):
    ended = run_guest(*arguments)
    assert ended.returncode == 2 and says in ended.stderr, ended
