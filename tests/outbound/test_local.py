"""Held submissions to recipients of ours: into the mailbox at their time, and ended when they are there."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from support.queueing import CONTENT, Carrier, Mailbox, submission

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.base.errors import Unavailable
from mox.config.domains import Account, Alias, Destination, Domain, DomainsConfig
from mox.config.filtering import Ruleset
from mox.config.live import Live, make_config
from mox.config.static import Postmaster, StaticConfig
from mox.inbound.deliver import Recipient
from mox.outbound.local import LocalCarrier
from mox.outbound.submit import Submitted
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.changing import set_transport
from mox.queue.database import Database, memory_queue
from mox.queue.entry import Entry, NoticeKind
from mox.queue.listing import EVERY, page
from mox.queue.scheduler import Scheduler
from mox.smtp.address import parse_address
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.errors import QuotaExceeded

HELD_S = 60


class House:
    """A queue that is carried by ``LocalCarrier``, and the mailboxes it leads to."""

    def __init__(self, queue: Database, folder: Path, clock: FrozenClock) -> None:
        self.queue, self.clock = queue, clock
        self.stored: list[tuple[str, str, NewMessage, bytes]] = []
        self.queued_meanwhile: list[int] = []
        self.arrived: list[tuple[Submitted, list[Recipient]]] = []
        self.fails: Exception | None = None
        self.telling_fails: Exception | None = None
        self.outside = Carrier()
        self.notices = Mailbox()
        static = StaticConfig(
            data_dir="data",
            log_level="info",
            hostname="mx.example.org",
            postmaster=Postmaster(account="me", mailbox="Postmaster"),
            listeners={},
        )
        friend = Account(
            domain="example.org",
            destinations={
                "friend@example.org": Destination(
                    rulesets=(Ruleset(smtp_mail_from_regexp="^me@", mailbox="From me"),)
                )
            },
        )
        me = Account(
            domain="example.org",
            destinations={"me@example.org": Destination(), "me@closed.example": Destination()},
        )
        closed = {"team": Alias(addresses=("friend@example.org",), post_public=False)}
        domains = DomainsConfig(
            domains={
                "example.org": Domain(aliases=closed),
                "closed.example": Domain(disabled=True),
            },
            accounts={"me": me, "friend": friend},
        )
        carrier = LocalCarrier(
            Live(make_config(static, domains)), clock, self, self, folder, self.outside
        )
        self.scheduler = Scheduler(
            queue, carrier, self.notices, "mx.example.org", jitter=lambda: 1.0
        )

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        self.queued_meanwhile.append(self.queue.counters.queued)
        content = message.content
        if isinstance(content, SpoolFile):
            data = content.path.read_bytes()
            content.path.unlink()
        else:
            data = content
        if self.fails is not None:
            raise self.fails
        self.stored.append((account, mailbox, message, data))

    async def return_failures(
        self, submitted: Submitted, failures: Sequence[tuple[Recipient, Exception]]
    ) -> None:
        raise AssertionError("the queue tells of failures")

    async def return_arrivals(self, submitted: Submitted, recipients: Sequence[Recipient]) -> None:
        if self.telling_fails is not None:
            raise self.telling_fails
        self.arrived.append((submitted, list(recipients)))

    async def hold(self, *recipients: str, **changes: object) -> list[Entry]:
        """Queue a message that is held for a minute."""
        release_ms = self.clock.now_ms() + HELD_S * 1000
        return await add(
            self.queue, submission(*recipients, **{"release_ms": release_ms, **changes})
        )

    async def later(self, seconds: float = HELD_S) -> None:
        """Let time pass, and what is due be carried."""
        self.clock.advance(seconds)
        await self.scheduler.step()
        await self.scheduler.idle()

    async def queued(self) -> list[Entry]:
        return (await page(self.queue, EVERY, limit=100)).entries


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    clock = FrozenClock()
    (tmp_path / "queue").mkdir()
    queue = memory_queue(tmp_path / "queue", clock=clock)
    yield House(queue, tmp_path, clock)
    await queue.close()
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.rfc("4865 §4")
async def test_it_is_in_the_mailbox_at_its_time_and_then_out_of_the_queue(house: House) -> None:
    await house.hold("friend@example.org")
    await house.later(HELD_S - 1)
    assert house.stored == []
    await house.later(1)
    ((account, mailbox, message, content),) = house.stored
    # By the recipient's rules, as if it were submitted now.
    assert (account, mailbox) == ("friend", "From me")
    assert content == CONTENT
    assert message.prefix == (
        b"Delivered-To: friend@example.org\r\nReturn-Path: <me@example.org>\r\n"
    )
    assert message.received_ms == house.clock.now_ms()
    assert message.facts.prefix_length == len(message.prefix)
    assert (message.facts.mail_from, message.facts.rcpt_to) == (
        "me@example.org",
        "friend@example.org",
    )
    # It was still queued while it was being stored: a crash would have repeated it.
    assert house.queued_meanwhile == [1]
    assert await house.queued() == []
    assert house.outside.seen == []


async def test_a_large_one_goes_by_a_file(house: House) -> None:
    content = b"From: me@example.org\r\nSubject: x\r\n\r\n" + b"0123456789abcd\r\n" * 300_000
    await house.hold("friend@example.org", content=content)
    await house.later()
    assert [data for _, _, _, data in house.stored] == [content]
    assert await house.queued() == []


@pytest.mark.parametrize("why", ["not held", "elsewhere", "by a transport"])
async def test_everything_else_is_carried_as_before(house: House, why: str) -> None:
    if why == "not held":  # a notification, perhaps to somebody whose name was forged
        await add(house.queue, submission("friend@example.org"))
    elif why == "elsewhere":
        await house.hold("you@example.net")
    else:
        await house.hold("friend@example.org")
        await set_transport(house.queue, EVERY, "relay")
    await house.later()
    assert house.stored == []
    assert len(house.outside.seen) == 1
    assert await house.queued() == []


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (QuotaExceeded(), "mailbox full"),
        (Unavailable(), "error processing"),
        (OSError(28, "full"), "out of storage space"),
    ],
)
async def test_what_cannot_be_stored_stays_and_is_tried_again(
    house: House, error: Exception, said: str
) -> None:
    await house.hold("friend@example.org")
    house.fails = error
    await house.later()
    (entry,) = await house.queued()
    assert (entry.attempts, entry.last_error) == (1, said)
    house.fails = None
    await house.later(3600)
    assert len(house.stored) == 1
    assert await house.queued() == []


async def test_a_bug_is_counted_and_loses_nothing(house: House) -> None:
    await house.hold("friend@example.org")
    house.fails = ValueError("surprise")
    unhandled = metrics.unhandled_total()
    await house.later()
    assert metrics.unhandled_total() == unhandled + 1
    assert len(await house.queued()) == 1


@pytest.mark.parametrize(
    ("recipient", "code"), [("gone@example.org", 550), ("team@example.org", 550)]
)
async def test_who_is_not_there_any_more_or_not_open_to_the_author(
    house: House, recipient: str, code: int
) -> None:
    content = b"From: stranger@example.net\r\nSubject: x\r\n\r\nhi\r\n"
    await house.hold(recipient, content=content)
    await house.later()
    assert house.stored == []
    assert await house.queued() == []
    await house.scheduler.notices.step()
    ((notice, _),) = house.notices.got
    assert (notice.kind, notice.recipients[0].attempt.code) == (NoticeKind.FAILED, code)


async def test_a_domain_that_is_disabled_may_come_back(house: House) -> None:
    await house.hold("me@closed.example")
    await house.later()
    (entry,) = await house.queued()
    assert entry.last_error == "recipient domain temporarily disabled"


async def test_one_fails_and_the_other_has_it(house: House) -> None:
    await house.hold("gone@example.org", "me@example.org")
    await house.later()
    assert [account for account, *_ in house.stored] == ["me"]
    assert await house.queued() == []


def asking() -> Submission:
    recipient = NewRecipient(
        address=parse_address("friend@example.org"),
        notify="FAILURE,SUCCESS",
        original_recipient="rfc822;old@example.org",
    )
    return submission(recipients=(recipient,), release_ms=1, envelope_id="x")


@pytest.mark.rfc("3461 §5.2.3")
async def test_who_asked_hears_that_it_was_delivered(house: House) -> None:
    await add(house.queue, asking())
    await house.later()
    ((submitted, (recipient,)),) = house.arrived
    assert (submitted.account, submitted.envelope_id) == ("me", "x")
    assert str(recipient.address) == "friend@example.org"
    assert recipient.orcpt == "rfc822;old@example.org"
    # Once is enough.
    await house.scheduler.notices.step()
    assert house.notices.got == []


async def test_where_that_cannot_be_told_the_queue_tells_it(house: House) -> None:
    await add(house.queue, asking())
    house.telling_fails = Unavailable()
    await house.later()
    assert len(house.stored) == 1
    assert await house.queued() == []
    await house.scheduler.notices.step()
    ((notice, _),) = house.notices.got
    assert notice.kind is NoticeKind.RELAYED
