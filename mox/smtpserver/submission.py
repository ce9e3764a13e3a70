"""What differs on the submission ports: who may send as whom.    RFC 6409; spec section 7."""

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from mox.base import metrics
from mox.base.errors import Malformed
from mox.base.limits import SMTP_FROM
from mox.base.randombytes import random_bytes
from mox.inbound.deliver import Delivery
from mox.inbound.receive import Received
from mox.message import address as header_address
from mox.message import messageid
from mox.message.date import format_date
from mox.message.header import values_of
from mox.outbound.submit import OneRecipientOnly, Submitted, Submitter
from mox.queue.errors import FromIdTaken
from mox.smtp import replies
from mox.smtp.address import Address, parse_address
from mox.smtp.reply import Reply, reply
from mox.smtpserver.errors import Rejected, reply_to
from mox.smtpserver.transaction import Transaction
from mox.store.outgoing import SendLimit

if TYPE_CHECKING:
    from mox.smtpserver.session import Session

# RFC 5322 §4.5: space before the colon.  We take it for another field, some mail programs do not.
_OBSOLETE_FROM = re.compile(rb"^from[ \t]+:", re.IGNORECASE | re.MULTILINE)


def check_sender(session: "Session", sender: Address) -> None:
    """The reverse path of a user: empty, or an address of the account.    Errors: Rejected."""
    if not sender.is_null:
        _check_owner(session, sender)


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A checked message, ready to go."""

    delivery: Delivery
    checked: "Checked"


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A message by a user that may be sent."""

    author: Address  # of From
    added_fields: bytes  # those it lacked: RFC 6409 §8.2, §8.3
    require_tls: bool | None


def check_message(session: "Session", transaction: Transaction, received: Received) -> Checked:
    """Errors: Rejected."""
    if not received.has_separator:
        raise _refused("badmessage", replies.NO_SEPARATOR)
    fields = values_of(received.header, [b"from", b"message-id", b"date", b"tls-required"])
    if _OBSOLETE_FROM.search(received.header):
        raise _refused("badfrom", replies.BAD_FROM)
    author = _author(fields.get(b"from", []))
    _check_owner(session, author)
    added = []
    if b"message-id" not in fields:
        new = messageid.make(random_bytes(16), session.service.hostname)
        added.append(f"Message-Id: <{new}>\r\n")
    if b"date" not in fields:
        added.append(f"Date: {format_date(session.service.clock.now_ms())}\r\n")
    return Checked(
        author=author,
        added_fields="".join(added).encode("ascii"),
        require_tls=_required_tls(transaction, fields.get(b"tls-required", [])),
    )


def _required_tls(transaction: Transaction, values: list[bytes]) -> bool | None:
    """RFC 8689 §5: "TLS-Required: No" counts only where REQUIRETLS was not said."""
    if transaction.require_tls is None and values:
        return False if all(value.strip().lower() == b"no" for value in values) else None
    return transaction.require_tls


async def submit(
    session: "Session", submitter: Submitter, transaction: Transaction, mail: Mail
) -> list[Reply]:
    """Hand a message on; the outcome for each recipient.    Errors: Rejected, those of the store."""
    delivery, checked = mail.delivery, mail.checked
    try:
        failures = await submitter.submit(
            Submitted(
                account=session.account,
                login_address=session.login_address,
                author=checked.author,
                delivery=delivery,
                smtputf8=transaction.smtputf8,
                require_tls=checked.require_tls,
                release_ms=transaction.release_ms or 0,
                future_release=_future_release(transaction.release_ms),
                ret="" if transaction.ret is None else transaction.ret.value,
                envelope_id=transaction.envid,
            )
        )
    except SendLimit as error:
        raise _refused("messagelimiterror", reply(451, "4.7.1", error.public)) from error
    except OneRecipientOnly as error:
        raise _refused("queueerror", reply(554, "5.5.3", error.public)) from error
    except FromIdTaken as error:
        raise _refused("queueerror", reply(554, "5.1.7", error.public)) from error
    except Exception:
        metrics.SMTP_SUBMISSIONS.labels("queueerror").inc()
        raise
    outcomes = [replies.DELIVERED if one is None else reply_to(one) for one in failures]
    for recipient, failure in zip(delivery.recipients, failures, strict=True):
        to = str(recipient.address)
        if failure is None:
            session.log.info("smtp.submitted", to=to)
        else:
            session.log.info("smtp.not_taken", to=to, why=str(failure))
    failed = any(failure is not None for failure in failures)
    metrics.SMTP_SUBMISSIONS.labels("queueerror" if failed else "ok").inc()
    return outcomes


def _future_release(release_ms: int | None) -> str:
    """As a notification tells it.    RFC 4865 §5."""
    if release_ms is None:
        return ""
    return f"until;{datetime.fromtimestamp(release_ms // 1000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _author(values: list[bytes]) -> Address:
    """The one address of the one From field.    RFC 6409 §6.1: who speaks must be clear."""
    if len(values) != 1 or len(values[0]) > SMTP_FROM:
        raise _refused("badfrom", replies.BAD_FROM)
    try:
        mailboxes = header_address.mailboxes(header_address.parse_strict(values[0]))
        if len(mailboxes) == 1:
            return parse_address(mailboxes[0].spec.decode("utf-8", "surrogateescape"))
    except Malformed as e:
        raise _refused("badfrom", replies.BAD_FROM) from e
    raise _refused("badfrom", replies.BAD_FROM)


def _check_owner(session: "Session", address: Address) -> None:
    directory = session.service.directory
    if not directory.may_send_as(session.account, address):
        raise _refused("badfrom", replies.NOT_YOUR_ADDRESS)
    if directory.is_disabled(address.domain):
        raise _refused("badfrom", replies.SENDER_DOMAIN_DISABLED)


def _refused(result: str, reply: Reply) -> Rejected:
    metrics.SMTP_SUBMISSIONS.labels(result).inc()
    return Rejected(reply)
