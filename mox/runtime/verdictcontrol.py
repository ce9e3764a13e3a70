"""What the control socket tells of decisions about incoming mail."""

from mox.base.errors import Refused
from mox.base.log import get_logger
from mox.ctl import commands as ctl
from mox.ctl.server import Call, Handlers
from mox.inbound.verdict import BadVerdict, Verdict, decode
from mox.runtime.accounts import Accounts
from mox.runtime.configfiles import ConfigFiles
from mox.store import verdicts

log = get_logger("ctl")


class VerdictControl:
    """Handlers of one worker."""

    def __init__(self, files: ConfigFiles, accounts: Accounts) -> None:
        self._files = files
        self._accounts = accounts

    def add_to(self, table: Handlers) -> None:
        """Put the handlers into a table."""
        table.on(ctl.VERDICTS, self._on_verdicts)

    async def _on_verdicts(self, wanted: ctl.VerdictsWanted, call: Call) -> ctl.VerdictsShown:
        names = sorted(self._files.live.config.domains.accounts)
        if wanted.account:
            if wanted.account not in names:
                raise Refused(f"there is no account {wanted.account!r}")
            names = [wanted.account]
        found: list[Verdict] = []
        for name in names:
            found += await self._of_account(name, wanted)
            # Never more than one account's beside those that will be shown.
            found.sort(key=lambda one: -one.at_ms)
            del found[wanted.limit :]
        for one in found:
            await call.progress(one)
        return ctl.VerdictsShown(count=len(found))

    async def _of_account(self, name: str, wanted: ctl.VerdictsWanted) -> list[Verdict]:
        if not await self._accounts.is_stored(name):
            return []
        kept = await verdicts.find(
            await self._accounts.account(name),
            message_id=wanted.message_id or None,
            since_ms=wanted.since_ms or None,
            limit=wanted.limit,
        )
        found = []
        for data in kept:
            try:
                found.append(decode(data))
            except BadVerdict as error:
                log.error("verdict.unreadable", error, account=name)
        return found
