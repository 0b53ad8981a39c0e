# SPDX-License-Identifier: BSD-3-Clause
"""tarnck on images that a real cache has left: clean, killed, and with each structure damaged in turn."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from tarn import BUILD, LIMIT_S

TARNCK = os.path.join(BUILD, "bin", "tarnck")
TARNPERF = os.path.join(BUILD, "bin", "tarnperf")
IMAGE_BYTES = 24 << 20
BLOCK = 4096
FOOTER_BYTES = 128  # at the end of a segment


def tarnck(*args):
    return subprocess.run([TARNCK, *map(str, args)], capture_output=True, text=True, timeout=LIMIT_S, check=False)


def checked(path, status):
    result = tarnck("--json", path)
    assert result.returncode == status, result.stderr + result.stdout
    report = json.loads(result.stdout)
    assert report["status"] == status
    return report


def perf_command(path, *args):
    return [TARNPERF, "--driver", "sync", "--destroy-data", "--quiet", "--json", "--shards", "1", *map(str, args), path]


def damage(path, offset, length=1):
    with open(path, "r+b") as file:
        file.seek(offset)
        data = file.read(length)
        file.seek(offset)
        file.write(bytes(byte ^ 0x10 for byte in data))


def dump(path, what):
    """Lines of the dump as (kind, {name: number}), in order."""
    result = tarnck(f"--dump={what}", path)
    found = []
    for line in result.stdout.splitlines():
        match = re.match(r"(superblock|checkpoint|segment|batch|entry) ", line)
        if match:
            numbers = {name: int(value, 0) for name, value in re.findall(r"([a-z_0-9]+) (0x[0-9a-f]+|\d+)\b", line)}
            found.append((match[1], line, numbers))
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A clean image and that of a killed process. Both are copied before they are changed."""
    folder = tmp_path_factory.mktemp("tarnck")
    clean, killed = str(folder / "clean"), str(folder / "killed")
    with open(clean, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(perf_command(clean, "--cache", "mixed", "--keys", 3000, "--ios", 9000), check=True,
                   stdout=subprocess.DEVNULL, timeout=LIMIT_S)
    shutil.copyfile(clean, killed)
    command = perf_command(killed, "--cache", "store", "--keys", 2000, "--time", 60, "--progress")
    command.remove("--quiet")
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline()  # it runs
        time.sleep(0.3)
        process.kill()  # in the middle of its stores
    return {"clean": clean, "killed": killed}


@pytest.fixture
def image(images, folder):
    """image("clean") is a copy to damage."""
    def copy(name):
        path = os.path.join(folder, name)
        shutil.copyfile(images[name], path)
        return path

    return copy


def test_a_clean_stop_is_clean_and_nothing_is_written(image):
    path = image("clean")
    with open(path, "rb") as file:
        before = file.read()
    report = checked(path, 0)
    assert report["result"] == "clean"
    assert report["cache"]["clean_stop"] is True
    assert report["findings"] == []
    assert report["contents"]["objects"] > 1000
    assert sum(size["entries"] for size in report["contents"]["sizes"]) == report["contents"]["objects"]
    assert sum(age["entries"] for age in report["contents"]["ages"]) == report["contents"]["objects"]
    with open(path, "rb") as file:
        assert file.read() == before


def test_what_it_counts_is_what_the_next_start_finds(image):
    path = image("killed")
    report = checked(path, 1)
    assert report["cache"]["clean_stop"] is False
    assert report["shards"][0]["segments_followed"] > 10
    found = json.loads(subprocess.run(perf_command(path, "--cache", "lookup", "--no-fill", "--ios", 1), check=True,
                                      capture_output=True, text=True, timeout=LIMIT_S).stdout)
    assert found["cache"]["clean_start"] is False
    assert found["cache"]["entries"] == report["contents"]["objects"]


def first_of(lines, kind, **wanted):
    return next(numbers for found, _, numbers in lines if found == kind and
                all(numbers.get(name) == value for name, value in wanted.items()))


def places(path):
    """Offsets of one of each structure, in the middle of the log."""
    report = checked(path, 0)
    segment_bytes = report["cache"]["segment_bytes"]
    middle = (report["shards"][0]["tail_segment"] + report["shards"][0]["head_segment"]) // 2
    lines = dump(path, "entries")
    segment = first_of(lines, "segment", sequence=middle)
    batch = first_of(lines, "batch", sequence=middle)
    index = next(i for i, (kind, _, numbers) in enumerate(lines) if kind == "batch" and numbers is batch)
    entry = lines[index + 1][2]
    checkpoint = next(line for kind, line, _ in lines if kind == "checkpoint" and " whole " in line)
    area = int(re.search(r"offset (\d+)", checkpoint)[1])
    last = segment["offset"] + segment_bytes - BLOCK
    return {
        "superblock": (1000, None),
        "checkpoint header": (area + 200, area),
        "checkpoint chunk": (area + BLOCK + BLOCK + 77, area + BLOCK),
        "segment header": (segment["offset"] + 30, segment["offset"]),
        "batch": (segment["offset"] + batch["block"] * BLOCK + 140, segment["offset"] + batch["block"] * BLOCK),
        "record": (segment["offset"] + entry["place"] * 16 + 300, segment["offset"] + batch["block"] * BLOCK),
        "trailer": (last + 50, None),  # of few entries: it shares its last block with the footer
        "footer": (last + BLOCK - FOOTER_BYTES + 33, last),
    }


@pytest.mark.parametrize("what", ["superblock", "checkpoint header", "checkpoint chunk", "segment header", "batch",
                                  "record", "trailer", "footer"])
def test_each_damaged_structure_is_named_by_its_place(image, what):
    path = image("clean")
    at, offset = places(path)[what]
    damage(path, at)
    report = checked(path, 4)
    named = [finding for finding in report["findings"] if finding["what"] == what]
    assert named, report["findings"]
    if offset is not None:
        assert offset in [finding["offset_bytes"] for finding in named], (offset, named)
    assert "damage" in [finding["severity"] for finding in named]
    text = tarnck(path).stdout
    assert re.search(rf"^damage +{what} at byte \d+: ", text, re.MULTILINE), text


def test_damage_to_several_records_of_a_segment_names_each(image):
    path = image("clean")
    lines = dump(path, "entries")
    report = checked(path, 0)
    middle = report["shards"][0]["tail_segment"] + 5
    segment = first_of(lines, "segment", sequence=middle)
    inside = False
    records = []
    for kind, _, numbers in lines:
        if kind in ("segment", "batch"):
            inside = numbers.get("sequence") == middle
        elif kind == "entry" and inside and numbers.get("object") is None and len(records) < 3:
            records.append(numbers["place"])
    for place in records:
        damage(path, segment["offset"] + place * 16 + 500)
    found = [finding for finding in checked(path, 4)["findings"] if finding["what"] == "record"]
    assert len(found) == 3


def test_one_superblock_is_enough_and_none_is_refused(image):
    path = image("clean")
    damage(path, 500)
    assert checked(path, 4)["contents"]["objects"] > 1000
    damage(path, BLOCK + 500)
    report = checked(path, 4)
    assert "both superblocks" in report["reason"]


def test_without_a_checkpoint_the_log_says_the_same(image):
    path = image("clean")
    objects = checked(path, 0)["contents"]["objects"]
    at, _ = places(path)["checkpoint chunk"]
    damage(path, at)
    report = checked(path, 4)
    assert report["contents"]["objects"] == objects
    assert not any(checkpoint["used"] for checkpoint in report["checkpoints"])


def test_where_the_newest_checkpoint_is_damaged_the_older_one_is_used_as_by_a_start(image):
    path = image("clean")
    lookup = perf_command(path, "--cache", "lookup", "--no-fill", "--ios", 1)
    subprocess.run(lookup, check=True, stdout=subprocess.DEVNULL, timeout=LIMIT_S)  # a second clean stop
    before = checked(path, 0)
    assert sorted(checkpoint["there"] for checkpoint in before["checkpoints"]) == [True, True]
    newest = [checkpoint["used"] for checkpoint in before["checkpoints"]].index(True)
    area = [numbers["offset"] for kind, _, numbers in dump(path, "batches")
            if kind == "checkpoint" and "offset" in numbers][newest]
    damage(path, area + BLOCK + BLOCK + 77)
    report = checked(path, 4)
    assert [checkpoint["used"] for checkpoint in report["checkpoints"]] == [newest == 1, newest == 0]
    assert report["contents"]["objects"] == before["contents"]["objects"]
    assert f"would begin with checkpoint {'BA'[newest]}, and then" in tarnck(path).stdout
    found = json.loads(subprocess.run(lookup, check=True, capture_output=True, text=True, timeout=LIMIT_S).stdout)
    assert found["cache"]["clean_start"] is False
    assert found["cache"]["entries"] == report["contents"]["objects"]


def test_damage_below_what_was_flushed_makes_older_dirty_blocks_suspect(folder):
    path = os.path.join(folder, "blocks")
    with open(path, "wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(perf_command(path, "--cache", "block-write", "--keys", 2000, "--ios", 6000), check=True,
                   stdout=subprocess.DEVNULL, timeout=LIMIT_S)
    report = checked(path, 0)
    blocks = report["contents"]["blocks"]
    assert 1500 < blocks == report["contents"]["dirty_blocks"]
    at, segment = places(path)["segment header"]
    damage(path, at)
    named = checked(path, 4)  # what stands in for it says the same
    assert named["contents"]["blocks"] == blocks and named["shards"][0]["holes_in_flushed"] == 0
    damage(path, segment + BLOCK + 20)
    damage(path, segment + report["cache"]["segment_bytes"] - FOOTER_BYTES + 20)
    covered = checked(path, 4)  # the checkpoint knows what was there
    assert covered["shards"][0]["holes_in_flushed"] == 0
    assert covered["contents"]["suspect_blocks"] == 0
    for checkpoint in re.findall(r"^checkpoint [AB] offset (\d+)", tarnck("--dump", path).stdout, re.MULTILINE):
        damage(path, int(checkpoint) + 200)
    report = checked(path, 4)
    assert report["shards"][0]["holes_in_flushed"] == 1
    assert segment in [finding["offset_bytes"] for finding in report["findings"]]
    assert 0 < report["contents"]["suspect_blocks"] < report["contents"]["dirty_blocks"] < blocks
    assert "suspect" in tarnck(path).stdout


def test_a_torn_batch_at_the_end_is_no_damage(image):
    path = image("killed")
    report = checked(path, 1)
    lines = dump(path, "batches")
    last = [numbers for kind, _, numbers in lines if kind == "batch"]
    last = max(last, key=lambda batch: (batch["sequence"], batch["block"]))
    segment = first_of(lines, "segment", sequence=last["sequence"])
    per_segment = report["cache"]["segment_bytes"] // BLOCK
    if last["sequence"] * per_segment + last["block"] < report["shards"][0]["durable_position"]:
        pytest.skip("what was written last was flushed before the kill")
    damage(path, segment["offset"] + last["block"] * BLOCK + 20)
    torn = checked(path, 1)
    assert [finding["severity"] for finding in torn["findings"]] == ["torn"]
    assert torn["shards"][0]["head_segment"] == last["sequence"]
    assert torn["shards"][0]["end_block"] == last["block"]
    assert "not whole" in torn["shards"][0]["ends_because"]


def test_what_is_no_cache_is_told_apart_from_damage(folder):
    path = os.path.join(folder, "image")
    assert tarnck(path).returncode == 8
    with open(path, "wb") as file:
        file.truncate(1 << 20)
    assert "no cache" in tarnck(path).stderr
    assert tarnck(path).returncode == 8
    with open(path, "wb") as file:
        file.write(os.urandom(1 << 20))
    assert tarnck(path).returncode == 8
    assert tarnck(folder).returncode == 8


def test_a_newer_version_is_not_guessed_at(image):
    path = image("clean")
    with open(path, "r+b") as file:
        for copy in (0, BLOCK):
            file.seek(copy + 8)
            file.write((1000).to_bytes(4, "little"))
    assert tarnck(path).returncode in (4, 8)  # without its checksum it may as well be damage


def test_a_device_that_shrank_is_told(image):
    path = image("clean")
    os.truncate(path, IMAGE_BYTES // 2)
    result = tarnck(path)
    assert result.returncode == 4
    assert "shrunk" in result.stderr


def test_an_image_that_a_daemon_holds_is_refused(image):
    path = image("clean")
    with open(path, "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        result = tarnck(path)
    assert result.returncode == 8
    assert "in use" in result.stderr


def test_usage(image):
    path = image("clean")
    for args in ([], ["--nonsense", path], [path, path], ["--dump=x", path], ["--shard", "1", path],
                 ["--json", "--dump", path], ["--dump", "--segment", "x", path]):
        result = tarnck(*args)
        assert result.returncode == 16, args
        assert "tarnck --help" in result.stderr


def test_the_dump_can_be_narrowed(image):
    path = image("clean")
    report = checked(path, 0)
    middle = report["shards"][0]["head_segment"] - 2  # the last one may have no entries yet
    kinds = {(kind, numbers.get("sequence")) for kind, _, numbers in dump(path, "batches") if kind == "batch"}
    assert len(kinds) > 10
    narrowed = tarnck("--dump=entries", "--segment", middle, path).stdout
    assert set(re.findall(r"^batch .* sequence (\d+) ", narrowed, re.MULTILINE)) == {str(middle)}
    assert re.search(r"^entry 0 ", narrowed, re.MULTILINE)


def test_help_shows_an_example_that_runs_as_printed(folder):
    text = tarnck("--help").stdout
    example = text[text.index("Example"):text.index("Exit status")].splitlines()[1:]
    script = "\n".join(example).replace("/tmp/", folder + "/")
    environment = dict(os.environ, PATH=os.path.dirname(TARNCK) + ":" + os.environ["PATH"])
    done = subprocess.run(["sh", "-ec", script], env=environment, capture_output=True, text=True, timeout=LIMIT_S,
                          check=False)
    assert done.returncode == 0, done.stderr


def test_progress_goes_to_stderr_and_an_interrupt_ends_it(image):
    path = image("clean")
    with subprocess.Popen([TARNCK, "--progress", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=LIMIT_S)
    assert process.returncode in (0, -signal.SIGINT)
