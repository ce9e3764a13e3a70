"""Notifications: what we build is read by us and by Python's email package; what others build is read."""

import importlib.util
import random
from email import message_from_bytes, policy
from email.message import EmailMessage, Message
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message import mime
from mox.message.compose import Mailbox
from mox.message.dsn import (
    Action,
    BadReport,
    Mta,
    Notification,
    Recipient,
    Report,
    TypedAddress,
    build,
    decode_unitext,
    encode_unitext,
    is_notification,
    parse,
    typed,
)

NOW = 1_796_000_000_000
HEADER = b"From: <me@example.org>\r\nSubject: hello\r\nMessage-Id: <1@example.org>\r\n\r\n"
HEADER_UTF8 = "From: <mé@example.org>\r\nSubject: héllo\r\n\r\n".encode()
WHOLE = HEADER + b"the body\r\n.\r\nFrom here\r\n"

FAILED = Recipient(
    final=typed("you@example.net"),
    original=TypedAddress("rfc822", "You@example.net"),
    action=Action.FAILED,
    status="5.1.1",
    comment="no such user",
    remote=Mta("mx.example.net", "192.0.2.1"),
    diagnostic=("550-5.1.1 no such user", "550 5.1.1 ask the postmaster"),
    last_attempt_ms=NOW - 1000,
    final_log_id="q17",
)
DELAYED = Recipient(
    final=typed("jürgen@example.net"),
    action=Action.DELAYED,
    status="4.4.1",
    remote=Mta("mx6.example.net", "2001:db8::1"),
    will_retry_until_ms=NOW + 1000 * 86_400,
)
REPORT = Report(
    reporting=Mta("mail.example.org"),
    recipients=(FAILED,),
    envelope_id="QQ 314159",
    gateway="gate.example.org",
    received_from=Mta("client.example.org", "192.0.2.9"),
    arrival_ms=NOW - 5000,
    future_release="for;3600",
)


def notification(**changes: Any) -> Notification:
    base = Notification(
        from_=Mailbox("Mail Delivery", "postmaster@mail.example.org"),
        to=Mailbox("", "me@example.org"),
        subject="mail delivery failed",
        message_id="new@mail.example.org",
        references="1@example.org",
        date_ms=NOW,
        text="It failed.\n",
        report=REPORT,
        original=HEADER,
    )
    return msgspec.structs.replace(base, **changes)


def built(made: Notification, *, utf8: bool = False) -> bytes:
    numbers = count(1)
    return build(made, lambda: f"b{next(numbers)}", utf8=utf8).message


def email_of(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def status_groups(message: EmailMessage) -> list[Message]:
    part = list(message.iter_parts())[1]
    groups = part.get_payload()
    assert isinstance(groups, list)
    return [group for group in groups if isinstance(group, Message)]


@pytest.mark.rfc("3464 §2")
def test_the_email_package_reads_it() -> None:
    message = email_of(built(notification()))
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert message["auto-submitted"] == "auto-replied"
    assert message["references"] == "<1@example.org>"
    first, second, third = message.iter_parts()
    assert first.get_payload(decode=True) == b"It failed.\r\n"
    assert second.get_content_type() == "message/delivery-status"
    assert third.get_content_type() == "text/rfc822-headers"
    assert third.get_payload(decode=True) == HEADER
    about, recipient = status_groups(message)
    assert about["reporting-mta"] == "dns; mail.example.org"
    assert about["original-envelope-id"] == "QQ 314159"
    assert about["received-from-mta"] == "dns; client.example.org ([192.0.2.9])"
    assert about["future-release-request"] == "for;3600"
    assert recipient["final-recipient"] == "rfc822; you@example.net"
    assert recipient["original-recipient"] == "rfc822; You@example.net"
    assert recipient["action"] == "failed"
    assert recipient["status"] == "5.1.1 (no such user)"
    assert recipient["remote-mta"] == "dns; mx.example.net ([192.0.2.1])"
    assert "550 5.1.1 ask the postmaster" in recipient["diagnostic-code"]
    assert recipient["will-retry-until"] is None


def test_a_report_on_several_recipients_is_read_back() -> None:
    report = msgspec.structs.replace(REPORT, recipients=(FAILED, DELAYED))
    for utf8 in (False, True):
        found = parse(built(notification(report=report), utf8=utf8))
        assert found.report == report
        assert found.original_header == HEADER
        assert found.text == "It failed.\n"


@pytest.mark.rfc("6533 §4")
def test_the_forms_of_a_utf8_original() -> None:
    made = notification(
        original=HEADER_UTF8,
        is_utf8=True,
        text="It could not be delivered to jürgen@example.net.\n",
        report=msgspec.structs.replace(REPORT, recipients=(DELAYED,)),
    )
    for utf8, kinds, encodings in (
        (
            True,
            ("text/plain", "message/global-delivery-status", "message/global-headers"),
            ("8bit", "8bit", "8bit"),
        ),
        (
            False,
            ("text/plain", "message/delivery-status", "text/rfc822-headers"),
            ("quoted-printable", "7bit", "base64"),
        ),
    ):
        data = built(made, utf8=utf8)
        assert data.isascii() is not utf8
        tree = mime.parse(data)
        assert tree.error is None
        assert is_notification(tree)
        found = tuple(
            f"{part.media_type.decode()}/{part.media_subtype.decode()}".lower()
            for part in tree.parts
        )
        assert found == kinds
        assert tuple((part.encoding or b"").decode().lower() for part in tree.parts) == encodings
        written = "utf-8; jürgen@" if utf8 else "utf-8; j\\x{FC}rgen@"
        assert written.encode() in data
        parsed = parse(data)
        assert parsed.report.recipients == (DELAYED,)
        assert parsed.original_header == HEADER_UTF8
        assert "jürgen" in parsed.text


@pytest.mark.rfc("3461 §6.2")
@pytest.mark.parametrize(
    ("original", "is_utf8", "utf8", "kind", "encoding", "has_8bit"),
    [
        (WHOLE, False, False, "message/rfc822", "7bit", False),
        (WHOLE + b"\xe9\r\n", False, False, "message/rfc822", "8bit", True),
        (HEADER_UTF8 + b"x\r\n", True, False, "message/global", "base64", False),
        (HEADER_UTF8 + b"x\r\n", True, True, "message/global", "8bit", True),
    ],
)
def test_the_whole_message_comes_back(
    original: bytes, is_utf8: bool, utf8: bool, kind: str, encoding: str, has_8bit: bool
) -> None:
    made = notification(original=original, is_whole=True, is_utf8=is_utf8)
    numbers = count(1)
    done = build(made, lambda: f"b{next(numbers)}", utf8=utf8)
    assert done.has_8bit is has_8bit
    tree = mime.parse(done.message)
    third = tree.parts[2]
    assert f"{third.media_type.decode()}/{third.media_subtype.decode()}".lower() == kind
    assert (third.encoding or b"").decode().lower() == encoding
    header = original[: original.index(b"\r\n\r\n") + 4]
    assert parse(done.message).original_header == header


@pytest.mark.rfc("6522 §3")
def test_headers_with_raw_8bit_are_encoded() -> None:
    raw = b"Subject: caf\xe9\r\n\r\n"
    data = built(notification(original=raw))
    assert data.isascii()
    assert parse(data).original_header == raw


def test_nothing_comes_back_where_nothing_is_there() -> None:
    found = parse(built(notification(original=b"")))
    assert found.original_header == b""


def test_nobody_writes_our_fields_for_us() -> None:
    evil = "x\r\nAction: delivered\r\n\r\nFinal-Recipient: rfc822; other@example.net"
    recipient = Recipient(
        final=typed(f'"{evil}"@example.net'),
        original=TypedAddress("rfc822", evil),
        action=Action.FAILED,
        status="5.0.0",
        comment=f"{evil} (unclosed \\",
        remote=Mta(evil, evil),
        diagnostic=(evil, f"550 {evil}"),
        final_log_id=evil,
    )
    report = Report(
        reporting=Mta(evil), recipients=(recipient,), envelope_id=evil, future_release=evil
    )
    made = notification(
        report=report,
        subject=evil,
        references=evil,
        message_id=evil,
        from_=Mailbox(evil, "a@b.example"),
        to=Mailbox("", evil),
    )
    for utf8 in (False, True):
        data = built(made, utf8=utf8)
        found = parse(data).report
        assert [each.action for each in found.recipients] == [Action.FAILED]
        message = email_of(data)
        assert message["action"] is None
        assert len(message.get_all("final-recipient", [])) == 0


_TEXT = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="()\\;"))
_WORDS = st.lists(_TEXT.filter(bool), min_size=1, max_size=30).map(" ".join)
_TIME = st.integers(0, 4_000_000_000).map(lambda s: s * 1000)
_LOCAL = st.text(st.sampled_from("abcxyz0189.-_+={}äñ漢🙂"), min_size=1, max_size=20)
_HOST = st.from_regex(r"[a-z0-9-]{1,20}\.[a-z]{2,9}", fullmatch=True)
_ADDRESS = st.builds(lambda local, host: typed(f"{local}@{host}"), _LOCAL, _HOST)
_MTA = st.builds(Mta, _HOST, st.sampled_from(["", "192.0.2.1", "2001:db8::1"]))
_RECIPIENT = st.builds(
    Recipient,
    final=_ADDRESS,
    original=st.none() | _ADDRESS,
    action=st.sampled_from([Action.FAILED, Action.RELAYED, Action.EXPANDED, Action.DELIVERED]),
    status=st.sampled_from(["5.1.1", "4.4.1", "2.0.0", "5.123.456"]),
    comment=st.just("") | _WORDS,
    remote=st.none() | _MTA,
    diagnostic=st.lists(
        _WORDS.filter(lambda text: not any(word[:3].isdigit() for word in text.split())).map(
            lambda text: f"550-5.1.1 {text}"
        ),
        max_size=4,
    ).map(tuple),
    last_attempt_ms=st.none() | _TIME,
    final_log_id=st.just("") | _TEXT,
)
_REPORT = st.builds(
    Report,
    reporting=_MTA,
    recipients=st.lists(_RECIPIENT, min_size=1, max_size=4).map(tuple),
    envelope_id=_TEXT,
    gateway=st.just("") | _HOST,
    received_from=st.none() | _MTA,
    arrival_ms=st.none() | _TIME,
    future_release=st.just("") | st.just("until;2026-12-01T00:00:00Z"),
)


@given(_REPORT, st.booleans())
def test_what_is_built_is_read_back(report: Report, utf8: bool) -> None:
    data = built(notification(report=report), utf8=utf8)
    assert parse(data).report == report
    assert utf8 or data.isascii()
    assert all(len(line) <= 998 for line in data.split(b"\r\n"))
    groups = status_groups(email_of(data)) if not utf8 else None
    assert groups is None or len(groups) == 1 + len(report.recipients)


@given(st.text(st.characters(codec="utf-8")))
def test_unitext_is_read_back(text: str) -> None:
    assert encode_unitext(text).isascii()
    assert decode_unitext(encode_unitext(text)) == text


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("\\x{41}", "A"),
        ("\\x{D800}", "\\x{D800}"),
        ("\\x{110000}", "\\x{110000}"),
        ("\\x{}", "\\x{}"),
    ],
)
def test_a_number_that_is_no_character_stays(written: str, meant: str) -> None:
    assert decode_unitext(written) == meant


FOREIGN = b"""\
From: MAILER-DAEMON@mx.example (Mail Delivery System)\r
To: user+id17@example.org\r
MIME-Version: 1.0\r
Content-Type: multipart/report; report-type=delivery-status;\r
\tboundary="B/1"\r
\r
This is a MIME-encapsulated message.\r
\r
--B/1\r
Content-Description: Notification\r
\r
Sorry.\r
\r
--B/1\r
Content-Description: Delivery report\r
Content-Type: message/delivery-status\r
\r
Reporting-MTA: dns; mx.example\r
X-Postfix-Queue-ID: 4B5F01\r
X-Postfix-Sender: rfc822; user+id17@example.org\r
Arrival-Date: Wed,  9 Dec 2026 10:00:00 +0100 (CET)\r
\r
Final-Recipient: RFC822; you@example.net\r
Original-Recipient: rfc822;you@example.net\r
Action: FAILED\r
Status: 5.1.1\r
Remote-MTA: dns; mail.example.net\r
Diagnostic-Code: smtp; 550 5.1.1 <you@example.net>: Recipient address\r
    rejected: unknown user\r
\r
--B/1\r
Content-Description: Undelivered Message\r
Content-Type: message/rfc822\r
\r
Subject: hello\r
Message-ID: <1@example.org>\r
\r
body\r
--B/1--\r
"""


def test_a_notification_of_postfix() -> None:
    found = parse(FOREIGN)
    [recipient] = found.report.recipients
    assert recipient.action is Action.FAILED
    assert recipient.final == TypedAddress("rfc822", "you@example.net")
    assert recipient.diagnostic == (
        "550 5.1.1 <you@example.net>: Recipient address rejected: unknown user",
    )
    assert found.report.arrival_ms == 1_796_806_800_000
    assert found.original_header == b"Subject: hello\r\nMessage-ID: <1@example.org>\r\n\r\n"
    assert found.text == "Sorry.\n"


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"report; report-type", b"mixed; x", "not a delivery status notification"),
        (b"report-type=delivery-status", b"report-type=disposition-notification", "not a delivery"),
        (b"message/delivery-status", b"text/plain", "not a delivery status notification"),
        (b"Action: FAILED\r\n", b"", "no Action"),
        (b"Action: FAILED", b"Action: eaten", "no Action"),
        (b"Status: 5.1.1", b"Status: 5.1", "no Status"),
        (b"Status: 5.1.1", b"Status: 3.1.1", "no Status"),
        (b"Final-Recipient: RFC822; you@example.net\r\n", b"", "no Final-Recipient"),
        (b"Final-Recipient: RFC822; ", b"Final-Recipient: ", "no Final-Recipient"),
        (b"Reporting-MTA: dns; mx.example\r\n", b"", "no Reporting-MTA"),
        (b"Reporting-MTA: dns; mx.example", b"Reporting-MTA: dns; \x19", "no Reporting-MTA"),
        (b"RFC822; you@example.net", b"utf-8; \x01", "no Final-Recipient"),
        (b"Status: 5.1.1\r\n", b"Status: 5.1.1\r\nStatus: 5.1.1\r\n", "twice"),
        (b"message/rfc822", b"image/png", "third part"),
        (b"--B/1--", b"--B/1\r\n\r\n4\r\n--B/1--", "more than three"),
        (b"+0100 (CET)\r\n\r\nFinal", b"+0100 (CET)\r\nFinal", "no recipient"),
    ],
)
def test_bad_notifications_are_refused(old: bytes, new: bytes, why: str) -> None:
    assert old in FOREIGN
    with pytest.raises(BadReport, match=why):
        parse(FOREIGN.replace(old, new))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (b"j\\x{FC}@b.example", "j\u00fc@b.example"),
        (b"a\\x{28}b@b.example", "a\\x{28}b@b.example"),  # would begin a comment
        (b"\\x{20}\\x{19}", "\\x{20}\\x{19}"),  # would be none
    ],
)
def test_an_escape_does_not_hide_the_address(written: bytes, meant: str) -> None:
    found = parse(FOREIGN.replace(b"RFC822; you@example.net", b"utf-8; " + written))
    assert found.report.recipients[0].final == TypedAddress("utf-8", meant)


def test_a_notification_without_the_original() -> None:
    start = FOREIGN.index(b"--B/1\r\nContent-Description: Undelivered")
    found = parse(FOREIGN[:start] + b"--B/1--\r\n")
    assert found.original_header == b""


def test_alternatives_in_the_first_part() -> None:
    """As Exchange and Gmail do."""
    inner = (
        b"Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/html\r\n"
        b"\r\n<p>\r\n--i--\r\n"
    )
    found = parse(FOREIGN.replace(b"Content-Description: Notification\r\n\r\nSorry.\r\n", inner))
    assert found.report.recipients[0].status == "5.1.1"
    assert found.text == ""


def load_target() -> Any:
    path = Path(__file__).parent.parent / "fuzz" / "fuzz_dsn.py"
    spec = importlib.util.spec_from_file_location("fuzz_dsn", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_damaged_notifications() -> None:
    target = load_target()
    chance = random.Random("dsn")
    for seed in target.SEEDS:
        target.run(seed)
        for _ in range(100):
            data = bytearray(seed)
            for _ in range(chance.randint(1, 6)):
                at = chance.randint(0, len(data))
                if chance.random() < 0.5:
                    del data[at : at + chance.randint(1, 40)]
                else:
                    data[at:at] = chance.choice(
                        (b"\r\n", b"\r\n\r\n", b"(", b";", b"\xff", b"\\x{41}")
                    )
            target.run(bytes(data))
    target.run(b"")
