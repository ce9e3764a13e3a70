"""The keys a domain signs with, and signatures over a message that is about to leave.

Source  RFC 6376 §5, RFC 6409 §8.1; spec/smtp-server.md section 7 point 8.
"""

import os
from collections.abc import Sequence
from typing import Final, Protocol

from mox.base.log import get_logger
from mox.mailauth.dkim.canonical import BadHeader
from mox.mailauth.dkim.sign import NotSigned, Signing, SigningKey, Unsigned
from mox.message.buffer import Buffer
from mox.store.blobs.base import SpoolFile
from mox.store.content import map_file
from mox.store.thread import WorkThreads

log = get_logger("outbound")

_PIECE = 1 << 20  # bytes hashed at a time
_INLINE = 64 * 1024  # bytes hashed on the event loop: some 50 µs

_threads: Final = WorkThreads("sign", os.cpu_count() or 1)  # the processor is all that they need


class Keys(Protocol):
    """Who has the keys."""

    def of(self, domain: str) -> Sequence[SigningKey]:
        """Those a domain of ours, A-labels, signs with; none where it does not sign."""
        ...


class NoKeys:
    """Signs nothing."""

    def of(self, domain: str) -> Sequence[SigningKey]:
        """None."""
        return ()


async def signatures(
    keys: Sequence[SigningKey],
    header: bytes,
    content: bytes | SpoolFile,
    *,
    body_offset: int,
    now_s: int,
    local_part: str,
) -> bytes:
    """DKIM-Signature fields.

    Input   header: the whole header section as it will leave, with its empty line; content: whose
            body, from ``body_offset`` on, follows it.
    Output  empty where a message or a key is not fit: better unsigned than kept back (logged).
    """
    if not keys:
        return b""

    def prepare() -> list[Unsigned]:
        signing = Signing(header, keys, now_s=now_s, local_part=local_part)
        if isinstance(content, bytes):
            _feed(signing, content, body_offset)
        else:
            with map_file(content.path) as mapped:
                _feed(signing, mapped, body_offset)
        return signing.finish()

    try:
        # A thread that takes turns with the event loop costs more than hashing a little.
        is_small = isinstance(content, bytes) and len(content) <= _INLINE
        fields = prepare() if is_small else await _threads.run(prepare)
    except (NotSigned, BadHeader) as error:
        log.warn("dkim.not_signed", domain=keys[0].domain, problem=error.public)
        return b""
    values = await _threads.run(_values, fields)
    return b"".join(field.signed(value) for field, value in zip(fields, values, strict=True))


def _values(fields: list[Unsigned]) -> list[bytes]:
    return [field.value() for field in fields]


def _feed(signing: Signing, content: Buffer, start: int) -> None:
    for at in range(start, len(content), _PIECE):
        signing.feed_body(content[at : at + _PIECE])
