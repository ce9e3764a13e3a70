"""Quoted strings and atoms.    RFC 5322 §3.2.3, §3.2.4; RFC 6532 §3.2."""

import re
from operator import itemgetter
from typing import Final

ATEXT: Final = rb"A-Za-z0-9!#$%&'*+/=?^_`{|}~\x80-\xff-"
"""The inside of a character class: what atoms are made of, UTF-8 included."""

_DOT_ATOM = re.compile(rb"[" + ATEXT + rb"]++(?:\.[" + ATEXT + rb"]++)*+")
_PHRASE = re.compile(rb"[" + ATEXT + rb"]++(?: [" + ATEXT + rb"]++)*+")
_QUOTED_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_second = itemgetter(1)  # of a match; a template would cost ten times as much


def unquote(text: bytes) -> bytes:
    """What stands in a quoted string; the closing quote may be missing."""
    inner = text[1:-1] if is_closed(text) else text[1:]
    return _QUOTED_PAIR.sub(_second, inner) if b"\\" in inner else inner


def is_closed(text: bytes) -> bool:
    """A quoted string whose last quote is there and not escaped."""
    body = text[:-1]
    escapes = len(body) - len(body.rstrip(b"\\"))
    return len(text) > 1 and text.endswith(b'"') and escapes % 2 == 0


def quote(text: bytes) -> bytes:
    """As a quoted string.    RFC 5322 §3.2.4."""
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def local_part(text: bytes) -> bytes:
    """A local part as it is written: a dot-atom as it is, anything else quoted."""
    return text if _DOT_ATOM.fullmatch(text) else quote(text)


def phrase(text: bytes) -> bytes:
    """A display name as it is written: atoms as they are, anything else quoted; nothing for none."""
    return text if not text or _PHRASE.fullmatch(text) else quote(text)
