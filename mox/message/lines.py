"""Line ends: what is stored has CRLF; what is read may have anything.    RFC 5322 §2.1, §2.3."""

import re

from mox._speedups import count_line_ends
from mox.base.errors import Malformed
from mox.message.buffer import Buffer

STRICT_LINE = 1000  # bytes with CRLF; RFC 5322 §2.1.1, RFC 5321 §4.5.3.1.6

_BARE_LF = re.compile(rb"(?<!\r)\n")
_STRICT = re.compile(rb"(?<!\r)\n|\r(?!\n)|[^\r\n]{%d}" % (STRICT_LINE - 1))
_SEPARATOR = re.compile(rb"(?:\A|\n)\r?\n")


class BadLine(Malformed):
    """A line that strict readers refuse."""

    default = "malformed line"


def count_bare_lf(data: Buffer) -> int:
    """Line feeds without a carriage return before them."""
    if isinstance(data, bytes):
        every, with_cr = count_line_ends(data)
        return every - with_cr
    return sum(1 for _ in _BARE_LF.finditer(data))


def to_crlf(data: bytes) -> bytes:
    """The same with every bare LF as CRLF."""
    if not count_bare_lf(data):
        return data
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def has_separator(data: Buffer) -> bool:
    """An empty line that ends a header section is there: at the start, or after any line."""
    return _SEPARATOR.search(data) is not None


def check_strict(content: Buffer) -> None:
    """Refuse bare CR, bare LF and lines over STRICT_LINE bytes.

    Errors  BadLine.
    """
    match = _STRICT.search(content)
    if match is None:
        return
    found = match[0]
    if found == b"\n":
        raise BadLine("bare LF", offset=match.start())
    if found == b"\r":
        raise BadLine("bare CR", offset=match.start())
    raise BadLine("line too long", offset=match.start())


class ToCRLF:
    """Turns chunks into chunks with CRLF line ends and watches what goes by.

    A CR at the end of a chunk goes out with it; an LF that begins the next one completes it.
    """

    __slots__ = ("_last", "_seen", "has_8bit", "has_separator", "size")

    def __init__(self) -> None:
        self.size = 0  # bytes given out
        self.has_8bit = False
        self.has_separator = False  # an empty line was seen: the header section has its end
        self._last = 0  # the last byte given out
        self._seen = b"\n"  # the end of what was given out, enough to see an empty line across

    def feed(self, data: bytes) -> bytes:
        """The converted chunk."""
        if not data:
            return data
        out = self._convert(data)
        self.has_8bit = self.has_8bit or not data.isascii()
        if not self.has_separator:
            window = self._seen + out[:2]
            self.has_separator = b"\n\r\n" in window or b"\n\r\n" in out
            self._seen = (self._seen + out)[-3:] if len(out) < 3 else out[-3:]
        self._last = data[-1]
        self.size += len(out)
        return out

    def _convert(self, data: bytes) -> bytes:
        out = to_crlf(data)
        # to_crlf put a CR before an LF that belongs to the CR at the end of the chunk before.
        return out[1:] if self._last == 13 and data[0] == 10 else out


class Octets(ToCRLF):
    """Watches as ``ToCRLF`` does and changes nothing."""

    __slots__ = ()

    def _convert(self, data: bytes) -> bytes:
        return data
