"""Forward-confirmed reverse DNS."""

import ipaddress
from typing import Any

import pytest

from mox.base.limits import IPREV_NAMES
from mox.dns.zones import Zones
from mox.mailauth import iprev
from mox.mailauth.iprev import Status

IP = ipaddress.ip_address("192.0.2.1")
GOOD = {"A": ["192.0.2.1"]}
OTHER = {"A": ["203.0.113.1"]}


@pytest.mark.rfc("8601 §3")
@pytest.mark.parametrize(
    ("zones", "failing", "wanted"),
    [
        ({}, [], Status.PERMERROR),
        ({}, ["192.0.2.1"], Status.TEMPERROR),
        ({"192.0.2.1": {"PTR": ["a.example"]}, "a.example": OTHER}, [], Status.FAIL),
        ({"192.0.2.1": {"PTR": ["a.example"]}}, [], Status.FAIL),
        ({"192.0.2.1": {"PTR": ["a.example"]}}, ["a.example"], Status.TEMPERROR),
        ({"192.0.2.1": {"PTR": ["a..example"]}}, [], Status.FAIL),
        (
            {"192.0.2.1": {"PTR": ["a.x", "b.x", "c.x"]}, "a.x": OTHER, "b.x": GOOD, "c.x": GOOD},
            ["c.x"],
            Status.PASS,
        ),
        (
            {"192.0.2.1": {"PTR": ["a.x", "b.x"]}, "b.x": GOOD},
            ["a.x"],
            Status.PASS,
        ),
    ],
)
async def test_status(zones: dict[str, Any], failing: list[str], wanted: Status) -> None:
    result = await iprev.evaluate(Zones(zones, temporary=failing), IP)
    assert result.status is wanted
    assert (result.name == "b.x") is (wanted is Status.PASS)
    assert bool(result.problem) is (wanted is not Status.PASS)


async def test_the_names_of_an_address_are_limited() -> None:
    names = [f"h{n}.example" for n in range(IPREV_NAMES + 1)]
    zones = Zones({"192.0.2.1": {"PTR": names}, names[-1]: GOOD})
    result = await iprev.evaluate(zones, IP)
    assert result.status is Status.FAIL
    assert len(zones.asked) == IPREV_NAMES + 1


async def test_the_family_of_the_address_is_asked_for() -> None:
    zones = Zones(
        {
            "2001:db8::1": {"PTR": ["a.example"]},
            "192.0.2.1": {"PTR": ["a.example"]},
            "a.example": {"AAAA": ["2001:db8::1"], "A": ["192.0.2.1"]},
        },
        authentic=True,
    )
    for ip in ("2001:db8::1", "::ffff:192.0.2.1"):
        result = await iprev.evaluate(zones, ipaddress.ip_address(ip))
        assert (result.status, result.name, result.authentic) == (Status.PASS, "a.example", True)
