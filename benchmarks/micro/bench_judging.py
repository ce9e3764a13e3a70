"""Judging one message of 4 KB: everything on but DNS, and what it costs to store it without."""

import asyncio
import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pytest_benchmark.fixture import BenchmarkFixture
from support.judging import DOMAINS, GOOD_ZONES, IP, Court, message

from mox.base import log
from mox.dns.zones import Zones
from mox.inbound.deliver import Delivery, deliver
from mox.inbound.receive import Receiver
from mox.inbound.storeknowledge import StoreKnowledge
from mox.inbound.trace import Arrival
from mox.junk.reputation import Sender
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.runtime.delivery import StoreDeliverer
from mox.smtp.address import parse_address
from mox.store.rates import Limits

KEY = generate_private_key(65537, 2048)
PUBLIC = base64.b64encode(
    KEY.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
).decode()
NAMES: dict[str, Any] = {
    **GOOD_ZONES,
    "s._domainkey.sender.example": {"TXT": [f"v=DKIM1; p={PUBLIC}"]},
    "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]},
}
PLAIN = message(body="some words of text here and there\r\n" * 110)
RAW = (
    sign(
        PLAIN,
        [SigningKey(domain="sender.example", selector="s", private=KEY)],
        now_s=1_700_000_000,
    )
    + PLAIN
)
FILTERED = DOMAINS.replace(
    '[accounts.me.destinations."me@example.org"]',
    '[accounts.me.junk_filter]\n[accounts.me.destinations."me@example.org"]',
)
NO_LIMITS = (1 << 50, 1 << 50, 1 << 50)
HISTORY = 2000  # marked messages of other senders


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    log.configure("error")
    made = asyncio.new_event_loop()
    yield made
    made.close()
    log.configure()


@pytest.fixture
def court(tmp_path: Path, loop: asyncio.AbstractEventLoop) -> Iterator[Court]:
    limits = Limits(
        messages_per_minute=NO_LIMITS,
        messages_per_day=NO_LIMITS,
        bytes_per_minute=NO_LIMITS,
        bytes_per_day=NO_LIMITS,
    )

    async def make() -> Court:
        made = Court(
            tmp_path, domains=FILTERED, resolver=Zones(NAMES), knowledge=StoreKnowledge(limits)
        )
        for number in range(HISTORY):
            other = Sender(
                from_localpart=f"u{number}",
                from_domain=f"d{number % 50}.example",
                from_org_domain=f"d{number % 50}.example",
                from_validated=True,
                ip1="203.0.113.1",
                ip2="203.0.113.0",
                ip3="203.0.112.0",
            )
            await made.remember(other, junk=number % 2 == 0)
        await made.learnt()
        return made

    made = loop.run_until_complete(make())
    yield made
    loop.run_until_complete(made.close())


def run(
    benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, once: Callable[[], Any]
) -> None:
    benchmark(lambda: loop.run_until_complete(once()))


def test_a_stranger(
    benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, court: Court
) -> None:
    """iprev, SPF, DKIM, DMARC, reputation, words; accepted and stored."""

    async def once() -> None:
        assert (await court.one(RAW)).reply.code == 250

    run(benchmark, loop, once)


def test_a_friend(
    benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, court: Court
) -> None:
    """History decides: no words are looked at."""
    friend = Sender(
        from_localpart="friend",
        from_domain="sender.example",
        from_org_domain="sender.example",
        from_validated=True,
    )
    loop.run_until_complete(court.remember(friend, junk=False))
    loop.run_until_complete(court.learnt())

    async def once() -> None:
        assert (await court.one(RAW)).reply.code == 250

    run(benchmark, loop, once)


def test_without_judging(
    benchmark: BenchmarkFixture, loop: asyncio.AbstractEventLoop, court: Court
) -> None:
    """The same message stored as it comes."""
    deliverer = StoreDeliverer(court.accounts)

    async def once() -> None:
        receiver = Receiver(court.folder, 1 << 30)
        await receiver.write(RAW)
        arrival = Arrival(
            hostname="mail.example.org", id="id1", hello="mx.sender.example", remote_ip=IP,
            local_ip="192.0.2.1", extended=True, tls="", authenticated=False, smtputf8=False,
            received_ms=court.clock.now_ms(),
        )  # fmt: skip
        delivery = Delivery(
            arrival=arrival,
            sender=parse_address("friend@sender.example"),
            recipients=[court.recipient("me@example.org")],
            received=await receiver.finish(),
        )
        assert await deliver(deliverer, delivery) == [None]

    run(benchmark, loop, once)
