# SPDX-License-Identifier: BSD-3-Clause
"""Each of lint's checks finds the offence that is planted in a small tree, and nothing in a good one."""
import os
import re
import subprocess
import sys

import pytest

LINT = os.path.join(os.path.dirname(__file__), "..", "..", "scripts", "lint", "lint.py")
SPDX = "/* SPDX-License-Identifier: BSD-3-Clause */\n"
MK = "# SPDX-License-Identifier: BSD-3-Clause\n"

GOOD = {
    ".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 8\nTabWidth: 8\nUseTab: Always\n"
                     "ColumnLimit: 100\nBreakBeforeBraces: Linux\n"
                     "AlwaysBreakAfterDefinitionReturnType: All\n",
    ".clang-tidy": "Checks: '-*,bugprone-*,-bugprone-easily-swappable-parameters'\n"
                   "HeaderFilterRegex: 'include/tarn/.*'\n",
    "Makefile": MK,
    "include/README.md": "# include\n",
    "include/tarn/env.h": SPDX + "#pragma once\nint tarn_env_init(void);\n",
    "include/tarn/bdev.h": SPDX + "#pragma once\nint tarn_bdev_start(void);\n",
    "include/tarn/bdev_driver.h": SPDX + '#pragma once\n#include "tarn/bdev.h"\n',
    "lib/env/README.md": "# lib/env\n",
    "lib/env/module.mk": MK + "SRCS := env.c\nDEPS := include\n",
    "lib/env/env.c": SPDX + '#include "tarn/env.h"\n\nint\ntarn_env_init(void)\n{\n\treturn 0;\n}\n',
    "lib/jsonrpc/README.md": "# lib/jsonrpc\n",
    "lib/jsonrpc/module.mk": MK + "SRCS :=\nDEPS := lib/env\n",
    "lib/bdev/README.md": "# lib/bdev\n",
    "lib/bdev/module.mk": MK + "SRCS := bdev.c\nDEPS := include lib/env\n",
    "lib/bdev/bdev.c": SPDX + '#include "tarn/bdev.h"\n#include "tarn/env.h"\n\nint\n'
                              "tarn_bdev_start(void)\n{\n\treturn tarn_env_init();\n}\n",
    "lib/bdev/ram/README.md": "# lib/bdev/ram\nSee [the layer](../README.md).\n",
    "lib/bdev/ram/module.mk": MK + "SRCS := ram.c\nDEPS := lib/bdev\n",
    "lib/bdev/ram/ram.c": SPDX + '#include "tarn/bdev_driver.h"\n\nint tarn_env_count;\n',
    "lib/bdev/uring/README.md": "# lib/bdev/uring\n",
    "lib/bdev/uring/module.mk": MK + "SRCS :=\nDEPS := lib/bdev\n",
    "scripts/README.md": "# scripts\n",
    "scripts/hello.sh": "#!/bin/sh\n" + MK + "echo hello\n",
    "scripts/hello.py": MK + "print('hello')\n",
}


def write(top, files):
    for name, text in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def lint(top, *checks):
    return subprocess.run([sys.executable, LINT, "--top", str(top), *checks], capture_output=True,
                          text=True, check=False, timeout=120)


def body(lines, arguments="void"):
    return SPDX + f"int\ntarn_env_run({arguments})\n{{\n" + "\n" * lines + "\treturn 0;\n}\n"


# (check, file that is written over or added, its text, what the finding must say)
OFFENCES = [
    ("clang-format", "lib/env/env.c", SPDX + "int  tarn_env_count;\n", "lib/env/env.c:2: not as clang-format"),
    ("clang-tidy", "lib/env/env.c", SPDX + "void *malloc(unsigned long);\nunsigned long strlen(const char *);\n"
     "void *tarn_copy(const char *s)\n{\n\treturn malloc(strlen(s + 1));\n}\n", "lib/env/env.c:6: "),
    ("deps", "lib/env/module.mk", MK + "DEPS := lib/bdev\n", "lib/bdev does not stand below lib/env"),
    ("deps", "lib/bdev/module.mk", MK + "DEPS := lib/env \\\n\tlib/jsonrpc\n", "lib/jsonrpc does not stand below"),
    ("deps", "lib/env/module.mk", MK + "DEPS := lib/nothing\n", "there is no lib/nothing"),
    ("deps", "lib/bdev/ram/module.mk", MK + "DEPS := lib/bdev/uring\n", "does not stand below lib/bdev/ram"),
    ("deps", "app/tarnd/module.mk", MK + "DEPS := lib/bdev/ram\n", "reached through its table only"),
    ("deps", "lib/other/module.mk", MK + "DEPS :=\n", "has no place in the layers"),
    ("file-size", "lib/env/env.c", SPDX + "\n" * 600, "601 lines; at most 600"),
    ("file-size", "include/tarn/env.h", SPDX + "\n" * 250, "251 lines; at most 250"),
    ("file-size", "Makefile", MK + "\n" * 250, "251 lines; at most 250"),
    ("file-size", "lib/env/README.md", "#\n" * 41, "41 lines; at most 40"),
    ("function-size", "lib/env/env.c", body(67), "tarn_env_run() has 71 lines; at most 70"),
    ("function-size", "lib/env/env.c", body(0, "int a, int b, int (*c)(int, int),\n\t     int d, int e, int f"),
     "tarn_env_run() has 6 arguments; at most 5"),
    ("includes", "lib/env/env.c", SPDX + '#include "tarn/bdev.h"\n', "lib/bdev's, which DEPS do not name"),
    ("includes", "lib/env/env.c", SPDX + '#include "tarn/strange.h"\n', "belongs to no folder"),
    ("includes", "lib/bdev/ram/ram.c", SPDX + '#include "lib/bdev/internal.h"\n', "another folder's own"),
    ("includes", "lib/bdev/ram/ram.c", SPDX + '#include "../uring/uring.h"\n', "another folder's own"),
    ("includes", "app/tarnd/main.c", SPDX + '#include "lib/bdev/internal.h"\n', "another folder's own"),
    ("includes", "app/tarnck/main.c", SPDX + '#include "lib/bdev/internal.h"\n', "another folder's own"),
    ("includes", "lib/cache/cache.c", SPDX + '#include "tarn/bdev_driver.h"\n', "for drivers only"),
    ("licence", "lib/env/env.c", "int tarn_env_count;\n", "no SPDX line"),
    ("licence", "scripts/hello.sh", "#!/bin/sh\necho hello\n", "no SPDX line"),
    ("links", "lib/bdev/README.md", "See [it](../nothing.md).\n", "links to ../nothing.md"),
    ("note", "lib/env/env.c", SPDX + "/* TO" + "DO: more */\n", "do it, or write down why not"),
    ("public-header", "include/tarn/env.h", SPDX + "#pragma once\nbool tarn_env_ready(void);\n",
     "include/tarn/env.h:1"),
    ("public-header", "include/tarn/env.h", SPDX + "struct tarn_env {\n\tint count;\n};\n", "include/tarn/env.h:1"),
    ("public-include", "include/tarn/env.h", SPDX + '#pragma once\n#include "tarn/bdev.h"\n',
     "not stand below lib/env"),
    ("python", "scripts/hello.py", MK + "import os\n", "'os' imported but unused"),
    ("python", "scripts/hello.py", MK + "print(\n", "scripts/hello.py:2"),
    ("readme", "lib/nbd/nbd.c", SPDX, "lib/nbd:1: no README.md"),
    ("shell", "scripts/hello.sh", "#!/bin/sh\n" + MK + "rm -r $1\n", "SC2086"),
    ("white-space", "lib/env/env.c", SPDX + "int tarn_env_count; \n", "lib/env/env.c:2: white space at the end"),
    ("white-space", "lib/env/env.c", SPDX + "int tarn_env_count;", "no newline at the end"),
    ("width", "lib/env/env.c", SPDX + "\t/* " + "a " * 50 + "*/\n", "columns; at most 100"),
]


def test_a_good_tree_has_no_findings(tmp_path):
    write(tmp_path, GOOD)
    done = lint(tmp_path)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert re.fullmatch(r"lint: \d+ passed, 0 failed\n", done.stdout)


@pytest.mark.parametrize("check,name,text,expected", OFFENCES,
                         ids=[f"{offence[0]}-{i}" for i, offence in enumerate(OFFENCES)])
def test_a_planted_offence_is_found(tmp_path, check, name, text, expected):
    files = dict(GOOD, **{name: text})
    if name.startswith("app/") and name.endswith(".c"):
        files[os.path.dirname(name) + "/module.mk"] = MK + "SRCS := main.c\nDEPS := lib/bdev\n"
    if name.startswith("lib/cache/"):
        files["lib/cache/module.mk"] = MK + "SRCS := cache.c\nDEPS := lib/bdev\n"
    write(tmp_path, files)
    done = lint(tmp_path, check)
    assert done.returncode == 1, done.stdout + done.stderr
    assert expected in done.stdout
    assert done.stdout.endswith("lint: 0 passed, 1 failed\n")


def test_the_place_of_the_checkout_is_found(tmp_path):
    write(tmp_path, dict(GOOD, **{"scripts/hello.sh": f"#!/bin/sh\n{MK}cd {tmp_path}/lib\n"}))
    done = lint(tmp_path, "machine-path")
    assert "scripts/hello.sh:3: names a place on this machine" in done.stdout


def test_every_check_has_an_offence():
    listed = lint(".", "--list").stdout.split()
    planted = {offence[0] for offence in OFFENCES} | {"machine-path"}
    assert set(listed) == planted


REFLOW = os.path.join(os.path.dirname(LINT), "reflow.py")
LONG = "word " * 30


def test_reflow_wraps_prose_and_leaves_drawings_and_code_alone(tmp_path):
    source = tmp_path / "x.c"
    drawing = "/*\n *   ONE --" + "-" * 100 + "--> TWO\n */\n"
    code = 'const char *text = "' + LONG + '"; /* behind code */\n'
    fields = f"/*\n * \\param x  {LONG}\n *   {LONG}\n * \\return y\n */\n"
    source.write_text(f"/* {LONG}*/\n" + drawing + code + fields)
    subprocess.run([sys.executable, REFLOW, str(source)], check=True)
    text = source.read_text()
    assert drawing in text and code in text
    assert " * \\return y\n" in text
    assert text.count("word") == 30 * 4
    prose = text.replace(drawing, "").replace(code, "").splitlines()
    assert max(len(line) for line in prose) <= 100
    once = text
    subprocess.run([sys.executable, REFLOW, str(source)], check=True)
    assert source.read_text() == once
