"""DMARC: which policy, who is aligned, what follows."""

import ipaddress

import pytest

from mox.dns.base import Temporary
from mox.dns.zones import Zones
from mox.mailauth.dkim import verify as dkim
from mox.mailauth.dkim.signature import Signature
from mox.mailauth.dmarc.evaluate import (
    Evaluation,
    FromAlignment,
    SpfIdentity,
    Status,
    accepts_reports,
    author_domain,
    evaluate,
    from_alignment,
    look_up,
    method,
)
from mox.mailauth.dmarc.record import Policy
from mox.mailauth.publicsuffix import listed
from mox.mailauth.spf.result import Identity, Result, Sender
from mox.mailauth.spf.result import Status as SpfStatus
from mox.message.authresults import AuthResults, format_field
from mox.message.envelope import BadFrom

REJECT = "v=DMARC1; p=reject"


def zones(record: str = REJECT, domain: str = "example.com") -> Zones:
    return Zones({f"_dmarc.{domain}": {"TXT": [record]}})


def signed(domain: str, status: dkim.Status = dkim.Status.PASS) -> dkim.Result:
    signature = Signature(
        algorithm="rsa-sha256",
        domain=domain,
        selector="s",
        names=(b"from",),
        body_hash=b"",
        value=b"",
        identity_domain=domain,
    )
    return dkim.Result(status=status, signature=signature)


def spf(status: str, domain: str) -> SpfIdentity:
    return SpfIdentity(status=status, domain=domain)


async def judge(
    resolver: Zones,
    from_domain: str = "example.com",
    sender: SpfIdentity | None = None,
    signatures: tuple[dkim.Result, ...] = (),
    chance: float = 0.5,
) -> Evaluation:
    found = await look_up(resolver, from_domain, listed())
    return evaluate(found, from_domain, sender, signatures, listed(), chance=chance)


async def test_nothing_passes() -> None:
    result = await judge(zones(), sender=spf("fail", "example.com"))
    assert (result.status, result.policy, result.rejects) == (Status.FAIL, Policy.REJECT, True)


@pytest.mark.parametrize(
    ("record", "sender", "domains", "expected"),
    [
        (REJECT, spf("pass", "example.com"), (), Status.PASS),
        (REJECT, spf("pass", "Bounce.example.com"), (), Status.PASS),
        (REJECT + "; aspf=s", spf("pass", "bounce.example.com"), (), Status.FAIL),
        (REJECT, spf("softfail", "example.com"), (), Status.FAIL),
        (REJECT, spf("pass", "example.org"), ("example.net",), Status.FAIL),
        (REJECT, None, ("sub.example.com",), Status.PASS),
        (REJECT + "; adkim=s", None, ("sub.example.com",), Status.FAIL),
        (REJECT + "; adkim=s", None, ("other.example", "example.com"), Status.PASS),
        (REJECT, None, ("com",), Status.FAIL),
        (REJECT, spf("pass", "com"), (), Status.FAIL),
        (REJECT, spf("pass", "badexample.com"), (), Status.FAIL),
    ],
)
@pytest.mark.rfc("7489 §3.1")
async def test_alignment(
    record: str, sender: SpfIdentity | None, domains: tuple[str, ...], expected: Status
) -> None:
    result = await judge(
        zones(record), sender=sender, signatures=tuple(signed(domain) for domain in domains)
    )
    assert result.status is expected
    assert result.rejects is (expected is Status.FAIL)


async def test_strict_is_for_the_parent_too() -> None:
    resolver = zones(REJECT + "; adkim=s")
    result = await judge(resolver, "sub.example.com", signatures=(signed("example.com"),))
    assert result.status is Status.FAIL


async def test_temporary_errors_reject_nobody() -> None:
    for sender, signatures in (
        (spf("temperror", "example.com"), ()),
        (None, (signed("example.com", dkim.Status.TEMPERROR),)),
    ):
        result = await judge(zones(), sender=sender, signatures=signatures)
        assert (result.status, result.rejects) == (Status.TEMPERROR, False)
    passed = await judge(
        zones(), sender=spf("temperror", "example.com"), signatures=(signed("example.com"),)
    )
    assert (passed.status, passed.dkim_aligned) == (Status.PASS, ("example.com",))


@pytest.mark.rfc("7489 §6.6.2")
async def test_a_temporary_error_of_somebody_else_leaves_nothing_open() -> None:
    """Who sends in our name with a broken domain of their own is not spared."""
    for sender, signatures in (
        (spf("temperror", "broken.example"), ()),
        (None, (signed("broken.example", dkim.Status.TEMPERROR),)),
    ):
        result = await judge(zones(), sender=sender, signatures=signatures)
        assert (result.status, result.rejects) == (Status.FAIL, True)
    strict = await judge(
        zones("v=DMARC1; p=reject; aspf=s"), sender=spf("temperror", "sub.example.com")
    )
    assert (strict.status, strict.rejects) == (Status.FAIL, True)


@pytest.mark.rfc("7489 §6.6.3")
async def test_the_policy_of_a_subdomain() -> None:
    for record, policy in (
        ("v=DMARC1; p=reject; sp=none", Policy.NONE),
        ("v=DMARC1; p=none; sp=quarantine", Policy.QUARANTINE),
        ("v=DMARC1; p=quarantine", Policy.QUARANTINE),
    ):
        result = await judge(zones(record), "a.b.example.com")
        assert (result.policy, result.found.domain) == (policy, "example.com")
        assert result.rejects is (policy is not Policy.NONE)
    own = Zones(
        {"_dmarc.a.example.com": {"TXT": ["v=DMARC1; p=none; sp=reject"]},
         "_dmarc.example.com": {"TXT": [REJECT]}}
    )  # fmt: skip
    assert (await judge(own, "a.example.com")).policy is Policy.NONE


@pytest.mark.rfc("7489 §6.3")
@pytest.mark.parametrize(
    ("percent", "chance", "sampled"),
    [(0, 0.0, False), (100, 0.999999, True), (20, 0.199, True), (20, 0.2, False)],
)
async def test_sampling(percent: int, chance: float, sampled: bool) -> None:
    result = await judge(zones(f"{REJECT}; pct={percent}"), chance=chance)
    assert (result.status, result.is_sampled) == (Status.FAIL, sampled)
    assert result.rejects is sampled


@pytest.mark.parametrize(
    ("resolver", "status"),
    [
        (Zones({}), Status.NONE),
        (Zones({"_dmarc.example.com": {"TXT": ["other", "v=DMARC1"]}}), Status.NONE),
        (Zones({"_dmarc.example.com": {"TXT": [REJECT, REJECT]}}), Status.NONE),
        (zones("v=DMARC1; p=bogus"), Status.PERMERROR),
        (Zones({}, temporary=["_dmarc.example.com"]), Status.TEMPERROR),
    ],
)
async def test_without_a_policy_nobody_is_rejected(resolver: Zones, status: Status) -> None:
    result = await judge(resolver)
    assert (result.status, result.rejects) == (status, False)
    assert result.found.reason


async def test_where_discovery_ends() -> None:
    twice = Zones(
        {"_dmarc.a.example.com": {"TXT": [REJECT, REJECT]}, "_dmarc.example.com": {"TXT": [REJECT]}}
    )
    assert (await judge(twice, "a.example.com")).status is Status.NONE
    bad = Zones(
        {"_dmarc.a.example.com": {"TXT": ["v=DMARC1; p"]}, "_dmarc.example.com": {"TXT": [REJECT]}}
    )
    assert (await judge(bad, "a.example.com")).status is Status.PERMERROR
    one = zones()
    await judge(one)
    assert len(one.asked) == 1
    long = "a." * 124 + "example.com"
    assert (await judge(zones(), long)).found.domain == "example.com"


@pytest.mark.rfc("7489 §6.6.1")
@pytest.mark.parametrize(
    ("header", "domain"),
    [
        (b"From: A <a@Example.COM>\r\n\r\n", "example.com"),
        ("From: a@bücher.example\r\n\r\n".encode(), "xn--bcher-kva.example"),
        (b'From: "b@evil.example" <a@example.com>\r\n\r\n', "example.com"),
    ],
)
def test_the_author(header: bytes, domain: str) -> None:
    assert author_domain(header) == domain


@pytest.mark.parametrize(
    "header",
    [
        b"To: a@b.example\r\n\r\n",
        b"From: a@b.example\r\nFrom: a@b.example\r\n\r\n",
        b"From: a@b.example, c@d.example\r\n\r\n",
        b"From: undisclosed:;\r\n\r\n",
        b"From: a@[192.0.2.1]\r\n\r\n",
        b"From: a@192.0.2.1\r\n\r\n",
        b"From: a\r\n\r\n",
        b"From: a@b..example\r\n\r\n",
        b"From: a@xn--a.example\r\n\r\n",
    ],
)
def test_no_author(header: bytes) -> None:
    with pytest.raises(BadFrom):
        author_domain(header)


async def test_the_result_of_our_spf_is_a_finding() -> None:
    found = await look_up(zones(), "example.com", listed())
    sender = Sender(ip=ipaddress.ip_address("192.0.2.1"), helo="mx", domain="example.com")
    checked = Result(
        status=SpfStatus.PASS, identity=Identity.MAILFROM, sender=sender, domain="example.com"
    )
    result = evaluate(found, "example.com", checked, (), listed(), chance=0.5)
    assert (result.status, result.is_spf_aligned) == (Status.PASS, True)


def test_how_far_from_is_proven() -> None:
    suffixes = listed()
    ok = spf("pass", "mail.example.com")
    assert from_alignment("example.com", ok, (), suffixes) is FromAlignment.RELAXED
    assert from_alignment("mail.example.com", ok, (), suffixes) is FromAlignment.STRICT
    dkims = (signed("example.com"),)
    assert from_alignment("example.com", ok, dkims, suffixes) is FromAlignment.STRICT
    assert from_alignment("example.org", ok, dkims, suffixes) is FromAlignment.NONE
    failed = (signed("example.com", dkim.Status.FAIL),)
    assert from_alignment("example.com", None, failed, suffixes) is FromAlignment.NONE


async def test_the_result_for_the_header() -> None:
    resolver = Zones({"_dmarc.example.com": {"TXT": [REJECT + "; pct=0"]}}, authentic=True)
    found = method(await judge(resolver), override="mailing list")
    field = format_field(AuthResults(host="mx", methods=(found,)))
    assert (
        field.endswith(
            b"\tdmarc=fail (with dnssec, override mailing list,sampled_out)\r\n"
            b"\theader.from=example.com\r\n"
        )
        or b"dmarc=fail (with dnssec, override mailing list,sampled_out)" in field
    )
    none = method(await judge(Zones({})))
    assert (none.comment, none.reason) == ("without dnssec", "no DMARC record")


@pytest.mark.rfc("7489 §7.1")
async def test_reports_to_others_need_their_consent() -> None:
    suffixes = listed()
    resolver = Zones({"a.example.com._report._dmarc.reports.example": {"TXT": ["x", "v=DMARC1"]}})
    assert await accepts_reports(resolver, "a.example.com", "reports.example", suffixes)
    assert not await accepts_reports(resolver, "example.com", "reports.example", suffixes)
    assert await accepts_reports(Zones({}), "a.example.com", "b.example.com", suffixes)
    broken = Zones({}, temporary=["example.com._report._dmarc.x.example"])
    with pytest.raises(Temporary):
        await accepts_reports(broken, "example.com", "x.example", suffixes)
