"""parsedmarc beside us: it reads the reports we write, and finds in others' what we find."""

import json
import subprocess
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest
from support.counterparts import judges
from support.reporting import NOW_MS, Place, place

from mox.dns.zones import Zones
from mox.mailauth.dmarc.extract import extract as extract_dmarc
from mox.mailauth.dmarc.feedback import (
    DkimAuth,
    Feedback,
    PolicyPublished,
    Reason,
    Record,
    SpfAuth,
)
from mox.mailauth.dmarc.feedbackxml import write
from mox.outbound.tlsreporting import TlsReporting
from mox.tlspolicy.extract import extract as extract_tls
from mox.tlspolicy.tlsreport import Failure, Policy, PolicyType, Result, ResultType

pytestmark = pytest.mark.interop

SAMPLES = Path(__file__).parents[1] / "data" / "reports"
DAY = NOW_MS // 86_400_000

_SCRIPT = """
import json, sys
import parsedmarc
answers = []
for message in json.load(sys.stdin):
    try:
        answers.append(parsedmarc.parse_report_email(message.encode("latin-1"), offline=True))
    except parsedmarc.ParserError as error:
        answers.append({"report_type": "error", "report": str(error)})
json.dump(answers, sys.stdout, default=str)
"""


def ask(*messages: bytes) -> list[dict[str, Any]]:
    """What parsedmarc makes of messages."""
    done = subprocess.run(
        [judges(), "-c", _SCRIPT],
        input=json.dumps([message.decode("latin-1") for message in messages]),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def message(content: bytes, kind: str) -> bytes:
    """A report as it is sent."""
    made = EmailMessage(SMTP)
    maintype, subtype = kind.split("/")
    made["From"] = "reports@mail.example"
    made["Subject"] = "Report Domain: example.org Submitter: mail.example Report-ID: <1>"
    made.set_content("a report")
    made.add_attachment(content, maintype, subtype, filename="report")
    if subtype.startswith("tlsrpt"):
        made.replace_header("Content-Type", 'multipart/report; report-type="tlsrpt"')
        made.set_boundary("=-=")
    return bytes(made)


FEEDBACK = Feedback(
    version="1.0",
    org_name="mx.here.example",
    email="postmaster@mx.here.example",
    report_id="20261129.00.0123456789abcdef",
    begin_s=NOW_MS // 1000 - 86_400,
    end_s=NOW_MS // 1000 - 1,
    errors=("b.example does not take reports about x.example", "<&> \"quoted\" 'text'"),
    policy=PolicyPublished(
        domain="bücher.example", adkim="r", aspf="s", p="quarantine", sp="none", pct=50
    ),
    records=(
        Record(
            source_ip="192.0.2.1",
            count=1_000_000,
            disposition="none",
            dkim="pass",
            spf="fail",
            reasons=(Reason(type="mailing_list"), Reason(type="sampled_out")),
            envelope_to="here.example",
            envelope_from="bounces.bücher.example",
            header_from="bücher.example",
            dkim_results=(
                DkimAuth(domain="bücher.example", selector="a", result="pass"),
                DkimAuth(
                    domain="bücher.example",
                    selector="b",
                    result="permerror",
                    human_result="key revoked",
                ),
            ),
            spf_results=(
                SpfAuth(domain="bounces.bücher.example", scope="mfrom", result="softfail"),
            ),
        ),
        Record(
            source_ip="2001:db8::1",
            count=1,
            disposition="reject",
            dkim="fail",
            spf="fail",
            reasons=(Reason(type="other", comment="<local> & more"),),
            envelope_to="here.example",
            header_from="bücher.example",
            spf_results=(SpfAuth(domain="192.0.2.7", scope="helo", result="none"),),
        ),
    ),
)


async def written_dmarc(made: Place) -> bytes:
    """The message with ``FEEDBACK``."""
    import gzip

    from mox.message import compose

    content = compose.Multipart(
        "mixed",
        (
            compose.text("report", eight_bit=False),
            compose.attachment(
                gzip.compress(write(FEEDBACK)), "application/gzip", "a!b!1!2.xml.gz"
            ),
        ),
    )
    mail = await made.office.write(
        content,
        from_domain="here.example",
        recipients=[],
        subject="Report Domain: x",
        keys=(),
    )
    return mail.content


async def test_it_reads_our_dmarc_reports() -> None:
    async with place() as made:
        ours = await written_dmarc(made)
    assert extract_dmarc(ours) == FEEDBACK
    (answer,) = ask(ours)
    assert answer["report_type"] == "aggregate"
    report = answer["report"]
    metadata, policy = report["report_metadata"], report["policy_published"]
    assert metadata["report_id"] == FEEDBACK.report_id
    assert metadata["org_email"] == FEEDBACK.email
    assert (metadata["begin_date"], metadata["end_date"]) == (
        "2026-11-28 00:00:00",
        "2026-11-28 23:59:59",
    )
    assert tuple(metadata["errors"]) == FEEDBACK.errors
    assert (policy["domain"], policy["p"], policy["sp"], policy["pct"], policy["aspf"]) == (
        "bücher.example",
        "quarantine",
        "none",
        "50",
        "s",
    )
    assert [same(record) for record in report["records"]] == [
        fields(record) for record in FEEDBACK.records
    ]


def fields(record: Record) -> dict[str, Any]:
    """Our view of a record, in the words of both."""
    return {
        "ip": record.source_ip,
        "count": record.count,
        "evaluated": (record.disposition, record.dkim, record.spf),
        "reasons": [(one.type, one.comment) for one in record.reasons],
        # Where a sender is not told it takes what SPF checked.
        "envelope": (record.envelope_to, record.envelope_from or record.spf_results[-1].domain),
        "header_from": record.header_from,
        "dkim": [(one.domain, one.selector, one.result) for one in record.dkim_results],
        "spf": [(one.domain, one.scope or "mfrom", one.result) for one in record.spf_results],
    }


def same(record: dict[str, Any]) -> dict[str, Any]:
    """Its view."""
    evaluated, names = record["policy_evaluated"], record["identifiers"]
    results = record["auth_results"]
    return {
        "ip": record["source"]["ip_address"],
        "count": record["count"],
        "evaluated": (evaluated["disposition"], evaluated["dkim"], evaluated["spf"]),
        "reasons": [
            (one["type"], one["comment"] or "") for one in evaluated["policy_override_reasons"]
        ],
        "envelope": (names["envelope_to"] or "", names["envelope_from"] or ""),
        "header_from": names["header_from"],
        "dkim": [
            (one["domain"], "" if one["selector"] == "none" else one["selector"], one["result"])
            for one in results["dkim"]
        ],
        "spf": [(one["domain"], one["scope"], one["result"]) for one in results["spf"]],
    }


async def test_it_reads_our_tls_reports() -> None:
    async with place() as made:
        for number, kind in enumerate(ResultType):
            made.reports.results.add(
                "x.example",
                "x.example" if number % 2 else "mx.x.example",
                [
                    Result(
                        policy=Policy(
                            type=list(PolicyType)[number % 3].value,
                            strings=("a", "b"),
                            domain="x.example",
                            mx_hosts=("*.x.example",),
                        ),
                        success_count=number,
                        failure_count=2,
                        failures=(
                            Failure(
                                result_type=kind.value,
                                sending_mta_ip="192.0.2.1",
                                receiving_mx_hostname="mx.x.example",
                                receiving_mx_helo="mx",
                                receiving_ip="2001:db8::1",
                                failed_session_count=2,
                                additional_information="see <https://x.example/>",
                                failure_reason_code="code-ü",
                            ),
                        ),
                    )
                ],
                is_host=not number % 2,
                send_report=True,
                at_ms=NOW_MS - 1,
            )
        resolver = Zones({"_smtp._tls.x.example": {"TXT": ["v=TLSRPTv1; rua=mailto:r@x.example"]}})
        await TlsReporting(
            made.reports, resolver, made.office, made.outbox, random=lambda: 0.0
        ).round(DAY)
        (mail,) = made.outbox.taken
    ours = extract_tls(mail.content)
    (answer,) = ask(mail.content)
    assert answer["report_type"] == "smtp_tls"
    report = answer["report"]
    assert report["report_id"] == ours.report_id == "20261128.x.example@here.example"
    assert (report["begin_date"], report["end_date"]) == (
        "2026-11-28T00:00:00Z",
        "2026-11-28T23:59:59Z",
    )
    assert len(ours.results) >= 3
    assert [
        (
            one["policy_type"],
            one["policy_domain"],
            one["successful_session_count"],
            one["failed_session_count"],
            [
                (detail["result_type"], detail["failed_session_count"], detail["receiving_ip"])
                for detail in one["failure_details"]
            ],
        )
        for one in report["policies"]
    ] == [
        (
            one.policy.type,
            one.policy.domain,
            one.success_count,
            one.failure_count,
            [
                (detail.result_type, detail.failed_session_count, detail.receiving_ip)
                for detail in one.failures
            ],
        )
        for one in ours.results
    ]


# What it does not take of the reports that others write, and we do.
TOO_STRICT = {
    "namespace.xml": "names with the prefix of a namespace",
    "oneline.xml": "a row that does not say whether DKIM and SPF were aligned",
}


@pytest.mark.parametrize("name", ["plain.xml", "successor.xml", *TOO_STRICT])
def test_we_find_the_same_in_the_reports_of_others(name: str) -> None:
    raw = message((SAMPLES / name).read_bytes(), "text/xml")
    ours = extract_dmarc(raw)
    (answer,) = ask(raw)
    if name in TOO_STRICT:
        assert answer["report_type"] == "error"
        return
    assert answer["report_type"] == "aggregate", answer
    report = answer["report"]
    assert report["report_metadata"]["report_id"] == ours.report_id
    assert report["policy_published"]["domain"] == ours.policy.domain
    assert [same(record) for record in report["records"]] == [
        fields(record) for record in ours.records
    ]


def test_we_find_the_same_in_the_tls_reports_of_others() -> None:
    raw = message((SAMPLES / "plain.json").read_bytes(), "application/tlsrpt+json")
    ours = extract_tls(raw)
    (answer,) = ask(raw)
    assert answer["report_type"] == "smtp_tls", answer
    report = answer["report"]
    assert report["organization_name"] == ours.organization
    assert [
        (one["policy_domain"], one["failed_session_count"], len(one.get("failure_details", [])))
        for one in report["policies"]
    ] == [(one.policy.domain, one.failure_count, len(one.failures)) for one in ours.results]
