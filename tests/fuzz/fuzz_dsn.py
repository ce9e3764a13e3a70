"""Delivery status notifications: any bytes are read or refused; what was read is built and read again."""

from itertools import count

from mox.message.compose import Mailbox
from mox.message.dsn import BadReport, Notification, build, parse

TARGET_NAME: str = "dsn"
_TYPE = b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
SEEDS = (
    _TYPE
    + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
    + b"Reporting-MTA: dns; h ([192.0.2.1])\r\nArrival-Date: 1 Jan 2026 00:00:00 +0000\r\n\r\n"
    + b"Final-Recipient: rfc822; a@b.example\r\nAction: failed\r\nStatus: 5.1.1 (no (x))\r\n"
    + b"Diagnostic-Code: smtp; 550-5.1.1 a\r\n 550 5.1.1 b\r\n"
    + b"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--b--\r\n",
    _TYPE
    + b"--b\r\n\r\nx\r\n--b\r\nContent-Type: message/global-delivery-status\r\n"
    + b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
    + b"Reporting-MTA: dns; h\r\n\r\nFinal-Recipient: utf-8; j\\x{FC}@b.example\r\n"
    + b"Action: delayed\r\nStatus: 4.0.0\r\nWill-Retry-Until: 1 Jan 2026 00:00:00 +0000\r\n\r\n"
    + b"Final-Recipient: x400; /S=a/\r\nAction: relayed\r\nStatus: 2.0.0\r\n--b--\r\n",
)


def run(data: bytes) -> None:
    """As a message."""
    try:
        found = parse(data)
    except BadReport:
        return
    again = Notification(
        from_=Mailbox("", "a@b.example"),
        to=Mailbox("", "a@b.example"),
        subject=found.text[:100],
        message_id="1@b.example",
        date_ms=0,
        text=found.text,
        report=found.report,
        original=found.original_header,
    )
    numbers = count(1)
    built = build(again, lambda: f"x{next(numbers)}", utf8=True)
    read = parse(built.message).report
    actions = [(each.action, each.status) for each in read.recipients]
    if actions != [(each.action, each.status) for each in found.report.recipients]:
        raise AssertionError("built otherwise than read")
    if not build(again, lambda: f"x{next(numbers)}").message.isascii():
        raise AssertionError("not ASCII")
