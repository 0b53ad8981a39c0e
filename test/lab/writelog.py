# SPDX-License-Identifier: BSD-3-Clause
"""The log of a drive's writes (machine.Nvme(logged=True)), and what power loss at a point of it leaves.
The format is dm-log-writes': Linux's Documentation/admin-guide/device-mapper/log-writes.rst. QEMU logs
an I/O when the drive has carried it out, so that a flush covers at least what is before it."""
import mmap
import struct

SUPER = struct.Struct("<QQQI")  # magic, version, entries, bytes of a sector
ENTRY = struct.Struct("<QQQQ")  # sector, sectors, flags, bytes of a mark
MAGIC = 0x6A736677736872
FLUSH, DISCARD = 1, 4
TORN_BYTES = 512  # what a device writes whole


class Entry:
    def __init__(self, offset, length, flags, place):
        self.offset = offset  # on the drive
        self.length = length
        self.flush = bool(flags & FLUSH)
        self.discard = bool(flags & DISCARD)
        self.place = place    # of its data, in the log's file


class WriteLog:
    """Of the bytes from `start` to `end` of a drive; what lies elsewhere is in others()."""

    def __init__(self, path, start, end):
        self.start, self.end = start, end
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        magic, version, count, sector = SUPER.unpack_from(self.data)
        assert (magic, version) == (MAGIC, 1), "not a log of writes"
        self.entries = []
        place = sector
        for _ in range(count):
            first, sectors, flags, _ = ENTRY.unpack_from(self.data, place)
            place += sector
            self.entries.append(Entry(first * sector, sectors * sector, flags, place))
            if not flags & DISCARD:
                place += sectors * sector

    def content(self, entry):
        return self.data[entry.place:entry.place + entry.length]

    def flushes(self):
        return [index for index, entry in enumerate(self.entries) if entry.flush]

    def others(self, start, end):
        """(index, content) of the writes within these bytes."""
        return [(index, self.content(entry)) for index, entry in enumerate(self.entries)
                if entry.length and not entry.discard and start <= entry.offset < end]

    def apply(self, image, entry, keep=lambda: True):
        """On a bytearray of the range: each sector that keep() keeps."""
        if entry.flush or not self.start <= entry.offset < self.end:
            return
        at = entry.offset - self.start
        content = bytes(entry.length) if entry.discard else self.content(entry)
        for sector in range(0, entry.length, TORN_BYTES):
            if keep():
                image[at + sector:at + sector + TORN_BYTES] = content[sector:sector + TORN_BYTES]

    def images(self, points, chance):
        """For each point, in order: (point, torn, image). All entries before the point were written; in the torn ones
        those after the last flush only in part: whole, not at all, or in some of their sectors."""
        durable = bytearray(self.end - self.start)
        applied = 0
        for point in sorted(points):
            last_flush = max((index for index in range(applied, point) if self.entries[index].flush), default=applied)
            for entry in self.entries[applied:last_flush]:
                self.apply(durable, entry)
            applied = last_flush
            torn = chance.random() < 0.6
            image = bytearray(durable)
            for entry in self.entries[applied:point]:
                fate = chance.choice([1, 0, chance.random()]) if torn else 1
                self.apply(image, entry, lambda fate=fate: chance.random() < fate)
            yield point, torn, image

    def points(self, count, first, chance):
        """So many from `first` on: half of them beside a flush, where most is about to change."""
        flushes = [index for index in self.flushes() if index > first]
        chosen = []
        for number in range(count):
            point = chance.randrange(first, len(self.entries)) if number % 2 else \
                chance.choice(flushes) + chance.choice([-2, -1, 0, 1, 2, 3, 5])
            chosen.append(min(max(point, first + 1), len(self.entries)))
        return chosen
