"""The aggregate report in a message.    RFC 7489 §7.2.1.1.

It is an attachment, mostly packed, or the whole message.  Types are taken as common senders write
them; where the type says nothing, the first bytes do.
"""

from collections.abc import Iterator

from mox.base.errors import Malformed
from mox.base.limits import REPORT_MESSAGE, REPORT_PARTS, REPORT_UNPACKED
from mox.mailauth.dmarc.feedback import Feedback
from mox.mailauth.dmarc.feedbackxml import BadFeedback, FeedbackTooLarge, parse
from mox.message import mime
from mox.message.archive import (
    GZIP_MAGIC,
    PIECE,
    ZIP_MAGIC,
    BadArchive,
    Budget,
    TooLarge,
    gunzip,
    unzip,
)
from mox.message.body import iter_leaves, octets
from mox.message.buffer import Buffer
from mox.message.part import Part

_ZIP, _GZIP, _XML, _SNIFF = "zip", "gzip", "xml", "sniff"
_TYPES = {
    b"APPLICATION/ZIP": _ZIP,
    b"APPLICATION/X-ZIP": _ZIP,
    b"APPLICATION/X-ZIP-COMPRESSED": _ZIP,
    b"APPLICATION/GZIP": _GZIP,
    b"APPLICATION/X-GZIP": _GZIP,
    b"TEXT/XML": _XML,
    b"APPLICATION/XML": _XML,
    b"APPLICATION/OCTET-STREAM": _SNIFF,
    b"/": _SNIFF,
}
_SNIFFED = 512  # bytes


class NoReport(Malformed):
    """Nothing in the message looks like a report."""

    default = "message without a DMARC report"


def extract(message: Buffer) -> Feedback:
    """The first report in a message.

    Errors  NoReport; BadFeedback or BadArchive of the first part that looked like one; what exceeds
            a limit ends the search: FeedbackTooLarge, TooLarge.
    Cost    memory of the message and of the report's records, whatever the packed size says.
    """
    if len(message) > REPORT_MESSAGE:
        raise TooLarge("message too large for a report")
    budget = Budget(REPORT_UNPACKED)
    problem: Malformed | None = None
    tried = 0
    for located in iter_leaves(mime.parse(message)):
        kind = _kind(located.part)
        if kind is None:
            continue
        tried += 1
        if tried > REPORT_PARTS:
            break
        try:
            return _read(kind, octets(message, located), budget)
        except (TooLarge, FeedbackTooLarge):
            raise
        except NoReport:
            continue
        except (BadArchive, BadFeedback) as error:
            problem = problem or error
    raise problem or NoReport()


def _kind(part: Part) -> str | None:
    return _TYPES.get(part.media_type + b"/" + part.media_subtype)


def _read(kind: str, content: bytes, budget: Budget) -> Feedback:
    if kind == _SNIFF:
        kind = _sniff(content[:_SNIFFED])
    if kind == _ZIP:
        return parse(unzip(content, budget))
    if kind == _GZIP:
        return parse(gunzip(content, budget))
    return parse(_pieces(content, budget))


def _sniff(beginning: bytes) -> str:
    if beginning.startswith(ZIP_MAGIC):
        return _ZIP
    if beginning.startswith(GZIP_MAGIC):
        return _GZIP
    text = beginning.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
    if text.startswith((b"<?xml", b"<feedback")):
        return _XML
    raise NoReport


def _pieces(content: bytes, budget: Budget) -> Iterator[bytes]:
    budget.take(len(content))
    for start in range(0, len(content), PIECE):
        yield content[start : start + PIECE]
