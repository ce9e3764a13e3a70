"""TLS reports: structs, parse, write.    RFC 8460 §4.3, §4.4.

Laws
  Before anything is built from a document, its objects, values and depth are counted, so that no
  small text becomes a large structure.  What follows the document is ignored, members that
  RFC 8460 does not know are too.
  ``parse_report(format_report(report)) == report``.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Final

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import (
    REPORT_TEXT,
    REPORT_UNPACKED,
    TLS_REPORT_DEPTH,
    TLS_REPORT_OBJECTS,
    TLS_REPORT_VALUES,
)


class BadReport(Malformed):
    """Not a TLS report."""

    default = "malformed TLS report"


class ReportTooLarge(BadReport):
    """Beyond one of the limits."""

    default = "TLS report beyond limits"


class PolicyType(StrEnum):
    """What was asked of a connection.    RFC 8460 §4.4."""

    TLSA = "tlsa"
    STS = "sts"
    NO_POLICY_FOUND = "no-policy-found"


class ResultType(StrEnum):
    """Kinds of failures.    RFC 8460 §4.3, §6.6."""

    STARTTLS_NOT_SUPPORTED = "starttls-not-supported"
    CERTIFICATE_HOST_MISMATCH = "certificate-host-mismatch"
    CERTIFICATE_EXPIRED = "certificate-expired"
    TLSA_INVALID = "tlsa-invalid"
    DNSSEC_INVALID = "dnssec-invalid"
    DANE_REQUIRED = "dane-required"
    CERTIFICATE_NOT_TRUSTED = "certificate-not-trusted"
    STS_POLICY_INVALID = "sts-policy-invalid"
    STS_WEBPKI_INVALID = "sts-webpki-invalid"
    VALIDATION_FAILURE = "validation-failure"
    STS_POLICY_FETCH_ERROR = "sts-policy-fetch-error"


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Sessions that failed alike; empty texts are unknown."""

    result_type: str
    sending_mta_ip: str = ""
    receiving_mx_hostname: str = ""
    receiving_mx_helo: str = ""
    receiving_ip: str = ""
    failed_session_count: int = 0
    additional_information: str = ""
    failure_reason_code: str = ""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked of the connections."""

    type: str
    strings: tuple[str, ...] = ()  # the policy itself, line by line or record by record
    domain: str = ""
    mx_hosts: tuple[str, ...] = ()


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How connections under one policy fared."""

    policy: Policy
    success_count: int = 0
    failure_count: int = 0
    failures: tuple[Failure, ...] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report; times are seconds since 1970."""

    organization: str = ""
    begin_s: int
    end_s: int
    contact: str = ""
    report_id: str = ""
    results: tuple[Result, ...] = ()


COUNT_MAX: Final = (1 << 53) - 1  # sessions; what every JSON reader reads exactly
_Texts = list[str | None] | str | None  # a list; some write one text, or null


class _WireFailure(msgspec.Struct, rename="kebab"):
    result_type: str | None = None
    sending_mta_ip: str | None = None
    receiving_mx_hostname: str | None = None
    receiving_mx_helo: str | None = None
    receiving_ip: str | None = None
    failed_session_count: int | None = None
    additional_information: str | None = None
    failure_reason_code: str | None = None


class _WirePolicy(msgspec.Struct, rename="kebab"):
    policy_type: str | None = None
    policy_string: _Texts = None
    policy_domain: str | None = None
    mx_host: _Texts = None


class _WireSummary(msgspec.Struct, rename="kebab"):
    total_successful_session_count: int | None = None
    total_failure_session_count: int | None = None


class _WireResult(msgspec.Struct, rename="kebab"):
    policy: _WirePolicy
    summary: _WireSummary | None = None
    failure_details: list[_WireFailure] | None = None


class _WireRange(msgspec.Struct, rename="kebab"):
    start_datetime: str
    end_datetime: str


class _WireReport(msgspec.Struct, rename="kebab"):
    date_range: _WireRange
    policies: list[_WireResult]
    organization_name: str | None = None
    contact_info: str | None = None
    report_id: str | None = None


_decoder = msgspec.json.Decoder(_WireReport, strict=False)  # some write counts as texts
_STEP = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\]]', re.DOTALL)
_OPENING = b"{["


def parse_report(document: bytes) -> Report:
    """A report from its JSON.    Errors: BadReport, ReportTooLarge."""
    if len(document) > REPORT_UNPACKED:
        raise ReportTooLarge
    document = document.removeprefix(b"\xef\xbb\xbf")
    end = _measure(document)
    try:
        wire = _decoder.decode(memoryview(document)[:end])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadReport(cause=error) from error
    return Report(
        organization=_text(wire.organization_name),
        begin_s=_seconds(wire.date_range.start_datetime),
        end_s=_seconds(wire.date_range.end_datetime),
        contact=_text(wire.contact_info),
        report_id=_text(wire.report_id),
        results=tuple(_result(result) for result in wire.policies),
    )


def _measure(document: bytes) -> int:
    """Where the first object ends; refuses what would become large.    Errors: as ``parse_report``."""
    if (
        document.count(b"{") > TLS_REPORT_OBJECTS
        or document.count(b",") > TLS_REPORT_VALUES
        or document.count(b"[") > TLS_REPORT_OBJECTS * 2
        or document.count(b'"') > TLS_REPORT_VALUES * 4
    ):
        raise ReportTooLarge
    depth = 0
    for step in _STEP.finditer(document):
        token = step[0]
        if token[0] == 0x22:
            continue
        if token in _OPENING:
            depth += 1
            if depth > TLS_REPORT_DEPTH:
                raise ReportTooLarge
            continue
        depth -= 1
        if depth <= 0:
            return step.end()
    raise BadReport


def _result(wire: _WireResult) -> Result:
    summary = wire.summary or _WireSummary()
    return Result(
        policy=Policy(
            type=_text(wire.policy.policy_type),
            strings=_texts(wire.policy.policy_string),
            domain=_text(wire.policy.policy_domain),
            mx_hosts=_texts(wire.policy.mx_host),
        ),
        success_count=_count(summary.total_successful_session_count),
        failure_count=_count(summary.total_failure_session_count),
        failures=tuple(_failure(failure) for failure in wire.failure_details or ()),
    )


def _failure(wire: _WireFailure) -> Failure:
    return Failure(
        result_type=_text(wire.result_type),
        sending_mta_ip=_text(wire.sending_mta_ip),
        receiving_mx_hostname=_text(wire.receiving_mx_hostname),
        receiving_mx_helo=_text(wire.receiving_mx_helo),
        receiving_ip=_text(wire.receiving_ip),
        failed_session_count=_count(wire.failed_session_count),
        additional_information=_text(wire.additional_information),
        failure_reason_code=_text(wire.failure_reason_code),
    )


def _text(value: str | None) -> str:
    text = value or ""
    if len(text) > REPORT_TEXT:
        raise ReportTooLarge("value too long")
    return text


def _texts(value: _Texts) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [value]
    return tuple(_text(one) for one in value or ())


def _count(value: int | None) -> int:
    return min(max(value or 0, 0), COUNT_MAX)


# RFC 3339 §5.6; a time without zone is UTC: one large sender writes it so
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.\d{1,12})?(?:[Zz]|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)


def _seconds(text: str) -> int:
    found = _TIME.fullmatch(text.strip())
    if found is None:
        raise BadReport("malformed time")
    zone = timedelta(hours=int(found[8] or 0), minutes=int(found[9] or 0))
    try:
        year, month, day, hour, minute, second = (int(found[number]) for number in range(1, 7))
        time = datetime(
            year,
            month,
            day,
            hour,
            minute,
            min(second, 59),  # a leap second
            tzinfo=timezone(-zone if found[7] == "-" else zone),
        )
        return int(time.timestamp())
    except (ValueError, OverflowError) as error:
        raise BadReport("time out of range", cause=error) from error


def format_report(report: Report) -> bytes:
    """The JSON of a report."""
    return msgspec.json.encode(
        {
            "organization-name": report.organization,
            "date-range": {
                "start-datetime": _time(report.begin_s),
                "end-datetime": _time(report.end_s),
            },
            "contact-info": report.contact,
            "report-id": report.report_id,
            "policies": [_result_members(result) for result in report.results],
        }
    )


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _result_members(result: Result) -> dict[str, object]:
    policy = result.policy
    members: dict[str, object] = {
        "policy": {
            "policy-type": policy.type,
            "policy-string": policy.strings,
            "policy-domain": policy.domain,
            "mx-host": policy.mx_hosts,
        },
        "summary": {
            "total-successful-session-count": result.success_count,
            "total-failure-session-count": result.failure_count,
        },
    }
    if result.failures:
        members["failure-details"] = [_failure_members(failure) for failure in result.failures]
    return members


def _failure_members(failure: Failure) -> dict[str, object]:
    named = msgspec.structs.asdict(failure)
    return {name.replace("_", "-"): value for name, value in named.items() if value != ""}


def merge(results: Sequence[Result]) -> tuple[Result, ...]:
    """Results with equal policies as one each, in order; of equal failures the counts are added."""
    merged: dict[Policy, Result] = {}
    for result in results:
        known = merged.get(result.policy)
        merged[result.policy] = result if known is None else _added(known, result)
    return tuple(merged.values())


def _added(one: Result, other: Result) -> Result:
    counts: dict[Failure, int] = {}
    for failure in (*one.failures, *other.failures):
        key = msgspec.structs.replace(failure, failed_session_count=0)
        counts[key] = counts.get(key, 0) + failure.failed_session_count
    return Result(
        policy=one.policy,
        success_count=one.success_count + other.success_count,
        failure_count=one.failure_count + other.failure_count,
        failures=tuple(
            msgspec.structs.replace(failure, failed_session_count=count)
            for failure, count in counts.items()
        ),
    )
