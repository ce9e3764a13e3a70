"""Response bytes, piece by piece.    RFC 9051 §7, §9.

A Writer puts the single spaces between items itself, so that whoever writes an item need not know
what stands before it.  It only collects; the connection takes the chunks.
"""

from collections.abc import Iterable
from typing import Final

from mox._speedups import QUOTED_MAX
from mox.imap import dates, flags
from mox.imap.characters import ASTRING

CRLF: Final = b"\r\n"
NIL: Final = b"NIL"

# What a quoted string cannot hold: RFC 9051 §9 QUOTED-CHAR (TEXT-CHAR: no CR, LF; CHAR: no NUL).
_UNQUOTABLE = b"\0\r\n"
_SPECIAL = b'\0\r\n\\"'  # the same, and what it holds escaped


def quoted(text: bytes) -> bytes:
    """A quoted string.    The text must be without NUL, CR, LF."""
    if b"\\" in text:
        text = text.replace(b"\\", b"\\\\")
    if b'"' in text:
        text = text.replace(b'"', b'\\"')
    return b'"' + text + b'"'


def string(text: bytes, *, utf8: bool = False) -> bytes:
    """Quoted string, or literal where it must be one.

    Input   utf8: the client enabled UTF8=ACCEPT or IMAP4rev2, so quoted strings may hold UTF-8
            (RFC 6855 §3, RFC 9051 §4.3); before that, only 7-bit ones are quoted.
    """
    if len(text.translate(None, _SPECIAL)) == len(text) <= QUOTED_MAX and text.isascii():
        return b'"' + text + b'"'  # nearly all are so
    if len(text) <= QUOTED_MAX and _quotable(text, utf8=utf8):
        return quoted(text)
    return b"{%d}\r\n" % len(text) + text


def _quotable(text: bytes, *, utf8: bool) -> bool:
    if len(text.translate(None, _UNQUOTABLE)) != len(text):
        return False
    if text.isascii():
        return True
    if not utf8:
        return False
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def nstring(text: bytes | None, *, utf8: bool = False) -> bytes:
    """A string, or NIL for None."""
    return NIL if text is None else string(text, utf8=utf8)


def astring(text: bytes, *, utf8: bool = False) -> bytes:
    """Bare where its characters allow, otherwise a string.

    A bare NIL would be read as nothing by many, so it is quoted.
    """
    if text and not text.translate(None, ASTRING) and text.upper() != NIL:
        return text
    return string(text, utf8=utf8)


class Writer:
    """Collects one connection's output.

    ``utf8`` says whether quoted strings may hold UTF-8.  ``size`` counts bytes since ``take``.
    """

    __slots__ = ("_chunks", "_spaced", "size", "utf8")

    def __init__(self, *, utf8: bool = False) -> None:
        self.utf8 = utf8
        self.size = 0
        self._chunks: list[bytes] = []
        self._spaced = True  # no space is due before the next item

    def take(self) -> list[bytes]:
        """Hand out what was written; the writer is empty after it."""
        chunks, self._chunks = self._chunks, []
        self.size = 0
        return chunks

    def raw(self, data: bytes) -> None:
        """Bytes as they are; no space is put before or after."""
        self._chunks.append(data)
        self.size += len(data)

    def item(self, data: bytes) -> None:
        """Bytes as they are, set apart by a space from what stands before."""
        if self._spaced:
            self._spaced = False
        else:
            data = b" " + data
        self._chunks.append(data)
        self.size += len(data)

    # Lines

    def untagged(self, name: bytes, number: int | None = None) -> None:
        """Begin ``* NAME`` or ``* 7 NAME``."""
        self.raw(b"* %b" % name if number is None else b"* %d %b" % (number, name))
        self._spaced = False

    def end_line(self) -> None:
        """End a line."""
        self.raw(CRLF)
        self._spaced = True

    def status(self, tag: bytes, kind: bytes, text: bytes, code: bytes = b"") -> None:
        """A whole status response: ``tag OK [CODE] text``; tag ``*`` for an untagged one.

        Source  RFC 9051 §7.1 resp-text; the text is never empty, RFC 9051 §9 text = 1*TEXT-CHAR.
        """
        line = b"%b %b %b%b\r\n" % (tag, kind, b"[%b] " % code if code else b"", text or b"-")
        self.raw(line)
        self._spaced = True

    def continuation(self, text: bytes = b"") -> None:
        """``+ text``, with the space also where there is no text: RFC 9051 §9 continue-req."""
        self.raw(b"+ " + text + CRLF)
        self._spaced = True

    # Items

    def open(self) -> None:
        """Begin a list."""
        self.item(b"(")
        self._spaced = True

    def close(self) -> None:
        """End a list."""
        self.raw(b")")
        self._spaced = False

    def atom(self, name: bytes) -> None:
        """An atom, or anything else that stands bare."""
        self.item(name)

    def number(self, value: int) -> None:
        """A number."""
        self.item(b"%d" % value)

    def nil(self) -> None:
        """NIL."""
        self.item(NIL)

    def quoted(self, text: bytes) -> None:
        """A quoted string; without NUL, CR, LF."""
        self.item(quoted(text))

    def string(self, text: bytes) -> None:
        """A quoted string or literal."""
        self.item(string(text, utf8=self.utf8))

    def nstring(self, text: bytes | None) -> None:
        """A string or NIL."""
        self.item(nstring(text, utf8=self.utf8))

    def astring(self, text: bytes) -> None:
        """Bare, quoted or literal."""
        self.item(astring(text, utf8=self.utf8))

    def strings(self, texts: Iterable[bytes]) -> None:
        """A list of strings."""
        self.open()
        for text in texts:
            self.string(text)
        self.close()

    def flags(self, bits: int, keywords: Iterable[str] = (), *, recent: bool = False) -> None:
        """A flag list."""
        self.item(flags.format_list(bits, keywords, recent=recent))

    def datetime(self, ms: int, zone: int = 0) -> None:
        """A date-time; milliseconds since 1970 in UTC, zone in minutes."""
        self.item(dates.format_date_time(ms, zone))

    def datetime_or_nil(self, ms: int | None, zone: int = 0) -> None:
        """A date-time or NIL."""
        self.item(NIL if ms is None else dates.format_date_time(ms, zone))

    def literal_header(self, size: int, *, binary: bool = False) -> None:
        """Announce a literal; ``raw`` must then be given exactly ``size`` bytes in all.

        Source  RFC 9051 §4.3; binary: literal8 of RFC 3516 §3, the only form that may hold NUL.
        """
        self.item(b"%b{%d}\r\n" % (b"~" if binary else b"", size))

    def literal(self, data: bytes, *, binary: bool = False) -> None:
        """A whole literal."""
        self.literal_header(len(data), binary=binary)
        self.raw(data)
