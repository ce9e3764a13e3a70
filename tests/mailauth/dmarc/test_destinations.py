"""Who gets aggregate reports."""

import pytest

from mox.base.limits import DMARC_DESTINATIONS
from mox.dns.zones import Zones
from mox.mailauth.dmarc.destinations import Destinations, find_destinations, mail_destination
from mox.mailauth.dmarc.record import ReportUri, parse_record
from mox.mailauth.publicsuffix import ListedSuffixes

SUFFIXES = ListedSuffixes(["example"])


async def find(rua: str, resolver: Zones, domain: str = "a.example") -> Destinations:
    uris = parse_record(f"v=DMARC1; p=none; rua={rua}".encode()).aggregate
    return await find_destinations(resolver, domain, uris, SUFFIXES)


def addresses(found: Destinations) -> list[str]:
    return [str(one.address) for one in found.accepted]


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("mailto:a@b.example", "a@b.example"),
        ("MAILTO:A@B.example?subject=x", "A@b.example"),
        ("mailto:a%2Bb@b.example", "a+b@b.example"),
        ("mailto:a@xn--bcher-kva.example", "a@xn--bcher-kva.example"),
        ("mailto:%61@b%C3%BCcher.example", "a@xn--bcher-kva.example"),
        ("mailto:a@b.example%0D%0Ax", None),
        ("mailto:a@b.example%2Cc@d.example", None),
        ("mailto:%FF@b.example", None),
        ("mailto:a@[192.0.2.1]", None),
        ("mailto:%C3%BC@b.example", None),
        ("mailto:postmaster", None),
        ("mailto:", None),
        ("https://b.example/", None),
    ],
)
def test_mailto(uri: str, address: str | None) -> None:
    found = mail_destination(ReportUri(uri=uri))
    assert (None if found is None else str(found.address)) == address


async def test_the_domains_own_organisation_needs_not_agree() -> None:
    resolver = Zones({})
    found = await find("mailto:a@a.example!10m,mailto:b@x.a.example", resolver, "y.a.example")
    assert addresses(found) == ["a@a.example", "b@x.a.example"]
    assert [one.max_size for one in found.accepted] == [10 << 20, None]
    assert resolver.asked == []


@pytest.mark.rfc("7489 §7.1")
async def test_others_must_agree() -> None:
    resolver = Zones(
        {
            "s.a.example._report._dmarc.b.example": {"TXT": ["other", "v=DMARC1"]},
            "s.a.example._report._dmarc.c.example": {"TXT": ["v=DMARC1;"]},
            "a.example._report._dmarc.d.example": {"TXT": ["v=DMARC1"]},  # of another domain
            "s.a.example._report._dmarc.e.example": {"TXT": ["no"]},
        }
    )
    rua = ",".join(f"mailto:r@{host}.example" for host in "bcdef")
    found = await find(rua, resolver, "s.a.example")
    assert addresses(found) == ["r@b.example", "r@c.example"]
    assert found.problems == tuple(
        f"{host}.example does not take reports about s.a.example" for host in "def"
    )
    assert not found.is_temporary


async def test_a_host_may_name_another_address_of_its_own() -> None:
    name = "a.example._report._dmarc.b.example"
    resolver = Zones(
        {
            name: {
                "TXT": [
                    "v=DMARC1; rua=mailto:x@b.example!1k,mailto:y@evil.example,https://b.example/",
                    "v=DMARC1; rua=mailto:z@b.example",
                    "v=DMARC1",
                ]
            }
        }
    )
    found = await find("mailto:r@b.example,mailto:r@a.example", resolver)
    assert addresses(found) == ["x@b.example", "z@b.example", "r@a.example"]
    assert found.accepted[0].max_size == 1024
    assert found.problems == ("b.example: another host is named instead: evil.example",)


async def test_a_host_that_names_only_others_gets_them_at_the_address_asked_about() -> None:
    resolver = Zones(
        {"a.example._report._dmarc.b.example": {"TXT": ["v=DMARC1; rua=mailto:y@evil.example"]}}
    )
    assert addresses(await find("mailto:r@b.example", resolver)) == ["r@b.example"]


async def test_who_cannot_be_asked() -> None:
    resolver = Zones({}, temporary=["a.example._report._dmarc.b.example"])
    found = await find("mailto:r@b.example,mailto:r@a.example", resolver)
    assert addresses(found) == ["r@a.example"]
    assert found.is_temporary
    assert "cannot be asked now" in found.problems[0]


async def test_an_address_counts_once_and_few_are_asked() -> None:
    resolver = Zones({})
    found = await find("mailto:r@a.example!1k,mailto:r@A.example", resolver)
    assert [one.max_size for one in found.accepted] == [1024]
    rua = ",".join(f"mailto:r@b{number}.example" for number in range(50))
    found = await find(rua, resolver)
    assert len(resolver.asked) == DMARC_DESTINATIONS
    assert len(found.problems) == DMARC_DESTINATIONS
