"""What logins of an account are checked against, kept as one opaque value; the format is mox.sasl's."""

from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys


def read_credentials(account: Account) -> bytes | None:
    """The stored value, None when no password was set.  A point read."""
    return account.shard.engine.get(Family.KV, keys.setting(account.id, keys.CREDENTIALS))


async def write_credentials(account: Account, value: bytes) -> None:
    """Replace the value; returns once it is durable."""
    batch = Batch()
    batch.put(Family.KV, keys.setting(account.id, keys.CREDENTIALS), value)
    await account.committer.synced(account.committer.stage(batch))
