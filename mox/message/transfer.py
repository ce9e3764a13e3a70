"""Content-Transfer-Encoding: base64 and quoted-printable, read leniently.    RFC 2045 §6.

Laws
  Decoding never fails.  Base64: bytes outside of the alphabet are skipped, the first "=" ends the
  data (RFC 2045 §6.8), a last group that lacks bits is dropped.  Quoted-printable: space before a
  line end is dropped, a "=" that escapes nothing stays (RFC 2045 §6.7).  Anything else is identity.
  ``decoded_size`` is the length of ``decode``, of text that of ``lines.to_crlf(decode(...))``.
"""

import binascii
import re
from functools import lru_cache

from mox.base.limits import MIME_REMEMBERED, MIME_REMEMBERED_FIELD
from mox.message import lines
from mox.message.buffer import Buffer
from mox.message.header import unfold
from mox.message.parameters import TOKEN, without_comments

ENCODINGS = (b"BASE64", b"QUOTED-PRINTABLE")
"""Those that change bytes."""

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NEITHER = bytes(sorted(set(range(256)) - set(_ALPHABET) - set(b"=")))
_CHUNK = 256 * 1024  # bytes decoded at a time where only the size is wanted
# The look-behind starts a match only where a run of space starts: linear on long runs.
_TRAILING_SPACE = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")
_LONE_EQUALS = re.compile(rb"=(?==)")


def name(raw: bytes) -> bytes:
    """The encoding a Content-Transfer-Encoding field names, upper case; empty where none."""
    return _name_again(raw) if len(raw) <= MIME_REMEMBERED_FIELD else _name(raw)


def _name(raw: bytes) -> bytes:
    match = TOKEN.match(without_comments(unfold(raw)).strip(b" \t"))
    return match[0].upper() if match else b""


_name_again = lru_cache(MIME_REMEMBERED)(_name)  # there are few


def decode(raw: bytes, encoding: bytes) -> bytes:
    """The decoded bytes; ``encoding`` in any case."""
    known = encoding.upper()
    if known == b"BASE64":
        return _base64(raw)
    if known == b"QUOTED-PRINTABLE":
        return _quoted_printable(raw)
    return raw


def _base64(raw: bytes) -> bytes:
    clean = raw.translate(None, _NEITHER)
    padding = clean.find(b"=")
    if padding >= 0:
        clean = clean[:padding]
    over = len(clean) % 4
    if over == 1:
        clean, over = clean[:-1], 0
    return binascii.a2b_base64(clean + b"=" * (-over % 4))


def _quoted_printable(raw: bytes) -> bytes:
    has_tab = b"\t" in raw and (b"\t\r" in raw or b"\t\n" in raw)
    if has_tab or b" \r" in raw or b" \n" in raw or raw[-1:] in b" \t":
        raw = _TRAILING_SPACE.sub(b"", raw)
    if b"==" in raw:  # binascii would drop one of them
        raw = _LONE_EQUALS.sub(b"=3D", raw)
    return binascii.a2b_qp(raw)


def decoded_size(content: Buffer, start: int, end: int, encoding: bytes, is_text: bool) -> int:
    """Bytes of the decoded range; of text, with CRLF line ends.

    Cost  memory of one chunk for base64 that is no text; else of the decoded range.
    """
    if encoding == b"BASE64" and not is_text:
        return _base64_size(content, start, end)
    decoded = decode(bytes(content[start:end]), encoding)
    return len(decoded) + (lines.count_bare_lf(decoded) if is_text else 0)


def _base64_size(content: Buffer, start: int, end: int) -> int:
    """Length of the decoded range without decoding it."""
    digits = 0
    for at in range(start, end, _CHUNK):
        clean = bytes(content[at : min(end, at + _CHUNK)]).translate(None, _NEITHER)
        padding = clean.find(b"=")
        if padding >= 0:
            digits += padding
            break
        digits += len(clean)
    return digits // 4 * 3 + (0, 0, 1, 2)[digits % 4]
