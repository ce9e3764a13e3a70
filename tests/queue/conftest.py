"""Queues over both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.queueing import keep

from mox.base.clock import Clock, FrozenClock
from mox.queue.database import Database, memory_queue, open_queue


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=["memory", "rocks"])
async def database(
    request: pytest.FixtureRequest, tmp_path: Path, clock: Clock
) -> AsyncIterator[Database]:
    made = (
        memory_queue(tmp_path, clock=clock, keep=keep)
        if request.param == "memory"
        else open_queue(tmp_path / "queue", clock=clock, keep=keep)
    )
    yield made
    await made.close()
