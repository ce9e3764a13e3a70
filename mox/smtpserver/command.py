"""A command of the table: what it needs before it runs, and what runs it."""

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from mox.smtp import replies
from mox.smtp.reply import Reply

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


class Need(Enum):
    """A condition on the state, checked in the order in which a command lists them."""

    HELLO = "EHLO or HELO was said"
    LOGIN = "logged in, on submission ports"
    TRANSACTION = "MAIL was accepted"
    NO_TRANSACTION = "no transaction is open"
    RECIPIENTS = "a recipient was accepted"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of COMMANDS.

    ``run`` gets the arguments with their leading space, parses them completely before it does
    anything, and returns the reply, None when all is said.  Errors  CommandError, Rejected, Hangup, those of the store.
    """

    verb: bytes
    run: Callable[["Session", bytes], Awaitable[Reply | None]]
    needs: tuple[Need, ...] = ()
    smtp: bool = True  # spoken in SMTP
    lmtp: bool = True  # spoken in LMTP, RFC 2033


def unmet(session: "Session", needs: tuple[Need, ...]) -> Reply | None:
    """The refusal for the first need that is not met.    spec/smtp-server.md section 12."""
    for need in needs:
        refusal = _refusal(session, need)
        if refusal is not None:
            return refusal
    return None


def _refusal(session: "Session", need: Need) -> Reply | None:
    # Comparisons, and no table: members of an Enum are dear as keys, and this is asked for each command.
    transaction = session.transaction
    if need is Need.HELLO:
        return replies.HELLO_FIRST if session.hello is None else None
    if need is Need.LOGIN:
        missing = session.service.submission and session.account == ""
        return replies.AUTH_REQUIRED if missing else None
    if need is Need.NO_TRANSACTION:
        return None if transaction is None else replies.ALREADY_MAIL
    if need is Need.TRANSACTION:
        return replies.MISSING_MAIL if transaction is None else None
    has_recipients = transaction is not None and bool(transaction.recipients)
    return None if has_recipients else replies.MISSING_RCPT
