"""DATA: the message itself.    RFC 5321 §4.1.1.4; spec/smtp-server.md sections 6 and 8."""

from typing import TYPE_CHECKING

from mox.base import metrics
from mox.base.errors import Refused
from mox.base.limits import (
    MESSAGE_SIZE,
    SMTP_RECEIVED_FIELDS,
    SMTP_TIMEOUT_DATA_BLOCK,
    SMTP_TIMEOUT_DATA_TOTAL,
)
from mox.inbound import deliver
from mox.inbound.receive import Received, Receiver
from mox.inbound.trace import Arrival
from mox.message import messageid
from mox.message.header import values_of
from mox.smtp import replies
from mox.smtp.command import parse_nothing
from mox.smtp.reader import DataChunk, DataEnd, Mode
from mox.smtp.reply import Reply
from mox.smtpserver import special, submission
from mox.smtpserver.command import Command, Need
from mox.smtpserver.errors import Rejected, is_bug, reply_to
from mox.smtpserver.transaction import Transaction
from mox.smtpserver.wire import TimedOut

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _data(session: "Session", rest: bytes) -> Reply:
    parse_nothing(rest, exact_end=session.service.submission)
    transaction = session.transaction
    assert transaction is not None
    # Before the 354: what fails here must not leave message lines to be taken for commands.
    receiver = Receiver(session.service.spool_folder, session.service.max_size)
    try:
        session.say(replies.START_DATA)
        session.read_as(Mode.DATA)
        end = await _receive(session, receiver)
        # RFC 5321 §4.1.1.4: after the end of data the buffers are cleared, also with an error.
        session.transaction = None
        session.bad += 1  # until it went well
        received = await _finish(session, receiver, end)
        await _accept(session, transaction, received)
    finally:
        await receiver.discard()
    session.bad -= 1
    session.good += 1
    return replies.DELIVERED


async def _receive(session: "Session", receiver: Receiver) -> DataEnd:
    """All chunks, whatever is wrong with them.    Errors: TimedOut, Hangup, ConnectionLost."""
    clock = session.service.clock
    until = clock.monotonic_s() + SMTP_TIMEOUT_DATA_TOTAL
    while True:
        left = until - clock.monotonic_s()
        if left <= 0:
            raise TimedOut
        event = await session.next_event(min(left, SMTP_TIMEOUT_DATA_BLOCK))
        if isinstance(event, DataEnd):
            return event
        assert isinstance(event, DataChunk)
        await receiver.write(event.content)


async def _finish(session: "Session", receiver: Receiver, end: DataEnd) -> Received:
    if end.smuggling:
        session.log.info("smtp.smuggling")
        raise Rejected(replies.SMUGGLING)
    if receiver.too_big:
        # RFC 5321 §4.5.3.1.9, RFC 1870 §6.3
        raise Rejected(replies.too_big(session.service.max_size, MESSAGE_SIZE))
    return await receiver.finish()


async def _accept(session: "Session", transaction: Transaction, received: Received) -> None:
    """Judge as far as we do yet, then store.    Errors: Rejected, those of the store."""
    try:
        if received.received_fields > SMTP_RECEIVED_FIELDS:
            raise Rejected(replies.LOOP)
        added_fields = b""
        if session.service.submission:
            added_fields = submission.check_message(session, transaction, received)
        await special.at_data(session, transaction)
        if any(each.target is None for each in transaction.recipients):
            metrics.SMTP_DELIVERIES.labels("unknownuser", "").inc(len(transaction.recipients))
            await session.pause(session.service.delays.unknown_recipients_s)
            raise Rejected(replies.NO_SUCH_USER)
    except BaseException:
        deliver.remove(received.content)
        raise
    await _deliver(session, transaction, received, added_fields)


async def _deliver(
    session: "Session", transaction: Transaction, received: Received, added_fields: bytes
) -> None:
    ids = values_of(added_fields + received.header, [b"message-id"]).get(b"message-id", [])
    canonical = messageid.canonical(ids[0]) if ids else None
    delivery = deliver.Delivery(
        arrival=_arrival(session, transaction),
        sender=transaction.sender,
        recipients=transaction.recipients,
        received=received,
        added_fields=added_fields,
        message_id=canonical.value if canonical is not None else "",
    )
    failures = await deliver.deliver(session.service.deliverer, delivery)
    refused: list[Reply] = []
    for recipient, failure in zip(transaction.recipients, failures, strict=True):
        assert recipient.target is not None
        account, to = recipient.target.account, str(recipient.address)
        if failure is None:
            metrics.SMTP_DELIVERIES.labels("delivered", "").inc()
            session.log.info("smtp.delivered", to=to, account=account, size=received.size)
            continue
        metrics.SMTP_DELIVERIES.labels("delivererror", "").inc()
        if isinstance(failure, Refused):
            session.log.info("smtp.not_taken", to=to, account=account, why=failure.public)
        else:
            if is_bug(failure):
                metrics.unhandled("smtpserver")
            session.log.error("smtp.not_delivered", failure, to=to, account=account)
        refused.append(reply_to(failure))
    if session.service.submission:
        metrics.SMTP_SUBMISSIONS.labels("queueerror" if refused else "ok").inc()
    if refused:
        # Nobody can be sent a notification yet: the client hears of it and may try again.
        raise Rejected(replies.combine(refused))


def _arrival(session: "Session", transaction: Transaction) -> Arrival:
    service, wire = session.service, session.wire
    assert session.hello is not None
    return Arrival(
        hostname=service.hostname,
        id=session.id,
        hello=session.hello.name,
        remote_ip=wire.remote_ip,
        local_ip=wire.local_ip,
        extended=session.extended,
        tls="" if wire.tls is None else wire.tls.text,
        authenticated=session.account != "",
        smtputf8=transaction.smtputf8,
        received_ms=service.clock.now_ms(),
    )


DATA = Command(
    verb=b"DATA", run=_data, needs=(Need.HELLO, Need.LOGIN, Need.TRANSACTION, Need.RECIPIENTS)
)
