"""New entries that are begun by the batch that adds them, and those that wait their turn."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.queueing import CONTENT, LARGE, Carrier, Gated, Mailbox, delayed, submission

from mox.base.clock import Clock, SystemClock
from mox.base.limits import QUEUE_DOMAIN_START
from mox.queue import scheduler
from mox.queue.adding import add
from mox.queue.carry import Carried, Delivery
from mox.queue.changing import add_rule, schedule
from mox.queue.database import Database
from mox.queue.entry import Entry
from mox.queue.filter import EVERY
from mox.queue.scheduler import Scheduler, Shares
from mox.queue.suppressing import suppress
from mox.queue.taking import Taken, take
from mox.queue.verify import verify_queue
from mox.smtp.address import parse_address
from mox.store.errors import StoreStopped


@pytest.fixture
def clock() -> Clock:
    """One that goes: a frozen one is moved by loops that sleep."""
    return SystemClock()


@asynccontextmanager
async def running(
    database: Database, carrier: Carrier, shares: Shares | None = None
) -> AsyncIterator[Scheduler]:
    made = Scheduler(
        database, carrier, Mailbox(), "mail.example.org", jitter=lambda: 1.0, shares=shares
    )
    made.start()
    await asyncio.sleep(0.01)  # its loops look, and sleep
    try:
        yield made
    finally:
        await made.stop(0.0)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("content", [CONTENT, LARGE], ids=["small", "large"])
async def test_it_is_on_disk_as_begun_before_anybody_is_called(
    database: Database, content: bytes
) -> None:
    found: list[Entry] = []

    class Looking(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            [stored] = database.read_all([delivery.entries[0].id])
            assert stored is not None
            found.append(stored)
            [attempt] = await database.attempts_of(stored.id)
            assert (attempt.number, attempt.finished) == (1, False)
            read = await database.contents.read(stored.content, 0, stored.size)
            assert read == content
            return await super().carry(delivery)

    carrier = Looking()
    async with running(database, carrier):
        [entry] = await add(database, submission(content=content))
        assert entry.attempts == 1
        await until(lambda: database.counters.queued == 0)
    assert [stored.attempts for stored in found] == [1]
    assert carrier.contents == [content]
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_recipients_of_a_domain_go_together(database: Database) -> None:
    carrier = Carrier()
    async with running(database, carrier):
        entries = await add(database, submission("a@x.example", "b@y.example", "c@x.example"))
        assert [entry.attempts for entry in entries] == [1, 1, 1]
        await until(lambda: database.counters.queued == 0)
    groups = [[entry.recipient_localpart for entry in group] for group in carrier.seen]
    assert sorted(groups) == [["a", "c"], ["b"]]


async def test_a_failed_first_attempt_is_tried_again_as_the_schedule_says(
    database: Database,
) -> None:
    carrier = Carrier(answer=delayed)
    async with running(database, carrier):
        [entry] = await add(database, submission())
        await until(lambda: not database.busy)
        entry = await database.get(entry.id)
        assert entry.next_ms == entry.last_ms + 450_000
        assert await verify_queue(database) == []
        await schedule(database, EVERY, 0, from_now=True)
        await until(lambda: len(carrier.seen) == 2)
        await until(lambda: not database.busy)
    assert [group[0].attempts for group in carrier.seen] == [1, 2]


async def test_what_has_to_wait_is_not_begun(database: Database) -> None:
    await suppress(database, "me", parse_address("stop@example.net"), "asked to")
    await add_rule(database, recipient_domain="held.example")
    carrier = Gated()
    async with running(database, carrier):
        for one in (
            submission("a@held.example"),
            submission(hold=True),
            submission(release_ms=database.clock.now_ms() + 100_000),
            submission("stop@example.net"),
        ):
            [entry] = await add(database, one)
            assert entry.attempts == 0
        await until(lambda: database.counters.queued == 3)  # the suppressed one is done
        assert carrier.seen == []
        assert await verify_queue(database) == []


async def test_a_domain_gets_as_many_as_it_has_room_for(database: Database) -> None:
    carrier = Gated()
    async with running(database, carrier):
        added = [(await add(database, submission()))[0] for _ in range(QUEUE_DOMAIN_START + 2)]
        assert [entry.attempts for entry in added] == [1] * QUEUE_DOMAIN_START + [0, 0]
        await until(lambda: len(carrier.seen) == QUEUE_DOMAIN_START)
        # Who came earlier goes first, also when there is room again.
        carrier.gate.set()
        await until(lambda: database.counters.queued == 0)
    assert [group[0].id for group in carrier.seen] == [entry.id for entry in added]


async def test_slots_are_not_given_twice(database: Database) -> None:
    carrier = Gated()
    async with running(database, carrier, Shares(total=2, fresh=2, retry=1)) as made:
        await asyncio.gather(
            *(add(database, submission(f"a@d{number}.example")) for number in range(6))
        )
        await until(lambda: len(carrier.seen) == 2)
        await asyncio.sleep(0.02)
        assert made.running == len(carrier.seen) == 2
        carrier.gate.set()
        await until(lambda: database.counters.queued == 0)


async def test_nothing_is_begun_by_a_scheduler_that_stops(database: Database) -> None:
    """What was claimed, and is durable only then, is an attempt that did not finish."""
    carrier = Carrier()
    made = Scheduler(database, carrier, Mailbox(), "mail.example.org", jitter=lambda: 1.0)
    made.start()
    adding = asyncio.create_task(add(database, submission(content=CONTENT)))
    while not made._claimed:
        await asyncio.sleep(0)
    stopping = asyncio.create_task(made.stop(0.0))
    [entry] = await adding
    await stopping
    assert carrier.seen == []
    assert database.busy == {}
    [later] = await add(database, submission())
    assert [entry.attempts, later.attempts] == [1, 0]
    assert await verify_queue(database) == []


async def test_an_add_that_cannot_be_staged_takes_no_slot(database: Database) -> None:
    carrier = Carrier()
    async with running(database, carrier) as made:
        database.committer._failed = OSError("disk")
        with pytest.raises(StoreStopped):
            await add(database, submission())
        database.committer._failed = None
        assert (made._claimed, database.busy) == (0, {})


async def test_a_domain_without_room_costs_no_looks(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits for a domain that hangs is not looked at for each message to another one."""
    looks: list[int] = []

    async def counted(*given: Any) -> Taken:
        looks.append(1)
        return await take(*given)

    monkeypatch.setattr(scheduler, "take", counted)

    class Halting(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            if delivery.domain == "hangs.example":
                self.seen.append(delivery.entries)
                await asyncio.sleep(3600)
            return await super().carry(delivery)

    carrier = Halting()
    async with running(database, carrier):
        for _ in range(QUEUE_DOMAIN_START + 3):
            await add(database, submission("a@hangs.example"))
        await asyncio.sleep(0.05)
        before = len(looks)
        for number in range(20):
            await add(database, submission(f"a{number}@goes.example"))
            await until(lambda: database.counters.queued == QUEUE_DOMAIN_START + 3)
        assert len(looks) - before <= 1
        assert len(carrier.seen) == QUEUE_DOMAIN_START + 20


async def test_what_waited_for_room_goes_when_a_delivery_ends(database: Database) -> None:
    gates = [asyncio.Event() for _ in range(QUEUE_DOMAIN_START)]

    class OneByOne(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            number = len(self.seen)
            self.seen.append(delivery.entries)
            if number < len(gates):
                await gates[number].wait()
            return Carried(outcomes=tuple(self.answer(entry) for entry in delivery.entries))

    carrier = OneByOne()
    async with running(database, carrier):
        for _ in range(QUEUE_DOMAIN_START + 1):
            await add(database, submission())
        await asyncio.sleep(0.02)
        assert len(carrier.seen) == QUEUE_DOMAIN_START
        gates[0].set()
        await until(lambda: len(carrier.seen) == QUEUE_DOMAIN_START + 1)
        for gate in gates:
            gate.set()
        await until(lambda: database.counters.queued == 0)


async def test_a_delivery_that_ends_while_others_are_looked_at_is_not_missed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    carrier = Gated()

    async def slow(*given: Any) -> Taken:
        taken = await take(*given)
        if taken.blocked:
            carrier.gate.set()
            await until(lambda: not database.busy)
        return taken

    monkeypatch.setattr(scheduler, "take", slow)
    async with running(database, carrier):
        for _ in range(QUEUE_DOMAIN_START + 1):
            await add(database, submission())
        await until(lambda: database.counters.queued == 0)
    assert len(carrier.seen) == QUEUE_DOMAIN_START + 1
