"""ARC chains: sealed by dkimpy, judged by both; what breaks them."""

import re
import warnings

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mox.dns.zones import Zones
from mox.mailauth.arc.verify import Result, Status, Verification, method, verify
from mox.mailauth.dkim.keyrecord import format_record, record_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim

MESSAGE = (
    b"From: Ann <ann@example.com>\r\nTo: list@example.org\r\nSubject: One\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\nHello  there \r\n\r\n"
)
NOW = 1_800_000_000
HANDS = (b"one.example", b"two.example", b"three.example")


def seal(message: bytes, pem: bytes, hand: bytes, status: bytes) -> bytes:
    """Another set, by dkimpy."""
    report = (
        b"Authentication-Results: " + hand + b"; arc=" + status + b"; spf=pass smtp.mailfrom=a\r\n"
    )
    fields = dkim.arc_sign(
        report + message,
        b"sel",
        hand,
        pem,
        hand,
        include_headers=[b"from", b"to", b"subject", b"date"],
    )
    return b"".join(fields) + message


@pytest.fixture(scope="module")
def chains(rsa_pem: bytes) -> list[bytes]:
    """The message with no, one, two, three sets."""
    found = [MESSAGE]
    for number, hand in enumerate(HANDS):
        found.append(seal(found[-1], rsa_pem, hand, b"pass" if number else b"none"))
    return found


@pytest.fixture
def zones(rsa_key: RSAPrivateKey) -> Zones:
    record = format_record(record_of(rsa_key.public_key()))
    names = [f"sel._domainkey.{hand.decode()}" for hand in HANDS]
    return Zones({name: {"TXT": [record]} for name in names}, authentic=True)


def theirs_says(message: bytes, key: RSAPrivateKey) -> str:
    record = format_record(record_of(key.public_key())).encode()
    status, _, _ = dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: record)
    return bytes(status).decode()


async def judge(message: bytes, resolver: Zones) -> Result:
    return await verify(resolver, message, now_s=NOW)


@pytest.mark.rfc("8617 §5.2")
async def test_chains_of_any_length_pass(
    chains: list[bytes], zones: Zones, rsa_key: RSAPrivateKey
) -> None:
    for count, message in enumerate(chains[1:], 1):
        result = await judge(message, zones)
        assert (result.status, result.reason) == (Status.PASS, "")
        assert [hand.domain.encode() for hand in result.hands] == list(HANDS[:count])
        assert result.oldest_pass == 0
        assert result.authentic
        assert theirs_says(message, rsa_key) == "pass"
    results = (await judge(chains[1], zones)).hands[0].results
    assert results is not None
    assert results.host == "one.example"
    assert [(one.method, one.result) for one in results.methods] == [
        ("arc", "none"),
        ("spf", "pass"),
    ]


async def test_without_chain_there_is_none(chains: list[bytes], zones: Zones) -> None:
    result = await judge(chains[0], zones)
    assert (result.status, result.hands) == (Status.NONE, ())
    assert zones.asked == []
    assert not Verification(chains[0], now_s=NOW).needs_body


@pytest.mark.rfc("8617 §5.2")
async def test_a_change_after_the_last_hand(
    chains: list[bytes], zones: Zones, rsa_key: RSAPrivateKey
) -> None:
    for old, new in ((b"Hello", b"Hallo"), (b"Subject: One", b"Subject: Two")):
        changed = chains[2].replace(old, new)
        result = await judge(changed, zones)
        assert result.status is Status.FAIL
        assert result.reason.startswith("message signature 2")
        assert theirs_says(changed, rsa_key) == "fail"


async def test_a_change_between_hands_is_dated(
    chains: list[bytes], zones: Zones, rsa_pem: bytes
) -> None:
    listed = chains[1].replace(b"Hello", b"[list] Hello")
    message = seal(seal(listed, rsa_pem, HANDS[1], b"pass"), rsa_pem, HANDS[2], b"pass")
    result = await judge(message, zones)
    assert (result.status, result.oldest_pass) == (Status.PASS, 2)


async def test_forged_results_break_the_seal(
    chains: list[bytes], zones: Zones, rsa_key: RSAPrivateKey
) -> None:
    changed = chains[2].replace(b"i=1; one.example", b"i=1; two.example")
    assert changed != chains[2]
    result = await judge(changed, zones)
    assert (result.status, result.reason) == (Status.FAIL, "seal 1: does not verify")
    assert theirs_says(changed, rsa_key) == "fail"


def without_field(message: bytes, name: bytes, instance: int) -> bytes:
    pattern = rb"(?m)^%s: ?i=%d\b.*\r\n(?:[ \t].*\r\n)*" % (name, instance)
    changed = re.sub(pattern, b"", message, count=1)
    assert changed != message
    return changed


@pytest.mark.rfc("8617 §5.2")
@pytest.mark.parametrize(
    "name", [b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]
)
@pytest.mark.parametrize("instance", [1, 2])
async def test_a_field_that_is_missing_or_twice(
    chains: list[bytes], zones: Zones, name: bytes, instance: int
) -> None:
    missing = without_field(chains[2], name, instance)
    result = await judge(missing, zones)
    assert (result.status, result.reason) == (Status.FAIL, "incomplete ARC set")
    field = re.search(rb"(?m)^%s: ?i=%d\b.*\r\n(?:[ \t].*\r\n)*" % (name, instance), chains[2])
    assert field is not None
    twice = await judge(field[0] + chains[2], zones)
    assert (twice.status, twice.reason) == (Status.FAIL, "ARC instance repeated or out of range")
    assert zones.asked == []


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b"cv=pass", b"cv=fail", "chain failed before"),
        (b"cv=pass", b"cv=none", "wrong chain status in a seal"),
        (b"cv=none", b"cv=pass", "wrong chain status in a seal"),
        (b"cv=pass", b"h=from; cv=pass", "ARC set 2: h= in a seal"),
        (b"cv=pass; a=rsa-sha256", b"cv=pass; a=rsa-sha1", "ARC set 2: algorithm not accepted"),
        (b"i=2; cv", b"i=51; cv", "ARC instance repeated or out of range"),
        (b"i=2; cv", b"i=0; cv", "ARC instance repeated or out of range"),
        (b"i=2; cv", b"i=x; cv", "malformed ARC field"),
        (b"Results: i=2;", b"Results: x=2;", "ARC field without instance"),
        (b"h=from : to", b"h=to", "ARC set 2: From is not signed"),
        (b"h=from : to", b"l=5; h=from : to", "ARC set 2: l= leaves part of the body unsigned"),
        (b"h=from : to", b"h=from : ARC-Seal", "ARC set 2: signature over seals"),
    ],
)
async def test_chains_that_are_none(
    chains: list[bytes], zones: Zones, old: bytes, new: bytes, reason: str
) -> None:
    assert old in chains[2]
    result = await judge(chains[2].replace(old, new, 1), zones)
    assert (result.status, result.reason) == (Status.FAIL, reason)
    assert zones.asked == []


async def test_many_sets_are_not_looked_at(chains: list[bytes], zones: Zones) -> None:
    flood = b"".join(b"ARC-Seal: i=%d; cv=none\r\n" % (n % 60) for n in range(500))
    result = await judge(flood + MESSAGE, zones)
    assert (result.status, result.reason) == (Status.FAIL, "too many ARC sets")
    broken = await judge(b"no colon\r\n" + chains[1], zones)
    assert (broken.status, broken.reason) == (Status.FAIL, "malformed header section")


@pytest.mark.rfc("8617 §4.1.2")
async def test_an_expired_signature(rsa_pem: bytes, zones: Zones) -> None:
    one = seal(MESSAGE, rsa_pem, HANDS[0], b"none")
    expired = one.replace(
        b"ARC-Message-Signature: i=1;", b"ARC-Message-Signature: i=1; x=1799999999;"
    )
    assert expired != one
    result = await judge(expired, zones)
    assert (result.status, result.reason) == (
        Status.FAIL,
        "message signature 1: signature expired",
    )


@pytest.mark.rfc("8617 §5.2.1")
async def test_every_failure_is_permanent(chains: list[bytes], rsa_key: RSAPrivateKey) -> None:
    name = "sel._domainkey.one.example"
    record = format_record(record_of(rsa_key.public_key()))
    for resolver in (Zones({}), Zones({}, temporary=[name]), Zones({name: {"TXT": ["p="]}})):
        assert (await judge(chains[1], resolver)).status is Status.FAIL
    for more in ("s=web", "h=sha1", "k=ed25519"):
        other = Zones({name: {"TXT": [record.replace("h=sha256", more)]}})
        assert (await judge(chains[1], other)).status is Status.FAIL


async def test_a_seal_needs_its_own_key(chains: list[bytes], zones: Zones) -> None:
    # the message signature of set 1 is old news, its seal is not
    gone = Zones(
        {
            "sel._domainkey.two.example": {
                "TXT": [(await zones.txt("sel._domainkey.two.example")).records[0]]
            }
        }
    )
    result = await judge(chains[2], gone)
    assert (result.status, result.reason) == (Status.FAIL, "seal 1: no key for signature")


async def test_the_result_for_the_header(chains: list[bytes], zones: Zones) -> None:
    found = method(await judge(chains[2], zones), remote_ip="192.0.2.1")
    assert (found.method, found.result, found.comment) == ("arc", "pass", "2 sealed")
    assert found.value("smtp", "remote-ip") == "192.0.2.1"
    assert found.value("header", "oldest-pass") == "0"
    none = method(await judge(MESSAGE, zones))
    assert (none.result, none.properties) == ("none", ())
