"""The instructions of a search program, checked once for both implementations.

A program is postfix: operands first, then what joins them.  Each instruction is a tuple:

    ("all",) ("none",)
    ("flags", mask, value)            flags & mask == value
    ("keyword", bit)                  one of the first 64 keywords; further ones as "slots"
    ("larger", n) ("smaller", n)      RFC822.SIZE in bytes, n excluded
    ("received_before", ms, local)    received < ms; with local, in the message's own zone, ms
    ("received_from", ms, local)      being the local time counted as if it were UTC;  >= ms
    ("saved_before", ms) ("saved_from", ms)      the received time where no save time is known
    ("modseq_from", n)                modseq >= n
    ("uid", ranges) ("seq", ranges)   number sets, ascending and disjoint
    ("slots", array("I"))             ascending slots
    ("maybe", k)                      leaf k, which only header or body can answer
    ("and",) ("or",) ("not",)
"""

from array import array
from collections.abc import Callable
from typing import Final

Instruction = tuple[object, ...]

INSTRUCTIONS_MAX: Final = 100_000  # of one program; far above what a command line can hold
DEPTH_MAX: Final = 1000  # operands that wait at one time; each costs a block of bytes

NO: Final = 0
YES: Final = 1
MAYBE: Final = 2
HIDDEN: Final = 3  # not in the view


def _u32(value: object) -> None:
    if not isinstance(value, int) or not 0 <= value < 1 << 32:
        raise ValueError("not a 32-bit number")


def _u64(value: object) -> None:
    if not isinstance(value, int) or not 0 <= value < 1 << 64:
        raise ValueError("not a 64-bit number")


def _ms(value: object) -> None:
    # Far from the ends of 64 bits, so that adding a zone cannot pass them.
    if not isinstance(value, int) or not -(1 << 62) <= value <= 1 << 62:
        raise ValueError("not a time in milliseconds")


def _bit(value: object) -> None:
    if not isinstance(value, int) or not 0 <= value < 64:
        raise ValueError("not one of the first 64 keywords")


def _bool(value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError("not a truth value")  # noqa: TRY004 - one kind of error for programs


def _ranges(value: object) -> None:
    if not isinstance(value, list):
        raise ValueError("not a list of ranges")  # noqa: TRY004
    last = 0
    for low, high in value:
        if not last < low <= high < 1 << 64:
            raise ValueError("ranges must be ascending, disjoint and start at 1 or above")
        last = high


def _slots(value: object) -> None:
    if not isinstance(value, array) or value.typecode != "I":
        raise ValueError("not an array of slots")
    last = -1
    for slot in value:
        if slot <= last:
            raise ValueError("slots must be ascending")
        last = slot


_OPERANDS: Final[dict[object, tuple[Callable[[object], None], ...]]] = {
    "all": (),
    "none": (),
    "flags": (_u32, _u32),
    "keyword": (_bit,),
    "larger": (_u64,),
    "smaller": (_u64,),
    "received_before": (_ms, _bool),
    "received_from": (_ms, _bool),
    "saved_before": (_ms,),
    "saved_from": (_ms,),
    "modseq_from": (_u64,),
    "uid": (_ranges,),
    "seq": (_ranges,),
    "slots": (_slots,),
    "maybe": (_u32,),
}
# name → how many operands it takes from the stack; it puts one back
_JOINS: Final[dict[object, int]] = {"and": 2, "or": 2, "not": 1}


def check_program(postfix: list[Instruction]) -> int:
    """Check a program; return how many operands wait at most at one time.

    Errors  ValueError: unknown or ill-formed instruction, too long, too deep, not one result.
    """
    if len(postfix) > INSTRUCTIONS_MAX:
        raise ValueError("the search has too many parts")
    depth = deepest = 0
    for name, *operands in postfix:
        if name in _JOINS:
            if operands or depth < _JOINS[name]:
                raise ValueError(f"nothing to join for {name!r}")
            depth -= _JOINS[name]
        elif name in _OPERANDS:
            checks = _OPERANDS[name]
            if len(operands) != len(checks):
                raise ValueError(f"wrong number of operands for {name!r}")
            for check, operand in zip(checks, operands, strict=True):
                check(operand)
        else:
            raise ValueError(f"unknown instruction {name!r}")
        depth += 1
        deepest = max(deepest, depth)
    if depth != 1:
        raise ValueError("a program leaves one result")
    if deepest > DEPTH_MAX:
        raise ValueError("the search is nested too deeply")
    return deepest
