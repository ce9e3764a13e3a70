"""Sets of message numbers and UIDs.    RFC 9051 §9 sequence-set, uid-set; RFC 5182 "$".

Resolved, a set is a list of ranges: ascending, disjoint, not adjacent, inclusive.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec

from mox._speedups import merge_ranges
from mox.base import limits

Ranges: TypeAlias = list[tuple[int, int]]

STAR: Final = 0  # stands for "*" in a range; no message has this number
_MAX = 0xFFFFFFFF

# seq-number = nz-number / "*"; nz-number has at most ten digits, so that int() is cheap.
_NUMBER = rb"(?:[1-9][0-9]{0,9}|\*)"
_PART = _NUMBER + rb"(?::" + _NUMBER + rb")?"
# sequence-set ends in "$" or is nothing else: RFC 9051 §9 seq-last-command.  Possessive: no
# second look at what matched.
_SET = re.compile(rb"(?:" + _PART + rb"(?:,(?!\$)" + _PART + rb")*+(?:,\$)?|\$)")


class SeqSet(msgspec.Struct, frozen=True, kw_only=True):
    """A set as the client wrote it, before "*" has a value."""

    ranges: tuple[tuple[int, int], ...] = ()  # STAR for "*", ends in any order
    saved: bool = False  # "$": also what the last SAVE search found

    @property
    def has_star(self) -> bool:
        """Whether "*" occurs; in an empty mailbox that is BAD for sequence numbers."""
        return any(STAR in pair for pair in self.ranges)

    @property
    def largest_named(self) -> int:
        """The largest number written out; 0 where there is none."""
        return max((max(pair) for pair in self.ranges), default=0)

    def resolve(self, largest: int, saved: Sequence[tuple[int, int]] = ()) -> Ranges:
        """The numbers meant, as ranges.

        Input   largest: value of "*", 0 in an empty mailbox; saved: value of "$", as ranges.
        Source  RFC 9051 §9: the ends of a range come in any order, so ``n:*`` names the largest
                number even where n is larger.
        """
        ranges: Ranges = []
        for first, last in self.ranges:
            a = first or largest
            b = last or largest
            if a > b:
                a, b = b, a
            if b:
                ranges.append((a or 1, b))
        if len(ranges) == 1 and not self.saved:
            return ranges
        return merge_ranges([ranges, list(saved)] if self.saved else [ranges])


def parse(word: bytes) -> SeqSet:
    """Read a sequence-set.    Errors: ValueError when it is none, or has too many ranges."""
    if not _SET.fullmatch(word):
        raise ValueError("not a number set")
    if word.count(b",") >= limits.IMAP_SET_RANGES:
        raise ValueError("too many ranges in a number set")
    saved = word.endswith(b"$")
    ranges: list[tuple[int, int]] = []
    for part in word.split(b","):
        if part == b"$":
            continue
        first, colon, last = part.partition(b":")
        a = 0 if first == b"*" else int(first)
        b = a if not colon else 0 if last == b"*" else int(last)
        if a > _MAX or b > _MAX:
            raise ValueError("number too large")
        ranges.append((a, b))
    return SeqSet(ranges=tuple(ranges), saved=saved)


def format_ranges(ranges: Iterable[tuple[int, int]]) -> bytes:
    """The shortest form of resolved ranges: ``1,3:5``.    RFC 9051 §9 uid-set."""
    return b",".join(
        b"%d" % first if first == last else b"%d:%d" % (first, last) for first, last in ranges
    )


def format_lines(ranges: Iterable[tuple[int, int]], size: int) -> list[bytes]:
    """The same in pieces of at most ``size`` bytes each, for responses that may be split."""
    lines: list[bytes] = []
    pieces: list[bytes] = []
    used = 0
    for pair in ranges:
        piece = format_ranges((pair,))
        if pieces and used + len(piece) + 1 > size:
            lines.append(b",".join(pieces))
            pieces, used = [], 0
        pieces.append(piece)
        used += len(piece) + 1
    if pieces:
        lines.append(b",".join(pieces))
    return lines
