"""Evidence: each question as soon as it can be asked, within its time, and nothing left running."""

import asyncio
import base64
import ipaddress
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.base.limits import HEADER_PARSE
from mox.dns.base import Answer, Kind, Lookups, NotFound, Record
from mox.dns.zones import Zones
from mox.inbound.context import Asking, TimeLimits
from mox.inbound.evidence import Evidence
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.mailauth.dkim.verify import Status as DKIMStatus
from mox.mailauth.dmarc.evaluate import FromAlignment
from mox.mailauth.dnsbl import HealthBook
from mox.mailauth.publicsuffix import listed
from mox.smtp.address import NULL_PATH, Address
from mox.smtp.command import Hello

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
ZONES: dict[str, Any] = {
    "198.51.100.7": {"PTR": ["mx.sender.example"]},
    "mx.sender.example": {"A": ["198.51.100.7"]},
    "sender.example": {"TXT": ["v=spf1 a:mx.sender.example -all"]},
    "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]},
    "s._domainkey.sender.example": {"TXT": [f"v=DKIM1; k=ed25519; p={PUBLIC}"]},
    "1.0.0.127.bl.example": {},
    "2.0.0.127.bl.example": {"A": ["127.0.0.2"]},
    "7.100.51.198.bl.example": {"A": ["127.0.0.4"], "TXT": ["spam seen"]},
}
SENDER = Address("friend", "sender.example")
BODY = b"".join(b"line %d of the body \r\n" % number for number in range(500)) + b"\r\n\r\n"
PLAIN = b"From: friend@sender.example\r\nSubject: x\r\n\r\n" + BODY


def signed(message: bytes = PLAIN) -> bytes:
    key = SigningKey(domain="sender.example", selector="s", private=KEY)
    return sign(message, [key], now_s=1_700_000_000) + message


def evidence(resolver: Any, *, dnsbls: tuple[str, ...] = (), **limits: float) -> Evidence:
    asking = Asking(
        resolver=resolver,
        clock=FrozenClock(),
        suffixes=listed(),
        hostname="mail.example.org",
        dnsbls=dnsbls,
        health=HealthBook(),
        limits=TimeLimits(**limits),
    )
    found = Evidence(asking, "198.51.100.7", tls=True)
    found.said_hello(Hello("mx.sender.example"), extended=True)
    return found


def feed(found: Evidence, message: bytes, piece: int = 7) -> None:
    header, end, body = message.partition(b"\r\n\r\n")
    found.header_arrived(header + end)
    for start in range(0, len(body), piece):
        found.body(body[start : start + piece])


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def nothing_runs() -> Any:
    yield
    assert asyncio.all_tasks() == {asyncio.current_task()}


class Stuck(Lookups):
    """Answers nothing, ever, to what is named; ``Zones`` answers the rest."""

    def __init__(self, zones: dict[str, Any], *names: str) -> None:
        self.zones = Zones(zones)
        self.names = names
        self.begun: list[str] = []

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        self.begun.append(name)
        if any(one in name for one in self.names):
            await asyncio.Event().wait()
        return await self.zones.query(name, kind)


async def test_each_question_is_asked_when_its_input_is_there() -> None:
    zones = Zones(ZONES)
    found = evidence(zones, dnsbls=("bl.example",))
    await settle()
    asked = {name for name, _ in zones.asked}
    assert "7.100.51.198.in-addr.arpa" in asked
    assert "7.100.51.198.bl.example" in asked
    assert "sender.example" not in asked
    zones.asked.clear()
    found.began(SENDER)
    await settle()
    assert ("sender.example", Kind.TXT) in zones.asked
    assert not [name for name, _ in zones.asked if "_domainkey" in name or "_dmarc" in name]
    zones.asked.clear()
    found.header_arrived(signed().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    await settle()
    assert ("s._domainkey.sender.example", Kind.TXT) in zones.asked
    assert ("_dmarc.sender.example", Kind.TXT) in zones.asked
    await found.close()


async def test_what_is_found() -> None:
    found = evidence(Zones(ZONES), dnsbls=("bl.example", "other.example"))
    found.began(SENDER)
    feed(found, signed())
    origin = await found.origin(0.5)
    assert origin.iprev.facts.name == "mx.sender.example"
    assert await found.reverse_name() == "mx.sender.example"
    assert (await found.spf()).status == "pass"
    assert [one.status for one in origin.dkim.facts] == [DKIMStatus.PASS]
    assert origin.dmarc is not None
    assert origin.dmarc.facts.status == "pass"
    assert origin.alignment is FromAlignment.STRICT
    assert origin.validation == "strict"
    assert origin.from_validated
    sender = origin.sender
    assert sender.dkim_domains == ("sender.example",)
    assert (sender.ip1, sender.ip2, sender.ip3) == ("198.51.100.7", "198.51.100.0", "198.51.96.0")
    assert (sender.ehlo_domain, sender.ehlo_validated) == ("mx.sender.example", False)
    assert sender.mail_from_validated
    # Up to the first list that lists the client.
    assert [one.facts.zone for one in await found.listed()] == ["bl.example"]
    await found.close()


@pytest.mark.parametrize("piece", [1, 80, 100_000])
async def test_a_body_is_hashed_however_it_is_cut(piece: int) -> None:
    found = evidence(Zones(ZONES))
    found.began(SENDER)
    feed(found, signed(), piece)
    assert [one.status for one in (await found.origin(0.5)).dkim.facts] == [DKIMStatus.PASS]
    found.began(SENDER)
    feed(found, signed().replace(b"line 7", b"line 8"), piece)
    assert [one.status for one in (await found.origin(0.5)).dkim.facts] == [DKIMStatus.FAIL]
    await found.close()


async def test_what_is_of_the_connection_is_asked_once() -> None:
    zones = Zones(ZONES)
    found = evidence(zones, dnsbls=("bl.example",))
    for _ in range(3):
        found.began(SENDER)
        feed(found, PLAIN)
        await found.origin(0.5)
        await found.listed()
        found.forget()
    names = [name for name, _ in zones.asked]
    assert names.count("7.100.51.198.in-addr.arpa") == 1
    assert names.count("7.100.51.198.bl.example") == 2  # its address, then its text
    assert names.count("sender.example") == 3
    await found.close()


@pytest.mark.parametrize("name", ["in-addr.arpa", "sender.example", "_domainkey", "_dmarc", "bl."])
async def test_a_question_without_answer_is_a_finding(name: str) -> None:
    """Late answers: each check has its time, and the others do not suffer."""
    late = evidence(Stuck(ZONES, name), dnsbls=("bl.example",), check_s=0.05, dnsbl_s=0.05)
    late.began(SENDER)
    feed(late, signed())
    async with asyncio.timeout(30):
        origin = await late.origin(0.5)
        lists = await late.listed()
    by_name = {
        "in-addr.arpa": (origin.iprev.facts.status, origin.iprev.problem),
        "_domainkey": (origin.dkim.facts[0].status, origin.dkim.problem),
        "bl.": (lists[0].facts.status, lists[0].problem),
    }
    assert origin.dmarc is not None
    if name == "sender.example":
        assert (origin.spf.facts.status, origin.spf.problem) == ("temperror", "timeout")
        assert origin.spf.facts.domain == "sender.example"
    elif name == "_dmarc":
        assert origin.dmarc.facts.status == "temperror"
        assert not origin.dmarc.facts.rejects
    else:
        assert by_name.pop(name) == ("temperror", "timeout")
    if name != "sender.example":  # everything is below it
        assert origin.spf.facts.status == "pass"
        assert not [problem for status, problem in by_name.values() if problem and name != "_dmarc"]
    await late.close()


class Broken(Lookups):
    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        raise ZeroDivisionError


async def test_a_check_that_fails_is_a_finding_and_counted() -> None:
    before = metrics.unhandled_total()
    found = evidence(Broken(), dnsbls=("bl.example",))
    found.began(SENDER)
    feed(found, signed())
    origin = await found.origin(0.5)
    assert origin.iprev.problem == origin.spf.problem == "internal error"
    assert origin.spf.facts.status == "temperror"
    assert [one.status for one in origin.dkim.facts] == [DKIMStatus.TEMPERROR]
    assert metrics.unhandled_total() == before + 5
    await found.close()


async def test_a_transaction_that_ends_is_asked_about_no_more() -> None:
    stuck = Stuck(ZONES, "sender.example")
    found = evidence(stuck)
    for _ in range(20):
        found.began(SENDER)
        feed(found, signed())
        await settle()
        found.forget()
    await found.close()
    # ``nothing_runs`` looks.
    assert stuck.begun.count("sender.example") == 20


@pytest.mark.rfc("3207 §4.2")
async def test_after_starttls_everything_is_said_anew() -> None:
    found = evidence(Zones(ZONES))
    found.began(SENDER)
    found.now_encrypted()
    found.said_hello(Hello("[198.51.100.7]"), extended=True)
    found.began(NULL_PATH)
    feed(found, PLAIN)
    origin = await found.origin(0.5)
    assert origin.encrypted
    assert origin.sender.ehlo_domain == ""
    # RFC 7208 §2.4: HELO where the path is empty; an address literal is no name.
    assert (origin.spf.facts.identity, origin.spf.facts.status) == ("helo", "none")
    await found.close()


async def test_a_header_that_was_cut_proves_nothing() -> None:
    filling = b"".join(b"X-%d: %s\r\n" % (number, b"y" * 900) for number in range(1200))
    raw = signed(PLAIN)
    header = raw[: raw.index(b"From: ")] + filling + raw[raw.index(b"From: ") :]
    assert len(header) > HEADER_PARSE
    found = evidence(Zones(ZONES))
    found.began(SENDER)
    found.header_arrived(header[:HEADER_PARSE])
    found.body(b"z")
    origin = await found.origin(0.5)
    assert not any(one.is_pass for one in origin.dkim.facts)
    await found.close()


async def test_a_hundred_signatures_are_not_a_hundred_questions() -> None:
    fields = b"".join(
        signed().partition(b"From:")[0].replace(b"s=s;", b"s=s%d;" % number)
        for number in range(100)
    )
    zones = Zones(ZONES)
    found = evidence(zones)
    found.began(SENDER)
    feed(found, fields + PLAIN)
    origin = await found.origin(0.5)
    assert len(origin.dkim.facts) == 20
    assert origin.skipped_signatures == 80
    assert len([name for name, _ in zones.asked if "_domainkey" in name]) == 20
    await found.close()


class Flood(Lookups):
    """Answers with as much as fits."""

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        records: tuple[Record, ...]
        match kind:
            case Kind.PTR:
                records = tuple(f"h{number}.sender.example" for number in range(500))
            case Kind.A:
                records = tuple(ipaddress.IPv4Address(number) for number in range(500))
            case Kind.TXT:
                records = tuple(b"v=spf1 " + b"a " * 30_000 for _ in range(500))
            case _:
                raise NotFound
        return Answer(records=records, name=name, authentic=False, ttl=0)


async def test_huge_answers_prove_nothing() -> None:
    found = evidence(Flood(), dnsbls=("bl.example",))
    found.began(SENDER)
    feed(found, signed())
    async with asyncio.timeout(60):
        origin = await found.origin(0.5)
        lists = await found.listed()
    assert origin.iprev.facts.status == "fail"
    assert len(origin.iprev.facts.names) == 10
    assert origin.spf.facts.status == "permerror"
    assert not origin.from_validated
    assert lists[0].facts.status == "temperror"
    await found.close()
