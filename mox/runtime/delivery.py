"""Delivery into the store, for SMTP and for ``mox deliver``."""

from mox.runtime.accounts import Accounts
from mox.store.blobs.base import SpoolFile
from mox.store.content import NewMessage
from mox.store.mailboxes import ensure
from mox.store.messages import append


class StoreDeliverer:
    """Delivers to the accounts of this worker's shard."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def deliver(self, account: str, mailbox: str, message: NewMessage) -> None:
        """Store a message; a missing mailbox is made.  Returns once the message is on disk.

        Errors  those of the store; spooled content is consumed in every case.
        """
        taken = False
        try:
            async with self._accounts.using(account) as owner:
                target = await ensure(owner, mailbox)
                taken = True
                await append(owner, target, [message])
        finally:
            if not taken and isinstance(message.content, SpoolFile):
                message.content.path.unlink(missing_ok=True)
