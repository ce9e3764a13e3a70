"""Counts gathered in memory."""

import asyncio

import msgspec
import pytest

from mox.base import metrics
from mox.base.limits import GATHERED_KEYS
from mox.reports import gathering
from mox.reports.gathering import Gathering
from mox.store.engine.base import Batch, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.errors import StoreStopped
from mox.store.layout import rows
from mox.store.serverdata import ServerData, memory_server_data


class Count(msgspec.Struct, array_like=True, frozen=True):
    number: int


def added(one: Count, other: Count) -> Count:
    return Count(one.number + other.number)


def stored(data: ServerData) -> dict[bytes, int]:
    found = data.engine.scan(Family.KV, b"x", b"y")
    return {key: rows.decode(Count, value).number for key, value in found}


async def test_what_is_added_is_added_up(data: ServerData) -> None:
    made = Gathering(data, Count, added)
    for number in range(1, 11):
        made.add(b"x1", Count(number))
    made.add(b"x2", Count(1))
    assert stored(data) == {}
    await made.flush()
    assert stored(data) == {b"x1": 55, b"x2": 1}
    made.add(b"x1", Count(5))
    await made.close()
    assert stored(data) == {b"x1": 60, b"x2": 1}
    made.add(b"x1", Count(5))
    await made.flush()
    assert (stored(data)[b"x1"], made.dropped) == (60, 1)


async def test_it_is_stored_by_itself(data: ServerData, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "GATHERED_S", 0.001)
    made = Gathering(data, Count, added)
    for turn in (1, 2):
        made.add(b"x", Count(1))
        async with asyncio.timeout(30):
            while stored(data) != {b"x": turn}:
                await asyncio.sleep(0.005)
    await made.close()


async def test_many_keys(data: ServerData) -> None:
    made = Gathering(data, Count, added)
    for _ in range(2):
        for number in range(GATHERED_KEYS + 10):
            made.add(b"x%d" % number, Count(1))
    assert made.dropped == 20
    await made.flush()
    assert set(stored(data).values()) == {2}
    assert len(stored(data)) == GATHERED_KEYS
    await made.close()


async def test_new_keys_may_be_refused(data: ServerData) -> None:
    def first_two(new: dict[bytes, Count]) -> dict[bytes, Count]:
        return {key: new[key] for key in sorted(new)[:2]}

    made = Gathering(data, Count, added, admit=first_two)
    for key in (b"x1", b"x2", b"x3", b"x3"):
        made.add(key, Count(1))
    await made.flush()
    assert (stored(data), made.dropped) == ({b"x1": 1, b"x2": 1}, 1)
    made.add(b"x1", Count(1))
    await made.close()
    assert stored(data) == {b"x1": 2, b"x2": 1}


async def test_flushes_side_by_side_lose_nothing(data: ServerData) -> None:
    made = Gathering(data, Count, added)

    async def one() -> None:
        made.add(b"x", Count(1))
        await made.flush()

    await asyncio.gather(*(one() for _ in range(50)))
    await made.close()
    assert stored(data) == {b"x": 50}


async def test_a_store_that_fails_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(MemoryEngine):
        def write(self, batch: Batch) -> None:
            if any(key.startswith(b"x") for _, key, _, _ in batch.operations):
                raise OSError("disk full")
            super().write(batch)

    monkeypatch.setattr(gathering, "GATHERED_S", 0.001)
    data = memory_server_data(engine=Full())
    made = Gathering(data, Count, added)
    before = metrics.unhandled_total()
    made.add(b"x", Count(1))
    async with asyncio.timeout(30):
        while metrics.unhandled_total() == before:
            await asyncio.sleep(0.005)
    made.add(b"x", Count(1))
    with pytest.raises(StoreStopped):
        await made.close()
    await data.close()
