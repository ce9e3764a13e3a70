"""MAIL: a transaction begins.    RFC 5321 §4.1.1.2; spec/smtp-server.md section 5."""

from typing import TYPE_CHECKING

from mox.base.limits import MESSAGE_SIZE, SMTP_BAD_TRANSACTIONS, SMTP_HOLD_MAX
from mox.smtp import replies
from mox.smtp.address import Address
from mox.smtp.command import MailFrom, parse_mail
from mox.smtp.params import DSN_PARAMS, Body, MailParams
from mox.smtp.reply import Reply
from mox.smtpserver import names, special, submission
from mox.smtpserver.command import Command, Need, unmet
from mox.smtpserver.commands import helo
from mox.smtpserver.errors import Hangup, Rejected
from mox.smtpserver.transaction import Transaction

if TYPE_CHECKING:
    from mox.smtpserver.session import Session

_NEEDS = (Need.HELLO, Need.LOGIN, Need.NO_TRANSACTION)


async def _mail(session: "Session", rest: bytes) -> Reply:
    service = session.service
    if session.bad > SMTP_BAD_TRANSACTIONS and not session.good and not service.lmtp:
        raise Hangup(replies.TOO_MANY_BAD)
    refusal = unmet(session, _NEEDS)
    if refusal is not None:
        return refusal
    mail = parse_mail(rest, exact_end=service.submission, refused=_refused(session))
    _check_size(session, mail)
    if service.submission and mail.params.body is Body.BINARY:
        raise Rejected(replies.NO_BINARY)
    if mail.params.require_tls and session.wire.tls is None:
        raise Rejected(replies.NEEDS_TLS)  # RFC 8689 §4
    release_ms = _release(session, mail.params)
    await special.at_mail(session, mail.sender)
    await _check_sender(session, mail.sender)
    session.transaction = Transaction(
        sender=mail.sender,
        smtputf8=mail.params.smtputf8,
        body=mail.params.body,
        require_tls=True if mail.params.require_tls else None,
        release_ms=release_ms,
        ret=mail.params.ret,
        envid=mail.params.envid,
    )
    if session.evidence is not None:
        session.evidence.began(mail.sender, smtputf8=mail.params.smtputf8)
    return replies.SENDER_OK


def _refused(session: "Session") -> set[bytes]:
    """Parameters of extensions that this session does not offer."""
    refused = set()
    if not helo.offers_requiretls(session):
        refused.add(b"REQUIRETLS")
    if not helo.offers_holding(session):
        refused |= {b"HOLDFOR", b"HOLDUNTIL"}
    if session.service.lmtp:
        refused |= DSN_PARAMS
    return refused


def _release(session: "Session", params: MailParams) -> int | None:
    """When the message may go on, milliseconds since 1970.    RFC 4865 §4.    Errors: Rejected."""
    now_ms = session.service.clock.now_ms()
    if params.hold_for_s is not None:
        release_ms = now_ms + 1000 * params.hold_for_s
    elif params.hold_until_ms is not None:
        release_ms = params.hold_until_ms
    else:
        return None
    if not now_ms <= release_ms <= now_ms + 1000 * SMTP_HOLD_MAX:
        raise Rejected(replies.HOLD_OUT_OF_RANGE)
    return release_ms


async def _check_sender(session: "Session", sender: Address) -> None:
    service = session.service
    if service.submission:
        submission.check_sender(session, sender)
    elif service.lmtp or sender.is_null:
        return
    elif sender.is_literal:
        raise Rejected(replies.LITERAL_SENDER)
    elif service.resolver is not None:
        await names.check_sender(service.resolver, sender.domain)


def _check_size(session: "Session", mail: MailFrom) -> None:
    # RFC 1870 §6.1: 552 before the message is sent.
    size, limit = mail.params.size, session.service.max_size
    if size is not None and size > limit:
        raise Rejected(replies.too_big(limit, MESSAGE_SIZE))


MAIL = Command(verb=b"MAIL", run=_mail)
