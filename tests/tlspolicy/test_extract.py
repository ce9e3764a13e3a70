"""TLS reports out of messages."""

import gzip
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from mox.base.limits import REPORT_MESSAGE, REPORT_PARTS, REPORT_UNPACKED
from mox.message.archive import BadArchive, TooLarge
from mox.tlspolicy.extract import NoReport, extract
from mox.tlspolicy.tlsreport import BadReport, parse_report

JSON = (Path(__file__).parents[1] / "data" / "reports" / "plain.json").read_bytes()
REPORT = parse_report(JSON)


def message(
    subtype: str,
    content: bytes,
    *,
    multipart: str = "report",
    report_type: str | None = "tlsrpt",
    before: int = 0,
) -> bytes:
    made = EmailMessage(SMTP)
    made["From"] = "tls@mail.example"
    made["Subject"] = "Report Domain: example.org Submitter: mail.example Report-ID: <1>"
    made["TLS-Report-Domain"] = "example.org"
    made["TLS-Report-Submitter"] = "mail.example"
    made.set_content("This is an aggregate TLS report.")
    for _ in range(before):
        made.add_attachment(b"", "application", "pdf")
    made.add_attachment(content, "application", subtype, filename="r")
    made.replace_header("Content-Type", f"multipart/{multipart}")
    if report_type is not None:
        made.set_param("report-type", report_type)
    made.set_boundary("=-=")
    return bytes(made)


def whole(subtype: str, content: bytes) -> bytes:
    made = EmailMessage(SMTP)
    made.set_content(content, "application", subtype)
    return bytes(made)


@pytest.mark.parametrize(
    ("subtype", "content"),
    [("tlsrpt+json", JSON), ("tlsrpt+gzip", gzip.compress(JSON)), ("TLSRPT+JSON", JSON + b"\n{")],
)
@pytest.mark.rfc("8460 §5.3")
def test_reports_as_they_are_sent(subtype: str, content: bytes) -> None:
    assert extract(message(subtype, content)) == REPORT
    assert extract(message(subtype, content, report_type="TLSRPT")) == REPORT
    assert extract(memoryview(whole(subtype, content))) == REPORT


def test_a_report_within_another_multipart() -> None:
    outer = EmailMessage(SMTP)
    outer.set_content("listed")
    outer.make_mixed()
    inner = message("tlsrpt+json", JSON)
    outer.set_boundary("outer")
    raw = bytes(outer)
    end = raw.rindex(b"--outer")
    boundary = b"--outer\r\n"
    part = inner[inner.index(b"Content-Type: multipart") :]
    assert extract(raw[:end] + boundary + part + b"\r\n" + raw[end:]) == REPORT


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: x\r\n\r\nhello",
        message("tlsrpt+json", JSON, multipart="mixed"),
        message("tlsrpt+json", JSON, report_type="delivery-status"),
        message("tlsrpt+json", JSON, report_type=None),
        message("json", JSON),
        message("tlsrpt+json", JSON, before=REPORT_PARTS + 1),
    ],
)
def test_no_report(raw: bytes) -> None:
    with pytest.raises(NoReport):
        extract(raw)


def test_damage() -> None:
    with pytest.raises(BadReport):
        extract(message("tlsrpt+json", JSON[:-5]))
    with pytest.raises(BadArchive):
        extract(message("tlsrpt+gzip", JSON))
    with pytest.raises(BadArchive):
        extract(message("tlsrpt+gzip", gzip.compress(JSON)[:-5]))


def test_sizes() -> None:
    filled = JSON + b" " * (REPORT_UNPACKED - len(JSON))
    assert extract(message("tlsrpt+gzip", gzip.compress(filled))) == REPORT
    with pytest.raises(TooLarge):
        extract(message("tlsrpt+gzip", gzip.compress(filled + b" ")))
    raw = message("tlsrpt+json", JSON)
    assert extract(b"X: " + b"x" * 900_000 + b"\r\n" + raw) == REPORT
    with pytest.raises(TooLarge):
        extract(raw + b" " * (REPORT_MESSAGE - len(raw) + 1))
