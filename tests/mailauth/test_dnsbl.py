"""DNS lists."""

import ipaddress
from typing import Any

import pytest

from mox.base.limits import DNSBL_HEALTH_S, DNSBL_TEXT, DNSBL_ZONES
from mox.dns.zones import Zones
from mox.mailauth import dnsbl
from mox.mailauth.dnsbl import HealthBook, Status

ip = ipaddress.ip_address
WELL: dict[str, Any] = {"2.0.0.127.list.example": {"A": ["127.0.0.2"]}}


@pytest.mark.rfc("5782 §2.4")
def test_where_a_list_keeps_an_address() -> None:
    assert dnsbl.query_name("List.example.", ip("192.0.2.99")) == "99.2.0.192.list.example"
    assert dnsbl.query_name("l.example", ip("::ffff:192.0.2.9")) == "9.2.0.192.l.example"
    wanted = "1.0.b.c." + "0." * 20 + "8.b.d.0.1.0.0.2.l.example"
    assert dnsbl.query_name("l.example", ip("2001:db8::cb01")) == wanted


@pytest.mark.rfc("5782 §2.1")
@pytest.mark.parametrize(
    ("addresses", "wanted"),
    [
        (["127.0.0.2"], Status.FAIL),
        (["127.0.0.4", "127.255.255.254"], Status.FAIL),
        (["127.255.255.254"], Status.TEMPERROR),  # asked by way of a public resolver
        (["203.0.113.7"], Status.TEMPERROR),  # the zone was parked
    ],
)
async def test_what_counts_as_listed(addresses: list[str], wanted: Status) -> None:
    zones = Zones({"1.2.0.192.list.example": {"A": addresses}})
    result = await dnsbl.lookup(zones, "List.example.", ip("192.0.2.1"))
    assert result.status is wanted
    assert result.zone == "list.example"
    assert bool(result.codes) is (wanted is Status.FAIL)


async def test_not_listed_and_not_answered() -> None:
    zones = Zones({}, temporary=["2.2.0.192.list.example"])
    assert (await dnsbl.lookup(zones, "list.example", ip("192.0.2.1"))).status is Status.PASS
    failed = await dnsbl.lookup(zones, "list.example", ip("192.0.2.2"))
    assert failed.status is Status.TEMPERROR
    assert failed.problem
    bad = await dnsbl.lookup(zones, "no..zone", ip("192.0.2.1"))
    assert bad.status is Status.TEMPERROR


@pytest.mark.rfc("5782 §2.2")
async def test_the_explanation_is_cleaned() -> None:
    text = b"see http://list.example/?ip=192.0.2.1\r\n\xff" + b"x" * 1000
    zones = Zones({"1.2.0.192.list.example": {"A": ["127.0.0.2"], "TXT": [text]}})
    explanation = (await dnsbl.lookup(zones, "list.example", ip("192.0.2.1"))).explanation
    assert explanation.startswith("see http://list.example/?ip=192.0.2.1???x")
    assert len(explanation) == DNSBL_TEXT


@pytest.mark.rfc("5782 §5")
async def test_health() -> None:
    assert (await dnsbl.check_health(Zones(WELL), "list.example")).is_healthy
    gone = await dnsbl.check_health(Zones({}), "list.example")
    assert not gone.is_healthy
    all_listed = {**WELL, "1.0.0.127.list.example": {"A": ["127.0.0.2"]}}
    assert not (await dnsbl.check_health(Zones(all_listed), "list.example")).is_healthy
    trouble = Zones({}, temporary=["1.0.0.127.list.example", "2.0.0.127.list.example"])
    found = await dnsbl.check_health(trouble, "list.example")
    assert found.is_healthy
    assert found.problem


async def test_health_is_remembered_for_four_hours() -> None:
    book = HealthBook()
    well, gone = Zones(WELL), Zones({})
    assert (await book.check(well, "list.example", 100.0)).is_healthy
    assert (await book.check(gone, "LIST.example.", 100.0 + DNSBL_HEALTH_S - 1)).is_healthy
    assert gone.asked == []
    assert not (await book.check(gone, "list.example", 100.0 + DNSBL_HEALTH_S)).is_healthy


async def test_few_lists_are_remembered() -> None:
    book = HealthBook()
    zones = Zones({})
    for n in range(DNSBL_ZONES + 1):
        await book.check(zones, f"l{n}.example", 0.0)
    asked = len(zones.asked)
    await book.check(zones, f"l{DNSBL_ZONES}.example", 0.0)
    assert len(zones.asked) == asked
    await book.check(zones, "l0.example", 0.0)
    assert len(zones.asked) > asked


async def test_a_list_that_is_unwell_says_nothing() -> None:
    listed: dict[str, Any] = {"1.2.0.192.list.example": {"A": ["127.0.0.2"]}}
    for zones, wanted in (({**WELL, **listed}, Status.FAIL), (listed, Status.TEMPERROR)):
        result = await dnsbl.lookup_healthy(
            Zones(zones), HealthBook(), "list.example", ip("192.0.2.1"), 0.0
        )
        assert result.status is wanted
