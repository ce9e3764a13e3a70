"""Blind copies stay blind: Bcc fields are taken out of what leaves.    RFC 5322 §3.6.3, §3.6.6."""

import asyncio
from pathlib import Path

import msgspec

from mox.inbound.receive import Received
from mox.message.header import fields
from mox.store.blobs.base import SpoolFile
from mox.store.content import COPY_SLICE, Spool

_NAMES = frozenset({b"bcc", b"resent-bcc"})


async def without_bcc(received: Received, folder: Path) -> Received:
    """The message without these fields; its own file where it had one, the old one is removed.

    Input   folder: for spooled files.
    Errors  DiskFull, OSError; then the message is as it was.
    """
    found = [field for field in fields(received.header) if field.name in _NAMES]
    if not found:
        return received
    kept, at = [], 0
    for field in found:
        kept.append(received.header[at : field.start])
        at = field.end
    header = b"".join((*kept, received.header[at:]))
    content = received.content
    offset = len(received.header)
    new: bytes | SpoolFile
    if isinstance(content, bytes):
        new = header + content[offset:]
    else:
        new = await asyncio.to_thread(_rewritten, content, header, offset, folder)
    size = received.size - offset + len(header)
    return msgspec.structs.replace(received, content=new, header=header, size=size)


def _rewritten(content: SpoolFile, header: bytes, offset: int, folder: Path) -> bytes | SpoolFile:
    """Another file with another header section.    Blocks."""
    spool = Spool(folder, in_memory=0)
    try:
        spool.write(header)
        with content.path.open("rb") as source:
            source.seek(offset)
            while piece := source.read(COPY_SLICE):
                spool.write(piece)
        made = spool.finish()
    except BaseException:
        spool.discard()
        raise
    content.path.unlink()
    return made
