# SPDX-License-Identifier: BSD-3-Clause
"""What a guest is made of: kernels, QEMU and a few tools from Debian's packages, unpacked into a
cache and not installed. A package that is installed already is not fetched."""
import contextlib
import fcntl
import glob
import hashlib
import lzma
import os
import platform
import shutil
import struct
import subprocess

CACHE = os.environ.get("TARN_LAB_CACHE") or os.path.join(
    os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "tarn-lab")
FORMAT = "1"  # of the cache: what an older one holds is made anew
INIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "init.sh")

# QEMU 7.2 of Debian 12 loses NVMe completions at depth 32 and races on the guest's code patching.
# The virtiofsd in C is of 7.2; its successor is no package of Debian 12.
BACKPORTS = ["qemu-system-x86", "qemu-system-common", "qemu-system-data", "seabios"]
# Programs that the host or the guest runs, and the packages that have them.
TOOLS = {"busybox": "busybox-static", "depmod": "kmod", "modprobe": "kmod", "dmsetup": "dmsetup",
         "losetup": "mount", "mount": "mount"}
KERNELS = {"6.12": "linux-image-6.12-cloud-amd64", "6.1": "linux-image-cloud-amd64"}
# What the guest must load to see the host's file system, where it is not built in.
FIRST_MODULES = ["virtio_pci", "virtio_console", "fuse", "virtiofs", "overlay"]


class Unavailable(Exception):
    """The lab cannot run here; the text says why."""


def run(*command, **options):
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, errors="replace", **options).stdout
    except FileNotFoundError:
        raise Unavailable(f"{command[0]} is missing") from None
    except subprocess.CalledProcessError as error:
        why = (error.stderr.strip() or error.stdout.strip() or "no output").splitlines()[-1]
        raise Unavailable(f"{command[0]} failed: {why}") from None


class Apt:
    """apt with lists and archives of its own: it changes nothing of the system's."""

    def __init__(self, folder):
        self.folder = folder
        for part in ("lists/partial", "archives/partial", "sources"):
            os.makedirs(os.path.join(folder, part), exist_ok=True)
        self.options = []
        for name, value in (("Dir::Etc::sourcelist", "/dev/null"), ("Dir::Etc::sourceparts", f"{folder}/sources"),
                            ("Dir::State::lists", f"{folder}/lists"), ("Dir::Cache", folder),
                            ("Dir::Cache::archives", f"{folder}/archives"), ("APT::Sandbox::User", ""),
                            ("Debug::NoLocking", "1"), ("Acquire::Retries", "1"),
                            ("Acquire::http::Timeout", "15"), ("Acquire::https::Timeout", "15")):
            self.options += ["-o", f"{name}={value}"]

    def update(self):
        """Fetch the lists of the system's own sources, and of backports and security from the same mirror."""
        sources = [path for path in ["/etc/apt/sources.list", *glob.glob("/etc/apt/sources.list.d/*")]
                   if path.endswith((".list", ".sources")) and os.path.exists(path)]
        for index, path in enumerate(sources):
            shutil.copy(path, os.path.join(self.folder, "sources", f"{index}-{os.path.basename(path)}"))
        run("apt-get", *self.options, "update")
        listed = run("apt-get", *self.options, "indextargets", "--format", "$(REPO_URI)\t$(CODENAME)",
                     "Created-By: Packages")
        mirrors = {}
        for line in listed.splitlines():
            place, codename = line.split("\t")
            mirrors.setdefault(codename, place)
        if "bookworm" not in mirrors:
            raise Unavailable("apt has no source of Debian 12's packages")
        main = mirrors["bookworm"].rstrip("/")
        with open(os.path.join(self.folder, "sources", "lab.list"), "w", encoding="utf-8") as file:
            file.write(f"deb {main} bookworm-backports main\n")
            if "bookworm-security" not in mirrors:  # newer kernels come there
                file.write(f"deb {main}-security bookworm-security main\n")
        run("apt-get", *self.options, "update")

    def fetch(self, *packages):
        """The packages and all that they need and this system lacks; returns their files."""
        run("apt-get", *self.options, "install", "--yes", "--download-only", "--no-install-recommends", *packages)
        return glob.glob(os.path.join(self.folder, "archives", "*.deb"))

    def fetch_alone(self, package, folder):
        os.makedirs(folder, exist_ok=True)
        run("apt-get", *self.options, "download", package, cwd=folder)
        return glob.glob(os.path.join(folder, "*.deb"))

    def depends(self, package):
        shown = run("apt-cache", *self.options, "depends", package)
        return [line.split()[1] for line in shown.splitlines() if line.strip().startswith("Depends: linux-image-")]


unavailable = {}  # what could not be made, and why: not tried again for each file of tests


@contextlib.contextmanager
def making(name, stamp):
    """A new folder that becomes CACHE/name when all went well; None where that is there already, of
    the same stamp."""
    if name in unavailable:
        raise unavailable[name]
    path = os.path.join(CACHE, name)
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, f".{name}.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = os.path.join(path, "stamp")
        if os.path.exists(mark):
            with open(mark, encoding="utf-8") as file:
                if file.read() == stamp:
                    yield None
                    return
        shutil.rmtree(path, ignore_errors=True)
        new = f"{path}.new"
        shutil.rmtree(new, ignore_errors=True)
        os.makedirs(new)
        try:
            yield new
            with open(os.path.join(new, "stamp"), "w", encoding="utf-8") as file:
                file.write(stamp)
            os.rename(new, path)
        except Unavailable as error:
            unavailable[name] = error
            raise
        finally:
            shutil.rmtree(new, ignore_errors=True)


def unpack(debs, into):
    for deb in debs:
        run("dpkg", "-x", deb, into)


def wrap(folder, place, arguments=""):
    """A program in folder for one of folder/root that finds its libraries there."""
    path = os.path.join(folder, os.path.basename(place))
    libraries = ":".join(f"$root/{part}" for part in ("usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"))
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nroot=$(dirname \"$0\")/root\n"
                   f"LD_LIBRARY_PATH={libraries} exec \"$root/{place}\" {arguments} \"$@\"\n")
    os.chmod(path, 0o755)


def make_machine(folder):
    apt = Apt(os.path.join(folder, "apt"))
    apt.update()
    root = os.path.join(folder, "root")
    missing = sorted({package for name, package in TOOLS.items() if system_tool(name) is None})
    unpack(apt.fetch(*(f"{name}/bookworm-backports" for name in BACKPORTS), *missing), root)
    old = os.path.join(folder, "old")
    unpack(apt.fetch_alone("qemu-system-common/bookworm", os.path.join(folder, "deb")), old)
    shutil.copy(os.path.join(old, "usr/lib/qemu/virtiofsd"), os.path.join(root, "usr/bin/virtiofsd"))
    for unneeded in ("apt", "old", "deb"):
        shutil.rmtree(os.path.join(folder, unneeded), ignore_errors=True)
    wrap(folder, "usr/bin/qemu-system-x86_64", '-L "$root/usr/share/seabios" -L "$root/usr/share/qemu"')
    wrap(folder, "usr/bin/virtiofsd")
    for name in TOOLS:
        for place in (f"{part}/{name}" for part in ("bin", "sbin", "usr/bin", "usr/sbin")):
            path = os.path.join(root, place)
            if os.path.islink(path) and os.readlink(path).startswith("/"):  # within root, not from the system's /
                target = os.readlink(path).lstrip("/")
                os.unlink(path)
                os.symlink(os.path.relpath(os.path.join(root, target), os.path.dirname(path)), path)
            if os.path.exists(path):
                wrap(folder, place)


def machine():
    """The folder with QEMU, virtiofsd and what tools the system lacks, as programs to start."""
    if platform.machine() != "x86_64":
        raise Unavailable("the lab's guest is an x86-64 machine, and so must this one be")
    if os.geteuid() != 0:
        raise Unavailable("it needs root: virtiofsd shows the guest only what its own user may open")
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise Unavailable("the lab takes its guest from Debian's packages, and this system has no apt-get")
    with making("machine", FORMAT) as folder:
        if folder:
            make_machine(folder)
    path = os.path.join(CACHE, "machine")
    run(os.path.join(path, "qemu-system-x86_64"), "--version")
    return path


def system_tool(name):
    return shutil.which(name, path="/bin:/sbin:/usr/bin:/usr/sbin")


def tool(name):
    """A program of the machine's, or the system's own."""
    path = os.path.join(CACHE, "machine", name)
    found = path if os.path.exists(path) else system_tool(name)
    if found is None:
        raise Unavailable(f"{name} is missing")
    return found


def bare_kernel(image):
    """The ELF kernel out of a bzImage: it boots without unpacking itself, which is slow without KVM.
    Linux's Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, payload_offset and _length at 0x248."""
    with open(image, "rb") as file:
        data = file.read()
    offset, length = struct.unpack_from("<II", data, 0x248)
    start = (data[0x1f1] + 1) * 512 + offset
    payload = data[start:start + length - 4]  # the last four bytes are its size unpacked
    if payload[:6] == b"\xfd7zXZ\x00":
        return lzma.decompress(payload)
    return None


def module_files(root, release):
    """FIRST_MODULES and what they need, in order of loading."""
    base = os.path.join(root, "lib/modules", release)
    needs = {}
    with open(os.path.join(base, "modules.dep"), encoding="utf-8") as file:
        for line in file:
            path, _, depends = line.partition(":")
            needs[os.path.basename(path).split(".ko")[0].replace("-", "_")] = [path, depends.split()]
    ordered = []
    for name in FIRST_MODULES:
        if name in needs:  # otherwise it is built in
            path, depends = needs[name]
            ordered += [part for part in [*reversed(depends), path] if part not in ordered]
    return [os.path.join(base, path) for path in ordered]


def make_initrd(root, release, into):
    files = os.path.join(into, "initrd.d")
    os.makedirs(os.path.join(files, "modules"))
    os.makedirs(os.path.join(files, "bin"))
    unpacked = os.path.join(CACHE, "machine/root/bin/busybox")
    shutil.copy(unpacked if os.path.exists(unpacked) else tool("busybox"), os.path.join(files, "bin/busybox"))
    shutil.copy(INIT, os.path.join(files, "init"))
    os.chmod(os.path.join(files, "init"), 0o755)
    for index, path in enumerate(module_files(root, release)):
        name = os.path.basename(path)
        with open(path, "rb") as file:
            data = file.read()
        if name.endswith(".xz"):
            data, name = lzma.decompress(data), name[:-3]
        with open(os.path.join(files, "modules", f"{index:02}-{name}"), "wb") as file:
            file.write(data)
    names = "\n".join(os.path.relpath(os.path.join(where, name), files)
                      for where, folders, plain in os.walk(files) for name in [*folders, *plain])
    with open(os.path.join(into, "initrd"), "wb") as file:
        subprocess.run([tool("busybox"), "cpio", "-o", "-H", "newc"], cwd=files, input=names.encode(), stdout=file,
                       stderr=subprocess.DEVNULL, check=True)
    shutil.rmtree(files)


def make_kernel(version, folder):
    apt = Apt(os.path.join(folder, "apt"))
    apt.update()
    packages = apt.depends(KERNELS[version])
    if not packages:
        raise Unavailable(f"apt knows no {KERNELS[version]}")
    unpack(apt.fetch_alone(packages[0], os.path.join(folder, "deb")), folder)
    for unneeded in ("apt", "deb", "usr"):
        shutil.rmtree(os.path.join(folder, unneeded), ignore_errors=True)
    release = os.listdir(os.path.join(folder, "lib/modules"))[0]
    run(tool("depmod"), "-b", folder, release)
    image = os.path.join(folder, "boot", f"vmlinuz-{release}")
    bare = bare_kernel(image)
    with open(os.path.join(folder, "kernel"), "wb") as file:
        if bare is not None:
            file.write(bare)
        else:
            with open(image, "rb") as packed:
                shutil.copyfileobj(packed, file)
    make_initrd(folder, release, folder)
    with open(os.path.join(folder, "release"), "w", encoding="utf-8") as file:
        file.write(release)


def kernel(version):
    """The folder of a kernel: kernel, initrd, release and lib/modules."""
    machine()
    with open(INIT, "rb") as file:  # it is part of the initrd
        stamp = f"{FORMAT} {hashlib.sha256(file.read()).hexdigest()}"
    with making(f"linux-{version}", stamp) as folder:
        if folder:
            make_kernel(version, folder)
    return os.path.join(CACHE, f"linux-{version}")
