#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Check the tree against the house style. One line for each finding, then "N passed, N failed",
counting checks. Exit status 0, or 1 when anything was found."""
import argparse
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import layers  # noqa: E402
import sizes  # noqa: E402
import text  # noqa: E402
import tools  # noqa: E402
from tree import Tree  # noqa: E402

CHECKS = {
    "clang-format": tools.clang_format,
    "deps": layers.deps_order,
    "file-size": sizes.file_sizes,
    "function-size": sizes.function_sizes,
    "includes": layers.includes,
    "licence": text.licence,
    "links": text.links,
    "machine-path": text.machine_paths,
    "note": text.notes,
    "public-header": tools.public_headers,
    "public-include": layers.public_includes,
    "python": tools.python_scripts,
    "readme": sizes.folder_readmes,
    "shell": tools.shell_scripts,
    "white-space": text.white_space,
    "width": text.widths,
    "clang-tidy": tools.clang_tidy,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, epilog="example: scripts/lint/lint.py includes deps")
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--top", default=os.path.join(here, "..", ".."), help="the tree (default: this one)")
    parser.add_argument("checks", nargs="*", metavar="CHECK", help="default: all of " + " ".join(CHECKS))
    parser.add_argument("--list", action="store_true", help="print the names of the checks")
    options = parser.parse_args()
    if options.list:
        print("\n".join(CHECKS))
        return 0
    unknown = [name for name in options.checks if name not in CHECKS]
    if unknown:
        parser.error(f"no check {', '.join(unknown)}")
    tree = Tree(options.top)
    failed = 0
    wanted = options.checks or list(CHECKS)
    for name in wanted:
        findings = list(CHECKS[name](tree))
        failed += bool(findings)
        for line in findings:
            print(f"{line} [{name}]", flush=True)
    print(f"lint: {len(wanted) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
