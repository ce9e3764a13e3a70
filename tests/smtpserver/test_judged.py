"""Judged mail through a session: from EHLO to a mailbox, a refusal, and what it does to the connection."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.judging import GOOD_ZONES, IP, Court, message
from support.smtpsession import TLS13, BoundTLS, Client, House, MemoryWire

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.dns.zones import Zones
from mox.inbound.hooks import Bounce
from mox.inbound.recipients import ConfigDirectory
from mox.junk.reputation import Sender
from mox.sasl.secretset import SecretSet
from mox.smtp.reply import Reply
from mox.smtpserver.service import NO_DELAYS

FRIEND = Sender(
    from_localpart="friend",
    from_domain="sender.example",
    from_org_domain="sender.example",
    from_validated=True,
)


class Port25:
    """A house whose strangers are judged by a court."""

    def __init__(self, folder: Path, secrets: SecretSet, **arguments: Any) -> None:
        (folder / "court").mkdir()
        (folder / "spool").mkdir()
        self.court = Court(folder / "court", **arguments)
        self.house = House(folder / "spool", secrets)

    async def connect(self, **changes: Any) -> Client:
        client = await self.house.connect(
            ip=IP,
            wire_tls=TLS13,
            judging=self.court.judging,
            clock=self.court.clock,
            directory=ConfigDirectory(self.court.live),
            spool_folder=self.court.folder,
            **changes,
        )
        await client.say("EHLO mx.sender.example", 250)
        return client

    async def send(
        self, client: Client, code: int, enhanced: str, *recipients: str, raw: bytes = b""
    ) -> Reply:
        """A whole transaction."""
        await client.mail(*recipients or ("me@example.org",), sender="friend@sender.example")
        return await client.data(raw or message(), code, enhanced)

    def mark(self, account: str = "me", *, junk: bool) -> None:
        self.court.memory.mark(account, FRIEND, self.court.clock.now_ms(), junk=junk)
        self.court.clock.advance(1)


@pytest.fixture
async def make_port25(
    tmp_path: Path, secrets_of_mox: SecretSet
) -> AsyncIterator[Callable[..., Port25]]:
    unhandled = metrics.unhandled_total()
    made: list[Port25] = []

    def make(**arguments: Any) -> Port25:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Port25(folder, secrets_of_mox, **arguments))
        return made[-1]

    yield make
    for one in made:
        await one.house.close()
        await one.court.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert metrics.unhandled_total() == unhandled


@pytest.fixture
async def port25(make_port25: Callable[..., Port25]) -> Port25:
    return make_port25()


async def test_a_message_is_judged_and_stored(port25: Port25) -> None:
    client = await port25.connect()
    await port25.send(client, 250, "2.2.0")
    kept = (await port25.court.messages())[0]
    assert kept.field("X-Mox-Reason").startswith("no-bad-signals; ")
    assert kept.field("Received").startswith(
        "from mx.sender.example ([198.51.100.7]) by mail.example.org"
    )
    assert (await port25.court.verdict()).connection == "id1"
    # Another message of the same connection.
    await port25.send(client, 250, "2.2.0", raw=message("Message-ID: <2@x>"))
    assert len(await port25.court.messages()) == 2


class Told:
    """A bouncer that remembers whom a notification would name."""

    def __init__(self) -> None:
        self.addresses: list[str] = []

    async def bounce(self, bounce: Bounce) -> None:
        self.addresses += [str(one.address) for one in bounce.failed]


async def test_an_unknown_recipient_beside_others_is_told_by_a_notification(
    make_port25: Callable[..., Port25],
) -> None:
    told = Told()
    port25 = make_port25(bouncer=told)
    client = await port25.connect()
    await port25.send(client, 250, "2.2.0", "nobody@example.org", "me@example.org")
    assert told.addresses == ["nobody@example.org"]
    assert len(await port25.court.messages()) == 1
    # Alone it hears so itself.
    await port25.send(client, 550, "5.1.1", "nobody@example.org")
    assert told.addresses == ["nobody@example.org"]


async def test_the_body_of_a_large_message_is_hashed_on_its_way(port25: Port25) -> None:
    client = await port25.connect()
    raw = message(body="0123456789abcdef\r\n" * 100_000)
    await client.mail("me@example.org", sender="friend@sender.example")
    await client.say("DATA", 354)
    for start in range(0, len(raw), 100_000):
        await client.send(raw[start : start + 100_000])
        await client.settle()
    await client.say(b".", 250, "2.2.0")
    assert (await port25.court.messages())[0].raw.endswith(raw)


async def test_who_is_refused_is_slowed_down(port25: Port25) -> None:
    delays = msgspec.structs.replace(NO_DELAYS, slow_read_s=1.0, slow_write_s=1.0)
    client = await port25.connect(delays=delays)
    await port25.send(client, 250, "2.2.0")
    assert port25.court.clock.slept == []
    port25.mark(junk=True)
    reply = await port25.send(client, 451, "4.3.0")
    assert reply.text == "error processing (id1)"
    assert set(port25.court.clock.slept) == {1.0}
    slow = len(port25.court.clock.slept)
    await client.say("NOOP", 250, "2.0.0")
    assert len(port25.court.clock.slept) > slow + 5


async def test_strangers_wait_before_they_are_let_in(port25: Port25) -> None:
    delays = msgspec.structs.replace(NO_DELAYS, first_time_sender_s=15.0)
    client = await port25.connect(delays=delays)
    await port25.send(client, 250, "2.2.0", "me@example.org", "you@example.org")
    assert port25.court.clock.slept == [15.0]
    port25.mark("me", junk=False)
    await port25.send(client, 250, "2.2.0")
    assert port25.court.clock.slept == [15.0]


class StuckClock(FrozenClock):
    """Sleeps for ever."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.Event().wait()


async def in_the_pause(port25: Port25) -> Client:
    """A stranger whose message waits to be let in."""
    clock = StuckClock(port25.court.clock.now_ms())
    delays = msgspec.structs.replace(NO_DELAYS, first_time_sender_s=15.0)
    client = await port25.house.connect(
        ip=IP,
        wire_tls=TLS13,
        judging=port25.court.judging,
        clock=clock,
        directory=ConfigDirectory(port25.court.live),
        spool_folder=port25.court.folder,
        delays=delays,
    )
    await client.say("EHLO mx.sender.example", 250)
    await client.mail("me@example.org", sender="friend@sender.example")
    await client.say("DATA", 354)
    await client.send(message() + b".\r\n")
    async with asyncio.timeout(30):
        while not clock.slept:
            await asyncio.sleep(0.01)
    return client


async def test_a_server_that_stops_lets_nobody_wait(port25: Port25) -> None:
    other = await port25.connect()
    client = await in_the_pause(port25)
    client.wire.stop()
    reply = await client.reply()
    assert reply.code == 250
    assert len(await port25.court.messages()) == 1
    await other.say("NOOP", 250, "2.0.0")


@pytest.mark.rfc("5321 §4.2.5")
async def test_a_client_that_leaves_in_the_pause_has_delivered_nothing(port25: Port25) -> None:
    client = await in_the_pause(port25)
    client.wire.vanish()
    async with asyncio.timeout(30):
        await client.task
    assert await port25.court.messages() == []


async def test_a_client_that_leaves_and_listens_is_told(port25: Port25) -> None:
    wires: list[MemoryWire] = []

    class LeavingClock(FrozenClock):
        async def sleep(self, seconds: float) -> None:
            wires[0].hang_up()

    client = await port25.house.connect(
        ip=IP,
        wire_tls=TLS13,
        judging=port25.court.judging,
        clock=LeavingClock(port25.court.clock.now_ms()),
        directory=ConfigDirectory(port25.court.live),
        spool_folder=port25.court.folder,
        delays=msgspec.structs.replace(NO_DELAYS, first_time_sender_s=15.0),
    )
    wires.append(client.wire)
    await client.say("EHLO mx.sender.example", 250)
    reply = await port25.send(client, 451, "4.4.2")
    assert reply.text == "the connection ended before the reply (id1)"
    assert await port25.court.messages() == []


@pytest.mark.parametrize(
    ("spf", "sender", "code"),
    [
        ("v=spf1 a:mx.sender.example -all", "friend@sender.example", 250),
        ("v=spf1 ?all", "friend@sender.example", 452),
        ("v=spf1 a:mx.sender.example -all", "", 452),
    ],
)
async def test_several_recipients_need_a_proven_sender(
    make_port25: Callable[..., Port25], spf: str, sender: str, code: int
) -> None:
    """Section 15 idea 11."""
    zones = Zones({**GOOD_ZONES, "sender.example": {"TXT": [spf]}})
    port25 = make_port25(resolver=zones)
    client = await port25.connect()
    await client.say(f"MAIL FROM:<{sender}>", 250, "2.1.0")
    await client.say("RCPT TO:<me@example.org>", 250, "2.1.0")
    enhanced = "2.1.0" if code == 250 else "4.5.3"
    await client.say("RCPT TO:<you@example.org>", code, enhanced)


async def test_different_outcomes_are_told_together(port25: Port25) -> None:
    """Until there are notifications the whole message is refused; who took it has it."""
    port25.mark("you", junk=True)
    client = await port25.connect()
    reply = await port25.send(client, 451, "4.3.0", "me@example.org", "you@example.org")
    assert reply.text == "error processing (id1)"
    assert len(await port25.court.messages()) == 1
    assert len(await port25.court.messages("Rejects", "you")) == 1


async def test_unknown_recipients_cost_no_judgement(port25: Port25) -> None:
    client = await port25.connect()
    await port25.send(client, 550, "5.1.1", "nobody@example.org")
    await port25.send(client, 250, "2.2.0")


async def test_refused_mail_counts_against_the_connection(port25: Port25) -> None:
    port25.mark(junk=True)
    client = await port25.connect()
    for _ in range(11):
        await port25.send(client, 451, "4.3.0")
    await client.say("MAIL FROM:<friend@sender.example>", 550, "5.1.0")
    await client.expect_end()


async def test_after_starttls_the_connection_is_another(port25: Port25) -> None:
    client = await port25.house.connect(
        ip=IP,
        judging=port25.court.judging,
        clock=port25.court.clock,
        directory=ConfigDirectory(port25.court.live),
        spool_folder=port25.court.folder,
        tls=BoundTLS(),
    )
    await client.say("EHLO other.example", 250)
    await client.say("MAIL FROM:<friend@sender.example>", 250, "2.1.0")
    await client.say("STARTTLS", 220, "2.0.0")
    await client.say("EHLO mx.sender.example", 250)
    await port25.send(client, 250, "2.2.0")
    assert (await port25.court.verdict()).tls.startswith("TLS1.3")


async def test_a_client_that_leaves_leaves_nothing(port25: Port25) -> None:
    for step in range(4):
        client = await port25.connect()
        if step > 0:
            await client.say("MAIL FROM:<friend@sender.example>", 250, "2.1.0")
            await client.say("RCPT TO:<me@example.org>", 250, "2.1.0")
        if step > 1:
            await client.say("DATA", 354)
        if step > 2:
            await client.send(message() * 100)
            await client.settle()
        client.wire.vanish()
    # The fixture looks for tasks and files.
