# SPDX-License-Identifier: BSD-3-Clause
"""scripts/compare-drivers: what it measures, what it leaves alone, and its reports."""
import hashlib
import json
import os
import subprocess
import sys
import xml.dom.minidom

import pytest
from tarn import BUILD, TOP

SCRIPT = os.path.join(TOP, "scripts", "compare-drivers")
TARNPERF = os.path.join(BUILD, "bin", "tarnperf")
LIMIT_S = 300
SIZE = 16 << 20


def compare(folder, *args, status=0):
    result = subprocess.run([sys.executable, SCRIPT, "--tarnperf", TARNPERF, "--quick", "--rounds", "2", "--seconds",
                             "0.02", *args], cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert result.returncode == status, result.stderr + result.stdout
    return result


def report(folder):
    with open(os.path.join(folder, "compare-drivers.json"), encoding="utf-8") as file:
        return json.load(file)


def page(folder):
    with open(os.path.join(folder, "compare-drivers.html"), encoding="utf-8") as file:
        return file.read()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    """One run on a file that is made for it."""
    folder = tmp_path_factory.mktemp("compare")
    result = compare(folder, "--size", "16m", "new")
    return folder, result, report(folder)


def test_a_file_made_for_it_is_written_to_and_gone_afterwards(quick):
    folder, _, found = quick
    (target,) = found["targets"]
    assert target["kind"] == "file made for this" and target["written"] is True
    assert {result["rw"] for result in target["results"]} == {"randread", "randwrite", "read", "write"}
    assert not os.path.exists(os.path.join(folder, "new"))


def test_every_mode_is_measured_or_its_reason_told(quick):
    _, result, found = quick
    (target,) = found["targets"]
    assert [mode["name"] for mode in target["modes"]][:3] == ["sync", "sync, 8 threads", "aio"]
    for mode in target["modes"]:
        measured = [entry for entry in target["results"] if entry["mode"] == mode["name"]]
        assert bool(measured) == mode["works"]
        assert mode["works"] or mode["reason"] and mode["reason"] in result.stdout
    assert {"sync", "aio"} <= {mode["name"] for mode in target["modes"] if mode["works"]}


def test_each_result_has_its_rounds_median_and_ratio(quick):
    _, _, found = quick
    for result in found["targets"][0]["results"]:
        for key in ("iops", "bytes_per_s", "mean_us", "p99_us", "cpu_us", "ratio_to_sync"):
            summary = result[key]
            assert set(summary) == {"median", "spread", "values"}
            assert len(summary["values"]) == found["settings"]["rounds"]
            assert min(summary["values"]) <= summary["median"] <= max(summary["values"])
        if result["mode"] == "sync":
            assert result["ratio_to_sync"]["median"] == 1


def test_published_ratios_stand_beside_one_s_own(quick):
    _, result, found = quick
    assert [(entry["what"], entry["ratio"]) for entry in found["published"]] == [
        ("4 KiB writes", 1.67), ("1 MiB writes", 1.67), ("batches of 100 operations", 2.5)]
    if any(mode["works"] for mode in found["targets"][0]["modes"] if mode["name"] == "uring"):
        assert "published, and here" in result.stdout
        assert "2.50 x" in page(quick[0])


def test_the_page_is_well_formed_and_needs_nothing_else(quick):
    folder, _, found = quick
    text = page(folder)
    document = xml.dom.minidom.parseString(text.split("\n", 1)[1])
    plots = document.getElementsByTagName("svg")
    loads = {result["load"] for result in found["targets"][0]["results"]}
    assert len(plots) == 2 + len(loads)  # latency of reads and of writes; a row of bars for each load
    for word in ("http:", "https:", "<script", "<link", "@import", "url("):
        assert word not in text
    assert found["machine"]["kernel"] in text and found["machine"]["cpu"] in text


def test_what_a_path_is_called_cannot_break_the_page(folder):
    name = "a<b>&\"c"
    compare(folder, "--size", "1m", name)
    text = page(folder)
    xml.dom.minidom.parseString(text.split("\n", 1)[1])
    assert "a&lt;b&gt;&amp;" in text


def test_a_report_is_made_again_from_its_json(quick, folder):
    source = os.path.join(quick[0], "compare-drivers.json")
    again = compare(folder, "--report", source, "x")
    assert page(folder) == page(quick[0])
    assert quick[1].stdout.splitlines()[:20] == again.stdout.splitlines()[:20]


def test_a_file_that_holds_data_is_only_read(folder):
    path = os.path.join(folder, "data")
    with open(path, "wb") as file:
        file.write(os.urandom(SIZE))
    before = digest(path)
    result = compare(folder, path)
    assert digest(path) == before
    assert "only read" in result.stdout
    (target,) = report(folder)["targets"]
    assert target["written"] is False
    assert {entry["rw"] for entry in target["results"]} == {"randread", "read"}
    compare(folder, "--destroy-data", path)
    assert digest(path) != before


def test_a_device_is_only_read(folder):
    if os.geteuid() != 0:
        pytest.skip("a loop device needs root")
    path = os.path.join(folder, "backing")
    with open(path, "wb") as file:
        file.write(os.urandom(SIZE))
    found = subprocess.run(["losetup", "--find", "--show", path], capture_output=True, text=True, check=False)
    if found.returncode != 0:
        pytest.skip(f"no loop device: {found.stderr}")
    device = found.stdout.strip()
    try:
        before = digest(path)
        compare(folder, device)
        assert digest(path) == before
        (target,) = report(folder)["targets"]
        assert target["kind"] == "block device" and target["written"] is False
        assert target["facts"]["device"] == os.path.basename(device)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def test_what_cannot_be_compared_is_refused_with_the_reason(folder):
    assert "/dev/null" in compare(folder, "/dev/null", status=1).stderr
    assert "--size" in compare(folder, "--size", "many", "x", status=1).stderr
    missing = subprocess.run([sys.executable, SCRIPT, "--tarnperf", "/nonexistent/tarnperf", "--size", "1m", "x"],
                             cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert missing.returncode == 1 and "run make" in missing.stderr
    assert not os.path.exists(os.path.join(folder, "x"))
