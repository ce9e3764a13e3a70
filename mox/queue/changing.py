"""What operators do to entries: hold, schedule, transport, TLS, fail, drop; and hold rules.

Changes go through the entries in slices, each one batch; entries that are being delivered are changed as
well, and ended when their attempt is over.
"""

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from mox.base.limits import QUEUE_HOLD_RULES, QUEUE_SLICE
from mox.queue import keys
from mox.queue.database import Database
from mox.queue.entry import Ending, Entry, HoldRule, encode
from mox.queue.errors import RuleMissing, TooManyRules
from mox.queue.filter import EVERY, Filter, Sort
from mox.queue.finishing import end_now
from mox.queue.listing import page
from mox.store.engine.base import Family

Change = Callable[[Entry], Entry]
"""An entry as it is to be; the same one for no change."""

_REPLACE = msgspec.structs.replace


async def hold(database: Database, wanted: Filter, *, on: bool, limit: int = 0) -> int:
    """Do not try these, or try them again.    Output: how many entries are meant."""
    return await change(database, wanted, lambda entry: _REPLACE(entry, hold=on), limit)


async def schedule(
    database: Database, wanted: Filter, delay_ms: int, *, from_now: bool, limit: int = 0
) -> int:
    """Shift the next attempt, or set it relative to now; attempts made stay counted."""
    now = database.clock.now_ms()

    def change_one(entry: Entry) -> Entry:
        return _REPLACE(entry, next_ms=max(0, (now if from_now else entry.next_ms) + delay_ms))

    return await change(database, wanted, change_one, limit)


async def kick(database: Database, wanted: Filter, limit: int = 0) -> int:
    """Try these now."""
    return await schedule(database, wanted, 0, from_now=True, limit=limit)


async def set_transport(database: Database, wanted: Filter, transport: str, limit: int = 0) -> int:
    """Force a transport; empty: routes decide again."""
    return await change(database, wanted, lambda entry: _REPLACE(entry, transport=transport), limit)


async def set_require_tls(
    database: Database, wanted: Filter, require_tls: bool | None, limit: int = 0
) -> int:
    """Another policy for the message.    RFC 8689."""
    return await change(
        database, wanted, lambda entry: _REPLACE(entry, require_tls=require_tls), limit
    )


async def drop(database: Database, wanted: Filter, limit: int = 0) -> int:
    """Remove these without telling the sender."""
    return await change(database, wanted, _ending(Ending.DROP), limit)


async def fail(database: Database, wanted: Filter, limit: int = 0) -> int:
    """Give these up and tell the sender."""
    return await change(database, wanted, _ending(Ending.FAIL), limit)


def _ending(ending: Ending) -> Change:
    # Not held any more: what could not be ended now must come up again.
    return lambda entry: _REPLACE(entry, ending=ending, hold=False)


async def change(database: Database, wanted: Filter, one: Change, limit: int = 0) -> int:
    """Change all entries that are meant, or the first ``limit`` of them in order of queueing.

    Output  how many there were.    Durable slice by slice.
    """
    count = 0
    async for numbers in _slices(database, wanted, limit):
        count += await _change_slice(database, wanted, numbers, one)
    return count


async def _slices(database: Database, wanted: Filter, limit: int) -> AsyncIterator[list[int]]:
    if wanted.ids:
        numbers = sorted(set(wanted.ids))[: limit or None]
        for start in range(0, len(numbers), QUEUE_SLICE):
            yield numbers[start : start + QUEUE_SLICE]
        return
    # What comes while we are at it is not meant: it would never end.
    last = database.counters.next_id
    left, cursor = limit, None
    while True:
        size = min(QUEUE_SLICE, left) if limit else QUEUE_SLICE
        found = await page(database, wanted, sort=Sort.QUEUED, cursor=cursor, limit=size)
        numbers = [entry.id for entry in found.entries if entry.id < last]
        if numbers:
            yield numbers
        left -= len(numbers)
        cursor = found.cursor
        if cursor is None or len(numbers) < len(found.entries) or (limit and left <= 0):
            return


async def _change_slice(
    database: Database, wanted: Filter, numbers: Sequence[int], one: Change
) -> int:
    count = 0
    ticket = 0
    while numbers:
        with database.watch() as touched:
            await database.settled()
            loaded = await database.in_thread(database.read_all, numbers)
            edit = database.edit()
            ended: list[Entry] = []
            for number, stored in zip(numbers, loaded, strict=True):
                old = database.busy.get(number)
                if old is None:
                    old = None if number in touched else stored
                if old is None or not wanted.matches(old):
                    continue
                count += 1
                new = one(old)
                if new.ending and number not in database.busy:
                    ended.append(_REPLACE(old, ending=new.ending))
                elif new != old:
                    edit.replace(old, new)
                    if number in database.busy:
                        database.busy[number] = new
            end_now(database, edit, ended)
            # Read again what somebody changed while we read.
            numbers = [n for n in numbers if n in touched and n not in database.busy]
            ticket = edit.stage()
    if ticket:
        await database.committer.synced(ticket)
        database.kick()
    return count


async def end(database: Database, entries: Sequence[Entry]) -> None:
    """Do what was asked for while these were being delivered: they have come up again."""
    wanted = Filter(ids=tuple(entry.id for entry in entries))
    await change(database, wanted, lambda entry: entry)


async def add_rule(
    database: Database, *, account: str = "", sender_domain: str = "", recipient_domain: str = ""
) -> tuple[HoldRule, int]:
    """Hold what matches, now and later.    Output: the rule, and how many entries it met.

    Errors  TooManyRules.
    """
    if len(database.rules) >= QUEUE_HOLD_RULES:
        raise TooManyRules
    rule = HoldRule(
        id=database.new_id(),
        account=account,
        sender_domain=sender_domain,
        recipient_domain=recipient_domain,
    )
    edit = database.edit()
    edit.batch.put(Family.META, keys.hold_rule(rule.id), encode(rule))
    ticket = edit.stage()
    database.rules.append(rule)  # new entries are held from here on
    await database.committer.synced(ticket)

    met = 0

    def one(entry: Entry) -> Entry:
        nonlocal met
        if entry.hold or entry.ending or not rule.matches(entry):
            return entry
        met += 1
        return _REPLACE(entry, hold=True)

    await change(database, EVERY, one)
    return rule, met


async def remove_rule(database: Database, number: int) -> HoldRule:
    """New entries are not held any more; those that are stay so.    Errors: RuleMissing."""
    found = [rule for rule in database.rules if rule.id == number]
    if not found:
        raise RuleMissing
    edit = database.edit()
    edit.batch.delete(Family.META, keys.hold_rule(number))
    ticket = edit.stage()
    database.rules.remove(found[0])
    await database.committer.synced(ticket)
    return found[0]
