"""Contents in and out: composing a body from prefix and received data, reading it back."""

import errno
import mmap
import os
import secrets
import shutil
import zlib
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path

import msgspec

from mox.base.limits import DISK_FREE_MIN, MESSAGE_IN_MEMORY
from mox.store.blobs.base import SpoolFile
from mox.store.errors import DiskFull, MessageUnfit
from mox.store.layout.rows import Facts

COPY_SLICE = 1 << 20  # bytes
_U32_MAX = 0xFFFFFFFF


class Kind:
    """Kinds of derived values in the cache family."""

    ENVELOPE = 1  # IMAP ENVELOPE with raw header values
    BODYSTRUCTURE = 2  # IMAP BODYSTRUCTURE
    BODY = 3  # IMAP BODY
    PART = 4  # the part tree, for sections
    PREVIEW = 5  # the first words, UTF-8
    ENVELOPE_UTF8 = 6  # IMAP ENVELOPE with decoded values, only where it differs
    HAS_NUL = 7  # there only where the content holds a NUL, which text may not


Buffer = bytes | mmap.mmap
Derive = Callable[[Buffer], dict[int, bytes]]
"""Made once at delivery from a whole content; runs in a thread for large ones."""


class NewMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be added to a mailbox."""

    content: bytes | SpoolFile
    prefix: bytes = b""  # our header fields, before the content
    flags: int = 0
    keywords: tuple[str, ...] = ()  # lower case
    received_ms: int
    zone_minutes: int = 0
    facts: Facts = Facts()

    @property
    def size(self) -> int:
        """Bytes of prefix and content."""
        body = self.content
        return len(self.prefix) + (len(body) if isinstance(body, bytes) else body.size)

    def check(self) -> None:
        """Can a row hold these values?    Errors: MessageUnfit."""
        fits = (
            0 <= self.size <= _U32_MAX
            and 0 <= self.flags <= _U32_MAX
            and -(1 << 15) <= self.zone_minutes < 1 << 15
            and -(1 << 63) <= self.received_ms < 1 << 63
        )
        if not fits:
            raise MessageUnfit


class Spool:
    """Collects a content of unknown size: in memory while small, then in a file.    Blocks on disk.

    ``write`` is given chunks; ``finish`` gives what ``NewMessage.content`` wants; ``discard``
    removes whatever is there and may be called at any time.
    """

    def __init__(self, folder: Path, *, in_memory: int = MESSAGE_IN_MEMORY) -> None:
        self._folder = folder
        self.in_memory = in_memory  # bytes; may be changed while nothing is on disk
        self._chunks: list[bytes] = []
        self._path: Path | None = None
        self._fd = -1
        self._crc = 0
        self.size = 0

    @property
    def on_disk(self) -> bool:
        """There is a file."""
        return self._path is not None

    def write(self, chunk: bytes) -> None:
        """Add bytes.    Errors: DiskFull, OSError."""
        self.size += len(chunk)
        try:
            self._keep(chunk)
        except OSError as e:
            if e.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFull(cause=e) from e
            raise

    def _keep(self, chunk: bytes) -> None:
        on_disk = self.size > self.in_memory
        # Contents stop before the disk is full: the index must go on.
        if on_disk and shutil.disk_usage(self._folder).free < DISK_FREE_MIN + len(chunk):
            raise DiskFull
        if self._fd < 0 and on_disk:
            self._path = self._folder / f"spool-{secrets.token_hex(8)}"
            self._fd = os.open(
                self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
            )
            for earlier in self._chunks:
                self._crc = zlib.crc32(earlier, self._crc)
                _write(self._fd, earlier)
            self._chunks.clear()
        if self._fd >= 0:
            self._crc = zlib.crc32(chunk, self._crc)
            _write(self._fd, chunk)
        else:
            self._chunks.append(chunk)

    def finish(self) -> bytes | SpoolFile:
        """The content; a file is now the caller's."""
        if self._path is None:
            return b"".join(self._chunks)
        os.close(self._fd)
        self._fd = -1
        result = SpoolFile(path=self._path, size=self.size, crc=self._crc)
        self._path = None
        return result

    def discard(self) -> None:
        """Forget everything."""
        self._chunks.clear()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None


def compose(message: NewMessage, folder: Path) -> bytes | SpoolFile:
    """Prefix and content as one; a spooled content is copied behind its prefix.    Blocks."""
    if isinstance(message.content, bytes):
        whole = message.prefix + message.content
        if len(whole) <= MESSAGE_IN_MEMORY:
            return whole
        return _spooled(folder, [whole])
    if not message.prefix:
        return message.content
    with message.content.path.open("rb") as source:
        slices = iter(lambda: source.read(COPY_SLICE), b"")
        whole_file = _spooled(folder, chain((message.prefix,), slices))
    message.content.path.unlink()
    return whole_file


def _spooled(folder: Path, chunks: Iterable[bytes]) -> bytes | SpoolFile:
    spool = Spool(folder, in_memory=0)
    try:
        for chunk in chunks:
            spool.write(chunk)
        return spool.finish()
    except BaseException:
        spool.discard()
        raise


def map_file(path: Path) -> mmap.mmap:
    """A file as a buffer without reading it.    Errors: OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    finally:
        os.close(fd)


def derive_from(derive: Derive, content: bytes | SpoolFile) -> dict[int, bytes]:
    """Derived values of a composed content.    Blocks for as long as parsing takes."""
    if isinstance(content, bytes):
        return derive(content)
    with map_file(content.path) as mapped:
        return derive(mapped)


def _write(fd: int, chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[os.write(fd, view) :]
