"""Packed files from strangers: gzip and zip, unpacked piece by piece.    RFC 1952, RFC 1951.

Laws
  No more than a piece is held, whatever the packed bytes say of their size.  A ``Budget`` is shared
  by all that is unpacked for one message; what goes beyond it is refused before it is unpacked.
  Of a zip file the directory is read, and only when it says that there is one file.
"""

import zlib
from collections.abc import Generator, Iterator
from struct import Struct

from mox.base.errors import Malformed
from mox.base.limits import GZIP_MEMBERS, KIB
from mox.message.buffer import Buffer

PIECE = 64 * KIB  # bytes unpacked at a time

GZIP_MAGIC = b"\x1f\x8b"
ZIP_MAGIC = b"PK\x03\x04"

# PKWARE's APPNOTE §4.3.16, §4.3.12, §4.3.7, each without its signature
_END = Struct("<HHHHIIH")
_ENTRY = Struct("<HHHHHHIIIHHHHHII")
_LOCAL = Struct("<HHHHHIIIHH")
_END_MAGIC, _ENTRY_MAGIC = b"PK\x05\x06", b"PK\x01\x02"
_END_SEARCHED = 65_535 + 4 + _END.size  # bytes; a comment of 16 bits of length may follow
_ENCRYPTED = 1
_STORED, _DEFLATED = 0, 8


class BadArchive(Malformed):
    """Not what it claims to be, or a kind that is not read."""

    default = "malformed packed file"


class TooLarge(BadArchive):
    """More would come out than may."""

    default = "too large when unpacked"


class Budget:
    """Bytes that may still be unpacked."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, count: int) -> None:
        """Errors: TooLarge."""
        self.left -= count
        if self.left < 0:
            raise TooLarge


def gunzip(packed: Buffer, budget: Budget) -> Iterator[bytes]:
    """The pieces of a gzip file, of all its members; what follows the last one is ignored.

    Errors  BadArchive, TooLarge.
    """
    view = memoryview(packed)
    for _ in range(GZIP_MEMBERS):
        taken = yield from _inflate(view, zlib.MAX_WBITS | 16, budget)
        view = view[taken:]
        if bytes(view[:2]) != GZIP_MAGIC:  # RFC 1952 §2.2: members follow each other
            return
    raise BadArchive("too many gzip members")


def unzip(packed: Buffer, budget: Budget) -> Iterator[bytes]:
    """The pieces of the one file in a zip file.    Errors: BadArchive, TooLarge."""
    view = memoryview(packed)
    method, checksum, start, size = _only_entry(view)
    content = view[start : start + size]
    crc = 0
    for piece in _slices(content, budget) if method == _STORED else _raw(content, budget):
        crc = zlib.crc32(piece, crc)
        yield piece
    if crc != checksum:
        raise BadArchive("zip file is damaged")


def _only_entry(view: memoryview) -> tuple[int, int, int, int]:
    """Method, CRC-32, offset and packed size of the one file."""
    tail = bytes(view[-_END_SEARCHED:])
    at = tail.rfind(_END_MAGIC)
    if at < 0 or at + 4 + _END.size > len(tail):
        raise BadArchive("zip file without a directory")
    *_, entries, _size, offset, _comment = _END.unpack_from(tail, at + 4)
    if entries != 1:
        raise BadArchive("zip file with more or less than one file")
    header = bytes(view[offset : offset + 4 + _ENTRY.size])
    if len(header) != 4 + _ENTRY.size or not header.startswith(_ENTRY_MAGIC):
        raise BadArchive("zip file with a damaged directory")
    fields = _ENTRY.unpack_from(header, 4)
    flags, method, checksum, size, local = fields[2], fields[3], fields[6], fields[7], fields[15]
    if flags & _ENCRYPTED or method not in (_STORED, _DEFLATED):
        raise BadArchive("zip file is encrypted or of an unknown method")
    header = bytes(view[local : local + 4 + _LOCAL.size])
    if len(header) != 4 + _LOCAL.size or not header.startswith(ZIP_MAGIC):
        raise BadArchive("zip file with a damaged directory")
    *_, name_length, extra_length = _LOCAL.unpack_from(header, 4)
    start = local + len(header) + name_length + extra_length
    if start + size > len(view):
        raise BadArchive("zip file ends early")
    return method, checksum, start, size


def _slices(content: memoryview, budget: Budget) -> Iterator[bytes]:
    for start in range(0, len(content), PIECE):
        piece = bytes(content[start : start + PIECE])
        budget.take(len(piece))
        yield piece


def _raw(content: memoryview, budget: Budget) -> Iterator[bytes]:
    yield from _inflate(content, -zlib.MAX_WBITS, budget)


def _inflate(packed: memoryview, window: int, budget: Budget) -> Generator[bytes, None, int]:
    """The pieces of one stream; returns the length of what it was packed in."""
    stream = zlib.decompressobj(window)
    position = 0
    pending = b""
    while not stream.eof:
        fresh = not pending
        if fresh:
            pending = bytes(packed[position : position + PIECE])
            position += len(pending)
        try:
            piece = stream.decompress(pending, PIECE)
        except zlib.error as error:
            raise BadArchive(cause=error) from error
        if fresh and not pending and not piece:
            raise BadArchive("packed file ends early")
        pending = stream.unconsumed_tail
        budget.take(len(piece))
        if piece:
            yield piece
    return position - len(stream.unused_data)
