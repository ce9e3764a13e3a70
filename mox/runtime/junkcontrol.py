"""What the control socket does with junk filters of accounts."""

import mmap

from mox.base.errors import Refused
from mox.base.limits import MESSAGE_SIZE
from mox.ctl import commands as ctl
from mox.ctl.judged import junk_checked
from mox.ctl.server import Call, Handlers
from mox.inbound.receive import Receiver
from mox.junk.classify import Classification, classify_message
from mox.junk.parameters import Parameters
from mox.message import mime
from mox.runtime.accounts import Accounts
from mox.runtime.configfiles import ConfigFiles
from mox.store.account import Account
from mox.store.blobs.base import SpoolFile
from mox.store.content import map_file
from mox.store.retrain import Retraining, retrain
from mox.store.shard import Shard
from mox.store.words import read_counts

TOLD_EVERY = 1000  # messages


class JunkControl:
    """Handlers of one worker."""

    def __init__(self, files: ConfigFiles, shard: Shard, accounts: Accounts) -> None:
        self._files = files
        self._shard = shard
        self._accounts = accounts

    def add_to(self, table: Handlers) -> None:
        """Put the handlers into a table."""
        table.on(ctl.RETRAIN, self._on_retrain)
        table.on(ctl.JUNK_CHECK, self._on_check)

    async def _on_retrain(self, wanted: ctl.Retrain, call: Call) -> ctl.Retrained:
        names = [wanted.account] if wanted.account else self._names()
        trained, without = [], []
        for name in names:
            account = await self._account(name)
            if account.filter is None:
                without.append(name)
            else:
                await self._retrain(account, call)
                trained.append(name)
        return ctl.Retrained(trained=tuple(trained), without_filter=tuple(without))

    async def _retrain(self, account: Account, call: Call) -> None:
        told = -1

        async def progress(now: Retraining) -> None:
            nonlocal told
            if now.done // TOLD_EVERY > told:
                told = now.done // TOLD_EVERY
                value = ctl.Retraining(account=account.name, done=now.done, total=now.total)
                await call.progress(value)

        await retrain(account, progress)

    async def _on_check(self, wanted: ctl.AccountName, call: Call) -> ctl.JunkChecked:
        account = await self._account(wanted.account)
        parameters = account.filter
        if parameters is None:
            raise Refused(f"account {account.name} has no junk filter")
        receiver = Receiver(self._shard.spool_folder, MESSAGE_SIZE)
        try:
            async for piece in call.body():
                await receiver.write(piece)
            if receiver.too_big:
                raise Refused(f"the message is larger than {MESSAGE_SIZE} bytes")
            received = await receiver.finish()
        except BaseException:
            await receiver.discard()
            raise
        found = await self._shard.in_thread(_classify, account, received.content, parameters)
        return junk_checked(found)

    def _names(self) -> list[str]:
        return sorted(self._files.live.config.domains.accounts)

    async def _account(self, name: str) -> Account:
        if name not in self._names():
            raise Refused(f"there is no account {name!r}")
        return await self._accounts.account(name)


def _classify(
    account: Account, content: bytes | SpoolFile, parameters: Parameters
) -> Classification:
    """Blocks; a spooled content is removed."""
    counts = read_counts(account)
    if isinstance(content, bytes):
        return classify_message(content, mime.parse(content), counts, parameters)
    try:
        mapped: mmap.mmap = map_file(content.path)
        with mapped:
            return classify_message(mapped, mime.parse(mapped), counts, parameters)
    finally:
        content.path.unlink(missing_ok=True)
