"""The TLS report in a message.    RFC 8460 §5.3.

It is the whole message, or a part right inside a multipart/report of type tlsrpt; parts of other
multiparts are not looked at.
"""

from mox.base.limits import REPORT_MESSAGE, REPORT_PARTS, REPORT_UNPACKED
from mox.message import mime
from mox.message.archive import Budget, TooLarge, gunzip
from mox.message.body import octets
from mox.message.buffer import Buffer
from mox.message.parameters import value
from mox.message.part import Part
from mox.message.section import Located
from mox.tlspolicy.tlsreport import BadReport, Report, parse_report


class NoReport(BadReport):
    """Nothing in the message is a report."""

    default = "message without a TLS report"


def extract(message: Buffer) -> Report:
    """The first report in a message.

    Errors  NoReport; BadReport, ReportTooLarge; BadArchive, TooLarge of what was packed.
    """
    if len(message) > REPORT_MESSAGE:
        raise TooLarge("message too large for a report")
    part = _find(mime.parse(message))
    content = octets(message, Located(part, ()))
    budget = Budget(REPORT_UNPACKED)
    if part.media_subtype == b"TLSRPT+GZIP":
        return parse_report(b"".join(gunzip(content, budget)))
    budget.take(len(content))
    return parse_report(content)


def _find(top: Part) -> Part:
    """The part that has the report.    Errors: NoReport."""
    stack = [(top, True)]
    seen = 0
    while stack:
        part, may_be_one = stack.pop()
        if part.parts:
            is_report = part.media_subtype == b"REPORT"
            if is_report and _report_type(part) != b"tlsrpt":
                raise NoReport("multipart/report of another type")
            stack += [(child, is_report) for child in reversed(part.parts)]
        elif may_be_one and part.media_type == b"APPLICATION":
            seen += 1
            if part.media_subtype in (b"TLSRPT+JSON", b"TLSRPT+GZIP"):
                return part
            if seen > REPORT_PARTS:
                break
    raise NoReport


def _report_type(part: Part) -> bytes:
    return (value(part.params, b"report-type") or b"").lower()
