"""What a command answers when it does not answer OK; the one table from errors to answers.

Source  RFC 9051 §7.1, RFC 5530; spec/imap.md section 3.
"""

from typing import Final

import msgspec

from mox.base.errors import Broken, Malformed, MoxError, Refused, Unavailable
from mox.imap.errors import BadCharset, BadMailboxName
from mox.store.errors import (
    KeywordLimit,
    MailboxExists,
    MailboxHasChildren,
    MailboxMissing,
    MailboxNameInvalid,
    MessageGone,
    QuotaExceeded,
    SpecialUseUnknown,
    UidExhausted,
)


class No(Refused):
    """The tagged NO of a command.    ``code``: what stands in brackets, arguments included."""

    def __init__(
        self, text: str = "", code: bytes | None = None, *, cause: BaseException | None = None
    ) -> None:
        super().__init__(text, cause=cause)
        self.code = code


class Bad(Malformed):
    """The tagged BAD of a command.    ``code``: as for ``No``."""

    def __init__(
        self, text: str = "", code: bytes | None = None, *, cause: BaseException | None = None
    ) -> None:
        super().__init__(text, cause=cause)
        self.code = code


class Bye(Exception):  # noqa: N818 - not an error of ours
    """The session ends with an untagged BYE."""

    def __init__(self, text: str, code: bytes | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.code = code


class ConnectionClosed(Exception):  # noqa: N818
    """Nothing more can be received or sent: the client left, or reads nothing any more."""


class TimedOut(Exception):  # noqa: N818
    """The client sent nothing for too long."""


class Answer(msgspec.Struct, frozen=True):
    """How a tagged reply to an error looks, and how it is counted."""

    status: bytes  # NO or BAD
    code: bytes | None
    text: str
    result: str  # label of mox_imap_command_duration_seconds


# RFC 5530 §3; the first class that fits counts.
_CODES: Final[tuple[tuple[type[MoxError], bytes], ...]] = (
    (MailboxMissing, b"NONEXISTENT"),
    (MailboxExists, b"ALREADYEXISTS"),
    (MailboxHasChildren, b"HASCHILDREN"),  # RFC 9051 §7.1
    (MailboxNameInvalid, b"CANNOT"),
    (BadMailboxName, b"NONEXISTENT"),  # no mailbox can have it; CREATE and RENAME say CANNOT
    (SpecialUseUnknown, b"USEATTR"),  # RFC 6154 §3
    (QuotaExceeded, b"OVERQUOTA"),
    (KeywordLimit, b"LIMIT"),
    (UidExhausted, b"LIMIT"),
    (MessageGone, b"EXPUNGEISSUED"),
    (BadCharset, b"BADCHARSET (US-ASCII UTF-8)"),
    (Unavailable, b"UNAVAILABLE"),
    (Broken, b"SERVERBUG"),
)


def code_of(error: MoxError) -> bytes | None:
    """The response code of an error."""
    if isinstance(error, (No, Bad)):
        return error.code
    for kind, code in _CODES:
        if isinstance(error, kind):
            return code
    return None


def answer(error: Exception) -> Answer:
    """The tagged reply to an error that ended a command."""
    if isinstance(error, Malformed):
        return Answer(b"BAD", code_of(error), error.public, "badsyntax")
    if isinstance(error, Broken):
        return Answer(b"NO", code_of(error), error.public, "servererror")
    if isinstance(error, MoxError):
        return Answer(b"NO", code_of(error), error.public, "usererror")
    # Whatever it is, the other side learns nothing of it.
    return Answer(b"NO", b"SERVERBUG", Broken.default, "panic")


def wire_text(text: str) -> bytes:
    """Text for people, as the grammar has it: no control characters, never empty (RFC 9051 §9)."""
    clean = "".join(c if c.isprintable() else "?" for c in text) or "-"
    return clean.encode("ascii", "replace")
