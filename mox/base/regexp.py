"""Regular expressions that an operator writes and strangers' texts are searched for."""

import re

from mox.base.limits import CONFIG_REGEXP, REGEXP_SUBJECT


class Regexp:
    """A compiled expression."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: str) -> None:
        """Errors: ValueError, with a text for the operator."""
        if len(text) > CONFIG_REGEXP:
            raise ValueError(f"a regular expression has at most {CONFIG_REGEXP} characters")
        try:
            self._compiled = re.compile(text)
        except (re.error, OverflowError, RecursionError) as error:
            raise ValueError(f"not a regular expression: {error}") from error
        self.text = text

    def found_in(self, subject: str) -> bool:
        """Is it found anywhere in a text, of which ``REGEXP_SUBJECT`` characters are looked at?"""
        return self._compiled.search(subject[:REGEXP_SUBJECT]) is not None

    def __repr__(self) -> str:
        return f"Regexp({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regexp) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)
