"""MTA-STS records and policies.    RFC 8461; hosts that fit, lines that do not."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import MTASTS_AGE_MAX_S, MTASTS_POLICY
from mox.tlspolicy.mtasts import (
    BadPolicy,
    BadRecord,
    Mode,
    Policy,
    choose_record,
    format_policy,
    parse_policy,
    parse_record,
)

POLICY = b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n"


@pytest.mark.rfc("8461 §3.1")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"v=STSv1; id=20160831085700Z;", "20160831085700Z"),
        (b"v=STSv1;id=a", "a"),
        (b"v=STSv1 ; id=a ;", "a"),
        (b"v=STSv1; id=" + b"x" * 32, "x" * 32),
        (b"v=STSv1; id=a; more=things-1.2", "a"),
    ],
)
def test_records(text: bytes, expected: str) -> None:
    assert parse_record(text) == expected


@pytest.mark.rfc("8461 §3.1")
@pytest.mark.parametrize(
    "text",
    [
        b"v=STSv1;",
        b"v=STSv1; id=;",
        b"v=STSv1; id=a;;",
        b"v=STSv1; id=a-b",
        b"v=STSv1; id=" + b"x" * 33,
        b"v=STSv1; id=a; id=b",
        b"v=STSv1; id=a; =b",
        b"v=STSv1; id=\xc3\xa9",
        b"v=STSv1; ID=a",
        b"v=STSv1; id=a; " + b"x" * 5000,
    ],
)
def test_what_is_no_record(text: bytes) -> None:
    with pytest.raises(BadRecord):
        parse_record(text)


@pytest.mark.rfc("8461 §3.1")
def test_one_record_among_other_texts() -> None:
    assert choose_record([b"hello", b"v=STSv1; id=a;", b"v=STSv10; id=b"]) == "a"
    assert choose_record([b"hello", b"V=STSv1; id=a"]) is None
    with pytest.raises(BadRecord, match="several"):
        choose_record([b"v=STSv1; id=a;", b"v=STSv1; id=a;"])


@pytest.mark.rfc("8461 §3.2")
def test_a_policy() -> None:
    policy = parse_policy(POLICY)
    assert policy.mode is Mode.ENFORCE
    assert policy.max_age_s == 604800
    assert policy.mx == ("mail.example.org", "*.example.net")
    assert policy.text.count("\n") == 5
    assert parse_policy(POLICY.replace(b"\r\n", b"\n")) == policy


@pytest.mark.rfc("8461 §3.2")
def test_the_first_value_of_a_key_counts() -> None:
    policy = parse_policy(POLICY + b"mode: none\nmax_age: 1\nx-more: anything: at all\n")
    assert (policy.mode, policy.max_age_s) == (Mode.ENFORCE, 604800)


def test_an_age_beyond_a_year_is_a_year() -> None:
    assert parse_policy(POLICY.replace(b"604800", b"9999999999")).max_age_s == MTASTS_AGE_MAX_S


def test_mode_none_needs_no_hosts() -> None:
    policy = parse_policy(b"version: STSv1\nmode: none\nmax_age: 60\n")
    assert policy.mx == ()
    assert not policy.allows("mail.example.org")


@pytest.mark.rfc("8461 §3.2")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"STSv1", b"STSv2"),
        (b"version: STSv1", b"x: y"),
        (b"enforce", b"Enforce"),
        (b"mode: enforce", b"x: y"),
        (b"604800", b""),
        (b"604800", b"-1"),
        (b"604800", b"12345678901"),
        (b"max_age: 604800", b"x: y"),
        (b"*.example.net", b"*.*.example.net"),
        (b"*.example.net", b"a.*.example.net"),
        (b"*.example.net", b"*"),
        (b"*.example.net", b"192.0.2.1"),
        (b"*.example.net", b"m\xc3\xbcnchen.example"),
        (b"*.example.net", b"\xff"),
        (b"mode", b"mo de"),
        (b"mx: mail.example.org\r\n", b"\r\n"),
        (b"max_age", b": "),
    ],
)
def test_what_is_no_policy(old: bytes, new: bytes) -> None:
    assert old in POLICY
    with pytest.raises(BadPolicy):
        parse_policy(POLICY.replace(old, new))


def test_a_policy_without_hosts_enforces_nothing() -> None:
    with pytest.raises(BadPolicy, match="without mx"):
        parse_policy(b"version: STSv1\nmode: testing\nmax_age: 60\n")


def test_limits() -> None:
    with pytest.raises(BadPolicy, match="too large"):
        parse_policy(POLICY + b"x: " + b"y" * MTASTS_POLICY)
    with pytest.raises(BadPolicy, match="too many"):
        parse_policy(POLICY + b"".join(b"mx: m%d.example\n" % n for n in range(501)))


@pytest.mark.rfc("8461 §4.1")
@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("mail.example.org", True),
        ("MAIL.example.org.", True),
        ("other.example.org", False),
        ("a.example.net", True),
        ("example.net", False),
        ("a.b.example.net", False),
        ("net", False),
        ("", False),
    ],
)
def test_hosts(host: str, expected: bool) -> None:
    assert parse_policy(POLICY).allows(host) is expected


def test_written_and_read_again() -> None:
    policy = parse_policy(POLICY)
    again = parse_policy(format_policy(policy).encode())
    assert again == msgspec.structs.replace(policy, text=again.text)


@given(st.binary(max_size=300) | st.binary(max_size=60).map(lambda more: POLICY + more))
def test_any_bytes(text: bytes) -> None:
    try:
        policy = parse_policy(text)
    except BadPolicy:
        return
    assert isinstance(policy, Policy)
    assert parse_policy(format_policy(policy).encode()).mx == policy.mx
