"""MAIL: a transaction begins.    RFC 5321 §4.1.1.2; spec/smtp-server.md section 5."""

from typing import TYPE_CHECKING

from mox.base.limits import MESSAGE_SIZE, SMTP_BAD_TRANSACTIONS
from mox.smtp import replies
from mox.smtp.command import MailFrom, parse_mail
from mox.smtp.reply import Reply
from mox.smtpserver import special, submission
from mox.smtpserver.command import Command, Need, unmet
from mox.smtpserver.errors import Hangup, Rejected
from mox.smtpserver.transaction import Transaction

if TYPE_CHECKING:
    from mox.smtpserver.session import Session

_NEEDS = (Need.HELLO, Need.LOGIN, Need.NO_TRANSACTION)


async def _mail(session: "Session", rest: bytes) -> Reply:
    if session.bad > SMTP_BAD_TRANSACTIONS and not session.good:
        raise Hangup(replies.TOO_MANY_BAD)
    refusal = unmet(session, _NEEDS)
    if refusal is not None:
        return refusal
    mail = parse_mail(rest, exact_end=session.service.submission)
    _check_size(session, mail)
    await special.at_mail(session, mail.sender)
    if session.service.submission:
        submission.check_sender(session, mail.sender)
    elif mail.sender.is_literal:
        raise Rejected(replies.LITERAL_SENDER)
    session.transaction = Transaction(sender=mail.sender, smtputf8=mail.params.smtputf8)
    return replies.SENDER_OK


def _check_size(session: "Session", mail: MailFrom) -> None:
    # RFC 1870 §6.1: 552 before the message is sent.
    size, limit = mail.params.size, session.service.max_size
    if size is not None and size > limit:
        raise Rejected(replies.too_big(limit, MESSAGE_SIZE))


MAIL = Command(verb=b"MAIL", run=_mail)
