"""What judging is made of: resolvers, limits and lists from the configuration."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from support.judging import STATIC, Caller, message
from support.localnames import local_names

from mox.base.clock import SystemClock
from mox.base.log import get_logger
from mox.config.live import Live, Target
from mox.config.load import load
from mox.config.lookup import find_recipient
from mox.config.static import DNS
from mox.imapserver.derive import derive
from mox.inbound.deliver import Delivery, Recipient
from mox.inbound.judged import Hearing, Outcome
from mox.inbound.receive import Receiver
from mox.inbound.trace import Arrival
from mox.inbound.verdict import decode
from mox.reports.keeper import open_reports
from mox.runtime.accounts import Accounts
from mox.runtime.judging import Judges, make_resolver, rate_limits, resolver_settings
from mox.smtp.address import parse_address
from mox.smtp.command import Hello
from mox.smtpserver.errors import reply_to
from mox.store import verdicts
from mox.store.serverdata import memory_server_data
from mox.store.shard import memory_shard

DOMAINS = """\
[domains."example.org"]
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
"""


def test_resolvers_of_the_configuration() -> None:
    found = resolver_settings(
        DNS(resolvers=("192.0.2.1", "192.0.2.2:5353", "[2001:db8::1]:53", "2001:db8::2"))
    )
    assert found.servers == ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2")
    assert dict(found.ports) == {
        "192.0.2.1": 53, "192.0.2.2": 5353, "2001:db8::1": 53, "2001:db8::2": 53,
    }  # fmt: skip
    assert not found.is_trusted
    assert resolver_settings(DNS(resolvers=("192.0.2.1",), trusted=True)).is_trusted
    assert resolver_settings(DNS(resolvers=("127.0.0.1:5353", "::1"))).is_trusted
    assert resolver_settings(DNS()).servers


async def test_a_resolver_with_a_port_of_its_own() -> None:
    resolver = make_resolver(DNS(resolvers=(local_names(),)), SystemClock())
    try:
        answer = await resolver.a("anything.example")
        assert answer.records == (ipaddress.IPv4Address("127.0.0.1"),)
    finally:
        await resolver.close()


def test_limits_of_the_configuration() -> None:
    text = STATIC + "[rate_limits]\nmessages_per_minute = [1, 2, 3]\nbytes_per_day = [4, 5, 6]\n"
    limits = rate_limits(load(text, DOMAINS).static)
    assert limits.messages_per_minute == (1, 2, 3)
    assert limits.bytes_per_day == (4, 5, 6)
    assert limits.messages_per_day == (10_000, 30_000, 90_000)


class Place:
    """A worker's judges over a shard and a database in memory."""

    def __init__(self, folder: Path, static: str) -> None:
        self.folder = folder
        self.live = Live(load(static, DOMAINS))
        self.shard = memory_shard(folder, derive)
        self.accounts = Accounts(self.shard, self.live)
        self.data = memory_server_data()
        self.judges: Judges | None = None

    async def open(self) -> Judges:
        reports = await open_reports(self.data)
        clock = SystemClock()
        self.resolver = make_resolver(self.live.config.static.dns, clock)
        self.judges = Judges(self.live, self.accounts, self.shard, clock, reports, self.resolver)
        return self.judges

    async def close(self) -> None:
        if self.judges is not None:
            await self.resolver.close()
            await self.judges.reports.close()
        await self.data.close()
        self.accounts.close()
        await self.shard.close()

    async def send(self) -> list[Outcome]:
        judges = self.judges or await self.open()
        listener = self.live.config.static.listeners["public"]
        evidence = judges.of_listener(listener, "mail.example.org").connected("127.0.0.1", tls=True)
        try:
            evidence.said_hello(Hello("client.example"), extended=True)
            sender = parse_address("friend@sender.example")
            evidence.began(sender)
            receiver = Receiver(self.folder, 1 << 30, evidence)
            await receiver.write(message())
            to = parse_address("me@example.org")
            target = find_recipient(self.live.config, to.localpart, to.domain)
            assert isinstance(target, Target)
            delivery = Delivery(
                arrival=Arrival(
                    hostname="mail.example.org", id="id1", hello="client.example",
                    remote_ip="127.0.0.1", local_ip="127.0.0.1", extended=True, tls="TLS1.3 X",
                    authenticated=False, smtputf8=False, received_ms=SystemClock().now_ms(),
                ),
                sender=sender,
                recipients=[Recipient(address=to, target=target)],
                received=await receiver.finish(),
            )  # fmt: skip
            hearing = Hearing(
                pause=asyncio.sleep,
                first_time_delay_s=0,
                reply_to=reply_to,
                log=get_logger("test"),
                client=Caller(),
            )
            return await evidence.deliver(delivery, hearing)
        finally:
            await evidence.close()


@pytest.fixture
async def places() -> AsyncIterator[list[Place]]:
    made: list[Place] = []
    yield made
    for place in made:
        await place.close()


async def test_a_message_is_judged_with_what_is_configured(
    tmp_path: Path, places: list[Place]
) -> None:
    static = STATIC + f'[dns]\nresolvers = ["{local_names()}"]\n[verdicts]\nkeep_days = 7\n'
    place = Place(tmp_path, static)
    places.append(place)
    (outcome,) = await place.send()
    assert outcome.reply.code == 250
    assert place.shard.tidier.verdict_days == 7
    account = await place.accounts.account("me")
    (kept,) = await verdicts.find(account, limit=10)
    verdict = decode(kept)
    assert verdict.remote_name == "client.example"
    assert [one.result for one in verdict.checks if one.check == "spf"] == ["pass"]


async def test_nothing_is_remembered_where_nothing_shall_be(
    tmp_path: Path, places: list[Place]
) -> None:
    static = STATIC + f'[dns]\nresolvers = ["{local_names()}"]\n[verdicts]\nkeep_days = 0\n'
    place = Place(tmp_path, static)
    places.append(place)
    await place.send()
    assert await verdicts.find(await place.accounts.account("me"), limit=10) == []


async def test_lists_in_any_spelling(tmp_path: Path, places: list[Place]) -> None:
    static = STATIC.replace("no_starttls", 'dnsbls = ["bl.example", "bücher.example"]\nno_starttls')
    place = Place(tmp_path, static + f'[dns]\nresolvers = ["{local_names()}"]\n')
    places.append(place)
    await place.send()
    verdict = decode((await verdicts.find(await place.accounts.account("me"), limit=1))[0])
    asked = [one.asked for one in verdict.checks if one.check == "dnsbl"]
    assert asked == ["bl.example", "xn--bcher-kva.example"]
    assert msgspec.structs.asdict(verdict)["accepted"]
