"""Domain error → reply: the one table of this face.    And errors that carry their reply."""

import errno
from typing import Final

from mox.base.errors import Malformed, MoxError, Refused
from mox.inbound.posting import NOT_ALLOWED, NotAllowed
from mox.smtp import replies
from mox.smtp.errors import CommandError
from mox.smtp.reply import Reply
from mox.store.errors import DiskFull, QuotaExceeded


class Rejected(Refused):
    """A refusal with its reply; the connection goes on."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Hangup(Refused):
    """The connection ends, after a reply if there is one."""

    def __init__(self, reply: Reply | None = None) -> None:
        super().__init__(reply.text if reply is not None else "hanging up")
        self.reply = reply


_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})

_REPLIES: Final[tuple[tuple[type[MoxError], Reply], ...]] = (
    (QuotaExceeded, replies.OVER_QUOTA),
    (DiskFull, replies.STORAGE_FULL),
    (NotAllowed, NOT_ALLOWED),
    (Malformed, replies.SYNTAX),
)


def reply_to(error: Exception) -> Reply:
    """What the client is told; anything not in the table is our problem: 451 4.3.0."""
    if isinstance(error, (Rejected, CommandError)):
        return error.reply
    if isinstance(error, OSError) and error.errno in _FULL:
        return replies.STORAGE_FULL
    return next((reply for kind, reply in _REPLIES if isinstance(error, kind)), replies.PROCESSING)


def is_bug(error: Exception) -> bool:
    """Not raised on purpose, and not a fault of the machine: log it with its trace."""
    return not isinstance(error, (MoxError, OSError))
