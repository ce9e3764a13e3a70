"""FETCH responses of many messages, in slices, by the cheapest way each item allows.

Laws  The mailbox is pinned, so slots stay what they are over every await.  No MODSEQ leaves before
      its change set is synced (decision 0007).  A new keyword is announced before the line that
      shows it.  One damaged message does not hide the others.
"""

import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mox._speedups import (
    FETCH_FLAGS,
    FETCH_MODSEQ,
    FETCH_RECENT,
    FETCH_UID,
    format_fetch,
    format_items,
)
from mox.base.flags import SEEN
from mox.base.limits import IMAP_OUTPUT_SLICE, MESSAGE_IN_MEMORY, MIB
from mox.imapserver.contents import Produced, Value, produce
from mox.imapserver.fetchplan import ContentItem, Plan
from mox.imapserver.flaglines import announce_keywords
from mox.imapserver.sections import SectionError, Unreadable
from mox.store.flags import How, change_flags
from mox.store.reading import derive_again, derived, piece

if TYPE_CHECKING:
    from mox.imapserver.session import Session

LINES_PER_SLICE = 1000  # of columns only: about 64 KiB
CACHED_PER_SLICE = 256  # messages whose cached values are read at once
CACHED_BYTES = 32 * MIB  # of messages, which bounds their values: a structure is no larger
CONTENTS_PER_SLICE = 128  # messages opened at once, if their sizes allow


class Fetching:
    """One run over messages of the selected mailbox.

    ``ticket``: of the last change of flags, 0 for none.  ``problem``: the first of an item that
    could not be given; the tagged reply is then NO.
    """

    def __init__(self, session: "Session", plan: Plan) -> None:
        self._session = session
        self._view = session.selected
        self._plan = plan
        self._names: list[bytes] = []
        self._recent = not session.rev2 and self._view.recent_from <= 0xFFFFFFFF
        self.ticket = 0
        self.problem: SectionError | None = None

    async def run(self, slots: "array[int]") -> None:
        """Write the responses.    Errors: ConnectionClosed, StoreStopped."""
        if self._plan.contents:
            await self._from_contents(slots)
        elif self._plan.cached:
            await self._from_cache(slots)
        else:
            await self._from_columns(slots)

    # Lines of what the columns know

    def _mask(self, mask: int) -> int:
        return mask | FETCH_RECENT if mask & FETCH_FLAGS and self._recent else mask

    async def _ready(self, slots: "array[int]", mask: int) -> None:
        """Before lines of these slots are formatted."""
        if mask & FETCH_MODSEQ:
            account = self._session.owner
            while self._view.columns.max_modseq(slots) > account.synced_modseq:
                await account.settle()
        if mask & FETCH_FLAGS:
            announce_keywords(self._session)
        keywords = self._view.mailbox.record.keywords
        if len(keywords) != len(self._names):
            self._names = [name.encode("ascii") for name in keywords]

    async def _from_columns(self, slots: "array[int]") -> None:
        session, view = self._session, self._view
        mask = self._mask(self._plan.mask)
        recent_from = view.recent_from if self._recent else 0
        for at in range(0, len(slots), LINES_PER_SLICE):
            some = slots[at : at + LINES_PER_SLICE]
            await self._ready(some, mask)
            lines, done = b"", 0
            seqs = view.seqs(some)
            while done < len(some):
                lines, done = format_fetch(
                    view.columns,
                    some,
                    seqs,
                    mask,
                    self._names,
                    done,
                    IMAP_OUTPUT_SLICE,
                    recent_from_uid=recent_from,
                )
                session.write(lines)
                await session.drain()
                if done < len(some):
                    await self._ready(some, mask)

    def _beginning(self, slot: int, seq: int, mask: int) -> bytes:
        """A line without its end, ``_ready`` was called for."""
        return format_items(
            self._view.columns,
            slot,
            seq,
            self._mask(mask),
            self._names,
            recent_from_uid=self._view.recent_from if self._recent else 0,
        )

    # Lines with cached values

    async def _from_cache(self, slots: "array[int]") -> None:
        session, view, mask = self._session, self._view, self._plan.mask
        template = b"%b" + b"".join(b" " + name + b" %b" for name, _, _ in self._plan.cached)
        template += b")\r\n"
        for some in self._batches(slots, CACHED_PER_SLICE, CACHED_BYTES):
            values = await self._cached(some)
            await self._ready(some, mask)
            beginning = self._beginning
            beginnings = [
                beginning(slot, seq, mask) for slot, seq in zip(some, view.seqs(some), strict=True)
            ]
            row = iter(values)
            rows = zip(beginnings, *[row] * len(self._plan.cached), strict=True)
            session.write(b"".join([template % columns for columns in rows]))
            await session.drain()

    async def _cached(self, slots: "array[int]") -> Sequence[bytes]:
        """The cached values of each message, in the order of the plan."""
        columns = self._view.columns
        files = [columns.file(slot) for slot in slots]
        utf8 = self._session.utf8
        wanted: list[int] = []
        for _, kind, better in self._plan.cached:
            wanted.append(kind)
            if utf8 and better is not None:
                wanted.append(better)
        found = await derived(self._session.owner, files, wanted)
        if len(wanted) == len(self._plan.cached) and None not in found:
            return found  # type: ignore[return-value]
        values: list[bytes] = []
        for index, file in enumerate(files):
            at = index * len(wanted)
            known = dict(zip(wanted, found[at : at + len(wanted)], strict=True))
            values += await self._chosen(file, known)
        return values

    async def _chosen(self, file: int, known: dict[int, bytes | None]) -> list[bytes]:
        """The values of one message; made anew where the cache has none."""
        shard = self._session.owner.shard
        if any(known[kind] is None for _, kind, _ in self._plan.cached):
            made = await shard.in_thread(derive_again, self._session.owner, file)
            if not made:
                self.problem = self.problem or Unreadable()
                made = shard.derive(b"")
            known = {kind: made.get(kind) for kind in known}
        chosen = []
        for _, kind, better in self._plan.cached:
            value = known.get(better) if better is not None else None
            value = known[kind] if value is None else value
            assert value is not None
            chosen.append(value)
        return chosen

    # Lines with contents

    async def _from_contents(self, slots: "array[int]") -> None:
        account, plan, columns = self._session.owner, self._plan, self._view.columns
        bound = sys.maxsize if plan.header_only else MESSAGE_IN_MEMORY
        for some in self._batches(slots, CONTENTS_PER_SLICE, bound):
            while some:
                files = [columns.file(slot) for slot in some]
                made = await account.shard.in_thread(produce, account, files, plan.contents)
                # As many as fit in memory.
                now, some = some[: len(made)], some[len(made) :]
                cached = iter(await self._cached(now)) if plan.cached else iter(())
                changed = self._mark_seen(now, made)
                await self._write_contents(now, made, cached, changed)

    def _batches(self, slots: "array[int]", most: int, bound: int) -> Iterator["array[int]"]:
        """Slots in groups of at most so many, the sum of whose sizes is bounded."""
        size_of = self._view.columns.size
        at = 0
        while at < len(slots):
            some = slots[at : at + most]
            while len(some) > 1 and sum(map(size_of, some)) > bound:
                some = some[: len(some) // 2]
            yield some
            at += len(some)

    def _mark_seen(self, slots: "array[int]", made: list[Produced]) -> set[int]:
        """Set \\Seen where an item that does so is given; the slots that changed.

        Source  RFC 9051 §6.4.5.    A message that is gone stays as it was.
        """
        view, plan = self._view, self._plan
        if not plan.sets_seen or view.read_only or view.mailbox.deleted:
            return set()
        columns = view.columns
        unseen = array(
            "I",
            (
                slot
                for slot, produced in zip(slots, made, strict=True)
                if not columns.flags(slot) & SEEN
                and not columns.gone(slot)
                and _reads(plan.contents, produced)
            ),
        )
        if not unseen:
            return set()
        change = change_flags(
            self._session.owner,
            view.mailbox,
            unseen,
            How.ADD,
            SEEN,
            (),
            origin=self._session.feed,
        )
        view.own(change.modseq)
        self.ticket = change.ticket
        return set(change.changed)

    async def _write_contents(
        self,
        slots: "array[int]",
        made: list[Produced],
        cached: Iterator[bytes],
        changed: set[int],
    ) -> None:
        session, plan = self._session, self._plan
        told = plan.mask | FETCH_UID | FETCH_FLAGS
        if session.condstore:
            # RFC 7162 §3.2.4: the FLAGS of an implicit \Seen come with UID and MODSEQ.
            told |= FETCH_MODSEQ
        await self._ready(slots, told if changed else plan.mask)
        pending = 0
        for slot, seq, produced in zip(slots, self._view.seqs(slots), made, strict=True):
            if pending > IMAP_OUTPUT_SLICE:
                await session.drain()
                pending = 0
                await self._ready(array("I", (slot,)), told if changed else plan.mask)
            self.problem = self.problem or produced.problem
            line = self._beginning(slot, seq, told if slot in changed else plan.mask)
            for name, _, _ in plan.cached:
                line += b" %b %b" % (name, next(cached))
            session.write(line)
            pending += len(line)
            for item, value in zip(plan.contents, produced.values, strict=True):
                if value is not None:
                    pending += await self._write_value(item.label, value)
            session.write(b")\r\n")
        await session.drain()

    async def _write_value(self, label: bytes, value: Value) -> int:
        """Write one item; how many of its bytes may still wait to be sent."""
        session = self._session
        if isinstance(value, bytes):
            session.write(b" %b %b" % (label, value))
            return len(value)
        # RFC 3516 §4.2: a literal8 where the data may hold NUL; other literals may not.
        form = b" %b ~{%d}\r\n" if value.has_nul else b" %b {%d}\r\n"
        session.write(form % (label, value.size))
        if value.size <= IMAP_OUTPUT_SLICE:
            session.write(await piece(session.owner, value.content, value.start, value.end))
            return value.size
        for at in range(value.start, value.end, IMAP_OUTPUT_SLICE):
            end = min(value.end, at + IMAP_OUTPUT_SLICE)
            session.write(await piece(session.owner, value.content, at, end))
            await session.drain()
        return 0


def _reads(items: Sequence[ContentItem], produced: Produced) -> bool:
    return any(
        item.sets_seen and value is not None
        for item, value in zip(items, produced.values, strict=True)
    )
