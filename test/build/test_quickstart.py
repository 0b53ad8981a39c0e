# SPDX-License-Identifier: BSD-3-Clause
"""`make run` brings the daemon up on files, and the README's session runs as printed."""
import os
import re
import signal
import subprocess
import time

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("TARN_BUILD", os.path.join(TOP, "build", "plain"))
SCRIPT = os.path.join(TOP, "scripts", "quickstart.sh")
UP = "tarnd is up"
LIMIT_S = 60


class Quickstart:
    """The script, running in a directory of its own until it is stopped."""

    def __init__(self, folder, *arguments):
        self.folder = folder
        self.output = open(folder / "output", "w+", encoding="utf-8")
        self.env = dict(os.environ, TARN_RUN_DIR=str(folder / "run"))
        self.process = subprocess.Popen([SCRIPT, os.path.join(BUILD, "bin"), *arguments], stdout=self.output,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                                        env=self.env, start_new_session=True)

    def text(self):
        return (self.folder / "output").read_text(encoding="utf-8")

    def wait_up(self):
        deadline = time.monotonic() + LIMIT_S
        while UP not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < deadline, self.text()
            time.sleep(0.05)

    def close(self):
        self.process.terminate()  # which it passes on to tarnd
        try:
            self.process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()


@pytest.fixture
def quickstart(tmp_path):
    started = []

    def start(*arguments):
        started.append(Quickstart(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.close()


def test_it_shows_a_device_of_each_driver_and_ends_by_itself(quickstart):
    run = quickstart("0")
    assert run.process.wait(LIMIT_S) == 0, run.text()
    assert UP in run.text()
    for driver in ("uring", "aio", "sync"):
        assert re.search(rf"\b{driver}", run.text()), run.text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_by_signal(quickstart, number):
    run = quickstart()
    run.wait_up()
    os.kill(run.process.pid, number)
    assert run.process.wait(LIMIT_S) == 0, run.text()
    assert not (run.folder / "run" / "tarn.sock").exists()


def test_its_files_are_used_again(quickstart):
    run = quickstart("0")
    assert run.process.wait(LIMIT_S) == 0, run.text()
    files = {path: path.stat().st_ino for path in run.folder.glob("run/*.img")}
    assert files
    again = quickstart("0")
    assert again.process.wait(LIMIT_S) == 0, again.text()
    assert {path: path.stat().st_ino for path in files} == files


def test_a_second_one_in_the_same_directory_is_refused(quickstart):
    first = quickstart()
    first.wait_up()
    second = subprocess.run(first.process.args, env=first.env, capture_output=True, text=True, check=False,
                            timeout=LIMIT_S)
    assert second.returncode == 1
    assert "already runs" in second.stderr
    assert first.process.poll() is None


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    done = subprocess.run([SCRIPT, os.path.join(BUILD, "bin"), "1"], capture_output=True, text=True, check=False,
                          env=dict(os.environ, TARN_RUN_DIR="/proc/nothing"))
    assert done.returncode == 1
    assert "TARN_RUN_DIR" in done.stderr


def readme_session():
    """The commands of the README's session, those behind "$ "."""
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        blocks = re.findall(r"^```console\n(.*?)^```", file.read(), re.M | re.S)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def test_the_session_of_the_readme_runs_as_printed(quickstart):
    commands = [command for command in readme_session() if not command.startswith("make")]
    assert len(commands) >= 4
    run = quickstart()
    run.wait_up()
    socket = str(run.folder / "run" / "tarn.sock")
    env = dict(os.environ, PATH=os.path.join(BUILD, "bin") + ":" + os.environ["PATH"], TARN_SOCKET=socket,
               TMPDIR=str(run.folder))
    for command in commands:
        if command.startswith("export "):
            continue  # where the daemon is; known here
        done = subprocess.run(["bash", "-c", command], cwd=run.folder, env=env, capture_output=True, text=True,
                              check=False, timeout=LIMIT_S)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
