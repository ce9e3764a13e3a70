"""Bodies are written in groups; one that fails harms no other."""

import asyncio
import threading
from pathlib import Path

import pytest

from mox.store.blobs.base import Body, SpoolFile
from mox.store.blobs.memory import MemoryBlobs
from mox.store.blobs.packs import PackBlobs
from mox.store.bodies import BodyWriter
from mox.store.content import Spool
from mox.store.errors import DiskFull, StoreStopped
from mox.store.layout.rows import Location


class FullBlobs(MemoryBlobs):
    def __init__(self) -> None:
        super().__init__()
        self.full = True
        self.groups: list[int] = []

    def put_group(self, bodies: list[Body]) -> list[Location]:
        self.groups.append(len(bodies))
        if self.full:
            raise DiskFull
        return super().put_group(bodies)


async def test_a_full_disk_fails_this_message_only() -> None:
    blobs = FullBlobs()
    writer = BodyWriter(blobs)
    with pytest.raises(DiskFull):
        await writer.put(Body(account=1, file=1, content=b"x"))
    blobs.full = False
    location = await writer.put(Body(account=1, file=2, content=b"xy"))
    assert location.length == 2
    await writer.close()


async def test_bodies_are_written_in_groups() -> None:
    blobs = FullBlobs()
    blobs.full = False
    writer = BodyWriter(blobs)
    await asyncio.gather(
        *(writer.put(Body(account=1, file=n, content=b"x" * n)) for n in range(1, 40))
    )
    assert sum(blobs.groups) == 39
    assert len(blobs.groups) < 5
    await writer.close()


def spooled(folder: Path, file: int) -> Body:
    spool = Spool(folder, in_memory=0)
    spool.write(b"x" * 10)
    content = spool.finish()
    assert isinstance(content, SpoolFile)
    return Body(account=1, file=file, content=content)


async def test_a_spool_file_that_is_gone_fails_its_own_message_only(tmp_path: Path) -> None:
    writer = BodyWriter(PackBlobs(tmp_path))
    lost = spooled(tmp_path, 2)
    assert isinstance(lost.content, SpoolFile)
    lost.content.path.unlink()
    results = await asyncio.gather(
        writer.put(Body(account=1, file=1, content=b"one")),
        writer.put(lost),
        writer.put(spooled(tmp_path, 3)),
        return_exceptions=True,
    )
    assert [isinstance(result, Location) for result in results] == [True, False, True]
    await writer.close()


class SlowBlobs(PackBlobs):
    """Waits at the gate in the writer's thread."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.gate = threading.Event()

    def put_group(self, bodies: list[Body]) -> list[Location]:
        self.gate.wait(5)
        return super().put_group(bodies)


async def test_a_large_body_nobody_waits_for_leaves_no_file(tmp_path: Path) -> None:
    blobs = SlowBlobs(tmp_path)
    writer = BodyWriter(blobs)
    given_up = asyncio.ensure_future(writer.put(spooled(tmp_path, 7)))
    await asyncio.sleep(0.01)
    given_up.cancel()
    blobs.gate.set()
    kept = await writer.put(spooled(tmp_path, 8))
    assert blobs.path(1, 8, kept) is not None
    await writer.put(Body(account=1, file=9, content=b""))  # the removal was before it in the queue
    assert blobs.large_files() == [(1, 8)]
    assert not list(tmp_path.glob("spool-*"))
    await writer.close()


async def test_bodies_no_row_names_yet_are_counted(tmp_path: Path) -> None:
    writer = BodyWriter(PackBlobs(tmp_path))
    one = await writer.put(Body(account=1, file=1, content=b"one"))
    two = await writer.put(Body(account=1, file=2, content=b"two"))
    assert writer.unnamed == {1: 2}
    writer.named(one)
    writer.abandon(1, 2, two)
    assert writer.unnamed == {}
    await writer.close()


async def test_after_the_end_spool_files_are_consumed_all_the_same(tmp_path: Path) -> None:
    writer = BodyWriter(PackBlobs(tmp_path))
    await writer.close()
    with pytest.raises(StoreStopped):
        await writer.put(spooled(tmp_path, 1))
    assert not list(tmp_path.glob("spool-*"))
