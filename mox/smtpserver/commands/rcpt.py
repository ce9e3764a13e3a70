"""RCPT: one recipient more.    RFC 5321 §4.1.1.3; spec/smtp-server.md section 5."""

from typing import TYPE_CHECKING

from mox.base.limits import SMTP_RECIPIENTS
from mox.config.live import Target
from mox.config.lookup import Miss
from mox.inbound.deliver import Recipient
from mox.smtp import replies
from mox.smtp.address import Address
from mox.smtp.command import parse_rcpt
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
    address = parse_rcpt(rest, exact_end=session.service.submission, smtputf8=transaction.smtputf8)
    if session.service.tls_required_mail and session.wire.tls is None:
        raise Rejected(replies.TLS_REQUIRED)
    if len(transaction.recipients) >= SMTP_RECIPIENTS:
        # RFC 5321 §4.5.3.1.10: 452, and the client sends the rest in another transaction.
        raise Rejected(replies.TOO_MANY_RECIPIENTS)
    if not session.service.submission and transaction.sender.is_null and transaction.recipients:
        # A notification goes to one address; nobody could be told of a failure of the others.
        raise Rejected(replies.ONE_RECIPIENT)
    await special.at_rcpt(session, address)
    target = await _resolve(session, transaction, address)
    transaction.recipients.append(Recipient(address=address, target=target))
    return replies.RECIPIENT_OK


async def _resolve(session: "Session", transaction: Transaction, address: Address) -> Target | None:
    """The target; None for an address of ours that nobody has, which is told after DATA only."""
    if session.service.submission:
        return _resolve_submitted(session, address)
    found = (
        Miss.DOMAIN_UNKNOWN if address.is_literal else session.service.directory.resolve(address)
    )
    match found:
        case Miss.DOMAIN_UNKNOWN:
            raise Rejected(replies.DOMAIN_NOT_HERE)
        case Miss.DOMAIN_DISABLED:
            raise Rejected(replies.DOMAIN_DISABLED)
        case Miss.ADDRESS_UNKNOWN:
            # Said after DATA, so that asking for many addresses costs many messages.  With other
            # recipients it is said at once: there is no later reply for only some of them.
            # It costs as much time, so that guessing addresses here is no faster.
            if transaction.recipients:
                await session.pause(session.service.delays.unknown_recipients_s)
                raise Rejected(replies.NO_SUCH_USER)
            return None
    if any(each.target is None for each in transaction.recipients):
        raise Rejected(replies.TOO_MANY_RECIPIENTS)
    return _open(found)


def _resolve_submitted(session: "Session", address: Address) -> Target:
    match session.service.directory.resolve(address):
        case Miss.DOMAIN_UNKNOWN:
            raise Rejected(replies.NO_RELAY_YET)
        case Miss.DOMAIN_DISABLED:
            raise Rejected(replies.DOMAIN_DISABLED)
        case Miss.ADDRESS_UNKNOWN:
            raise Rejected(replies.NO_SUCH_USER)
        case target:
            return _open(target)


def _open(target: Target) -> Target:
    """The target, unless it is configured to refuse."""
    configured = target.destination.smtp_error
    if configured:
        text = configured[3:].strip()
        if configured.startswith("421"):
            raise Rejected(reply(451, "4.3.0", text or replies.PROCESSING.text))
        raise Rejected(reply(550, "5.1.1", text or replies.NO_SUCH_USER.text))
    return target


RCPT = Command(verb=b"RCPT", run=_rcpt, needs=(Need.HELLO, Need.LOGIN, Need.TRANSACTION))
