# SPDX-License-Identifier: BSD-3-Clause
"""The tree that lint looks at: its files, and findings in them."""
import os
import subprocess


class Tree:
    def __init__(self, top):
        self.top = os.path.abspath(top)
        self.files = self._list()

    def _list(self):
        """Files of the project: what git tracks or would, everything outside build/ without git."""
        if os.path.exists(os.path.join(self.top, ".git")):
            listed = subprocess.run(["git", "-c", f"safe.directory={self.top}", "ls-files", "-co",
                                     "--exclude-standard"], cwd=self.top, capture_output=True, text=True, check=False)
            if listed.returncode == 0:
                names = listed.stdout.splitlines()
                return sorted(name for name in set(names) if os.path.isfile(self.path(name)))
        names = []
        for folder, subfolders, files in os.walk(self.top):
            subfolders[:] = [s for s in subfolders if s not in (".git", "build", "__pycache__")]
            names += [os.path.relpath(os.path.join(folder, f), self.top) for f in files]
        return sorted(names)

    def path(self, name):
        return os.path.join(self.top, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8", errors="replace") as file:
            return file.read()

    def lines(self, name):
        return self.read(name).splitlines()

    def sources(self, *suffixes):
        return [name for name in self.files if name.endswith(suffixes)]

    def scripts(self, interpreter):
        """Files that begin with #! and name the interpreter."""
        found = []
        for name in self.files:
            with open(self.path(name), "rb") as file:
                first = file.readline(100)
            if first.startswith(b"#!") and interpreter in first:
                found.append(name)
        return found


def finding(name, line, text):
    return f"{name}:{line}: {text}"
