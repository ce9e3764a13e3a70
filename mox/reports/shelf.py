"""Reports received, of either kind: kept by arrival, found by domain, told apart by who names them how.

A report is packed and cut into pieces; its head says whose it is and sums it up, so that lists need
nothing else.  The head is written last, with what leads to it: a crash leaves pieces that nobody
names, and opening removes them.

Beyond the reference: duplicates are recognised (RFC 7489 §7.2.1.1: one report id for one report; the
sender's own domain is part of it, so that nobody can name another's report first), one sender has a
share per day, and what is old or too much goes, oldest first.
"""

import asyncio
import zlib
from collections import Counter
from collections.abc import AsyncIterator
from enum import Enum
from typing import Generic, TypeVar

import msgspec

from mox.base.limits import (
    KIB,
    RECEIVED_BYTES,
    RECEIVED_KEEP_S,
    RECEIVED_LIST_SLICE,
    RECEIVED_PER_DAY,
    RECEIVED_SENDERS,
)
from mox.reports import keys
from mox.store.engine.base import Batch, Family
from mox.store.errors import DataDamaged
from mox.store.serverdata import ServerData

S = TypeVar("S", bound=msgspec.Struct)

PIECE = 64 * KIB  # bytes
_BATCH_PIECES = 4  # in a batch: a larger one holds the GIL too long
HEAD_SIZE = 300  # bytes that a head and its keys take, roughly
_TRIM_SLICE = 200  # reports removed at a time
_DAY_MS = 86_400_000
_VERSION = b"\x01"


class Head(msgspec.Struct, Generic[S], frozen=True, kw_only=True):
    """What is known of a report without reading it."""

    received_ms: int
    domains: tuple[str, ...]  # ours that it is about, in Unicode
    hosts: tuple[str, ...] = ()  # those of them that are names of this server
    from_domain: str  # proven author of the message, A-labels
    mail_from: str = ""
    organization: str = ""  # a stranger's text
    report_id: str
    begin_s: int
    end_s: int
    size: int = 0  # bytes, packed
    pieces: int = 0
    summary: S


class Kept(Enum):
    """What became of a report."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    TOO_MANY = "too many reports"


class Totals(msgspec.Struct, array_like=True):
    """What a shelf holds."""

    count: int = 0
    size: int = 0  # bytes, roughly


class Shelf(Generic[S]):
    """The reports of one kind.    Open it before it is used."""

    def __init__(
        self,
        data: ServerData,
        kind: bytes,
        head_type: type[Head[S]],
        *,
        keep_s: float = RECEIVED_KEEP_S,
        keep_bytes: int = RECEIVED_BYTES,
        per_day: int = RECEIVED_PER_DAY,
    ) -> None:
        self._data = data
        self._kind = kind
        self._decoder = msgspec.msgpack.Decoder(head_type)
        self._keep_ms = round(keep_s * 1000)
        self._keep_bytes = keep_bytes
        self._per_day = per_day
        self._lock = asyncio.Lock()
        self._next = 1
        self._day = 0
        self._today: Counter[tuple[str, tuple[str, ...]]] = Counter()
        self.totals = Totals()

    async def open(self) -> None:
        """Find out what is there; remove what a crash left."""
        await self._data.in_thread(self._load)
        batch = Batch()
        batch.delete_range(Family.MSG, *keys.all_pieces(self._kind, self._next))
        await self._data.write(batch)

    def _load(self) -> None:
        engine = self._data.engine
        for key, _ in engine.scan(Family.MSG, *keys.heads(self._kind), reverse=True):
            self._next = keys.head_number(key) + 1
            break
        value = engine.get(Family.META, keys.totals(self._kind))
        if value is not None:
            self.totals = _decode_totals(value)

    async def keep(self, head: Head[S], report: bytes) -> Kept:
        """Keep a report; returns once it is on disk.    Errors: StoreStopped.

        Input  report: what ``read`` gives back.
        """
        packed = await self._data.in_thread(zlib.compress, report)
        async with self._lock:
            known_as = keys.identity(self._kind, identity_of(head))
            if await self._data.in_thread(self._data.engine.get, Family.IDX, known_as) is not None:
                return Kept.DUPLICATE
            if not self._has_share(head):
                return Kept.TOO_MANY
            ticket = await self._store(head, packed, known_as)
            await self._trim(head.received_ms)
        await self._data.stored(ticket)
        return Kept.STORED

    def _has_share(self, head: Head[S]) -> bool:
        """Count a report of a sender; False when it has had its share of the day."""
        day = head.received_ms // _DAY_MS
        if day != self._day:
            self._day = day
            self._today.clear()
        sender = head.from_domain, head.domains
        if self._today[sender] >= self._per_day or len(self._today) > RECEIVED_SENDERS:
            return False
        self._today[sender] += 1
        return True

    async def _store(self, head: Head[S], packed: bytes, known_as: bytes) -> int:
        number, self._next = self._next, self._next + 1
        cut = [packed[at : at + PIECE] for at in range(0, len(packed), PIECE)]
        head = msgspec.structs.replace(head, size=len(packed), pieces=len(cut))
        batch = Batch()
        for index, piece in enumerate(cut):
            batch.put(Family.MSG, keys.piece(self._kind, number, index), piece)
            if len(batch) == _BATCH_PIECES:
                await self._data.write(batch)
                batch = Batch()
        encoded = _VERSION + msgspec.msgpack.encode(head)
        batch.put(Family.MSG, keys.head(self._kind, number), encoded)
        batch.put(Family.IDX, known_as, number.to_bytes(8, "big"))
        for domain in head.domains:
            batch.put(Family.IDX, keys.about(self._kind, domain, number), b"")
        self.totals.count += 1
        self.totals.size += HEAD_SIZE + len(packed)
        self._put_totals(batch)
        return await self._data.write(batch)

    def _put_totals(self, batch: Batch) -> None:
        value = _VERSION + msgspec.msgpack.encode(self.totals)
        batch.put(Family.META, keys.totals(self._kind), value)

    async def tidy(self) -> int:
        """Remove what is too old or too much; how many reports that were.    Errors: StoreStopped."""
        async with self._lock:
            return await self._trim(self._data.clock.now_ms())

    async def _trim(self, now_ms: int) -> int:
        removed = 0
        while surplus := await self._data.in_thread(self._surplus, now_ms - self._keep_ms):
            batch = Batch()
            for number, head in surplus:
                self._remove(batch, number, head)
            self._put_totals(batch)
            await self._data.write(batch)
            removed += len(surplus)
        return removed

    def _surplus(self, since_ms: int) -> list[tuple[int, Head[S]]]:
        """The oldest reports, as far as they have to go."""
        found: list[tuple[int, Head[S]]] = []
        size = self.totals.size
        for key, value in self._data.engine.scan(Family.MSG, *keys.heads(self._kind)):
            head = self._decode(value)
            if head.received_ms >= since_ms and size <= self._keep_bytes:
                break
            size -= HEAD_SIZE + head.size
            found.append((keys.head_number(key), head))
            if len(found) == _TRIM_SLICE:
                break
        return found

    def _remove(self, batch: Batch, number: int, head: Head[S]) -> None:
        batch.delete(Family.MSG, keys.head(self._kind, number))
        batch.delete_range(Family.MSG, *keys.pieces(self._kind, number))
        batch.delete(Family.IDX, keys.identity(self._kind, identity_of(head)))
        for domain in head.domains:
            batch.delete(Family.IDX, keys.about(self._kind, domain, number))
        self.totals.count -= 1
        self.totals.size -= HEAD_SIZE + head.size

    async def heads(
        self, *, since_ms: int = 0, domain: str | None = None
    ) -> AsyncIterator[tuple[int, Head[S]]]:
        """Reports received since then, about a domain (in Unicode) or any, newest first, numbered.

        Errors  DataDamaged.
        """
        before = 1 << 63
        while True:
            found = await self._data.in_thread(self._slice, before, domain)
            for number, head in found:
                # They are in the order of arrival.
                if head.received_ms < since_ms:
                    return
                yield number, head
            if len(found) < RECEIVED_LIST_SLICE:
                return
            before = found[-1][0]

    def _slice(self, before: int, domain: str | None) -> list[tuple[int, Head[S]]]:
        engine, kind = self._data.engine, self._kind
        found: list[tuple[int, Head[S]]] = []
        if domain is None:
            rows = engine.scan(
                Family.MSG, keys.head(kind, 0), keys.head(kind, before), reverse=True
            )
            for key, value in rows:
                found.append((keys.head_number(key), self._decode(value)))
                if len(found) == RECEIVED_LIST_SLICE:
                    break
            return found
        start, _ = keys.all_about(kind, domain)
        for key, _ in engine.scan(
            Family.IDX, start, keys.about(kind, domain, before), reverse=True
        ):
            number = keys.about_number(key)
            head = engine.get(Family.MSG, keys.head(kind, number))
            if head is None:
                continue  # removed since the scan began
            found.append((number, self._decode(head)))
            if len(found) == RECEIVED_LIST_SLICE:
                break
        return found

    async def read(self, number: int) -> tuple[Head[S], bytes] | None:
        """A report with its head; None where there is none of that number.    Errors: DataDamaged."""
        return await self._data.in_thread(self._read, number)

    def _read(self, number: int) -> tuple[Head[S], bytes] | None:
        engine = self._data.engine
        value = engine.get(Family.MSG, keys.head(self._kind, number))
        if value is None:
            return None
        head = self._decode(value)
        wanted = [keys.piece(self._kind, number, index) for index in range(head.pieces)]
        pieces = engine.multi_get(Family.MSG, wanted)
        packed = b"".join(piece for piece in pieces if piece is not None)
        if len(packed) != head.size:
            raise DataDamaged("a piece of a stored report is missing")
        try:
            return head, zlib.decompress(packed)
        except zlib.error as error:
            raise DataDamaged("a stored report is damaged", cause=error) from error

    def _decode(self, value: bytes) -> Head[S]:
        if value[:1] != _VERSION:
            raise DataDamaged("a stored report of an unknown version")
        try:
            return self._decoder.decode(memoryview(value)[1:])
        except msgspec.DecodeError as error:
            raise DataDamaged("the head of a stored report is damaged", cause=error) from error


def identity_of(head: Head[S]) -> bytes:
    """Who names a report how."""
    names = (head.from_domain, head.organization, head.report_id)
    return keys.digest("\0".join(names).encode("utf-8", "replace"))


def _decode_totals(value: bytes) -> Totals:
    if value[:1] != _VERSION:
        raise DataDamaged("totals of an unknown version")
    return msgspec.msgpack.decode(memoryview(value)[1:], type=Totals)
