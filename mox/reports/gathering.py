"""Counts that many events add to: gathered in memory by key, added to what is stored now and then.

An event costs a look into a dict, not a write.  What was gathered in the last second before a crash
is lost; closing loses nothing.
"""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from mox.base import metrics
from mox.base.limits import GATHERED_KEYS, GATHERED_S
from mox.base.log import get_logger
from mox.store.engine.base import Batch, Family
from mox.store.layout import rows
from mox.store.serverdata import ServerData

log = get_logger("reports")

T = TypeVar("T", bound=msgspec.Struct)

_SLICE = 500  # keys read and written at a time


class Gathering(Generic[T]):
    """Records of one type by key.    ``merge(stored, new)`` adds two of one key."""

    def __init__(
        self,
        data: ServerData,
        record: type[T],
        merge: Callable[[T, T], T],
        *,
        admit: Callable[[dict[bytes, T]], dict[bytes, T]] | None = None,
    ) -> None:
        """Input  admit: which records with keys that are not stored yet may be; in a thread."""
        self._data = data
        self._record = record
        self._merge = merge
        self._admit = admit
        self._gathered: dict[bytes, T] = {}
        self._turn = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushing: set[asyncio.Task[None]] = set()
        self._closed = False
        self.dropped = 0  # for want of room

    def add(self, key: bytes, value: T) -> None:
        """Count something."""
        known = self._gathered.get(key)
        if known is not None:
            self._gathered[key] = self._merge(known, value)
            return
        if len(self._gathered) >= GATHERED_KEYS or self._closed:
            self.dropped += 1
            return
        self._gathered[key] = value
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(GATHERED_S, self._begin)

    def _begin(self) -> None:
        self._timer = None
        task = asyncio.get_running_loop().create_task(self._flush_alone(), name="gathering")
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def _flush_alone(self) -> None:
        try:
            await self.flush()
        except Exception as error:  # nobody waits for it
            metrics.unhandled("store")
            log.error("reports.not_stored", error)

    async def flush(self) -> None:
        """Have readers see everything that was added.    Errors: StoreStopped, DataDamaged."""
        async with self._turn:
            gathered, self._gathered = self._gathered, {}
            keys = list(gathered)
            for start in range(0, len(keys), _SLICE):
                wanted = keys[start : start + _SLICE]
                found = await self._data.in_thread(self._merged, {k: gathered[k] for k in wanted})
                batch = Batch()
                for key, value in found.items():
                    batch.put(Family.KV, key, value)
                if len(batch):
                    await self._data.write(batch)

    def _merged(self, new: dict[bytes, T]) -> dict[bytes, bytes]:
        """Values to store, by key."""
        stored = dict(zip(new, self._data.engine.multi_get(Family.KV, list(new)), strict=True))
        unknown = {key: new[key] for key, value in stored.items() if value is None}
        admitted = unknown if self._admit is None else self._admit(unknown)
        self.dropped += len(unknown) - len(admitted)
        merged: dict[bytes, bytes] = {}
        for key, value in stored.items():
            if value is not None:
                record = self._merge(rows.decode(self._record, value), new[key])
            elif key in admitted:
                record = admitted[key]
            else:
                continue
            merged[key] = rows.encode(record)
        return merged

    async def close(self) -> None:
        """Store what was gathered; take nothing more."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await asyncio.gather(*self._flushing)
        await self.flush()
