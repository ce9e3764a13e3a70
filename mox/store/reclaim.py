"""Give back the space of packs whose contents were mostly erased.

Live bytes per pack are counted once, at the first erase of a run, and kept from then on.  A closed pack
without live contents is removed; one that is less than half alive is copied into the current pack
first, in groups, each made durable before the old place is forgotten (engine.md section 4).
"""

from typing import TYPE_CHECKING

from mox.base.limits import MIB
from mox.base.log import get_logger
from mox.store.blobs.base import Body
from mox.store.blobs.packs import PackBlobs
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import Location

if TYPE_CHECKING:
    from mox.store.shard import Shard

log = get_logger("store")

LIVE_SHARE = 0.5  # below it a pack is rewritten
GROUP_BYTES = 4 * MIB  # copied at a time


class Reclaimer:
    """Counts live bytes of one shard's packs.    Used by the eraser's task only."""

    def __init__(self, shard: "Shard", blobs: PackBlobs) -> None:
        self._shard = shard
        self._blobs = blobs
        self._live: dict[int, int] | None = None

    def erased(self, location: Location) -> None:
        """A content lost its place."""
        if self._live is not None and location.pack:
            self._live[location.pack] = self._live.get(location.pack, 0) - location.length

    async def run(self) -> int:
        """Remove and rewrite what is worth it; the number of packs removed."""
        if self._live is None:
            self._live = await self._shard.in_thread(self._count)
        removed = 0
        for number, size in (await self._shard.in_thread(self._blobs.packs)).items():
            live = self._live.get(number, 0)
            if live > size * LIVE_SHARE:
                continue
            if live > 0:
                await self._rewrite(number)
            await self._shard.in_thread(self._blobs.drop_pack, number)
            self._live.pop(number, None)
            removed += 1
            log.info("store.pack_removed", pack=number, size=size, live=live)
        return removed

    def _count(self) -> dict[int, int]:
        live: dict[int, int] = {}
        for _, location in self._locations():
            if location.pack:
                live[location.pack] = live.get(location.pack, 0) + location.length
        return live

    def _locations(self) -> list[tuple[bytes, Location]]:
        found = self._shard.engine.scan(Family.LOC, b"\x00", b"\xff" * 13)
        return [(key, rows.decode(Location, value)) for key, value in found]

    async def _rewrite(self, number: int) -> None:
        group: list[tuple[bytes, Location]] = []
        waiting = 0
        for key, location in await self._shard.in_thread(self._locations):
            if location.pack != number:
                continue
            group.append((key, location))
            waiting += location.length
            if waiting >= GROUP_BYTES:
                await self._move(group)
                group, waiting = [], 0
        if group:
            await self._move(group)

    async def _move(self, group: list[tuple[bytes, Location]]) -> None:
        def read() -> list[Body]:
            bodies = []
            for key, location in group:
                account, file = int.from_bytes(key[:4], "big"), keys.file_id(key)
                content = self._blobs.read(account, file, location, 0, location.length)
                bodies.append(Body(account=account, file=file, content=content))
            return bodies

        assert self._live is not None
        batch = Batch()
        for body in await self._shard.in_thread(read):
            location = await self._shard.bodies.put(body)
            self._live[location.pack] = self._live.get(location.pack, 0) + location.length
            batch.put(Family.LOC, keys.file(body.account, body.file), rows.encode(location))
        await self._shard.committer.synced(self._shard.committer.stage(batch))
