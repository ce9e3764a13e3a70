"""Pages of entries.    spec/smtp-client-queue.md section 13.

Pages are read from an order kept on disk, so that the first page of a million entries costs a page.  A
cursor is the last key of the page before: entries that change between pages are seen once or, where
their time moved, at their new place; none that stays is passed over.
"""

from typing import TypeVar

import msgspec

from mox.base.limits import QUEUE_SCAN
from mox.queue import keys
from mox.queue.database import Database
from mox.queue.entry import Entry, Retired, decode
from mox.queue.filter import EVERY, Filter, Sort
from mox.store.engine.base import Family
from mox.store.errors import DataDamaged

__all__ = ["EVERY", "Filter", "Page", "RetiredPage", "Sort", "page", "retired_page"]

T = TypeVar("T", Entry, Retired)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Entries in order; ``cursor`` for the next page, None after the last one."""

    entries: list[Entry]
    cursor: bytes | None


class RetiredPage(msgspec.Struct, frozen=True, kw_only=True):
    """The same of retired entries."""

    retired: list[Retired]
    cursor: bytes | None


async def page(
    database: Database,
    wanted: Filter,
    *,
    sort: Sort = Sort.NEXT_ATTEMPT,
    ascending: bool = True,
    cursor: bytes | None = None,
    limit: int,
) -> Page:
    """A page of entries.    Cost: a pass over what does not match; in slices, in a thread."""
    entries: list[Entry] = []
    await database.settled()
    order = _Order(database, sort, ascending=ascending)
    while True:
        found, cursor = await database.in_thread(order.read, wanted, cursor, limit - len(entries))
        entries += [database.busy.get(entry.id, entry) for entry in found]
        if cursor is None or len(entries) >= limit:
            return Page(entries=entries, cursor=cursor)


async def retired_page(
    database: Database,
    wanted: Filter,
    *,
    sort: Sort = Sort.LAST_ACTIVITY,
    ascending: bool = True,
    cursor: bytes | None = None,
    limit: int,
) -> RetiredPage:
    """A page of retired entries."""
    retired: list[Retired] = []
    await database.settled()
    order = _Order(database, sort, ascending=ascending)
    while True:
        found, cursor = await database.in_thread(
            order.read_retired, wanted, cursor, limit - len(retired)
        )
        retired += found
        if cursor is None or len(retired) >= limit:
            return RetiredPage(retired=retired, cursor=cursor)


class _Order:
    """One order, read in slices in a thread."""

    def __init__(self, database: Database, sort: Sort, *, ascending: bool) -> None:
        self._engine = database.engine
        self._sort = sort
        self._ascending = ascending

    def read(
        self, wanted: Filter, cursor: bytes | None, limit: int
    ) -> tuple[list[Entry], bytes | None]:
        """Blocks."""
        # Entries of one queueing time have ascending ids, and so have those queued later.
        if self._sort is Sort.NEXT_ATTEMPT:
            slice_, after = self._numbers(Family.IDX, keys.TIME_ORDER, cursor)
        else:
            slice_, after = self._numbers(Family.ROW, keys.EVERYTHING, cursor)
        values = self._values(Family.ROW, [keys.number(number) for _, number in slice_])
        found: list[Entry] = []
        for (key, _), value in zip(slice_, values, strict=True):
            entry = _decoded(Entry, value)
            if entry is not None and wanted.matches(entry):
                found.append(entry)
                if len(found) == limit:
                    return found, self._more(key, slice_, after)
        return found, after

    def read_retired(
        self, wanted: Filter, cursor: bytes | None, limit: int
    ) -> tuple[list[Retired], bytes | None]:
        """Blocks."""
        if self._sort is Sort.QUEUED:
            slice_, after = self._numbers(Family.MSG, keys.EVERYTHING, cursor)
        else:
            slice_, after = self._numbers(Family.IDX, keys.RETIRED_ORDER, cursor)
        values = self._values(Family.MSG, [keys.number(number) for _, number in slice_])
        found: list[Retired] = []
        for (key, _), value in zip(slice_, values, strict=True):
            retired = _decoded(Retired, value)
            if retired is not None and wanted.matches_retired(retired):
                found.append(retired)
                if len(found) == limit:
                    return found, self._more(key, slice_, after)
        return found, after

    def _numbers(
        self, family: Family, bounds: tuple[bytes, bytes], cursor: bytes | None
    ) -> tuple[list[tuple[bytes, int]], bytes | None]:
        """A slice of keys with the entries they end with; where the next slice begins."""
        start, end = bounds
        if cursor is not None:
            start, end = (cursor + b"\x00", end) if self._ascending else (start, cursor)
        found: list[tuple[bytes, int]] = []
        for key, _ in self._engine.scan(family, start, end, reverse=not self._ascending):
            found.append((key, keys.last_number(key)))
            if len(found) == QUEUE_SCAN:
                return found, key
        return found, None

    def _values(self, family: Family, wanted: list[bytes]) -> list[bytes | None]:
        return self._engine.multi_get(family, wanted) if wanted else []

    @staticmethod
    def _more(key: bytes, slice_: list[tuple[bytes, int]], after: bytes | None) -> bytes | None:
        """The cursor behind a full page."""
        return after if key == slice_[-1][0] else key


def _decoded(kind: type[T], value: bytes | None) -> T | None:
    """None for one that was removed meanwhile, or is damaged: ``verify`` tells of those."""
    if value is None:
        return None
    try:
        return decode(kind, value)
    except DataDamaged:
        return None
