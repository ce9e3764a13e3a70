"""A message on its way out: pieces of it, dots doubled, line ends proven.    RFC 5321 §4.5.2, §2.3.8."""

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from mox._speedups import count_line_ends, text_before_dot
from mox.smtpclient.errors import BadContent


class Content(Protocol):
    """A message to be sent, read as often as it is sent."""

    @property
    def size(self) -> int:
        """Bytes."""
        ...

    def pieces(self) -> AsyncIterator[bytes]:
        """Its bytes, in pieces of at most limits.CLIENT_BLOCK or so."""
        ...


class BytesContent:
    """A content at hand."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        self._data = data

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self._data)

    async def pieces(self) -> AsyncIterator[bytes]:
        """All at once."""
        yield self._data


class LineEnds:
    """Watches that every line ends with CRLF, over pieces.    RFC 5321 §2.3.8."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b""

    def check(self, piece: bytes) -> None:
        """Errors: BadContent for a bare CR or LF."""
        if not piece:
            return
        feeds, lines = count_line_ends(piece)
        # A pair that two pieces share counts once on either side.
        shared = self._last == b"\r" and piece.startswith(b"\n")
        if (self._last == b"\r") != shared:
            raise BadContent
        if feeds != lines + shared or piece.count(b"\r") != lines + piece.endswith(b"\r"):
            raise BadContent
        self._last = piece[-1:]

    def finish(self, final: bytes) -> None:
        """Input  final: the last two bytes of the content.    Errors: BadContent without CRLF."""
        if final != b"\r\n":
            raise BadContent("message does not end with CRLF")


class Stuffing:
    """Doubles the dots that begin lines, over pieces.    RFC 5321 §4.5.2."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b"\r\n"  # the last two bytes: a line begins here

    def feed(self, piece: bytes) -> bytes:
        """The piece as it goes out."""
        if not piece:
            return b""
        before, self._tail = self._tail, (self._tail + piece[-2:])[-2:]
        stop, _ = text_before_dot(piece, 0, len(piece))
        if stop == len(piece) and not piece.startswith(b"."):
            return piece  # mostly no line begins with a dot
        joined = before + piece
        return joined.replace(b"\r\n.", b"\r\n..")[2:]


def slices(data: bytes, size: int) -> Iterator[bytes]:
    """A large piece in smaller ones."""
    for at in range(0, len(data), size):
        yield data[at : at + size]
