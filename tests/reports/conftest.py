"""The server's database in memory, and reports in it."""

from collections.abc import AsyncIterator

import pytest

from mox.base.clock import FrozenClock
from mox.mailauth.publicsuffix import ListedSuffixes
from mox.reports.keeper import Reports, open_reports
from mox.reports.verify import verify_reports
from mox.store.serverdata import ServerData, memory_server_data

NOW_MS = 1_795_910_400_000  # 2026-11-29 00:00 UTC


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW_MS)


@pytest.fixture(scope="session")
def suffixes() -> ListedSuffixes:
    return ListedSuffixes(["example", "com", "org", "co.example"])


@pytest.fixture
async def data(clock: FrozenClock) -> AsyncIterator[ServerData]:
    made = memory_server_data(clock=clock)
    yield made
    await made.close()
    assert verify_reports(made.engine) == []


@pytest.fixture
async def reports(data: ServerData, suffixes: ListedSuffixes) -> AsyncIterator[Reports]:
    made = await open_reports(data, suffixes=lambda: suffixes)
    yield made
    await made.close()
