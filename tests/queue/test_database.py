"""Adding, reading, changing: what is there afterwards, over both engines."""

import asyncio
from pathlib import Path

import msgspec
import pytest
from support.queueing import CONTENT, KEEP_MS, Carrier, Mailbox, delayed, keep, refused, submission

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.queue import keys
from mox.queue.adding import NewRecipient, add
from mox.queue.carry import Carried
from mox.queue.changing import (
    add_rule,
    drop,
    fail,
    hold,
    kick,
    remove_rule,
    schedule,
    set_require_tls,
    set_transport,
)
from mox.queue.database import Database, open_queue
from mox.queue.entry import Happened, NoticeKind, Retired
from mox.queue.errors import EntryMissing, FromIdTaken, NotSuppressed, RuleMissing, Suppressed
from mox.queue.filter import EVERY, Filter, Sort, Span
from mox.queue.finishing import settle
from mox.queue.keeping import events, forget_events, forget_retired, retired
from mox.queue.listing import page, retired_page
from mox.queue.schedule import Schedule
from mox.queue.scheduler import Scheduler
from mox.queue.suppressing import find, forget_account, release, suppress, suppressions
from mox.queue.verify import verify_queue, verify_queue_folder
from mox.smtp.address import parse_address
from mox.store.content import Spool
from mox.store.engine.base import Family
from mox.store.errors import DataDamaged, DataLocked, DataUnreadable


def no_jitter() -> float:
    return 1.0


def scheduler(database: Database, carrier: Carrier, returns: Mailbox | None = None) -> Scheduler:
    return Scheduler(database, carrier, returns or Mailbox(), "mail.example.org", jitter=no_jitter)


async def run_once(made: Scheduler) -> int | None:
    """One round, with the outcomes of what it began."""
    next_ms = await made.step()
    await made.idle()
    return next_ms


async def content_of(database: Database, number: int) -> bytes:
    entry = await database.get(number)
    return await database.contents.read(entry.content, 0, entry.size)


async def test_a_message_is_kept_once_for_all_recipients(database: Database) -> None:
    entries = await add(database, submission("a@x.example", "b@x.example", "c@y.example"))
    assert [entry.recipient_localpart for entry in entries] == ["a", "b", "c"]
    assert {entry.base_id for entry in entries} == {entries[0].id}
    assert len({entry.content for entry in entries}) == 1
    for entry in entries:
        assert await database.get(entry.id) == entry
        assert await content_of(database, entry.id) == CONTENT
    assert database.counters.queued == 3
    assert await verify_queue(database) == []


async def test_one_recipient_has_no_others(database: Database) -> None:
    [entry] = await add(database, submission())
    assert entry.base_id == 0
    assert entry.next_ms == entry.queued_ms == database.clock.now_ms()


async def test_different_senders_do_not_go_together(database: Database) -> None:
    recipients = tuple(
        NewRecipient(
            address=parse_address(f"{name}@x.example"),
            sender=parse_address(f"me+{name}@example.org"),
            from_id=name,
        )
        for name in ("one", "two")
    )
    entries = await add(database, submission(recipients=recipients))
    assert [entry.base_id for entry in entries] == [0, 0]
    assert [str(entry.sender) for entry in entries] == [
        "me+one@example.org",
        "me+two@example.org",
    ]
    assert await database.find_from_id("two") == entries[1]
    assert await database.find_from_id("three") is None


async def test_a_unique_id_is_unique(database: Database) -> None:
    def with_id(from_id: str) -> NewRecipient:
        return NewRecipient(address=parse_address("a@x.example"), from_id=from_id)

    await add(database, submission(recipients=(with_id("one"),)))
    for recipients in ((with_id("one"),), (with_id("two"), with_id("two"))):
        with pytest.raises(FromIdTaken):
            await add(database, submission(recipients=recipients))
    # Of two at once one wins, whatever the disk does.
    results = await asyncio.gather(
        *(add(database, submission(recipients=(with_id("three"),))) for _ in range(2)),
        return_exceptions=True,
    )
    assert sorted(isinstance(result, FromIdTaken) for result in results) == [False, True]
    assert database.counters.queued == 2
    await run_once(scheduler(database, Carrier()))
    # Also while it is remembered that it was.
    with pytest.raises(FromIdTaken):
        await add(database, submission(recipients=(with_id("one"),)))
    found = await database.find_from_id("one")
    assert isinstance(found, Retired)
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_large_contents_are_files_of_their_own(database: Database, tmp_path: Path) -> None:
    data = b"x" * 998 + b"\r\n"
    spool = Spool(tmp_path, in_memory=0)
    for _ in range(2000):
        spool.write(data)
    [entry] = await add(database, submission(content=spool.finish(), ret="FULL"))
    assert entry.size == 2_000_000
    assert not list(tmp_path.glob("spool-*"))
    carrier = Carrier()
    await run_once(scheduler(database, carrier))
    assert carrier.contents == [data * 2000]
    await database.contents.idle()
    with pytest.raises(DataDamaged):
        await database.contents.read(entry.content, 0, 10)
    assert not [path for path in (tmp_path / "queue" / "large").glob("**/*") if path.is_file()]


async def test_a_refused_submission_leaves_nothing(database: Database, tmp_path: Path) -> None:
    spool = Spool(tmp_path, in_memory=0)
    spool.write(CONTENT)
    twice = NewRecipient(address=parse_address("a@x.example"), from_id="one")
    with pytest.raises(FromIdTaken):
        await add(database, submission(recipients=(twice, twice), content=spool.finish()))
    with pytest.raises(ValueError, match="without recipients"):
        await add(database, submission(recipients=()))
    assert not list(tmp_path.glob("spool-*"))
    assert database.counters.queued == 0
    assert await verify_queue(database) == []


@pytest.mark.rfc("4865 §2")
async def test_a_message_for_later_waits(database: Database, clock: FrozenClock) -> None:
    later = clock.now_ms() + 3_600_000
    await add(database, submission(release_ms=later, future_release="for;3600"))
    carrier = Carrier()
    made = scheduler(database, carrier)
    assert await run_once(made) == later
    assert carrier.seen == []
    clock.advance(3600)
    await run_once(made)
    assert len(carrier.seen) == 1


async def test_it_is_there_after_a_restart(tmp_path: Path, clock: FrozenClock) -> None:
    first = open_queue(tmp_path / "queue", clock=clock, keep=keep)
    entries = await add(first, submission("a@x.example", "b@y.example"))
    rule, _ = await add_rule(first, account="other")
    with pytest.raises(DataLocked):
        open_queue(tmp_path / "queue")
    await first.close()
    again = open_queue(tmp_path / "queue", clock=clock, keep=keep)
    assert [await again.get(entry.id) for entry in entries] == entries
    assert again.rules == [rule]
    assert again.counters == first.counters
    carrier = Carrier()
    await run_once(scheduler(again, carrier))
    assert carrier.contents == [CONTENT, CONTENT]
    # Nothing was given out twice.
    [new] = await add(again, submission())
    assert new.id > rule.id
    await again.close()
    assert verify_queue_folder(tmp_path / "queue") == []


async def test_another_format_is_refused(tmp_path: Path) -> None:
    made = open_queue(tmp_path / "queue")
    edit = made.edit()
    edit.batch.put(Family.META, keys.FORMAT, b"99")
    await made.commit(edit)
    await made.close()
    with pytest.raises(DataUnreadable, match="format 99"):
        open_queue(tmp_path / "queue")


async def test_filters_are_all_to_be_met(database: Database, clock: FrozenClock) -> None:
    await add(database, submission("a@x.example", "b@y.example"))
    clock.advance(100)
    await add(database, submission("a@x.example", account="other", transport="relay"))
    await hold(database, Filter(recipient="b@y"), on=True)

    async def found(wanted: Filter) -> list[str]:
        result = await page(database, wanted, sort=Sort.QUEUED, limit=10)
        return [f"{entry.account}:{entry.recipient}" for entry in result.entries]

    everything = ["me:a@x.example", "me:b@y.example", "other:a@x.example"]
    assert await found(EVERY) == everything
    assert await found(Filter(account="me")) == everything[:2]
    assert await found(Filter(recipient="@X.example")) == [everything[0], everything[2]]
    assert await found(Filter(sender="me@", recipient="b@")) == [everything[1]]
    assert await found(Filter(sender="nobody", recipient="b@")) == []
    assert await found(Filter(hold=True)) == [everything[1]]
    assert await found(Filter(hold=False)) == [everything[0], everything[2]]
    assert await found(Filter(transport="relay")) == [everything[2]]
    assert await found(Filter(transport="")) == everything[:2]
    assert await found(Filter(queued=Span(after_ms=clock.now_ms() - 1))) == [everything[2]]
    assert await found(Filter(queued=Span(before_ms=clock.now_ms()))) == everything[:2]
    ids = [entry.id for entry in (await page(database, EVERY, sort=Sort.QUEUED, limit=9)).entries]
    assert await found(Filter(ids=(ids[2], ids[0], 999))) == [everything[0], everything[2]]


@pytest.mark.parametrize("sort", [Sort.NEXT_ATTEMPT, Sort.QUEUED])
@pytest.mark.parametrize("ascending", [True, False])
async def test_pages_show_each_entry_once(
    database: Database, clock: FrozenClock, sort: Sort, ascending: bool
) -> None:
    for n in range(7):
        await add(database, submission(f"a{n}@x.example", f"b{n}@x.example"))
        if n % 3 == 0:
            clock.advance(10)
    await schedule(database, Filter(recipient="a"), 5000, from_now=False)
    shown = []
    cursor = None
    while True:
        found = await page(database, EVERY, sort=sort, ascending=ascending, cursor=cursor, limit=3)
        assert len(found.entries) <= 3
        shown += found.entries
        cursor = found.cursor
        if cursor is None:
            break

    def key(entry: object) -> object:
        assert hasattr(entry, "id")
        assert hasattr(entry, "next_ms")
        return (entry.next_ms, entry.id) if sort is Sort.NEXT_ATTEMPT else entry.id

    assert len({entry.id for entry in shown}) == len(shown) == 14
    assert shown == sorted(shown, key=key, reverse=not ascending)  # type: ignore[arg-type]


async def test_hold_and_release(database: Database) -> None:
    entries = await add(database, submission("a@x.example", "b@x.example"))
    carrier = Carrier()
    made = scheduler(database, carrier)
    assert await hold(database, EVERY, on=True) == 2
    assert database.counters.held == 2
    assert await run_once(made) is None
    assert await hold(database, Filter(ids=(entries[1].id,)), on=False) == 1
    await run_once(made)
    assert [entry.recipient_localpart for group in carrier.seen for entry in group] == ["b"]
    assert database.counters.held == 1
    assert await verify_queue(database) == []


async def test_schedule_transport_and_tls(database: Database, clock: FrozenClock) -> None:
    [entry] = await add(database, submission())
    now = clock.now_ms()
    assert await schedule(database, EVERY, 60_000, from_now=False) == 1
    assert (await database.get(entry.id)).next_ms == now + 60_000
    assert await run_once(scheduler(database, Carrier())) == now + 60_000
    await schedule(database, EVERY, 3_600_000, from_now=True)
    assert (await database.get(entry.id)).next_ms == now + 3_600_000
    # The past is as good as now; attempts stay as they are.
    await schedule(database, EVERY, -86_400_000, from_now=False)
    assert await kick(database, EVERY) == 1
    assert (await database.get(entry.id)).next_ms == now
    await set_transport(database, EVERY, "relay")
    for value in (True, False, None):
        await set_require_tls(database, EVERY, value)
        assert (await database.get(entry.id)).require_tls is value
    found = await database.get(entry.id)
    assert (found.transport, found.attempts) == ("relay", 0)
    assert await verify_queue(database) == []


async def test_the_first_so_many_are_changed(database: Database) -> None:
    await add(database, submission(*(f"u{n}@x.example" for n in range(5))))
    assert await hold(database, EVERY, on=True, limit=2) == 2
    found = await page(database, Filter(hold=True), sort=Sort.QUEUED, limit=9)
    assert [entry.recipient_localpart for entry in found.entries] == ["u0", "u1"]


async def test_drop_tells_nobody(database: Database) -> None:
    [entry] = await add(database, submission())
    returns = Mailbox()
    made = scheduler(database, Carrier(), returns)
    assert await drop(database, EVERY) == 1
    with pytest.raises(EntryMissing):
        await database.get(entry.id)
    await made.notices.step()
    assert returns.got == []
    found, _ = await events(database, limit=10)
    assert [event.happened for _, event in found] == [Happened.CANCELED]
    assert (await retired(database, entry.id)).success is False
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_fail_tells_the_sender(database: Database) -> None:
    await add(database, submission("a@x.example", "b@x.example"))
    returns = Mailbox()
    made = scheduler(database, Carrier(), returns)
    assert await fail(database, EVERY) == 2
    await made.notices.step()
    # One notification for both.
    [(notice, message)] = returns.got
    assert notice.kind is NoticeKind.FAILED
    assert b"canceled by the administrator" in message
    assert message.count(b"Final-Recipient: ") == 2
    found, _ = await events(database, limit=10)
    assert [event.happened for _, event in found] == [Happened.FAILED] * 2
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_hold_rules_need_all_fields(database: Database) -> None:
    await add(database, submission("a@x.example", "a@y.example"))
    rule, met = await add_rule(database, account="me", recipient_domain="x.example")
    assert met == 1
    await add(database, submission("b@x.example", "b@y.example"))
    await add(database, submission("c@x.example", account="other"))
    found = await page(database, Filter(hold=True), sort=Sort.QUEUED, limit=9)
    assert [str(entry.recipient) for entry in found.entries] == ["a@x.example", "b@x.example"]
    await remove_rule(database, rule.id)
    with pytest.raises(RuleMissing):
        await remove_rule(database, rule.id)
    [entry] = await add(database, submission("d@x.example"))
    assert not entry.hold
    # What is held stays so.
    assert database.counters.held == 2
    assert await verify_queue(database) == []


async def test_a_rule_without_fields_holds_everything(database: Database) -> None:
    await add(database, submission("a@x.example"))
    _, met = await add_rule(database)
    assert met == 1
    [entry] = await add(database, submission("b@y.example"))
    assert entry.hold
    carrier = Carrier()
    assert await run_once(scheduler(database, carrier)) is None
    assert carrier.seen == []


async def test_suppression_lists_are_of_accounts(database: Database) -> None:
    address = parse_address("A.b+shop@x.example")
    await suppress(database, "me", address, "asked for")
    with pytest.raises(Suppressed):
        await suppress(database, "me", parse_address("ab-x@x.example"), "again")
    assert await find(database, "me", parse_address("AB@x.example")) is not None
    assert await find(database, "other", address) is None
    await suppress(database, "other", address, "too")
    found = await suppressions(database, "me", limit=10)
    assert [one.original_address for one in found.suppressions] == ["A.b+shop@x.example"]
    first = await suppressions(database, limit=1)
    assert first.cursor is not None
    second = await suppressions(database, cursor=first.cursor, limit=1)
    assert [one.account for one in (*first.suppressions, *second.suppressions)] == ["me", "other"]
    await release(database, "me", address)
    with pytest.raises(NotSuppressed):
        await release(database, "me", address)
    await forget_account(database, "other")
    assert (await suppressions(database, limit=10)).suppressions == []


async def test_nothing_is_sent_to_a_suppressed_address(database: Database) -> None:
    await suppress(database, "me", parse_address("ab@x.example"), "asked for")
    await add(database, submission("a.b+x@x.example", "c@x.example"))
    await add(database, submission("ab@x.example", account="other"))
    carrier, returns = Carrier(), Mailbox()
    made = scheduler(database, carrier, returns)
    await run_once(made)
    sent = [str(entry.recipient) for group in carrier.seen for entry in group]
    assert sorted(sent) == ["ab@x.example", "c@x.example"]
    await made.notices.step()
    [(notice, message)] = returns.got
    assert b"suppression list" in message
    assert notice.recipients[0].attempt.code == 0
    found, _ = await events(database, limit=10)
    assert Happened.SUPPRESSED in {event.happened for _, event in found}
    assert await verify_queue(database) == []


async def test_the_third_failure_suppresses_and_550_at_once(
    database: Database, clock: FrozenClock
) -> None:
    def with_554(entry: object) -> object:
        outcome = refused(entry)  # type: ignore[arg-type]
        return msgspec.structs.replace(outcome, code=554, enhanced="5.6.0")

    async def send(carrier: Carrier, to: str, account: str = "me") -> None:
        await add(database, submission(to, account=account))
        clock.advance(1)
        await run_once(scheduler(database, carrier))

    address = parse_address("a@x.example")
    soft = Carrier(answer=with_554)  # type: ignore[arg-type]
    for _ in range(2):
        await send(soft, "a@x.example")
        assert await find(database, "me", address) is None
        # Those of another account do not count.
        assert await find(database, "other", address) is None
    await send(soft, "a@x.example", account="other")
    assert await find(database, "other", address) is None
    await send(soft, "a@x.example")
    found = await find(database, "me", address)
    assert found is not None
    assert not found.manual
    assert "554 5.6.0" in found.reason
    await send(Carrier(answer=refused), "b@x.example")
    assert await find(database, "me", parse_address("b@x.example")) is not None
    listed, _ = await events(database, limit=20)
    assert [event.suppressing for _, event in listed].count(True) == 2


async def test_a_success_between_ends_the_row_of_failures(
    database: Database, clock: FrozenClock
) -> None:
    def with_554(entry: object) -> object:
        return msgspec.structs.replace(refused(entry), code=554, enhanced="")  # type: ignore[arg-type]

    bad, good = Carrier(answer=with_554), Carrier()  # type: ignore[arg-type]
    for carrier in (bad, good, bad, bad):
        await add(database, submission("a@x.example"))
        clock.advance(1)
        await run_once(scheduler(database, carrier))
        assert await find(database, "me", parse_address("a@x.example")) is None


async def test_retired_entries_are_listed_and_forgotten(
    database: Database, clock: FrozenClock
) -> None:
    entries = await add(database, submission("a@x.example", "b@y.example"))
    clock.advance(5)
    made = scheduler(database, Carrier())
    await run_once(made)
    [failed] = await add(database, submission("c@x.example"))
    clock.advance(5)
    await run_once(scheduler(database, Carrier(answer=refused)))
    found = await retired_page(database, EVERY, limit=10)
    assert [one.entry.id for one in found.retired] == [*(e.id for e in entries), failed.id]
    assert [one.success for one in found.retired] == [True, True, False]
    assert found.retired[0].keep_until_ms == clock.now_ms() - 5000 + KEEP_MS
    only = await retired_page(database, Filter(success=False), sort=Sort.QUEUED, limit=10)
    assert [one.entry.id for one in only.retired] == [failed.id]
    first = await retired_page(database, EVERY, ascending=False, limit=1)
    assert [one.entry.id for one in first.retired] == [failed.id]
    assert first.cursor is not None
    attempts = await database.attempts_of(failed.id)
    assert [attempt.code for attempt in attempts] == [550]
    await made.notices.step()
    clock.advance(KEEP_MS // 1000 - 5)
    assert await forget_retired(database) == 2
    clock.advance(5)
    assert await forget_retired(database) == 1
    assert (await retired_page(database, EVERY, limit=10)).retired == []
    assert await database.attempts_of(failed.id) == []
    await scheduler(database, Carrier()).notices.step()
    await database.contents.idle()
    assert await verify_queue(database) == []


async def test_nothing_is_remembered_where_nothing_is_to_be(
    tmp_path: Path, clock: FrozenClock
) -> None:
    database = open_queue(tmp_path / "queue", clock=clock, keep=lambda account: 0)
    recipient = NewRecipient(address=parse_address("a@x.example"), from_id="one")
    for _ in range(4):
        # The unique id is free again as well.
        await add(database, submission(recipients=(recipient,)))
        await run_once(scheduler(database, Carrier()))
    assert (await retired_page(database, EVERY, limit=10)).retired == []
    await database.contents.idle()
    assert await verify_queue(database) == []
    await database.close()


async def test_events_are_forgotten_in_time(database: Database, clock: FrozenClock) -> None:
    await add(database, submission())
    await run_once(scheduler(database, Carrier(answer=delayed)))
    clock.advance(2 * 86_400)
    await add(database, submission("b@y.example"))
    await run_once(scheduler(database, Carrier()))
    found, last = await events(database, limit=1)
    assert [event.happened for _, event in found] == [Happened.DELAYED]
    more, _ = await events(database, after=last, limit=10)
    assert {event.happened for _, event in more} == {Happened.DELIVERED}
    clock.advance(1.5 * 86_400)
    await forget_events(database)
    left, _ = await events(database, limit=10)
    assert {event.happened for _, event in left} == {Happened.DELIVERED}
    clock.advance(30 * 86_400)
    await forget_events(database)
    assert await events(database, limit=10) == ([], 0)


@pytest.mark.parametrize(
    ("kind", "more"), [({"is_dmarc_report": True}, 1), ({"is_tls_report": True}, 0), ({}, 0)]
)
async def test_dmarc_reports_that_are_given_up_are_counted(
    database: Database, kind: dict[str, bool], more: int
) -> None:
    def failures() -> float:
        return metrics.REGISTRY.get_sample_value("mox_queue_dmarcreport_failure_total") or 0.0

    before = failures()
    await add(database, submission(**kind))
    await run_once(scheduler(database, Carrier(delayed)))
    assert failures() == before
    await kick(database, EVERY)
    await run_once(scheduler(database, Carrier(refused)))
    assert failures() == before + more


async def test_an_outcome_counts_once(database: Database) -> None:
    [entry] = await add(database, submission())
    carrier = Carrier()
    await run_once(scheduler(database, carrier))
    again = Carried(outcomes=(refused(entry),))
    assert await settle(database, again, Schedule()) == set()
    found, _ = await events(database, limit=10)
    assert [event.happened for _, event in found] == [Happened.DELIVERED]


async def test_a_damaged_entry_is_out_of_the_way(database: Database) -> None:
    first, second = await add(database, submission("a@x.example", "b@x.example"))
    edit = database.edit()
    edit.batch.put(Family.ROW, keys.number(first.id), b"\x01nonsense")
    await database.commit(edit)
    carrier = Carrier()
    made = scheduler(database, carrier)
    await run_once(made)
    assert [entry.id for group in carrier.seen for entry in group] == [second.id]
    await run_once(made)
    assert len(carrier.seen) == 1
    problems = [problem.text for problem in await verify_queue(database)]
    assert any("queue Entry" in text for text in problems)


async def test_verify_sees_damage(database: Database) -> None:
    first, second = await add(database, submission("a@x.example", "b@x.example"))

    async def found(change: object) -> str:
        edit = database.edit()
        assert callable(change)
        change(edit.batch)
        await database.commit(edit)
        return " | ".join(problem.text for problem in await verify_queue(database))

    row = keys.time_order(first.next_ms, first.id)
    assert "a row is missing" in await found(lambda batch: batch.delete(Family.IDX, row))
    await found(lambda batch: batch.put(Family.IDX, row, b""))
    lane = keys.lane(first)
    text = await found(lambda batch: batch.delete(Family.KV, keys.lane_hint(lane)))
    assert "nobody would look at it" in text
    hint = keys.encode_hint(first.next_ms, first.next_ms)
    assert await found(lambda batch: batch.put(Family.KV, keys.lane_hint(lane), hint)) == ""
    reference = keys.reference(first.content, keys.BY_ENTRY, second.id)
    assert "no reference" in await found(lambda batch: batch.delete(Family.IDX, reference))
    await found(lambda batch: batch.put(Family.IDX, reference, b""))
    extra = keys.reference(first.content, keys.BY_ENTRY, 99)
    assert "does not need it" in await found(lambda batch: batch.put(Family.IDX, extra, b""))
    await found(lambda batch: batch.delete(Family.IDX, extra))
    gone = keys.number(second.id)
    text = await found(lambda batch: batch.delete(Family.ROW, gone))
    assert "2 messages counted, 1 there" in text
