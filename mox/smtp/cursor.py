"""Typed reads over the arguments of one command line.    RFC 5321 §4.1.2."""

import re

from mox.smtp.errors import CommandError
from mox.smtp.replies import SYNTAX


class Cursor:
    """A position in the arguments; what is read is consumed."""

    __slots__ = ("data", "pos")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0

    @property
    def remainder(self) -> bytes:
        """What is not read yet."""
        return self.data[self.pos :]

    @property
    def at_end(self) -> bool:
        """Nothing is left."""
        return self.pos >= len(self.data)

    def peek(self) -> bytes:
        """The next byte, empty at the end."""
        return self.data[self.pos : self.pos + 1]

    def take(self, literal: bytes) -> bool:
        """Read these bytes, in any case, if they come next.    Input  upper case."""
        end = self.pos + len(literal)
        if self.data[self.pos : end].upper() != literal:
            return False
        self.pos = end
        return True

    def expect(self, literal: bytes) -> None:
        """Read these bytes, in any case.    Errors: CommandError."""
        if not self.take(literal):
            raise self.fail(f"expected {literal.decode()!r}")

    def match(self, pattern: re.Pattern[bytes]) -> bytes | None:
        """Read what the pattern matches here, None if it does not."""
        found = pattern.match(self.data, self.pos)
        if found is None:
            return None
        self.pos = found.end()
        return found[0]

    def end(self) -> None:
        """Nothing may be left.    Errors: CommandError."""
        if not self.at_end:
            raise self.fail("unexpected text at the end")

    def fail(self, what: str) -> CommandError:
        """The error for this place."""
        return CommandError(SYNTAX.with_suffix(f": {what}"), self.remainder)
