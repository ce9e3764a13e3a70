"""Runs a search: columns first, then the headers of what is left, bodies last.

Contents are read and looked at in reader threads, a bounded number of bytes at a time.
"""

from array import array
from collections.abc import Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING

from mox._speedups import (
    SEARCH_MAYBE,
    SEARCH_YES,
    evaluate_with,
    run_program,
)
from mox.base.limits import HEADER_PARSE, KIB, MESSAGE_IN_MEMORY
from mox.imapserver.matching import match_headers, match_texts
from mox.imapserver.searchplan import SearchPlan
from mox.message import header
from mox.message.mime import decode_part, parse
from mox.store.account import Account
from mox.store.content import Kind
from mox.store.reading import locate, read_content, read_derived, read_start

if TYPE_CHECKING:
    from mox.imapserver.session import Session

HEADERS_PER_SLICE = 256  # messages whose headers are read at once
TEXTS_PER_SLICE = 64  # messages read whole at once, if their sizes allow
HEADER_FIRST = 16 * KIB  # bytes read in the hope that the header is in them

_IS_YES = bytes(1 if verdict == SEARCH_YES else 0 for verdict in range(256))
_IS_MAYBE = bytes(1 if verdict == SEARCH_MAYBE else 0 for verdict in range(256))

Leaves = dict[int, bool]


class Searching:
    """One search of the selected mailbox, which is pinned."""

    def __init__(self, session: "Session", plan: SearchPlan) -> None:
        self._session = session
        self._view = session.selected
        self._plan = plan
        verdicts = run_program(
            self._view.columns, plan.program, self._view.limit, self._view.told, 0, self._view.limit
        )
        slots = range(len(verdicts))
        self._sure = array("I", compress(slots, verdicts.translate(_IS_YES)))
        self._open = array("I", compress(slots, verdicts.translate(_IS_MAYBE)))

    async def all(self) -> "array[int]":
        """Every slot that matches, ascending."""
        if not self._open:
            return self._sure
        found = list(self._sure)
        for some in self._slices(self._open):
            found += await self._matching(some)
        return array("I", sorted(found))

    async def first(self) -> int | None:
        """The lowest slot that matches; looks no further."""
        sure = self._sure[0] if self._sure else None
        before = [slot for slot in self._open if sure is None or slot < sure]
        for some in self._slices(before):
            found = await self._matching(some)
            if found:
                return min(found)
        return sure

    async def last(self) -> int | None:
        """The highest slot that matches; looks no further."""
        sure = self._sure[-1] if self._sure else None
        behind = [slot for slot in reversed(self._open) if sure is None or slot > sure]
        for some in self._slices(behind):
            found = await self._matching(some)
            if found:
                return max(found)
        return sure

    def _slices(self, slots: Sequence[int]) -> Iterator[Sequence[int]]:
        return (
            slots[at : at + HEADERS_PER_SLICE] for at in range(0, len(slots), HEADERS_PER_SLICE)
        )

    async def _matching(self, slots: Sequence[int]) -> list[int]:
        """Those of some undecided slots that match."""
        plan, columns, account = self._plan, self._view.columns, self._session.owner
        leaves: list[Leaves] = [{} for _ in slots]
        if plan.headers:
            files = [columns.file(slot) for slot in slots]
            leaves = await account.shard.in_thread(judge_headers, account, files, plan)
        found, still = self._decide(slots, leaves)
        for some in self._batches(still):
            files = [columns.file(slot) for slot, _ in some]
            texts = await account.shard.in_thread(judge_texts, account, files, plan)
            for (_, known), more in zip(some, texts, strict=True):
                known.update(more)
            found += self._decide([slot for slot, _ in some], [known for _, known in some])[0]
        return found

    def _decide(
        self, slots: Sequence[int], leaves: Sequence[Leaves]
    ) -> tuple[list[int], list[tuple[int, Leaves]]]:
        """Slots that match now, and those that wait for more leaves."""
        view, program = self._view, self._plan.program
        found: list[int] = []
        still: list[tuple[int, Leaves]] = []
        for slot, known in zip(slots, leaves, strict=True):
            verdict = evaluate_with(view.columns, program, slot, view.limit, view.told, known)
            if verdict == SEARCH_YES:
                found.append(slot)
            elif verdict == SEARCH_MAYBE:
                still.append((slot, known))
        return found, still

    def _batches(self, slots: list[tuple[int, Leaves]]) -> Iterator[list[tuple[int, Leaves]]]:
        """Messages in groups whose contents fit in memory together."""
        some: list[tuple[int, Leaves]] = []
        total = 0
        for entry in slots:
            size = self._view.columns.size(entry[0])
            if some and (len(some) >= TEXTS_PER_SLICE or total + size > MESSAGE_IN_MEMORY):
                yield some
                some, total = [], 0
            some.append(entry)
            total += size
        if some:
            yield some


def judge_headers(account: Account, files: Sequence[int], plan: SearchPlan) -> list[Leaves]:
    """What the headers say, for each content.    Blocks.

    A message that cannot be read matches nothing.
    """
    numbers, tests = list(plan.headers), list(plan.headers.values())
    results = []
    for file, place in zip(files, locate(account, files), strict=True):
        block = read_start(account, file, place, HEADER_FIRST)
        if block is not None and not _has_whole_header(block):
            block = read_start(account, file, place, HEADER_PARSE)
        verdicts = [False] * len(tests) if block is None else match_headers(block, tests)
        results.append(dict(zip(numbers, verdicts, strict=True)))
    return results


def _has_whole_header(start: bytes) -> bool:
    return len(start) < HEADER_FIRST or header.end_of_header(start) < HEADER_FIRST


def judge_texts(account: Account, files: Sequence[int], plan: SearchPlan) -> list[Leaves]:
    """What the whole messages say.    As ``judge_headers``."""
    numbers, tests = list(plan.texts), list(plan.texts.values())
    trees = read_derived(account, files, (Kind.PART,))
    results = []
    for file, place, stored in zip(files, locate(account, files), trees, strict=True):
        content = read_content(account, file, place)
        if content is None:
            verdicts = [False] * len(tests)
        else:
            tree = parse(content) if stored is None else decode_part(stored)
            verdicts = match_texts(content, tree, tests)
        results.append(dict(zip(numbers, verdicts, strict=True)))
    return results
