# SPDX-License-Identifier: BSD-3-Clause
"""tarnperf --cache: loads on a cache made in its process, checked values, ratios, refusals."""
import json
import os
import subprocess

import pytest
from tarn import BUILD, LIMIT_S

TARNPERF = os.path.join(BUILD, "bin", "tarnperf")


def tarnperf(*args, status=0):
    result = subprocess.run([TARNPERF, *map(str, args)], capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert result.returncode == status, result.stderr + result.stdout
    return result


def measured(*args, status=0):
    return json.loads(tarnperf("--json", "--quiet", *args, status=status).stdout)


@pytest.fixture
def image(folder):
    path = os.path.join(folder, "image")
    with open(path, "wb") as file:
        file.truncate(48 << 20)
    return path


@pytest.mark.parametrize("load,expected", [("store", {"store"}), ("lookup", {"hit"}), ("mixed", {"hit", "store"}),
                                           ("block-read", {"hit"}), ("block-write", {"store"})])
def test_each_load_does_its_operations_and_values_are_right(load, expected):
    result = measured("--driver", "ram", "--cache", load, "--keys", 2000, "--ios", 5000, "--verify")
    done = {name for name in ("hit", "miss", "store") if result[name]["count"] > 0}
    assert expected <= done
    assert sum(result[name]["count"] for name in ("hit", "miss", "store")) == 5000
    assert result["verify"]["wrong"] == 0 and result["errors"] == 0
    assert (result["verify"]["checked"] > 0) == ("hit" in expected)
    assert 0 < result["cache"]["entries"] <= 2000


def test_aside_stores_what_it_missed_and_hits_it_the_next_time():
    result = measured("--driver", "ram", "--cache", "aside", "--keys", 500, "--ios", 5000, "--depth", 1)
    assert result["miss"]["count"] == result["store"]["count"]
    assert result["miss"]["count"] <= 500
    assert result["hit"]["count"] + result["miss"]["count"] + result["store"]["count"] >= 5000
    assert 0.8 < result["hit_ratio"] < 1


def test_plain_lru_is_simulated_on_the_same_accesses():
    result = measured("--driver", "ram", "--cache", "aside", "--keys", 500, "--ios", 5000, "--depth", 1, "--lru", 500)
    assert result["lru_hit_ratio"] == pytest.approx(result["hit_ratio"], abs=1e-9)  # both hold all keys
    small = measured("--driver", "ram", "--cache", "aside", "--keys", 500, "--ios", 5000, "--lru", 5)
    assert small["lru_hit_ratio"] < 0.1


@pytest.mark.parametrize("sizes", ["1", "100-9000", "100,4k,64k"])
def test_sizes_are_what_was_asked_for(sizes):
    result = measured("--driver", "ram", "--cache", "lookup", "--keys", 300, "--ios", 1000, "--value-size", sizes,
                      "--verify")
    assert result["verify"] == {"checked": result["hit"]["count"], "wrong": 0}
    mean = result["hit"]["bytes"] / result["hit"]["count"]
    low, high = {"1": (1, 1), "100-9000": (3500, 5600), "100,4k,64k": (15000, 31000)}[sizes]
    assert low <= mean <= high


def test_batches_reactors_and_zipf_go_together():
    cpus = sorted(os.sched_getaffinity(0))[:2]
    result = measured("--driver", "ram", "--cache", "mixed", "--read-percent", 80, "--keys", 3000, "--ios", 8000,
                      "--batch", 16, "--random", "zipf:1.1", "--cpus", ",".join(map(str, cpus)), "--jobs", 2,
                      "--verify")
    assert result["settings"]["jobs"] == 2 * len(cpus)
    assert result["verify"]["wrong"] == 0 and result["errors"] == 0
    assert sum(result[name]["count"] for name in ("hit", "miss", "store")) == 8000


def test_what_is_looked_up_was_stored_before():
    for load in ("lookup", "mixed"):
        result = measured("--driver", "ram", "--cache", load, "--keys", 1000, "--ios", 3000)
        assert result["hit_ratio"] == 1.0
        assert result["cache"]["entries"] == 1000


def test_a_ttl_ends_what_was_stored():
    result = measured("--driver", "ram", "--cache", "lookup", "--keys", 100, "--ttl", 1, "--warmup", "3s", "--ios", 500)
    assert result["hit"]["count"] == 0 and result["miss"]["count"] >= 500


def test_a_scan_goes_through_further_keys():
    result = measured("--driver", "ram", "--cache", "lookup", "--keys", 1000, "--ios", 4000, "--scan-percent", 25)
    assert 800 < result["miss"]["count"] < 1200  # keys that nobody stored


def test_a_cache_is_found_again(image):
    options = ("--driver", "sync", "--destroy-data", "--keys", 500)
    first = measured(*options, "--cache", "store", "--sequential", "--ios", 500, "--verify", image)
    assert first["cache"]["formatted"] is True
    again = measured(*options, "--cache", "lookup", "--no-fill", "--ios", 2000, "--verify", image)
    assert again["cache"]["formatted"] is False and again["cache"]["clean_start"] is True
    assert again["hit_ratio"] == 1.0
    anew = measured(*options, "--cache", "lookup", "--no-fill", "--ios", 100, "--format", image)
    assert anew["hit_ratio"] == 0


def test_a_file_with_data_is_not_formatted_without_permission(folder):
    path = os.path.join(folder, "data")
    with open(path, "wb") as file:
        file.write(os.urandom(32 << 20))
    assert "--destroy-data" in tarnperf("--cache", "store", "--ios", 10, path, status=2).stderr
    assert measured("--driver", "sync", "--cache", "store", "--ios", 10, "--destroy-data", path)["errors"] == 0


def test_what_contradicts_is_refused_by_name():
    for args, named in ((["--lru", "5"], "--lru"), (["--cache", "sideways"], "--cache"),
                        (["--cache", "store", "--keys", "0"], "--keys"),
                        (["--cache", "store", "--value-size", "9-5"], "--value-size"),
                        (["--cache", "block-read", "--batch", "4"], "--batch"),
                        (["--cache", "store", "--rate", "4"], "--rate")):
        assert named in tarnperf("--driver", "ram", *args, status=2).stderr, args


def test_text_tells_hits_latency_and_cpu():
    text = tarnperf("--driver", "ram", "--cache", "aside", "--keys", 100, "--ios", 1000, "--quiet").stdout
    for part in ("hits ", "latency us", "CPU ", "write amplification"):
        assert part in text
