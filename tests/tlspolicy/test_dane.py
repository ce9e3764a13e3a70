"""DANE: which records count, and which certificates fit them.    RFC 6698, RFC 7672."""

import hashlib
from datetime import timedelta

import pytest
from support.certificates import NOW, Made

from mox.dns.base import Tlsa
from mox.tlspolicy.dane import Status, is_usable, record_name, suggest, verify

NOW_S = NOW.timestamp()
NAMES = ("mx.example.org",)

ROOT = Made("root", is_ca=True)
MIDDLE = Made("middle", ROOT, is_ca=True)
LEAF = Made("leaf", MIDDLE, names=NAMES)
EXPIRED = Made("leaf", MIDDLE, names=NAMES, until=NOW - timedelta(days=1))
NO_CA = Made("no authority", ROOT)
UNDER_NO_CA = Made("leaf", NO_CA, names=NAMES)
CHAIN = (LEAF.der, MIDDLE.der, ROOT.der)


def tlsa(usage: int, selector: int, matching: int, of: Made) -> Tlsa:
    selected = of.spki if selector else of.der
    if matching:
        selected = hashlib.new({1: "sha256", 2: "sha512"}[matching], selected).digest()
    return Tlsa(usage=usage, selector=selector, matching=matching, data=selected)


@pytest.mark.rfc("7672 §3.1.1")
@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_the_certificate_itself(selector: int, matching: int) -> None:
    record = tlsa(3, selector, matching, LEAF)
    result = verify([record], CHAIN, (), now_s=NOW_S)
    assert (result.status, result.record) == (Status.VERIFIED, record)
    other = verify([record], (EXPIRED.der, MIDDLE.der), NAMES, now_s=NOW_S)
    assert other.status is Status.MISMATCH
    assert other.problems == ("the certificate is not the one in DNS",)


@pytest.mark.rfc("7672 §3.1.1")
def test_dates_of_the_certificate_itself_do_not_count() -> None:
    chain = (EXPIRED.der, MIDDLE.der)
    assert verify([tlsa(3, 1, 1, EXPIRED)], chain, (), now_s=NOW_S).status is Status.VERIFIED
    result = verify([tlsa(2, 0, 1, MIDDLE)], chain, NAMES, now_s=NOW_S)
    assert result.status is Status.MISMATCH
    assert result.problems == ("cert is not valid at validation time",)


@pytest.mark.rfc("7672 §3.1.2")
@pytest.mark.parametrize("anchor", [ROOT, MIDDLE], ids=["root", "intermediate"])
@pytest.mark.parametrize("selector", [0, 1])
def test_an_anchor(anchor: Made, selector: int) -> None:
    record = tlsa(2, selector, 1, anchor)
    assert verify([record], CHAIN, NAMES, now_s=NOW_S).status is Status.VERIFIED
    wrong = verify([record], CHAIN, ("mail.example.net",), now_s=NOW_S)
    assert wrong.status is Status.MISMATCH
    assert wrong.problems == ("leaf certificate has no matching subjectAltName",)


@pytest.mark.rfc("7672 §3.2.3")
def test_any_of_the_names_will_do() -> None:
    names = ("example.net", "mx.example.org")
    assert verify([tlsa(2, 0, 1, ROOT)], CHAIN, names, now_s=NOW_S).status is Status.VERIFIED
    none = verify([tlsa(2, 0, 1, ROOT)], CHAIN, (), now_s=NOW_S)
    assert none.problems == ("no name to compare with",)


@pytest.mark.rfc("7672 §3.1.2")
def test_a_whole_anchor_in_dns_need_not_be_sent() -> None:
    chain = (LEAF.der, MIDDLE.der)
    assert verify([tlsa(2, 0, 0, ROOT)], chain, NAMES, now_s=NOW_S).status is Status.VERIFIED
    result = verify([tlsa(2, 0, 1, ROOT)], chain, NAMES, now_s=NOW_S)
    assert result.problems == ("no certificate of the chain is the one in DNS",)


def test_who_is_no_authority_vouches_for_nobody() -> None:
    chain = (UNDER_NO_CA.der, NO_CA.der, ROOT.der)
    assert verify([tlsa(2, 0, 1, ROOT)], chain, NAMES, now_s=NOW_S).status is Status.MISMATCH


def test_a_chain_with_a_gap() -> None:
    result = verify([tlsa(2, 0, 1, ROOT)], (LEAF.der, ROOT.der), NAMES, now_s=NOW_S)
    assert result.status is Status.MISMATCH


@pytest.mark.rfc("7672 §3.1.3")
@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (Tlsa(0, 0, 1, b"x" * 32), False),
        (Tlsa(1, 1, 1, b"x" * 32), False),
        (Tlsa(4, 1, 1, b"x" * 32), False),
        (Tlsa(255, 1, 1, b"x" * 32), False),
        (Tlsa(2, 2, 1, b"x" * 32), False),
        (Tlsa(3, 1, 3, b"x" * 32), False),
        (Tlsa(3, 1, 1, b"x" * 31), False),
        (Tlsa(3, 1, 2, b"x" * 32), False),
        (Tlsa(3, 1, 1, b"x" * 32), True),
        (Tlsa(3, 0, 2, b"x" * 64), True),
        (Tlsa(3, 0, 0, b"no certificate"), False),
        (Tlsa(3, 1, 0, b""), False),
        (Tlsa(3, 1, 0, LEAF.spki), True),
        (Tlsa(2, 0, 0, ROOT.der), True),
    ],
)
def test_which_records_count(record: Tlsa, expected: bool) -> None:
    assert is_usable(record) is expected


@pytest.mark.rfc("7672 §2.2")
def test_records_of_which_none_counts() -> None:
    records = [tlsa(0, 0, 1, ROOT), tlsa(1, 1, 1, LEAF)]
    assert verify(records, CHAIN, NAMES, now_s=NOW_S).status is Status.UNUSABLE
    # One that counts is enough to be held to it.
    records.append(Tlsa(3, 1, 1, b"x" * 32))
    assert verify(records, CHAIN, NAMES, now_s=NOW_S).status is Status.MISMATCH
    records.append(tlsa(3, 1, 1, LEAF))
    assert verify(records, CHAIN, NAMES, now_s=NOW_S).status is Status.VERIFIED


@pytest.mark.parametrize("chain", [(), (b"garbage",), (LEAF.der, b"garbage")])
def test_certificates_that_are_none(chain: tuple[bytes, ...]) -> None:
    result = verify([tlsa(3, 1, 1, LEAF)], chain, NAMES, now_s=NOW_S)
    assert result.status is Status.MISMATCH
    assert result.problems


def test_what_we_would_publish() -> None:
    assert verify([suggest(LEAF.spki)], CHAIN, (), now_s=NOW_S).status is Status.VERIFIED
    assert record_name("mx.example.org.") == "_25._tcp.mx.example.org"
