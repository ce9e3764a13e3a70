"""Append-only pack files; contents over 1 MiB are files of their own.

A record is a header (magic, length, account, file id, CRC-32) and the bytes.  A group is one
``writev`` and one ``fdatasync``; what a crash leaves behind is bytes that no row refers to.  A
pack whose last live record is erased is removed.
"""

import os
import shutil
import threading
import zlib
from collections import OrderedDict
from pathlib import Path
from struct import Struct

from mox.base.files import sync_folder, write_all
from mox.base.limits import DISK_FREE_MIN, PACK_SIZE
from mox.store.blobs.base import Body, SpoolFile
from mox.store.errors import DataDamaged, DiskFull
from mox.store.layout.rows import Location

MAGIC = b"MXP1"
HEADER = Struct("<4sIIQI")  # magic, length, account, file id, CRC-32
OPEN_PACKS = 64  # read descriptors kept


class PackBlobs:
    """The contents of one shard, below ``packs/`` and ``large/`` of its folder."""

    def __init__(self, folder: Path, *, pack_size: int = PACK_SIZE) -> None:
        self._packs = folder / "packs"
        self._large = folder / "large"
        self._packs.mkdir(parents=True, exist_ok=True)
        self._large.mkdir(exist_ok=True)
        self._pack_size = pack_size
        self._number = max((int(path.stem) for path in self._packs.glob("*.pack")), default=0)
        self._append_fd = -1
        self._offset = 0
        self._readers: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()  # of the reader descriptors: reads come from several threads

    def check_space(self) -> None:
        """Errors: DiskFull."""
        if shutil.disk_usage(self._packs).free < DISK_FREE_MIN:
            raise DiskFull

    def put_group(self, bodies: list[Body]) -> list[Location]:
        """Append and sync.    Errors: DiskFull, OSError; then the group is not referred to."""
        self.check_space()
        locations: list[Location] = []
        parts: list[bytes] = []
        large_folders: set[Path] = set()
        self._roll()
        offset = self._offset
        for body in bodies:
            if isinstance(body.content, SpoolFile):
                locations.append(self._adopt(body, body.content, large_folders))
                continue
            length = len(body.content)
            crc = zlib.crc32(body.content)
            parts += (HEADER.pack(MAGIC, length, body.account, body.file, crc), body.content)
            locations.append(
                Location(pack=self._number, offset=offset + HEADER.size, length=length, crc=crc)
            )
            offset += HEADER.size + length
        for folder in large_folders:
            sync_folder(folder)
        if parts:
            try:
                write_all(self._append_fd, parts)
                os.fdatasync(self._append_fd)
            except OSError:
                # What was written is of unknown length: go on in a new pack.
                self._close_append()
                raise
            self._offset = offset
        return locations

    def read(self, account: int, file: int, location: Location, start: int, end: int) -> bytes:
        """A range of a content; a whole one is checked against its CRC-32.

        Errors  FileNotFoundError: its pack was removed, it may be in another one by now.
        """
        end = min(end, location.length)
        if start >= end:
            return b""
        if location.pack:
            data = self._read_pack(location, start, end)
        else:
            fd = os.open(self._large_path(account, file), os.O_RDONLY)
            try:
                data = _pread(fd, end - start, start)
            finally:
                os.close(fd)
        if end - start == location.length and zlib.crc32(data) != location.crc:
            raise DataDamaged("a stored message does not match its checksum", file=file)
        return data

    def path(self, account: int, file: int, location: Location) -> Path | None:
        """The file of a large content, for mapping it; None for one in a pack."""
        return None if location.pack else self._large_path(account, file)

    def erase(self, account: int, file: int, location: Location) -> None:
        """Remove a large file.  A pack is removed as a whole, see ``drop_pack``."""
        if not location.pack:
            self._large_path(account, file).unlink(missing_ok=True)

    def packs(self) -> dict[int, int]:
        """Size in bytes of every closed pack by number."""
        return {
            int(path.stem): path.stat().st_size
            for path in self._packs.glob("*.pack")
            if int(path.stem) != self._number
        }

    def drop_pack(self, number: int) -> None:
        """Remove a closed pack that no row refers to."""
        with self._lock:
            # Unlinked before anybody can open it once more: a kept descriptor keeps its space.
            fd = self._readers.pop(number, -1)
            if fd >= 0:
                os.close(fd)
            self._pack_path(number).unlink(missing_ok=True)

    def large_files(self) -> list[tuple[int, int]]:
        """Account and content id of every file of its own."""
        return [(int(path.parts[-3]), int(path.name)) for path in self._large.glob("*/*/*")]

    def remove_large(self, account: int, file: int) -> None:
        """Remove a file that no row refers to."""
        self._large_path(account, file).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all descriptors."""
        self._close_append()
        with self._lock:
            for fd in self._readers.values():
                os.close(fd)
            self._readers.clear()

    def _roll(self) -> None:
        if self._append_fd >= 0 and self._offset < self._pack_size:
            return
        self._close_append()
        # Always a new file: the tail of the last one may hold what a crash left.
        self._number += 1
        fd = os.open(
            self._pack_path(self._number),
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        try:
            sync_folder(self._packs)
        except OSError:
            os.close(fd)  # its name may not survive a crash: never write to it
            raise
        self._append_fd, self._offset = fd, 0

    def _close_append(self) -> None:
        if self._append_fd >= 0:
            os.close(self._append_fd)
            self._append_fd = -1

    def _adopt(self, body: Body, spool: SpoolFile, folders: set[Path]) -> Location:
        path = self._large_path(body.account, body.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(spool.path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
        spool.path.rename(path)
        folders.update((path.parent, path.parent.parent, self._large))
        return Location(pack=0, offset=0, length=spool.size, crc=spool.crc)

    def _read_pack(self, location: Location, first: int, last: int) -> bytes:
        with self._lock:
            fd = self._readers.get(location.pack, -1)
            if fd < 0:
                fd = os.open(self._pack_path(location.pack), os.O_RDONLY | os.O_CLOEXEC)
                self._readers[location.pack] = fd
                if len(self._readers) > OPEN_PACKS:
                    os.close(self._readers.popitem(last=False)[1])
            else:
                self._readers.move_to_end(location.pack)
            # A duplicate, so that nobody closes it under us.
            fd = os.dup(fd)
        try:
            return _pread(fd, last - first, location.offset + first)
        finally:
            os.close(fd)

    def _pack_path(self, number: int) -> Path:
        return self._packs / f"{number:08d}.pack"

    def _large_path(self, account: int, file: int) -> Path:
        return self._large / str(account) / f"{file >> 13}" / str(file)


def _pread(fd: int, length: int, offset: int) -> bytes:
    data = os.pread(fd, length, offset)
    if len(data) == length:
        return data
    parts = [data]
    got = len(data)
    while got < length:
        data = os.pread(fd, length - got, offset + got)
        if not data:
            raise DataDamaged("a stored message is shorter than recorded")
        parts.append(data)
        got += len(data)
    return b"".join(parts)
