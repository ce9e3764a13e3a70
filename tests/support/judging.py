"""Mail judged over a memory shard: zones for DNS, a clock that stands still, accounts as configured."""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from mox.base.clock import FrozenClock
from mox.base.flags import JUNK, NOTJUNK
from mox.base.log import get_logger
from mox.config.live import AliasTarget, Live, Target
from mox.config.load import load
from mox.config.lookup import find_recipient
from mox.dns.base import Resolver
from mox.dns.zones import Zones
from mox.imapserver.derive import derive
from mox.inbound.context import Asking, TimeLimits
from mox.inbound.deliver import Delivery, Recipient
from mox.inbound.hooks import Bouncer, EvaluationStore, ReportTaker
from mox.inbound.judge import Judging
from mox.inbound.judged import Desk, Hearing, Outcome
from mox.inbound.keeping import Keeper
from mox.inbound.knowledge import Knowledge
from mox.inbound.receive import Receiver
from mox.inbound.trace import Arrival
from mox.inbound.verdict import Verdict, decode
from mox.junk.memory import MemoryCounts, MemoryVotes
from mox.junk.model import Count, Counts
from mox.junk.reputation import DAY_MS, History, Sender
from mox.mailauth.dnsbl import HealthBook
from mox.mailauth.publicsuffix import listed
from mox.runtime.accounts import Accounts
from mox.smtp.address import NULL_PATH, parse_address
from mox.smtp.command import Hello
from mox.smtp.params import Notify
from mox.smtpserver.errors import reply_to
from mox.store import verdicts
from mox.store.account import Account
from mox.store.content import NewMessage
from mox.store.engine.base import Family
from mox.store.errors import DataDamaged
from mox.store.flags import How, change_flags
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import ensure
from mox.store.messages import append, copy
from mox.store.rates import Limits, Rates
from mox.store.reading import content as read_content
from mox.store.shard import memory_shard
from mox.store.subjectpasskeys import key_for
from mox.store.verify import verify_account

T = TypeVar("T")

STATIC = """\
data_dir = "data"
log_level = "info"
hostname = "mail.example.org"
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.public]
ips = ["192.0.2.1"]
[listeners.public.smtp]
enabled = true
no_starttls = true
"""

DOMAINS = """\
[domains."example.org"]
localpart_catchall_separator = "+"
[accounts.me]
domain = "example.org"
rejects_mailbox = "Rejects"
[accounts.me.destinations."me@example.org"]
[accounts.you]
domain = "example.org"
rejects_mailbox = "Rejects"
[accounts.you.destinations."you@example.org"]
"""

IP = "198.51.100.7"
GOOD_ZONES: dict[str, Any] = {
    IP: {"PTR": ["mx.sender.example"]},
    "mx.sender.example": {"A": [IP]},
    "sender.example": {"TXT": ["v=spf1 a:mx.sender.example -all"]},
}
"""sender.example: a reverse name and SPF that passes; no DMARC."""


class Caller:
    """A client that waits, until a test says otherwise."""

    def __init__(self) -> None:
        self.lost = False
        self.over = False


class MemoryKnowledge:
    """``Knowledge`` from what a test says; rates are the store's own."""

    def __init__(self) -> None:
        self.rates = Rates()
        self.limits = Limits()
        self.votes: dict[str, MemoryVotes] = {}  # by account; mailboxes by name
        self.words: dict[str, MemoryCounts] = {}
        self.fails: set[str] = set()  # names of methods that do
        self._numbers = 0
        self._names: dict[str, int] = {}

    def mark(
        self, account: str, sender: Sender, received_ms: int, *, junk: bool, mailbox: str = "Inbox"
    ) -> None:
        """A message of the sender was marked."""
        self._numbers += 1
        votes = self.votes.setdefault(account, MemoryVotes())
        votes.add(self._mailbox(mailbox), self._numbers, sender, received_ms, junk=junk)

    def wrote(self, account: str, address: str, sent_ms: int) -> None:
        """The account sent mail to an address."""
        localpart, _, domain = address.rpartition("@")
        org_domain = listed().organizational(domain)
        votes = self.votes.setdefault(account, MemoryVotes())
        votes.wrote(localpart, domain, org_domain, sent_ms)

    def teach(self, account: str, words: Mapping[bytes, Count], *, ham: int, spam: int) -> None:
        """The word counts of an account."""
        counts = self.words.setdefault(account, MemoryCounts())
        counts.rows = {b"-": Count(ham, spam), **words}

    def _mailbox(self, name: str) -> int:
        return self._names.setdefault(name, len(self._names) + 1)

    def _check(self, name: str) -> None:
        if name in self.fails:
            raise DataDamaged(f"{name} fails")

    async def rate_exceeded(
        self, account: Account, sender: Sender, size: int, now_ms: int
    ) -> str | None:
        self._check("rate_exceeded")
        return await self.rates.exceeded(
            account, sender.ip1, sender.ip2, sender.ip3, size, now_ms, self.limits
        )

    async def count(self, account: Account, sender: Sender, size: int, now_ms: int) -> None:
        self._check("count")
        await self.rates.count(account, sender.ip1, sender.ip2, sender.ip3, size, now_ms)

    async def by_history(self, account: Account, mailbox: str, read: Callable[[History], T]) -> T:
        self._check("by_history")
        votes = self.votes.setdefault(account.name, MemoryVotes())
        return await asyncio.to_thread(read, votes.of(self._mailbox(mailbox)))

    async def counted(
        self, account: Account, words: list[bytes]
    ) -> tuple[Count, Sequence[Count | None]]:
        counts = self.counts(account)
        return counts.totals(), counts.get_many(words)

    def counts(self, account: Account) -> Counts:
        self._check("counts")
        return self.words.setdefault(account.name, MemoryCounts())

    async def in_thread(self, account: Account, call: Callable[[], T]) -> T:
        return await asyncio.to_thread(call)

    async def pass_key(self, account: Account, address: str) -> str:
        self._check("pass_key")
        return (await key_for(account, address)).decode()


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A message in a mailbox."""

    raw: bytes
    flags: int
    facts: Facts

    @property
    def header(self) -> str:
        """Unfolded."""
        return self.raw.partition(b"\r\n\r\n")[0].replace(b"\r\n\t", b" ").decode()

    def field(self, name: str) -> str:
        """The value of the one field of that name."""
        found = [
            line.partition(": ")[2]
            for line in self.header.split("\r\n")
            if line.startswith(f"{name}: ")
        ]
        assert len(found) == 1, (name, self.header)
        return found[0]


class Court:
    """Everything a message meets between the end of DATA and a mailbox."""

    def __init__(
        self,
        folder: Path,
        *,
        domains: str = DOMAINS,
        resolver: Resolver | None = None,
        dnsbls: Sequence[str] = (),
        limits: TimeLimits | None = None,
        reports: ReportTaker | None = None,
        evaluations: EvaluationStore | None = None,
        bouncer: Bouncer | None = None,
        knowledge: Knowledge | None = None,
        delay_s: float = 0.0,
    ) -> None:
        self.folder = folder
        self.clock = FrozenClock()
        self.live = Live(load(STATIC, domains))
        self.shard = memory_shard(folder, derive, clock=self.clock)
        self.accounts = Accounts(self.shard, self.live)
        self.memory = MemoryKnowledge()
        self.chance = 0.5
        self.delay_s = delay_s
        self.client = Caller()
        self.pauses: list[float] = []
        self.desk = Desk(
            accounts=self.accounts,
            live=self.live,
            knowledge=knowledge or self.memory,
            keeper=Keeper(),
            clock=self.clock,
            random=lambda: self.chance,
            reports=reports,
            evaluations=evaluations,
            bouncer=bouncer,
        )
        asking = Asking(
            resolver=resolver or Zones(GOOD_ZONES),
            clock=self.clock,
            suffixes=listed(),
            hostname="mail.example.org",
            dnsbls=dnsbls,
            health=HealthBook(),
            limits=limits or TimeLimits(),
        )
        self.judging = Judging(asking, self.desk)

    def configure(self, domains: str) -> None:
        """Another configuration."""
        self.live.swap(load(STATIC, domains))

    def recipient(self, address: str) -> Recipient:
        """As RCPT has it."""
        parsed = parse_address(address)
        found = find_recipient(self.live.config, parsed.localpart, parsed.domain)
        target = found if isinstance(found, Target | AliasTarget) else None
        return Recipient(address=parsed, target=target)

    async def send(
        self,
        raw: bytes,
        *recipients: str,
        sender: str = "friend@sender.example",
        ip: str = IP,
        hello: str = "mx.sender.example",
        tls: bool = True,
        smtputf8: bool = False,
        piece: int = 1 << 16,
        notify: Mapping[str, frozenset[Notify]] | None = None,
    ) -> list[Outcome]:
        """A message from a stranger, as a session gives it to us."""
        evidence = self.judging.connected(ip, tls=tls)
        try:
            evidence.said_hello(Hello(hello), extended=True)
            mail_from = parse_address(sender) if sender else NULL_PATH
            evidence.began(mail_from, smtputf8=smtputf8)
            receiver = Receiver(self.folder, 1 << 30, evidence)
            for start in range(0, len(raw), piece):
                await receiver.write(raw[start : start + piece])
            received = await receiver.finish()
            arrival = Arrival(
                hostname="mail.example.org",
                id="id1",
                hello=hello,
                remote_ip=ip,
                local_ip="192.0.2.1",
                extended=True,
                tls="TLS1.3 TLS_AES_256_GCM_SHA384" if tls else "",
                authenticated=False,
                smtputf8=smtputf8,
                received_ms=self.clock.now_ms(),
            )
            delivery = Delivery(
                arrival=arrival,
                sender=mail_from,
                recipients=[
                    msgspec.structs.replace(
                        self.recipient(one), notify=(notify or {}).get(one, frozenset())
                    )
                    for one in recipients or ("me@example.org",)
                ],
                received=received,
            )
            hearing = Hearing(
                pause=self._pause,
                first_time_delay_s=self.delay_s,
                reply_to=reply_to,
                log=get_logger("test"),
                client=self.client,
            )
            return await evidence.deliver(delivery, hearing)
        finally:
            await evidence.close()

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await self.clock.sleep(seconds)

    async def one(self, raw: bytes, to: str = "me@example.org", **changes: Any) -> Outcome:  # noqa: ANN401  as ``send``
        """The outcome for one recipient."""
        outcomes = await self.send(raw, to, **changes)
        assert len(outcomes) == 1
        return outcomes[0]

    async def messages(self, mailbox: str = "Inbox", account: str = "me") -> list[Kept]:
        """What is in a mailbox, oldest first."""
        owner = await self.accounts.account(account)
        box = owner.by_name.get(mailbox)
        if box is None:
            return []
        view = await owner.open_view(box, read_only=True)
        try:
            columns = await box.load()
            found = []
            for slot in await self._slots(owner, box):
                file = columns.file(slot)
                buffer = await read_content(owner, file)
                assert buffer is not None
                value = self.shard.engine.get(Family.MSG, keys.file(owner.id, file))
                assert value is not None
                facts = rows.decode(Facts, value)
                found.append(Kept(raw=bytes(buffer), flags=columns.flags(slot), facts=facts))
            return found
        finally:
            view.close()

    async def message_ids(self, mailbox: str = "Inbox", account: str = "me") -> list[str]:
        """Of the messages in a mailbox, oldest first."""
        owner = await self.accounts.account(account)
        box = owner.by_name.get(mailbox)
        if box is None:
            return []
        view = await owner.open_view(box, read_only=True)
        try:
            columns = await box.load()
            files = [columns.file(slot) for slot in await self._slots(owner, box)]
        finally:
            view.close()
        found = self.shard.engine.multi_get(Family.MSG, [keys.file(owner.id, one) for one in files])
        return [rows.decode(Facts, value).message_id for value in found if value is not None]

    async def remember(
        self,
        sender: Sender,
        *,
        junk: bool | None,
        days_ago: float = 1.0,
        mailbox: str = "Inbox",
        account: str = "me",
    ) -> None:
        """An earlier message of a sender, marked; None: it is not."""
        owner = await self.accounts.account(account)
        flags = {True: JUNK, False: NOTJUNK, None: 0}[junk]
        earlier = NewMessage(
            content=b"Subject: earlier\r\n\r\nearlier\r\n",
            flags=flags,
            received_ms=self.clock.now_ms() - round(days_ago * DAY_MS),
            facts=Facts(sender=sender),
        )
        await append(owner, await ensure(owner, mailbox), [earlier])

    async def wrote(
        self, address: str, *, days_ago: float = 1.0, account: str = "me", body: str = "hello\r\n"
    ) -> None:
        """The account sent a message, which is in its Sent mailbox."""
        owner = await self.accounts.account(account)
        sent = NewMessage(
            content=f"From: {account}@example.org\r\nTo: {address}\r\n\r\n{body}".encode(),
            received_ms=self.clock.now_ms() - round(days_ago * DAY_MS),
        )
        await append(owner, owner.by_name["Sent"], [sent])

    async def mark(
        self, index: int, *, junk: bool, mailbox: str = "Inbox", account: str = "me"
    ) -> None:
        """The user marks a message, by its place in the mailbox."""
        owner = await self.accounts.account(account)
        box = owner.by_name[mailbox]
        view = await owner.open_view(box, read_only=False)
        try:
            slots = await self._slots(owner, box)
            flag = JUNK if junk else NOTJUNK
            done = change_flags(owner, box, slots[index:][:1], How.REPLACE, flag, ())
            await owner.committer.synced(done.ticket)
        finally:
            view.close()

    async def move(self, source: str, index: int, target: str, account: str = "me") -> None:
        """The user moves a message."""
        owner = await self.accounts.account(account)
        box = owner.by_name[source]
        view = await owner.open_view(box, read_only=False)
        try:
            slots = await self._slots(owner, box)
            await copy(owner, box, slots[index:][:1], owner.by_name[target], move=True)
        finally:
            view.close()

    async def _slots(self, owner: Account, box: Mailbox) -> array[int]:
        columns = await box.load()
        return columns.visible_slots(len(columns), owner.record.modseq)

    async def learnt(self, account: str = "me") -> None:
        """Everything that happened is known to the learner."""
        await self.shard.learner.caught_up(await self.accounts.account(account))

    async def verdicts(self, account: str = "me") -> list[Verdict]:
        """All that were kept, newest first."""
        owner = await self.accounts.account(account)
        return [decode(one) for one in await verdicts.find(owner, limit=1000)]

    async def verdict(self, account: str = "me") -> Verdict:
        """The newest one."""
        return (await self.verdicts(account))[0]

    async def close(self) -> None:
        """Everything is consistent, and nothing is left."""
        for owner in self.shard.open_accounts():
            await self.shard.learner.caught_up(owner)
            assert await verify_account(owner) == []
        self.accounts.close()
        await self.shard.close()
        assert list(self.folder.iterdir()) == []


def message(
    *fields: str,
    author: str = "friend@sender.example",
    to: str = "me@example.org",
    body: str = "hello\r\n",
) -> bytes:
    """A message with From, To, Subject and Message-ID unless ``fields`` have others."""
    given = {field.partition(":")[0].lower() for field in fields}
    defaults = (f"From: {author}", f"To: {to}", "Subject: hi", "Message-ID: <1@sender.example>")
    header = [*fields, *(one for one in defaults if one.partition(":")[0].lower() not in given)]
    return ("\r\n".join(header) + "\r\n\r\n" + body).encode()
