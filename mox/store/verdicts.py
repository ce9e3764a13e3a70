"""Records of what was decided about a delivery, for whoever asks why.

The record itself is opaque here.  Records are found by time and by Message-ID; ``trim`` removes the
oldest ones when they are too old or too many.
"""

import secrets
from itertools import count

from mox.base.limits import COMMIT_BATCH_ROWS
from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.errors import DataDamaged
from mox.store.layout import keys

_VERSION = b"\x01"
_DAY_MS = 24 * 60 * 60 * 1000
_number = count(secrets.randbits(32))  # later ones of a millisecond come after earlier ones
_PROCESS = secrets.token_bytes(2)  # another process may have made records in the same millisecond


def put(account: Account, verdict: bytes, *, message_id: str, at_ms: int) -> int:
    """Keep a record; the ticket of its batch.    It is synced within a second.

    Input   message_id: canonical, empty where there is none.
    Errors  StoreStopped, AccountMissing.
    """
    account.check_open()
    number = (next(_number) & 0xFFFFFFFF).to_bytes(4, "big") + _PROCESS
    key = keys.verdict(account.id, at_ms, number)
    of_id = keys.part(message_id) if message_id else b""
    value = _VERSION + len(of_id).to_bytes(1, "big") + of_id + verdict
    batch = Batch()
    batch.put(Family.KV, key, value)
    if of_id:
        when = keys.verdict_when(key)
        batch.put(Family.KV, keys.verdict_id(account.id, of_id, when), b"")
    account.ticket = account.committer.stage(batch, is_patient=True)
    account.shard.tidier.added(account, len(value))
    return account.ticket


async def find(
    account: Account,
    *,
    message_id: str | None = None,
    since_ms: int | None = None,
    limit: int,
) -> list[bytes]:
    """Records, the newest first, at most ``limit``.

    Input  message_id: canonical; only records of it.  since_ms: only those made then or later.
    """
    await account.committer.written(account.ticket)
    return await account.shard.in_thread(_read, account, message_id, max(0, since_ms or 0), limit)


def _read(account: Account, message_id: str | None, since_ms: int, limit: int) -> list[bytes]:
    engine = account.shard.engine
    if message_id is None:
        start = keys.verdict(account.id, since_ms)
        end = keys.settings(account.id, keys.VERDICT)[1]
        newest = engine.scan(Family.KV, start, end, reverse=True)
        return [_record(value) for (_, value), _ in zip(newest, range(limit), strict=False)]
    of_id = keys.part(message_id)
    start = keys.verdict_id(account.id, of_id, since_ms.to_bytes(8, "big"))
    end = keys.verdict_id(account.id, of_id, b"\xff" * 15)
    named = engine.scan(Family.KV, start, end, reverse=True)
    found = [
        keys.setting(account.id, keys.VERDICT, keys.verdict_when(key))
        for (key, _), _ in zip(named, range(limit), strict=False)
    ]
    values = engine.multi_get(Family.KV, found)
    return [_record(value) for value in values if value is not None]


def _record(value: bytes) -> bytes:
    return value[2 + len(_id_of(value)) :]


def _id_of(value: bytes) -> bytes:
    """The Message-ID of a stored record, as a part of keys.    Errors: DataDamaged."""
    if value[:1] != _VERSION or len(value) < 2 + value[1]:
        raise DataDamaged("a record of a decision is damaged")
    return value[2 : 2 + value[1]]


async def trim(account: Account, now_ms: int, *, days: int, size: int) -> None:
    """Remove records older than so many days, then the oldest until they have at most so many bytes."""
    before = max(0, now_ms - days * _DAY_MS)
    await account.committer.written(account.ticket)
    if account.verdict_bytes is None:
        account.verdict_bytes = 0  # from here on ``put`` counts
        stored = await account.shard.in_thread(_size, account)
        account.verdict_bytes += stored
    while True:
        excess = account.verdict_bytes - size
        old = await account.shard.in_thread(_oldest, account, before, excess)
        if not old:
            return
        account.check_open()
        batch = Batch()
        for key, id_key, _ in old:
            batch.delete(Family.KV, key)
            if id_key:
                batch.delete(Family.KV, id_key)
        account.verdict_bytes -= sum(length for *_, length in old)
        account.ticket = account.committer.stage(batch)
        await account.committer.written(account.ticket)


def _size(account: Account) -> int:
    found = account.shard.engine.scan(Family.KV, *keys.settings(account.id, keys.VERDICT))
    return sum(len(value) for _, value in found)


def _oldest(account: Account, before_ms: int, excess: int) -> list[tuple[bytes, bytes, int]]:
    """Some of those to be removed: key, key by Message-ID or empty, bytes."""
    found: list[tuple[bytes, bytes, int]] = []
    end_of_old = keys.verdict(account.id, before_ms)
    for key, value in account.shard.engine.scan(
        Family.KV, *keys.settings(account.id, keys.VERDICT)
    ):
        if (key >= end_of_old and excess <= 0) or len(found) >= COMMIT_BATCH_ROWS // 2:
            break
        of_id = _id_of(value)
        when = keys.verdict_when(key)
        found.append((key, keys.verdict_id(account.id, of_id, when) if of_id else b"", len(value)))
        excess -= len(value)
    return found
