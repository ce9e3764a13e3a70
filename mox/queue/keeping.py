"""What is remembered for a while only: retired entries and events.    Section 11 of the specification."""

from mox.base.errors import Refused
from mox.base.limits import QUEUE_EVENTS_KEEP_S, QUEUE_SLICE
from mox.queue import keys
from mox.queue.database import Database
from mox.queue.entry import Event, Retired, decode
from mox.store.engine.base import Family


async def retired(database: Database, number: int) -> Retired:
    """An entry that is done.    Errors: Refused when it is not remembered."""
    await database.settled()
    value = await database.in_thread(database.engine.get, Family.MSG, keys.number(number))
    if value is None:
        raise Refused("no such retired message")
    return decode(Retired, value)


async def forget_retired(database: Database) -> int:
    """Forget retired entries whose time is over.    Output: how many."""
    count = 0
    await database.settled()
    now = database.clock.now_ms()
    while True:
        ended, found = await database.in_thread(_ended, database, now)
        if not ended:
            return count
        edit = database.edit()
        # A range: point deletes at the front of an order slow the next scan down.
        start, last = keys.RETIRED_ENDS[0], ended[-1]
        edit.batch.delete_range(Family.IDX, start, last + b"\x00")
        for one in found:
            edit.forget_retired(one)
        await database.commit(edit)
        count += len(found)


def _ended(database: Database, now_ms: int) -> tuple[list[bytes], list[Retired]]:
    start, end = keys.RETIRED_ENDS[0], keys.retired_end(now_ms + 1, 0)
    ended: list[bytes] = []
    for key, _ in database.engine.scan(Family.IDX, start, end):
        ended.append(key)
        if len(ended) == QUEUE_SLICE:
            break
    if not ended:
        return [], []
    wanted = [keys.number(keys.last_number(key)) for key in ended]
    values = database.engine.multi_get(Family.MSG, wanted)
    return ended, [decode(Retired, value) for value in values if value is not None]


async def events(
    database: Database, *, after: int = 0, limit: int
) -> tuple[list[tuple[int, Event]], int]:
    """Events in order, with their numbers.    Output: also the number to go on after."""
    await database.settled()

    def read() -> list[tuple[int, Event]]:
        found: list[tuple[int, Event]] = []
        start, end = keys.number(after + 1), keys.EVERYTHING[1]
        for key, value in database.engine.scan(Family.LOG, start, end):
            found.append((keys.last_number(key), decode(Event, value)))
            if len(found) == limit:
                break
        return found

    found = await database.in_thread(read)
    return found, found[-1][0] if found else after


async def record(database: Database, event: Event) -> None:
    """Something that a notification from elsewhere tells: relayed, expanded, delayed, failed."""
    edit = database.edit()
    edit.event(event)
    await database.commit(edit)


async def forget_events(database: Database) -> None:
    """Forget events that no webhook will tell any more."""
    oldest = database.clock.now_ms() - round(QUEUE_EVENTS_KEEP_S * 1000)
    await database.settled()

    def first_kept() -> bytes | None:
        last = None
        for key, value in database.engine.scan(Family.LOG, *keys.EVERYTHING):
            if decode(Event, value).time_ms >= oldest:
                return key if last is not None else None
            last = key
        return None if last is None else last + b"\x00"

    end = await database.in_thread(first_kept)
    if end is not None:
        edit = database.edit()
        edit.batch.delete_range(Family.LOG, keys.EVERYTHING[0], end)
        await database.commit(edit)
