"""RCPT: one recipient more.    RFC 5321 §4.1.1.3; spec/smtp-server.md section 5."""

from typing import TYPE_CHECKING

from mox.base.limits import SMTP_RECIPIENTS
from mox.config.live import AliasTarget, Target
from mox.config.lookup import Miss
from mox.inbound.deliver import Recipient
from mox.mailauth import spf
from mox.smtp import replies
from mox.smtp.address import Address
from mox.smtp.command import parse_rcpt
from mox.smtp.params import DSN_PARAMS, NO_PARAMS
from mox.smtp.reply import Reply, reply
from mox.smtpserver import special
from mox.smtpserver.command import Command, Need
from mox.smtpserver.errors import Rejected
from mox.smtpserver.transaction import Transaction

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _rcpt(session: "Session", rest: bytes) -> Reply:
    transaction = session.transaction
    assert transaction is not None
    if transaction.incoming is not None:
        raise Rejected(replies.RCPT_AFTER_BDAT)
    rcpt = parse_rcpt(
        rest,
        exact_end=session.service.submission,
        smtputf8=transaction.smtputf8,
        refused=DSN_PARAMS if session.service.lmtp else NO_PARAMS,
    )
    address = rcpt.recipient
    if (
        session.service.tls_required_mail
        and session.wire.tls is None
        and not _takes_tls_reports(session, address)
    ):
        raise Rejected(replies.TLS_REQUIRED)
    if len(transaction.recipients) >= SMTP_RECIPIENTS:
        # RFC 5321 §4.5.3.1.10: 452, and the client sends the rest in another transaction.
        raise Rejected(replies.TOO_MANY_RECIPIENTS)
    await _check_second(session, transaction)
    await special.at_rcpt(session, address)
    target = await _resolve(session, transaction, address)
    transaction.recipients.append(
        Recipient(
            address=address, target=target, notify=rcpt.params.notify, orcpt=rcpt.params.orcpt
        )
    )
    return replies.RECIPIENT_OK


def _takes_tls_reports(session: "Session", address: Address) -> bool:
    """Who cannot do TLS with us must be able to report it.    RFC 8460 §3."""
    if session.service.submission or address.is_literal:
        return False
    found = session.service.directory.resolve(address)
    return isinstance(found, Target) and found.tls_reports


async def _check_second(session: "Session", transaction: Transaction) -> None:
    """May there be more than one recipient?    Errors: Rejected.

    After the message there is one reply.  A failure for some recipients only must be told by a
    notification, so the sender must be there, and be who it says.
    """
    service = session.service
    if service.submission or service.lmtp or not transaction.recipients:
        return
    if transaction.sender.is_null:
        raise Rejected(replies.ONE_RECIPIENT)
    if session.evidence is None or len(transaction.recipients) > 1:
        return
    found = await session.evidence.spf()
    if found.status is not spf.Status.PASS or found.identity is not spf.Identity.MAILFROM:
        raise Rejected(replies.ONE_WITHOUT_SPF)


async def _resolve(
    session: "Session", transaction: Transaction, address: Address
) -> Target | AliasTarget | None:
    """The target; None for an address elsewhere that a user writes to, and for one of ours that nobody
    has, which a stranger is told after DATA only.    Errors: Rejected.
    """
    service = session.service
    if _goes_out(session, address):
        return None
    found = _look_up(session, address)
    match found:
        case Miss.DOMAIN_UNKNOWN:
            raise Rejected(replies.NO_RELAY if service.submission else replies.DOMAIN_NOT_HERE)
        case Miss.DOMAIN_DISABLED:
            raise Rejected(replies.DOMAIN_DISABLED)
        case Miss.ADDRESS_UNKNOWN:
            if service.submission or service.lmtp:
                raise Rejected(replies.NO_SUCH_USER)
            # Said after DATA, so that asking for many addresses costs many messages; with other
            # recipients by a notification.  Where nobody sends these it is said at once.
            # It costs as much time, so that guessing addresses here is no faster.
            if transaction.recipients and not _notifies(session):
                await session.pause(service.delays.unknown_recipients_s)
                raise Rejected(replies.NO_SUCH_USER)
            return None
    unknown = any(each.target is None for each in transaction.recipients)
    if unknown and not service.submission and not _notifies(session):
        raise Rejected(replies.TOO_MANY_RECIPIENTS)
    if isinstance(found, Target):
        _check_open(found)
    return found


def _notifies(session: "Session") -> bool:
    return session.evidence is not None and session.evidence.notifies


def _goes_out(session: "Session", address: Address) -> bool:
    """Is it for the queue: mail of a user for somebody elsewhere?"""
    service = session.service
    if service.submitter is None:
        return False
    if address.is_literal or special.is_for_queue(session, address):
        return True
    return service.directory.resolve(address) is Miss.DOMAIN_UNKNOWN


def _look_up(session: "Session", address: Address) -> Target | AliasTarget | Miss:
    if address.is_literal and not session.service.submission:
        return Miss.DOMAIN_UNKNOWN
    return session.service.directory.resolve(address)


def _check_open(target: Target) -> None:
    """Is the target configured to refuse?    Errors: Rejected."""
    configured = target.destination.smtp_error
    if not configured:
        return
    text = configured[3:].strip()
    if configured.startswith("421"):
        raise Rejected(reply(451, "4.3.0", text or replies.PROCESSING.text))
    raise Rejected(reply(550, "5.1.1", text or replies.NO_SUCH_USER.text))


RCPT = Command(verb=b"RCPT", run=_rcpt, needs=(Need.HELLO, Need.LOGIN, Need.TRANSACTION))
