"""Who goes when: groups, paces, shares, operators, stops, faults."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from support.queueing import (
    Carrier,
    Gated,
    Mailbox,
    delayed,
    delivered,
    keep,
    refused,
    submission,
)

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.base.errors import Unavailable
from mox.queue.adding import add
from mox.queue.carry import Carried, Delivery, Outcome, Result
from mox.queue.changing import drop, fail, hold, schedule, set_require_tls, set_transport
from mox.queue.database import Database, memory_queue
from mox.queue.entry import Entry, Happened
from mox.queue.errors import EntryMissing
from mox.queue.filter import EVERY, Filter
from mox.queue.keeping import events, retired
from mox.queue.pace import Answer, Pace
from mox.queue.scheduler import Scheduler, Shares
from mox.queue.verify import verify_queue


def scheduler(
    database: Database,
    carrier: Carrier,
    *,
    returns: Mailbox | None = None,
    shares: Shares | None = None,
) -> Scheduler:
    return Scheduler(
        database,
        carrier,
        returns or Mailbox(),
        "mail.example.org",
        jitter=lambda: 1.0,
        shares=shares,
    )


def names(groups: list[tuple[Entry, ...]]) -> list[list[str]]:
    return [[entry.recipient_localpart for entry in group] for group in groups]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.001)


async def test_recipients_of_a_domain_go_together(database: Database) -> None:
    await add(database, submission("a@x.example", "b@y.example", "c@x.example", "d@x.example"))
    await add(database, submission("e@x.example"))
    carrier = Carrier()
    await scheduler(database, carrier).step()
    await until(lambda: database.counters.queued == 0)
    assert sorted(names(carrier.seen)) == [["a", "c", "d"], ["b"], ["e"]]


async def test_what_differs_goes_apart(database: Database) -> None:
    entries = await add(database, submission(*(f"{n}@x.example" for n in "abcd")))
    await set_require_tls(database, Filter(ids=(entries[1].id,)), True)
    await set_transport(database, Filter(ids=(entries[3].id,)), "relay")
    carrier = Carrier()
    made = scheduler(database, carrier)
    await made.step()
    await made.idle()
    assert sorted(names(carrier.seen)) == [["a", "c"], ["b"], ["d"]]
    assert await verify_queue(database) == []


async def test_a_group_is_tried_again_together(database: Database, clock: FrozenClock) -> None:
    await add(database, submission("a@x.example", "b@x.example"))
    carrier = Carrier(answer=delayed)
    made = scheduler(database, carrier)
    await made.step()
    await made.idle()
    clock.advance(450)
    await made.step()
    await made.idle()
    assert names(carrier.seen) == [["a", "b"], ["a", "b"]]
    assert [entry.attempts for entry in carrier.seen[1]] == [2, 2]


async def test_the_attempt_is_on_disk_before_it_begins(database: Database) -> None:
    [entry] = await add(database, submission())
    found: list[Entry] = []

    class Looking(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            [stored] = database.read_all([entry.id])
            assert stored is not None
            found.append(stored)
            [attempt] = await database.attempts_of(entry.id)
            assert not attempt.finished
            return await super().carry(delivery)

    made = scheduler(database, Looking())
    await made.step()
    await made.idle()
    assert found[0].attempts == 1
    assert found[0].next_ms == found[0].last_ms + 450_000
    assert database.committer.staged > 0


async def test_results_are_settled_one_by_one(database: Database) -> None:
    """Each recipient of a group has its own result, durable before the next transaction."""
    await add(database, submission("a@x.example", "b@x.example", "c@x.example"))
    half_way: list[int] = []

    class InParts(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            first, second, _ = delivery.entries
            await delivery.settle(Carried(outcomes=(delivered(first),)))
            half_way.append(database.counters.queued)
            await delivery.settle(Carried(outcomes=(refused(second),)))
            raise Unavailable("connection lost")

    made = scheduler(database, InParts())
    await made.step()
    await made.idle()
    assert half_way == [2]
    [left] = [entry for entry in database.read_all(range(1, 10)) if entry is not None]
    assert left.recipient_localpart == "c"
    assert left.last_error == "connection lost"
    found, _ = await events(database, limit=9)
    assert [event.happened for _, event in found] == [
        Happened.DELIVERED,
        Happened.FAILED,
        Happened.DELAYED,
    ]
    assert await verify_queue(database) == []


async def test_an_entry_nobody_names_failed_for_now(database: Database) -> None:
    await add(database, submission("a@x.example", "b@x.example"))

    class Forgetful(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            stranger = Outcome(entry_id=4711, result=Result.DELIVERED)
            return Carried(outcomes=(delivered(delivery.entries[0]), stranger))

    made = scheduler(database, Forgetful())
    await made.step()
    await made.idle()
    [left] = [entry for entry in database.read_all(range(1, 10)) if entry is not None]
    assert left.last_error == "the delivery ended without a result"
    assert database.busy == {}


async def test_a_fault_of_ours_is_counted_and_tried_again(database: Database) -> None:
    [entry] = await add(database, submission())

    class Broken(Carrier):
        async def carry(self, delivery: Delivery) -> Carried:
            raise KeyError("oops")

    before = metrics.unhandled_total()
    made = scheduler(database, Broken())
    await made.step()
    await made.idle()
    assert metrics.unhandled_total() == before + 1
    metrics.PANICS.labels("queue").reset()
    assert (await database.get(entry.id)).last_error == "internal error"
    assert made.running == 0


async def test_a_domain_has_a_window(database: Database) -> None:
    for n in range(30):
        await add(database, submission(f"u{n}@x.example"))
    carrier = Gated()
    made = scheduler(database, carrier)
    await made.step()
    await until(lambda: len(carrier.seen) == 5)
    # Another domain is not held up.
    await add(database, submission("other@y.example"))
    await made.step()
    await until(lambda: len(carrier.seen) == 6)
    assert carrier.seen[5][0].recipient_domain == "y.example"
    assert made.running == 6
    carrier.gate.set()
    while database.counters.queued:
        await made.step()
        await made.idle()
    assert len(carrier.seen) == 31
    assert await verify_queue(database) == []


async def test_a_destination_that_hangs_holds_nobody_up(database: Database) -> None:
    for n in range(50):
        await add(database, submission(f"u{n}@slow.example"))

    class Selective(Gated):
        async def carry(self, delivery: Delivery) -> Carried:
            if delivery.domain == "slow.example":
                return await super().carry(delivery)
            return await Carrier.carry(self, delivery)

    carrier = Selective()
    made = scheduler(database, carrier)
    made.start()
    for n in range(50):
        await add(database, submission(f"u{n}@fast{n % 3}.example"))
    await until(lambda: database.counters.queued == 50 and made.running == 5)
    carrier.gate.set()
    await until(lambda: database.counters.queued == 0)
    await made.stop()


async def test_later_attempts_leave_room_for_first_ones(
    database: Database, clock: FrozenClock
) -> None:
    shares = Shares(total=4, fresh=3, retry=2)
    for n in range(8):
        await add(database, submission(f"old@x{n}.example"))
    late = Carrier(answer=delayed)
    made = scheduler(database, late, shares=shares)
    while len(late.seen) < 8:
        await made.step()
        await made.idle()
    clock.advance(500)
    for n in range(8):
        await add(database, submission(f"new@y{n}.example"))
    carrier = Gated()
    made = scheduler(database, carrier, shares=shares)
    await made.step()
    await until(lambda: len(carrier.seen) == 4)
    assert sorted(group[0].recipient_localpart for group in carrier.seen) == [
        "new",
        "new",
        "new",
        "old",
    ]
    carrier.gate.set()
    while database.counters.queued:
        await made.step()
        await made.idle()
    assert await verify_queue(database) == []


async def test_a_domain_that_asks_for_less_is_left_alone(
    database: Database, clock: FrozenClock
) -> None:
    for n in range(20):
        await add(database, submission(f"u{n}@x.example"))

    def slow_down(entry: Entry) -> Outcome:
        return Outcome(
            entry_id=entry.id, result=Result.TEMPORARY, code=421, enhanced="4.7.0", error="slow"
        )

    carrier = Carrier(answer=slow_down)
    made = scheduler(database, carrier)
    await made.step()
    await made.idle()
    # The first five found out; the others did not use up an attempt.
    next_ms = await made.step()
    assert len(carrier.seen) == 5
    assert next_ms == clock.now_ms() + 5000
    # What comes meanwhile waits as well, and other domains do not.
    await add(database, submission("later@x.example", "b@y.example"))
    assert await made.step() == clock.now_ms() + 5000
    await made.idle()
    assert [group[0].recipient_domain for group in carrier.seen[5:]] == ["y.example"]
    clock.advance(5)
    carrier.answer = delivered
    await made.step()
    await made.idle()
    # The window was halved.
    assert len(carrier.seen) == 8
    while any(entry.attempts == 0 for entry in database.read_all(range(60)) if entry):
        await made.step()
        await made.idle()
    assert await verify_queue(database) == []


async def test_a_silent_domain_is_asked_less_and_less(
    database: Database, clock: FrozenClock
) -> None:
    for n in range(40):
        await add(database, submission(f"u{n}@dead.example"))

    def silent(entry: Entry) -> Outcome:
        return Outcome(entry_id=entry.id, result=Result.TEMPORARY, error="cannot connect")

    carrier = Carrier(answer=silent, reached=False)
    made = scheduler(database, carrier)
    asked: list[tuple[int, int]] = []
    start = clock.now_ms()
    while clock.now_ms() - start < 300_000:
        before = len(carrier.seen)
        next_ms = await made.step()
        await made.idle()
        if len(carrier.seen) > before:
            asked.append(((clock.now_ms() - start) // 1000, len(carrier.seen) - before))
            continue
        assert next_ms is not None
        clock.advance((next_ms - clock.now_ms()) / 1000)
    assert asked[:6] == [(0, 5), (5, 1), (15, 1), (35, 1), (75, 1), (155, 1)]


def test_a_pace_grows_with_success_up_to_a_limit() -> None:
    pace = Pace()
    assert pace.room() == 5
    for _ in range(1000):
        pace.began()
        pace.ended(Answer.GOOD, 0)
    assert pace.room() == 20
    for _ in range(10):
        pace.began()
    assert pace.room() == 10
    # All that are running say the same: once is enough.
    for _ in range(10):
        pace.ended(Answer.SLOW_DOWN, 1000)
    assert pace.room() == 10
    assert pace.not_before_ms == 6000
    pace.began()
    pace.ended(Answer.SLOW_DOWN, 6000)
    assert (pace.room(), pace.not_before_ms) == (5, 16_000)
    pace.began()
    pace.ended(Answer.GOOD, 16_000)
    pace.began()
    pace.ended(Answer.SLOW_DOWN, 16_000)
    assert pace.not_before_ms == 21_000


@pytest.mark.parametrize("act", [drop, fail])
async def test_ending_what_is_being_delivered_waits_for_the_attempt(
    database: Database, act: Callable[..., object]
) -> None:
    [entry] = await add(database, submission())
    carrier, returns = Gated(answer=delayed), Mailbox()
    made = scheduler(database, carrier, returns=returns)
    await made.step()
    await until(lambda: bool(carrier.seen))
    assert await (drop if act is drop else fail)(database, EVERY) == 1
    assert (await database.get(entry.id)).ending == ("drop" if act is drop else "fail")
    carrier.gate.set()
    await made.idle()
    with pytest.raises(EntryMissing):
        await database.get(entry.id)
    await made.notices.step()
    assert len(returns.got) == (act is fail)
    happened, _ = await events(database, limit=9)
    assert [event.happened for _, event in happened] == [
        Happened.CANCELED if act is drop else Happened.FAILED
    ]
    assert await verify_queue(database) == []


async def test_what_was_delivered_meanwhile_was_delivered(database: Database) -> None:
    [entry] = await add(database, submission())
    carrier = Gated()
    made = scheduler(database, carrier)
    await made.step()
    await until(lambda: bool(carrier.seen))
    await drop(database, EVERY)
    carrier.gate.set()
    await made.idle()
    assert (await retired(database, entry.id)).event == Happened.DELIVERED


async def test_changes_during_a_delivery_count_afterwards(
    database: Database, clock: FrozenClock
) -> None:
    [entry] = await add(database, submission())
    carrier = Gated(answer=delayed)
    made = scheduler(database, carrier)
    await made.step()
    await until(lambda: bool(carrier.seen))
    await hold(database, EVERY, on=True)
    await set_transport(database, EVERY, "relay")
    await schedule(database, EVERY, 60_000, from_now=True)
    carrier.gate.set()
    await made.idle()
    found = await database.get(entry.id)
    assert (found.hold, found.transport, found.attempts) == (True, "relay", 1)
    assert found.next_ms == clock.now_ms() + 60_000
    assert found.last_error
    assert await verify_queue(database) == []


async def test_an_attempt_longer_than_its_pause_is_not_doubled(
    database: Database, clock: FrozenClock
) -> None:
    await add(database, submission())
    carrier = Gated(answer=delayed)
    made = scheduler(database, carrier)
    await made.step()
    await until(lambda: bool(carrier.seen))
    clock.advance(3600)
    assert await made.step() is None
    assert len(carrier.seen) == 1
    carrier.gate.set()
    await made.idle()
    # It is due at once: its pause counted from its begin.
    await made.step()
    await made.idle()
    assert [group[0].attempts for group in carrier.seen] == [1, 2]


async def test_a_stop_waits_for_deliveries(database: Database) -> None:
    await add(database, submission("a@x.example"))
    carrier = Gated()
    made = scheduler(database, carrier)
    made.start()
    await until(lambda: bool(carrier.seen))
    stopping = asyncio.create_task(made.stop(grace_s=30))
    await add(database, submission("b@y.example"))
    await asyncio.sleep(0)
    assert not stopping.done()
    carrier.gate.set()
    await stopping
    # Nothing new was begun.
    assert names(carrier.seen) == [["a"]]
    assert database.counters.queued == 1
    assert database.busy == {}


async def test_a_stop_cancels_what_does_not_end(database: Database, clock: FrozenClock) -> None:
    [entry] = await add(database, submission())
    carrier = Gated()
    made = scheduler(database, carrier)
    await made.step()
    await until(lambda: bool(carrier.seen))
    await made.stop(grace_s=0.01)
    found = await database.get(entry.id)
    assert found.last_error == "the server was stopped during the delivery"
    assert found.next_ms == clock.now_ms() + 450_000
    [attempt] = await database.attempts_of(entry.id)
    assert attempt.finished
    assert database.busy == {}
    assert made.running == 0


async def test_the_loop_sleeps_until_something_is_due(tmp_path: Path) -> None:
    """With the machine's clock: woken by what is added, by its time, and by ends."""
    database = memory_queue(tmp_path, keep=keep)
    carrier = Carrier()
    made = scheduler(database, carrier)
    made.start()
    await add(database, submission("now@x.example"))
    await until(lambda: len(carrier.seen) == 1)
    soon = database.clock.now_ms() + 200
    await add(database, submission("soon@x.example", release_ms=soon))
    await until(lambda: len(carrier.seen) == 2)
    assert carrier.seen[1][0].last_ms >= soon
    await until(lambda: database.counters.queued == 0)
    await made.stop()
    await database.close()


async def test_many_recipients_go_in_parts(database: Database) -> None:
    await add(database, submission(*(f"u{n}@x.example" for n in range(250))))
    carrier = Carrier()
    made = scheduler(database, carrier)
    while database.counters.queued:
        await made.step()
        await made.idle()
    assert sorted(len(group) for group in carrier.seen) == [50, 100, 100]
    assert len({entry.id for group in carrier.seen for entry in group}) == 250
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_many_domains_are_begun_in_rounds(database: Database) -> None:
    await add(database, submission(*(f"u@x{n}.example" for n in range(700))))
    carrier = Carrier()
    made = scheduler(database, carrier, shares=Shares(total=1000, fresh=1000, retry=1000))
    await made.step()
    await made.idle()
    assert len(carrier.seen) == 700
    assert database.counters.queued == 0


async def test_entries_of_paused_lanes_do_not_hide_others(
    database: Database, clock: FrozenClock
) -> None:
    """Thousands of domains that pause are out of the way of one that does not."""
    await add(database, submission(*(f"u@x{n}.example" for n in range(600))))

    def slow_down(entry: Entry) -> Outcome:
        return Outcome(entry_id=entry.id, result=Result.TEMPORARY, code=421, error="slow")

    carrier = Carrier(answer=slow_down)
    made = scheduler(database, carrier, shares=Shares(total=1000, fresh=1000, retry=1000))
    await made.step()
    await made.idle()
    await add(database, submission(*(f"v@x{n}.example" for n in range(600))))
    await add(database, submission("free@y.example"))
    carrier.answer = delivered
    next_ms = await made.step()
    await made.idle()
    assert len(carrier.seen) == 601
    assert carrier.seen[600][0].recipient_domain == "y.example"
    assert next_ms == clock.now_ms() + 5000
    clock.advance(5)
    await made.step()
    await made.idle()
    assert len(carrier.seen) == 1201
