"""TLS reports as JSON."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import (
    REPORT_TEXT,
    REPORT_UNPACKED,
    TLS_REPORT_DEPTH,
    TLS_REPORT_OBJECTS,
    TLS_REPORT_VALUES,
)
from mox.tlspolicy.tlsreport import (
    COUNT_MAX,
    BadReport,
    Failure,
    Policy,
    Report,
    ReportTooLarge,
    Result,
    format_report,
    merge,
    parse_report,
)

SAMPLES = Path(__file__).parents[1] / "data" / "reports"


def document(**changes: Any) -> dict[str, Any]:
    made = {
        "organization-name": "o",
        "date-range": {
            "start-datetime": "2026-11-28T00:00:00Z",
            "end-datetime": "2026-11-28T23:59:59Z",
        },
        "contact-info": "c",
        "report-id": "i",
        "policies": [],
    }
    return {**made, **changes}


def read(**changes: Any) -> Report:
    return parse_report(json.dumps(document(**changes)).encode())


@pytest.mark.rfc("8460 appendix B")
def test_a_plain_report() -> None:
    report = parse_report((SAMPLES / "plain.json").read_bytes())
    assert (report.begin_s, report.end_s) == (1795824000, 1795910399)
    assert (report.organization, report.contact) == (
        "Company-X",
        "sts-reporting@company-x.example",
    )
    sts, tlsa = report.results
    assert sts.policy == Policy(
        type="sts",
        strings=(
            "version: STSv1",
            "mode: testing",
            "mx: *.mail.company-y.example",
            "max_age: 86400",
        ),
        domain="company-y.example",
        mx_hosts=("*.mail.company-y.example",),
    )
    assert (sts.success_count, sts.failure_count) == (5326, 303)
    assert sts.failures[2] == Failure(
        result_type="validation-failure",
        sending_mta_ip="198.51.100.62",
        receiving_mx_hostname="mx-backup.mail.company-y.example",
        receiving_mx_helo="backup.company-y.example",
        receiving_ip="203.0.113.58",
        failed_session_count=3,
        failure_reason_code="X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
    )
    assert (tlsa.policy.type, tlsa.failures) == ("tlsa", ())


def test_what_one_large_sender_writes() -> None:
    report = parse_report(b"\xef\xbb\xbf" + (SAMPLES / "nozone.json").read_bytes())
    assert (report.begin_s, report.end_s) == (1795824000, 1795910399)
    (result,) = report.results
    assert result == Result(
        policy=Policy(
            type="no-policy-found",
            strings=("none",),
            domain="example.org",
            mx_hosts=("mx.example.org",),
        ),
        success_count=17,
    )


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:59.999z", 59),
        ("1970-01-01 01:00:00+01:00", 0),
        ("1970-01-01T00:00:00-0130", 5400),
        ("2016-12-31T23:59:60Z", 1483228799),
        (" 2026-11-28T00:00:00 ", 1795824000),
    ],
)
def test_times(text: str, seconds: int) -> None:
    report = read(**{"date-range": {"start-datetime": text, "end-datetime": text}})
    assert report.begin_s == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-28",
        "2026-11-31T00:00:00Z",
        "2026-11-28T24:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-11-28T00:00:00+99:00",
        "٢٠٢٦-11-28T00:00:00Z",
    ],
)
def test_bad_times(text: str) -> None:
    try:
        report = read(**{"date-range": {"start-datetime": text, "end-datetime": text}})
    except BadReport:
        return
    assert report.begin_s in (-62135683200 + 60, 253402300799 + 86340)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"date-range"',
        b"}",
        b'"' * 9,
        json.dumps(document(policies=None)).encode(),
        json.dumps(document(policies=[{}])).encode(),
        json.dumps(document(policies=[{"policy": {"mx-host": [1]}}])).encode(),
        json.dumps(document()).encode()[:-1],
        b'{"organization-name":"\xff"}',
        b'{"x":1e999999,"policies":[],"date-range":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_report(raw: bytes) -> None:
    with pytest.raises(BadReport):
        parse_report(raw)


def test_counts_are_clipped() -> None:
    summary = {
        "total-successful-session-count": 10**17,
        "total-failure-session-count": -1,
    }
    report = read(policies=[{"policy": {}, "summary": summary}])
    assert (report.results[0].success_count, report.results[0].failure_count) == (COUNT_MAX, 0)


@pytest.mark.parametrize("tail", ["", " ", "}", "{}", '"', "\0", "[" * 100])
def test_what_follows_is_ignored(tail: str) -> None:
    raw = json.dumps(document(**{"contact-info": 'a"]}\\'})) + tail
    assert parse_report(raw.encode()).contact == 'a"]}\\'


# Attacks


def test_depth_is_limited() -> None:
    def nested(depth: int) -> bytes:
        text = "[" * depth + "]" * depth
        return json.dumps(document(x=0)).replace('"x": 0', f'"x": {text}').encode()

    assert parse_report(nested(TLS_REPORT_DEPTH - 1)).report_id == "i"
    with pytest.raises(ReportTooLarge):
        parse_report(nested(TLS_REPORT_DEPTH))
    with pytest.raises(ReportTooLarge):
        parse_report(nested(30_000))
    with pytest.raises(ReportTooLarge):
        parse_report(b"[" * 1_000_000)


def test_a_value_is_limited() -> None:
    assert len(read(**{"contact-info": "x" * REPORT_TEXT}).contact) == REPORT_TEXT
    with pytest.raises(ReportTooLarge):
        read(**{"contact-info": "x" * (REPORT_TEXT + 1)})


def test_a_document_is_limited() -> None:
    raw = json.dumps(document()).encode()
    assert parse_report(raw + b" " * (REPORT_UNPACKED - len(raw))).report_id == "i"
    with pytest.raises(ReportTooLarge):
        parse_report(raw + b" " * (REPORT_UNPACKED - len(raw) + 1))


@pytest.mark.parametrize(
    "inside",
    [
        '"policies": [' + '{"policy":{}},' * TLS_REPORT_OBJECTS + "]",
        '"policies": [{"policy": {"mx-host": [' + '"ab",' * (TLS_REPORT_VALUES + 1) + '""]}}]',
        '"x": [' + "[]," * (TLS_REPORT_OBJECTS * 2) + "0]",
        '"x": ' + '"",' * (TLS_REPORT_VALUES * 2),
        '"contact-info": "' + "x" * 10_000_000 + '"',
    ],
    ids=["objects", "texts", "lists", "commas", "text"],
)
def test_a_bomb_takes_no_memory(inside: str) -> None:
    raw = (json.dumps(document())[:-1] + "," + inside + "}").encode()
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        with pytest.raises(BadReport):
            parse_report(raw)
        # The text is one that has to be read before its length is known.
        assert tracemalloc.get_traced_memory()[1] - base < 2 * len(raw)
    finally:
        tracemalloc.stop()


def test_the_largest_report_takes_bounded_memory() -> None:
    failure = {"result-type": "x", "failed-session-count": 1, "sending-mta-ip": "192.0.2.%d"}
    failures = [
        {**failure, "sending-mta-ip": f"192.0.{n // 250}.{n % 250}"}
        for n in range(TLS_REPORT_OBJECTS - 10)
    ]
    raw = json.dumps(document(policies=[{"policy": {}, "failure-details": failures}])).encode()
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        assert len(parse_report(raw).results[0].failures) == len(failures)
        assert tracemalloc.get_traced_memory()[1] - base < 1000 * len(failures)
    finally:
        tracemalloc.stop()


# Writing

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_lists = st.lists(_texts, max_size=3).map(tuple)
_counts = st.integers(0, COUNT_MAX)
_failures = st.builds(
    Failure,
    result_type=_texts,
    sending_mta_ip=_texts,
    receiving_mx_hostname=_texts,
    receiving_mx_helo=_texts,
    receiving_ip=_texts,
    failed_session_count=_counts,
    additional_information=_texts,
    failure_reason_code=_texts,
)
_results = st.builds(
    Result,
    policy=st.builds(Policy, type=_texts, strings=_lists, domain=_texts, mx_hosts=_lists),
    success_count=_counts,
    failure_count=_counts,
    failures=st.lists(_failures, max_size=3).map(tuple),
)
reports = st.builds(
    Report,
    organization=_texts,
    begin_s=st.integers(-62_135_596_800, 253_402_300_799),
    end_s=st.integers(0, 253_402_300_799),
    contact=_texts,
    report_id=_texts,
    results=st.lists(_results, max_size=3).map(tuple),
)


@given(reports)
def test_what_is_written_can_be_read(report: Report) -> None:
    written = format_report(report)
    assert parse_report(written) == report
    assert json.loads(written)["report-id"] == report.report_id


def failure(kind: str, count: int, **more: Any) -> Failure:
    return Failure(result_type=kind, failed_session_count=count, **more)


def test_merging() -> None:
    one, other = Policy(type="sts", domain="a"), Policy(type="tlsa", domain="a")
    merged = merge(
        [
            Result(policy=one, success_count=1, failure_count=2, failures=(failure("x", 2),)),
            Result(policy=other, success_count=5),
            Result(
                policy=one,
                failure_count=4,
                failures=(failure("x", 3), failure("x", 1, receiving_ip="192.0.2.1")),
            ),
        ]
    )
    assert merged == (
        Result(
            policy=one,
            success_count=1,
            failure_count=6,
            failures=(failure("x", 5), failure("x", 1, receiving_ip="192.0.2.1")),
        ),
        Result(policy=other, success_count=5),
    )


@given(st.lists(_results, max_size=6))
def test_merging_loses_no_session(results: list[Result]) -> None:
    merged = merge(results)
    assert len({one.policy for one in merged}) == len(merged)
    for total in ("success_count", "failure_count"):
        assert sum(getattr(one, total) for one in merged) == sum(
            getattr(one, total) for one in results
        )
    assert sum(f.failed_session_count for one in merged for f in one.failures) == sum(
        f.failed_session_count for one in results for f in one.failures
    )
    assert merge(merged) == merged
