"""Shards over both engines."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mox.base.clock import FrozenClock
from mox.store.account import Account
from mox.store.content import Buffer, Kind, NewMessage
from mox.store.shard import Shard, memory_shard, open_shard


def derive(content: Buffer) -> dict[int, bytes]:
    return {Kind.PREVIEW: bytes(content[:20])}


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture(params=["memory", "rocks"])
async def shard(
    request: pytest.FixtureRequest, tmp_path: Path, clock: FrozenClock
) -> AsyncIterator[Shard]:
    made = (
        memory_shard(tmp_path, derive, clock=clock)
        if request.param == "memory"
        else open_shard(tmp_path / "shard", derive, clock=clock)
    )
    yield made
    await made.close()


@pytest.fixture
async def account(shard: Shard) -> Account:
    return await shard.create_account("mox")


@pytest.fixture
def message() -> Callable[..., NewMessage]:
    def make(text: str = "hello", *, flags: int = 0, keywords: tuple[str, ...] = ()) -> NewMessage:
        content = f"Subject: {text}\r\n\r\n{text}\r\n".encode()
        return NewMessage(content=content, flags=flags, keywords=keywords, received_ms=1_000)

    return make
