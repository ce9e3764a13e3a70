"""Sessions over a memory shard, without sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.imaphouse import Client, House

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.imapserver.derive import derive
from mox.store.shard import memory_shard


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    unhandled = metrics.unhandled_total()
    clock = FrozenClock()
    shard = memory_shard(tmp_path, derive, clock=clock)
    await shard.create_account("mox")
    made = House(shard, clock)
    yield made
    await made.close()
    await shard.close()
    expected = unhandled + made.unhandled_expected
    assert metrics.unhandled_total() == expected, "a command ended in an unhandled error"


@pytest.fixture
async def client(house: House) -> Client:
    """Logged in."""
    return await house.connect()
