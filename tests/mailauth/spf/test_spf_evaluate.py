"""Evaluation beyond the project's suite: counting, look-ups, hostile senders and records."""

import ipaddress
from typing import Any

import pytest

from mox.base.limits import SPF_EXPLANATION, SPF_NAMES
from mox.dns.base import BadName, Kind, NotFound, Resolver, Temporary
from mox.dns.zones import Zones
from mox.mailauth.spf import (
    Identity,
    RecordError,
    Result,
    Sender,
    Status,
    evaluate,
    format_received_spf,
    lookup,
)

IP = ipaddress.ip_address


async def check(
    zones: Resolver | dict[str, Any],
    *,
    ip: str = "192.0.2.1",
    localpart: str = "x",
    domain: str = "a.example",
    helo: str = "mx.example.org",
) -> Result:
    resolver = Zones(zones) if isinstance(zones, dict) else zones
    sender = Sender(ip=IP(ip), helo=helo, localpart=localpart, domain=domain)
    return await evaluate(resolver, sender, receiver="me.example", now_s=1700000000)


def record(*terms: str) -> dict[str, list[str]]:
    return {"TXT": ["v=spf1 " + " ".join(terms)]}


async def test_a_pass_says_what_decided() -> None:
    result = await check({"a.example": {**record("a", "-all"), "A": ["192.0.2.1"]}})
    assert result.status is Status.PASS
    assert result.mechanism == "a"
    assert result.identity is Identity.MAILFROM
    assert result.domain == "a.example"
    assert result.lookups == 1
    assert result.problem == ""


async def test_no_match_is_neutral_by_default() -> None:
    result = await check({"a.example": record("ip4:203.0.113.1")})
    assert (result.status, result.mechanism) == (Status.NEUTRAL, "default")


@pytest.mark.rfc("7208 §2.4")
async def test_the_null_sender_is_checked_by_helo() -> None:
    zones = Zones(
        {
            "mx.example.org": record("exists:%{l}.%{o}"),
            "postmaster.mx.example.org": {"A": ["127.0.0.2"]},
        }
    )
    result = await check(zones, domain="", localpart="ignored")
    assert result.status is Status.PASS
    assert result.identity is Identity.HELO
    assert result.domain == "mx.example.org"


@pytest.mark.rfc("7208 §4.3")
@pytest.mark.parametrize(
    "helo",
    [
        "[192.0.2.1]",
        "[IPv6:2001:db8::1]",
        "192.0.2.1",
        "localhost",
        "",
        ".",
        "a..b",
        "x" * 64 + ".a",
    ]
    + ["::ffff:192.0.2.1", "a.example..", "bücher.example", "a." * 130],
)
async def test_what_is_no_domain_has_no_policy(helo: str) -> None:
    zones = Zones({})
    assert (await check(zones, domain="", helo=helo)).status is Status.NONE
    assert zones.asked == []


@pytest.mark.rfc("7208 §4.6.4")
@pytest.mark.parametrize(
    ("terms", "wanted"),
    [
        (["a:v1.example", "a:v2.example", "ip4:192.0.2.1"], Status.PASS),
        (["a:v1.example", "a:v2.example", "a:a.example", "-all"], Status.PASS),
        (["a:v1.example", "a:v2.example", "a:v3.example", "+all"], Status.PERMERROR),
        (["exists:v1.example", "mx:v2.example", "mx", "+all"], Status.PERMERROR),
        (["a:v1.example", "a:v2.example", "exp=v3.example", "-all"], Status.FAIL),
    ],
)
async def test_only_the_third_void_lookup_is_an_error(terms: list[str], wanted: Status) -> None:
    result = await check({"a.example": {**record(*terms), "A": ["192.0.2.1"]}})
    assert result.status is wanted


@pytest.mark.rfc("7208 §4.6.4")
async def test_a_redirect_counts_as_a_lookup() -> None:
    zones = Zones({"a.example": record("redirect=a.example")})
    result = await check(zones)
    assert result.status is Status.PERMERROR
    assert result.problem == "too many dns lookups"
    assert len(zones.asked) == 11


@pytest.mark.rfc("7208 §4.6.4")
@pytest.mark.parametrize("terms", [["include:a.example"], ["include:b.example"]])
async def test_a_loop_of_includes_ends(terms: list[str]) -> None:
    zones = Zones({"a.example": record(*terms), "b.example": record("include:a.example")})
    result = await check(zones)
    assert result.status is Status.PERMERROR
    assert result.mechanism == terms[0]
    assert len(zones.asked) == 11


@pytest.mark.rfc("7208 §4.6.4")
@pytest.mark.parametrize(
    ("at", "wanted"), [(1, Status.PASS), (10, Status.PASS), (11, Status.PERMERROR)]
)
async def test_ten_mail_exchangers_are_tried(at: int, wanted: Status) -> None:
    zones: dict[str, Any] = {
        f"mx{n}.a.example": {"A": ["192.0.2.1" if n == at else "203.0.113.1"]} for n in range(1, 12)
    }
    zones["a.example"] = {
        **record("mx", "-all"),
        # The order of the answer is chance; the preference is not.
        "MX": [f"{n} mx{n}.a.example" for n in reversed(range(1, 12))],
    }
    assert (await check(zones)).status is wanted


@pytest.mark.rfc("7208 §5.4")
async def test_mx_compares_with_a_prefix() -> None:
    zones = {
        "a.example": {**record("mx/30", "-all"), "MX": ["10 mx.a.example"]},
        "mx.a.example": {"A": ["192.0.2.2"]},
    }
    assert (await check(zones)).status is Status.PASS
    assert (await check(zones, ip="192.0.2.4")).status is Status.FAIL


@pytest.mark.rfc("7208 §5.5")
async def test_ten_names_of_an_address_are_looked_at() -> None:
    names = [f"h{n}.a.example" for n in range(1, 12)]
    zones: dict[str, Any] = {name: {"A": ["203.0.113.1"]} for name in names}
    zones["192.0.2.1"] = {"PTR": names}
    zones["a.example"] = record("ptr", "-all")
    zones[names[10]] = {"A": ["192.0.2.1"]}
    assert (await check(zones)).status is Status.FAIL
    zones[names[9]] = {"A": ["192.0.2.1"]}
    resolver = Zones(zones)
    assert (await check(resolver)).status is Status.PASS
    assert sum(kind is Kind.A for _, kind in resolver.asked) == SPF_NAMES


@pytest.mark.rfc("7208 §5.5")
async def test_ptr_looks_at_names_within_the_target_and_ignores_errors() -> None:
    zones = {
        "192.0.2.1": {"PTR": ["bad-a.example", "slow.a.example", "ok.a.example"]},
        "bad-a.example": {"A": ["192.0.2.1"]},
        "ok.a.example": {"A": ["192.0.2.1"]},
        "a.example": record("ptr:a.example", "-all"),
    }
    resolver = Zones(zones, temporary=["slow.a.example"])
    assert (await check(resolver)).status is Status.PASS
    assert ("bad-a.example", Kind.A) not in resolver.asked
    failing = Zones(zones, temporary=["1.2.0.192.in-addr.arpa"])
    assert (await check(failing)).status is Status.FAIL


@pytest.mark.parametrize("name", ["a.example", "i.example", "x.example"])
async def test_a_failing_lookup_is_temporary(name: str) -> None:
    zones = {
        "a.example": record("include:i.example", "-all"),
        "i.example": record("a:x.example"),
        "x.example": {"A": ["192.0.2.1"]},
    }
    result = await check(Zones(zones, temporary=[name]))
    assert result.status is Status.TEMPERROR
    assert result.explanation == ""


@pytest.mark.rfc("7208 §5.2")
async def test_an_include_without_record_is_an_error() -> None:
    result = await check({"a.example": record("include:none.example", "+all")})
    assert result.status is Status.PERMERROR
    assert "none.example" in result.problem


@pytest.mark.rfc("7208 §4.8")
async def test_every_domain_spec_is_expanded() -> None:
    zones = {
        "a.example": record("mx:%{l}.example", "ptr:%{l}.example", "a:%{o}.x.%{l}.example", "-all"),
        "a.example.x.x.example": {"A": ["192.0.2.1"]},
    }
    assert (
        await check({**zones, "x.example": {"MX": ["0 ."]}, "192.0.2.1": {"PTR": ["q.z"]}})
    ).status is (Status.PASS)


@pytest.mark.rfc("7208 §4.6.4")
async def test_the_macro_p_counts_as_a_lookup() -> None:
    zones = {
        "a.example": record("exists:%{p}.example", "-all"),
        "192.0.2.1": {"PTR": ["h.a.example"]},
    }
    result = await check({**zones, "h.a.example": {"A": ["192.0.2.1"]}})
    assert result.status is Status.FAIL
    assert result.lookups == 2


@pytest.mark.rfc("7208 §7.3")
@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["other.net", "h.a.example", "a.example"], "a.example"),
        (["other.net", "h.a.example"], "h.a.example"),
        (["other.net"], "other.net"),
        (["forged.example"], "unknown"),
        ([], "unknown"),
    ],
)
async def test_which_name_p_is(names: list[str], wanted: str) -> None:
    zones: dict[str, Any] = {
        name: {"A": ["192.0.2.1"]} for name in ("other.net", "h.a.example", "a.example")
    }
    zones["forged.example"] = {"A": ["203.0.113.1"]}
    zones["a.example"] |= record("-all", "exp=why.example")
    zones["why.example"] = {"TXT": ["you are %{p}"]}
    if names:
        zones["192.0.2.1"] = {"PTR": names}
    assert (await check(zones)).explanation == f"you are {wanted}"


@pytest.mark.rfc("7208 §6.2")
@pytest.mark.parametrize(
    ("texts", "wanted"),
    [
        (
            ["your ip %{i} is not allowed at %{r}, %{t}"],
            "your ip 192.0.2.1 is not allowed at me.example, 1700000000",
        ),
        (["one", "two"], ""),
        (["%{z}"], ""),
        ([b"\xc3\xa9"], ""),
        (["%{l}"], ""),  # what the sender wrote is no printable text
        (["x" * 2000], "x" * SPF_EXPLANATION),
        (["%{s}" * 4000], ""),
    ],
)
async def test_the_explanation(texts: list[str | bytes], wanted: str) -> None:
    zones = {"a.example": record("-all", "exp=why.%{d}"), "why.a.example": {"TXT": texts}}
    assert (await check(zones, localpart="evil\r\nline")).explanation == wanted


@pytest.mark.rfc("7208 §6.2")
async def test_only_a_fail_is_explained_and_not_by_an_include() -> None:
    zones = {
        "a.example": record("include:b.example", "~all", "exp=why.example"),
        "b.example": record("-all", "exp=why.example"),
        "c.example": record("-include:d.example", "exp=none.example"),
        "d.example": record("+all", "exp=why.example"),
        "why.example": {"TXT": ["because"]},
    }
    assert (await check(zones)).explanation == ""
    failed = await check(zones, domain="c.example")
    assert (failed.status, failed.explanation) == (Status.FAIL, "")


@pytest.mark.rfc("7208 §5")
async def test_a_mapped_address_is_an_ipv4_address() -> None:
    zones = {"a.example": record("ip6:::ffff:192.0.2.0/120", "ip4:192.0.2.0/24", "-all")}
    result = await check(zones, ip="::ffff:192.0.2.1")
    assert result.mechanism == "ip4:192.0.2.0/24"
    assert (await check(zones, ip="2001:db8::1")).status is Status.FAIL


@pytest.mark.rfc("8616 §4")
async def test_a_localpart_that_is_not_ascii_matches_nothing() -> None:
    zones = {
        "a.example": record("exists:%{l}.x.example", "include:%{L}.example", "a:b.example", "-all"),
        "b.example": {"A": ["192.0.2.1"]},
    }
    assert (await check(zones, localpart="bücher")).status is Status.PASS


@pytest.mark.rfc("7208 §4.8")
@pytest.mark.parametrize("localpart", ["a..b", "x" * 64, "."])
async def test_a_sender_cannot_choose_an_error(localpart: str) -> None:
    zones = {"a.example": record("exists:%{l}.x.example", "-all")}
    assert (await check(zones, localpart=localpart)).status is Status.FAIL


async def test_macro_bombs_end() -> None:
    zones = {"a.example": record("exists:" + "%{s}" * 3000, "-all")}
    assert (await check(zones, localpart="x" * 128)).status is Status.PERMERROR
    truncated = Zones({"a.example": record("exists:" + "%{o}." * 100 + "x.example", "-all")})
    assert (await check(truncated)).status is Status.FAIL
    assert len(truncated.asked[1][0]) <= 253


async def test_authentic_needs_every_answer() -> None:
    zones = {
        "a.example": record("a:b.example", "-all"),
        "b.example": {"A": ["192.0.2.1"]},
    }
    assert (await check(Zones(zones, authentic=True))).authentic
    assert not (await check(Zones(zones, authentic=["a.example"]))).authentic
    void = {"a.example": record("a:none.example", "-all")}
    assert (await check(Zones(void, authentic=True))).authentic
    assert not (await check(Zones(void, authentic=["a.example"]))).authentic


class Hints(Zones):
    """Notes what is prefetched."""

    def __init__(self, zones: dict[str, Any]) -> None:
        super().__init__(zones)
        self.hints: list[tuple[str, Kind]] = []

    def prefetch(self, name: str, kind: Kind) -> None:
        self.hints.append((name, kind))


async def test_lookups_are_begun_up_to_the_term_that_will_match() -> None:
    terms = [
        "a",
        "include:b.example",
        "mx",
        "exists:%{i}.example",
        "ptr",
        "ip4:192.0.2.0/24",
        "a:z.example",
    ]
    resolver = Hints({"a.example": {**record(*terms), "A": ["192.0.2.1"]}})
    assert (await check(resolver)).status is Status.PASS
    assert resolver.hints == [("b.example", Kind.TXT), ("a.example", Kind.MX)]


async def test_no_more_lookups_are_begun_than_may_be_made() -> None:
    zones: dict[str, Any] = {
        "a.example": {**record(*(f"include:i{n}.example" for n in range(20))), "A": ["192.0.2.9"]}
    }
    for n in range(20):
        zones[f"i{n}.example"] = record(*(f"a:x{m}.example" for m in range(20)))
    resolver = Hints(zones)
    assert (await check(resolver)).status is Status.PERMERROR
    assert len(resolver.hints) == 9


async def test_the_record_alone() -> None:
    zones = Zones(
        {
            "a.example": {"TXT": ["other", "v=spf1 -all"]},
            "two.example": {"TXT": ["v=spf1", "v=spf1"]},
            "none.example": {"TXT": ["v=spf10"]},
        },
        temporary=["slow.example"],
    )
    found = await lookup(zones, "a.example")
    assert found is not None
    assert str(found.records[0]) == "v=spf1 -all"
    assert await lookup(zones, "none.example") is None
    assert await lookup(zones, "gone.example") is None
    for name, error in (
        ("two.example", RecordError),
        ("slow.example", Temporary),
        ("a..example", BadName),
    ):
        with pytest.raises(error):
            await lookup(zones, name)
    with pytest.raises(NotFound):
        await zones.txt("gone.example")


@pytest.mark.rfc("7208 §9.1")
async def test_received_spf() -> None:
    result = await check({"a.example": record("ip4:192.0.2.0/24", "-all")}, localpart="o'x y")
    field = format_received_spf(result, receiver="me.example")
    assert field == (
        b"Received-SPF: pass (domain a.example) client-ip=192.0.2.1;\r\n"
        b'\tenvelope-from="o\'x y@a.example"; helo=mx.example.org;\r\n'
        b'\tmechanism="ip4:192.0.2.0/24"; receiver=me.example; identity=mailfrom\r\n'
    )


@pytest.mark.rfc("7208 §9.1")
async def test_received_spf_cannot_be_written_by_a_stranger() -> None:
    result = await check(
        Zones({}, temporary=["a.example"]),
        localpart='x"\r\nEvil: yes\\',
        helo="(\r\n\r\nbody)\u2028\ud800" + "\U0001f600" * 2000,
    )
    field = format_received_spf(result, receiver="me.example")
    assert result.status is Status.TEMPERROR
    lines = field.decode().split("\r\n")
    assert lines.pop() == ""
    assert lines[0].startswith("Received-SPF: temperror (domain a.example) client-ip=192.0.2.1;")
    assert all(line.startswith("\t") for line in lines[1:])
    assert all(len(line.encode()) < 998 for line in lines)
    assert 'problem="a.example: temporary name lookup error";' in field.decode()
    assert "\u2028" not in field.decode()


async def test_received_spf_by_helo() -> None:
    result = await check({}, domain="", helo="none.example")
    field = b" ".join(format_received_spf(result, receiver="me.example").split())
    assert field == (
        b"Received-SPF: none (domain none.example, from ehlo because mailfrom is empty)"
        b" client-ip=192.0.2.1; helo=none.example; receiver=me.example; identity=helo"
    )
