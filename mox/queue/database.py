"""The queue's own database: an index, packs and a committer, in the shape of a shard.

One process has it open, and within it one event loop changes it.  An entry being delivered is in
memory (``busy``), nothing else of an entry is: a million of them cost what the engine's caches cost.

Laws  A change reads what it needs, then is made and staged without waiting in between (``Edit``).
      What was read in a thread may be stale: ``watch`` tells what was changed meanwhile.
      A read that must see every earlier change waits for ``settled`` first.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import msgspec

from mox.base.clock import Clock, SystemClock
from mox.base.limits import QUEUE_RETIRED_DEFAULT_S
from mox.queue import keys
from mox.queue.contents import Contents
from mox.queue.edit import Edit
from mox.queue.entry import Attempt, Entry, HoldRule, Retired, decode
from mox.queue.errors import EntryMissing
from mox.queue.lanes import Lanes
from mox.store.blobs.base import Blobs, SpoolFile
from mox.store.blobs.memory import MemoryBlobs
from mox.store.blobs.packs import PackBlobs
from mox.store.bodies import BodyWriter
from mox.store.commit import Committer
from mox.store.content import Spool
from mox.store.engine.base import Batch, Engine, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataUnreadable
from mox.store.layout import keys as store_keys
from mox.store.layout.rows import Location
from mox.store.thread import WorkThreads

P = ParamSpec("P")
T = TypeVar("T")

FORMAT_VERSION = b"1"
READERS = 2  # threads for reads from disk

Keep = Callable[[str], int]
"""By account: ms for which what became of its messages is remembered; 0 for not at all."""


def keep_default(_account: str) -> int:
    """As for accounts that are no more."""
    return round(QUEUE_RETIRED_DEFAULT_S * 1000)


Group = tuple[Entry, ...]  # entries that go out together


class Starter(Protocol):
    """Who delivers."""

    def choose(self, entries: Sequence[Entry]) -> list[Group]:
        """Those of new entries that may begin now, with an attempt more, as they go out together."""
        ...

    def claim(self, groups: Sequence[Group]) -> None:
        """They are staged as begun: nobody else may have their slots."""
        ...

    def begin(self, groups: Sequence[Group], content: bytes | SpoolFile) -> None:
        """They are durable."""
        ...


class Counters(msgspec.Struct, kw_only=True, array_like=True):
    """What every batch writes anew."""

    next_id: int = 1  # of entries, contents, events, notifications and rules alike
    queued: int = 0
    held: int = 0


class Database:
    """Made by ``open_queue`` or ``memory_queue``."""

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        spool_folder: Path,
        *,
        clock: Clock | None = None,
        keep: Keep = keep_default,
    ) -> None:
        self.engine = engine
        self.blobs = blobs
        self.clock: Clock = clock or SystemClock()
        self.keep = keep
        self.spool_folder = spool_folder
        self.committer = Committer(engine)
        self.bodies = BodyWriter(blobs)
        self.lanes = Lanes(engine)
        value = engine.get(Family.META, keys.COUNTERS)
        self.counters = Counters() if value is None else decode(Counters, value)
        self.rules = [
            decode(HoldRule, rule) for _, rule in engine.scan(Family.META, *keys.HOLD_RULES)
        ]
        self.busy: dict[int, Entry] = {}  # being delivered, as they are now
        self.from_ids: set[str] = set()  # of batches that are not written yet
        self.notice_floor_ms = 0  # no notification is due before
        self.starter: Starter | None = None  # who begins new entries at once
        self.removed: set[int] = set()  # accounts of contents: ours is never removed
        self._readers = WorkThreads("queue", READERS)
        self._watches: list[set[int]] = []
        self._listeners: list[Callable[[], None]] = []
        self.contents = Contents(self)
        self.contents.resume()

    # ------------------------------------------------------------ for the parts

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a reader thread."""
        return await self._readers.run(call, *args, **kwargs)

    def named(self, location: Location) -> None:
        """A row that names the place of a content is staged."""
        self.contents.named(location)

    def new_id(self) -> int:
        """The next number."""
        number = self.counters.next_id
        self.counters.next_id += 1
        return number

    def edit(self) -> Edit:
        """Begin a change."""
        return Edit(self)

    async def commit(self, edit: Edit) -> None:
        """Stage a change and wait until it is durable; then tell whoever schedules."""
        ticket = edit.stage()
        await self.committer.synced(ticket)
        self.kick()

    def touch(self, entries: set[int]) -> None:
        """These entries are changed by a batch that was staged now."""
        for watch in self._watches:
            watch |= entries

    @contextmanager
    def watch(self) -> Iterator[set[int]]:
        """The entries that are changed while it is open."""
        touched: set[int] = set()
        self._watches.append(touched)
        try:
            yield touched
        finally:
            self._watches = [watch for watch in self._watches if watch is not touched]

    async def settled(self) -> None:
        """Wait until everything staged so far can be read from the engine."""
        await self.committer.written(self.committer.staged)

    def listen(self, told: Callable[[], None]) -> None:
        """Be told when something may be due that was not."""
        self._listeners.append(told)

    def kick(self) -> None:
        """Something may be due."""
        for told in self._listeners:
            told()

    # ------------------------------------------------------------ reading

    def spool(self) -> Spool:
        """For a content of unknown size."""
        return Spool(self.spool_folder)

    async def get(self, number: int) -> Entry:
        """An entry as it is.    Errors: EntryMissing."""
        [found] = await self.get_all([number])
        if found is None:
            raise EntryMissing
        return found

    async def get_all(self, numbers: Sequence[int]) -> list[Entry | None]:
        """Entries as they are, in that order; None where there is none."""
        await self.settled()
        found = await self.in_thread(self.read_all, numbers)
        return [self.busy.get(number, entry) for number, entry in zip(numbers, found, strict=True)]

    def read_all(self, numbers: Sequence[int]) -> list[Entry | None]:
        """Entries from the engine.    Blocks."""
        values = self.engine.multi_get(Family.ROW, [keys.number(number) for number in numbers])
        return [None if value is None else decode(Entry, value) for value in values]

    async def attempts_of(self, number: int) -> list[Attempt]:
        """Attempts for an entry, also a retired one, in order."""
        await self.settled()

        def read() -> list[Attempt]:
            found = self.engine.scan(Family.CACHE, *keys.attempts(number))
            return [decode(Attempt, value) for _, value in found]

        return await self.in_thread(read)

    async def find_from_id(self, from_id: str) -> Entry | Retired | None:
        """Whose sender has this unique id."""
        await self.settled()

        def read() -> Entry | Retired | None:
            number = self.engine.get(Family.IDX, keys.from_id(from_id))
            if number is None:
                return None
            value = self.engine.get(Family.ROW, number)
            if value is not None:
                return decode(Entry, value)
            value = self.engine.get(Family.MSG, number)
            return None if value is None else decode(Retired, value)

        return await self.in_thread(read)

    async def close(self) -> None:
        """Make everything durable and let go of the folder."""
        await self.contents.close()
        await self.bodies.close()
        await self.committer.close()
        self._readers.close()
        self.blobs.close()
        self.engine.close()


def open_queue(folder: Path, *, clock: Clock | None = None, keep: Keep = keep_default) -> Database:
    """Open or make the queue of a folder.    Errors: DataLocked, DataUnreadable."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spool = folder / "tmp"
        spool.mkdir(exist_ok=True)
        for left in spool.iterdir():
            left.unlink()  # what a crash left of contents nobody was promised
        engine = RocksEngine(folder / "db")
    except OSError as error:
        raise DataUnreadable(f"{folder} cannot be opened: {error.strerror}", cause=error) from error
    try:
        check_format(engine)
        blobs = PackBlobs(folder)
        for account, number in blobs.large_files():
            # Left by a crash between its sync and its row.
            if engine.get(Family.LOC, store_keys.file(account, number)) is None:
                blobs.remove_large(account, number)
    except BaseException:
        with contextlib.suppress(OSError):
            engine.close()
        raise
    return Database(engine, blobs, spool, clock=clock, keep=keep)


def check_format(engine: Engine) -> None:
    """Refuse data of another format; mark new data with ours.    Errors: DataUnreadable."""
    value = engine.get(Family.META, keys.FORMAT)
    if value is None:
        batch = Batch()
        batch.put(Family.META, keys.FORMAT, FORMAT_VERSION)
        engine.write(batch)
        engine.sync()
    elif value != FORMAT_VERSION:
        raise DataUnreadable(
            f"the queue has format {value.decode('ascii', 'replace')}, this version reads format"
            f" {FORMAT_VERSION.decode()}; use the version that wrote it"
        )


def memory_queue(
    spool_folder: Path, *, clock: Clock | None = None, keep: Keep = keep_default
) -> Database:
    """A queue that keeps everything in memory, for tests."""
    engine = MemoryEngine()
    check_format(engine)
    return Database(engine, MemoryBlobs(), spool_folder, clock=clock, keep=keep)
