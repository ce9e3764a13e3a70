"""LIST patterns: ``%`` is any run without the hierarchy separator, ``*`` any run.    RFC 9051 §6.3.9.

A pattern is matched by simulating all its positions at once, one bit each, so the cost is the
length of the name whatever the wildcards are.
"""

import re
from typing import Final

from mox.base.limits import MAILBOX_NAME
from mox.base.mailboxname import INBOX

SEPARATOR: Final = "/"

_RUNS = re.compile(r"[%*]{2,}")


def join(reference: str, pattern: str) -> str | None:
    """The pattern under the reference name, None where nothing can match.

    Source  RFC 9051 §6.3.9: how a reference is applied is the server's choice; ours is a level of
            the hierarchy.  No name begins with the separator.
    """
    if reference.startswith(SEPARATOR) or pattern.startswith(SEPARATOR):
        return None
    reference = reference.rstrip(SEPARATOR)
    return reference + SEPARATOR + pattern if reference else pattern


class Pattern:
    """A compiled pattern.

    The first component of a name that is ``Inbox`` is matched without regard to case.
    """

    __slots__ = ("_accept", "_exact", "_folded", "_percent", "_star", "_start", "text")

    def __init__(self, text: str) -> None:
        # Two wildcards side by side are the stronger of them.
        text = _RUNS.sub(lambda run: "*" if "*" in run[0] else "%", text)
        self.text = text
        self._exact: dict[str, int] = {}
        self._folded: dict[str, int] = {}
        self._percent = self._star = 0
        self._start = 0
        self._accept = 0
        # A longer text has more characters than any name; it matches nothing.
        if len(text) > 2 * MAILBOX_NAME + 1:
            return
        for position, char in enumerate(text):
            bit = 1 << position
            if char == "%":
                self._percent |= bit
            elif char == "*":
                self._star |= bit
            else:
                self._exact[char] = self._exact.get(char, 0) | bit
                folded = char.lower()
                self._folded[folded] = self._folded.get(folded, 0) | bit
        self._accept = 1 << len(text)
        self._start = self._closed(1)

    def _closed(self, states: int) -> int:
        """With each position before a wildcard also the one after it: a run may be empty.

        Wildcards are never side by side, so one step is enough.
        """
        return states | (states & (self._percent | self._star)) << 1

    def matches(self, name: str) -> bool:
        """Whether the whole name matches."""
        states = self._start
        inbox = len(INBOX) if name.split(SEPARATOR, 1)[0] == INBOX else 0
        for position, char in enumerate(name):
            if position < inbox:
                literal = self._folded.get(char.lower(), 0)
            else:
                literal = self._exact.get(char, 0)
            stay = self._star if char == SEPARATOR else self._star | self._percent
            states = self._closed((states & literal) << 1 | states & stay)
            if not states:
                return False
        return bool(states & self._accept)
