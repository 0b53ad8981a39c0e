# SPDX-License-Identifier: BSD-3-Clause
"""Each ready-made configuration starts, and is strict JSON in the form that save_config gives."""
import glob
import json
import os

import pytest
from tarn import TOP

FILES = sorted(glob.glob(os.path.join(TOP, "json-config", "*.json")))


def calls(config):
    return [call for subsystem in config["subsystems"] for call in subsystem["config"]]


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def test_the_readme_lists_every_file():
    with open(os.path.join(TOP, "json-config", "README.md"), encoding="utf-8") as file:
        readme = file.read()
    assert FILES and all(f"`{os.path.basename(path)}`" in readme for path in FILES)


@pytest.mark.parametrize("path", FILES, ids=os.path.basename)
def test_it_starts_and_gives_every_device_and_cache(start, folder, path):
    config = load(path)
    for number, call in enumerate(calls(config)):
        name = call["params"].get("filename")
        if name is None:
            continue
        if os.path.isabs(name):  # a device that this machine need not have: a file stands in for it
            name = call["params"]["filename"] = f"stand-in{number}.img"
            call["method"] = call["method"].replace("uring_cmd", "uring")  # which has the same parameters, and files
        with open(os.path.join(folder, name), "wb") as file:
            file.truncate(256 << 20)
    with open(os.path.join(folder, "c.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    daemon = start("-c", "c.json")
    there = [item["name"] for item in daemon.rpc.bdev_get_bdevs() + daemon.rpc.cache_get_caches()]
    assert there == [call["params"]["name"] for call in calls(config)]
    saved = calls(daemon.rpc.save_config())
    assert [call["method"] for call in saved] == [call["method"] for call in calls(config)]


def test_where_there_are_no_poll_queues_the_nvme_configuration_says_so(start, folder):
    config = load(os.path.join(TOP, "json-config", "nvme-iopoll.json"))
    for number, call in enumerate(calls(config)):
        call["params"]["filename"] = f"{number}.img"
        with open(os.path.join(folder, f"{number}.img"), "wb") as file:
            file.truncate(64 << 20)
    with open(os.path.join(folder, "c.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    for bdev in start("-c", "c.json").rpc.bdev_get_bdevs():
        said = json.dumps(bdev["driver_specific"]["uring"])
        assert "iopoll" in said and "poll" in said.replace("iopoll", "")
