# SPDX-License-Identifier: BSD-3-Clause
"""Checks by other programs: clang-format, clang-tidy, the compiler, shellcheck, pyflakes."""
import concurrent.futures
import hashlib
import os
import re
import shutil
import subprocess

from tree import finding

C_FLAGS = ["-std=gnu11", "-D_GNU_SOURCE", "-Iinclude", "-iquote", ".", "-Wall", "-Wextra"]
JOBS = max(1, min(2, os.cpu_count() or 1))


def run(tree, command):
    """Output of a program run at the top of the tree, or None where it is not installed."""
    if shutil.which(command[0]) is None:
        return None
    done = subprocess.run(command, cwd=tree.top, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace", check=False)
    return done.stdout


def missing(program):
    return finding("scripts/deps.sh", 1, f"{program} is not installed: scripts/deps.sh check")


def in_parallel(function, names):
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for findings in pool.map(function, names):
            yield from findings


def clang_format(tree):
    names = tree.sources(".c", ".h")
    if not names:
        return
    output = run(tree, ["clang-format-14", "--dry-run", "-Werror", *names])
    if output is None:
        yield missing("clang-format-14")
        return
    first = {}
    for match in re.finditer(r"^(\S+?):(\d+):\d+: error: (.*)", output, re.M):
        first.setdefault(match[1], match[2])
    for name, line in sorted(first.items()):
        yield finding(name, line, "not as clang-format-14 -i leaves it, from here on")


def dpdk_flags(tree):
    output = run(tree, ["pkg-config", "--cflags-only-I", "libdpdk"])
    return output.split() if output else []


def tidy_cache_key(tree, name, command):
    """A hash of what clang-tidy's findings in the source depend on: it, the headers it includes, the settings."""
    flags = command[command.index("--") + 1:]
    rule = run(tree, ["gcc", "-MM", *flags, name]).replace("\\\n", " ")
    read = [word for word in rule.split()[1:] if os.path.isfile(tree.path(word))]
    texts = [tree.read(path) for path in sorted(read + [".clang-tidy"])]
    return hashlib.sha256("\0".join([name, " ".join(command), rule, *texts]).encode()).hexdigest()


def clang_tidy(tree):
    """Static analysis of each source; one that had no findings is looked at again when it, a header
    that it includes or the settings have changed."""
    names = [name for name in tree.sources(".c") if not name.startswith("test/data/")]
    if not names:
        return
    if shutil.which("clang-tidy-14") is None:
        yield missing("clang-tidy-14")
        return
    dpdk = dpdk_flags(tree)
    cache = tree.path("build/lint")
    os.makedirs(cache, exist_ok=True)

    def look(name):
        extra = dpdk + ["-include", "rte_config.h"] if name == "lib/reactor/ring.c" else []
        command = ["clang-tidy-14", "--quiet", name, "--", *C_FLAGS, *extra]
        stamp = os.path.join(cache, tidy_cache_key(tree, name, command))
        if os.path.exists(stamp):
            return []
        output = run(tree, command)
        pattern = re.escape(tree.top) + r"/(?:\./)?(\S+?):(\d+):\d+: (?:warning|error): (.*)"
        found = [finding(m[1], m[2], m[3]) for m in re.finditer(pattern, output)]
        found += [finding(name, 1, m[0]) for m in re.finditer(r"^error: .*", output, re.M)]
        if not found:
            with open(stamp, "w", encoding="utf-8"):
                pass
        return found

    yield from sorted(set(in_parallel(look, names)))


def public_headers(tree):
    """Each public header compiles alone, twice in one file, and in C11 without a warning."""
    def look(name):
        text = f'#include "{name[len("include/"):]}"\n' * 2
        done = subprocess.run(["gcc", "-x", "c", "-fsyntax-only", "-Werror", *C_FLAGS, "-"], cwd=tree.top,
                              input=text, capture_output=True, text=True, check=False)
        return [] if done.returncode == 0 else [finding(name, 1, done.stderr.strip().splitlines()[0])]

    yield from in_parallel(look, [n for n in tree.sources(".h") if n.startswith("include/tarn/")])


def shell_scripts(tree):
    names = sorted(set(tree.scripts(b"sh")) | set(tree.sources(".sh")))
    if not names:
        return
    output = run(tree, ["shellcheck", "--format=gcc", *names])
    if output is None:
        yield missing("shellcheck")
        return
    for match in re.finditer(r"^(\S+?):(\d+):\d+: (.*)", output, re.M):
        yield finding(match[1], match[2], match[3])


def python_scripts(tree):
    names = sorted(set(tree.scripts(b"python")) | set(tree.sources(".py")))
    if not names:
        return
    output = run(tree, ["pyflakes3", *names])
    if output is None:
        yield missing("pyflakes3")
        return
    for match in re.finditer(r"^(\S+?):(\d+)(?::\d+)?:? (.*)", output, re.M):
        yield finding(match[1], match[2], match[3])
