"""Records of decisions and what else is kept for a while; keys of subject passes."""

import asyncio

import pytest

from mox.base.clock import FrozenClock
from mox.store import verdicts
from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.errors import DataDamaged
from mox.store.layout import keys
from mox.store.shard import Shard
from mox.store.subjectpasskeys import key_for

DAY_MS = 24 * 3_600_000


def stored(account: Account) -> int:
    engine = account.shard.engine
    return sum(
        1
        for kind in (keys.VERDICT, keys.VERDICT_ID)
        for _ in engine.scan(Family.KV, *keys.settings(account.id, kind))
    )


async def test_records_are_found_by_time_and_id(account: Account) -> None:
    account.shard.tidier.verdict_days = 10**6
    verdicts.put(account, b"one", message_id="a@b.example", at_ms=1000)
    verdicts.put(account, b"two", message_id="", at_ms=2000)
    verdicts.put(account, b"three", message_id="a@b.example", at_ms=3000)
    verdicts.put(account, b"four", message_id="a@b.example.org", at_ms=3000)
    find = verdicts.find
    assert await find(account, limit=9) == [b"four", b"three", b"two", b"one"]
    assert await find(account, limit=2) == [b"four", b"three"]
    assert await find(account, limit=0) == []
    assert await find(account, since_ms=2000, limit=9) == [b"four", b"three", b"two"]
    assert await find(account, message_id="a@b.example", limit=9) == [b"three", b"one"]
    assert await find(account, message_id="a@b.example", limit=1) == [b"three"]
    assert await find(account, message_id="a@b.example", since_ms=1001, limit=9) == [b"three"]
    assert await find(account, message_id="a@b", limit=9) == []
    long = "x" * 1000 + "@b.example"
    verdicts.put(account, b"long", message_id=long, at_ms=3000)
    assert await find(account, message_id=long, limit=9) == [b"long"]
    assert await find(account, message_id=long[:-1], limit=9) == []


async def test_many_of_a_millisecond_are_kept_apart(account: Account) -> None:
    account.shard.tidier.verdict_days = 10**6
    wanted = [b"%d" % n for n in range(500)]
    for one in wanted:
        verdicts.put(account, one, message_id="a@b.example", at_ms=7)
    assert await verdicts.find(account, limit=1000) == wanted[::-1]


async def test_old_records_are_removed(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verdicts, "COMMIT_BATCH_ROWS", 4)
    account.shard.tidier.verdict_days = 10**6
    for day in range(10):
        verdicts.put(account, b"day %d" % day, message_id=f"{day}@b.example", at_ms=day * DAY_MS)
    await verdicts.trim(account, 12 * DAY_MS, days=5, size=10**6)
    left = [b"day 9", b"day 8", b"day 7"]
    assert await verdicts.find(account, limit=99) == left
    assert stored(account) == 6
    assert account.verdict_bytes is not None
    await verdicts.trim(account, 12 * DAY_MS, days=5, size=account.verdict_bytes - 1)
    assert await verdicts.find(account, limit=99) == left[:2]
    assert stored(account) == 4
    before = account.verdict_bytes
    verdicts.put(account, b"x", message_id="", at_ms=11 * DAY_MS)
    assert account.verdict_bytes == before + 3
    await verdicts.trim(account, 12 * DAY_MS, days=0, size=10**6)
    assert stored(account) == 0
    assert account.verdict_bytes == 0


async def test_the_tidier_looks_after_them(
    shard: Shard, account: Account, clock: FrozenClock
) -> None:
    shard.tidier.verdict_bytes = 1000
    verdicts.put(account, b"first", message_id="", at_ms=clock.now_ms())
    await shard.tidier.idle()
    assert stored(account) == 1
    for _ in range(12):
        verdicts.put(account, b"x" * 98, message_id="", at_ms=clock.now_ms())
    await shard.tidier.idle()
    assert len(await verdicts.find(account, limit=99)) == 10
    clock.advance(40 * 24 * 3600)
    verdicts.put(account, b"new", message_id="", at_ms=clock.now_ms())
    await shard.tidier.idle()
    assert await verdicts.find(account, limit=99) == [b"new"]
    await shard.rates.count(account, "192.0.2.1", "", "", 1, clock.now_ms())
    clock.advance(2 * 24 * 3600)
    await shard.rates.count(account, "192.0.2.2", "", "", 1, clock.now_ms())
    await shard.tidier.idle()
    await account.settle()
    rates = shard.engine.scan(Family.KV, *keys.settings(account.id, keys.RATE))
    assert len(list(rates)) == 1


async def test_a_removed_account_is_left_alone(shard: Shard, account: Account) -> None:
    verdicts.put(account, b"x", message_id="", at_ms=1)
    await shard.remove_account("mox")
    await shard.tidier.idle()
    again = await shard.create_account("mox")
    assert await verdicts.find(again, limit=9) == []


async def test_a_damaged_record_is_refused(account: Account) -> None:
    batch = Batch()
    batch.put(Family.KV, keys.verdict(account.id, 5, b"123456"), b"\x07abc")
    await account.committer.synced(account.committer.stage(batch))
    with pytest.raises(DataDamaged):
        await verdicts.find(account, limit=9)


async def test_an_address_keeps_its_key(shard: Shard, account: Account) -> None:
    made = await asyncio.gather(*(key_for(account, "me@example.org") for _ in range(5)))
    assert len(set(made)) == 1
    assert len(made[0]) == 16
    assert made[0].isalnum()
    assert await key_for(account, "you@example.org") != made[0]
    other = await shard.create_account("other")
    assert await key_for(other, "me@example.org") != made[0]
    assert await key_for(account, "me@example.org") == made[0]
