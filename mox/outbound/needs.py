"""What a message needs of those who carry it.    RFC 6152, RFC 6531 §3.4; spec section 6."""

import asyncio
from collections.abc import Iterable

from mox.message import mime
from mox.message.buffer import Buffer
from mox.message.part import walk
from mox.smtp.address import Address
from mox.store.blobs.base import SpoolFile
from mox.store.content import map_file

_INLINE = 64 * 1024  # bytes parsed on the event loop


async def needs_smtputf8(
    content: bytes | SpoolFile, *, has_8bit: bool, addresses: Iterable[Address]
) -> bool:
    """Whether a message can only travel with SMTPUTF8: a local part or a header has other characters.

    Domains do not count: they have A-labels.
    """
    if any(address.needs_utf8 for address in addresses):
        return True
    if not has_8bit:
        return False
    if isinstance(content, bytes):
        if len(content) <= _INLINE:
            return _has_utf8_header(content)
        return await asyncio.to_thread(_has_utf8_header, content)
    return await asyncio.to_thread(_has_utf8_header_of, content)


def _has_utf8_header_of(file: SpoolFile) -> bool:
    with map_file(file.path) as mapped:
        return _has_utf8_header(mapped)


def _has_utf8_header(content: Buffer) -> bool:
    """Of the message, of a part, or of a message within it."""
    return any(
        not bytes(content[part.header_offset : part.body_offset]).isascii()
        for part, decodings in walk(mime.parse(content))
        if not decodings  # what is encoded travels as ASCII
    )
