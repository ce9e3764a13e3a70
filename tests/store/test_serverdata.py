"""The server's own database."""

from pathlib import Path

import pytest

from mox.store.engine.base import Batch, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import DataLocked, DataUnreadable, StoreStopped
from mox.store.serverdata import memory_server_data, open_server_data


def batch(key: bytes, value: bytes) -> Batch:
    made = Batch()
    made.put(Family.KV, key, value)
    return made


async def test_what_is_written_is_seen_at_once_and_is_there_after_opening_again(
    tmp_path: Path,
) -> None:
    data = open_server_data(tmp_path / "server")
    ticket = await data.write(batch(b"a", b"1"))
    assert await data.in_thread(data.engine.get, Family.KV, b"a") == b"1"
    await data.stored(ticket)
    await data.write(batch(b"a", b"2"))
    with pytest.raises(DataLocked):
        open_server_data(tmp_path / "server")
    await data.close()
    data = open_server_data(tmp_path / "server")
    assert data.engine.get(Family.KV, b"a") == b"2"
    await data.close()


async def test_data_of_another_format_is_refused_and_let_go(tmp_path: Path) -> None:
    await open_server_data(tmp_path).close()
    engine = RocksEngine(tmp_path / "db")
    other = Batch()
    other.put(Family.META, b"F", b"9")
    engine.write(other)
    engine.close()
    for _ in range(2):
        with pytest.raises(DataUnreadable, match="format 9"):
            open_server_data(tmp_path)


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataUnreadable):
        open_server_data(tmp_path / "file" / "server")


async def test_a_failed_write_is_told() -> None:
    class Full(MemoryEngine):
        def write(self, batch: Batch) -> None:
            if any(key == b"a" for _, key, _, _ in batch.operations):
                raise OSError("disk full")
            super().write(batch)

    data = memory_server_data(engine=Full())
    with pytest.raises(StoreStopped):
        await data.write(batch(b"a", b"1"))
    await data.close()
