"""The retry schedule: pure, then with a frozen clock through the whole of it."""

from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.queueing import CONTENT, Carrier, Mailbox, delayed, keep, submission

from mox.base.clock import FrozenClock
from mox.message.date import format_date
from mox.message.dsn import Action, parse
from mox.queue.adding import add
from mox.queue.carry import Carried, Delivery
from mox.queue.changing import hold
from mox.queue.database import Database, memory_queue
from mox.queue.entry import Happened, NoticeKind
from mox.queue.filter import EVERY
from mox.queue.keeping import events, retired
from mox.queue.schedule import Schedule, random_jitter
from mox.queue.scheduler import Scheduler
from mox.queue.verify import verify_queue
from mox.smtp.address import NULL_PATH

MINUTE = 60.0
HOUR = 3600.0

# spec/smtp-client-queue.md sections 2 and 0: the eight attempts, then every 12 hours until 4 days.
TABLE = [
    0,
    7.5 * MINUTE,
    22.5 * MINUTE,
    52.5 * MINUTE,
    1 * HOUR + 52.5 * MINUTE,
    3 * HOUR + 52.5 * MINUTE,
    7 * HOUR + 52.5 * MINUTE,
    15 * HOUR + 52.5 * MINUTE,
    *(n * HOUR + 52.5 * MINUTE for n in (27, 39, 51, 63, 75, 87)),
    96 * HOUR,
]


def times(schedule: Schedule, max_attempts: int = 0) -> list[float]:
    """Seconds after the first attempt, when all fail at once."""
    found, now = [0.0], 0
    while True:
        after = schedule.next_ms(len(found), 0, now, max_attempts)
        if after is None:
            return found
        found.append(after / 1000)
        now = after


@pytest.mark.rfc("5321 §4.5.4.1")
def test_the_table() -> None:
    assert times(Schedule()) == TABLE


def test_reports_have_five_attempts() -> None:
    assert times(Schedule(), 5) == TABLE[:5]


def test_more_attempts_than_the_table() -> None:
    assert len(times(Schedule(), 40)) == 40


def test_the_time_to_give_up_is_kept() -> None:
    short = Schedule(give_up_s=HOUR)
    # The last attempt is at the end of the hour, not after it.
    assert times(short) == [*TABLE[:4], HOUR]
    # One right after another would say nothing new.
    assert times(Schedule(give_up_s=23 * MINUTE)) == TABLE[:3]
    assert times(Schedule(after_s=(), every_s=600, give_up_s=1800)) == [0, 600, 1200, 1800]


@given(st.integers(1, 20), st.integers(0, 400_000_000))
def test_the_last_attempt_is_foretold(attempts: int, now_ms: int) -> None:
    schedule = Schedule()
    after = schedule.next_ms(attempts, 0, now_ms)
    if after is None:
        return
    last = schedule.last_ms(attempts, 0, after)
    while after is not None:
        now_ms, attempts = after, attempts + 1
        after = schedule.next_ms(attempts, 0, now_ms)
    assert last == now_ms


def test_jitter_is_small() -> None:
    found = {random_jitter() for _ in range(500)}
    assert all(445 / 450 <= factor <= 454 / 450 for factor in found)
    assert len(found) == 10


class Run:
    """A queue whose carrier writes down when it is asked."""

    def __init__(self, database: Database, clock: FrozenClock) -> None:
        self.database = database
        self.clock = clock
        self.start_ms = clock.now_ms()
        self.carrier = Carrier(answer=delayed)
        self.returns = Mailbox()
        self.scheduler = Scheduler(
            database, self.carrier, self.returns, "mail.example.org", jitter=lambda: 1.0
        )

    async def until_done(self) -> list[float]:
        """Let time pass from attempt to attempt; when they were, in seconds."""
        found: list[float] = []
        while self.database.counters.queued:
            before = len(self.carrier.seen)
            next_ms = await self.scheduler.step()
            await self.scheduler.idle()
            await self.scheduler.notices.step()
            if len(self.carrier.seen) > before:
                found.append((self.clock.now_ms() - self.start_ms) / 1000)
                continue
            assert next_ms is not None
            assert next_ms > self.clock.now_ms()
            self.clock.advance((next_ms - self.clock.now_ms()) / 1000)
        return found


@pytest.fixture
async def run(database: Database, clock: FrozenClock) -> Run:
    return Run(database, clock)


def status_of(message: bytes) -> Message:
    read = message_from_bytes(message, policy=policy.default)
    assert isinstance(read, EmailMessage)
    groups = list(read.iter_parts())[1].get_payload()
    assert isinstance(groups, list)
    assert isinstance(groups[1], Message)
    return groups[1]


async def test_the_whole_schedule_with_its_notifications(run: Run) -> None:
    [entry] = await add(run.database, submission(envelope_id="QQ+2B1"))
    assert await run.until_done() == TABLE
    (late, late_message), (failed, failed_message) = run.returns.got
    assert late.kind is NoticeKind.DELAYED
    # After the fifth attempt, once.
    assert (late.created_ms - run.start_ms) / 1000 == TABLE[4]
    assert failed.kind is NoticeKind.FAILED
    assert (failed.created_ms - run.start_ms) / 1000 == TABLE[-1]
    status = status_of(late_message)
    assert status["action"] == "delayed"
    assert status["status"] == "4.2.0 (RCPT TO: try again later)"
    # The real end, and the real next attempt.
    until = format_date(run.start_ms + 96 * 3_600_000)
    assert status["will-retry-until"] == until
    text = parse(late_message).text
    assert f"Last one to come: {until}" in text
    assert f"Next attempt: {format_date(run.start_ms + round(TABLE[5] * 1000))}" in text
    report = parse(failed_message).report
    assert report.envelope_id == "QQ+1"
    [recipient] = report.recipients
    assert recipient.action is Action.FAILED
    assert recipient.status == "4.2.0"
    assert recipient.diagnostic == ("450 4.2.0 try again later",)
    assert recipient.will_retry_until_ms is None
    assert report.arrival_ms == run.start_ms // 1000 * 1000
    for message in (late_message, failed_message):
        assert message.startswith(b"Return-Path: <>\r\nDelivered-To: me@example.org\r\n")
        assert parse(message).original_header == CONTENT[: CONTENT.index(b"\r\n\r\n") + 4]
        assert b"References: <1@example.org>\r\n" in message
    attempts = await run.database.attempts_of(entry.id)
    assert [attempt.number for attempt in attempts] == list(range(1, 16))
    assert [(a.start_ms - run.start_ms) / 1000 for a in attempts] == TABLE
    assert attempts[-1].next_step == "given up"
    assert (await retired(run.database, entry.id)).success is False
    happened, _ = await events(run.database, limit=100)
    assert [event.happened for _, event in happened] == [Happened.DELAYED] * 14 + [Happened.FAILED]
    await run.database.contents.idle()
    assert await verify_queue(run.database) == []


async def test_a_report_has_five_attempts_and_no_notice_of_delay(run: Run) -> None:
    await add(run.database, submission(is_tls_report=True, max_attempts=5))
    assert await run.until_done() == TABLE[:5]
    assert [notice.kind for notice, _ in run.returns.got] == [NoticeKind.FAILED]


@pytest.mark.rfc("3461 §5.2.5")
@pytest.mark.parametrize(
    ("notify", "kinds"),
    [
        ("", [NoticeKind.DELAYED, NoticeKind.FAILED]),
        ("NEVER", []),
        ("FAILURE", [NoticeKind.FAILED]),
        ("DELAY", [NoticeKind.DELAYED]),
        ("SUCCESS", []),
        ("SUCCESS,FAILURE,DELAY", [NoticeKind.DELAYED, NoticeKind.FAILED]),
    ],
)
async def test_notify_is_honoured(clock: FrozenClock, notify: str, kinds: list[str]) -> None:
    run = Run(memory_queue(Path("/nonexistent"), clock=clock, keep=keep), clock)
    asked = submission()
    [recipient] = asked.recipients
    recipient = msgspec.structs.replace(recipient, notify=notify)
    await add(run.database, msgspec.structs.replace(asked, recipients=(recipient,)))
    await run.until_done()
    assert [notice.kind for notice, _ in run.returns.got] == kinds
    await run.database.close()


async def test_a_notification_that_fails_is_told_once(run: Run) -> None:
    """Of a null sender: the account hears that it failed, never that it is late."""
    await add(run.database, submission(sender=NULL_PATH))
    await run.until_done()
    [(notice, message)] = run.returns.got
    assert notice.kind is NoticeKind.FAILED
    assert b"To: <postmaster@mail.example.org>\r\n" in message


async def test_a_held_message_keeps_its_days(run: Run) -> None:
    """The time to give up counts from the first attempt."""
    await add(run.database, submission(hold=True))
    run.clock.advance(10 * 86_400)
    await hold(run.database, EVERY, on=False)
    found = await run.until_done()
    assert [each - 10 * 86_400 for each in found] == TABLE


class Slow(Carrier):
    """Takes a minute."""

    clock: FrozenClock

    async def carry(self, delivery: Delivery) -> Carried:
        self.clock.advance(60)
        return await super().carry(delivery)


async def test_the_pauses_are_those_of_begins(database: Database, clock: FrozenClock) -> None:
    """How long an attempt takes does not matter, unless it is longer than the pause."""
    start_ms = clock.now_ms()
    await add(database, submission())
    carrier = Slow(answer=delayed)
    carrier.clock = clock
    made = Scheduler(database, carrier, Mailbox(), "mail.example.org", jitter=lambda: 1.0)
    await made.step()
    await made.idle()
    assert await made.step() == start_ms + round(TABLE[1] * 1000)
