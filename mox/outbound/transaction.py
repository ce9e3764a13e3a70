"""Recipients of a delivery over one conversation, in as many transactions as the server wants.

Source  spec/smtp-client-queue.md section 6 (the loop over recipients), RFC 5321 §4.5.3.1.10.
Laws    results are settled after each transaction, so that a crash repeats only the one in flight.
"""

from collections.abc import Awaitable, Callable, Sequence

from mox.outbound.pool import Kept
from mox.queue.carry import Content, Delivery, Outcome, Result
from mox.queue.entry import Entry
from mox.smtp.address import Address
from mox.smtp.reply import Reply
from mox.smtpclient import dialogue as smtp
from mox.smtpclient.errors import DeliveryError

Settle = Callable[[Sequence[Outcome]], Awaitable[None]]


async def send_all(
    kept: Kept,
    delivery: Delivery,
    entries: Sequence[Entry],
    settle: Settle,
    *,
    needs_8bitmime: bool = False,
) -> None:
    """Send to everybody; outcomes go to ``settle``.

    Errors  DeliveryError about the message as a whole, for those not settled yet.
    """
    waiting = list(entries)
    while waiting:
        content, utf8 = _choose(kept, delivery)
        by_recipient = {recipient_of(entry): entry for entry in waiting}
        envelope = _envelope(
            waiting[0], tuple(by_recipient), utf8=utf8, needs_8bitmime=needs_8bitmime
        )
        kept.messages += 1
        found = await kept.dialogue.send(envelope, content)
        again = _to_try_again(found)
        # Entries of equal recipients were given to the server as one.
        done = {one.recipient: one for one in found if one.recipient not in again}
        outcomes = [
            outcome_of(entry, done[recipient_of(entry)], kept)
            for entry in waiting
            if recipient_of(entry) in done
        ]
        await settle(outcomes)
        waiting = [entry for entry in waiting if recipient_of(entry) in again]


def recipient_of(entry: Entry) -> smtp.Recipient:
    """Of the envelope."""
    return smtp.Recipient(
        address=entry.recipient, notify=entry.notify, original=entry.original_recipient
    )


def _choose(kept: Kept, delivery: Delivery) -> tuple[Content, bool]:
    """The content, and whether it needs SMTPUTF8.    RFC 6533 §3: a notification has two forms."""
    has = kept.dialogue.extensions.has
    if delivery.content_utf8 is not None and has("8BITMIME") and has("SMTPUTF8"):
        return delivery.content_utf8, True
    return delivery.content, delivery.entries[0].smtputf8


def _envelope(
    entry: Entry, recipients: tuple[smtp.Recipient, ...], *, utf8: bool, needs_8bitmime: bool
) -> smtp.Envelope:
    return smtp.Envelope(
        sender=Address(entry.sender_localpart, entry.sender_domain),
        recipients=recipients,
        has_8bit=entry.has_8bit or utf8,
        needs_8bitmime=needs_8bitmime,
        smtputf8=utf8,
        require_tls=bool(entry.require_tls),
        ret=entry.ret,
        envelope_id=entry.envelope_id,
    )


def _to_try_again(found: Sequence[smtp.Outcome]) -> set[smtp.Recipient]:
    """Those for a further transaction at once: too many for this one.

    Not where nobody at all got through: then the server wants less, not the same again.
    """
    if all(one.error is not None for one in found if not one.is_untried):
        return set()
    return {
        one.recipient
        for one in found[1:]
        if one.is_untried or (one.reply is not None and one.reply.code in (452, 552))
    }


def outcome_of(entry: Entry, found: smtp.Outcome, kept: Kept) -> Outcome:
    """In the words of the queue."""
    host, ip = kept.place.host, kept.ip
    if found.is_untried:
        error = "the server takes no more recipients now"
        return Outcome(
            entry_id=entry.id, result=Result.TEMPORARY, error=error, remote_host=host, remote_ip=ip
        )
    reply = found.reply
    assert reply is not None
    if found.error is None:
        return Outcome(
            entry_id=entry.id,
            result=Result.DELIVERED,
            code=reply.code,
            enhanced=reply.enhanced,
            lines=lines_of(reply),
            remote_host=host,
            remote_ip=ip,
            passed_dsn=kept.dialogue.extensions.has("DSN"),
        )
    return failed(entry, found.error, host, ip)


def failed(entry: Entry, error: DeliveryError, host: str = "", ip: str = "") -> Outcome:
    """An error as the outcome of one entry."""
    reply = error.reply
    return Outcome(
        entry_id=entry.id,
        result=Result.PERMANENT if error.permanent else Result.TEMPORARY,
        code=0 if reply is None else reply.code,
        enhanced="" if reply is None else reply.enhanced,
        error=error.public,
        lines=() if reply is None else lines_of(reply),
        remote_host=host,
        remote_ip=ip,
    )


def lines_of(reply: Reply) -> tuple[str, ...]:
    """A reply line by line, with its codes."""
    enhanced = f"{reply.enhanced} " if reply.enhanced else ""
    marks = ["-"] * (len(reply.lines) - 1) + [" "]
    return tuple(
        f"{reply.code}{mark}{enhanced}{line}" for mark, line in zip(marks, reply.lines, strict=True)
    )
