"""Replies: a code, an enhanced code, lines of text; written and read.

Source  RFC 5321 §4.2, RFC 2034, RFC 3463.
"""

import re
from functools import lru_cache
from typing import Final

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import SMTP_REPLY_LINE, SMTP_REPLY_LINES

WRAP_FROM: Final = 400  # bytes; a long line is cut at the last space after this place

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One reply.    ``enhanced`` is empty where RFC 2034 §4 wants none: 220 greeting, EHLO, 354."""

    code: int
    enhanced: str = ""
    lines: tuple[str, ...] = ("",)

    @property
    def text(self) -> str:
        """The lines as one text."""
        return "\n".join(self.lines)

    @property
    def is_positive(self) -> bool:
        """2xx or 3xx."""
        return self.code < 400

    @property
    def is_permanent(self) -> bool:
        """5xx."""
        return self.code >= 500

    def with_suffix(self, suffix: str) -> "Reply":
        """The same reply with text added to its last line."""
        lines = (*self.lines[:-1], self.lines[-1] + suffix)
        return Reply(code=self.code, enhanced=self.enhanced, lines=lines)


def reply(code: int, enhanced: str, text: str) -> Reply:
    """A reply from text; each line of the text becomes a line of the reply."""
    return Reply(code=code, enhanced=enhanced, lines=tuple(text.splitlines()) or ("",))


@lru_cache(maxsize=256)  # most replies are one of few, said again and again
def format_reply(value: Reply) -> bytes:
    """The reply as it goes out, with CRLF.

    RFC 5321 §4.5.3.1.5: at most 512 octets a line; longer text is wrapped, each line with the code
    and the enhanced code.  Control characters become "?": nothing a peer sent may begin a line.
    """
    prefix = f"{value.enhanced} ".encode() if value.enhanced else b""
    room = SMTP_REPLY_LINE - 4 - len(prefix)
    texts = [part for line in value.lines for part in _wrap(_printable(line), room)]
    code = b"%03d" % value.code
    # RFC 5321 §4.2.1: a hyphen on all lines but the last.
    out = [code + b"-" + prefix + text for text in texts[:-1]]
    out.append(code + b" " + prefix + texts[-1])
    return b"\r\n".join(out) + b"\r\n"


def _printable(text: str) -> bytes:
    safe = "".join(c if c >= " " and c != "\x7f" else "?" for c in text)
    return safe.encode("utf-8", "replace")


def _wrap(text: bytes, room: int) -> list[bytes]:
    parts = []
    while len(text) > room:
        cut = text.rfind(b" ", WRAP_FROM, room + 1)
        if cut < 0:
            cut = WRAP_FROM
            while text[cut] & 0xC0 == 0x80:  # not within a UTF-8 sequence
                cut -= 1
        parts.append(text[:cut])
        text = text[cut:]  # the space begins the next line
    parts.append(text)
    return parts


class ReplyParser:
    """Lines of a server in, replies out.    For clients and for tests."""

    __slots__ = ("_code", "_lines")

    def __init__(self) -> None:
        self._code = b""
        self._lines: list[bytes] = []

    def line(self, line: bytes) -> Reply | None:
        """Take one line without its line end; the reply, once complete.

        Errors  Malformed: not a reply line, the code changes within a reply, too many lines.
        """
        if not self._lines and line[3:4] == b" ":
            return _single(line)
        match = _LINE.fullmatch(line)
        if match is None:
            raise Malformed("not an SMTP reply")
        code, mark, text = match.groups()
        if self._lines and code != self._code:
            raise Malformed("the code changes within a reply")
        if len(self._lines) >= SMTP_REPLY_LINES:
            raise Malformed("too many lines in a reply")
        self._code = code
        self._lines.append(text or b"")
        if mark == b"-":
            return None
        lines, self._lines = self._lines, []
        return _assemble(int(code), [each.decode("utf-8", "replace") for each in lines])


@lru_cache(maxsize=256)  # servers say the same few again and again; a line has at most 2 KB
def _single(line: bytes) -> Reply:
    match = _LINE.fullmatch(line)
    if match is None:
        raise Malformed("not an SMTP reply")
    return _assemble(int(match[1]), [(match[3] or b"").decode("utf-8", "replace")])


def _assemble(code: int, lines: list[str]) -> Reply:
    match = _ENHANCED.match(lines[0])
    # RFC 2034 §4: the class of the enhanced code is that of the code; else it is plain text.
    if match is None or match[1][0] != str(code)[0]:
        return Reply(code=code, lines=tuple(lines))
    enhanced = match[1]
    stripped = [
        line[len(enhanced) :].removeprefix(" ") if line.startswith(enhanced) else line
        for line in lines
    ]
    return Reply(code=code, enhanced=enhanced, lines=tuple(stripped))
