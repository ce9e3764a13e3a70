"""Encoded words: text other than ASCII in header fields.    RFC 2047, RFC 2231 §5."""

import binascii
import re

from mox.message import charset

# RFC 2047 §2: an encoded word is at most 75 characters long; many are longer.
_WORD = re.compile(rb"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([BbQq])\?([^?\r\n]*+)\?=")
_NOT_BASE64 = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
)


def decode(value: bytes) -> str:
    """The text of an unfolded field value; never fails.

    White space between two encoded words is no text (RFC 2047 §6.2).  Neighbours of one charset are
    decoded together, since senders cut characters in two (RFC 2047 §5 forbids it).  A word that
    does not decode stays as it is; bytes outside of words are UTF-8 (RFC 6532).
    """
    if b"=?" not in value:
        return charset.decode(value, b"")
    out: list[str] = []
    pending: list[bytes] = []
    pending_name = b""
    pos = 0
    for word in _WORD.finditer(value):
        between = value[pos : word.start()]
        pos = word.end()
        name = word[1].lower()
        raw = _content(word[2], word[3]) if charset.codec(name) else None
        joins = bool(pending) and raw is not None and not between.strip(b" \t")
        if not joins or name != pending_name:
            out.append(charset.decode(b"".join(pending), pending_name))
            pending, pending_name = [], name
        if not joins:
            out.append(charset.decode(between, b""))
        if raw is None:
            out.append(charset.decode(word[0], b""))
        else:
            pending.append(raw)
    out.append(charset.decode(b"".join(pending), pending_name))
    out.append(charset.decode(value[pos:], b""))
    return "".join(out)


def _content(encoding: bytes, text: bytes) -> bytes | None:
    """The bytes of an encoded text; None where it is broken."""
    if encoding in b"Qq":
        return binascii.a2b_qp(text.replace(b"_", b" "), header=False)
    clean = text.translate(None, _NOT_BASE64)
    if len(clean) % 4 == 1:
        return None
    return binascii.a2b_base64(clean + b"=" * (-len(clean) % 4))
