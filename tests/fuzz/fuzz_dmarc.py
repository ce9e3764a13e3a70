"""DMARC: any text is a record or refused, any header has one author or none; nothing else is raised."""

import asyncio

from mox.dns.zones import Zones
from mox.mailauth.dmarc.destinations import find_destinations
from mox.mailauth.dmarc.evaluate import author_domain, evaluate, look_up, method
from mox.mailauth.publicsuffix import ListedSuffixes
from mox.message.authresults import AuthResults, format_field
from mox.message.envelope import BadFrom
from mox.smtp.address import parse_address

TARGET_NAME: str = "dmarc"
SEEDS = (
    b"v=DMARC1; p=reject; sp=none; rua=mailto:a@b!10m,https://x; ruf=x; adkim=s; ri=1; fo=1; pct=5",
    b"From: A <a@x.example>\r\nFrom: b@y.example\r\n\r\n",
    b"From: a@xn--bcher-kva.example\r\n\r\n",
)
_SUFFIXES = ListedSuffixes(["example"])


def run(data: bytes) -> None:
    """As a record, and as a header section."""
    asyncio.run(_judge(data))


async def _judge(data: bytes) -> None:
    try:
        author = author_domain(data)
    except BadFrom:
        author = "x.example"
    if not author.isascii() or author != author.lower():
        raise AssertionError("an author that is no A-label")
    resolver = Zones({"_dmarc.x.example": {"TXT": [data]}})
    found = await look_up(resolver, "x.example", _SUFFIXES)
    result = evaluate(found, "x.example", None, (), _SUFFIXES, chance=0.0)
    if result.rejects and b"DMARC1" not in data:
        raise AssertionError("rejected without a policy")
    await look_up(resolver, author, _SUFFIXES)
    uris = () if found.record is None else found.record.aggregate
    for one in (await find_destinations(resolver, "x.example", uris, _SUFFIXES)).accepted:
        if parse_address(str(one.address)) != one.address:
            raise AssertionError("an address that is none")
    field = format_field(AuthResults(host="h", methods=(method(result),)))
    if field.count(b"\n") != field.count(b"\r\n\t") + 1:
        raise AssertionError("a line of the field belongs to nobody")
