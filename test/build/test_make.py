# SPDX-License-Identifier: BSD-3-Clause
"""The Makefile rebuilds what it must and no more, and installs a complete tree."""
import os
import re
import shutil
import subprocess
import time

import pytest

TOP = os.path.realpath(os.path.join(os.path.dirname(__file__), "..", ".."))
BUILD = os.environ.get("TARN_BUILD", os.path.join(TOP, "build", "plain"))
UTIL_OBJECT = "build/plain/lib/util/string.o"
ENV_OBJECT = "build/plain/lib/env/cpu.o"


def make(top, *arguments):
    env = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "SAN")}
    done = subprocess.run(["make", *arguments], cwd=top, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def small_tree(tmp_path):
    """A copy of what two folders are built from, built."""
    for folder in ("include", "lib/util", "lib/env", "scripts"):
        shutil.copytree(os.path.join(TOP, folder), tmp_path / folder)
    shutil.copy(os.path.join(TOP, "Makefile"), tmp_path)
    assert compiled(make(tmp_path, UTIL_OBJECT, ENV_OBJECT)) == {UTIL_OBJECT, ENV_OBJECT}
    return tmp_path


def compiled(output):
    return set(re.findall(r"^  CC +(\S+)", output, re.M))


def touch_later(path):
    """As if edited: newer than everything built, whatever the clock's grain."""
    later = time.time() + 10
    os.utime(path, (later, later))


def test_nothing_is_compiled_twice(small_tree):
    assert compiled(make(small_tree, UTIL_OBJECT, ENV_OBJECT)) == set()


def test_a_changed_header_rebuilds_what_includes_it(small_tree):
    touch_later(small_tree / "include/tarn/env.h")
    assert compiled(make(small_tree, UTIL_OBJECT, ENV_OBJECT)) == {ENV_OBJECT}


def test_a_header_that_is_gone_breaks_no_build(small_tree):
    make(small_tree, UTIL_OBJECT)
    header = small_tree / "include/tarn/gone.h"
    source = small_tree / "lib/util/string.c"
    text = source.read_text()
    header.write_text("/* SPDX-License-Identifier: BSD-3-Clause */\n#pragma once\n")
    source.write_text('#include "tarn/gone.h"\n' + text)
    touch_later(source)
    make(small_tree, UTIL_OBJECT)
    header.unlink()
    source.write_text(text)
    touch_later(source)
    make(small_tree, UTIL_OBJECT)


def test_changed_flags_rebuild_everything(small_tree):
    assert compiled(make(small_tree, "CFLAGS=-O1", UTIL_OBJECT, ENV_OBJECT)) == {UTIL_OBJECT, ENV_OBJECT}


def test_sanitizers_build_beside_the_plain_build(small_tree):
    other = UTIL_OBJECT.replace("plain", "address-undefined")
    assert compiled(make(small_tree, "SAN=address,undefined", other)) == {other}
    assert compiled(make(small_tree, UTIL_OBJECT)) == set()


def test_clean_removes_what_was_built(small_tree):
    make(small_tree, "clean")
    assert not (small_tree / "build").exists()


def test_help_names_every_target():
    with open(os.path.join(TOP, "Makefile"), encoding="utf-8") as file:
        phony = set(" ".join(re.findall(r"^\.PHONY: (.*)", file.read(), re.M)).split())
    inner = {"FORCE", "hint", "test-bins", "lab-bins", "fuzz-bins"}
    inner |= {name for name in phony if name.startswith("deps-")}
    told = make(TOP, "help")
    assert [name for name in sorted(phony - inner - {"all"}) if f"make {name}" not in told] == []


def test_deps_asks_for_nothing_when_all_is_there():
    script = os.path.join(TOP, "scripts", "deps.sh")
    if subprocess.run([script, "--check"], capture_output=True, check=False).returncode != 0:
        pytest.skip("not all packages are installed here")
    # A PATH without apt-get and sudo: it must not even look for them.
    done = subprocess.run([script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_deps_names_an_unknown_group():
    done = subprocess.run([os.path.join(TOP, "scripts", "deps.sh"), "nonsense"], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2
    assert "no group 'nonsense'" in done.stderr


INSTALLED = [
    "bin/tarnd", "bin/tarnctl", "bin/tarnperf", "bin/tarnck", "lib/libtarn.so", "lib/libtarn.a",
    "lib/pkgconfig/tarn.pc",
    "lib/systemd/system/tarnd.service", "include/tarn/bdev.h", "share/man/man8/tarnd.8",
    "share/man/man1/tarnctl.1", "share/man/man1/tarnperf.1", "share/man/man8/tarnck.8",
    "share/bash-completion/completions/tarnctl", "share/tarn/json-config/quickstart.json",
    "share/tarn/tarn_rpc.py", "share/tarn/example/cache.c",
]
CONSUMER = """
#include <stdio.h>
#include <tarn/env.h>
#include <tarn/version.h>

int
main(void)
{
	if (tarn_env_init(NULL) != 0)
		return 1;
	puts(TARN_VERSION);
	tarn_env_fini();
	return 0;
}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if os.path.basename(BUILD) != "plain":
        pytest.skip("for the plain build only")
    destination = tmp_path_factory.mktemp("install")
    make(TOP, "install", f"DESTDIR={destination}", "PREFIX=/usr")
    return destination


def test_install_is_complete(installed):
    missing = [name for name in INSTALLED if not (installed / "usr" / name).stat().st_size]
    assert missing == []
    headers = set(os.listdir(os.path.join(TOP, "include", "tarn")))
    assert set(os.listdir(installed / "usr/include/tarn")) == headers


def test_installed_files_have_no_placeholders(installed):
    for name in ("lib/pkgconfig/tarn.pc", "lib/systemd/system/tarnd.service"):
        assert not re.search(r"@[A-Z]+@", (installed / "usr" / name).read_text())


def test_a_program_builds_against_what_was_installed(installed, tmp_path):
    (tmp_path / "consumer.c").write_text(CONSUMER)
    env = dict(os.environ, PKG_CONFIG_PATH=str(installed / "usr/lib/pkgconfig"),
               LD_LIBRARY_PATH=str(installed / "usr/lib"))
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={installed}/usr", "--cflags", "--libs", "tarn"],
                           env=env, capture_output=True, text=True, check=True).stdout.split()
    subprocess.run(["gcc", "-Wall", "-Werror", "-o", "consumer", "consumer.c", *flags], cwd=tmp_path, check=True)
    done = subprocess.run(["./consumer"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True)
    version = subprocess.run(["pkg-config", "--modversion", "tarn"], env=env, capture_output=True, text=True,
                             check=True)
    assert done.stdout == version.stdout


@pytest.mark.parametrize("static", [False, True])
def test_the_example_builds_against_what_was_installed_and_runs(installed, tmp_path, static):
    env = dict(os.environ, PKG_CONFIG_PATH=str(installed / "usr/lib/pkgconfig"),
               LD_LIBRARY_PATH=str(installed / "usr/lib"))
    flags = subprocess.run(["pkg-config", f"--define-variable=prefix={installed}/usr", "--cflags", "--libs", "tarn",
                            *(["--static"] if static else [])],
                           env=env, capture_output=True, text=True, check=True).stdout.split()
    if static:  # this library alone: not all others have a static form
        flags = ["-l:libtarn.a" if flag == "-ltarn" else flag for flag in flags]
        env.pop("LD_LIBRARY_PATH")
    source = installed / "usr/share/tarn/example/cache.c"
    subprocess.run(["gcc", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", "example", source, *flags], cwd=tmp_path,
                   check=True)
    with open(tmp_path / "cache.img", "wb") as file:
        file.truncate(64 << 20)
    for value in [["stored"], []]:
        done = subprocess.run(["./example", "cache.img", "key", *value], cwd=tmp_path, env=env, capture_output=True,
                              text=True, check=False)
        assert (done.returncode, done.stdout) == (0, "stored\n"), done.stderr


def test_man_pages_render(installed):
    for name in ("man8/tarnd.8", "man1/tarnctl.1", "man1/tarnperf.1", "man8/tarnck.8"):
        page = (installed / "usr/share/man" / name).read_text()
        assert ".SH NAME" in page
        assert re.search(r"\.SH (SYNOPSIS|DESCRIPTION|OPTIONS)", page)
        assert "xample" in page or "EXAMPLE" in page


def test_uninstall_leaves_nothing(installed):
    make(TOP, "uninstall", f"DESTDIR={installed}", "PREFIX=/usr")
    left = [os.path.join(folder, file) for folder, _, files in os.walk(installed) for file in files]
    assert left == []
