"""Observations as rows of TLS reports.    RFC 8460 §4.4."""

from collections.abc import Iterable

import msgspec
import pytest

from mox.dns.base import Tlsa
from mox.outbound.observing import ReportingObserver
from mox.tlspolicy.choose import DaneFinding, DaneState
from mox.tlspolicy.mtasts import parse_policy
from mox.tlspolicy.observation import Failure, Observation, Session, StsFinding
from mox.tlspolicy.tlsreport import Result

TEXT = b"version: STSv1\nmode: enforce\nmx: mx.example.net\nmax_age: 60\n"
STS = StsFinding(policy=parse_policy(TEXT))
DANE = DaneFinding(state=DaneState.RECORDS, records=(Tlsa(3, 1, 1, b"\xab" * 2),))
SEEN = Observation(
    at_ms=1,
    recipient_domain="example.net",
    host="mx.example.net",
    remote_ip="192.0.2.1",
    local_ip="192.0.2.9",
    helo="mx",
    session=Session.SUCCEEDED,
)


class Rows:
    def __init__(self) -> None:
        self.rows: dict[str, Result] = {}
        self.send: set[bool] = set()

    def add(
        self,
        recipient_domain: str,
        policy_domain: str,
        results: Iterable[Result],
        *,
        is_host: bool,
        send_report: bool,
        at_ms: int,
    ) -> None:
        assert (recipient_domain, at_ms) == ("example.net", 1)
        assert is_host == (policy_domain != recipient_domain)
        (self.rows[policy_domain],) = results
        self.send.add(send_report)


def rows_of(**changes: object) -> Rows:
    rows = Rows()
    ReportingObserver(rows).observe(msgspec.structs.replace(SEEN, **changes))
    return rows


def brief(**changes: object) -> dict[str, tuple[str, int, int, list[str]]]:
    """By policy domain: type, good sessions, failed ones, failures."""
    return {
        domain: (
            result.policy.type,
            result.success_count,
            result.failure_count,
            [one.failure_reason_code or one.result_type for one in result.failures],
        )
        for domain, result in rows_of(**changes).rows.items()
    }


def failures(*pairs: tuple[str, str]) -> tuple[Failure, ...]:
    return tuple(Failure(result_type=kind, reason=reason) for kind, reason in pairs)


MISMATCH = failures(("validation-failure", "mtasts-policy-mx-mismatch"))
NO_MATCH = failures(("validation-failure", "dane-no-match"))
EXPIRED = failures(("certificate-expired", ""))
HANDSHAKE = failures(("validation-failure", "tls-remote-alert-x"))


@pytest.mark.parametrize(
    ("changes", "domain", "host"),
    [
        ({}, ("no-policy-found", 1, 0, []), ("no-policy-found", 1, 0, [])),
        ({"sts": STS, "dane": DANE}, ("sts", 1, 0, []), ("tlsa", 1, 0, [])),
        (
            {"sts": STS, "failures": EXPIRED},
            ("sts", 0, 1, ["certificate-expired"]),
            ("no-policy-found", 1, 0, []),
        ),
        (
            {"sts": STS, "dane": DANE, "failures": NO_MATCH, "session": Session.SUCCEEDED},
            ("sts", 1, 0, []),
            ("tlsa", 0, 1, ["dane-no-match"]),
        ),
        (
            {"failures": HANDSHAKE, "session": Session.FAILED},
            ("no-policy-found", 0, 1, ["tls-remote-alert-x"]),
            ("no-policy-found", 0, 1, ["tls-remote-alert-x"]),
        ),
        (
            {"sts": STS, "failures": MISMATCH, "session": Session.NONE},
            ("sts", 0, 0, ["mtasts-policy-mx-mismatch"]),
            None,
        ),
        (
            {"failures": failures(("starttls-not-supported", "")), "session": Session.NONE},
            ("no-policy-found", 0, 0, ["starttls-not-supported"]),
            ("no-policy-found", 0, 0, ["starttls-not-supported"]),
        ),
        (
            {"sts": StsFinding(result_type="sts-policy-fetch-error", problem="HTTP status 404")},
            ("sts", 1, 0, ["HTTP status 404"]),
            ("no-policy-found", 1, 0, []),
        ),
        ({"session": Session.NONE}, None, None),
    ],
)
def test_rows(
    changes: dict[str, object],
    domain: tuple[str, int, int, list[str]] | None,
    host: tuple[str, int, int, list[str]] | None,
) -> None:
    expected = {"example.net": domain, "mx.example.net": host}
    assert brief(**changes) == {name: row for name, row in expected.items() if row is not None}


def test_policies_are_quoted() -> None:
    rows = rows_of(sts=STS, dane=DANE).rows
    assert rows["example.net"].policy.strings == tuple(TEXT.decode().splitlines())
    assert rows["example.net"].policy.mx_hosts == ("mx.example.net",)
    assert rows["mx.example.net"].policy.strings == ("3 1 1 abab",)


def test_a_domain_that_is_its_own_host() -> None:
    own = {"host": "example.net", "is_implicit_host": True}
    assert brief(**own) == {"example.net": ("no-policy-found", 1, 0, [])}
    assert brief(**own, dane=DANE) == {"example.net": ("tlsa", 1, 0, [])}
    assert brief(**own, dane=DANE, sts=STS) == {"example.net": ("sts", 1, 0, [])}


def test_reports_about_reports_have_an_end() -> None:
    assert rows_of().send == {True}
    assert rows_of(from_tls_report=True, failures=HANDSHAKE).send == {False}
    assert rows_of(from_dmarc_report=True).send == {False}
    assert rows_of(from_dmarc_report=True, failures=HANDSHAKE).send == {True}


def test_details() -> None:
    (detail,) = rows_of(failures=HANDSHAKE, session=Session.FAILED).rows["example.net"].failures
    assert detail.sending_mta_ip == "192.0.2.9"
    assert detail.receiving_ip == "192.0.2.1"
    assert (detail.receiving_mx_hostname, detail.receiving_mx_helo) == ("mx.example.net", "mx")
    assert detail.failed_session_count == 1
