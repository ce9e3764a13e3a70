"""A command as received so far: its text, its tokens, its literals.

It grows while literals arrive (APPEND is looked at before its message is there), so a cursor over
it may be kept and go on when more has come.
"""

from array import array
from typing import Final

import msgspec

# Kinds of tokens, as ``_speedups.tokenize`` gives them.
END: Final = 0  # after the last token received
SPACE: Final = 0x20
OPEN: Final = 0x28
CLOSE: Final = 0x29
QUOTED: Final = 0x22
ESCAPED: Final = 0x5C
LITERAL: Final = 0x7B
LITERAL8: Final = 0x7E
WORD: Final = 0x77


class Literal(msgspec.Struct, frozen=True, kw_only=True):
    """A literal of a command.    RFC 9051 §4.3, RFC 7888, RFC 3516.

    ``data`` is None while it is awaited, and for a literal that was streamed.
    """

    size: int  # bytes
    sync: bool  # the client waits for our continuation request
    binary: bool  # literal8: may hold NUL
    data: bytes | None = None


class Command:
    """Tag, name and tokens of one command.

    ``name`` is upper case; ``UID`` and the word after it are one name: ``UID FETCH``.
    """

    __slots__ = ("depth", "first", "kinds", "literals", "name", "size", "spans", "tag", "text")

    def __init__(self) -> None:
        self.tag = b""
        self.name = b""
        self.first = 0  # index of the first token after the name
        self.text: bytes | bytearray = b""  # the lines without their ends, one after the other
        self.kinds = bytearray((END,))
        self.spans: array[int] = array("I")
        self.literals: dict[int, Literal] = {}  # by token index
        self.depth = 0  # lists still open
        self.size = 0  # bytes of lines received, line ends included

    @property
    def count(self) -> int:
        """Tokens received."""
        return len(self.kinds) - 1

    def add_line(self, line: bytes, kinds: bytes, spans: "array[int]", depth: int) -> None:
        """Append the tokens of one more line, whose positions are already those of ``text``."""
        if self.text:
            if isinstance(self.text, bytes):
                self.text = bytearray(self.text)
            self.text += line
        else:
            self.text = line
        self.kinds[-1:] = kinds + b"\0"
        self.spans.extend(spans)
        self.depth = depth

    def slice(self, index: int) -> bytes:
        """The bytes of one token as they were sent."""
        at = 2 * index
        return bytes(self.text[self.spans[at] : self.spans[at + 1]])

    def offset(self, index: int) -> int:
        """Where a token begins, for error messages."""
        return self.spans[2 * index] if index < self.count else len(self.text)

    def __repr__(self) -> str:
        return f"Command({self.tag!r}, {self.name!r}, tokens={self.count - self.first})"
