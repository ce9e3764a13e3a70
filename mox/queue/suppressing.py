"""The suppression list, kept by account.    The rules are in ``suppress``."""

import msgspec

from mox.base.limits import QUEUE_SCAN
from mox.queue import keys
from mox.queue.database import Database
from mox.queue.entry import Suppression, clip, decode, encode
from mox.queue.errors import NotSuppressed, Suppressed
from mox.queue.suppress import base_address
from mox.smtp.address import Address
from mox.store.engine.base import Family


class SuppressionPage(msgspec.Struct, frozen=True, kw_only=True):
    """In order of account and base address; ``cursor`` for the next page, None after the last one."""

    suppressions: list[Suppression]
    cursor: bytes | None


async def suppress(
    database: Database, account: str, address: Address, reason: str, *, manual: bool = True
) -> Suppression:
    """Stop sending to an address.    Errors: Suppressed when it is on the list."""
    base = base_address(address)
    record = Suppression(
        account=account,
        base_address=base,
        original_address=str(address),
        manual=manual,
        reason=clip(reason),
        created_ms=database.clock.now_ms(),
    )
    key = keys.suppression(account, base)
    await database.settled()
    if database.engine.get(Family.KV, key) is not None:
        raise Suppressed
    edit = database.edit()
    edit.batch.put(Family.KV, key, encode(record))
    await database.commit(edit)
    return record


async def release(database: Database, account: str, address: Address) -> None:
    """Send to an address again.    Errors: NotSuppressed."""
    key = keys.suppression(account, base_address(address))
    await database.settled()
    if database.engine.get(Family.KV, key) is None:
        raise NotSuppressed
    edit = database.edit()
    edit.batch.delete(Family.KV, key)
    await database.commit(edit)


async def find(database: Database, account: str, address: Address) -> Suppression | None:
    """Is it on the list of the account?"""
    await database.settled()
    key = keys.suppression(account, base_address(address))
    value = await database.in_thread(database.engine.get, Family.KV, key)
    return None if value is None else decode(Suppression, value)


async def suppressions(
    database: Database, account: str | None = None, *, cursor: bytes | None = None, limit: int
) -> SuppressionPage:
    """A page of the list of an account, or of all."""
    await database.settled()

    def read() -> SuppressionPage:
        start, end = keys.suppressions(account)
        start = start if cursor is None else cursor + b"\x00"
        found: list[Suppression] = []
        for key, value in database.engine.scan(Family.KV, start, end):
            found.append(decode(Suppression, value))
            if len(found) == min(limit, QUEUE_SCAN):
                return SuppressionPage(suppressions=found, cursor=key)
        return SuppressionPage(suppressions=found, cursor=None)

    return await database.in_thread(read)


async def forget_account(database: Database, account: str) -> None:
    """The account is removed, and its list with it."""
    edit = database.edit()
    edit.batch.delete_range(Family.KV, *keys.suppressions(account))
    await database.commit(edit)
