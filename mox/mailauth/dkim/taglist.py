"""Tag lists: ``name=value; name=value``.    RFC 6376 §3.2.

DKIM signatures, key records, ARC fields are written so.
"""

import base64
import binascii
import re

from mox.base.errors import Malformed
from mox.base.limits import DKIM_FIELD, DKIM_TAGS


class BadTags(Malformed):
    """No tag list, or one without a tag it must have."""

    default = "malformed tag list"


_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_NAME = re.compile(rb"[A-Za-z][A-Za-z0-9_]*+")
# VALCHAR and spaces; RFC 8616 §3 lets UTF-8 stand where the tag allows it
_VALUE = re.compile(rb"[\x20-\x7e\t\x80-\xff]*+")
_SPACE = re.compile(rb"[ \t]++")
_NUMBER = re.compile(rb"[0-9]++")


def parse_tags(text: bytes) -> dict[bytes, bytes]:
    """Values by name, in order; unfolded, without the white space around them.

    Errors  BadTags.  Names are case-sensitive and stand once (§3.2).
    """
    if len(text) > DKIM_FIELD:
        raise BadTags("tag list too long")
    pieces = _FOLD.sub(b"", text).split(b";", DKIM_TAGS + 1)
    if len(pieces) > DKIM_TAGS:
        raise BadTags("too many tags")
    if len(pieces) > 1 and not pieces[-1]:
        pieces.pop()  # the ";" that may end the list; nothing follows it
    tags: dict[bytes, bytes] = {}
    for piece in pieces:
        name, equals, value = piece.partition(b"=")
        name, value = name.strip(b" \t"), value.strip(b" \t")
        if not equals or not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise BadTags
        if name in tags:
            raise BadTags("duplicate tag")  # RFC 6376 §3.2: the list is then invalid
        tags[name] = value
    return tags


def required(tags: dict[bytes, bytes], name: bytes) -> bytes:
    """The value of a tag that must be there.    Errors  BadTags."""
    if name not in tags:
        raise BadTags(f"missing tag {name.decode()}")
    return tags[name]


def text(value: bytes) -> str:
    """As text.    Errors  BadTags where it is no UTF-8."""
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise BadTags("no UTF-8", cause=error) from error


def base64_value(value: bytes) -> bytes:
    """The octets of a base64string; white space in it counts nothing.    RFC 6376 §2.10."""
    try:
        return base64.b64decode(_SPACE.sub(b"", value), validate=True)
    except binascii.Error as error:
        raise BadTags("malformed base64", cause=error) from error


def number(value: bytes, digits: int) -> int:
    """A number of at most so many digits."""
    if len(value) > digits or not _NUMBER.fullmatch(value):
        raise BadTags("malformed number")
    return int(value)


def words(value: bytes) -> tuple[str, ...]:
    """Words separated by ":", in lower case; empty ones are an error."""
    found = tuple(text(word.strip(b" \t")).lower() for word in value.split(b":"))
    if not all(found):
        raise BadTags("empty word")
    return found
