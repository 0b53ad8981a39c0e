# SPDX-License-Identifier: BSD-3-Clause
"""Texts: licence lines, notes to oneself, traces of a developer's machine, white space, links."""
import os
import re

from tree import finding

# Spelled in pieces, so that this file is not a finding itself.
NOTES = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK"]) + r")\b")
BINARY = (".png", ".bin", ".img", ".gz")
LICENSED = (".c", ".h", ".py", ".sh", ".mk", "Makefile")
C_WIDTH_MAX = 100
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def is_text(name):
    return not name.endswith(BINARY) and "/corpus/" not in name


def licence(tree):
    scripts = set(tree.scripts(b"sh")) | set(tree.scripts(b"python"))
    for name in tree.files:
        if not (name.endswith(LICENSED) or name in scripts):
            continue
        if not any("SPDX-License-Identifier: BSD-3-Clause" in line for line in tree.lines(name)[:3]):
            yield finding(name, 1, "no SPDX line")


def notes(tree):
    for name in filter(is_text, tree.files):
        for number, line in enumerate(tree.lines(name), 1):
            match = NOTES.search(line)
            if match:
                yield finding(name, number, f"{match[1]}: do it, or write down why not")


def machine_paths(tree):
    """The place of this checkout, or of its user's files, stands in no file."""
    places = [place for place in (tree.top, os.path.expanduser("~")) if place.count("/") >= 2]
    patterns = [re.compile(r"(?<![\w./$}-])" + re.escape(place) + r"\b") for place in places]
    for name in filter(is_text, tree.files):
        for number, line in enumerate(tree.lines(name), 1):
            if any(pattern.search(line) for pattern in patterns):
                yield finding(name, number, "names a place on this machine")


def white_space(tree):
    for name in filter(is_text, tree.files):
        text = tree.read(name)
        for number, line in enumerate(text.split("\n"), 1):
            if line != line.rstrip():
                yield finding(name, number, "white space at the end")
        if text and not text.endswith("\n"):
            yield finding(name, text.count("\n") + 1, "no newline at the end")


def widths(tree):
    """clang-format breaks code, but leaves comments as they are."""
    for name in tree.sources(".c", ".h", ".py"):
        limit = C_WIDTH_MAX if not name.endswith(".py") else C_WIDTH_MAX + 20
        for number, line in enumerate(tree.lines(name), 1):
            if len(line.expandtabs(8)) > limit:
                yield finding(name, number, f"{len(line.expandtabs(8))} columns; at most {limit}")


def links(tree):
    """What a page links to within the tree is there."""
    for name in tree.sources(".md"):
        for number, line in enumerate(tree.lines(name), 1):
            for target in LINK.findall(line):
                if "://" in target or target.startswith("mailto:"):
                    continue
                if not os.path.exists(os.path.join(tree.top, os.path.dirname(name), target)):
                    yield finding(name, number, f"links to {target}, which is not there")
