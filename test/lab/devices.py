# SPDX-License-Identifier: BSD-3-Clause
"""Block devices of a guest, of the size that the lists of tests of drivers ask for."""
import machine

MIB = machine.SIZE >> 20
SECTORS = machine.SIZE // 512


def controller(guest, serial):
    """nvme0, by its serial: they are numbered in no order."""
    names = guest.run(f"grep -lw {serial} /sys/class/nvme/*/serial", check=False).split()
    return names[0].split("/")[4] if names else None


def nvme(guest, serial, poll_queues=1):
    """The path of an NVMe drive, with so many poll queues."""
    name = controller(guest, serial)
    if int(guest.run(f"cat /sys/block/{name}n1/queue/io_poll")) != (poll_queues > 0):
        # The number counts when a driver is bound.
        address = guest.run(f"cat /sys/class/nvme/{name}/address")
        guest.run(f"""echo {poll_queues} >/sys/module/nvme/parameters/poll_queues
            echo {address} >/sys/bus/pci/drivers/nvme/unbind
            echo {address} >/sys/bus/pci/drivers/nvme/bind
            until grep -lwq {serial} /sys/class/nvme/*/serial; do sleep .05; done
            n=$(grep -lw {serial} /sys/class/nvme/*/serial | cut -d / -f 5)
            until [ -b /dev/${{n}}n1 ]; do sleep .05; done""")
        name = controller(guest, serial)
    return f"/dev/{name}n1"


class NullBlk:
    """null_blk in memory, made through configfs, with a volatile write cache if wanted."""

    def __init__(self, guest, poll_queues=0, cache_mib=0, size_mib=MIB, block_size=4096):
        self.guest = guest
        guest.run("modprobe null_blk nr_devices=0; "
                  "mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config")
        self.item = "/sys/kernel/config/nullb/nullb0"
        settings = {"memory_backed": 1, "size": size_mib, "blocksize": block_size, "queue_mode": 2, "discard": 1,
                    "irqmode": 1, "cache_size": cache_mib, "poll_queues": poll_queues}
        writes = "\n".join(f"echo {value} >{self.item}/{name}" for name, value in settings.items())
        # Without poll queues or a cache, the kernel takes no 0 for them.
        guest.run(f"set -e; mkdir {self.item}\n" + "\n".join(
            line for line in writes.splitlines() if not line.startswith("echo 0 ")))
        self.power(1)
        self.path = "/dev/nullb0"

    def power(self, on):
        """Off: what its cache holds is lost."""
        self.guest.run(f"echo {on} >{self.item}/power")

    def remove(self):
        self.guest.run(f"echo 0 >{self.item}/power; rmdir {self.item}")


class Mapped:
    """A device-mapper device."""

    def __init__(self, guest, name, table):
        self.guest = guest
        self.name = name
        self.path = f"/dev/mapper/{name}"
        guest.run(f"for m in dm-mod dm-flakey dm-delay; do modprobe $m; done; dmsetup create {name} --table '{table}'")

    def reload(self, table):
        self.guest.run(f"dmsetup suspend --noflush {self.name}; dmsetup reload {self.name} --table '{table}'; "
                       f"dmsetup resume {self.name}")

    def remove(self):
        self.guest.run(f"dmsetup remove --retry {self.name}")


class Linear(Mapped):
    def __init__(self, guest, below):
        super().__init__(guest, "linear", f"0 {SECTORS} linear {below} 0")


class Loop:
    def __init__(self, guest):
        self.guest = guest
        guest.run(f"modprobe loop; truncate -s {MIB}M /dev/shm/loop.img")
        self.path = guest.run("losetup --find --show /dev/shm/loop.img")

    def remove(self):
        self.guest.run(f"losetup -d {self.path}; rm /dev/shm/loop.img")


class Zram:
    def __init__(self, guest):
        self.guest = guest
        guest.run(f"modprobe zram; echo {MIB}M >/sys/block/zram0/disksize")
        self.path = "/dev/zram0"

    def remove(self):
        self.guest.run("echo 1 >/sys/block/zram0/reset")


class ScsiDebug:
    def __init__(self, guest):
        self.guest = guest
        guest.run(f"modprobe sd_mod; modprobe scsi_debug dev_size_mb={MIB} delay=0 lbpu=1 lbpws=1")
        self.path = "/dev/" + guest.run("cd /sys/bus/pseudo/drivers/scsi_debug/adapter*/host*/target*/*/block; "
                                        "until ls | grep .; do sleep .05; done")

    def remove(self):
        self.guest.run("modprobe -r scsi_debug")
