"""How much mail an account got lately from one address, its network and its region.

Counted in steps: a minute is the current ten seconds and the five tens before, a day the current hour
and the 23 before.  Counts are kept per account and network, in memory and in the index, so that they
survive a restart.    Source  spec of the SMTP server, section 8.1.
"""

from collections import OrderedDict
from functools import lru_cache

import msgspec

from mox.base.limits import (
    COMMIT_BATCH_ROWS,
    DELIVERED_BYTES_DAY,
    DELIVERED_BYTES_MINUTE,
    DELIVERED_MESSAGES_DAY,
    DELIVERED_MESSAGES_MINUTE,
    RATES_KEPT,
)
from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows

Three = tuple[int, int, int]
"""Of one address (IPv4 /32, IPv6 /64), its network (/26, /48), its region (/21, /32)."""

_TEN_S_MS = 10_000
_HOUR_MS = 3_600_000
_TENS = 6  # of a minute
_HOURS = 24  # of a day


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an account takes; so many messages are taken, one more byte than said is not."""

    messages_per_minute: Three = DELIVERED_MESSAGES_MINUTE
    messages_per_day: Three = DELIVERED_MESSAGES_DAY
    bytes_per_minute: Three = DELIVERED_BYTES_MINUTE
    bytes_per_day: Three = DELIVERED_BYTES_DAY


Steps = dict[int, tuple[int, int]]
"""Number of a step, counted from 1970 → messages, bytes."""


class Counted(msgspec.Struct, array_like=True):
    """What came from one network."""

    tens: Steps = {}
    hours: Steps = {}

    def add(self, size: int, now_ms: int) -> None:
        """A message came."""
        self.tens = _added(self.tens, now_ms // _TEN_S_MS, _TENS, size)
        self.hours = _added(self.hours, now_ms // _HOUR_MS, _HOURS, size)

    def minute(self, now_ms: int) -> tuple[int, int]:
        """Messages and bytes of the last minute."""
        return _sum(self.tens, now_ms // _TEN_S_MS, _TENS)

    def day(self, now_ms: int) -> tuple[int, int]:
        """Messages and bytes of the last day."""
        return _sum(self.hours, now_ms // _HOUR_MS, _HOURS)


def _added(steps: Steps, now: int, span: int, size: int) -> Steps:
    messages, total = steps.get(now, (0, 0))
    if not messages:
        # Also without steps of a future that a clock once believed in.
        steps = {at: count for at, count in steps.items() if now - span < at <= now}
    steps[now] = (messages + 1, total + size)
    return steps


def _sum(steps: Steps, now: int, span: int) -> tuple[int, int]:
    messages = total = 0
    for at, (count, size) in steps.items():
        if now - span < at <= now:
            messages += count
            total += size
    return messages, total


class Rates:
    """The counts of one shard's accounts."""

    def __init__(self, *, kept: int = RATES_KEPT) -> None:
        self._kept = kept
        self._counted: OrderedDict[bytes, Counted] = OrderedDict()

    async def exceeded(
        self,
        account: Account,
        ip1: str,
        ip2: str,
        ip3: str,
        size: int,
        now_ms: int,
        limits: Limits,
    ) -> str | None:
        """The limit that another message of so many bytes would exceed, for people; None: it may come.

        Input  ip1, ip2, ip3: address, network and region as text; an empty one is not looked at.
        """
        networks = [(at, one) for at, one in enumerate((ip1, ip2, ip3)) if one]
        found = await self._find(account, [_key(account.id, at, one) for at, one in networks])
        for (at, network), counted in zip(networks, found, strict=True):
            messages, total = counted.minute(now_ms)
            if messages >= limits.messages_per_minute[at]:
                return f"{limits.messages_per_minute[at]} messages a minute from {network}"
            if total + size > limits.bytes_per_minute[at]:
                return f"{limits.bytes_per_minute[at]} bytes a minute from {network}"
            messages, total = counted.day(now_ms)
            if messages >= limits.messages_per_day[at]:
                return f"{limits.messages_per_day[at]} messages a day from {network}"
            if total + size > limits.bytes_per_day[at]:
                return f"{limits.bytes_per_day[at]} bytes a day from {network}"
        return None

    async def count(
        self, account: Account, ip1: str, ip2: str, ip3: str, size: int, now_ms: int
    ) -> None:
        """A message came and was stored, accepted or not.    Errors: StoreStopped, AccountMissing."""
        wanted = [
            _key(account.id, at, network) for at, network in enumerate((ip1, ip2, ip3)) if network
        ]
        found = await self._find(account, wanted)
        account.check_open()
        batch = Batch()
        for key, seen in zip(wanted, found, strict=True):
            counted = self._counted.setdefault(key, seen)  # dropped meanwhile?
            counted.add(size, now_ms)
            batch.put(Family.KV, key, rows.encode(counted))
        if wanted:
            account.ticket = account.committer.stage(batch, is_patient=True)
            account.shard.tidier.wake(account)

    async def _find(self, account: Account, wanted: list[bytes]) -> list[Counted]:
        """What is counted under these keys; what is not in memory is read at once."""
        seen = {key: self._counted.get(key) for key in wanted}
        missing = [key for key, counted in seen.items() if counted is None]
        values: list[bytes | None] = []
        if missing:
            shard = account.shard
            values = await shard.in_thread(shard.engine.multi_get, Family.KV, missing)
        for key, value in zip(missing, values, strict=True):
            seen[key] = Counted() if value is None else rows.decode(Counted, value)
        found = []
        for key, counted in seen.items():
            assert counted is not None
            found.append(self._counted.setdefault(key, counted))  # read or dropped meanwhile?
            self._counted.move_to_end(key)
        while len(self._counted) > self._kept:
            self._counted.popitem(last=False)
        return found

    async def sweep(self, account: Account, now_ms: int) -> None:
        """Remove counts that say nothing any more."""
        stale = await account.shard.in_thread(_stale, account, now_ms)
        for at in range(0, len(stale), COMMIT_BATCH_ROWS):
            account.check_open()
            gone = [key for key in stale[at : at + COMMIT_BATCH_ROWS] if self._drop(key, now_ms)]
            batch = Batch()
            batch.delete_all(Family.KV, gone)
            account.ticket = account.committer.stage(batch)

    def _drop(self, key: bytes, now_ms: int) -> bool:
        counted = self._counted.get(key)
        if counted is not None:
            if counted.day(now_ms) != (0, 0):
                return False  # it was counted again just now
            del self._counted[key]
        return True


@lru_cache(maxsize=4096)
def _key(account_id: int, at: int, network: str) -> bytes:
    return keys.setting(account_id, keys.RATE, bytes((at,)) + keys.part(network))


def _stale(account: Account, now_ms: int) -> list[bytes]:
    found = account.shard.engine.scan(Family.KV, *keys.settings(account.id, keys.RATE))
    return [key for key, value in found if rows.decode(Counted, value).day(now_ms) == (0, 0)]
