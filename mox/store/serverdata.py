"""The server's own database: what belongs to no account.    ``data/server/db``, one process has it open.

Whoever keeps something here has a first byte of its own in the keys of every family it uses:

    D T     DMARC and TLS reports received          mox/reports/shelf.py
    E       DMARC evaluations to be reported        mox/reports/evaluations.py
    R       TLS results to be reported              mox/reports/results.py
    S       addresses that get no reports           mox/reports/suppressed.py
    M       MTA-STS policies of other domains       mox/reports/mtastscache.py
"""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import ParamSpec, TypeVar

from mox.base.clock import Clock, SystemClock
from mox.store.commit import Committer
from mox.store.engine.base import Batch, Engine, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataUnreadable

P = ParamSpec("P")
T = TypeVar("T")

FORMAT_VERSION = b"1"
_FORMAT = b"F"  # META
_READERS = 2  # threads for reads from disk, and for packing


class ServerData:
    """Made by ``open_server_data`` or ``memory_server_data``.

    A reader sees what was ``written``.  Batches take effect in the order of their staging, so that
    who reads, changes and stages again under a lock of its own loses nothing.
    """

    def __init__(self, engine: Engine, *, clock: Clock | None = None) -> None:
        self.engine = engine
        self.clock: Clock = clock or SystemClock()
        self.committer = Committer(engine)
        self._threads = ThreadPoolExecutor(_READERS, thread_name_prefix="server-data")

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call."""
        assert not kwargs
        return await asyncio.get_running_loop().run_in_executor(self._threads, call, *args)

    async def write(self, batch: Batch) -> int:
        """Change something; returns when readers see it, with a ticket for ``stored``.

        It is durable within a second.    Errors: StoreStopped.
        """
        ticket = self.committer.stage(batch)
        await self.committer.written(ticket)
        return ticket

    async def stored(self, ticket: int) -> None:
        """Wait until a change is durable.    Errors: StoreStopped."""
        await self.committer.synced(ticket)

    async def close(self) -> None:
        """Make everything durable and let go of the folder."""
        await self.committer.close()
        self._threads.shutdown(wait=True)
        self.engine.close()


def open_server_data(folder: Path, *, clock: Clock | None = None) -> ServerData:
    """Open or make the database in ``folder/db``.    Blocks.    Errors: DataLocked, DataUnreadable."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise DataUnreadable(f"{folder} cannot be opened: {error.strerror}", cause=error) from error
    engine = RocksEngine(folder / "db")
    try:
        check_format(engine)
    except BaseException:
        with contextlib.suppress(OSError):
            engine.close()
        raise
    return ServerData(engine, clock=clock)


def check_format(engine: Engine) -> None:
    """Refuse data of another format; mark new data with ours.    Errors: DataUnreadable."""
    value = engine.get(Family.META, _FORMAT)
    if value is None:
        batch = Batch()
        batch.put(Family.META, _FORMAT, FORMAT_VERSION)
        engine.write(batch)
        engine.sync()
    elif value != FORMAT_VERSION:
        raise DataUnreadable(
            f"the server's data has format {value.decode('ascii', 'replace')}, this version reads"
            f" format {FORMAT_VERSION.decode()}; use the version that wrote it"
        )


def memory_server_data(*, clock: Clock | None = None, engine: Engine | None = None) -> ServerData:
    """One that keeps everything in memory, for tests."""
    engine = engine or MemoryEngine()
    check_format(engine)
    return ServerData(engine, clock=clock)
