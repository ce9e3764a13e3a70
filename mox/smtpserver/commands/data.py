"""DATA: the message itself.    RFC 5321 §4.1.1.4; spec/smtp-server.md sections 6 and 8."""

from typing import TYPE_CHECKING

from mox.base import metrics
from mox.base.errors import Refused
from mox.base.limits import SMTP_RECEIVED_FIELDS
from mox.config.live import Target
from mox.inbound import deliver
from mox.inbound.judged import Hearing
from mox.inbound.receive import Received
from mox.inbound.trace import Arrival
from mox.message import messageid
from mox.message.header import values_of
from mox.outbound.needs import needs_smtputf8
from mox.smtp import replies
from mox.smtp.command import parse_nothing
from mox.smtp.params import Body
from mox.smtp.reader import BdatEnd, DataEnd, Mode
from mox.smtp.reply import Reply
from mox.smtpserver import special, submission
from mox.smtpserver.command import Command, Need
from mox.smtpserver.errors import Rejected, is_bug, reply_to
from mox.smtpserver.receiving import Incoming
from mox.smtpserver.service import Evidence
from mox.smtpserver.transaction import Transaction

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _data(session: "Session", rest: bytes) -> Reply | None:
    parse_nothing(rest, exact_end=session.service.submission)
    transaction = session.transaction
    assert transaction is not None
    if transaction.incoming is not None:
        raise Rejected(replies.DATA_AFTER_BDAT)  # RFC 3030 §2
    if transaction.body is Body.BINARY:
        raise Rejected(replies.BINARY_BY_DATA)  # RFC 3030 §3
    # Before the 354: what fails here must not leave message lines to be taken for commands.
    incoming = Incoming(session, transaction, chunked=False)
    try:
        session.say(replies.START_DATA)
        session.read_as(Mode.DATA)
        end = await incoming.take()
        return await conclude(session, transaction, incoming, end)
    finally:
        await incoming.discard()


async def conclude(
    session: "Session", transaction: Transaction, incoming: Incoming, end: DataEnd | BdatEnd
) -> Reply | None:
    """Judge and store a message that is here as a whole; the reply, None when all is said.

    The transaction is over, whatever comes of it (RFC 5321 §4.1.1.4).
    Errors  Rejected, those of the store.
    """
    session.transaction = None
    session.bad += 1  # until it went well
    if session.service.lmtp:
        session.answers = len(transaction.recipients)  # RFC 2033 §4.2
    try:
        received = await incoming.finish(end)
        await _decide_utf8(session, transaction, received)
        outcomes = await _accept(session, transaction, received)
    finally:
        await session.end_evidence()
    failures = [outcome for outcome in outcomes if not outcome.is_positive]
    if session.service.lmtp:
        session.answers = 1
        for outcome in outcomes:
            session.say(outcome)
        return None
    if failures:
        # Nobody was sent a notification: the client hears of it and may try again.
        raise Rejected(replies.combine(failures))
    session.bad -= 1
    session.good += 1
    return replies.DELIVERED


async def _decide_utf8(session: "Session", transaction: Transaction, received: Received) -> None:
    """What the client said becomes what is so.    RFC 6531 §3.1.    Errors: OSError.

    Programs say it always, or never; domains in A-labels and 8-bit text in bodies do not need it.
    """
    service = session.service
    if service.submitter is not None or not (transaction.smtputf8 or service.submission):
        return  # of mail that goes to the queue it is found out there
    try:
        transaction.smtputf8 = await needs_smtputf8(
            received.content,
            has_8bit=received.has_8bit,
            addresses=(transaction.sender, *(each.address for each in transaction.recipients)),
        )
    except BaseException:
        deliver.remove(received.content)
        raise


async def _accept(session: "Session", transaction: Transaction, received: Received) -> list[Reply]:
    """Judge, then store; the outcome for each recipient, in their order.

    Errors  Rejected where it is the same for all, those of the store.
    """
    try:
        if received.received_fields > SMTP_RECEIVED_FIELDS:
            raise Rejected(replies.LOOP)
        checked: submission.Checked | None = None
        if session.service.submission:
            checked = submission.check_message(session, transaction, received)
        await special.at_data(session, transaction)
        if checked is None and all(each.target is None for each in transaction.recipients):
            # Nobody is asked about who sent it.
            metrics.SMTP_DELIVERIES.labels("unknownuser", "").inc(len(transaction.recipients))
            await session.pause(session.service.delays.unknown_recipients_s)
            raise Rejected(replies.NO_SUCH_USER)
    except BaseException:
        deliver.remove(received.content)
        raise
    return await _deliver(session, transaction, received, checked)


async def _deliver(
    session: "Session",
    transaction: Transaction,
    received: Received,
    checked: submission.Checked | None,
) -> list[Reply]:
    added_fields = b"" if checked is None else checked.added_fields
    delivery = deliver.Delivery(
        arrival=_arrival(session, transaction),
        sender=transaction.sender,
        recipients=transaction.recipients,
        received=received,
        added_fields=added_fields,
        # Of other mail the header is read where it is needed.
        message_id="" if checked is None else _message_id(added_fields + received.header),
    )
    submitter = session.service.submitter
    if checked is not None and submitter is not None:
        mail = submission.Mail(delivery=delivery, checked=checked)
        return await submission.submit(session, submitter, transaction, mail)
    if session.evidence is not None:
        return await _judge(session, session.evidence, transaction, delivery)
    failures = await deliver.deliver(session.service.deliverer, delivery)
    outcomes: list[Reply] = []
    for recipient, failure in zip(transaction.recipients, failures, strict=True):
        to = str(recipient.address)
        target = recipient.target
        account = target.account if isinstance(target, Target) else "(alias)"
        if failure is None:
            metrics.series(metrics.SMTP_DELIVERIES, "delivered", "").inc()
            session.log.info("smtp.delivered", to=to, account=account, size=received.size)
            outcomes.append(replies.DELIVERED)
            continue
        metrics.SMTP_DELIVERIES.labels("delivererror", "").inc()
        if isinstance(failure, Refused):
            session.log.info("smtp.not_taken", to=to, account=account, why=failure.public)
        else:
            if is_bug(failure):
                metrics.unhandled("smtpserver")
            session.log.error("smtp.not_delivered", failure, to=to, account=account)
        outcomes.append(reply_to(failure))
    if session.service.submission:
        failed = any(not outcome.is_positive for outcome in outcomes)
        metrics.SMTP_SUBMISSIONS.labels("queueerror" if failed else "ok").inc()
    return outcomes


def _message_id(header: bytes) -> str:
    ids = values_of(header, [b"message-id"]).get(b"message-id", [])
    canonical = messageid.canonical(ids[0]) if ids else None
    return "" if canonical is None else canonical.value


async def _judge(
    session: "Session", evidence: Evidence, transaction: Transaction, delivery: deliver.Delivery
) -> list[Reply]:
    """Mail of strangers.    Whoever sends what is refused is slowed down."""
    outcomes = await evidence.deliver(
        delivery,
        Hearing(
            pause=session.pause,
            first_time_delay_s=session.service.delays.first_time_sender_s,
            reply_to=reply_to,
            log=session.log,
            client=session.wire,
            require_tls=transaction.require_tls,
            envid=transaction.envid,
        ),
    )
    if any(outcome.refused for outcome in outcomes) and not session.service.lmtp:
        session.slow = True
    return [outcome.reply for outcome in outcomes]


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
        requires_tls=transaction.require_tls is True,
        lmtp=service.lmtp,
        received_ms=service.clock.now_ms(),
    )


DATA = Command(
    verb=b"DATA", run=_data, needs=(Need.HELLO, Need.LOGIN, Need.TRANSACTION, Need.RECIPIENTS)
)
