"""A mailbox in memory: its record, its columns while somebody needs them, its views."""

import asyncio
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

from mox._speedups import Columns
from mox.base.ids import MailboxId
from mox.base.limits import KEYWORDS_PER_MAILBOX
from mox.store.engine.base import Family
from mox.store.errors import DataDamaged, KeywordLimit, MailboxMissing
from mox.store.layout import keys
from mox.store.layout.rows import MailboxRecord

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.view import View

LOAD_SLICE = 2000  # rows handed to the columns at a time
COMPACT_TAIL = 50_000  # slots moved by an eager compaction
COMPACT_SHARE = 64  # one gone slot in so many makes a compaction worth any move

Counts = tuple[int, int, int, int, int]  # as ``Columns.counts`` gives them


class Mailbox:
    """Owned by its account; others read ``record`` and ``columns`` and never write them."""

    def __init__(self, account: "Account", mailbox_id: MailboxId, record: MailboxRecord) -> None:
        self.account = account
        self.id = mailbox_id
        self.record = record
        self.columns: Columns | None = None
        self.views: set[View] = set()
        self.recent_view: View | None = None  # the open one that gets those \Recent that come
        self.pins = 0  # commands holding slot numbers over an await
        self.deleted = False
        self.used = 0  # order of last use, for dropping columns
        self._loading: asyncio.Future[Columns] | None = None
        self._backlog: list[bytes] = []  # rows of messages that came while the others are read
        self._keyword_bits = {name: bit for bit, name in enumerate(record.keywords)}

    @property
    def name(self) -> str:
        """Its name as kept."""
        return self.record.name

    @property
    def in_use(self) -> bool:
        """Somebody has it open, holds slot numbers or waits for them."""
        return bool(self.views) or self.pins > 0 or self._loading is not None

    def check(self) -> None:
        """Errors: MailboxMissing when it was deleted."""
        if self.deleted:
            raise MailboxMissing

    @contextmanager
    def pinned(self) -> Iterator[None]:
        """Meanwhile slots keep their numbers, and loaded columns stay."""
        self.pins += 1
        try:
            yield
        finally:
            self.pins -= 1

    async def load(self) -> Columns:
        """The columns, read from the index when they are not in memory.

        Pin the mailbox before, or they may be dropped again.    Errors: DataDamaged.
        """
        self.account.shard.touch(self)
        if self.columns is not None:
            return self.columns
        if self._loading is None:
            self._loading = asyncio.ensure_future(self._load())
            self._loading.add_done_callback(self._end_loading)
        return await asyncio.shield(self._loading)

    def _end_loading(self, loading: "asyncio.Future[Columns]") -> None:
        # However it ended, and whether or not somebody still waits for it.
        self._loading = None
        self._backlog.clear()
        if not loading.cancelled():
            loading.exception()

    async def _load(self) -> Columns:
        account = self.account
        # Rows staged but not yet written would be missed by the scan.
        ticket, end = account.ticket, self.record.uidnext
        self._backlog.clear()
        await account.committer.written(ticket)
        columns = Columns()
        start, stop = keys.rows(account.id, self.id, 1, end)

        def read() -> None:
            found = account.shard.engine.scan(Family.ROW, start, stop)
            try:
                while slice_ := [value for _, value in islice(found, LOAD_SLICE)]:
                    columns.load(slice_)
            except ValueError as error:
                raise DataDamaged(f"a message row is damaged: {error}", cause=error) from error

        await account.shard.in_thread(read)
        columns.load(self._backlog)
        self.columns = columns
        account.shard.touch(self)
        return columns

    async def count_from(self, uid: int) -> int:
        """Live messages from this UID on.    Cost: their number, the others are not looked at."""
        account = self.account
        end = self.record.uidnext
        if uid >= end:
            return 0
        if uid <= 1:
            return self.record.messages
        if self.columns is not None:
            slots = self.columns.slots_by_uid(
                [(uid, end)], len(self.columns), account.record.modseq
            )
            return len(slots)
        await account.committer.written(account.ticket)
        start, stop = keys.rows(account.id, self.id, uid, end)

        def count() -> int:
            return sum(1 for _ in account.shard.engine.scan(Family.ROW, start, stop))

        return await account.shard.in_thread(count)

    def add(self, fill: Callable[[Columns], "array[int]"]) -> tuple[Columns, "array[int]"]:
        """New messages, which ``fill`` appends; they come into the counts as well.

        Output  the mailbox's columns and the slots there; columns of their own where the mailbox's
                are not in memory.
        """
        columns = Columns() if self.columns is None else self.columns
        before = columns.counts()
        slots = fill(columns)
        self.take_counts(before, columns.counts())
        if self.columns is None and self._loading is not None:
            self._backlog += columns.rows(slots)
        return columns, slots

    def take_counts(self, before: Counts, after: Counts) -> None:
        """The columns changed: take over their counts by the difference."""
        record = self.record
        record.messages += after[0] - before[0]
        record.unseen += after[1] - before[1]
        record.deleted += after[2] - before[2]
        record.size += after[3] - before[3]
        record.deleted_size += after[4] - before[4]
        self.account.record.used_bytes += after[3] - before[3]

    def keyword_mask(self, names: tuple[str, ...]) -> int:
        """Bits of keywords this mailbox knows; others are left out."""
        mask = 0
        for name in names:
            bit = self._keyword_bits.get(name)
            if bit is not None:
                mask |= 1 << bit
        return mask

    def ensure_keywords(self, names: tuple[str, ...]) -> int:
        """Bits of keywords, new ones added.    Errors: KeywordLimit; then nothing is added."""
        new = [name for name in dict.fromkeys(names) if name not in self._keyword_bits]
        if len(self._keyword_bits) + len(new) > KEYWORDS_PER_MAILBOX:
            raise KeywordLimit
        for name in new:
            self._keyword_bits[name] = len(self._keyword_bits)
        if new:
            self.record.keywords += tuple(new)
        return self.keyword_mask(names)

    def keyword_bits_in(self, other: "Mailbox") -> "array[int]":
        """For each keyword bit the one in another mailbox, which knows the keywords that matter."""
        bits = other._keyword_bits
        return array("I", (bits.get(name, 0) for name in self.record.keywords))

    def keyword_names(self, mask: int) -> tuple[str, ...]:
        """Names of keyword bits, in order of bits."""
        return tuple(name for bit, name in enumerate(self.record.keywords) if mask >> bit & 1)

    def told_floor(self) -> int:
        """Expunges up to this modseq are known to every view."""
        return min((view.told for view in self.views), default=self.account.synced_modseq)

    def compact(self) -> None:
        """Drop slots that no view needs any more, where that is cheap or worth it."""
        columns = self.columns
        if columns is None or not columns.gone_count:
            return
        self.account.shard.eraser.wake(self)
        slots, gone = len(columns), columns.gone_count
        dear = slots > COMPACT_TAIL and gone * COMPACT_SHARE < slots
        if self.pins or (dear and self.views):
            return
        removed = columns.compact(self.told_floor())
        if removed:
            for view in self.views:
                view.shift(removed)

    def drop_columns(self) -> bool:
        """Free the columns when nobody needs them; False when somebody does."""
        if self.in_use or self.columns is None:
            return False
        self.columns = None
        return True
