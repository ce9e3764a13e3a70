"""New entries whose first attempt need not wait: begun by the batch that adds them.

What has nothing before it in its lane, and whose domain has room, is not looked for: it is written with
its attempt begun, and its delivery starts once that is durable, with the content that is still in memory.
All else waits in its lane until the scheduler's next look.
"""

from collections.abc import Sequence

from mox.queue import keys
from mox.queue.database import Database, Group
from mox.queue.entry import Entry
from mox.queue.schedule import Jitter, Schedule
from mox.queue.suppress import base_address
from mox.queue.taking import Slots, begun_now
from mox.store.engine.base import Family

_FEW = 16  # entries: with more, suppressed addresses are looked up in a thread, by a look


def choose(
    database: Database,
    entries: Sequence[Entry],
    slots: Slots,
    schedule: Schedule,
    jitter: Jitter,
) -> list[Group]:
    """See ``Starter``.    Without waiting: hints of lanes and suppressions are point reads."""
    free = min(slots.total, slots.fresh)
    if len(entries) > _FEW or free <= 0:
        return []
    now = database.clock.now_ms()
    together: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        if not entry.hold and entry.next_ms <= now and not _is_suppressed(database, entry):
            key = (entry.recipient_domain, entry.base_id or entry.id)
            together.setdefault(key, []).append(entry)
    groups: list[Group] = []
    taken: dict[str, int] = {}
    for (domain, _), some in together.items():
        room = slots.room(domain) - taken.get(domain, 0)
        if len(groups) >= free:
            break
        if room <= 0 or slots.not_before_ms(domain) > now or _others_wait(database, some[0], now):
            continue
        taken[domain] = taken.get(domain, 0) + 1
        factor = jitter()
        groups.append(tuple(begun_now(entry, schedule, factor, now) for entry in some))
    return groups


def _others_wait(database: Database, entry: Entry, now_ms: int) -> bool:
    """Somebody who came earlier goes first."""
    hint = database.lanes.get(keys.lane(entry))
    return hint is not None and hint.ready_ms <= now_ms


def _is_suppressed(database: Database, entry: Entry) -> bool:
    key = keys.suppression(entry.account, base_address(entry.recipient))
    return database.engine.get(Family.KV, key) is not None
