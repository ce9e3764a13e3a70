"""The keys of subject passes: one for each address of an account, made when it is first needed."""

from mox.junk.subjectpass import new_key
from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys


async def key_for(account: Account, canonical_address: str) -> bytes:
    """The key of an address, 16 letters and digits; durable before it is first given out.

    Input   canonical_address: without what the catch-all separator adds.
    Errors  StoreStopped, AccountMissing.
    """
    name = keys.setting(account.id, keys.SUBJECTPASS, canonical_address.encode())
    async with account.making_key:
        value = await account.shard.in_thread(account.shard.engine.get, Family.KV, name)
        if value is None:
            account.check_open()
            value = b"\x01" + new_key().encode()
            batch = Batch()
            batch.put(Family.KV, name, value)
            account.ticket = account.committer.stage(batch)
            await account.committer.synced(account.ticket)
    return value[1:]
