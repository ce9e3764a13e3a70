"""Aggregate reports out of messages."""

import gzip
import io
import zipfile
import zlib
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest

from mox.base.limits import MIB, REPORT_MESSAGE, REPORT_PARTS, REPORT_UNPACKED
from mox.mailauth.dmarc.extract import NoReport, extract
from mox.mailauth.dmarc.feedback import Feedback
from mox.mailauth.dmarc.feedbackxml import BadFeedback, parse
from mox.message.archive import BadArchive, TooLarge

XML = (Path(__file__).parents[2] / "data" / "reports" / "plain.xml").read_bytes()
REPORT = parse([XML])


def zipped(*files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, content in enumerate(files):
            archive.writestr(f"{number}.xml", content)
    return out.getvalue()


def message(*attachments: tuple[str, bytes], text: bool = True) -> bytes:
    """A message with these attachments, given by type and content."""
    made = EmailMessage(SMTP)
    made["From"] = "reports@mail.example"
    made["To"] = "dmarcreports@example.org"
    made["Subject"] = "Report Domain: example.org Submitter: mail.example Report-ID: <1>"
    if text:
        made.set_content("This is an aggregate report.")
    for kind, content in attachments:
        maintype, subtype = kind.split("/")
        if text:
            made.add_attachment(content, maintype, subtype, filename="report")
        else:
            made.set_content(content, maintype, subtype, filename="report")
    return bytes(made)


def untyped(content: bytes) -> bytes:
    return message(("application/xml", content)).replace(b"Content-Type: application/xml\r\n", b"")


@pytest.mark.parametrize("text", [True, False], ids=["attached", "whole"])
@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/zip", zipped(XML)),
        ("application/x-zip-compressed", zipped(XML)),
        ("application/gzip", gzip.compress(XML)),
        ("application/x-gzip", gzip.compress(XML)),
        ("text/xml", XML),
        ("application/xml", XML),
        ("application/octet-stream", zipped(XML)),
        ("application/octet-stream", gzip.compress(XML)),
        ("application/octet-stream", XML),
        ("application/octet-stream", b"\xef\xbb\xbf\r\n" + XML[XML.index(b"<feedback") :]),
    ],
)
@pytest.mark.rfc("7489 §7.2.1.1")
def test_reports_as_they_are_sent(kind: str, content: bytes, text: bool) -> None:
    assert extract(message((kind, content), text=text)) == REPORT


@pytest.mark.parametrize("content", [zipped(XML), gzip.compress(XML), XML])
def test_a_part_without_type(content: bytes) -> None:
    raw = untyped(content)
    assert raw.count(b"Content-Type:") == 2
    assert extract(raw) == REPORT
    assert extract(memoryview(raw)) == REPORT


def test_a_report_in_a_forwarded_message() -> None:
    outer = EmailMessage(SMTP)
    outer.set_content("look")
    inner = EmailMessage(SMTP)
    inner.set_content(XML, "application", "xml")
    outer.add_attachment(inner)
    assert extract(bytes(outer)) == REPORT


def test_the_first_one_counts() -> None:
    other = XML.replace(b"16211123087430721234", b"2")
    found = extract(message(("image/png", b"\x89PNG"), ("text/xml", other), ("text/xml", XML)))
    assert found.report_id == "2"


def test_what_is_damaged_is_passed_over() -> None:
    parts = [
        ("application/octet-stream", b"no report"),
        ("application/zip", zipped(XML, XML)),
        ("application/gzip", gzip.compress(XML)[:-20]),
        ("text/xml", b"<html/>"),
    ]
    assert extract(message(*parts, ("text/xml", XML))) == REPORT
    with pytest.raises(BadArchive, match="one file"):
        extract(message(*parts))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"Subject: x\r\n\r\nhello\r\n",
        message(("image/png", b"x")),
        message(("application/octet-stream", b"MZ")),
    ],
)
def test_no_report(raw: bytes) -> None:
    found: Feedback | None = None
    with pytest.raises((NoReport, BadFeedback)):
        found = extract(raw)
    assert found is None


def test_a_message_may_be_large_but_not_larger() -> None:
    raw = message(("text/xml", XML))
    filling = b"x" * 70 + b"\r\n"
    raw = raw.replace(b"This is", filling * ((REPORT_MESSAGE - len(raw)) // len(filling)) + b"This")
    raw = raw.replace(b"This", b" " * (REPORT_MESSAGE - len(raw)) + b"This")
    assert len(raw) == REPORT_MESSAGE
    assert extract(raw) == REPORT
    with pytest.raises(TooLarge):
        extract(b"X" + raw)


@pytest.mark.parametrize(("over", "passes"), [(0, True), (1, False)])
def test_what_comes_out_may_be_20_mib(over: int, passes: bool) -> None:
    filled = XML + b"\n" * (REPORT_UNPACKED - len(XML) + over)
    raw = message(("application/gzip", gzip.compress(filled)))
    if passes:
        assert extract(raw) == REPORT
    else:
        with pytest.raises(TooLarge):
            extract(raw)


def test_many_bombs_are_one() -> None:
    """What is unpacked for a message is counted over all its parts."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(b"<feedback>" + b"\n" * (15 * MIB) + b"<") + packer.flush()
    with pytest.raises(TooLarge):
        extract(message(("application/gzip", bomb), ("application/gzip", bomb), ("text/xml", XML)))


def test_few_parts_are_tried() -> None:
    empty = ("application/gzip", b"")
    assert extract(message(*[empty] * (REPORT_PARTS - 1), ("text/xml", XML))) == REPORT
    with pytest.raises(BadArchive):
        extract(message(*[empty] * REPORT_PARTS, ("text/xml", XML)))
