"""The queue against a plain model: what is there, what is tried when, who is told, also after reopening."""

import asyncio
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.queueing import (
    CONTENT,
    KEEP_MS,
    LARGE,
    Carrier,
    Mailbox,
    delayed,
    delivered,
    keep,
    refused,
    stored_contents,
)

from mox.base.clock import FrozenClock
from mox.queue import changing, keeping, suppressing, taking
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.carry import Carried, Delivery, Outcome, Result
from mox.queue.database import Database, memory_queue, open_queue
from mox.queue.entry import Entry, NoticeKind
from mox.queue.errors import FromIdTaken, NotSuppressed, Suppressed
from mox.queue.filter import EVERY, Filter, Sort
from mox.queue.listing import page, retired_page
from mox.queue.schedule import Schedule
from mox.queue.scheduler import Scheduler, Shares
from mox.queue.suppress import base_address, suppresses
from mox.queue.verify import verify_queue, verify_queue_folder
from mox.smtp.address import NULL_PATH, parse_address

MANY = Shares(total=10_000, fresh=10_000, retry=10_000)
SCHEDULE = Schedule(after_s=(60, 120, 240), every_s=600, give_up_s=1800, delayed_after=2)
ACCOUNTS = ("me", "other")
DOMAINS = ("x.example", "y.example", "z.example")
LOCALS = ("a", "b.c", "b.c+d")


@dataclass
class Waiting:
    """An entry as it ought to be."""

    id: int
    account: str
    to: str
    base: int
    null_sender: bool
    next_ms: int
    attempts: int = 0
    first_ms: int = 0
    hold: bool = False
    transport: str = ""
    require_tls: bool | None = None
    from_id: str = ""
    notify: str = ""
    report: bool = False
    max_attempts: int = 0

    def seen(self) -> tuple[object, ...]:
        return (
            self.id,
            self.account,
            self.to,
            self.base,
            self.next_ms,
            self.attempts,
            self.first_ms,
            self.hold,
            self.transport,
            self.require_tls,
        )


def seen(entry: Entry) -> tuple[object, ...]:
    return (
        entry.id,
        entry.account,
        str(entry.recipient),
        entry.base_id,
        entry.next_ms,
        entry.attempts,
        entry.first_ms,
        entry.hold,
        entry.transport,
        entry.require_tls,
    )


@dataclass
class Model:
    """What ought to be."""

    waiting: dict[int, Waiting] = field(default_factory=dict)
    done: list[tuple[int, bool, int, str, str, str]] = field(default_factory=list)
    suppressed: set[tuple[str, str]] = field(default_factory=set)
    rules: list[tuple[str, str]] = field(default_factory=list)  # account, recipient domain
    happened: list[tuple[str, int]] = field(default_factory=list)
    told: list[tuple[str, int]] = field(default_factory=list)  # kind, entry


class Scripted(Carrier):
    """Gives the outcomes it is told to, by entry; each attempt is written down."""

    def __init__(self) -> None:
        super().__init__()
        self.kinds = random.Random(0)
        self.outcomes: dict[int, Outcome] = {}
        self.in_parts = False
        self.alone: set[int] = set()  # no other entry of this round has its address

    def choose(self, entry: Entry) -> Outcome:
        kind = self.kinds.randrange(5)
        if kind == 4 and entry.id in self.alone:
            # Counts failures: beside others of its address it would depend on who is first.
            outcome = Outcome(
                entry_id=entry.id, result=Result.PERMANENT, code=554, enhanced="5.6.0", error="no"
            )
        else:
            outcome = (delivered, delayed, delayed, refused)[kind % 4](entry)
        self.outcomes[entry.id] = outcome
        return outcome

    async def carry(self, delivery: Delivery) -> Carried:
        self.seen.append(delivery.entries)
        whole = b"".join([piece async for piece in delivery.content.pieces()])
        assert whole == (LARGE if delivery.entries[0].is_dmarc_report else CONTENT)
        outcomes = [self.choose(entry) for entry in delivery.entries]
        if self.in_parts:
            await delivery.settle(Carried(outcomes=tuple(outcomes[:1])))
            outcomes = outcomes[1:]
        return Carried(outcomes=tuple(outcomes))


class Play:
    """A queue and its model, step by step."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.clock = FrozenClock()
        self.model = Model()
        self.carrier = Scripted()
        self.returns = Mailbox()
        self.database: Database
        self.scheduler: Scheduler

    def open(self) -> None:
        if self.folder is not None:
            self.database = open_queue(self.folder, clock=self.clock, keep=keep)
        elif not hasattr(self, "database"):
            self.database = memory_queue(Path("/nonexistent"), clock=self.clock, keep=keep)
        else:
            old = self.database
            self.database = Database(
                old.engine, old.blobs, Path("/nonexistent"), clock=self.clock, keep=keep
            )
        self.scheduler = Scheduler(
            self.database,
            self.carrier,
            self.returns,
            "mail.example.org",
            schedule=SCHEDULE,
            jitter=lambda: 1.0,
            shares=MANY,
        )

    async def play(self, steps: list[tuple[str, dict[str, Any]]]) -> None:
        self.open()
        for name, arguments in steps:
            self.clock.advance(0.001)
            await getattr(self, name)(**arguments)
        await self.check()
        await self.reopen()
        await self.check()
        await self.database.close()
        if self.folder is not None:
            assert verify_queue_folder(self.folder) == []

    # ------------------------------------------------------------ steps

    async def add(
        self,
        account: int,
        recipients: list[tuple[int, int]],
        from_id: int,
        delay: int,
        notify: str,
        kind: int,
    ) -> None:
        null, report = kind == 1, kind == 2
        taken = {each.from_id for each in self.model.waiting.values()} | {
            each[5] for each in self.model.done
        }
        identity = f"id{from_id}" if from_id else ""
        new = tuple(
            NewRecipient(
                address=parse_address(f"{LOCALS[local]}@{DOMAINS[domain]}"),
                notify=notify,
                from_id=identity if place == 0 else "",
            )
            for place, (local, domain) in enumerate(recipients)
        )
        now = self.clock.now_ms()
        submission = Submission(
            account=ACCOUNTS[account],
            sender=NULL_PATH if null else parse_address("me@example.org"),
            recipients=new,
            content=LARGE if report else CONTENT,
            release_ms=now + delay if delay else 0,
            is_dmarc_report=report,
            max_attempts=2 if report else 0,
        )
        if identity and identity in taken:
            with pytest.raises(FromIdTaken):
                await add(self.database, submission)
            return
        entries = await add(self.database, submission)
        base = entries[0].id if len(entries) > 1 else 0
        for entry, recipient in zip(entries, new, strict=True):
            held = any(
                rule_account in ("", ACCOUNTS[account]) and domain in ("", recipient.address.domain)
                for rule_account, domain in self.model.rules
            )
            self.model.waiting[entry.id] = Waiting(
                id=entry.id,
                account=ACCOUNTS[account],
                to=str(recipient.address),
                base=base,
                null_sender=null,
                next_ms=now + delay,
                hold=held,
                from_id=recipient.from_id,
                notify=notify,
                report=report,
                max_attempts=2 if report else 0,
            )

    async def deliver(self, seed: int, in_parts: bool) -> None:
        """Everything that is due is tried once; what is left is not due or held."""
        self.carrier.kinds = random.Random(seed)
        self.carrier.in_parts = in_parts
        self.carrier.seen.clear()
        self.carrier.outcomes.clear()
        now = self.clock.now_ms()
        due = {
            each.id for each in self.model.waiting.values() if not each.hold and each.next_ms <= now
        }
        keys = Counter(self.key(self.model.waiting[number]) for number in due)
        self.carrier.alone = {
            number for number in due if keys[self.key(self.model.waiting[number])] == 1
        }
        refused_before = {
            number
            for number in due
            if self.key(self.model.waiting[number]) in self.model.suppressed
        }
        next_ms = await self.scheduler.step()
        await self.scheduler.idle()
        while self.database.counters.queued:
            before = len(self.carrier.seen)
            next_ms = await self.scheduler.step()
            await self.scheduler.idle()
            if len(self.carrier.seen) == before:
                break
        tried = [entry for group in self.carrier.seen for entry in group]
        assert sorted(entry.id for entry in tried) == sorted(due - refused_before)
        for group in self.carrier.seen:
            first = self.model.waiting[group[0].id]
            assert len(group) == 1 or first.base
            for entry in group:
                mine = self.model.waiting[entry.id]
                assert entry.recipient_domain == group[0].recipient_domain
                assert (mine.base, mine.attempts, mine.transport, mine.require_tls) == (
                    first.base,
                    first.attempts,
                    first.transport,
                    first.require_tls,
                )
        # In the order in which the queue learned of them.
        order = list(self.carrier.outcomes)
        for number in [*sorted(refused_before), *order]:
            self.ended(number)
        waiting = [each.next_ms for each in self.model.waiting.values() if not each.hold]
        assert next_ms is not None or not waiting
        if waiting and next_ms is not None:
            # Never too late; it may be early, where something was that is not any more.
            assert next_ms <= min(waiting)
        await self.notify()

    def key(self, entry: Waiting) -> tuple[str, str]:
        return entry.account, base_address(parse_address(entry.to))

    def ended(self, number: int) -> None:
        mine = self.model.waiting[number]
        now = self.clock.now_ms()
        mine.attempts += 1
        mine.first_ms = mine.first_ms or now
        outcome = self.carrier.outcomes.get(number)
        if outcome is None:
            self.finish(mine, "suppressed", NoticeKind.FAILED)
            return
        if outcome.result is Result.DELIVERED:
            wants = "SUCCESS" in mine.notify.split(",") and not mine.null_sender
            self.finish(mine, "delivered", NoticeKind.RELAYED if wants else None)
            return
        again = SCHEDULE.next_ms(mine.attempts, mine.first_ms, now, mine.max_attempts)
        if outcome.result is Result.TEMPORARY and again is not None:
            mine.next_ms = again
            self.model.happened.append(("delayed", number))
            tells = not mine.notify or "DELAY" in mine.notify
            if mine.attempts == 2 and tells and not mine.null_sender and not mine.report:
                self.model.told.append(("delayed", number))
            return
        earlier = [
            success
            for _, success, _, account, to, _ in reversed(self.model.done)
            if (account, base_address(parse_address(to))) == self.key(mine)
        ]
        if suppresses(outcome.code, outcome.enhanced, earlier[:2]):
            self.model.suppressed.add(self.key(mine))
        self.finish(mine, "failed", NoticeKind.FAILED)

    def finish(self, mine: Waiting, event: str, notice: NoticeKind | None) -> None:
        del self.model.waiting[mine.id]
        now = self.clock.now_ms()
        self.model.done.append(
            (mine.id, event == "delivered", now, mine.account, mine.to, mine.from_id)
        )
        self.model.happened.append((event, mine.id))
        wants = not mine.notify or "FAILURE" in mine.notify
        if notice is NoticeKind.RELAYED or (notice is NoticeKind.FAILED and wants):
            self.model.told.append((notice, mine.id))

    async def notify(self) -> None:
        await self.scheduler.notices.step()
        told = sorted(
            (str(notice.kind), recipient.entry.id)
            for notice, _ in self.returns.got
            for recipient in notice.recipients
        )
        assert told == sorted((str(kind), number) for kind, number in self.model.told)

    async def pass_time(self, seconds: int) -> None:
        self.clock.advance(seconds)

    def chosen(self, account: int, domain: int, hold: bool | None) -> tuple[Filter, list[Waiting]]:
        wanted = Filter(
            account=("", *ACCOUNTS)[account],
            recipient=f"@{DOMAINS[domain]}" if domain < 3 else "",
            hold=hold,
        )
        found = [
            each
            for each in self.model.waiting.values()
            if wanted.account in ("", each.account)
            and each.to.endswith(wanted.recipient)
            and hold in (None, each.hold)
        ]
        return wanted, found

    async def hold(self, account: int, domain: int, on: bool) -> None:
        wanted, found = self.chosen(account, domain, None)
        assert await changing.hold(self.database, wanted, on=on) == len(found)
        for each in found:
            each.hold = on

    async def postpone(self, account: int, domain: int, seconds: int, from_now: bool) -> None:
        wanted, found = self.chosen(account, domain, None)
        delay = seconds * 1000
        count = await changing.schedule(self.database, wanted, delay, from_now=from_now)
        assert count == len(found)
        for each in found:
            each.next_ms = max(0, (self.clock.now_ms() if from_now else each.next_ms) + delay)

    async def transport(self, account: int, domain: int, name: str) -> None:
        wanted, found = self.chosen(account, domain, None)
        assert await changing.set_transport(self.database, wanted, name) == len(found)
        for each in found:
            each.transport = name

    async def tls(self, account: int, domain: int, value: bool | None) -> None:
        wanted, found = self.chosen(account, domain, None)
        assert await changing.set_require_tls(self.database, wanted, value) == len(found)
        for each in found:
            each.require_tls = value

    async def end(self, account: int, domain: int, hold: bool | None, drop: bool) -> None:
        wanted, found = self.chosen(account, domain, hold)
        act = changing.drop if drop else changing.fail
        assert await act(self.database, wanted) == len(found)
        for each in sorted(found, key=lambda one: one.id):
            if drop:
                self.finish(each, "canceled", None)
            else:
                self.finish(each, "failed", NoticeKind.FAILED)

    async def rule(self, account: int, domain: int) -> None:
        if len(self.model.rules) > 2:
            number = self.database.rules[0].id
            await changing.remove_rule(self.database, number)
            self.model.rules.pop(0)
        rule = (("", *ACCOUNTS)[account], (*DOMAINS, "")[domain])
        matches = [
            each
            for each in self.model.waiting.values()
            if rule[0] in ("", each.account)
            and rule[1] in ("", each.to.rpartition("@")[2])
            and not each.hold
        ]
        made, met = await changing.add_rule(
            self.database, account=rule[0], recipient_domain=rule[1]
        )
        assert met == len(matches)
        assert (made.account, made.recipient_domain) == rule
        for each in matches:
            each.hold = True
        self.model.rules.append(rule)

    async def suppress(self, account: int, local: int, domain: int) -> None:
        address = parse_address(f"{LOCALS[local]}@{DOMAINS[domain]}")
        key = (ACCOUNTS[account], base_address(address))
        if key in self.model.suppressed:
            with pytest.raises(Suppressed):
                await suppressing.suppress(self.database, ACCOUNTS[account], address, "x")
        else:
            await suppressing.suppress(self.database, ACCOUNTS[account], address, "x")
        self.model.suppressed.add(key)

    async def release(self, account: int, local: int, domain: int) -> None:
        address = parse_address(f"{LOCALS[local]}@{DOMAINS[domain]}")
        key = (ACCOUNTS[account], base_address(address))
        if key in self.model.suppressed:
            await suppressing.release(self.database, ACCOUNTS[account], address)
        else:
            with pytest.raises(NotSuppressed):
                await suppressing.release(self.database, ACCOUNTS[account], address)
        self.model.suppressed.discard(key)

    async def forget(self) -> None:
        now = self.clock.now_ms()
        kept = [each for each in self.model.done if each[2] + KEEP_MS > now]
        count = await keeping.forget_retired(self.database)
        assert count == len(self.model.done) - len(kept)
        self.model.done = kept

    async def reopen(self) -> None:
        await self.database.close()
        self.open()

    async def check(self) -> None:
        model = self.model
        await self.notify()
        await self.database.contents.idle()
        assert await verify_queue(self.database) == []
        waiting = sorted(model.waiting.values(), key=lambda each: each.id)
        found = await page(self.database, EVERY, sort=Sort.QUEUED, limit=1000)
        assert [seen(entry) for entry in found.entries] == [each.seen() for each in waiting]
        found = await page(self.database, EVERY, ascending=False, limit=1000)
        by_time = sorted(waiting, key=lambda each: (each.next_ms, each.id), reverse=True)
        assert [entry.id for entry in found.entries] == [each.id for each in by_time]
        past = await retired_page(self.database, EVERY, sort=Sort.QUEUED, limit=1000)
        assert sorted((one.entry.id, one.success) for one in past.retired) == sorted(
            (number, success) for number, success, *_ in model.done
        )
        happened, _ = await keeping.events(self.database, limit=10_000)
        assert sorted((str(event.happened), event.entry_id) for _, event in happened) == sorted(
            model.happened
        )
        listed = await suppressing.suppressions(self.database, limit=1000)
        assert {(one.account, one.base_address) for one in listed.suppressions} == model.suppressed
        # A content for each submission that somebody still waits for, and no other.
        contents = {entry.content for entry in found.entries}
        stored = self.database.engine
        assert stored_contents(stored) == len(contents)


ACCOUNT = st.integers(0, 1)
CHOSEN = {"account": st.integers(0, 2), "domain": st.integers(0, 3)}
PLACE = {"account": ACCOUNT, "local": st.integers(0, 2), "domain": st.integers(0, 2)}
STEPS: list[tuple[int, str, dict[str, st.SearchStrategy[Any]]]] = [
    (
        6,
        "add",
        {
            "account": ACCOUNT,
            "recipients": st.lists(
                st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=4
            ),
            "from_id": st.integers(0, 3),
            "delay": st.sampled_from([0, 0, 0, 90_000]),
            "notify": st.sampled_from(["", "", "NEVER", "SUCCESS,FAILURE", "DELAY"]),
            "kind": st.integers(0, 3),
        },
    ),
    (6, "deliver", {"seed": st.integers(0, 1000), "in_parts": st.booleans()}),
    (4, "pass_time", {"seconds": st.sampled_from([1, 60, 130, 700, 2000])}),
    (2, "hold", {**CHOSEN, "on": st.booleans()}),
    (
        2,
        "postpone",
        {**CHOSEN, "seconds": st.sampled_from([-1000, 0, 50]), "from_now": st.booleans()},
    ),
    (1, "transport", {**CHOSEN, "name": st.sampled_from(["", "relay"])}),
    (1, "tls", {**CHOSEN, "value": st.sampled_from([None, True, False])}),
    (1, "end", {**CHOSEN, "hold": st.sampled_from([None, True, False]), "drop": st.booleans()}),
    (1, "rule", CHOSEN),
    (1, "suppress", PLACE),
    (1, "release", PLACE),
    (1, "forget", {}),
    (1, "reopen", {}),
    (1, "check", {}),
]
STEP = st.one_of(
    *(
        st.tuples(st.just(name), st.fixed_dictionaries(arguments))
        for weight, name, arguments in STEPS
        for _ in range(weight)
    )
)


def played(steps: list[tuple[str, dict[str, Any]]], folder: Path | None) -> None:
    with (
        mock.patch("mox.queue.scheduler.QUEUE_DOMAIN_START", 1000),
        mock.patch("mox.queue.pace.QUEUE_DOMAIN_START", 1000),
        mock.patch("mox.queue.pace.QUEUE_DOMAIN_MAX", 1000),
        mock.patch.object(taking, "QUEUE_TAKE_LANES", 2),
        mock.patch.object(changing, "QUEUE_SLICE", 3),
        mock.patch("mox.queue.listing.QUEUE_SCAN", 4),
    ):
        asyncio.run(Play(folder).play(steps))


@given(st.lists(STEP, min_size=5, max_size=40))
@settings(max_examples=80)
def test_the_queue_is_as_the_model_in_memory(steps: list[tuple[str, dict[str, Any]]]) -> None:
    played(steps, None)


@given(st.lists(STEP, min_size=10, max_size=40))
@settings(max_examples=15)
def test_the_queue_is_as_the_model_on_disk(steps: list[tuple[str, dict[str, Any]]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        played(steps, Path(folder) / "queue")


async def test_many_at_once(database: Database) -> None:
    """Adding, delivering and changing side by side: each entry ends once, and nothing is left over."""
    chance = random.Random(7)
    carrier = Scripted()
    carrier.kinds = chance
    clock = database.clock
    assert isinstance(clock, FrozenClock)
    made = Scheduler(
        database, carrier, Mailbox(), "mail.example.org", schedule=SCHEDULE, jitter=lambda: 1.0
    )
    numbers: list[int] = []

    async def adder(account: str) -> None:
        for n in range(25):
            count = chance.randint(1, 6)
            recipients = tuple(
                NewRecipient(address=parse_address(f"u{n}@{chance.choice(DOMAINS)}"))
                for _ in range(count)
            )
            entries = await add(
                database,
                Submission(
                    account=account,
                    sender=parse_address("me@example.org"),
                    recipients=recipients,
                    content=CONTENT,
                ),
            )
            numbers.extend(entry.id for entry in entries)

    async def changer() -> None:
        for _ in range(30):
            on = chance.random() < 0.5
            domain = chance.choice(DOMAINS)
            await changing.hold(database, Filter(recipient=domain), on=on)
            if chance.random() < 0.2:
                await changing.drop(database, Filter(recipient=domain, account="a0"))
        await changing.hold(database, EVERY, on=False)

    async def deliverer(until: asyncio.Event) -> None:
        while not until.is_set():
            await made.step()
            await asyncio.sleep(0)
            clock.advance(1)

    ended = asyncio.Event()
    delivering = asyncio.create_task(deliverer(ended))
    await asyncio.gather(*(adder(f"a{n}") for n in range(4)), changer())
    ended.set()
    await delivering
    for _ in range(3000):
        if not database.counters.queued:
            break
        next_ms = await made.step()
        await made.idle()
        if next_ms is not None:
            clock.advance(max(0, next_ms - clock.now_ms()) / 1000)
    assert database.counters.queued == 0
    assert database.busy == {}
    happened, _ = await keeping.events(database, limit=100_000)
    final = [event.entry_id for _, event in happened if event.happened != "delayed"]
    assert sorted(final) == sorted(numbers)
    await made.notices.step()
    await database.contents.idle()
    assert await verify_queue(database) == []
    assert stored_contents(database.engine) == 0
