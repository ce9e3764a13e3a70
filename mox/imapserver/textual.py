"""A message with NUL as text: BODY[] and kin may not hold NUL, BINARY may.

APPEND of a literal8 keeps every octet.  Where such a message is read as text, each part that holds a
NUL is shown base64-encoded (RFC 3516 §4.1: the server chooses an encoding that fits); a NUL where no
encoding can be (a header, a preamble) becomes the octet 0x80.
"""

import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from mox.imapserver.decoding import CHUNK, gather
from mox.message import header
from mox.message.buffer import Buffer
from mox.message.part import Part, walk
from mox.message.transfer import ENCODINGS

_LINE: Final = 57  # octets that make a line of 76 characters, RFC 2045 §6.8
_REPLACED: Final = bytes.maketrans(b"\0", b"\x80")


def has_nul(content: Buffer) -> bool:
    """Is there a NUL?    In slices, so that other threads run between them."""
    if len(content) <= CHUNK:
        return b"\0" in bytes(content)
    return any(b"\0" in content[at : at + CHUNK] for at in range(0, len(content), CHUNK))


def textual(content: Buffer, tree: Part, folder: Path | None) -> Buffer:
    """The content in a form without NUL.    Input: folder as for ``decoding.gather``."""
    return gather(_pieces(content, tree), folder)


def without_nul(data: bytes) -> bytes:
    """A header in a form without NUL."""
    return data.translate(_REPLACED)


def _pieces(content: Buffer, tree: Part) -> Iterator[bytes]:
    at = 0
    for part in _parts_to_encode(content, tree):
        yield from _copied(content, at, part.header_offset)
        yield from _encoded(content, part, is_top=part is tree)
        at = part.end_offset
    yield from _copied(content, at, len(content))


def _parts_to_encode(content: Buffer, tree: Part) -> Iterator[Part]:
    """Leaves that hold a NUL, in the order of their bytes."""
    for part, decodings in walk(tree):
        leaf = not part.parts and part.message is None and not decodings
        if leaf and (part.encoding or b"") not in ENCODINGS:
            body = memoryview(content)[part.body_offset : part.end_offset]
            if any(b"\0" in bytes(body[at : at + CHUNK]) for at in range(0, len(body), CHUNK)):
                yield part


def _encoded(content: Buffer, part: Part, *, is_top: bool) -> Iterator[bytes]:
    block = memoryview(content)[part.header_offset : part.body_offset]
    fields = header.select(block, (b"content-transfer-encoding",), exclude=True)
    fields = fields.removesuffix(b"\n").removesuffix(b"\r")  # the empty line
    yield fields.translate(_REPLACED) + b"Content-Transfer-Encoding: base64\r\n"
    step = CHUNK // _LINE * _LINE
    for start in range(part.body_offset, part.end_offset, step):
        chunk = bytes(content[start : min(start + step, part.end_offset)])
        lines = (chunk[at : at + _LINE] for at in range(0, len(chunk), _LINE))
        yield b"".join(b"\r\n" + binascii.b2a_base64(line, newline=False) for line in lines)
    if is_top:
        yield b"\r\n"


def _copied(content: Buffer, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, CHUNK):
        yield bytes(content[at : min(end, at + CHUNK)]).translate(_REPLACED)
