"""Results of TLS connections that we owe others reports on.    spec/reports-autotls.md section 5.

One row for a day, a recipient domain and whose policy it was: the recipient domain's own, or that of
one of its mail hosts.  What a delivery adds is merged: sessions are added, equal failures too.
"""

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from mox.base.limits import RESULT_FAILURES, RESULT_POLICIES, RESULT_ROWS
from mox.reports import keys
from mox.reports.gathering import Gathering
from mox.store.engine.base import Batch, Family
from mox.store.layout import rows
from mox.store.serverdata import ServerData
from mox.tlspolicy.tlsreport import Result, merge

_DAY_MS = 86_400_000


class Tally(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A row."""

    day: int  # since 1970, UTC
    recipient_domain: str  # A-labels
    policy_domain: str  # A-labels; the recipient domain, or one of its mail hosts
    is_host: bool
    created_ms: int
    updated_ms: int
    send_report: bool  # some delivery was no report itself
    results: tuple[Result, ...]
    sent_to_recipient: bool = False
    recipient_addresses: tuple[str, ...] = ()  # to whom
    sent_to_host: bool = False

    @property
    def has_failures(self) -> bool:
        """Something went wrong."""
        return any(result.failure_count or result.failures for result in self.results)


class Results:
    """Collects results and gives them out."""

    def __init__(self, data: ServerData) -> None:
        self._data = data
        self._gathering = Gathering(data, Tally, _added, admit=self._admitted)
        self._rows: dict[int, int] = {}  # of a day

    def add(
        self,
        recipient_domain: str,
        policy_domain: str,
        results: Iterable[Result],
        *,
        is_host: bool,
        send_report: bool,
        at_ms: int,
    ) -> None:
        """Count what a delivery attempt met.    Cost: some 20 us; nothing is written now.

        Input  send_report: False where the message was a TLS report, or a DMARC report and nothing
               failed: reports about reports have no end.
        """
        day = at_ms // _DAY_MS
        tally = Tally(
            day=day,
            recipient_domain=recipient_domain,
            policy_domain=policy_domain,
            is_host=is_host,
            created_ms=at_ms,
            updated_ms=at_ms,
            send_report=send_report,
            results=_limited(results),
        )
        self._gathering.add(keys.result(day, recipient_domain, policy_domain), tally)

    def _admitted(self, new: dict[bytes, Tally]) -> dict[bytes, Tally]:
        """Those that there is room for; in a thread, one call at a time."""
        admitted: dict[bytes, Tally] = {}
        for key, tally in new.items():
            day = tally.day
            if day not in self._rows:
                span = keys.results(day, day + 1)
                count = sum(1 for _ in self._data.engine.scan(Family.KV, *span))
                self._rows = {day: count}
            if self._rows[day] < RESULT_ROWS:
                self._rows[day] += 1
                admitted[key] = tally
        return admitted

    async def of(self, end_day: int) -> list[Tally]:
        """The rows of all days before that one, oldest first.    Errors: StoreStopped, DataDamaged."""
        await self._gathering.flush()
        return await self._data.in_thread(self._of, end_day)

    def _of(self, end_day: int) -> list[Tally]:
        found = self._data.engine.scan(Family.KV, *keys.results(0, end_day))
        return [rows.decode(Tally, value) for _, value in found]

    async def mark(self, tallies: Iterable[Tally]) -> None:
        """Store rows that were marked as sent, or no longer; returns once that is on disk."""
        await self._gathering.flush()
        batch = Batch()
        for tally in tallies:
            batch.put(Family.KV, _key(tally), rows.encode(tally))
        await self._data.stored(await self._data.write(batch))

    async def forget(self, tallies: Iterable[Tally]) -> None:
        """Remove rows."""
        await self._gathering.flush()
        batch = Batch()
        batch.delete_all(Family.KV, [_key(tally) for tally in tallies])
        await self._data.stored(await self._data.write(batch))

    async def forget_before(self, day: int) -> None:
        """Remove the rows of all days before that one."""
        await self._gathering.flush()
        batch = Batch()
        batch.delete_range(Family.KV, *keys.results(0, day))
        await self._data.write(batch)

    async def close(self) -> None:
        """Store what was gathered."""
        await self._gathering.close()


def _key(tally: Tally) -> bytes:
    return keys.result(tally.day, tally.recipient_domain, tally.policy_domain)


def _added(one: Tally, other: Tally) -> Tally:
    return msgspec.structs.replace(
        one,
        is_host=one.is_host or other.is_host,
        created_ms=min(one.created_ms, other.created_ms),
        updated_ms=max(one.updated_ms, other.updated_ms),
        send_report=one.send_report or other.send_report,
        results=_limited((*one.results, *other.results)),
    )


def _limited(results: Iterable[Result]) -> tuple[Result, ...]:
    """Merged; of too many policies and details the first ones, with the sessions of all details.

    Sessions that are counted below zero are none: spec section 5.
    """
    clipped = (
        msgspec.structs.replace(
            result,
            success_count=max(result.success_count, 0),
            failure_count=max(result.failure_count, 0),
        )
        for result in results
    )
    merged = merge(tuple(clipped))[:RESULT_POLICIES]
    return tuple(
        msgspec.structs.replace(result, failures=result.failures[:RESULT_FAILURES])
        for result in merged
    )


def by_day_and_recipient(tallies: Iterable[Tally]) -> dict[tuple[int, str], list[Tally]]:
    """Rows whose connections were for mail to the same domain on the same day."""
    found: defaultdict[tuple[int, str], list[Tally]] = defaultdict(list)
    for tally in tallies:
        found[tally.day, tally.recipient_domain].append(tally)
    return dict(found)


def by_day_and_policy(tallies: Iterable[Tally]) -> dict[tuple[int, str], list[Tally]]:
    """Rows about the same mail host on the same day; not those of recipient domains themselves."""
    found: defaultdict[tuple[int, str], list[Tally]] = defaultdict(list)
    for tally in tallies:
        if tally.policy_domain != tally.recipient_domain:
            found[tally.day, tally.policy_domain].append(tally)
    return dict(found)
