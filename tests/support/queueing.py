"""What tests put into a queue, and carriers that deliver nothing and write down what they were asked."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mox.queue import keys
from mox.queue.adding import NewRecipient, Submission
from mox.queue.carry import Carried, Delivery, Outcome, Result
from mox.queue.entry import Entry, Notice
from mox.smtp.address import parse_address
from mox.store.engine.base import Engine, Family

Answer = Callable[[Entry], Outcome]
CONTENT = b"Subject: hello\r\nMessage-Id: <1@example.org>\r\n\r\nthe body\r\n"
LARGE = CONTENT + b"another line of it\r\n" * 1000  # more than a row of the index holds
KEEP_MS = 7 * 86_400_000


def keep(_account: str) -> int:
    return KEEP_MS


def submission(*recipients: str, **changes: Any) -> Submission:
    """A message of one account."""
    values: dict[str, Any] = {
        "account": "me",
        "sender": parse_address("me@example.org"),
        "recipients": tuple(
            NewRecipient(address=parse_address(each)) for each in recipients or ("you@example.net",)
        ),
        "content": CONTENT,
        "message_id": "1@example.org",
        "subject": "hello",
    }
    return Submission(**{**values, **changes})


def stored_contents(engine: Engine) -> int:
    """How many contents there are, as rows and in packs."""
    rows = list(engine.scan(Family.KV, *keys.CONTENTS))
    return len(rows) + len(list(engine.scan(Family.LOC, b"", b"\xff" * 20)))


def delivered(entry: Entry) -> Outcome:
    return Outcome(
        entry_id=entry.id,
        result=Result.DELIVERED,
        code=250,
        enhanced="2.0.0",
        lines=("250 2.0.0 queued",),
        remote_host="mx.example.net",
        remote_ip="192.0.2.1",
    )


def refused(entry: Entry) -> Outcome:
    return Outcome(
        entry_id=entry.id,
        result=Result.PERMANENT,
        code=550,
        enhanced="5.1.1",
        error="RCPT TO: no such user",
        lines=("550 5.1.1 no such user",),
        remote_host="mx.example.net",
        remote_ip="192.0.2.1",
    )


def delayed(entry: Entry) -> Outcome:
    return Outcome(
        entry_id=entry.id,
        result=Result.TEMPORARY,
        code=450,
        enhanced="4.2.0",
        error="RCPT TO: try again later",
        lines=("450 4.2.0 try again later",),
        remote_host="mx.example.net",
        remote_ip="192.0.2.1",
    )


@dataclass
class Carrier:
    """Answers at once, with ``answer`` for every entry."""

    answer: Answer = delivered
    reached: bool = True
    seen: list[tuple[Entry, ...]] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)

    async def carry(self, delivery: Delivery) -> Carried:
        self.seen.append(delivery.entries)
        self.contents.append(b"".join([piece async for piece in delivery.content.pieces()]))
        outcomes = tuple(self.answer(entry) for entry in delivery.entries)
        return Carried(outcomes=outcomes, reached=self.reached)


@dataclass
class Gated(Carrier):
    """Answers when its gate is opened."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def carry(self, delivery: Delivery) -> Carried:
        self.seen.append(delivery.entries)
        await self.gate.wait()
        return Carried(outcomes=tuple(self.answer(entry) for entry in delivery.entries))


@dataclass
class Mailbox:
    """Takes notifications, or fails to."""

    fails: bool = False
    got: list[tuple[Notice, bytes]] = field(default_factory=list)

    async def deliver(self, notice: Notice, message: bytes) -> None:
        if self.fails:
            raise OSError("no space")
        self.got.append((notice, message))
