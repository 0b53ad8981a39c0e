# SPDX-License-Identifier: BSD-3-Clause
"""Sizes: of files, functions, argument lists, folder READMEs. Functions are found by the house
style: the return type on its own line, then the name at the start of a line, then "{" alone."""
import os
import re

from tree import finding

C_LINES_MAX = 600
H_LINES_MAX = 250
MAKEFILE_LINES_MAX = 250
README_LINES_MAX = 40
FUNCTION_LINES_MAX = 70
ARGUMENTS_MAX = 5
# bdev.h's calls that name a place on a device, what to do there, and a callback.
MANY_ARGUMENTS_ALLOWED = re.compile(
    r"tarn_bdev_(readv|writev|read|write|discard|write_zeroes|get_stats)$")
HEAD = re.compile(r"^(\w+)\((.*)")


def file_sizes(tree):
    limits = [(name, C_LINES_MAX) for name in tree.sources(".c")]
    limits += [(name, H_LINES_MAX) for name in tree.sources(".h")]
    limits += [(name, MAKEFILE_LINES_MAX) for name in tree.files if name == "Makefile"]
    limits += [(name, README_LINES_MAX) for name in tree.files
               if name.endswith("/README.md")]
    for name, limit in limits:
        count = len(tree.lines(name))
        if count > limit:
            yield finding(name, limit + 1, f"{count} lines; at most {limit}")


def functions(lines):
    """Yield (first line, name, arguments, number of lines) of each definition."""
    i = 0
    while i < len(lines):
        head = HEAD.match(lines[i])
        if not head:
            i += 1
            continue
        start = i
        text = head[2]
        while i + 1 < len(lines) and lines[i + 1] != "{" and lines[i + 1].startswith(("\t", " ")):
            i += 1
            text += " " + lines[i].strip()
        i += 1
        if i >= len(lines) or lines[i] != "{":
            continue  # a macro's use, or a declaration
        end = next((j for j in range(i, len(lines)) if lines[j] == "}"), len(lines) - 1)
        yield start + 1, head[1], text.rpartition(")")[0], end - start + 1
        i = end + 1


def argument_count(text):
    depth = 0
    count = 1 if text.strip() not in ("", "void") else 0
    for char in text:
        depth += (char == "(") - (char == ")")
        count += char == "," and depth == 0
    return count


def function_sizes(tree):
    for name in tree.sources(".c", ".h"):
        for line, function, arguments, count in functions(tree.lines(name)):
            if count > FUNCTION_LINES_MAX:
                yield finding(name, line, f"{function}() has {count} lines; at most {FUNCTION_LINES_MAX}")
            arguments = argument_count(arguments)
            if arguments > ARGUMENTS_MAX and not MANY_ARGUMENTS_ALLOWED.match(function):
                yield finding(name, line, f"{function}() has {arguments} arguments; at most {ARGUMENTS_MAX}")


def folder_readmes(tree):
    """Every folder that holds files of ours says what it is."""
    folders = {os.path.dirname(name) for name in tree.files}
    for folder in sorted(folders):
        top = folder.split("/")[0]
        if top not in ("lib", "app", "rpc", "json-config", "test", "scripts", "include", "doc"):
            continue
        if folder == "include/tarn" or re.match(r"test/(unit|fuzz/corpus|data)/", folder):
            continue  # of one kind, described in the folder above
        if folder + "/README.md" not in tree.files:
            yield finding(folder, 1, "no README.md")
