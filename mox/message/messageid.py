"""Message ids and references: what ties messages together.    RFC 5322 §3.6.4.

Ids are compared in a canonical form: lower case, local part quoted only where it must be.
"""

import base64
import re
from collections.abc import Iterable
from typing import NamedTuple

from mox.base.limits import REFERENCES
from mox.message import charset
from mox.message.quoting import local_part, unquote

_DOMAIN = re.compile(rb"[a-z0-9_\x80-\xff-]++(?:\.[a-z0-9_\x80-\xff-]++)*+\.?")
_LOCAL = re.compile(
    rb"(?:[a-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-]++)*+"
    rb"|\"(?:[^\"\\]|\\.)*+\")"
)
_SPACE = b" \t\r\n"
_RANDOM_BYTES = 16


class MessageId(NamedTuple):
    """An id without angle brackets; ``is_raw`` where it has no form of an address."""

    value: str
    is_raw: bool


def canonical(raw: bytes) -> MessageId | None:
    """The id a Message-ID field gives; None where it gives none.

    It is ``<id>`` and nothing behind it, or text after a space.
    """
    text = raw.strip(_SPACE)
    close = text.find(b">")
    if not text.startswith(b"<") or close < 0:
        return None
    rest = text[close + 1 :]
    if rest and rest[:1] != b" ":
        return None
    return _canonical(text[1:close])


def _canonical(inner: bytes) -> MessageId | None:
    text = inner.lower() if inner.isascii() else charset.decode(inner, b"").lower().encode()
    if not text:
        return None
    local, at, domain = text.rpartition(b"@")
    if at and _LOCAL.fullmatch(local) and _DOMAIN.fullmatch(domain):
        plain = local_part(unquote(local)) if local.startswith(b'"') else local
        return MessageId(charset.decode(plain + b"@" + domain, b""), False)
    return MessageId(charset.decode(text, b""), True)


def references(fields: Iterable[bytes], in_reply_to: Iterable[bytes] = ()) -> list[MessageId]:
    """The ids of all References fields, in order; if there is none, the first of In-Reply-To.

    Junk between ids and truncated ids are passed over; space inside an id is taken out, since some
    clients fold there.  At most limits.REFERENCES, the last ones.
    """
    found: list[MessageId] = []
    for value in fields:
        found += _scan(value)
    if not found:
        for value in in_reply_to:
            ids = _scan(value, only_first=True)
            if ids:
                return ids
    return found[-REFERENCES:]


_JUNK_END = re.compile(rb"[ >]")
_ID_END = re.compile(rb"[<>]")
_NOT_SPACE = re.compile(rb"[^ \t\r\n]")


def _scan(value: bytes, *, only_first: bool = False) -> list[MessageId]:
    found: list[MessageId] = []
    pos = 0
    while (start := _NOT_SPACE.search(value, pos)) is not None:
        pos = start.end()
        if start[0] != b"<":
            junk = _JUNK_END.search(value, start.start())
            if junk is None:
                break
            pos = junk.end()
            continue
        end = _ID_END.search(value, pos)
        if end is None:
            break
        inner, pos = value[pos : end.start()], end.start()
        if end[0] == b"<":
            continue  # cut off by the next one
        pos = end.end()
        one = _canonical(inner.translate(None, _SPACE))
        if one is not None:
            found.append(one)
            if only_first:
                break
    return found


def make(random: bytes, hostname: str) -> str:
    """A new id without angle brackets: 16 random bytes, as text, at our host.

    Errors  ValueError for another number of bytes.
    """
    if len(random) != _RANDOM_BYTES:
        raise ValueError(f"{_RANDOM_BYTES} random bytes are needed")
    return f"{base64.urlsafe_b64encode(random).rstrip(b'=').decode()}@{hostname}"
