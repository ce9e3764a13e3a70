"""Submissions that were held for recipients of ours: at their time into the mailboxes, without a judge.

As if they were submitted now.  Everything else goes on to whoever carries mail out.
Source  RFC 4865 §4; spec/smtp-server.md section 7.
Laws    an entry is settled after its message is on disk: a crash repeats a delivery, and loses none.
"""

import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.errors import MoxError
from mox.base.log import get_logger
from mox.config.live import AliasTarget, Config, Live, Target
from mox.config.lookup import Miss, find_recipient
from mox.inbound import deliver, trace
from mox.inbound.deliver import Deliverer, Recipient
from mox.inbound.posting import NOT_ALLOWED, NotAllowed
from mox.inbound.receive import Received, Receiver
from mox.outbound.submit import Returned, Submitted
from mox.outbound.transaction import lines_of
from mox.queue.carry import Carried, Carry, Content, Delivery, Outcome, Result
from mox.queue.entry import Entry, HostTry
from mox.smtp import replies
from mox.smtp.params import Notify
from mox.smtp.reply import Reply
from mox.store.errors import DiskFull, QuotaExceeded

log = get_logger("outbound")

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_REFUSALS: Final[dict[Miss, Reply]] = {
    Miss.ADDRESS_UNKNOWN: replies.NO_SUCH_USER,
    Miss.DOMAIN_DISABLED: replies.DOMAIN_DISABLED,
}


class LocalCarrier:
    """``queue.Carry`` in front of another."""

    def __init__(
        self,
        live: Live,
        clock: Clock,
        deliverer: Deliverer,
        returned: Returned,
        spool_folder: Path,
        outside: Carry,
    ) -> None:
        """Input   spool_folder: of the accounts."""
        self._live = live
        self._clock = clock
        self._deliverer = deliverer
        self._returned = returned
        self._spool_folder = spool_folder
        self._outside = outside

    async def carry(self, delivery: Delivery) -> Carried:
        """One attempt.    Errors: those of the disk, before anything is delivered."""
        first = delivery.entries[0]
        # Everybody else's mail to an address of ours comes in by the front door, to be judged.
        if not first.release_ms or first.transport:
            return await self._outside.carry(delivery)
        config = self._live.config
        found = [(entry, _target(config, entry)) for entry in delivery.entries]
        away = tuple(entry for entry, target in found if target is Miss.DOMAIN_UNKNOWN)
        if len(away) == len(found):
            return await self._outside.carry(delivery)
        outcomes = [
            _refused(entry, _REFUSALS[miss])
            for entry, miss in found
            if isinstance(miss, Miss) and miss in _REFUSALS
        ]
        here = [(entry, target) for entry, target in found if not isinstance(target, Miss)]
        if here:
            outcomes += await self._deliver(delivery, here)
        carried = Carried(outcomes=tuple(outcomes), tries=(self._try(outcomes),))
        if not away:
            return carried
        await delivery.settle(carried)
        return await self._outside.carry(msgspec.structs.replace(delivery, entries=away))

    async def _deliver(
        self, delivery: Delivery, here: Sequence[tuple[Entry, Target | AliasTarget]]
    ) -> list[Outcome]:
        received = await self._received(delivery.content)
        recipients = [_recipient(entry, target) for entry, target in here]
        local = self._local_delivery(here[0][0], recipients, received)
        failures = await deliver.deliver(self._deliverer, local)
        arrived = [
            one
            for one, error in zip(recipients, failures, strict=True)
            if error is None and one.wants_success
        ]
        told = not arrived or await self._tell(here[0][0], local, arrived)
        return [
            self._outcome(entry, error, told=told)
            for (entry, _), error in zip(here, failures, strict=True)
        ]

    def _local_delivery(
        self, entry: Entry, recipients: Sequence[Recipient], received: Received
    ) -> deliver.Delivery:
        arrival = trace.Arrival(
            hostname=self._live.config.static.hostname,
            id=str(entry.id),
            hello="",
            remote_ip="",
            local_ip="",
            extended=True,
            tls="",
            authenticated=True,
            smtputf8=entry.smtputf8,
            received_ms=self._clock.now_ms(),
        )
        return deliver.Delivery(
            arrival=arrival,
            sender=entry.sender,
            recipients=recipients,
            received=received,
            message_id=entry.message_id,
            is_traced=True,
        )

    async def _received(self, content: Content) -> Received:
        """A copy for the store.    Errors: OSError, DiskFull, DataDamaged."""
        receiver = Receiver(self._spool_folder, content.size, binary=True)
        try:
            async for piece in content.pieces():
                await receiver.write(piece)
            return await receiver.finish()
        except BaseException:
            await receiver.discard()
            raise

    async def _tell(
        self, entry: Entry, local: deliver.Delivery, arrived: Sequence[Recipient]
    ) -> bool:
        """The sender asked to hear of success.    Output: whether he has heard."""
        submitted = Submitted(
            account=entry.account,
            login_address="",
            author=entry.sender,
            delivery=local,
            envelope_id=entry.envelope_id,
        )
        try:
            await self._returned.return_arrivals(submitted, arrived)
        except Exception as error:
            # They have it.  That it failed would be wrong; the queue tells it in its own words.
            _note(entry, error)
            return False
        return True

    def _outcome(self, entry: Entry, error: Exception | None, *, told: bool) -> Outcome:
        if error is None:
            log.info("local.delivered", entry=entry.id, to=str(entry.recipient))
            return Outcome(
                entry_id=entry.id,
                result=Result.DELIVERED,
                code=replies.DELIVERED.code,
                enhanced=replies.DELIVERED.enhanced,
                lines=lines_of(replies.DELIVERED),
                remote_host=self._live.config.static.hostname,
                passed_dsn=told,
            )
        _note(entry, error)
        return _refused(entry, _reply_to(error))

    def _try(self, outcomes: Sequence[Outcome]) -> HostTry:
        errors = dict.fromkeys(one.error for one in outcomes if one.error)
        return HostTry(
            host=self._live.config.static.hostname,
            start_ms=self._clock.now_ms(),
            policy="none",
            policy_why="the recipient is here",
            outcome="; ".join(errors) or "delivered",
        )


def _target(config: Config, entry: Entry) -> Target | AliasTarget | Miss:
    return find_recipient(config, entry.recipient_localpart, entry.recipient_domain)


def _recipient(entry: Entry, target: Target | AliasTarget) -> Recipient:
    return Recipient(
        address=entry.recipient,
        target=target,
        notify=frozenset(Notify(one) for one in entry.notify.split(",") if one),
        orcpt=entry.original_recipient,
    )


def _note(entry: Entry, error: Exception) -> None:
    if isinstance(error, (MoxError, OSError)):
        log.info("local.not_delivered", entry=entry.id, why=str(error))
    else:
        metrics.unhandled("outbound")
        log.error("local.unhandled", error, entry=entry.id)


def _reply_to(error: Exception) -> Reply:
    match error:
        case NotAllowed():
            return NOT_ALLOWED
        case QuotaExceeded():
            return replies.OVER_QUOTA
        case DiskFull():
            return replies.STORAGE_FULL
        case OSError() if error.errno in _FULL:
            return replies.STORAGE_FULL
        case _:
            return replies.PROCESSING


def _refused(entry: Entry, said: Reply) -> Outcome:
    return Outcome(
        entry_id=entry.id,
        result=Result.PERMANENT if said.code >= 500 else Result.TEMPORARY,
        code=said.code,
        enhanced=said.enhanced,
        error=said.text,
        lines=lines_of(said),
    )
