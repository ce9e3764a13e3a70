"""The machine stops after any write: nothing accepted is lost, nothing is left over, nothing hammers.

As in tests/store/test_crash.py: every write, sync and body is recorded; a crash keeps some first part of
the writes, at least those that were synced.  Each such part is opened again and worked off.
"""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.queueing import (
    CONTENT,
    LARGE,
    Carrier,
    Mailbox,
    delayed,
    delivered,
    keep,
    refused,
    stored_contents,
    submission,
)
from support.recording import RecordingBlobs, RecordingEngine

from mox.base.clock import FrozenClock
from mox.queue.adding import NewRecipient, add
from mox.queue.carry import Carried, Delivery
from mox.queue.changing import add_rule, drop, fail, hold
from mox.queue.database import Database, check_format
from mox.queue.entry import Happened
from mox.queue.filter import EVERY, Filter
from mox.queue.keeping import events, forget_retired
from mox.queue.scheduler import Scheduler
from mox.queue.verify import verify_queue
from mox.smtp.address import parse_address


@dataclass
class Recorder:
    """A queue whose machine may stop."""

    engine: RecordingEngine
    blobs: RecordingBlobs
    clock: FrozenClock
    database: Database
    carrier: Carrier = field(default_factory=Carrier)
    returns: Mailbox = field(default_factory=Mailbox)
    accepted: list[tuple[int, int]] = field(default_factory=list)  # writes that last, entry
    finished: list[tuple[int, int]] = field(default_factory=list)  # writes that last, entry
    sent: list[tuple[int, int]] = field(default_factory=list)  # writes before it was, entry

    def scheduler(self) -> Scheduler:
        return Scheduler(
            self.database, self.carrier, self.returns, "mail.example.org", jitter=lambda: 1.0
        )

    async def add(self, *recipients: str) -> None:
        content = LARGE if len(recipients) > 1 else CONTENT
        for entry in await add(self.database, submission(*recipients, content=content)):
            self.accepted.append((self.engine.synced, entry.id))

    async def deliver(self) -> None:
        made = self.scheduler()
        recorder = self
        inner = self.carrier

        class Noting(Carrier):
            async def carry(self, delivery: Delivery) -> Carried:
                for entry in delivery.entries:
                    recorder.sent.append((recorder.engine.synced, entry.id))
                return await inner.carry(delivery)

        made._carry = Noting()
        await made.step()
        await made.idle()
        await self.note_finished()
        await made.notices.step()

    async def note_finished(self) -> None:
        happened, _ = await events(self.database, limit=1000)
        known = {number for _, number in self.finished}
        for _, event in happened:
            if event.happened != Happened.DELAYED and event.entry_id not in known:
                self.finished.append((self.engine.synced, event.entry_id))

    async def durable(self, work: Awaitable[object]) -> None:
        await work
        await self.note_finished()

    async def crash_everywhere(self) -> None:
        await self.database.contents.idle()
        await self.database.close()
        for kept in range(1, len(self.engine.writes) + 1):
            await self.crash(kept)

    async def crash(self, kept: int) -> None:
        where = f"after {kept} writes"
        clock = FrozenClock(self.clock.now_ms())
        database = Database(
            self.engine.cut_off(kept),
            self.blobs.cut_off(kept),
            Path("/nonexistent"),
            clock=clock,
            keep=keep,
        )
        assert await verify_queue(database) == [], where
        happened, _ = await events(database, limit=1000)
        ended = [e.entry_id for _, e in happened if e.happened != Happened.DELAYED]
        stored = {entry.id for entry in database.read_all(range(1, 200)) if entry is not None}
        for needed, number in self.accepted:
            # Accepted, so it waits or has come to its end.
            assert needed > kept or number in stored or number in ended, f"{where}: lost"
        for needed, number in self.finished:
            assert needed > kept or number in ended, f"{where}: an end was forgotten"
        assert not stored & set(ended), where
        assert max(Counter(ended).values(), default=0) <= 1, where
        # What was being delivered is on disk as begun: nothing is tried again at once.
        carrier, returns = Carrier(), Mailbox()
        for needed, number in self.sent:
            if needed <= kept and number in stored:
                [entry] = database.read_all([number])
                assert entry is not None
                assert entry.attempts, where
        begun = {
            entry.id
            for entry in database.read_all(range(1, 200))
            if entry is not None and entry.attempts and entry.next_ms > clock.now_ms()
        }
        made = Scheduler(database, carrier, returns, "mail.example.org", jitter=lambda: 1.0)
        await made.step()
        await made.idle()
        assert not begun & {entry.id for group in carrier.seen for entry in group}, where
        # All of it comes to an end.
        await hold(database, EVERY, on=False)
        for _ in range(40):
            next_ms = await made.step()
            await made.idle()
            if not database.counters.queued:
                break
            assert next_ms is not None, where
            clock.advance(max(0, next_ms - clock.now_ms()) / 1000)
        assert database.counters.queued == 0, where
        assert all(content in (CONTENT, LARGE) for content in carrier.contents), where
        await made.notices.step()
        assert all(b"Action: failed" in message for _, message in returns.got), where
        await database.contents.idle()
        assert await verify_queue(database) == [], where
        assert stored_contents(database.engine) == 0, f"{where}: contents are left"
        # Numbers are not given out twice.
        [fresh] = await add(database, submission())
        known = {number for needed, number in self.accepted if needed <= kept}
        assert fresh.id > max(known, default=0), where
        await database.close()


@pytest.fixture
async def recorder(clock: FrozenClock) -> Recorder:
    engine = RecordingEngine()
    check_format(engine)
    blobs = RecordingBlobs(engine)
    database = Database(engine, blobs, Path("/nonexistent"), clock=clock, keep=keep)
    return Recorder(engine, blobs, clock, database)


async def test_accepted_messages_are_kept(recorder: Recorder) -> None:
    await recorder.add("a@x.example")
    await recorder.add("a@x.example", "b@x.example", "c@y.example")
    await recorder.crash_everywhere()


async def test_deliveries(recorder: Recorder) -> None:
    await recorder.add("a@x.example", "b@x.example")
    await recorder.add("c@y.example")
    await recorder.deliver()
    await recorder.add("d@y.example")
    await recorder.crash_everywhere()


@pytest.mark.parametrize("answer", [delayed, refused])
async def test_failures_and_their_notifications(
    recorder: Recorder, answer: Callable[..., object]
) -> None:
    recorder.carrier.answer = answer  # type: ignore[assignment]
    await recorder.add("a@x.example", "b@y.example")
    await recorder.deliver()
    recorder.clock.advance(500)
    recorder.carrier.answer = delivered
    await recorder.deliver()
    await recorder.crash_everywhere()


async def test_a_group_in_parts(recorder: Recorder) -> None:
    class InParts(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            for entry in delivery.entries:
                await delivery.settle(Carried(outcomes=(delivered(entry),)))
            return Carried()

    recorder.carrier = InParts()
    await recorder.add("a@x.example", "b@x.example", "c@x.example")
    await recorder.deliver()
    await recorder.crash_everywhere()


async def test_what_operators_do(recorder: Recorder) -> None:
    await recorder.add("a@x.example", "b@x.example", "c@y.example", "d@z.example")
    await recorder.durable(hold(recorder.database, Filter(recipient="@x"), on=True))
    await recorder.durable(add_rule(recorder.database, recipient_domain="y.example"))
    await recorder.durable(drop(recorder.database, Filter(recipient="a@")))
    await recorder.durable(fail(recorder.database, Filter(recipient="b@")))
    await recorder.deliver()
    await recorder.crash_everywhere()


async def test_unique_ids_and_what_is_remembered(recorder: Recorder) -> None:
    recipient = NewRecipient(address=parse_address("a@x.example"), from_id="one")
    for entry in await add(recorder.database, submission(recipients=(recipient,))):
        recorder.accepted.append((recorder.engine.synced, entry.id))
    await recorder.deliver()
    recorder.clock.advance(8 * 86_400)
    await forget_retired(recorder.database)
    await recorder.crash_everywhere()
