"""Regular expressions that an operator writes and in which strangers' texts are searched.

The time for one text is bounded by its length times the size of the expression, whatever both are:
all ways through the expression are followed at once, character by character (Thompson, Regular
Expression Search Algorithm, CACM 1968), and the sets of places that were seen are kept, so that most
characters cost one look-up.
"""

from typing import Final

from mox.base.limits import REGEXP_KEPT, REGEXP_SUBJECT
from mox.base.regexpsyntax import At, Chars, Found, Jump, Program, Split, compile_text

_START, _LINE, _WORD, _OTHER, _END = "start", "line", "word", "other", "end"
"""What is beside a place: nothing, a line end, a letter, digit or underscore, anything else."""


class _State:
    """Places in the expression that are possible after some characters."""

    __slots__ = ("before", "next", "places")

    def __init__(self, places: frozenset[int], before: str) -> None:
        self.places = places
        self.before = before
        self.next: dict[str, _State] = {}  # by character; the empty one is the end


_FOUND: Final = _State(frozenset(), _OTHER)


class Regexp:
    """A compiled expression.    May be used by several threads at once."""

    __slots__ = ("_kept", "_program", "_start", "_states", "text")

    def __init__(self, text: str) -> None:
        """Errors: ValueError, with a text for the operator."""
        self.text = text
        self._program: Program = compile_text(text)
        self._forget()

    def found_in(self, subject: str) -> bool:
        """Is it found anywhere in a text, of which ``REGEXP_SUBJECT`` characters are looked at?"""
        state = self._start
        for char in subject[:REGEXP_SUBJECT]:
            state = state.next.get(char) or self._step(state, char)
            if state is _FOUND:
                return True
        return (state.next.get("") or self._step(state, "")) is _FOUND

    def _forget(self) -> None:
        self._kept = 0
        self._start = _State(frozenset(), _START)
        self._states: dict[tuple[frozenset[int], str], _State] = {}

    def _step(self, state: _State, char: str) -> _State:
        """The state after a character; computed once while it is kept."""
        if self._kept >= REGEXP_KEPT:
            # Those who are on their way go on with the states they have.
            self._forget()
        self._kept += 1
        after = _FOUND
        places = self._open(state, _kind(char))
        if places is not None:
            key = (self._over(places, char), _kind(char))
            known = self._states.get(key)
            if known is None:
                self._kept += len(key[0])
                known = self._states[key] = _State(*key)
            after = known
        state.next[char] = after
        return after

    def _open(self, state: _State, after: str) -> list[int] | None:
        """The places that wait for a character; None when the expression was found."""
        waiting: list[int] = []
        seen = {0, *state.places}  # it may begin anywhere
        stack = list(seen)
        while stack:
            place = stack.pop()
            step = self._program[place]
            ways: tuple[int, ...] = ()
            match step:
                case Chars():
                    waiting.append(place)
                case Split(one, other):
                    ways = (one, other)
                case Jump(there):
                    ways = (there,)
                case At(kind):
                    ways = (place + 1,) if _is_at(kind, state.before, after) else ()
                case Found():
                    return None
            for way in ways:
                if way not in seen:
                    seen.add(way)
                    stack.append(way)
        return waiting

    def _over(self, places: list[int], char: str) -> frozenset[int]:
        """The places behind a character; none at the end."""
        behind: set[int] = set()
        # A letter whose other case is several letters has none here.
        variants = {ord(one) for one in (char, char.lower(), char.upper()) if len(one) == 1}
        code = ord(char) if char else -1
        for place in places:
            step = self._program[place]
            assert isinstance(step, Chars)
            codes = variants if step.fold else (code,)
            if any(low <= one <= high for low, high in step.ranges for one in codes):
                behind.add(place + 1)
        return frozenset(behind)

    def __repr__(self) -> str:
        return f"Regexp({self.text!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Regexp) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


def _kind(char: str) -> str:
    if not char:
        return _END
    if char == "\n":
        return _LINE
    return _WORD if char.isascii() and (char.isalnum() or char == "_") else _OTHER


def _is_at(kind: str, before: str, after: str) -> bool:
    match kind:
        case "^":
            return before == _START
        case "$":
            return after == _END
        case "(":
            return before in (_START, _LINE)
        case ")":
            return after in (_END, _LINE)
        case _:
            return (kind == "b") == ((before == _WORD) != (after == _WORD))
