# SPDX-License-Identifier: BSD-3-Clause
"""A guest: QEMU with NVMe drives, whose / is this machine's, read-only with a tmpfs over it, so that
what was built here runs there from the same path. Commands run in it as often as wanted."""
import base64
import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import packages

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
# Emulation works everywhere; a nested hypervisor often does not, and says so by hanging.
ACCELERATOR = os.environ.get("TARN_LAB_ACCEL", "tcg,thread=multi")
BOOT_LIMIT_S = 60
BOOT_ATTEMPTS = 3  # QEMU without KVM sometimes races with a booting kernel on its patched code
COMMAND_LIMIT_S = 120
PLUG_LIMIT_S = 30
STACKS_LIMIT_S = 10
SIZE = 40 << 20  # of a drive: what the lists of tests of drivers ask for
GUEST_TMP = "/dev/shm"
# What is started for a guest ends with this process, however that ends.
LINKED = ["setpriv", "--pdeathsig", "KILL", "--"]


class GuestError(Exception):
    """The guest ended, hung, or could not be started."""


class Failed(Exception):
    """A command in the guest ended with another status than 0."""


class Nvme:
    """An NVMe controller with one namespace, on a file of the guest's folder."""

    def __init__(self, serial, block_size=512, hotplug=False, errors=(), size=SIZE, path=None, logged=False):
        self.serial = serial
        self.block_size = block_size
        self.hotplug = hotplug
        self.errors = errors  # of blkdebug: see medium_error() and nth_write_error()
        self.size = size
        self.path = path
        self.logged = logged  # every write and flush goes to log_path() too: see writelog.py

    def log_path(self):
        return f"{self.path}.log"

    def node(self):
        file = {"driver": "file", "filename": self.path, "discard": "unmap"}
        if self.errors:
            file = {"driver": "blkdebug", "image": file}
            for error in self.errors:
                for kind, rules in error.items():
                    file[kind] = file.get(kind, []) + rules
        if self.logged:
            log = {"driver": "file", "filename": self.log_path(), "cache": {"no-flush": True}}
            file = {"driver": "blklogwrites", "file": file, "log": log}
        return {"driver": "raw", "node-name": f"node-{self.serial}", "discard": "unmap", "file": file}

    def device(self, bus=None):
        return {"driver": "nvme", "id": self.serial, "serial": self.serial, "drive": f"node-{self.serial}",
                "logical_block_size": self.block_size, "physical_block_size": self.block_size,
                **({"bus": bus} if bus else {})}


def medium_error(operation, sector=None):
    """blkdebug: every read, write or flush (of that sector of 512 bytes) fails."""
    rule = {"event": "none", "iotype": operation, "errno": 5}
    return {"inject-error": [{**rule, "sector": sector} if sector is not None else rule]}


def nth_error(event, *numbers):
    """blkdebug: of the I/Os with such an event those of these numbers fail, from 1 on."""
    steps = [{"event": event, "state": state, "new_state": state + 1} for state in range(1, max(numbers) + 1)]
    return {"set-state": steps, "inject-error": [{"event": event, "state": number, "errno": 5, "once": True}
                                                 for number in numbers]}


def nth_write_error(*numbers):
    return nth_error("write_aio", *numbers)


def nth_flush_error(*numbers):
    return nth_error("flush_to_disk", *numbers)


class Command:
    """One that runs in the guest."""

    def __init__(self, guest, number, text):
        self.guest = guest
        self.text = text
        self.path = os.path.join(guest.folder, "out", f"{number}.out")
        self.number = number
        self.status = None

    def output(self):
        if not os.path.exists(self.path):
            return ""
        with open(self.path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait(self, limit_s=COMMAND_LIMIT_S, check=True, stream=None):
        """Until it has ended; returns its output. Without check, any status is fine."""
        deadline = time.monotonic() + limit_s
        shown = 0
        while self.status is None:
            self.guest.listen(0.05 if stream else 0.5)
            shown = self.show(stream, shown)
            if self.status is None and time.monotonic() > deadline:
                self.guest.say_where_it_hangs()
                raise GuestError(f"not in {limit_s} s: {self.text}\n{self.output()[-2000:]}")
        self.show(stream, shown)
        if check and self.status != 0:
            raise Failed(f"status {self.status} of: {self.text}\n{self.output()[-4000:]}")
        return self.output()

    def show(self, stream, shown):
        if stream is not None and os.path.exists(self.path):
            with open(self.path, "rb") as file:
                file.seek(shown)
                data = file.read()
            stream.write(data)
            stream.flush()
            shown += len(data)
        return shown


class Guest:
    def __init__(self, drives=(), kernel="6.12", poll_queues=1, arguments="", memory_mb=1024, shell=False):
        self.programs = packages.machine()
        self.kernel = packages.kernel(kernel)
        self.drives = list(drives)
        self.poll_queues = poll_queues
        self.arguments = arguments
        self.memory_mb = memory_mb
        self.shell = shell
        # Sockets are in it: a short path. What is worth keeping of it, save() copies.
        self.folder = tempfile.mkdtemp(prefix="tarn-lab-", dir=os.environ.get("TMPDIR", "/tmp"))
        os.mkdir(os.path.join(self.folder, "out"))
        self.process = None
        self.shares = []
        self.commands = {}
        self.numbers = 0
        self.agent = self.monitor = None
        self.heard = b""
        self.release = ""

    # --- Starting and ending ---

    def path(self, name):
        return os.path.join(self.folder, name)

    def boot(self):
        for drive in self.drives:
            if drive.path is None:
                drive.path = self.path(f"{drive.serial}.img")
            with open(drive.path, "ab") as file:
                file.truncate(max(drive.size, os.path.getsize(drive.path)))
            if drive.logged:
                with open(drive.log_path(), "wb"):
                    pass
        for attempt in range(BOOT_ATTEMPTS):  # the last one returns or raises
            try:
                self.boot_once()
                return self
            except GuestError:
                self.end_processes()
                if attempt + 1 == BOOT_ATTEMPTS:
                    raise

    def start_share(self, name, source, cache):
        with open(self.path(f"{name}.log"), "wb") as log, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(self.path(f"{name}.sock"))
            listener.listen(1)
            command = [*LINKED, os.path.join(self.programs, "virtiofsd"), f"--fd={listener.fileno()}",
                       "-o", f"source={source}", "-o", f"cache={cache}", "-o", "sandbox=chroot", "--thread-pool-size=0"]
            self.shares.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                                pass_fds=[listener.fileno()]))

    def command_line(self):
        channel = "socket,id={0},path={1}/{0},server=on,wait=off"
        with open(os.path.join(self.kernel, "release"), encoding="utf-8") as file:
            self.release = file.read()
        append = ("console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable nvme_core.multipath=N "
                  f"nvme.poll_queues={self.poll_queues} lab.agent={HERE}/agent.sh "
                  f"lab.modules={self.kernel}/lib/modules/{self.release} {'lab.shell ' if self.shell else ''}"
                  f"{self.arguments}")
        line = [*LINKED, os.path.join(self.programs, "qemu-system-x86_64"), "-accel", ACCELERATOR, "-cpu", "max",
                "-machine", "q35", "-smp", "1", "-m", str(self.memory_mb), "-nodefaults",
                "-no-user-config", "-display", "none", "-no-reboot", "-serial", f"file:{self.path('console.log')}",
                "-kernel", f"{self.kernel}/kernel", "-initrd", f"{self.kernel}/initrd", "-append", append,
                "-object", f"memory-backend-memfd,id=mem,size={self.memory_mb}M,share=on",
                "-machine", "memory-backend=mem", "-device", "virtio-serial-pci",
                "-chardev", channel.format("agent", self.folder),
                "-device", "virtserialport,chardev=agent,name=lab.agent",
                "-chardev", channel.format("qmp", self.folder), "-mon", "chardev=qmp,mode=control"]
        for name in ("host", "out"):
            line += ["-chardev", f"socket,id=fs-{name},path={self.path(name + '.sock')}",
                     "-device", f"vhost-user-fs-pci,chardev=fs-{name},tag={name}"]
        if self.shell:
            line += ["-chardev", "stdio,id=shell,signal=off", "-device", "virtconsole,chardev=shell"]
        for index, drive in enumerate(self.drives):
            bus = None
            if drive.hotplug:
                bus = f"port{index}"
                line += ["-device", json.dumps({"driver": "pcie-root-port", "id": bus, "chassis": index + 1,
                                                "slot": index + 1})]
                drive.bus = bus
            line += ["-blockdev", json.dumps(drive.node()), "-device", json.dumps(drive.device(bus))]
        return line

    def boot_once(self):
        for name in ("agent", "qmp", "host.sock", "out.sock"):
            if os.path.exists(self.path(name)):
                os.unlink(self.path(name))
        self.start_share("host", "/", "always")
        self.start_share("out", self.path("out"), "none")
        with open(self.path("qemu.log"), "wb") as log:
            self.process = subprocess.Popen(self.command_line(), stdin=None if self.shell else subprocess.DEVNULL,
                                            stdout=None if self.shell else log, stderr=log)
        self.agent = self.connect("agent")
        self.monitor = self.connect("qmp")
        self.monitor_buffer = b""
        self.monitor_answer()
        self.ask("qmp_capabilities")
        ready = Command(self, 0, "the guest's start")
        self.commands = {0: ready}
        self.heard = b""
        ready.wait(BOOT_LIMIT_S)

    def connect(self, name):
        """To a socket of QEMU's, which may be about to make it."""
        deadline = time.monotonic() + BOOT_LIMIT_S
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while True:
            try:
                connection.connect(self.path(name))
                return connection
            except OSError as error:
                if not self.alive() or time.monotonic() > deadline:
                    with open(self.path("qemu.log"), encoding="utf-8", errors="replace") as file:
                        raise GuestError(f"QEMU does not start ({error}):\n{file.read()[-3000:]}") from None
            time.sleep(0.01)

    def end_processes(self):
        for process in [self.process, *self.shares]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
        self.shares = []

    def power_off(self):
        """At once, as if the plug were pulled; what the guest had written to its drives is there."""
        self.end_processes()

    def end(self):
        """Its folder stays, for save()."""
        self.end_processes()
        for connection in (self.agent, self.monitor):
            if connection is not None:
                connection.close()

    def close(self):
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def alive(self):
        return self.process is not None and self.process.poll() is None

    # --- Commands ---

    def listen(self, limit_s):
        """Take what the agent says, waiting so long for it."""
        ready, _, _ = select.select([self.agent], [], [], limit_s)
        if not ready:
            if not self.alive():
                raise GuestError(f"the guest ended (status {self.process.returncode}):\n{self.console()[-3000:]}")
            return
        try:
            data = self.agent.recv(4096)
        except ConnectionResetError:
            data = b""
        if not data:
            self.end_processes()  # it may hang in its own end
            raise GuestError(f"the guest ended:\n{self.console()[-3000:]}")
        *lines, self.heard = (self.heard + data).split(b"\n")
        for line in lines:
            number, status = (int(word) for word in line.split())
            self.commands.pop(number).status = status

    def start(self, text):
        """A command for bash, in the top folder; it runs beside others. Returns a Command."""
        self.numbers += 1
        command = Command(self, self.numbers, text)
        self.commands[self.numbers] = command
        line = f"cd {TOP}; export TMPDIR={GUEST_TMP} PATH={self.search_path()}\n{text}"
        self.agent.sendall(f"{self.numbers} {base64.b64encode(line.encode()).decode()}\n".encode())
        return command

    def run(self, text, limit_s=COMMAND_LIMIT_S, check=True):
        """The same to its end; returns its output, without the last line's end."""
        return self.start(text).wait(limit_s, check).rstrip("\n")

    def search_path(self):
        return f"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:{self.programs}"

    # --- QEMU's monitor ---

    def monitor_answer(self):
        while True:
            while b"\n" not in self.monitor_buffer:
                try:
                    data = self.monitor.recv(65536)
                except ConnectionResetError:
                    data = b""
                if not data:
                    raise GuestError("QEMU's monitor has closed")
                self.monitor_buffer += data
            line, _, self.monitor_buffer = self.monitor_buffer.partition(b"\n")
            answer = json.loads(line)
            if "event" not in answer:
                return answer

    def ask(self, command, **arguments):
        """A command of QEMU's monitor (QMP)."""
        with contextlib.suppress(BrokenPipeError):  # the answer will tell
            self.monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        answer = self.monitor_answer()
        if "error" in answer:
            raise GuestError(f"{command}: {answer['error']['desc']}")
        return answer.get("return")

    def unplug(self, drive):
        self.ask("device_del", id=drive.serial)

    def plug(self, drive):
        """Once QEMU, too, has let go of it: until then it refuses the name, and then what the drive is on."""
        deadline = time.monotonic() + PLUG_LIMIT_S
        while True:
            try:
                self.ask("device_add", **drive.device(drive.bus))
                return
            except GuestError:
                if not self.alive() or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    # --- What it left ---

    def console(self):
        path = self.path("console.log")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def say_where_it_hangs(self):
        """Have the kernel write the stacks of blocked and of all tasks to the console, if it still can."""
        if not self.alive():
            return
        deadline = time.monotonic() + STACKS_LIMIT_S
        with contextlib.suppress(GuestError, OSError):
            command = self.start("for key in w t; do echo $key >/proc/sysrq-trigger; done")
            while command.status is None and time.monotonic() < deadline:
                self.listen(0.5)

    def save(self, folder):
        """Copy console, logs and the output of all commands."""
        os.makedirs(folder, exist_ok=True)
        for name in ("console.log", "qemu.log", "host.log", "out.log"):
            if os.path.exists(self.path(name)):
                shutil.copy(self.path(name), folder)
        shutil.copytree(self.path("out"), os.path.join(folder, "commands"), dirs_exist_ok=True)


def end_with_me():
    """A signal that ends this program does it by the exception of SIGINT, so that guests are closed. (pytest takes
    any other one for a failure of the test, and goes on.)"""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as by nohup
            signal.signal(number, signal.default_int_handler)
