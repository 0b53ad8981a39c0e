# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of caches share: a cache on a file, and its parts on the device."""
import base64

MIB = 1 << 20
DEVICE_BYTES = 256 * MIB
BLOCK_BYTES = 4096


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.b64decode(text)


def value_of(answer):
    """The bytes of what a lookup found, or None for a miss."""
    if not answer["hit"]:
        return None
    return answer["value"].encode() if "value" in answer else unb64(answer["value_base64"])


class Cache:
    """Calls with the cache's name filled in: cache.store(key="k", value="v")."""

    def __init__(self, rpc, name="c0"):
        self.rpc = rpc
        self.name = name

    def __getattr__(self, verb):
        return lambda **params: self.rpc.call(f"cache_{verb}", name=self.name, **params)

    def value(self, key):
        """The value of a key of bytes, or None."""
        return value_of(self.lookup(key_base64=b64(key)))

    def put(self, key, value):
        assert self.store(key_base64=b64(key), value_base64=b64(value)) == {"stored": True}


def make(daemon, name="c0", size_bytes=DEVICE_BYTES, driver="uring", **options):
    """A cache on a new file NAME.img by a bdev dev_NAME."""
    open_device(daemon, name, size_bytes, driver)
    daemon.rpc.cache_create(name=name, bdev_name=f"dev_{name}", **options)
    return Cache(daemon.rpc, name)


def open_device(daemon, name="c0", size_bytes=DEVICE_BYTES, driver="uring"):
    daemon.file(f"{name}.img", size_bytes)
    daemon.rpc.call(f"bdev_{driver}_create", name=f"dev_{name}", filename=f"{name}.img")


def reopen(daemon, name="c0", **options):
    """The same cache in another daemon."""
    open_device(daemon, name)
    daemon.rpc.cache_create(name=name, bdev_name=f"dev_{name}", **options)
    return Cache(daemon.rpc, name)


def damage(path, offset, data=b"\xff" * 64):
    with open(path, "r+b") as file:
        file.seek(offset)
        file.write(data)


def crc32c(data):
    """CRC-32C (Castagnoli), bit by bit; for a block or two."""
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def set_super_version(path, copy, version):
    """As a newer tarn would have written it: magic, version, checksum stay where they are."""
    with open(path, "r+b") as file:
        file.seek(copy * BLOCK_BYTES)
        block = bytearray(file.read(BLOCK_BYTES))
        if not any(block):
            return
        block[8:16] = version.to_bytes(4, "little") + bytes(4)
        block[12:16] = crc32c(block).to_bytes(4, "little")
        file.seek(copy * BLOCK_BYTES)
        file.write(block)
