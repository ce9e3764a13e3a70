"""Search over the columns, one message at a time: the plain twin of search.pyx.

Truth has three values: NO, YES and MAYBE, which is what a leaf is until its header or body was
read.  AND is NO if any side is NO, YES if both are YES; OR the other way round; NOT keeps MAYBE
(Kleene's logic).  So a message that comes out NO or YES needs no reading at all.
"""

from collections.abc import Mapping
from typing import Any, Final

from mox._speedups.columns import Columns
from mox._speedups.program import HIDDEN, MAYBE, NO, YES, Instruction, check_program

_ZONE_MS: Final = 60_000  # ms of a minute


class Program:
    """A checked search program."""

    __slots__ = ("_leaves", "_postfix")

    def __init__(self, postfix: list[Instruction]) -> None:
        check_program(postfix)
        self._postfix: list[tuple[Any, ...]] = [tuple(part) for part in postfix]
        self._leaves: tuple[int, ...] = tuple(
            sorted({part[1] for part in self._postfix if part[0] == "maybe"})
        )

    def __len__(self) -> int:
        return len(self._postfix)

    @property
    def leaves(self) -> tuple[int, ...]:
        """The numbers of the leaves that need content, ascending, each once."""
        return self._leaves

    @property
    def postfix(self) -> list[tuple[Any, ...]]:
        """The instructions."""
        return self._postfix


def compile_program(postfix: list[Instruction]) -> Program:
    """Check a program and bring it into the form that runs.

    Input   instructions as in mox._speedups.program.
    Errors  ValueError: ill-formed, longer than 100,000 instructions or deeper than 1,000.
    """
    return Program(postfix)


def _within(ranges: list[tuple[int, int]], number: int) -> bool:
    return any(low <= number <= high for low, high in ranges)


def _received(columns: Columns, slot: int, local: bool) -> int:
    """Received time, in the zone of the message when asked for."""
    return columns.received(slot) + (columns.zone(slot) * _ZONE_MS if local else 0)


def _about_time(columns: Columns, slot: int, name: str, args: tuple[Any, ...]) -> bool:
    what, _, how = name.partition("_")
    if what == "received":
        time = _received(columns, slot, args[1])
    else:
        # RFC 8514 §4.3: the internal date stands in for a save date that is not known.
        time = columns.saved(slot) or columns.received(slot)
    return bool(time < args[0] if how == "before" else time >= args[0])


def _about_numbers(columns: Columns, slot: int, seq: int, name: str, args: tuple[Any, ...]) -> bool:
    if name == "uid":
        return _within(args[0], columns.uid(slot))
    if name == "seq":
        return _within(args[0], seq)
    return slot in args[0]


def _leaf(columns: Columns, slot: int, seq: int, name: str, args: tuple[Any, ...]) -> bool:
    match name:
        case "all" | "none":
            return name == "all"
        case "flags":
            return bool(columns.flags(slot) & args[0] == args[1])
        case "keyword":
            return bool(columns.keywords(slot) >> args[0] & 1)
        case "larger":
            return bool(columns.size(slot) > args[0])
        case "smaller":
            return bool(columns.size(slot) < args[0])
        case "modseq_from":
            return bool(columns.modseq(slot) >= args[0])
        case "uid" | "seq" | "slots":
            return _about_numbers(columns, slot, seq, name, args)
        case _:
            return _about_time(columns, slot, name, args)


def _join(name: str, stack: list[int]) -> int:
    right = stack.pop()
    if name == "not":
        return {NO: YES, YES: NO, MAYBE: MAYBE}[right]
    left = stack.pop()
    strong = NO if name == "and" else YES
    if strong in (left, right):
        return strong
    return left if left == right else MAYBE


def evaluate_with(
    columns: Columns,
    program: Program,
    slot: int,
    limit: int,
    told: int,
    leaf_results: Mapping[int, bool],
) -> int:
    """One message, with what is known of its leaves by now: NO, YES, MAYBE or HIDDEN.

    A leaf that is not in `leaf_results` stays MAYBE, so that a caller can stop reading as soon as
    the answer is certain.
    """
    seq = columns.seq(slot, limit, told)
    if not seq:
        return HIDDEN
    stack: list[int] = []
    for name, *args in program.postfix:
        if name in ("and", "or", "not"):
            stack.append(_join(name, stack))
        elif name == "maybe":
            known = leaf_results.get(args[0])
            stack.append(MAYBE if known is None else int(known))
        else:
            stack.append(int(_leaf(columns, slot, seq, name, tuple(args))))
    return stack[0]


def run_program(
    columns: Columns, program: Program, limit: int, told: int, start: int, stop: int
) -> bytes:
    """One byte for each slot in [start, stop): NO, YES, MAYBE or HIDDEN.

    Errors  ValueError: a view or a span that the columns do not have.
    """
    columns.visible(limit, told)  # refuses an impossible view
    if not 0 <= start <= stop <= limit:
        raise ValueError("a span must lie within the view")
    return bytes(
        evaluate_with(columns, program, slot, limit, told, {}) for slot in range(start, stop)
    )
