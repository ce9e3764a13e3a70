"""The resolver over a dict."""

import ipaddress

import pytest

from mox.dns.base import BadName, Bogus, Kind, Mx, NotFound, Resolver, Srv, Temporary, Tlsa
from mox.dns.zones import Zones

IP = ipaddress.ip_address


async def test_every_kind_of_record() -> None:
    zones: Resolver = Zones(
        {
            "A.example": {
                "A": ["192.0.2.1"],
                "AAAA": ["2001:db8::1"],
                "MX": ["10 mx.A.example.", "0 ."],
                "TXT": ["v=spf1 -all", b"\xff"],
                "NS": ["ns.example"],
                "SRV": ["1 2 143 imap.example"],
                "TLSA": ["3 1 1 abcd"],
            },
            "2001:db8::1": {"PTR": ["a.example"]},
            "w.example": {"CNAME": ["a.example"]},
        }
    )
    assert (await zones.a("w.EXAMPLE.")).records == (IP("192.0.2.1"),)
    assert (await zones.a("w.example")).name == "a.example"
    assert (await zones.aaaa("a.example")).records == (IP("2001:db8::1"),)
    assert (await zones.addresses("a.example")).records == (IP("192.0.2.1"), IP("2001:db8::1"))
    assert (await zones.mx("a.example")).records == (Mx(10, "mx.a.example"), Mx(0, ""))
    assert (await zones.txt("a.example")).records == (b"v=spf1 -all", b"\xff")
    assert (await zones.ns("a.example")).records == ("ns.example",)
    assert (await zones.srv("a.example")).records == (Srv(1, 2, 143, "imap.example"),)
    assert (await zones.tlsa("a.example")).records == (Tlsa(3, 1, 1, b"\xab\xcd"),)
    assert (await zones.ptr(IP("2001:db8::1"))).records == ("a.example",)
    assert (await zones.cname("w.example")).records == ("a.example",)


async def test_absences_failures_and_loops() -> None:
    zones = Zones(
        {
            "a.example": {"A": ["192.0.2.1"]},
            "loop.example": {"CNAME": ["loop.example"]},
        },
        temporary=["slow.example", "a.example TXT"],
        bogus=["bad.example"],
    )
    with pytest.raises(NotFound) as empty:
        await zones.mx("a.example")
    assert not empty.value.is_nxdomain
    with pytest.raises(NotFound) as gone:
        await zones.cname("gone.example")
    assert gone.value.is_nxdomain
    for name in ("slow.example", "a.example", "loop.example"):
        with pytest.raises(Temporary):
            await zones.txt(name)
    with pytest.raises(Bogus):
        await zones.a("bad.example")
    with pytest.raises(BadName):
        await zones.a("a..example")
    assert zones.asked[0] == ("a.example", Kind.MX)


async def test_addresses_of_one_family_are_enough() -> None:
    zones = Zones(
        {"four.example": {"A": ["192.0.2.1"]}, "none.example": {"TXT": ["x"]}},
        temporary=["half.example AAAA", "four.example AAAA"],
        authentic=True,
    )
    found = await zones.addresses("four.example")
    assert found.records == (IP("192.0.2.1"),)
    assert not found.authentic  # what failed might have been forged
    with pytest.raises(NotFound) as missing:
        await zones.addresses("none.example")
    assert missing.value.authentic
    assert not missing.value.is_nxdomain
    with pytest.raises(Temporary):
        await zones.addresses("half.example")


async def test_a_chain_is_authentic_as_a_whole() -> None:
    zones = Zones(
        {"w.example": {"CNAME": ["a.example"]}, "a.example": {"A": ["192.0.2.1"]}},
        authentic=["a.example"],
    )
    assert (await zones.a("a.example")).authentic
    assert not (await zones.a("w.example")).authentic


def test_a_bad_zone_is_told() -> None:
    with pytest.raises(ValueError, match="is not a valid Kind"):
        Zones({"a.example": {"SPF": ["x"]}})
    with pytest.raises(ValueError, match="192"):
        Zones({"a.example": {"A": ["192.0.2.999"]}})
