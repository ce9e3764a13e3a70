"""Give back the space of packs whose contents were mostly erased.

Live bytes per pack are counted at the first erase of a run and followed from then on; they only say
where to look.  A closed pack that is less than half alive is removed once the index shows that nothing
in it is needed: what is, is copied into the current pack first, in groups, each made durable before
the old place is forgotten (engine.md section 4).
"""

import asyncio
from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from mox.base.errors import Broken
from mox.base.limits import MIB
from mox.base.log import get_logger
from mox.store.blobs.base import Body
from mox.store.blobs.packs import PackBlobs
from mox.store.bodies import BodyWriter
from mox.store.commit import Committer
from mox.store.engine.base import Batch, Engine, Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import Location

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger("store")

LIVE_SHARE = 0.5  # below it a pack is rewritten
GROUP_BYTES = 4 * MIB  # copied at a time
PACKS_AT_ONCE = 4  # found by one pass over the index; bounds what is remembered of them

Placed = tuple[bytes, Location]  # key of a row, and what it says


class Owner(Protocol):
    """Whose packs they are: a shard, or the queue."""

    @property
    def engine(self) -> Engine:
        """With a LOC row for each content."""
        ...

    @property
    def committer(self) -> Committer:
        """Of the engine."""
        ...

    @property
    def bodies(self) -> BodyWriter:
        """Of the packs."""
        ...

    @property
    def removed(self) -> set[int]:
        """Accounts removed by this process."""
        ...

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call."""
        ...

    def named(self, location: Location) -> None:
        """A row that names the place of a body is staged."""
        ...


class Reclaimer:
    """Counts live bytes of one owner's packs.    Used on the event loop, run by the eraser's task."""

    def __init__(self, shard: Owner, blobs: PackBlobs) -> None:
        self._shard = shard
        self._blobs = blobs
        self._live: dict[int, int] | None = None
        self._left: set[int] = set()  # packs with a content that cannot be read

    def added(self, location: Location) -> None:
        """A content got its place."""
        self._follow(location, location.length)

    def erased(self, location: Location) -> None:
        """A content lost its place."""
        self._follow(location, -location.length)

    def recount(self) -> None:
        """Many contents lost their places."""
        self._live = None

    def _follow(self, location: Location, length: int) -> None:
        if self._live is not None and location.pack > 0:
            self._live[location.pack] = self._live.get(location.pack, 0) + length

    async def run(self) -> int:
        """Remove and rewrite what is worth it; the number of packs removed."""
        if self._live is None:
            self._live = await self._shard.in_thread(self._count)
        removed = 0
        while packs := await self._worth_it():
            # From the rows themselves, never from the count: what is removed is gone.
            await self._shard.committer.written(self._shard.committer.staged)
            found = await self._shard.in_thread(self._placed_in, set(packs))
            for number, size in packs.items():
                removed += await self._remove(number, size, found[number])
        return removed

    async def _worth_it(self) -> dict[int, int]:
        """Sizes of some closed packs that are mostly dead."""
        packs = await self._shard.in_thread(self._blobs.packs)
        live, unnamed = self._live or {}, self._shard.bodies.unnamed
        found = [
            (number, size)
            for number, size in sorted(packs.items())
            # A body that no row names yet shows nowhere else that it is needed.
            if live.get(number, 0) <= size * LIVE_SHARE
            and number not in self._left
            and not unnamed[number]
        ]
        return dict(found[:PACKS_AT_ONCE])

    def _count(self) -> dict[int, int]:
        live: dict[int, int] = {}
        for _, value in self._shard.engine.scan(Family.LOC, *keys.EVERY_ACCOUNT):
            location = rows.decode(Location, value)
            if location.pack > 0:
                live[location.pack] = live.get(location.pack, 0) + location.length
        return live

    def _placed_in(self, packs: set[int]) -> dict[int, list[Placed]]:
        found: dict[int, list[Placed]] = {number: [] for number in packs}
        for key, value in self._shard.engine.scan(Family.LOC, *keys.EVERY_ACCOUNT):
            location = rows.decode(Location, value)
            if location.pack in found:
                found[location.pack].append((key, location))
        return found

    async def _remove(self, number: int, size: int, contents: list[Placed]) -> int:
        try:
            for group in _groups(contents):
                await self._move(group)
        except Broken as error:
            # Somebody may still repair it.
            self._left.add(number)
            log.error("store.pack_unreadable", error, pack=number)
            return 0
        await self._shard.in_thread(self._blobs.drop_pack, number)
        if self._live is not None:
            self._live.pop(number, None)
        live = sum(location.length for _, location in contents)
        log.info("store.pack_removed", pack=number, size=size, live=live)
        return 1

    async def _move(self, group: list[Placed]) -> None:
        shard = self._shard

        def read() -> list[Body]:
            bodies = []
            for key, location in group:
                account, file = int.from_bytes(key[:4], "big"), keys.file_id(key)
                content = self._blobs.read(account, file, location, 0, location.length)
                bodies.append(Body(account=account, file=file, content=content))
            return bodies

        bodies = await shard.in_thread(read)
        places = await asyncio.gather(
            *(shard.bodies.put(body) for body in bodies), return_exceptions=True
        )
        failures = [place for place in places if isinstance(place, BaseException)]
        batch = Batch()
        for body, place in zip(bodies, places, strict=True):
            if isinstance(place, BaseException):
                continue
            if failures or body.account in shard.removed:
                shard.bodies.abandon(body.account, body.file, place)
                continue
            batch.put(Family.LOC, keys.file(body.account, body.file), rows.encode(place))
            shard.named(place)
        if failures:
            raise failures[0]
        await shard.committer.synced(shard.committer.stage(batch))


def _groups(contents: list[Placed]) -> list[list[Placed]]:
    groups: list[list[Placed]] = []
    waiting = GROUP_BYTES
    for content in contents:
        if waiting >= GROUP_BYTES:
            groups.append([])
            waiting = 0
        groups[-1].append(content)
        waiting += content[1].length
    return groups
