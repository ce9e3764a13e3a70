"""Mailbox names on the wire: modified UTF-7, or UTF-8.    RFC 3501 §5.1.3, RFC 6855 §3.

Which names a mailbox may have is ``base.mailboxname``; here they only change their clothes.
"""

import binascii
import re
from typing import Final

from mox.base.limits import MAILBOX_NAME
from mox.base.mailboxname import INBOX, normalise_mailbox_name
from mox.imap import writer
from mox.imap.errors import BadMailboxName

__all__ = ["INBOX", "check", "decode", "decode_pattern", "decode_utf7", "encode", "encode_utf7"]

# RFC 3501 §5.1.3: printable ASCII stands for itself, "&" is written "&-".
_PLAIN: Final = frozenset(chr(c) for c in range(0x20, 0x7F))
_PRINTABLE: Final = bytes(range(0x20, 0x7F))
_ENCODED_MAX: Final = 4 * MAILBOX_NAME  # bytes; UTF-7 of what fits into MAILBOX_NAME is shorter
_SHIFT = re.compile(rb"&([^-]*)-")
_NEEDS_SHIFT = re.compile(r"[^\x20-\x7e]+")


def _shifted(run: bytes) -> str:
    """The text of one base64 run of modified UTF-7."""
    if not run:
        return "&"
    data = run.replace(b",", b"/")
    try:
        units = binascii.a2b_base64(data + b"=" * (-len(data) % 4), strict_mode=True)
    except binascii.Error as e:
        raise BadMailboxName("bad base64 in modified UTF-7") from e
    if len(units) % 2:
        raise BadMailboxName("odd length in modified UTF-7")
    try:
        text = units.decode("utf-16-be")
    except UnicodeDecodeError as e:
        raise BadMailboxName("bad surrogates in modified UTF-7") from e
    if not text or not _PLAIN.isdisjoint(text):
        raise BadMailboxName("unneeded shift in modified UTF-7")
    if _encode_run(text) != b"&" + run + b"-":
        # The bits after the last character must be zero, or one name had several forms.
        raise BadMailboxName("bad base64 in modified UTF-7")
    return text


def decode_utf7(raw: bytes) -> str:
    """Text of a name in modified UTF-7.

    Errors  BadMailboxName: 8-bit or control characters, a shift without end, bad base64, an odd
            number of bytes, broken surrogates, printable ASCII in base64, two runs in a row
            (``&-&-`` is ``&&`` and right).
    """
    if raw.translate(None, _PRINTABLE):
        raise BadMailboxName("mailbox name must be in modified UTF-7")
    pieces: list[str] = []
    at = 0
    run_ended = -1
    while True:
        shift = raw.find(b"&", at)
        if shift < 0:
            pieces.append(raw[at:].decode("ascii"))
            return "".join(pieces)
        match = _SHIFT.match(raw, shift)
        if match is None:
            raise BadMailboxName("unterminated shift in modified UTF-7")
        pieces.append(raw[at:shift].decode("ascii"))
        pieces.append(_shifted(match[1]))
        at = match.end()
        if match[1]:
            if run_ended == shift:
                # RFC 3501 §5.1.3: no superfluous shifts.
                raise BadMailboxName("superfluous shift in modified UTF-7")
            run_ended = at


def _encode_run(text: str) -> bytes:
    data = binascii.b2a_base64(text.encode("utf-16-be"), newline=False)
    return b"&" + data.rstrip(b"=").replace(b"/", b",") + b"-"


def encode_utf7(name: str) -> bytes:
    """A name in modified UTF-7.    RFC 3501 §5.1.3."""
    pieces: list[bytes] = []
    at = 0
    for match in _NEEDS_SHIFT.finditer(name):
        pieces.append(name[at : match.start()].replace("&", "&-").encode("ascii"))
        pieces.append(_encode_run(match[0]))
        at = match.end()
    pieces.append(name[at:].replace("&", "&-").encode("ascii"))
    return b"".join(pieces)


def _text(raw: bytes, *, utf8: bool) -> str:
    if len(raw) > _ENCODED_MAX:
        raise BadMailboxName("mailbox name is too long")
    if not utf8:
        return decode_utf7(raw)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as e:
        raise BadMailboxName("mailbox name must be in UTF-8") from e


def fold_inbox(name: str) -> str:
    """The same with a first component "inbox" in any case written ``Inbox``."""
    first, slash, rest = name.partition("/")
    # RFC 9051 §5.1: INBOX is case-insensitive; ours is so for its children's names too.
    return INBOX + slash + rest if first.lower() == "inbox" else name


def decode(raw: bytes, *, utf8: bool) -> str:
    """The name meant by a client, to be looked up.

    Input   utf8: the client enabled UTF8=ACCEPT or IMAP4rev2.
    Errors  BadMailboxName when it is not correctly encoded.
    """
    return fold_inbox(_text(raw, utf8=utf8))


def decode_pattern(raw: bytes, *, utf8: bool) -> str:
    """A LIST pattern or reference.    Errors: as ``decode``."""
    return _text(raw, utf8=utf8)


def check(name: str) -> str:
    """A name fit to be created, as it is kept.    Errors: BadMailboxName, with what is wrong."""
    try:
        return normalise_mailbox_name(name)
    except ValueError as e:
        raise BadMailboxName(str(e)) from e


def encode(name: str, *, utf8: bool) -> bytes:
    """A name as it is sent: bare where it is an atom, otherwise a string."""
    raw = name.encode("utf-8") if utf8 else encode_utf7(name)
    return writer.astring(raw, utf8=utf8)
