"""DMARC records: what is read, what falls back, what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth.dmarc.record import (
    BadRecord,
    Policy,
    Record,
    ReportUri,
    is_consent,
    is_record,
    parse_record,
)


def test_everything() -> None:
    record = parse_record(
        b"v = DMARC1 ; p=Reject; sp=quarantine;rua=mailto:a@b.example!10m,https://x.example/?y;"
        b" ruf=mailto:c@d.example!5 ; adkim=s; aspf=S; ri=3600; fo=1:d:s; rf=afrf:other; pct=20;"
        b" unknown=1;"
    )
    assert record == Record(
        policy=Policy.REJECT,
        subdomain_policy=Policy.QUARANTINE,
        is_dkim_strict=True,
        is_spf_strict=True,
        aggregate=(
            ReportUri(uri="mailto:a@b.example", max_size=10 << 20),
            ReportUri(uri="https://x.example/?y"),
        ),
        failure=(ReportUri(uri="mailto:c@d.example", max_size=5),),
        interval_s=3600,
        failure_options=("1", "d", "s"),
        failure_formats=("afrf", "other"),
        percent=20,
    )
    assert record.policy_for(is_subdomain=True) is Policy.QUARANTINE
    assert record.policy_for(is_subdomain=False) is Policy.REJECT
    assert parse_record(b"v=DMARC1;p=none").policy_for(is_subdomain=True) is Policy.NONE


@pytest.mark.rfc("7489 §6.4")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"v=DMARC1; p=none", True),
        (b"V = DMARC1 ;p=none", True),
        (b"v=DMARC1", False),
        (b"v=dmarc1; p=none", False),
        (b" v=DMARC1; p=none", False),
        (b"v=DMARC10; p=none", False),
        (b"v=spf1 -all", False),
    ],
)
def test_what_is_a_record(text: bytes, expected: bool) -> None:
    assert is_record(text) is expected


@pytest.mark.rfc("7489 §6.3")
@pytest.mark.parametrize(
    "bad", [b"adkim=x", b"aspf=", b"ri=-1", b"ri=99999999999", b"pct=101", b"pct=1x", b"fo=z",
            b"rf=", b"rua=nothing", b"ruf=mailto:a@b!1x", b"rua=,,"]
)  # fmt: skip
def test_bad_values_are_as_if_not_there(bad: bytes) -> None:
    assert parse_record(b"v=DMARC1; p=reject; " + bad) == Record(policy=Policy.REJECT)


@pytest.mark.rfc("7489 §6.3")
@pytest.mark.parametrize(
    "text",
    [
        b"v=DMARC1; p=reject;; pct=100",
        b"v=DMARC1;; p=reject",
        b"v=DMARC1; p=reject; x",
        b"v=DMARC1; p=reject; 1=x",
        b"v=DMARC1; p=reject; =; sp",
    ],
)
def test_what_is_no_tag_is_ignored(text: bytes) -> None:
    assert parse_record(text) == Record(policy=Policy.REJECT)


@pytest.mark.rfc("7489 §6.6.3")
@pytest.mark.parametrize(
    "text", [b"v=DMARC1;", b"v=DMARC1; sp=none; p=reject", b"v=DMARC1; p=bad",
             b"v=DMARC1; p=reject; sp=bad", b"v=DMARC1; p="]
)  # fmt: skip
def test_without_a_valid_policy_reports_decide(text: bytes) -> None:
    with pytest.raises(BadRecord, match="no valid policy"):
        parse_record(text)
    record = parse_record(text.removesuffix(b";") + b"; rua=mailto:a@b.example")
    assert (record.policy, record.subdomain_policy) == (Policy.NONE, None)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"v=DMARC1",
        b"v=DMARC1; p=none; p=none",
        b"v=DMARC1; p=none; v=DMARC1",
        b"v=DMARC1; p=none" + b"; x=1" * 200,
        b"v=DMARC1; p=none; x=" + b"1" * 20_000,
    ],
    ids=lambda text: text[:30].decode(),
)
def test_no_records(text: bytes) -> None:
    with pytest.raises(BadRecord):
        parse_record(text)


@given(
    st.text("vp=DMARC1;none rua:!,\t", max_size=40).map(lambda text: b"v=DMARC1;" + text.encode())
)
def test_parsing_raises_its_own_error_only(text: bytes) -> None:
    try:
        record = parse_record(text)
    except BadRecord:
        return
    assert 0 <= record.percent <= 100


def test_many_report_addresses_are_cut() -> None:
    text = b"v=DMARC1;p=none;rua=" + b",".join([b"mailto:a@b"] * 500)
    assert len(parse_record(text).aggregate) == 100


@pytest.mark.rfc("7489 §7.1")
def test_consent_to_reports() -> None:
    assert is_consent(b"v=DMARC1")
    assert is_consent(b"v=DMARC1; rua=mailto:x@y")
    assert not is_consent(b"v=DMARC12")
    assert not is_consent(b"v=spf1")
