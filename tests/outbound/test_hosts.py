"""The hosts of a domain, and what DNS says of their certificates."""

import asyncio

import pytest

from mox.dns.base import Answer, Mx
from mox.dns.zones import Zones
from mox.outbound import hosts as hosts_module
from mox.outbound.hosts import NoHosts, find_hosts
from mox.outbound.tlsa import find_tlsa
from mox.tlspolicy.choose import DaneState

GOOD = "3 1 1 " + "ab" * 32
UNUSABLE = "0 0 1 " + "ab" * 32


def as_it_is(names: list[str]) -> None:
    pass


@pytest.mark.rfc("5321 §5.1")
async def test_by_preference() -> None:
    zones = Zones({"example.org": {"MX": ["20 c.example", "10 b.example", "10 a.example"]}})
    found = await find_hosts(zones, "example.org", lambda names: names.reverse())
    assert found.hosts == ("b.example", "a.example", "c.example")
    assert (found.implicit, found.authentic, found.expanded) == (False, False, "example.org")


@pytest.mark.rfc("5321 §5.1")
async def test_without_mx_the_domain_itself() -> None:
    zones = Zones({"example.org": {"A": ["192.0.2.1"]}}, authentic=True)
    found = await find_hosts(zones, "example.org", as_it_is)
    assert (found.hosts, found.implicit, found.authentic) == (("example.org",), True, True)


async def test_the_mx_of_the_end_of_aliases() -> None:
    zones = Zones(
        {
            "example.org": {"CNAME": ["other.example"]},
            "other.example": {"MX": ["1 mx.other.example"]},
        }
    )
    found = await find_hosts(zones, "example.org", as_it_is)
    assert (found.hosts, found.expanded) == (("mx.other.example",), "other.example")


@pytest.mark.rfc("7505 §4.2")
async def test_a_domain_that_takes_no_mail() -> None:
    zones = Zones({"example.org": {"MX": ["0 ."]}})
    with pytest.raises(NoHosts, match="does not accept mail") as caught:
        await find_hosts(zones, "example.org", as_it_is)
    assert caught.value.permanent
    assert caught.value.reply is not None
    assert caught.value.reply.enhanced == "5.1.10"


async def test_dns_that_fails_is_no_verdict() -> None:
    zones = Zones({"example.org": {"MX": ["1 mx.example.org"]}}, temporary=["example.org"])
    with pytest.raises(NoHosts) as caught:
        await find_hosts(zones, "example.org", as_it_is)
    assert not caught.value.permanent


async def test_an_endless_alias_is_no_verdict() -> None:
    zones = Zones({"a.example": {"CNAME": ["b.example"]}, "b.example": {"CNAME": ["a.example"]}})
    with pytest.raises(NoHosts) as caught:
        await find_hosts(zones, "a.example", as_it_is)
    assert not caught.value.permanent


class Odd(Zones):
    """MX records as no zone has them."""

    def __init__(self, *records: Mx) -> None:
        super().__init__({})
        self._odd = records

    async def mx(self, name: str) -> Answer[Mx]:
        return Answer(records=self._odd, name=name, authentic=False, ttl=1)


async def test_names_that_are_none_are_left_out() -> None:
    zones = Odd(Mx(1, "mx..example"), Mx(2, "192.0.2.1"), Mx(3, ""), Mx(4, "under_score.example"))
    found = await find_hosts(zones, "example.org", as_it_is)
    assert found.hosts == ("under_score.example",)
    with pytest.raises(NoHosts) as caught:
        await find_hosts(Odd(Mx(1, "192.0.2.1")), "example.org", as_it_is)
    assert caught.value.permanent
    many = Odd(*(Mx(n, f"mx{n}.example") for n in range(100)))
    assert len((await find_hosts(many, "example.org", as_it_is)).hosts) == 20


async def test_a_name_that_is_none() -> None:
    with pytest.raises(NoHosts) as caught:
        await find_hosts(Zones({}), "a..b", as_it_is)
    assert caught.value.permanent


async def test_a_look_up_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(Zones):
        async def mx(self, name: str) -> Answer[Mx]:
            await asyncio.Event().wait()
            raise AssertionError

    monkeypatch.setattr(hosts_module, "OUTBOUND_LOOKUP", 0.01)
    with pytest.raises(NoHosts, match="too long") as caught:
        await find_hosts(Slow({}), "example.org", as_it_is)
    assert not caught.value.permanent


ZONE = {
    "example.org": {"MX": ["1 mx.example.org"]},
    "mx.example.org": {"A": ["192.0.2.1"]},
    "_25._tcp.mx.example.org": {"TLSA": [GOOD]},
}


async def tlsa_of(zones: Zones, host: str = "mx.example.org") -> tuple[DaneState, tuple[str, ...]]:
    destination = await find_hosts(zones, "example.org", as_it_is)
    found = await find_tlsa(zones, destination, host, await zones.addresses(host))
    return found.state, found.names


@pytest.mark.rfc("7672 §2.2")
@pytest.mark.parametrize(
    ("authentic", "expected"),
    [
        (True, DaneState.RECORDS),
        (False, DaneState.NONE),
        # One link of the way that nobody vouches for is enough.
        (("example.org", "mx.example.org"), DaneState.NONE),
        (("example.org", "_25._tcp.mx.example.org"), DaneState.NONE),
        (("mx.example.org", "_25._tcp.mx.example.org"), DaneState.NONE),
    ],
)
async def test_only_what_is_vouched_for_counts(
    authentic: bool | tuple[str, ...], expected: DaneState
) -> None:
    state, _ = await tlsa_of(Zones(ZONE, authentic=authentic))
    assert state is expected


async def test_records_that_cannot_be_used() -> None:
    zone = {**ZONE, "_25._tcp.mx.example.org": {"TLSA": [UNUSABLE]}}
    assert (await tlsa_of(Zones(zone, authentic=True)))[0] is DaneState.UNUSABLE


@pytest.mark.rfc("7672 §2.1.2")
async def test_a_look_up_that_fails_does_not_mean_none() -> None:
    for trouble in (
        {"temporary": ["_25._tcp.mx.example.org"]},
        {"bogus": ["_25._tcp.mx.example.org"]},
    ):
        zones = Zones(ZONE, authentic=True, **trouble)
        assert (await tlsa_of(zones))[0] is DaneState.FAILED


@pytest.mark.rfc("7672 §3.2.2")
async def test_names_of_the_server() -> None:
    assert (await tlsa_of(Zones(ZONE, authentic=True)))[1] == ("mx.example.org", "example.org")
    zone = {
        "example.org": {"CNAME": ["exp.example"]},
        "exp.example": {"MX": ["1 mx.example.org"]},
        "mx.example.org": {"CNAME": ["real.example"]},
        "real.example": {"A": ["192.0.2.1"]},
        "_25._tcp.real.example": {"TLSA": [GOOD]},
        "_25._tcp.mx.example.org": {"TLSA": [UNUSABLE]},
    }
    state, names = await tlsa_of(Zones(zone, authentic=True))
    assert state is DaneState.RECORDS
    assert names == ("real.example", "mx.example.org", "example.org", "exp.example")
    implicit = {"example.org": {"CNAME": ["real.example"]}, "real.example": zone["real.example"]}
    implicit["_25._tcp.example.org"] = {"TLSA": [GOOD]}
    zones = Zones(implicit, authentic=True)
    assert await tlsa_of(zones, "example.org") == (DaneState.RECORDS, ("example.org",))


@pytest.mark.rfc("7672 §2.2.2")
async def test_an_alias_into_a_zone_that_is_not_signed() -> None:
    zone = {
        "example.org": {"MX": ["1 mx.example.org"]},
        "mx.example.org": {"CNAME": ["cdn.example"]},
        "cdn.example": {"A": ["192.0.2.1"]},
        "_25._tcp.mx.example.org": {"TLSA": [GOOD]},
        "_25._tcp.cdn.example": {"TLSA": [UNUSABLE]},
    }
    signed = ["example.org", "mx.example.org", "_25._tcp.mx.example.org"]
    assert (await tlsa_of(Zones(zone, authentic=signed)))[0] is DaneState.RECORDS
    without = ["example.org", "_25._tcp.mx.example.org"]
    assert (await tlsa_of(Zones(zone, authentic=without)))[0] is DaneState.NONE
