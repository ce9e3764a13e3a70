"""The text of a regular expression → a program for ``regexp``.

The syntax is that of RE2 without Unicode classes: ``\\d \\w \\s \\b`` are of ASCII, ``$`` is the very
end.  There are no back references and nothing that looks ahead or behind: these need time that
grows without bound.
"""

import re
from typing import Final, NamedTuple

from mox.base.limits import CONFIG_REGEXP, REGEXP_DEPTH, REGEXP_REPEAT, REGEXP_STATES

Ranges = tuple[tuple[int, int], ...]
"""Code points, first and last of each range."""

_LAST: Final = 0x10FFFF
_DIGIT: Final[Ranges] = ((0x30, 0x39),)
_WORD: Final[Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Final[Ranges] = ((0x09, 0x0A), (0x0C, 0x0D), (0x20, 0x20))
_CLASSES: Final = {"d": _DIGIT, "w": _WORD, "s": _SPACE}
_NAMED: Final[dict[str, Ranges]] = {
    "alnum": ((0x30, 0x39), (0x41, 0x5A), (0x61, 0x7A)),
    "alpha": ((0x41, 0x5A), (0x61, 0x7A)),
    "digit": _DIGIT,
    "lower": ((0x61, 0x7A),),
    "punct": ((0x21, 0x2F), (0x3A, 0x40), (0x5B, 0x60), (0x7B, 0x7E)),
    "space": ((0x09, 0x0D), (0x20, 0x20)),
    "upper": ((0x41, 0x5A),),
    "word": _WORD,
    "xdigit": ((0x30, 0x39), (0x41, 0x46), (0x61, 0x66)),
}
_CONTROLS: Final = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_COUNT = re.compile(r"\{(\d{1,5})(,(\d{0,5}))?\}", re.ASCII)
_HEX = re.compile(r"x(?:([0-9A-Fa-f]{2})|\{([0-9A-Fa-f]{1,6})\})")
_GROUP = re.compile(r"\?(?:P?<[A-Za-z_]\w{0,100}>|([ims]*(?:-[ims]+)?)([:)]))", re.ASCII)


class Chars(NamedTuple):
    """One character of some."""

    ranges: Ranges
    fold: bool  # in any case


class At(NamedTuple):
    """No character, but a place: ``^ $ \\A \\z \\b \\B``, or ``^`` and ``$`` of a line: ``( )``."""

    kind: str


class Split(NamedTuple):
    """Go on at both places."""

    one: int
    other: int


class Jump(NamedTuple):
    """Go on there."""

    there: int


class Found(NamedTuple):
    """The expression ends here."""


Step = Chars | At | Split | Jump | Found
Program = tuple[Step, ...]


class _All(NamedTuple):
    parts: tuple["_Node", ...]


class _Either(NamedTuple):
    choices: tuple["_Node", ...]


class _Repeat(NamedTuple):
    body: "_Node"
    least: int
    most: int | None


_Node = Chars | At | _All | _Either | _Repeat


def compile_text(text: str) -> Program:
    """Errors: ValueError, with a text for the operator."""
    if len(text) > CONFIG_REGEXP:
        raise ValueError(f"a regular expression has at most {CONFIG_REGEXP} characters")
    program: list[Step] = []
    _emit(_Parser(text).parse(), program)
    return (*program, Found())


class _Parser:
    __slots__ = ("_at", "_depth", "_flags", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._flags = frozenset[str]()

    def parse(self) -> _Node:
        node = self._either()
        if self._at < len(self._text):
            raise self._error("a ) that closes nothing")
        return node

    def _either(self) -> _Node:
        # Flags set within a group end with it.
        flags = self._flags
        choices = [self._all()]
        while self._take("|"):
            choices.append(self._all())
        self._flags = flags
        return choices[0] if len(choices) == 1 else _Either(tuple(choices))

    def _all(self) -> _Node:
        parts: list[_Node] = []
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            part = self._atom()
            if part is not None:
                parts.append(self._quantified(part))
        return _All(tuple(parts))

    def _quantified(self, body: _Node) -> _Node:
        start = self._at
        char = self._text[start : start + 1]
        count = _COUNT.match(self._text, start)
        if char and char in "*+?":
            self._at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[char]
        elif count:
            self._at = count.end()
            least = int(count[1])
            most = least if count[2] is None else int(count[3]) if count[3] else None
        else:
            return body
        self._take("?")  # whether the shortest is wanted does not change whether there is one
        if least > REGEXP_REPEAT or (most or 0) > REGEXP_REPEAT:
            raise self._error(f"more than {REGEXP_REPEAT} repetitions")
        if most is not None and least > most:
            raise self._error("a repetition whose least is above its most")
        if self._text[self._at : self._at + 1] in ("*", "+", "?") or _COUNT.match(
            self._text, self._at
        ):
            raise self._error("a repetition of a repetition")
        return _Repeat(body, least, most)

    def _atom(self) -> _Node | None:
        """None for flags alone."""
        char = self._text[self._at]
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._chars(self._class())
        if char == "\\":
            return self._escape()
        if char == ".":
            without_newline = ((0, 9), (11, _LAST))
            return Chars(((0, _LAST),) if "s" in self._flags else without_newline, fold=False)
        if char in "^$":
            if "m" in self._flags:
                return At("(" if char == "^" else ")")
            return At(char)
        if char in "*+?":
            raise self._error("nothing to repeat")
        return self._chars(((ord(char), ord(char)),))

    def _group(self) -> _Node | None:
        self._depth += 1
        if self._depth > REGEXP_DEPTH:
            raise self._error(f"groups in more than {REGEXP_DEPTH} groups")
        before = self._flags
        if self._text.startswith("?", self._at):
            found = _GROUP.match(self._text, self._at)
            if found is None:
                raise self._error("a kind of group that is not possible here")
            self._at = found.end()
            if found[1]:
                on, _, off = found[1].partition("-")
                self._flags = (self._flags | set(on)) - set(off)
            if found[2] == ")":
                self._depth -= 1
                return None
        node = self._either()
        self._flags = before
        if not self._take(")"):
            raise self._error("a ( that is not closed")
        self._depth -= 1
        return node

    def _escape(self) -> _Node:
        char = self._text[self._at : self._at + 1]
        if char and char in "AzZbB":
            self._at += 1
            return At({"A": "^", "z": "$", "Z": "$"}.get(char, char))
        return self._chars(self._escaped())

    def _escaped(self) -> Ranges:
        """What stands after a backslash, as characters."""
        char = self._text[self._at : self._at + 1]
        self._at += 1
        if char.lower() in _CLASSES and char:
            ranges = _CLASSES[char.lower()]
            return ranges if char.islower() else _others(ranges)
        if char in _CONTROLS:
            return ((_CONTROLS[char], _CONTROLS[char]),)
        found = _HEX.match(self._text, self._at - 1)
        if found:
            self._at = found.end()
            code = int(found[1] or found[2], 16)
            if code > _LAST:
                raise self._error("a character that does not exist")
            return ((code, code),)
        if not char or (char.isascii() and char.isalnum()):
            raise self._error(f"\\{char} is not possible here")
        return ((ord(char), ord(char)),)

    def _class(self) -> Ranges:
        negated = self._take("^")
        ranges: list[tuple[int, int]] = []
        first = True
        while first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise self._error("a [ that is not closed")
            first = False
            ranges += self._class_item()
        self._at += 1
        return _others(tuple(ranges)) if negated else tuple(ranges)

    def _class_item(self) -> Ranges:
        if self._text.startswith("[:", self._at):
            end = self._text.find(":]", self._at)
            name = self._text[self._at + 2 : end] if end > 0 else ""
            named = _NAMED.get(name.removeprefix("^"))
            if named is None:
                raise self._error("an unknown name of characters")
            self._at = end + 2
            return _others(named) if name.startswith("^") else named
        low = self._class_char()
        is_range = self._text.startswith("-", self._at) and not self._text.startswith(
            "-]", self._at
        )
        if not is_range:
            return low
        self._at += 1
        high = self._class_char()
        if not _is_one(low) or not _is_one(high) or low[0][0] > high[0][0]:
            raise self._error("a range of characters that is none")
        return ((low[0][0], high[0][0]),)

    def _class_char(self) -> Ranges:
        char = self._text[self._at : self._at + 1]
        self._at += 1
        if not char:
            raise self._error("a [ that is not closed")
        return self._escaped() if char == "\\" else ((ord(char), ord(char)),)

    def _chars(self, ranges: Ranges) -> Chars:
        return Chars(ranges, fold="i" in self._flags)

    def _take(self, char: str) -> bool:
        if not self._text.startswith(char, self._at):
            return False
        self._at += 1
        return True

    def _error(self, problem: str) -> ValueError:
        return ValueError(f"not a regular expression: {problem}, at character {self._at}")


def _is_one(ranges: Ranges) -> bool:
    """Is it one character?"""
    return len(ranges) == 1 and ranges[0][0] == ranges[0][1]


def _others(ranges: Ranges) -> Ranges:
    """The characters that are not in the ranges."""
    found: list[tuple[int, int]] = []
    after = 0
    for low, high in sorted(ranges):
        if low > after:
            found.append((after, low - 1))
        after = max(after, high + 1)
    if after <= _LAST:
        found.append((after, _LAST))
    return tuple(found)


def _emit(node: _Node, program: list[Step]) -> None:
    if len(program) > REGEXP_STATES:
        raise ValueError("not a regular expression: its repetitions make it too large")
    match node:
        case _All(parts):
            for part in parts:
                _emit(part, program)
        case _Either(choices):
            _emit_either(choices, program)
        case _Repeat(body, least, most):
            _emit_repeat(body, least, most, program)
        case _:
            program.append(node)


def _emit_either(choices: tuple[_Node, ...], program: list[Step]) -> None:
    ends: list[int] = []
    for choice in choices[:-1]:
        split = len(program)
        program.append(Found())
        _emit(choice, program)
        ends.append(len(program))
        program.append(Found())
        program[split] = Split(split + 1, len(program))
    _emit(choices[-1], program)
    for end in ends:
        program[end] = Jump(len(program))


def _emit_repeat(body: _Node, least: int, most: int | None, program: list[Step]) -> None:
    for _ in range(least):
        before = len(program)
        _emit(body, program)
        if len(program) == before:
            break  # nothing, however often
    if most is None:
        split = len(program)
        program.append(Found())
        _emit(body, program)
        program.append(Jump(split))
        program[split] = Split(split + 1, len(program))
        return
    splits: list[int] = []
    for _ in range(most - least):
        splits.append(len(program))
        program.append(Found())
        _emit(body, program)
    for split in splits:
        program[split] = Split(split + 1, len(program))
