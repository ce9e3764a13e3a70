"""Sessions over a memory shard, without sockets."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.imaphouse import Client, House

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.imapserver.derive import derive
from mox.store.shard import memory_shard, open_shard


@pytest.fixture
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """Over a memory shard; a test may ask for ``rocks`` by an indirect parameter."""
    unhandled = metrics.unhandled_total()
    clock = FrozenClock()
    if getattr(request, "param", "memory") == "rocks":
        shard = open_shard(tmp_path / "shard", derive, clock=clock)
    else:
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
