"""Transfer decoding in chunks, so that a large attachment is never one object in memory.

The chunks joined are what ``message.transfer.decode`` gives for the whole.    RFC 2045 §6.
"""

import tempfile
from collections.abc import Iterable, Iterator
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from mox.base.limits import MESSAGE_IN_MEMORY
from mox.message import transfer
from mox.message.buffer import Buffer

CHUNK: Final = 256 * 1024  # bytes read at a time; a multiple of 4

_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NEITHER: Final = bytes(sorted(set(range(256)) - set(_DIGITS) - set(b"=")))
_LOOK_BACK: Final = 1000  # bytes given back in search of a place where quoted-printable can be cut


def decoded_chunks(content: Buffer, start: int, end: int, encoding: bytes) -> Iterator[bytes]:
    """The decoded range, piece by piece."""
    if encoding == b"BASE64":
        return _base64(content, start, end)
    if encoding == b"QUOTED-PRINTABLE":
        return _quoted_printable(content, start, end)
    return _slices(content, start, end)


def _slices(content: Buffer, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, CHUNK):
        yield bytes(content[at : min(end, at + CHUNK)])


def _base64(content: Buffer, start: int, end: int) -> Iterator[bytes]:
    rest = b""
    for raw in _slices(content, start, end):
        digits = rest + raw.translate(None, _NEITHER)
        padding = digits.find(b"=")
        if padding >= 0:
            # RFC 2045 §6.8: "=" is the end of the data.
            rest = digits[:padding]
            break
        whole = len(digits) // 4 * 4
        rest = digits[whole:]
        yield transfer.decode(digits[:whole], b"BASE64")
    if rest:
        yield transfer.decode(rest, b"BASE64")


def _quoted_printable(content: Buffer, start: int, end: int) -> Iterator[bytes]:
    at, size = start, CHUNK
    while at < end:
        raw = bytes(content[at : min(end, at + size)])
        if at + len(raw) < end:
            raw = raw[: _cut(raw)]
        if raw:
            at, size = at + len(raw), CHUNK
            yield transfer.decode(raw, b"QUOTED-PRINTABLE")
        else:
            size *= 2


def _cut(raw: bytes) -> int:
    """Where a piece may end: after a line, else between two characters that stand alone.

    0 where there is no such place.
    """
    line = raw.rfind(b"\n") + 1
    if line:
        return line
    for at in range(len(raw), max(2, len(raw) - _LOOK_BACK), -1):
        if raw[at - 1] not in b"= \t\r" and raw[at - 2] not in b"=":
            return at
    return 0


def with_crlf(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks with CRLF for every lone LF.    ``message.lines.to_crlf`` in pieces."""
    last = b""
    for chunk in chunks:
        if not chunk:
            continue
        if chunk.count(b"\n") != chunk.count(b"\r\n"):
            fixed = chunk.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
            chunk = fixed[1:] if last == b"\r" and chunk[:1] == b"\n" else fixed
        last = chunk[-1:]
        yield chunk


def gather(chunks: Iterable[bytes], folder: Path | None) -> Buffer:
    """The chunks as one buffer: in memory while small, else a mapping of a nameless file.

    Input   folder: where the file is made; None: the system's place for such files.
    Errors  OSError.    Blocks.
    """
    kept: list[bytes] = []
    size = 0
    stream = iter(chunks)
    for chunk in stream:
        kept.append(chunk)
        size += len(chunk)
        if size > MESSAGE_IN_MEMORY:
            break
    else:
        return b"".join(kept)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.writelines(kept)
        kept.clear()
        for chunk in stream:
            file.write(chunk)
        file.flush()
        return mmap(file.fileno(), 0, access=ACCESS_READ)
