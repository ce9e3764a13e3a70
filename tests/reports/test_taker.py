"""Reports in incoming messages: taken, or why not."""

import gzip
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from mox.base import metrics
from mox.base.limits import REPORT_MESSAGE
from mox.config.live import Live
from mox.config.load import load
from mox.inbound.hooks import ReportTaker
from mox.mailauth.dkim.keyrecord import parse_record
from mox.mailauth.dkim.signature import Signature
from mox.mailauth.dkim.verify import Result as DkimResult
from mox.mailauth.dkim.verify import Status
from mox.mailauth.publicsuffix import ListedSuffixes
from mox.reports import dmarc, tlsrpt
from mox.reports.keeper import Reports
from mox.reports.taker import NotAReport, TakenDmarc, TakenTls, Taker, is_signed_for_reports

SAMPLES = Path(__file__).parents[1] / "data" / "reports"
XML = (SAMPLES / "plain.xml").read_bytes()
JSON = (SAMPLES / "plain.json").read_bytes()
END_MS = 1_795_910_399_000  # of the sample's period
STATIC = """
data_dir = "data"
log_level = "info"
hostname = "mx.company-y.example"
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.local]
ips = ["127.0.0.1"]
"""
DOMAINS = """
[domains."example.org"]
[domains."bücher.example"]
[domains."company-y.example"]
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
"""


@pytest.fixture
def taker(reports: Reports, suffixes: ListedSuffixes) -> Taker:
    live = Live(load(STATIC, DOMAINS, static_file="mox.toml", domains_file="domains.toml"))
    made = Taker(reports.dmarc, reports.tls, live, lambda: suffixes)
    typed: ReportTaker = made
    assert typed is made
    return made


def message(content: bytes, kind: str, *, whole: bool = False) -> bytes:
    made = EmailMessage(SMTP)
    maintype, subtype = kind.split("/")
    if whole:
        made.set_content(content, maintype, subtype)
    else:
        made.set_content("report")
        made.add_attachment(content, maintype, subtype, filename="r")
    made["From"] = "reports@mail.example"
    return bytes(made)


DMARC = message(gzip.compress(XML), "application/gzip")
TLS = message(JSON, "application/tlsrpt+json", whole=True)


async def read_dmarc(taker: Taker, content: bytes | Path = DMARC, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "from_domain": "mail.example",
        "mail_from": "bounce@mail.example",
        "dmarc_passed": True,
        "now_ms": END_MS,
    }
    return await taker.read_dmarc(content, **{**arguments, **changes})


def signature(
    domain: str = "mail.example",
    status: Status = Status.PASS,
    record: str = "v=DKIM1; p=AAAA",
    *,
    is_of_other_service: bool = False,
    body_length: int | None = None,
) -> DkimResult:
    return DkimResult(
        status=status,
        record=parse_record(record.encode()),
        is_of_other_service=is_of_other_service,
        signature=Signature(
            algorithm="rsa-sha256",
            domain=domain,
            selector="s",
            names=(b"from",),
            body_hash=b"",
            value=b"",
            identity_domain=domain,
            body_length=body_length,
        ),
    )


async def read_tls(taker: Taker, content: bytes | Path = TLS, **changes: Any) -> Any:
    arguments: dict[str, Any] = {
        "from_domain": "mail.example",
        "mail_from": "bounce@mail.example",
        "signatures": [signature()],
        "now_ms": END_MS,
    }
    return await taker.read_tls(content, **{**arguments, **changes})


def sample(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


async def test_a_dmarc_report_is_taken_and_kept(taker: Taker, reports: Reports) -> None:
    evaluated = {"domain": "example.org", "disposition": "none", "dkim": "pass", "spf": "fail"}
    names = (
        ("mox_dmarcdb_policy_evaluated_total", evaluated),
        ("mox_dmarcdb_dkim_result_total", {"result": "pass"}),
        ("mox_dmarcdb_spf_result_total", {"result": "pass"}),
    )
    before = [sample(name, **labels) for name, labels in names]
    report = await read_dmarc(taker)
    assert isinstance(report, TakenDmarc)
    assert report.summary == "DMARC report of mail.example about example.org: 12 messages"
    assert [found async for found in reports.dmarc.shelf.heads()] == []
    for _ in range(2):
        await taker.keep(report)  # the second one is a duplicate
    ((number, head),) = [found async for found in reports.dmarc.shelf.heads()]
    assert head.domains == ("example.org",)
    assert (head.from_domain, head.mail_from) == ("mail.example", "bounce@mail.example")
    assert head.summary == dmarc.Summary(
        records=1, messages=12, passed=12, dkim_passed=12, spf_passed=0
    )
    found = await reports.dmarc.read(number)
    assert found is not None
    assert found[1] == report.feedback
    assert await reports.dmarc.read(number + 1) is None
    assert [sample(name, **labels) for name, labels in names] == [one + 12 for one in before]


@pytest.mark.parametrize(
    ("content", "changes", "problem"),
    [
        (DMARC, {"dmarc_passed": False}, "no DMARC pass"),
        (b"Subject: x\r\n\r\nhello", {}, "could not parse report"),
        (message(XML[:-20], "text/xml"), {}, "could not parse report"),
        (
            message(XML.replace(b"<domain>example.org<", b"<domain>a b<"), "text/xml"),
            {},
            "could not parse domain in published policy",
        ),
        (
            message(XML.replace(b"<domain>example.org<", b"<domain>example.com<"), "text/xml"),
            {},
            "published policy domain unrecognized",
        ),
        (DMARC, {"now_ms": END_MS - 61_000}, "report has end date in the future"),
    ],
)
async def test_why_a_dmarc_report_is_not_taken(
    taker: Taker, content: bytes, changes: dict[str, Any], problem: str
) -> None:
    assert await read_dmarc(taker, content, **changes) == NotAReport(problem)


@pytest.mark.parametrize("written", ["EXAMPLE.org", "example.org.", "b\u00fccher.example",
                                     "xn--bcher-kva.example"])  # fmt: skip
async def test_ways_to_write_a_domain(taker: Taker, written: str) -> None:
    changed = XML.replace(b"<domain>example.org<", f"<domain>{written}<".encode(), 1)
    report = await read_dmarc(taker, message(changed, "text/xml"))
    assert isinstance(report, TakenDmarc)
    assert report.domain in ("example.org", "bücher.example")


async def test_clocks_may_differ_a_minute(taker: Taker) -> None:
    assert isinstance(await read_dmarc(taker, now_ms=END_MS - 59_000), TakenDmarc)


async def test_a_spooled_message(taker: Taker, tmp_path: Path) -> None:
    path = tmp_path / "spool"
    path.write_bytes(DMARC)
    assert isinstance(await read_dmarc(taker, path), TakenDmarc)
    path.write_bytes(TLS)
    assert isinstance(await read_tls(taker, path), TakenTls)
    path.write_bytes(b"")
    assert await read_dmarc(taker, path) == NotAReport("could not parse report")
    with path.open("wb") as file:
        file.truncate(REPORT_MESSAGE + 1)
    assert await read_dmarc(taker, path) == NotAReport("could not parse report")
    assert await read_tls(taker, path) == NotAReport("could not parse TLS report")
    assert await read_dmarc(taker, tmp_path / "gone") == NotAReport("could not parse report")


async def test_a_tls_report_is_taken_and_kept(taker: Taker, reports: Reports) -> None:
    kinds = {"success": 5333, "certificate-expired": 100, "validation-failure": 3}
    before = {kind: sample("mox_tlsrptdb_session_total", type=kind) for kind in kinds}
    report = await read_tls(taker)
    assert isinstance(report, TakenTls)
    assert report.domains == ("company-y.example",)
    assert report.hosts == ("mx.company-y.example",)
    assert "5636 sessions" in report.summary
    await taker.keep(report)
    for name in ("company-y.example", "mx.company-y.example"):
        ((number, head),) = [found async for found in reports.tls.shelf.heads(domain=name)]
        assert head.hosts == ("mx.company-y.example",)
        assert head.summary == tlsrpt.Summary(
            successes=5333,
            failures=303,
            kinds={
                "certificate-expired": 100,
                "starttls-not-supported": 200,
                "validation-failure": 3,
            },
        )
        found = await reports.tls.read(number)
        assert found is not None
        assert found[1] == report.report
    for kind, count in kinds.items():
        assert sample("mox_tlsrptdb_session_total", type=kind) == before[kind] + count


@pytest.mark.parametrize(
    ("content", "changes", "problem"),
    [
        (TLS, {"signatures": []}, "no acceptable DKIM signature"),
        (TLS, {"from_domain": ""}, "no acceptable DKIM signature"),
        (b"Subject: x\r\n\r\nhello", {}, "could not parse TLS report"),
        (
            message(
                JSON.replace(b"company-y", b"company-z"), "application/tlsrpt+json", whole=True
            ),
            {},
            "report for unknown domain",
        ),
    ],
)
async def test_why_a_tls_report_is_not_taken(
    taker: Taker, content: bytes, changes: dict[str, Any], problem: str
) -> None:
    assert await read_tls(taker, content, **changes) == NotAReport(problem)


@pytest.mark.rfc("8460 §3")
@pytest.mark.parametrize(
    ("found", "good"),
    [
        (signature(), True),
        (signature(status=Status.FAIL), False),
        (signature(status=Status.POLICY, body_length=5), False),
        (signature("example"), False),  # above any organisation
        (signature("x.mail.example"), False),
        (signature("other.example"), False),
        (signature("MAIL.example"), True),
        (signature(record="v=DKIM1; s=email; p=AAAA"), False),
        (signature(record="v=DKIM1; s=email:tlsrpt; p=AAAA"), True),
        (
            signature(
                status=Status.PERMERROR,
                record="v=DKIM1; s=tlsrpt; p=AAAA",
                is_of_other_service=True,
            ),
            True,
        ),
        (signature(status=Status.PERMERROR, record="v=DKIM1; s=tlsrpt; p=AAAA"), False),
    ],
)
def test_signatures(found: DkimResult, good: bool, suffixes: ListedSuffixes) -> None:
    assert is_signed_for_reports([found], "mail.example", suffixes) is good
    many = [signature(status=Status.FAIL), found]
    assert is_signed_for_reports(many, "mail.example", suffixes) is good


def test_the_author_may_be_below_the_signer(suffixes: ListedSuffixes) -> None:
    assert is_signed_for_reports([signature()], "reports.mail.example", suffixes)
    assert not is_signed_for_reports([signature("co.example")], "x.co.example", suffixes)


async def test_labels_of_metrics_are_ours(taker: Taker, reports: Reports) -> None:
    odd = XML.replace(b">none<", b">" + b"x" * 100 + b"<").replace(b">pass<", b">\xc3\xa9<")
    report = await read_dmarc(taker, message(odd, "text/xml"))
    await taker.keep(report)
    labels = {
        value
        for metric in metrics.REGISTRY.collect()
        if metric.name.startswith("mox_dmarcdb")
        for one in metric.samples
        for name, value in one.labels.items()
        if name != "domain"  # one of ours
    }
    assert "other" in labels
    assert not any(len(label) > 20 or not label.isascii() for label in labels)


async def test_many_at_once(taker: Taker) -> None:
    import asyncio

    found = await asyncio.gather(*(read_dmarc(taker) for _ in range(20)))
    assert all(isinstance(one, TakenDmarc) for one in found)
