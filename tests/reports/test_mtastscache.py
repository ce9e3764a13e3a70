"""Policies of other domains: the table of spec/mail-auth.md section 8."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest

from mox.base.clock import FrozenClock
from mox.base.fetch import Fetched, FetchFailed, Trouble
from mox.dns.base import Temporary
from mox.dns.zones import Zones
from mox.reports.mtastscache import MtaStsCache
from mox.store.serverdata import ServerData, memory_server_data
from mox.tlspolicy.mtasts import Mode
from mox.tlspolicy.observation import NO_STS, StsFinding

DOMAIN = "example.org"
POLICY = b"version: STSv1\nmode: enforce\nmx: mx.example.org\nmax_age: 86400\n"
HOUR = 3600.0


class Getter:
    """Gives what it was told to, and counts."""

    def __init__(self) -> None:
        self.answer: Fetched | FetchFailed = Fetched(status=200, body=POLICY)
        self.urls: list[str] = []

    async def get(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        assert max_bytes == 65536
        self.urls.append(url)
        await asyncio.sleep(0)
        if isinstance(self.answer, FetchFailed):
            raise self.answer
        return self.answer


class House:
    def __init__(self, data: ServerData, clock: FrozenClock) -> None:
        self.clock = clock
        self.data = data
        self.getter = Getter()
        self.set_record("v=STSv1; id=1;")

    def set_record(self, *texts: str, temporary: bool = False) -> None:
        name = f"_mta-sts.{DOMAIN}"
        zones = Zones({name: {"TXT": list(texts)}}, temporary=[name] if temporary else [])
        self.cache = MtaStsCache(self.data, zones, self.getter)

    async def get(self) -> StsFinding:
        return await self.cache.get(DOMAIN)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    clock = FrozenClock()
    data = memory_server_data(clock=clock)
    yield House(data, clock)
    await data.close()


async def test_found_and_kept(house: House) -> None:
    first = await house.get()
    assert first.policy is not None
    assert (first.policy.mode, first.policy.mx) == (Mode.ENFORCE, ("mx.example.org",))
    assert first.result_type == ""
    house.clock.advance(23 * HOUR)
    assert await house.get() == first
    assert house.getter.urls == ["https://mta-sts.example.org/.well-known/mta-sts.txt"]
    house.clock.advance(2 * HOUR)  # expired
    assert await house.get() == first
    assert len(house.getter.urls) == 2


async def test_no_record(house: House) -> None:
    house.set_record("something else")
    assert await house.get() == NO_STS
    assert house.getter.urls == []
    assert await house.cache.policies() == []


async def test_a_bad_record_stores_nothing(house: House) -> None:
    house.set_record("v=STSv1; id=1;", "v=STSv1; id=2;")
    found = await house.get()
    assert (found.policy, found.result_type) == (None, "sts-policy-fetch-error")
    assert await house.cache.policies() == []


async def test_dns_that_fails_is_no_answer(house: House) -> None:
    house.set_record("v=STSv1; id=1;", temporary=True)
    with pytest.raises(Temporary):
        await house.get()


@pytest.mark.parametrize(
    ("answer", "result_type"),
    [
        (Fetched(status=404, body=POLICY), "sts-policy-fetch-error"),
        (Fetched(status=301, body=b""), "sts-policy-fetch-error"),
        (Fetched(status=200, body=b"<html>"), "sts-policy-invalid"),
        (FetchFailed(Trouble.TLS, "certificate"), "sts-webpki-invalid"),
        (FetchFailed(Trouble.SIZE, "too large"), "sts-policy-invalid"),
        (FetchFailed(Trouble.CONNECT, "refused"), "sts-policy-fetch-error"),
        (FetchFailed(Trouble.TIME, "slow"), "sts-policy-fetch-error"),
    ],
)
async def test_a_fetch_that_fails(
    house: House, answer: Fetched | FetchFailed, result_type: str
) -> None:
    house.getter.answer = answer
    found = await house.get()
    assert (found.policy, found.result_type) == (None, result_type)
    # For five minutes nobody asks again.
    house.clock.advance(299)
    assert (await house.get()).problem == "back-off-after-recent-fetch-error"
    assert len(house.getter.urls) == 1
    house.clock.advance(2)
    house.getter.answer = Fetched(status=200, body=POLICY)
    assert (await house.get()).policy is not None


@pytest.mark.rfc("8461 §5.1")
async def test_what_is_kept_holds_until_it_expires(house: House) -> None:
    kept = (await house.get()).policy
    house.set_record("nothing")
    assert (await house.get()).policy == kept
    house.set_record("v=STSv1; id=1;", temporary=True)
    found = await house.get()
    assert found.policy == kept
    assert found.problem.endswith("+fallback-to-cached-policy")
    house.set_record("v=STSv1; id=2;")
    house.getter.answer = FetchFailed(Trouble.TLS, "certificate")
    found = await house.get()
    assert (found.policy, found.result_type) == (kept, "sts-webpki-invalid")
    house.getter.answer = Fetched(status=200, body=POLICY.replace(b"enforce", b"testing"))
    found = await house.get()
    assert found.policy is not None
    assert found.policy.mode is Mode.TESTING


async def test_mode_none_is_as_none(house: House) -> None:
    house.getter.answer = Fetched(status=200, body=b"version: STSv1\nmode: none\nmax_age: 86400\n")
    assert await house.get() == NO_STS
    assert await house.get() == NO_STS
    assert len(house.getter.urls) == 1


async def test_look_ups_at_the_same_time_are_one(house: House) -> None:
    found = await asyncio.gather(*(house.get() for _ in range(10)))
    assert len(set(map(id, found))) == 1
    assert len(house.getter.urls) == 1


async def test_refreshing(house: House) -> None:
    await house.get()
    house.clock.advance(11 * HOUR)
    assert await house.cache.refresh(lambda count: 0) == 0
    house.clock.advance(2 * HOUR)
    assert await house.cache.refresh(lambda count: 0) == 1
    ((_, kept),) = await house.cache.policies()
    # The record is the same: the policy holds for longer, without a fetch.
    assert kept.valid_until_ms == house.clock.now_ms() + 86_400_000
    assert len(house.getter.urls) == 1
    house.clock.advance(13 * HOUR)
    house.set_record("v=STSv1; id=2;")
    house.getter.answer = FetchFailed(Trouble.CONNECT, "refused")
    assert await house.cache.refresh(lambda count: 0) == 1
    assert await house.cache.policies() == [(DOMAIN, kept)]
    house.getter.answer = Fetched(status=200, body=POLICY.replace(b"mx.", b"mx2."))
    await house.cache.refresh(lambda count: 0)
    ((_, kept),) = await house.cache.policies()
    assert "mx2.example.org" in kept.text
    house.clock.advance(181 * 24 * HOUR)
    assert await house.cache.refresh(lambda count: 0) == 0
    assert await house.cache.policies() == []


async def test_refreshing_is_spread(house: House) -> None:
    zones = Zones({f"_mta-sts.{n}.example": {"TXT": ["v=STSv1; id=1;"]} for n in "abc"})
    house.cache = MtaStsCache(house.data, zones, house.getter)
    for name in "abc":
        await house.cache.get(f"{name}.example")
    house.clock.advance(13 * HOUR)
    asked: list[int] = []

    def pause(count: int) -> float:
        asked.append(count)
        return 60.0

    assert await house.cache.refresh(pause) == 3
    assert asked == [3, 3]
    times = [kept.updated_ms for _, kept in await house.cache.policies()]
    assert all(later - earlier == 60_000 for earlier, later in pairwise(sorted(times)))
