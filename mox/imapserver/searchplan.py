"""A search tree as a program over the columns, with what only contents can answer set apart.

A new key is one line in ``_COMPILERS``.    RFC 9051 §6.4.4.
"""

import datetime
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import msgspec

from mox._speedups import Instruction, Program, compile_program
from mox.imap import searchkey
from mox.imap.searchkey import DateField, DateTest, SearchKey
from mox.imapserver.matching import HeaderTest, SentTest, TextTest
from mox.imapserver.numbers import search_slots

if TYPE_CHECKING:
    from mox.imapserver.session import Session

Leaf: TypeAlias = HeaderTest | SentTest | TextTest
_EPOCH: Final = datetime.date(1970, 1, 1).toordinal()
_DAY_MS: Final = 86_400_000
_UID_MAX: Final = 0xFFFFFFFF


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The program, and its leaves by number."""

    program: Program
    headers: dict[int, HeaderTest | SentTest]  # answered by the top header
    texts: dict[int, TextTest]  # answered by the whole message


class _Planner:
    """Collects instructions; equal leaves are one."""

    def __init__(self, session: "Session") -> None:
        self.session = session
        self.postfix: list[Instruction] = []
        self.leaves: dict[Leaf, int] = {}

    def emit(self, *instruction: object) -> None:
        """One instruction."""
        self.postfix.append(instruction)

    def leaf(self, test: Leaf) -> None:
        """What the contents must answer."""
        self.emit("maybe", self.leaves.setdefault(test, len(self.leaves)))

    def key(self, key: SearchKey) -> None:
        """Any key.    The depth of the tree is bounded by its parser."""
        _COMPILERS[type(key)](self, key)


def plan_search(session: "Session", key: SearchKey) -> SearchPlan:
    """Compile a search of the selected mailbox, for now: numbers and keywords are looked up.

    Errors  ValueError for a program with too many parts.
    """
    planner = _Planner(session)
    planner.key(key)
    headers: dict[int, HeaderTest | SentTest] = {}
    texts: dict[int, TextTest] = {}
    for test, number in planner.leaves.items():
        if isinstance(test, TextTest):
            texts[number] = test
        else:
            headers[number] = test
    return SearchPlan(program=compile_program(planner.postfix), headers=headers, texts=texts)


def _all(planner: _Planner, _key: searchkey.All) -> None:
    planner.emit("all")


def _joined(planner: _Planner, keys: tuple[SearchKey, ...], join: str) -> None:
    for index, key in enumerate(keys):
        planner.key(key)
        if index:
            planner.emit(join)


def _and(planner: _Planner, key: searchkey.And) -> None:
    _joined(planner, key.keys, "and")


def _or(planner: _Planner, key: searchkey.Or) -> None:
    _joined(planner, key.keys, "or")


def _not(planner: _Planner, key: searchkey.Not) -> None:
    planner.key(key.key)
    planner.emit("not")


def _flags(planner: _Planner, key: searchkey.Flags) -> None:
    planner.emit("flags", key.present | key.absent, key.present)


def _keyword(planner: _Planner, key: searchkey.Keyword) -> None:
    view = planner.session.selected
    mask = view.mailbox.keyword_mask((key.name,))
    if not mask:
        planner.emit("none")
    elif mask < 1 << 64:
        planner.emit("keyword", mask.bit_length() - 1)
    else:
        bit = mask.bit_length() - 1
        planner.emit("slots", view.columns.slots_with_keyword(bit, view.limit, view.told))
    if not key.present:
        planner.emit("not")


def _recent(planner: _Planner, key: searchkey.Recent) -> None:
    view = planner.session.selected
    # RFC 9051 appendix E: IMAP4rev2 has no recent messages.
    if view.recent_from > _UID_MAX or planner.session.rev2:
        planner.emit("none")
    else:
        planner.emit("uid", [(view.recent_from, _UID_MAX)])
    if not key.present:
        planner.emit("not")


def _numbers(planner: _Planner, key: searchkey.Numbers) -> None:
    view = planner.session.selected
    numbers = key.numbers
    if numbers.saved:
        planner.emit("slots", search_slots(planner.session, numbers, uid=key.uid))
    elif key.uid:
        planner.emit("uid", numbers.resolve(view.highest_uid()))
    else:
        # Numbers beyond EXISTS match nothing.
        planner.emit("seq", numbers.resolve(view.exists))


def _size(planner: _Planner, key: searchkey.Size) -> None:
    planner.emit("larger" if key.larger else "smaller", key.size)


def _date(planner: _Planner, key: searchkey.Date) -> None:
    if key.field is DateField.SENT:
        planner.leaf(SentTest(key.test, key.day))
        return
    # RFC 9051 §6.4.4: the day of INTERNALDATE, without regard to its time zone.
    start = (key.day.toordinal() - _EPOCH) * _DAY_MS
    if key.test is DateTest.BEFORE:
        planner.emit("received_before", start, True)
        return
    planner.emit("received_from", start, True)
    if key.test is DateTest.ON:
        planner.emit("received_before", start + _DAY_MS, True)
        planner.emit("and")


def _header(planner: _Planner, key: searchkey.Header) -> None:
    planner.leaf(HeaderTest(key.field, key.text))


def _body(planner: _Planner, key: searchkey.Body) -> None:
    planner.leaf(TextTest(key.text, headers=False))


def _text(planner: _Planner, key: searchkey.Text) -> None:
    planner.leaf(TextTest(key.text, headers=True))


def _modseq(planner: _Planner, key: searchkey.ModSeq) -> None:
    planner.emit("modseq_from", key.modseq)


# Each takes its own kind of key.
_COMPILERS: Final[Mapping[type[SearchKey], Callable[[_Planner, Any], None]]] = {
    searchkey.All: _all,
    searchkey.And: _and,
    searchkey.Body: _body,
    searchkey.Date: _date,
    searchkey.Flags: _flags,
    searchkey.Header: _header,
    searchkey.Keyword: _keyword,
    searchkey.ModSeq: _modseq,
    searchkey.Not: _not,
    searchkey.Numbers: _numbers,
    searchkey.Or: _or,
    searchkey.Recent: _recent,
    searchkey.Size: _size,
    searchkey.Text: _text,
}
