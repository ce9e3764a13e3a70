"""Order, grouping and failure of commits."""

import asyncio
import threading

import pytest

from mox.store.commit import Committer
from mox.store.engine.base import Batch, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.errors import StoreStopped


class RecordingEngine(MemoryEngine):
    """Writes down what happened; waits at the gate before writing; fails on demand."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        self.gate = threading.Event()
        self.gate.set()
        self.fail_write = False
        self.fail_sync = False

    def write(self, batch: Batch) -> None:
        self.gate.wait(5)
        if self.fail_write:
            raise OSError("write failed")
        self.events.append(f"write {batch.operations[0][1].decode()}")
        super().write(batch)

    def sync(self) -> None:
        if self.fail_sync:
            raise OSError("sync failed")
        self.events.append("sync")
        super().sync()


def batch(name: str) -> Batch:
    made = Batch()
    made.put(Family.META, name.encode(), b"")
    return made


async def test_batches_are_written_in_order_and_synced_once_per_group() -> None:
    engine = RecordingEngine()
    committer = Committer(engine)
    engine.gate.clear()
    first = asyncio.ensure_future(committer.synced(committer.stage(batch("a"))))
    await asyncio.sleep(0.01)
    told: list[str] = []
    tickets = [
        committer.stage(batch(name), lambda name=name: told.append(name))  # type: ignore[misc]
        for name in "bcd"
    ]
    waiters = [committer.synced(ticket) for ticket in tickets]
    engine.gate.set()
    await asyncio.gather(first, *waiters)
    assert engine.events == ["write a", "sync", "write b", "write c", "write d", "sync"]
    assert told == ["b", "c", "d"]
    await committer.close()


async def test_a_written_batch_is_synced_lazily() -> None:
    engine = RecordingEngine()
    committer = Committer(engine, lazy_sync_s=0.02)
    ticket = committer.stage(batch("a"))
    await committer.written(ticket)
    assert engine.events == ["write a"]
    await asyncio.sleep(0.05)
    assert engine.events == ["write a", "sync"]
    await committer.close()


async def test_nobody_is_told_before_the_sync() -> None:
    engine = RecordingEngine()
    committer = Committer(engine, lazy_sync_s=60)
    told: list[int] = []
    ticket = committer.stage(batch("a"), lambda: told.append(1))
    await committer.written(ticket)
    assert told == []
    await committer.synced(ticket)
    assert told == [1]
    await committer.close()


@pytest.mark.parametrize("what", ["fail_write", "fail_sync"])
async def test_a_failed_write_stops_the_store(what: str) -> None:
    engine = RecordingEngine()
    committer = Committer(engine)
    setattr(engine, what, True)
    told: list[int] = []
    ticket = committer.stage(batch("a"), lambda: told.append(1))
    with pytest.raises(StoreStopped):
        await committer.synced(ticket)
    with pytest.raises(StoreStopped):
        committer.stage(batch("b"))
    with pytest.raises(StoreStopped):
        await committer.synced(ticket)
    assert told == []
    await committer.close()


async def test_close_commits_what_is_staged() -> None:
    engine = RecordingEngine()
    committer = Committer(engine, lazy_sync_s=60)
    for number in range(600):  # more than one group
        committer.stage(batch(str(number)))
    await committer.close()
    assert len(engine.events) == 600 + 1 + engine.events[:-1].count("sync")
    assert engine.events[-1] == "sync"
    with pytest.raises(StoreStopped):
        committer.stage(batch("late"))


async def test_a_patient_batch_shares_the_sync_of_the_next_one() -> None:
    engine = RecordingEngine()
    committer = Committer(engine)
    told: list[str] = []
    patient = committer.stage(batch("a"), lambda: told.append("a"), is_patient=True)
    waiter = asyncio.ensure_future(committer.synced(patient, is_patient=True))
    await asyncio.sleep(0)
    assert not engine.events
    await committer.synced(committer.stage(batch("b"), lambda: told.append("b")))
    await waiter
    assert engine.events == ["write a", "write b", "sync"]
    assert told == ["a", "b"]
    await committer.close()


async def test_a_patient_batch_without_company_is_synced_soon() -> None:
    engine = RecordingEngine()
    committer = Committer(engine, lazy_sync_s=60)
    patient = committer.stage(batch("a"), is_patient=True)
    async with asyncio.timeout(5):
        await committer.synced(patient, is_patient=True)
    assert engine.events == ["write a", "sync"]
    # And without anybody who waits, it is written.
    committer.stage(batch("b"), is_patient=True)
    async with asyncio.timeout(5):
        while len(engine.events) < 3:
            await asyncio.sleep(0.001)
    assert engine.events[2] == "write b"
    await committer.close()


async def test_whoever_cannot_wait_hurries_a_patient_batch() -> None:
    engine = RecordingEngine()
    committer = Committer(engine, lazy_sync_s=60)
    committer.patience_s = 60
    async with asyncio.timeout(5):
        await committer.written(committer.stage(batch("a"), is_patient=True))
        assert engine.events == ["write a"]
        await committer.synced(committer.stage(batch("b"), is_patient=True))
    assert engine.events == ["write a", "write b", "sync"]
    await committer.close()


async def test_what_a_patient_batch_waits_for_may_have_been_without_a_sync() -> None:
    engine = RecordingEngine()
    committer = Committer(engine, lazy_sync_s=60)
    patient = committer.stage(batch("a"), is_patient=True)
    waiter = asyncio.ensure_future(committer.synced(patient, is_patient=True))
    await committer.written(committer.stage(batch("b")))
    async with asyncio.timeout(5):
        await waiter
    assert engine.events == ["write a", "write b", "sync"]
    await committer.close()


async def test_closing_does_not_wait_for_patience() -> None:
    engine = RecordingEngine()
    committer = Committer(engine)
    committer.patience_s = 60
    patient = committer.stage(batch("a"), is_patient=True)
    waiter = asyncio.ensure_future(committer.synced(patient, is_patient=True))
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await committer.close()
        await waiter
    assert engine.events == ["write a", "sync"]
