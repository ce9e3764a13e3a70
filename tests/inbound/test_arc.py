"""Chains of seals: looked at beside the other questions, told, and without effect on the decision."""

import asyncio
from typing import Any

import pytest
from support.arccorpus import HANDS, chain, sealed, texts
from support.judging import GOOD_ZONES, Court

from mox.base.clock import FrozenClock
from mox.base.limits import ARC_KEYS
from mox.dns.base import Answer, Kind, Record
from mox.dns.zones import Zones
from mox.inbound.context import Asking, TimeLimits
from mox.inbound.evidence import Evidence, Origin
from mox.mailauth.dnsbl import HealthBook
from mox.mailauth.publicsuffix import listed
from mox.smtp.address import Address
from mox.smtp.command import Hello

ZONES: dict[str, Any] = {**GOOD_ZONES, **{name: {"TXT": one} for name, one in texts().items()}}
FROM_FRIEND = b"From: friend@sender.example\r\nTo: me@example.org\r\nSubject: x\r\n\r\nhello\r\n"
CHANGED = (b"\r\nhello", b"\r\nhullo")
pytestmark = pytest.mark.rfc("8617 §5.2")


class Stuck(Zones):
    """Never answers for keys."""

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        if "_domainkey" in name:
            await asyncio.Event().wait()
        return await super().query(name, kind)


async def origin_of(resolver: Zones, message: bytes, piece: int = 7) -> Origin:
    """What is found of a message."""
    asking = Asking(
        resolver=resolver,
        clock=FrozenClock(),
        suffixes=listed(),
        hostname="mail.example.org",
        health=HealthBook(),
        limits=TimeLimits(check_s=0.05 if isinstance(resolver, Stuck) else 60.0),
    )
    found = Evidence(asking, "198.51.100.7", tls=True)
    found.said_hello(Hello("mx.sender.example"), extended=True)
    found.began(Address("friend", "sender.example"))
    header, end, body = message.partition(b"\r\n\r\n")
    found.header_arrived(header + end)
    for start in range(0, len(body), piece):
        found.body(body[start : start + piece])
    try:
        async with asyncio.timeout(30):
            return await found.origin(0.5)
    finally:
        await found.close()


@pytest.mark.parametrize("piece", [1, 100])
@pytest.mark.parametrize("count", [1, 3])
async def test_chains_are_judged_however_they_arrive(count: int, piece: int) -> None:
    zones = Zones(ZONES)
    origin = await origin_of(zones, chain(count), piece)
    assert origin.arc.facts.result.status == "pass"
    assert origin.arc.facts.sealers == HANDS[:count]
    changed = await origin_of(zones, chain(count).replace(b"Hello", b"Hullo"), piece)
    assert changed.arc.facts.result.status == "fail"
    assert changed.arc.facts.result.reason == (
        f"message signature {count}: body hash does not match"
    )
    assert changed.arc.facts.sealers == HANDS[:count]


async def test_a_message_without_seals_is_not_asked_about() -> None:
    zones = Zones(ZONES)
    origin = await origin_of(zones, FROM_FRIEND)
    assert origin.arc.facts.result.status == "none"
    assert not [name for name, _ in zones.asked if "_domainkey" in name]


async def test_a_chain_shares_the_time_of_the_others_and_fails_without_keys() -> None:
    origin = await origin_of(Stuck(ZONES), chain(2))
    assert origin.arc.problem == "timeout"
    assert origin.arc.facts.result.status == "fail"
    assert "key unavailable: timeout" in origin.arc.facts.result.reason
    assert origin.spf.facts.status == "pass"


async def test_a_long_chain_is_not_a_hundred_questions() -> None:
    message = chain(ARC_KEYS // 2)
    zones = Zones(ZONES)
    assert (await origin_of(zones, message)).arc.facts.result.status == "pass"
    # Each hand with one key more.
    for _ in range(ARC_KEYS // 2):
        message = sealed(message, signature={"s": "rsa1024"})
    zones = Zones(ZONES)
    origin = await origin_of(zones, message)
    assert (origin.arc.facts.result.status, origin.arc.facts.result.reason) == (
        "fail",
        "too many keys",
    )
    assert not [name for name, _ in zones.asked if "_domainkey" in name]


async def test_what_is_found_is_told(make_court: Any) -> None:
    court: Court = make_court(resolver=Zones(ZONES))
    await court.one(chain(2, FROM_FRIEND))
    kept = (await court.messages())[0]
    assert "arc=pass (2 sealed) smtp.remote-ip=198.51.100.7 header.oldest-pass=0" in kept.field(
        "Authentication-Results"
    )
    (line,) = [one for one in (await court.verdict()).checks if one.check == "arc"]
    assert (line.asked, line.result, line.note) == (
        "hand1.example.org hand2.example.org",
        "pass",
        "",
    )


async def test_a_broken_chain_is_told_and_nothing_follows(make_court: Any) -> None:
    court: Court = make_court(resolver=Zones(ZONES))
    outcome = await court.one(chain(1, FROM_FRIEND).replace(*CHANGED))
    kept = (await court.messages())[0]
    said = kept.field("Authentication-Results")
    assert 'arc=fail reason="message signature 1: body hash does not match"' in said
    verdict = await court.verdict()
    (line,) = [one for one in verdict.checks if one.check == "arc"]
    assert (line.asked, line.result) == ("hand1.example.org", "fail")
    plain: Court = make_court(resolver=Zones(ZONES))
    await plain.one(FROM_FRIEND)
    without = await plain.verdict()
    assert (verdict.accepted, verdict.reason) == (without.accepted, without.reason)
    assert [one for one in without.checks if one.check == "arc"] == []
    assert outcome is not None
