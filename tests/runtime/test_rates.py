"""Limits as configured, and their counts over a restart."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mox.base.clock import FrozenClock
from mox.config.static import RateLimits
from mox.runtime import rates as module
from mox.runtime.rates import FILE, RateFile, Rates

LIMITS = RateLimits(
    connections_open=(1, 2, 3),
    connections_per_minute=(2, 9, 9),
    login_failures_per_minute=(2, 9, 9),
    login_failures_per_day=(3, 9, 9),
)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    events: list[str] = []

    class Log:
        def warn(self, event: str, **_fields: Any) -> None:
            events.append(event)

        def error(self, event: str, _error: BaseException, **_fields: Any) -> None:
            events.append(event)

    monkeypatch.setattr(module, "log", Log())
    return events


def test_limits_are_those_of_the_configuration() -> None:
    rates = Rates(FrozenClock(), LIMITS)
    assert [rates.open_connections.enter("10.0.0.1") for _ in range(2)] == [True, False]
    assert [rates.connections.add("10.0.0.1") for _ in range(3)] == [True, True, False]
    assert [rates.login_failures.add("10.0.0.1") for _ in range(3)] == [True, True, False]


def test_nobody_is_limited_on_ones_own_machine() -> None:
    rates = Rates(FrozenClock(), LIMITS, limited=False)
    assert all(rates.open_connections.enter("127.0.0.1") for _ in range(100))
    assert all(rates.login_failures.add("127.0.0.1") for _ in range(100))


async def test_counts_go_on_after_a_restart(tmp_path: Path, told: list[str]) -> None:
    clock = FrozenClock()
    before = Rates(clock, LIMITS)
    before.open_connections.enter("10.0.0.1")
    assert before.connections.add("10.0.0.1", 2)
    assert before.login_failures.add("2001:db8::1", 2)
    await RateFile(before, tmp_path, clock).save()
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    after = Rates(clock, LIMITS)
    await RateFile(after, tmp_path, clock).load()
    assert not after.connections.can_add("10.0.0.1")
    assert not after.login_failures.can_add("2001:db8::2")
    assert after.open_connections.enter("10.0.0.1")  # none is open any more
    clock.advance(60)
    assert after.login_failures.can_add("2001:db8::1")
    assert not after.login_failures.can_add("2001:db8::1", 2)
    assert told == []


async def test_they_are_saved_every_minute(tmp_path: Path) -> None:
    clock = FrozenClock()
    rates = Rates(clock, LIMITS)
    async with RateFile(rates, tmp_path, clock).keeping():
        async with asyncio.timeout(60):
            while not (tmp_path / FILE).exists():
                await asyncio.sleep(0.001)
        assert set(clock.slept) == {60.0}
        rates.connections.add("10.0.0.1")
        (tmp_path / FILE).unlink()
    after = Rates(clock, LIMITS)
    assert (tmp_path / FILE).exists()
    await RateFile(after, tmp_path, clock).load()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"connections": [1]}',
        b'{"connections": [{"seconds": 60, "index": 28333333, "tables": [{"x": 1}, {}, {}]}]}',
        b'{"connections": [{"seconds": 60, "index": 28333333, "tables": [{}]}]}',
        b'{"connections": []' + b" " * 3000 + b"}",
    ],
)
async def test_a_file_that_is_damaged_is_told_and_left_out(
    tmp_path: Path, told: list[str], monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(module, "RATE_STATE_FILE", 2000)
    (tmp_path / FILE).write_bytes(content)
    clock = FrozenClock()
    rates = Rates(clock, LIMITS)
    await RateFile(rates, tmp_path, clock).load()
    assert told == ["rates.not_loaded"]
    assert rates.connections.add("10.0.0.1", 2)


async def test_no_file_is_the_first_start(tmp_path: Path, told: list[str]) -> None:
    clock = FrozenClock()
    await RateFile(Rates(clock, LIMITS), tmp_path, clock).load()
    assert told == []


async def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, told: list[str]) -> None:
    clock = FrozenClock()
    await RateFile(Rates(clock, LIMITS), tmp_path / "missing", clock).save()
    assert told == ["rates.not_saved"]
