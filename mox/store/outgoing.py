"""How many recipients an account wrote to in the last day, and how many of them for the first time.

Counted in steps of ten minutes, so that a day is 144 small rows whatever the account sends.  Counts
survive a restart; the last second before a crash may be missing.
Source  spec/smtp-server.md section 7 point 6, spec/store.md section 13.
"""

from collections import Counter, OrderedDict
from collections.abc import Sequence

import msgspec

from mox.base.errors import Unavailable
from mox.base.limits import OUTGOING_ACCOUNTS, OUTGOING_ADDRESSES
from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows

_STEP_MS = 600_000
_STEPS = 144  # of a day


class SendLimit(Unavailable):
    """The account has sent enough for a day."""

    default = "sending limit reached"


class Sent(msgspec.Struct, frozen=True, array_like=True):
    """In one step."""

    recipients: int = 0
    new: int = 0  # never written to before


class Outgoing:
    """The counts of one shard's accounts.    For one event loop."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, dict[int, Sent]] = OrderedDict()  # by account and step
        self._pending: Counter[int] = Counter()  # checked, not recorded yet
        self._written_to: OrderedDict[tuple[int, str], None] = OrderedDict()  # lately, by account

    async def check(
        self,
        account: Account,
        addresses: Sequence[str],
        now_ms: int,
        *,
        per_day: int,
        new_per_day: int,
    ) -> None:
        """May the account write to these now?    ``record`` or ``drop`` must follow.

        Input   addresses: canonical, one for each recipient.
        Errors  SendLimit: then nothing has to follow.
        """
        steps = await self._steps(account, now_ms)
        total = sum(step.recipients for step in steps.values()) + self._pending[account.id]
        if total + len(addresses) > per_day:
            raise SendLimit(f"at most {per_day} recipients in 24 hours; {total} were written to")
        self._pending[account.id] += len(addresses)
        # Strangers cannot be more than all: the addresses are looked up only near the limit.
        if total + len(addresses) >= new_per_day:
            try:
                new = len(await self._new(account, addresses))
                new += sum(step.new for step in steps.values())
                if new > new_per_day:
                    raise SendLimit(f"at most {new_per_day} new recipients in 24 hours")
            except BaseException:
                self.drop(account, addresses)
                raise

    def drop(self, account: Account, addresses: Sequence[str]) -> None:
        """They were not written to after all."""
        self._pending[account.id] -= len(addresses)
        if self._pending[account.id] <= 0:
            del self._pending[account.id]

    async def record(self, account: Account, addresses: Sequence[str], now_ms: int) -> None:
        """They were written to.    Errors: StoreStopped, AccountMissing."""
        try:
            new = await self._new(account, addresses)
            steps = await self._steps(account, now_ms)
            account.check_open()
        finally:
            self.drop(account, addresses)
        number = now_ms // _STEP_MS
        before = steps.get(number, Sent())
        after = Sent(before.recipients + len(addresses), before.new + len(new))
        steps[number] = after
        batch = Batch()
        batch.put(Family.KV, keys.sent_count(account.id, number), rows.encode(after))
        for address in new:
            batch.put(Family.KV, keys.written_to(account.id, address), b"")
        batch.delete_range(
            Family.KV,
            keys.sent_count(account.id, 0),
            keys.sent_count(account.id, max(0, number - _STEPS)),
        )
        account.ticket = account.committer.stage(batch, is_patient=True)
        for address in addresses:
            self._remember(account, address)

    async def _new(self, account: Account, addresses: Sequence[str]) -> list[str]:
        """Those the account never wrote to.

        Most people write to the same addresses again and again: these are not looked up.
        """
        known = self._written_to
        distinct = [one for one in dict.fromkeys(addresses) if (account.id, one) not in known]
        if not distinct:
            return []
        found = await account.shard.in_thread(
            account.shard.engine.multi_get,
            Family.KV,
            [keys.written_to(account.id, address) for address in distinct],
        )
        # Another submission may have recorded them meanwhile.
        return [
            address
            for address, value in zip(distinct, found, strict=True)
            if value is None and (account.id, address) not in known
        ]

    def _remember(self, account: Account, address: str) -> None:
        self._written_to[account.id, address] = None
        self._written_to.move_to_end((account.id, address))
        if len(self._written_to) > OUTGOING_ADDRESSES:
            self._written_to.popitem(last=False)

    async def _steps(self, account: Account, now_ms: int) -> dict[int, Sent]:
        """The steps of the last day, by number; what is changed in it is remembered."""
        first = now_ms // _STEP_MS - _STEPS + 1
        steps = self._known.get(account.id)
        if steps is None:

            def read() -> dict[int, Sent]:
                start, end = (
                    keys.sent_count(account.id, first),
                    keys.sent_count(account.id, 1 << 31),
                )
                found = account.shard.engine.scan(Family.KV, start, end)
                return {int.from_bytes(key[5:9], "big"): rows.decode(Sent, v) for key, v in found}

            await account.committer.written(account.ticket)
            loaded = await account.shard.in_thread(read)
            # Another submission may have loaded and changed them meanwhile.
            steps = self._known.setdefault(account.id, loaded)
            if len(self._known) > OUTGOING_ACCOUNTS:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(account.id)
        for number in [number for number in steps if number < first]:
            del steps[number]
        return steps
