"""Weeks of made-up mail, judged while users look after their mailboxes or do not; counted by week."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mox.base.clock import FrozenClock
from mox.dns.zones import Zones
from mox.inbound.storeknowledge import StoreKnowledge
from mox.junk.reputation import DAY_MS
from mox.store.rates import Limits
from support.corpusmail import HOME, HOUR_MS, WEEK_MS, Corpus, Sent
from support.judging import Court

RETRIES_MS = tuple(round(hours * HOUR_MS) for hours in (0.5, 4, 24, 48, 96))
"""How long after the first time a sender comes again, as long as it is told to."""

EVENING_MS = 20 * HOUR_MS


class User(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody does with mail; chances from 0 to 1."""

    name: str
    text: str  # for people
    days: int  # from one look at the mail to the next
    junks: float = 0.0  # spam in Inbox is called so
    keeps: float = 0.0  # wanted mail in Inbox is called so
    rescues: float = 0.0  # wanted mail in Rejects is found
    answers: float = 0.0  # mail of people in Inbox gets an answer
    moves: bool = False  # into Junk and Archive, rather than to set flags


USERS = (
    User(name="ana", text="marks daily", days=1, junks=0.9, keeps=0.6, rescues=0.9, answers=0.3),
    User(
        name="ben", text="moves to Junk, Archive, daily", days=1, junks=0.8, keeps=0.5, rescues=0.7,
        answers=0.2, moves=True,
    ),
    User(
        name="cleo", text="every third day", days=3, junks=0.6, keeps=0.2, rescues=0.4,
        answers=0.2, moves=True,
    ),
    User(name="dan", text="weekly, few marks", days=7, junks=0.15, keeps=0.05, rescues=0.2, answers=0.1),
    User(name="eve", text="never does anything", days=7),
)  # fmt: skip


class Tally(msgspec.Struct, kw_only=True):
    """Of one user and one week, by when a message was first sent."""

    ham: int = 0
    spam: int = 0
    spam_in_inbox: int = 0
    ham_put_aside: int = 0  # refused at first, and kept in Rejects
    ham_refused: int = 0  # for good
    ham_late: int = 0  # put aside, accepted when it came again
    ham_rescued: int = 0  # put aside, found by the user
    by_kind: dict[str, int] = {}  # false decisions: spam let in, ham that was not at first
    rules: dict[str, int] = {}  # that decided over such ham

    @property
    def ham_lost(self) -> int:
        """Never came to Inbox."""
        return self.ham_put_aside + self.ham_refused - self.ham_late - self.ham_rescued

    def wrong(self, kind: str) -> None:
        """A false decision."""
        self.by_kind[kind] = self.by_kind.get(kind, 0) + 1


Curve = dict[str, list[Tally]]
"""By user, by week."""


class Run:
    """One simulation.    ``await Run(...).run()``."""

    def __init__(
        self, folder: Path, *, seed: int, users: Sequence[User] = USERS, weeks: int = 10
    ) -> None:
        self.users = {user.name: user for user in users}
        self.weeks = weeks
        self.curve: Curve = {name: [Tally() for _ in range(weeks)] for name in self.users}
        self.accepted: list[Sent] = []  # into Inbox, in this order
        self._folder = folder
        self._seed = seed
        self._randoms = {name: random.Random(f"{seed} {name}") for name in self.users}
        self._letters: dict[str, Sent] = {}  # by Message-ID
        self._seen: set[tuple[str, str, str]] = set()  # user, mailbox, Message-ID
        self._arrived: set[str] = set()
        self._events: list[tuple[int, int, Any, int]] = []  # at, order, what, how many times yet
        self._order = 0

    async def run(self) -> Curve:
        """All weeks."""
        start_ms = FrozenClock().now_ms()
        corpus = Corpus(self._seed, list(self.users), self.weeks, start_ms)
        court = Court(
            self._folder,
            domains=_domains(self.users),
            resolver=Zones(corpus.zones),
            knowledge=StoreKnowledge(Limits()),
        )
        try:
            await self._begin(court, corpus, start_ms)
            while self._events:
                at_ms, _, what, times = heapq.heappop(self._events)
                court.clock.advance(max(0, at_ms - court.clock.now_ms()) / 1000)
                if isinstance(what, Sent):
                    await self._deliver(court, what, times, start_ms)
                else:
                    await self._look(court, what, start_ms)
        finally:
            await court.close()
        return self.curve

    def _plan(self, at_ms: int, what: Sent | User, times: int = 0) -> None:
        self._order += 1
        heapq.heappush(self._events, (at_ms, self._order, what, times))

    async def _begin(self, court: Court, corpus: Corpus, start_ms: int) -> None:
        self._letters = {one.id: one for one in corpus.letters}
        for letter in corpus.letters:
            self._plan(letter.at_ms, letter)
        for name, user in self.users.items():
            for address in corpus.wrote_to[name]:
                await court.wrote(address, account=name)
            await court.learnt(name)
            for day in range(user.days, self.weeks * 7 + 1, user.days):
                self._plan(start_ms + (day - 1) * DAY_MS + EVENING_MS, user)

    def _tally(self, letter: Sent, start_ms: int) -> Tally:
        return self.curve[letter.user][(letter.at_ms - start_ms) // WEEK_MS]

    async def _deliver(self, court: Court, letter: Sent, times: int, start_ms: int) -> None:
        """A message comes, for the first time or again."""
        court.chance = self._randoms[letter.user].random()
        outcome = await court.one(
            letter.raw,
            f"{letter.user}@example.org",
            sender=letter.mail_from,
            ip=letter.ip,
            hello=letter.hello,
        )
        code, tally = outcome.reply.code, self._tally(letter, start_ms)
        if not times:
            tally.spam += letter.is_spam
            tally.ham += not letter.is_spam
        if code == 250:
            self.accepted.append(letter)
            if letter.is_spam:
                tally.spam_in_inbox += 1
                tally.wrong(letter.kind)
            elif times and letter.id not in self._arrived:
                tally.ham_late += 1
            self._arrived.add(letter.id)
            return
        if not letter.is_spam and not times:
            tally.wrong(letter.kind)
            rule = (await court.verdict(letter.user)).reason
            tally.rules[rule] = tally.rules.get(rule, 0) + 1
            if code >= 500:
                tally.ham_refused += 1
            else:
                tally.ham_put_aside += 1
        if code < 500 and letter.retries and times < len(RETRIES_MS):
            self._plan(letter.at_ms + RETRIES_MS[times], letter, times + 1)

    # -------------------------------------------------------------- a user

    async def _look(self, court: Court, user: User, start_ms: int) -> None:
        """A user looks at Inbox and Rejects; what was passed over once is not looked at again."""
        await self._sort_inbox(court, user)
        if user.rescues:
            await self._search_rejects(court, user, start_ms)
        await court.learnt(user.name)

    async def _new(self, court: Court, user: User, mailbox: str) -> list[tuple[int, Sent]]:
        """What is new in a mailbox, newest first, with its place."""
        found = []
        for index, id_ in enumerate(await court.message_ids(mailbox, user.name)):
            if id_ in self._letters and (user.name, mailbox, id_) not in self._seen:
                self._seen.add((user.name, mailbox, id_))
                found.append((index, self._letters[id_]))
        return found[::-1]

    async def _sort_inbox(self, court: Court, user: User) -> None:
        rng = self._randoms[user.name]
        for index, letter in await self._new(court, user, "Inbox"):
            if rng.random() < (user.junks if letter.is_spam else user.keeps):
                if user.moves:
                    target = "Junk" if letter.is_spam else "Archive"
                    await court.move("Inbox", index, target, user.name)
                else:
                    await court.mark(index, junk=letter.is_spam, account=user.name)
            is_person = letter.kind in ("friend", "colleague", "stranger")
            if is_person and rng.random() < user.answers:
                words = " ".join(rng.choices(HOME.split(), k=12))
                body = f"thank you {words}\r\n"
                await court.wrote(letter.author, days_ago=0, account=user.name, body=body)

    async def _search_rejects(self, court: Court, user: User, start_ms: int) -> None:
        for index, letter in await self._new(court, user, "Rejects"):
            if letter.is_spam or self._randoms[user.name].random() >= user.rescues:
                continue
            await court.move("Rejects", index, "Inbox", user.name)
            if letter.id not in self._arrived:
                self._arrived.add(letter.id)
                self._tally(letter, start_ms).ham_rescued += 1


def _domains(users: Iterable[str]) -> str:
    """The configuration: as of a new account, with the words of mail judged."""
    parts = ['[domains."example.org"]\n', '[accounts.me]\ndomain = "example.org"\n']
    parts.append('[accounts.me.destinations."me@example.org"]\n')
    parts += [
        f"""[accounts.{name}]
domain = "example.org"
rejects_mailbox = "Rejects"
[accounts.{name}.automatic_junk_flags]
enabled = true
junk_mailbox_regexp = "^(junk|spam)"
neutral_mailbox_regexp = "^(inbox|neutral|postmaster|dmarc|tlsrpt|rejects)"
[accounts.{name}.junk_filter]
[accounts.{name}.destinations."{name}@example.org"]
"""
        for name in users
    ]
    return "".join(parts)
