# SPDX-License-Identifier: BSD-3-Clause
"""Layers: a folder includes only what its module.mk names in DEPS, and DEPS name only folders that
stand below it; siblings never include each other, and drivers are reached through their tables."""
import os
import re

from tree import finding

# From the ground up; what stands on one line are siblings. Drivers (lib/bdev/*) stand beside each other
# on lib/bdev, and test/ and app/ on everything.
LAYERS = [
    ["include"],
    ["lib/util"],
    ["lib/env"],
    ["lib/reactor"],
    ["lib/uring"],
    ["lib/jsonrpc", "lib/bdev"],
    ["lib/bdev/*"],
    ["lib/cache"],
    ["lib/nbd"],
    ["rpc"],
    ["app/*"],
]
# A public header that has another name than its folder.
HEADER_FOLDERS = {
    "util.h": "lib/util", "histogram.h": "lib/util", "log.h": "lib/util", "reason.h": "lib/util",
    "name.h": "lib/util", "notify.h": "lib/util", "info.h": "lib/util", "framework.h": "rpc",
    "json.h": "lib/jsonrpc", "rpc.h": "lib/jsonrpc", "version.h": "include",
}
# tarnck reads what the engine writes, by the engine's own code: the one program inside a library.
INSIDERS = {"app/tarnck": "lib/cache"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
DRIVER_HEADERS = {"bdev_driver.h", "bdev_file.h", "bdev_nvme.h", "bdev_wrapper.h", "bdev.h", "bdev_opts.h",
                  "bdev_stats.h"}


def rank(folder):
    for i, layer in enumerate(LAYERS):
        for place in layer:
            if folder == place or (place.endswith("/*") and os.path.dirname(folder) == place[:-2]):
                return i
    return None


def modules(tree):
    """{folder: (line of DEPS, [DEPS])} of every module.mk of the product."""
    found = {}
    for name in tree.files:
        folder, base = os.path.split(name)
        if base != "module.mk" or folder.startswith("test/"):
            continue
        found[folder] = (1, [])
        text = tree.read(name).replace("\\\n", "  ")
        for number, line in enumerate(text.splitlines(), 1):
            match = re.match(r"DEPS\s*:?=\s*(.*)", line)
            if match:
                found[folder] = (number, match[1].split())
    return found


def header_folder(header, folders):
    """The folder whose header it is: tarn/bdev_opts.h is lib/bdev's. None: nobody's."""
    base = os.path.basename(header)
    if base in HEADER_FOLDERS:
        return HEADER_FOLDERS[base]
    stem = base[:-2]
    while stem:
        for folder in ("lib/" + stem, stem):
            if folder in folders:
                return folder
        stem = stem.rpartition("_")[0]
    return None


def deps_order(tree):
    found = modules(tree)
    for folder, (line, deps) in found.items():
        name = folder + "/module.mk"
        own = rank(folder)
        if own is None:
            yield finding(name, 1, f"{folder} has no place in the layers (scripts/lint/layers.py)")
            continue
        for dep in deps:
            below = rank(dep)
            if dep != "include" and dep not in found:
                yield finding(name, line, f"DEPS: there is no {dep}")
            elif below is None or below >= own:
                yield finding(name, line, f"DEPS: {dep} does not stand below {folder}")
            elif dep.startswith("lib/bdev/"):
                yield finding(name, line, f"DEPS: {dep} is a driver, reached through its table only")


def file_includes(tree, name, folder, found):
    deps = found[folder][1]
    for number, line in enumerate(tree.lines(name), 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        header = match[1]
        if header.startswith("tarn/"):
            owner = header_folder(header, found)
            if owner is None:
                yield finding(name, number, f"{header} belongs to no folder (scripts/lint/layers.py)")
            elif owner not in (folder, "include") and owner not in deps:
                yield finding(name, number, f"{header} is {owner}'s, which DEPS do not name")
            elif header == "tarn/bdev_driver.h" and not folder.startswith("lib/bdev"):
                yield finding(name, number, "bdev_driver.h is for drivers only")
            elif owner == "lib/bdev" and folder.startswith("lib/bdev/") and header[5:] not in DRIVER_HEADERS:
                yield finding(name, number, f"a driver does not include {header}")
        elif os.path.dirname(header) not in ("", folder, INSIDERS.get(folder)):
            yield finding(name, number, f"{header} is another folder's own")


def includes(tree):
    found = modules(tree)
    for name in tree.sources(".c", ".h"):
        folder = os.path.dirname(name)
        if folder in found:
            yield from file_includes(tree, name, folder, found)


def public_includes(tree):
    """A public header includes only those of its own folder and of folders below."""
    found = modules(tree)
    for name in tree.sources(".h"):
        if os.path.dirname(name) != "include/tarn":
            continue
        own = header_folder(name, found)
        if own is None:
            yield finding(name, 1, "belongs to no folder (scripts/lint/layers.py)")
            continue
        for number, line in enumerate(tree.lines(name), 1):
            match = INCLUDE.match(line)
            other = match and header_folder(match[1], found)
            if other and other != own and (rank(other) or 0) >= (rank(own) or 0):
                yield finding(name, number, f"{match[1]} is {other}'s, which does not stand below {own}")
