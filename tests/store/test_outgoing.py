"""How much an account may send in a day.    spec/smtp-server.md section 7, test idea 26."""

import pytest

from mox.base.clock import FrozenClock
from mox.store.account import Account
from mox.store.engine.base import Family
from mox.store.layout import keys
from mox.store.outgoing import Outgoing, SendLimit

HOUR = 3_600_000


class House:
    def __init__(self, account: Account, clock: FrozenClock) -> None:
        self.account = account
        self.clock = clock
        self.outgoing = Outgoing()

    async def send(self, *addresses: str, per_day: int = 4, new_per_day: int = 2) -> None:
        now = self.clock.now_ms()
        await self.outgoing.check(
            self.account, addresses, now, per_day=per_day, new_per_day=new_per_day
        )
        await self.outgoing.record(self.account, addresses, now)


@pytest.fixture
def house(account: Account, clock: FrozenClock) -> House:
    return House(account, clock)


async def test_recipients_of_a_day(house: House) -> None:
    await house.send("a@x", "b@x")
    await house.send("a@x")
    await house.send("a@x")
    with pytest.raises(SendLimit, match="at most 4 recipients"):
        await house.send("a@x")
    house.clock.advance(24 * 3600 - 601)
    with pytest.raises(SendLimit):
        await house.send("a@x")
    house.clock.advance(1200)
    await house.send("a@x")


async def test_new_recipients_of_a_day(house: House) -> None:
    await house.send("a@x", "b@x", per_day=100)
    with pytest.raises(SendLimit, match="at most 2 new recipients"):
        await house.send("c@x", per_day=100)
    await house.send("a@x", "b@x", "a@x", per_day=100)
    house.clock.advance(25 * 3600)
    # They are known by now.
    await house.send("a@x", "b@x", "c@x", "d@x", per_day=100)
    with pytest.raises(SendLimit):
        await house.send("e@x", per_day=100)


async def test_counts_survive_a_restart(house: House) -> None:
    await house.send("a@x", "b@x")
    house.outgoing = Outgoing()
    with pytest.raises(SendLimit, match="new"):
        await house.send("c@x")
    await house.send("a@x", "b@x")
    with pytest.raises(SendLimit, match="4 recipients"):
        await house.send("a@x")


async def test_what_is_being_sent_counts(house: House) -> None:
    now = house.clock.now_ms()
    check, account = house.outgoing.check, house.account
    await check(account, ["a@x"] * 3, now, per_day=4, new_per_day=2)
    with pytest.raises(SendLimit):
        await check(account, ["a@x"] * 2, now, per_day=4, new_per_day=2)
    house.outgoing.drop(account, ["a@x"] * 3)
    await check(account, ["a@x"] * 4, now, per_day=4, new_per_day=2)


async def test_old_steps_are_removed(house: House) -> None:
    for _ in range(3):
        await house.send("a@x", per_day=100)
        house.clock.advance(25 * 3600)
    account = house.account
    await account.settle()
    start, end = keys.sent_count(account.id, 0), keys.sent_count(account.id, 1 << 31)
    assert len(list(account.shard.engine.scan(Family.KV, start, end))) == 1


async def test_accounts_do_not_share(house: House, clock: FrozenClock) -> None:
    await house.send("a@x", "b@x", "b@x", "b@x")
    other = House(await house.account.shard.create_account("other"), clock)
    other.outgoing = house.outgoing
    await other.send("c@x", "d@x", "d@x", "d@x")
