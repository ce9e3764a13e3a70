"""What the control socket does with the queue of outgoing mail."""

from collections.abc import Awaitable, Callable

from mox.base.errors import Malformed, Refused
from mox.base.limits import QUEUE_DUMP, QUEUE_PAGE
from mox.config.live import Live, Target
from mox.config.lookup import find_exact, find_sender
from mox.config.names import parse_address as parse_config_address
from mox.ctl import queuecommands as ctl
from mox.ctl.commands import Nothing
from mox.ctl.server import Call, Handlers
from mox.queue import changing, keeping, suppressing
from mox.queue.database import Database
from mox.queue.entry import Retired, Suppression
from mox.queue.errors import EntryMissing
from mox.queue.filter import Filter
from mox.queue.listing import page, retired_page
from mox.queue.schedule import Schedule
from mox.smtp.address import Address, parse_address, parse_domain
from mox.smtp.errors import CommandError


class QueueControl:
    """Handlers of one worker."""

    def __init__(self, database: Database, schedule: Schedule, live: Live) -> None:
        self._database = database
        self._schedule = schedule
        self._live = live

    def add_to(self, table: Handlers) -> None:
        """Put the handlers into a table."""
        on = table.on
        on(ctl.QUEUE_LIST, self._on_list)
        on(ctl.QUEUE_HOLD, self._on_hold)
        on(ctl.QUEUE_SCHEDULE, self._on_schedule)
        on(ctl.QUEUE_TRANSPORT, self._on_transport)
        on(ctl.QUEUE_REQUIRETLS, self._on_require_tls)
        on(ctl.QUEUE_FAIL, self._on_fail)
        on(ctl.QUEUE_DROP, self._on_drop)
        on(ctl.QUEUE_DUMP, self._on_dump)
        on(ctl.QUEUE_EXPLAIN, self._on_explain)
        on(ctl.QUEUE_HOLDRULES, self._on_rules)
        on(ctl.QUEUE_HOLDRULE_ADD, self._on_rule_add)
        on(ctl.QUEUE_HOLDRULE_REMOVE, self._on_rule_remove)
        on(ctl.QUEUE_RETIRED, self._on_retired)
        on(ctl.QUEUE_SUPPRESSIONS, self._on_suppressions)
        on(ctl.QUEUE_SUPPRESS, self._on_suppress)
        on(ctl.QUEUE_RELEASE, self._on_release)
        on(ctl.QUEUE_SUPPRESSED, self._on_suppressed)

    # ------------------------------------------------------------ messages

    async def _on_list(self, wanted: ctl.QueueWanted, call: Call) -> ctl.QueueShown:
        async def read(cursor: bytes | None, limit: int) -> tuple[list[object], bytes | None]:
            found = await page(
                self._database,
                wanted.filter,
                sort=wanted.sort,
                ascending=wanted.ascending,
                cursor=cursor,
                limit=limit,
            )
            return list(found.entries), found.cursor

        return await _show(call, read, wanted.limit)

    async def _on_hold(self, wanted: ctl.QueueHold, _: Call) -> ctl.QueueChanged:
        count = await changing.hold(self._database, wanted.filter, on=wanted.on, limit=wanted.limit)
        return ctl.QueueChanged(count=count)

    async def _on_schedule(self, wanted: ctl.QueueSchedule, _: Call) -> ctl.QueueChanged:
        count = await changing.schedule(
            self._database,
            wanted.filter,
            wanted.delay_ms,
            from_now=wanted.from_now,
            limit=wanted.limit,
        )
        return ctl.QueueChanged(count=count)

    async def _on_transport(self, wanted: ctl.QueueTransport, _: Call) -> ctl.QueueChanged:
        known = self._live.config.static.transports
        if wanted.transport and wanted.transport not in known:
            names = ", ".join(sorted(known)) or "none"
            raise Refused(f"there is no transport {wanted.transport!r}; configured: {names}")
        count = await changing.set_transport(
            self._database, wanted.filter, wanted.transport, wanted.limit
        )
        return ctl.QueueChanged(count=count)

    async def _on_require_tls(self, wanted: ctl.QueueRequireTls, _: Call) -> ctl.QueueChanged:
        count = await changing.set_require_tls(
            self._database, wanted.filter, wanted.require_tls, wanted.limit
        )
        return ctl.QueueChanged(count=count)

    async def _on_fail(self, wanted: ctl.QueueMeant, _: Call) -> ctl.QueueChanged:
        count = await changing.fail(self._database, wanted.filter, wanted.limit)
        return ctl.QueueChanged(count=count)

    async def _on_drop(self, wanted: ctl.QueueMeant, _: Call) -> ctl.QueueChanged:
        count = await changing.drop(self._database, wanted.filter, wanted.limit)
        return ctl.QueueChanged(count=count)

    async def _on_dump(self, wanted: ctl.QueuePieceWanted, _: Call) -> ctl.QueuePiece:
        entry = await self._database.get(wanted.number)
        start = max(0, wanted.start)
        data = await self._database.contents.read(entry.content, start, start + QUEUE_DUMP)
        return ctl.QueuePiece(data=data, size=entry.size)

    async def _on_explain(self, wanted: ctl.QueueNumber, call: Call) -> ctl.QueueExplained:
        entry, retired = None, None
        try:
            entry = await self._database.get(wanted.number)
        except EntryMissing:
            retired = await self._retired(wanted.number)
        for attempt in await self._database.attempts_of(wanted.number):
            await call.progress(attempt)
        return ctl.QueueExplained(
            entry=entry,
            retired=retired,
            now_ms=self._database.clock.now_ms(),
            schedule=self._schedule,
        )

    async def _retired(self, number: int) -> Retired:
        try:
            return await keeping.retired(self._database, number)
        except Refused as error:
            text = f"there is no message {number}, and none is remembered"
            raise Refused(text, cause=error) from error

    async def _on_retired(self, wanted: ctl.QueueWanted, call: Call) -> ctl.QueueShown:
        async def read(cursor: bytes | None, limit: int) -> tuple[list[object], bytes | None]:
            found = await retired_page(
                self._database,
                wanted.filter,
                sort=wanted.sort,
                ascending=wanted.ascending,
                cursor=cursor,
                limit=limit,
            )
            return list(found.retired), found.cursor

        return await _show(call, read, wanted.limit)

    # ------------------------------------------------------------ hold rules

    async def _on_rules(self, _: Nothing, __: Call) -> ctl.HoldRules:
        return ctl.HoldRules(rules=tuple(self._database.rules))

    async def _on_rule_add(self, wanted: ctl.HoldRuleAdd, _: Call) -> ctl.HoldRuleAdded:
        rule, count = await changing.add_rule(
            self._database,
            account=wanted.account,
            sender_domain=_domain(wanted.sender_domain),
            recipient_domain=_domain(wanted.recipient_domain),
        )
        return ctl.HoldRuleAdded(rule=rule, count=count)

    async def _on_rule_remove(self, wanted: ctl.QueueNumber, _: Call) -> Nothing:
        await changing.remove_rule(self._database, wanted.number)
        return Nothing()

    # ------------------------------------------------------------ suppression list

    async def _on_suppressions(self, wanted: ctl.SuppressionsWanted, call: Call) -> ctl.QueueShown:
        async def read(cursor: bytes | None, limit: int) -> tuple[list[object], bytes | None]:
            found = await suppressing.suppressions(
                self._database, wanted.account or None, cursor=cursor, limit=limit
            )
            return list(found.suppressions), found.cursor

        return await _show(call, read, 0)

    async def _on_suppress(self, wanted: ctl.SuppressedAddress, _: Call) -> Nothing:
        if wanted.account not in self._live.config.domains.accounts:
            raise Refused(f"there is no account {wanted.account!r}")
        reason = wanted.reason or "by the administrator"
        await suppressing.suppress(self._database, wanted.account, _address(wanted.address), reason)
        return Nothing()

    async def _on_release(self, wanted: ctl.SuppressedAddress, _: Call) -> Nothing:
        await suppressing.release(self._database, wanted.account, _address(wanted.address))
        return Nothing()

    async def _on_suppressed(self, wanted: ctl.SuppressedAddress, _: Call) -> ctl.Suppressions:
        address = _address(wanted.address)
        names = [wanted.account] if wanted.account else sorted(self._live.config.domains.accounts)
        found: list[Suppression] = []
        for name in names:
            one = await suppressing.find(self._database, name, address)
            if one is not None:
                found.append(one)
        return ctl.Suppressions(suppressions=tuple(found))

    # ------------------------------------------------------------ accounts

    async def forget_account(self, account: str) -> int:
        """An account is removed: its messages fail, its list goes.    Output: how many failed."""
        count = await changing.fail(self._database, Filter(account=account))
        await suppressing.forget_account(self._database, account)
        return count

    # ------------------------------------------------------------ addresses

    async def refuse_senders(self, address: str) -> None:
        """An address is to be removed.    Errors: Refused, while a message from it is in the queue.

        Source  spec/config.md section 11: its sender could no longer be told what became of it.
        """
        config = self._live.config
        named = parse_config_address(address)
        removed = find_exact(config, named) if named is not None else None
        if not isinstance(removed, Target):
            return  # the edit says why not
        cursor: bytes | None = None
        while True:
            found = await page(
                self._database, Filter(account=removed.account), cursor=cursor, limit=QUEUE_PAGE
            )
            for entry in found.entries:
                sender = entry.sender
                if (
                    not sender.is_null
                    and find_sender(config, sender.localpart, sender.domain) is removed
                ):
                    raise Refused(
                        f"a message from {sender.unicode()} is in the queue; wait until it is gone,"
                        f" or look at it with: mox queue list --ids {entry.id}"
                    )
            cursor = found.cursor
            if cursor is None:
                return


Read = Callable[[bytes | None, int], Awaitable[tuple[list[object], bytes | None]]]


async def _show(call: Call, read: Read, limit: int) -> ctl.QueueShown:
    """Send everything, page by page, as fast as it is read at the other end."""
    count, cursor = 0, None
    while True:
        size = min(QUEUE_PAGE, limit - count) if limit else QUEUE_PAGE
        found, cursor = await read(cursor, size)
        for one in found:
            await call.progress(one)
        count += len(found)
        if cursor is None or (limit and count >= limit):
            return ctl.QueueShown(count=count)


def _domain(text: str) -> str:
    if not text:
        return ""
    try:
        return parse_domain(text)
    except CommandError as error:
        raise Malformed(f"{text!r} is not a domain", cause=error) from error


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except CommandError as error:
        raise Malformed(f"{text!r} is not an address", cause=error) from error
