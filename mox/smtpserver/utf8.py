"""Does a message need SMTPUTF8 on its way?    RFC 6531 §3.1, RFC 6532; spec/smtp-server.md section 6.

What the client said is no measure: programs say it always, or never.  A domain in A-labels does not
count, and neither does 8-bit text in bodies.
"""

import asyncio
import mmap

from mox.inbound.receive import Received
from mox.message.mime import parse
from mox.message.part import walk
from mox.smtpserver.transaction import Transaction
from mox.store.blobs.base import SpoolFile


async def needs_utf8(transaction: Transaction, received: Received) -> bool:
    """An address of the envelope, or a header field of any part, is not ASCII.

    Errors  OSError.    Cost  only of a message with 8-bit octets: it is parsed, in a thread.
    """
    addresses = [transaction.sender, *(each.address for each in transaction.recipients)]
    if any(address.needs_utf8 for address in addresses):
        return True
    if not received.has_8bit:
        return False
    if not received.header.isascii():
        return True
    return await asyncio.to_thread(_in_parts, received.content)


def _in_parts(content: bytes | SpoolFile) -> bool:
    if isinstance(content, bytes):
        return _has_utf8_header(content)
    with (
        content.path.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        return _has_utf8_header(mapped)


def _has_utf8_header(content: bytes | mmap.mmap) -> bool:
    # What is embedded in base64 or quoted-printable is ASCII on the wire.
    return any(
        not content[part.header_offset : part.body_offset].isascii()
        for part, decodings in walk(parse(content))
        if not decodings
    )
