"""DMARC reports: any bytes are a report or refused; what was read can be written and read again."""

import gzip

from mox.base.errors import Malformed
from mox.mailauth.dmarc.extract import extract
from mox.mailauth.dmarc.feedbackxml import BadFeedback, parse, write

TARGET_NAME: str = "dmarc_report"
_XML = (
    b"<feedback><version>1.0</version><report_metadata><org_name>o</org_name><email>e</email>"
    b"<report_id>i</report_id><date_range><begin>1</begin><end>2</end></date_range><error>x</error>"
    b"</report_metadata><policy_published><domain>a.example</domain><p>none</p><pct>1</pct>"
    b"</policy_published><record><row><source_ip>::1</source_ip><count>1</count><policy_evaluated>"
    b"<disposition>none</disposition><dkim>pass</dkim><spf>fail</spf><reason><type>other</type>"
    b"</reason></policy_evaluated></row><identifiers><header_from>a.example</header_from>"
    b"</identifiers><auth_results><dkim><domain>a</domain><result>pass</result></dkim><spf>"
    b"<domain>a</domain><result>none</result></spf></auth_results></record></feedback>"
)
_HEAD = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/"
SEEDS = (
    _XML,
    b"<?xml version='1.0' encoding='latin1'?><!DOCTYPE feedback [<!ENTITY a 'b'>]>" + _XML,
    b"Content-Type: text/xml\r\n\r\n" + _XML,
    _HEAD + b"octet-stream\r\n\r\n" + _XML + b"\r\n--b--\r\n",
    _HEAD + b"gzip\r\n\r\n" + gzip.compress(_XML, mtime=0) + b"\r\n--b--\r\n",
)


def run(data: bytes) -> None:
    """As a document, in one piece and in several, and as a message."""
    try:
        report = parse([data])
    except BadFeedback:
        report = None
    try:
        again = parse(data[at : at + 13] for at in range(0, len(data), 13))
    except BadFeedback:
        again = None
    if report is not None and report != again:
        raise AssertionError("another report in other pieces")
    if report is not None:
        once = parse([write(report)])
        if parse([write(once)]) != once:
            raise AssertionError("not what was written")
    try:
        extract(data)
    except Malformed as error:
        if not error.public.isprintable():
            raise AssertionError("a reason that is no line") from error
