"""Messages made to cost much, or to be taken for something else."""

import asyncio
import base64
from collections.abc import Callable
from typing import Any

import pytest
from support.judging import DOMAINS, GOOD_ZONES, IP, Court, message

from mox.base.limits import DKIM_SIGNATURES
from mox.dns.zones import Zones
from mox.inbound.storeknowledge import StoreKnowledge
from mox.junk.reputation import Sender
from mox.store.rates import Limits

FILTERED = DOMAINS.replace(
    '[accounts.me.destinations."me@example.org"]',
    "[accounts.me.junk_filter]\ntwograms = true\nthreegrams = true\n"
    '[accounts.me.destinations."me@example.org"]',
)


@pytest.fixture
async def court(make_court: Callable[..., Court]) -> Court:
    return make_court(domains=FILTERED, knowledge=StoreKnowledge(Limits()))


def multiparts(depth: int) -> str:
    opened = "".join(
        f'Content-Type: multipart/mixed; boundary="{number}"\r\n\r\n--{number}\r\n'
        for number in range(depth)
    )
    return opened + "Content-Type: text/plain\r\n\r\ndeep\r\n"


def messages(depth: int) -> str:
    return "Content-Type: message/rfc822\r\n\r\n" * depth + "From: x\r\n\r\ndeep\r\n"


def encoded(depth: int) -> str:
    inner = b"Content-Type: text/plain\r\n\r\n" + b"word " * 100_000
    for _ in range(depth):
        lines = base64.encodebytes(inner).replace(b"\n", b"\r\n")
        inner = b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n" + lines
    return inner.decode()


BOMBS = {
    "multiparts in multiparts": multiparts(20_000),
    "messages in messages": messages(20_000),
    "encoded messages in encoded messages": encoded(4),
    "a hundred thousand parts": 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    + "--b\r\n\r\nx\r\n" * 100_000,
    "html without end": "Content-Type: text/html\r\n\r\n" + "<a href='" * 200_000,
    "one long word": "Content-Type: text/plain\r\n\r\n" + "x" * 3_000_000,
    "many different words": "Content-Type: text/plain\r\n\r\n"
    + " ".join(f"word{chr(97 + n % 26)}{chr(97 + n // 26 % 26)}{n:x}" for n in range(300_000)),
    "parameters": "Content-Type: text/plain" + "; a*0*=x" * 50_000 + "\r\n\r\nx",
    "nested comments": "Content-Type: text/plain (" + "(" * 200_000 + "\r\n\r\nx",
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
async def test_mime_bombs_are_judged_like_others(court: Court, bomb: str) -> None:
    async with asyncio.timeout(120):
        outcome = await court.one(
            f"From: friend@sender.example\r\nTo: me@example.org\r\n{bomb}".encode()
        )
    assert outcome.reply.code == 250
    verdict = await court.verdict()
    assert verdict.content is not None
    assert len(await court.messages()) == 1


@pytest.mark.parametrize(
    "field",
    [
        "To: " + ", ".join(f"user{number}@example.org" for number in range(500_000)),
        "Cc: " + "g:" * 300_000,
        "To: " + "(" * 500_000,
        'To: "' + "\\" * 1_000_000,
        "Subject: " + "=?utf-8?q?=41?= " * 60_000,
        "Subject: " + "(pass:" * 100_000,
        "References: " + "<a@b> " * 200_000,
        "X-Long: " + "x" * 5_000_000,
    ],
    ids=lambda field: field[:20],
)
async def test_headers_without_end(court: Court, field: str) -> None:
    async with asyncio.timeout(120):
        outcome = await court.one(message(field))
    assert outcome.reply.code == 250
    assert len(await court.messages()) == 1


async def test_many_fields(court: Court) -> None:
    async with asyncio.timeout(120):
        outcome = await court.one(message(*(f"X-{number}: y" for number in range(100_000))))
    assert outcome.reply.code == 250


async def test_signatures_by_the_hundred(make_court: Callable[..., Court]) -> None:
    """Few are looked at, few are told of, and none makes a pass of nothing."""
    zones = Zones(GOOD_ZONES)
    court = make_court(resolver=zones)
    digest = base64.b64encode(bytes(32)).decode()
    fields = [
        f"DKIM-Signature: v=1; a=rsa-sha256; d=d{number}.example; s=s; h=from:subject;"
        f" bh={digest}; b={digest}"
        for number in range(100)
    ]
    await court.one(message(*fields))
    kept = (await court.messages())[0]
    results = kept.field("Authentication-Results")
    assert results.count("dkim=permerror") == DKIM_SIGNATURES
    assert "dkim=pass" not in results
    assert kept.facts.sender.dkim_domains == ()
    assert len([name for name, _ in zones.asked if "_domainkey" in name]) == DKIM_SIGNATURES
    notes = [line.note for line in (await court.verdict()).checks if line.check == "dkim"]
    assert notes[-1] == "95 more signatures"


FRIEND = Sender(
    from_localpart="friend",
    from_domain="sender.example",
    from_org_domain="sender.example",
    from_validated=True,
)


@pytest.mark.parametrize(
    "fields",
    [
        ("From: friend@sender.example", "From: evil@evil.example"),
        ("From: evil@evil.example", "from: friend@sender.example"),
        ("From: evil@evil.example, friend@sender.example",),
        ("From: friends: friend@sender.example, evil@evil.example;",),
        ("From: <evil@evil.example> <friend@sender.example>",),
        ("From: evil@evil.example", "From : friend@sender.example"),
        ("From: friend@sender.example" + " " * 20_000 + "<evil@evil.example>",),
    ],
)
async def test_nobody_borrows_a_friend(court: Court, fields: tuple[str, ...]) -> None:
    """Whom the user trusts must be the one author, or nobody is."""
    await court.remember(FRIEND, junk=False)
    await court.learnt()
    await court.one(message(*fields), sender="evil@evil.example")
    verdict = await court.verdict()
    assert verdict.reason not in ("msgfromfull", "msgtofull")
    assert verdict.author == ""


@pytest.mark.parametrize(
    "author",
    [
        "fri\u0435nd@sender.example",  # Cyrillic e
        "friend@s\u0435nder.example",
        "friend@sender.ex\u0430mple",
        "friend@sender\u2024example",  # one dot leader
        "FRIEND@sender.example",
        '"friend@sender.example" <evil@evil.example>',
        "=?utf-8?q?friend=40sender.example?= <evil@evil.example>",
    ],
)
async def test_nobody_looks_like_a_friend(court: Court, author: str) -> None:
    await court.remember(FRIEND, junk=False)
    await court.learnt()
    await court.one(message(author=author), sender="evil@evil.example", smtputf8=True)
    verdict = await court.verdict()
    assert verdict.reason not in ("msgfromfull", "msgtofull", "msgfromdomain")


@pytest.mark.parametrize(
    "names",
    [
        # The owner of an address says that it is somebody else's.
        {IP: {"PTR": ["mx.bank.example"]}, "mx.bank.example": {"A": ["192.0.2.99"]}},
        # SPF by a name that leads in circles, or to everybody.
        {"sender.example": {"TXT": ["v=spf1 include:sender.example ?all"]}},
        {"sender.example": {"TXT": ["v=spf1 redirect=sender.example"]}},
        {"sender.example": {"CNAME": ["a.example"]}, "a.example": {"CNAME": ["sender.example"]}},
        {"sender.example": {"TXT": ["v=spf1 exists:%{l1r+-/,_=}%{i}%{h}%{p}.sender.example ?all"]}},
        {"sender.example": {"TXT": [b"v=spf1 \xff\xfe ?all"]}},
        # Policies that are none, or two.
        {"_dmarc.sender.example": {"TXT": ["v=DMARC1; p=none; rua=" + "x" * 20_000]}},
        {"_dmarc.sender.example": {"TXT": ["v=DMARC1; p=none", "v=DMARC1; p=none"]}},
    ],
    ids=str,
)
async def test_answers_that_lie_prove_nothing(
    make_court: Callable[..., Court], names: dict[str, Any]
) -> None:
    court = make_court(resolver=Zones({**GOOD_ZONES, **names}))
    async with asyncio.timeout(60):
        await court.one(message())
    verdict = await court.verdict()
    results = {line.check: line.result for line in verdict.checks}
    if IP in names:
        assert results["iprev"] == "fail"
        assert verdict.remote_name == ""
    elif "sender.example" in names:
        assert results["spf"] != "pass"
    else:
        assert results["dmarc"] in ("none", "permerror")
