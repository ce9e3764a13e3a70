"""How much mail came from a network lately."""

import pytest

from mox.base.clock import FrozenClock
from mox.store.account import Account
from mox.store.engine.base import Family
from mox.store.layout import keys
from mox.store.rates import Limits, Rates
from mox.store.shard import Shard

IPS = ("192.0.2.1", "192.0.2.0/26", "192.0.0.0/21")
LIMITS = Limits(
    messages_per_minute=(2, 3, 4),
    messages_per_day=(5, 50, 500),
    bytes_per_minute=(1000, 10_000, 100_000),
    bytes_per_day=(1500, 10_000, 100_000),
)


def same_region(last: int) -> tuple[str, str, str]:
    return f"192.0.{last}.1", f"192.0.{last}.0/26", IPS[2]


async def test_messages_of_a_minute_are_limited(account: Account, clock: FrozenClock) -> None:
    rates, now = account.shard.rates, clock.now_ms() // 60_000 * 60_000
    assert await rates.exceeded(account, *IPS, 10, now, LIMITS) is None
    for _ in range(2):
        assert await rates.exceeded(account, *IPS, 10, now, LIMITS) is None
        await rates.count(account, *IPS, 10, now)
    refused = await rates.exceeded(account, *IPS, 10, now, LIMITS)
    assert refused == "2 messages a minute from 192.0.2.1"
    # Another address of the region, until the region has sent four.
    assert await rates.exceeded(account, *same_region(3), 10, now, LIMITS) is None
    for last in (3, 4):
        await rates.count(account, *same_region(last), 10, now)
    refused = await rates.exceeded(account, *same_region(5), 10, now, LIMITS)
    assert refused == "4 messages a minute from 192.0.0.0/21"
    # The minute moves on in steps of ten seconds.
    assert await rates.exceeded(account, *IPS, 10, now + 59_999, LIMITS) is not None
    assert await rates.exceeded(account, *IPS, 10, now + 60_000, LIMITS) is None


async def test_bytes_are_limited(account: Account, clock: FrozenClock) -> None:
    rates, now = account.shard.rates, clock.now_ms()
    await rates.count(account, *IPS, 600, now)
    assert await rates.exceeded(account, *IPS, 400, now, LIMITS) is None
    refused = await rates.exceeded(account, *IPS, 401, now, LIMITS)
    assert refused == "1000 bytes a minute from 192.0.2.1"
    later = now + 3_600_000
    await rates.count(account, *IPS, 800, later)
    minute_after = later + 70_000
    assert await rates.exceeded(account, *IPS, 100, minute_after, LIMITS) is None
    refused = await rates.exceeded(account, *IPS, 101, minute_after, LIMITS)
    assert refused == "1500 bytes a day from 192.0.2.1"


async def test_a_day_ends(account: Account, clock: FrozenClock) -> None:
    rates, now = account.shard.rates, clock.now_ms() // 3_600_000 * 3_600_000
    for minute in range(5):
        await rates.count(account, *IPS, 1, now + minute * 70_000)
    refused = await rates.exceeded(account, *IPS, 1, now + 24 * 3_600_000 - 1, LIMITS)
    assert refused == "5 messages a day from 192.0.2.1"
    assert await rates.exceeded(account, *IPS, 1, now + 24 * 3_600_000, LIMITS) is None


async def test_what_has_no_network_is_not_counted(account: Account, clock: FrozenClock) -> None:
    rates, now = account.shard.rates, clock.now_ms()
    for _ in range(10):
        await rates.count(account, "", "", "", 10, now)
    assert await rates.exceeded(account, "", "", "", 10**9, now, LIMITS) is None
    assert not list(account.shard.engine.scan(Family.KV, *keys.settings(account.id, keys.RATE)))


async def test_accounts_count_apart(shard: Shard, account: Account, clock: FrozenClock) -> None:
    other = await shard.create_account("other")
    for _ in range(2):
        await shard.rates.count(account, *IPS, 1, clock.now_ms())
    assert await shard.rates.exceeded(account, *IPS, 1, clock.now_ms(), LIMITS) is not None
    assert await shard.rates.exceeded(other, *IPS, 1, clock.now_ms(), LIMITS) is None


async def test_counts_survive(account: Account, clock: FrozenClock) -> None:
    now = clock.now_ms()
    for _ in range(2):
        await account.shard.rates.count(account, *IPS, 1, now)
    await account.settle()
    after_restart = Rates()
    assert await after_restart.exceeded(account, *IPS, 1, now, LIMITS) is not None
    few = Rates(kept=1)  # what was dropped from memory is read again
    await few.count(account, *same_region(7), 1, now)
    assert await few.exceeded(account, *IPS, 1, now, LIMITS) is not None


async def test_a_clock_that_went_back_does_not_refuse(account: Account, clock: FrozenClock) -> None:
    rates, now = account.shard.rates, clock.now_ms()
    for _ in range(5):
        await rates.count(account, *IPS, 1, now + 10 * 24 * 3_600_000)
    assert await rates.exceeded(account, *IPS, 1, now, LIMITS) is None


async def test_old_counts_are_removed(account: Account, clock: FrozenClock) -> None:
    rates, engine = account.shard.rates, account.shard.engine
    await rates.count(account, *IPS, 1, clock.now_ms())
    clock.advance(3600)
    await rates.count(account, *same_region(3), 1, clock.now_ms())
    clock.advance(23.5 * 3600)
    await account.settle()
    await rates.sweep(account, clock.now_ms())
    await account.settle()
    kept = [key for key, _ in engine.scan(Family.KV, *keys.settings(account.id, keys.RATE))]
    assert len(kept) == 3  # the region counted twice
    clock.advance(3600)
    await rates.sweep(account, clock.now_ms())
    await account.settle()
    assert not list(engine.scan(Family.KV, *keys.settings(account.id, keys.RATE)))


async def test_networks_that_are_not_in_memory_are_read_at_once(
    account: Account, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates, now = Rates(kept=3), clock.now_ms()
    await rates.count(account, *IPS, 1, now)
    await account.settle()
    rate = keys.settings(account.id, keys.RATE)[0]
    calls: list[int] = []
    multi_get = account.shard.engine.multi_get

    def counted(family: Family, wanted: list[bytes]) -> list[bytes | None]:
        if any(key.startswith(rate) for key in wanted):  # the learner reads as well
            calls.append(len(wanted))
        return multi_get(family, wanted)

    monkeypatch.setattr(account.shard.engine, "multi_get", counted)
    assert await rates.exceeded(account, *IPS, 1, now, LIMITS) is None
    assert calls == []
    assert await rates.exceeded(account, *same_region(7), 1, now, LIMITS) is None
    assert calls == [2]  # the region is known
    rates = Rates()
    await rates.count(account, *IPS, 1, now)
    assert calls == [2, 3]
    assert await rates.exceeded(account, *IPS, 1, now, LIMITS) == (
        "2 messages a minute from 192.0.2.1"
    )


async def test_what_is_not_kept_is_read_again(account: Account, clock: FrozenClock) -> None:
    """Also where fewer are kept than one message has."""
    rates, now = Rates(kept=1), clock.now_ms()
    for networks in (IPS, same_region(3), same_region(4), IPS):
        await rates.count(account, *networks, 1, now)
        await account.settle()
    refused = await rates.exceeded(account, *same_region(9), 1, now, LIMITS)
    assert refused == "4 messages a minute from 192.0.0.0/21"
    refused = await rates.exceeded(account, *IPS[:2], "", 1, now, LIMITS)
    assert refused == "2 messages a minute from 192.0.2.1"
