"""What the control socket's commands do."""

from collections.abc import Awaitable, Callable
from functools import partial

from mox.base import log
from mox.base.errors import Malformed, Refused
from mox.base.limits import MESSAGE_SIZE
from mox.config import change
from mox.config.live import AliasTarget, Target
from mox.config.lookup import Miss, find_recipient
from mox.config.names import parse_address
from mox.ctl import commands as ctl
from mox.ctl.server import Call, Handlers, process_ids
from mox.inbound.receive import Receiver
from mox.reports.keeper import Reports
from mox.runtime import domainkeys
from mox.runtime.accounts import Accounts
from mox.runtime.aliascontrol import AliasControl
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.delivery import StoreDeliverer
from mox.runtime.junkcontrol import JunkControl
from mox.runtime.outgoing import OutgoingMail
from mox.runtime.queuecontrol import QueueControl
from mox.runtime.reportcontrol import ReportControl
from mox.runtime.verdictcontrol import VerdictControl
from mox.store.content import NewMessage
from mox.store.shard import Shard


class Control:
    """Handlers of one worker."""

    def __init__(
        self,
        files: ConfigFiles,
        shard: Shard,
        accounts: Accounts,
        stop: Callable[[], None],
        end_sessions: Callable[[str], Awaitable[None]],
        *,
        supervised: bool,
        reports: Reports | None = None,
        outgoing: OutgoingMail | None = None,
    ) -> None:
        """Input  reports: None where none are received."""
        self._reports = reports
        self._queue = (
            None
            if outgoing is None
            else QueueControl(outgoing.queue, outgoing.scheduler.schedule, files.live)
        )
        self._files = files
        self._shard = shard
        self._accounts = accounts
        self._deliverer = StoreDeliverer(accounts)
        self._stop = stop
        self._end_sessions = end_sessions
        self._supervised = supervised

    def handlers(self) -> Handlers:
        """The table."""
        on = (table := Handlers()).on
        on(ctl.STOP, self._on_stop)
        on(ctl.LOG_LEVELS, self._on_levels)
        on(ctl.LOG_LEVEL_SET, self._on_level_set)
        on(ctl.PASSWORD_SET, self._on_password)
        on(ctl.DELIVER, self._on_deliver)
        on(ctl.ACCOUNT_LIST, self._on_account_list)
        on(ctl.ACCOUNT_ADDRESSES, self._on_addresses)
        on(ctl.ACCOUNT_ADD, self._on_account_add)
        on(ctl.ACCOUNT_RM, self._on_account_rm)
        on(ctl.ACCOUNT_DISABLE, self._on_account_disable)
        on(ctl.ACCOUNT_ENABLE, self._on_account_enable)
        on(ctl.ADDRESS_ADD, self._on_address_add)
        on(ctl.ADDRESS_RM, self._on_address_rm)
        on(ctl.ADDRESS_ACCOUNT, self._on_address_account)
        on(ctl.DOMAIN_LIST, self._on_domain_list)
        on(ctl.DOMAIN_ADD, self._on_domain_add)
        on(ctl.DOMAIN_RM, self._on_domain_rm)
        on(ctl.DOMAIN_DISABLE, self._on_domain_disable)
        on(ctl.DOMAIN_ENABLE, self._on_domain_enable)
        AliasControl(self._files).add_to(table)
        VerdictControl(self._files, self._accounts).add_to(table)
        JunkControl(self._files, self._shard, self._accounts).add_to(table)
        if self._reports is not None:
            ReportControl(self._reports).add_to(table)
        if self._queue is not None:
            self._queue.add_to(table)
        return table

    async def _on_stop(self, _: ctl.Nothing, __: Call) -> ctl.Stopping:
        self._stop()
        return ctl.Stopping(processes=process_ids(supervised=self._supervised))

    async def _on_levels(self, _: ctl.Nothing, __: Call) -> ctl.LogLevels:
        return ctl.LogLevels(levels=log.levels())

    async def _on_level_set(self, wanted: ctl.LogLevel, _: Call) -> ctl.Nothing:
        if wanted.level and wanted.level not in log.LEVELS:
            raise Malformed(f"unknown level {wanted.level}; one of: {', '.join(log.LEVELS)}")
        if not wanted.level and not wanted.area:
            raise Malformed("the default level cannot be removed, only set")
        log.set_level(wanted.level, wanted.area or None)
        return ctl.Nothing()

    async def _on_password(self, wanted: ctl.SetPassword, _: Call) -> ctl.Nothing:
        await self._accounts.set_password(wanted.account, wanted.password)
        return ctl.Nothing()

    async def _on_deliver(self, wanted: ctl.Deliver, call: Call) -> ctl.Delivered:
        target = self._target(wanted.address)
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
        prefix = f"Delivered-To: {target.address}\r\n".encode()
        message = NewMessage(
            content=received.content,
            prefix=prefix + (b"\r\n" if received.lacks_separator else b""),
            received_ms=self._shard.clock.now_ms(),
        )
        await self._deliverer.deliver(target.account, target.mailbox, message)
        return ctl.Delivered(account=target.account, mailbox=target.mailbox)

    async def _on_account_list(self, _: ctl.Nothing, __: Call) -> ctl.AccountList:
        accounts = self._files.live.config.domains.accounts
        return ctl.AccountList(
            accounts=tuple(
                ctl.AccountLine(account=name, login_disabled=account.login_disabled)
                for name, account in sorted(accounts.items())
            )
        )

    async def _on_addresses(self, wanted: ctl.AccountName, _: Call) -> ctl.Addresses:
        account = self._files.live.config.domains.accounts.get(wanted.account)
        if account is None:
            raise Refused(f"there is no account {wanted.account!r}")
        return ctl.Addresses(addresses=tuple(sorted(account.destinations)))

    async def _on_account_add(self, wanted: ctl.AccountAddress, _: Call) -> ctl.Nothing:
        name = wanted.account
        if name not in self._files.live.config.domains.accounts:
            await self._refuse_leftovers(name)
        await self._files.edit(partial(change.add_account, account=name, address=wanted.address))
        await self._accounts.account(name)
        return ctl.Nothing()

    async def _on_account_rm(self, wanted: ctl.AccountName, _: Call) -> ctl.Nothing:
        name = wanted.account
        configured = name in self._files.live.config.domains.accounts
        if configured or not await self._accounts.is_stored(name):
            await self._files.edit(partial(change.remove_account, account=name))
        await self._end_sessions(name)
        if self._queue is not None:
            # Of what it sent last, the postmaster hears.
            await self._queue.forget_account(name)
        await self._accounts.remove(name)
        return ctl.Nothing()

    async def _on_account_disable(self, wanted: ctl.AccountDisable, _: Call) -> ctl.Nothing:
        return await self._disable_login(wanted.account, wanted.message)

    async def _on_account_enable(self, wanted: ctl.AccountName, _: Call) -> ctl.Nothing:
        return await self._disable_login(wanted.account, "")

    async def _disable_login(self, account: str, message: str) -> ctl.Nothing:
        await self._files.edit(partial(change.set_login_disabled, account=account, message=message))
        return ctl.Nothing()

    async def _on_address_add(self, wanted: ctl.AccountAddress, _: Call) -> ctl.Nothing:
        await self._files.edit(
            partial(change.add_address, account=wanted.account, address=wanted.address)
        )
        return ctl.Nothing()

    async def _on_address_rm(self, wanted: ctl.Address, _: Call) -> ctl.Nothing:
        if self._queue is not None:
            await self._queue.refuse_senders(wanted.address)
        await self._files.edit(partial(change.remove_address, address=wanted.address))
        return ctl.Nothing()

    async def _on_address_account(self, wanted: ctl.Address, _: Call) -> ctl.AddressTarget:
        target = self._target(wanted.address)
        return ctl.AddressTarget(account=target.account, mailbox=target.mailbox)

    async def _on_domain_list(self, _: ctl.Nothing, __: Call) -> ctl.DomainList:
        domains = self._files.live.config.domains.domains
        return ctl.DomainList(
            domains=tuple(
                ctl.DomainLine(domain=name, disabled=domain.disabled)
                for name, domain in sorted(domains.items())
            )
        )

    async def _on_domain_add(self, wanted: ctl.DomainAdd, _: Call) -> ctl.Nothing:
        if wanted.account not in self._files.live.config.domains.accounts:
            await self._refuse_leftovers(wanted.account)
        await domainkeys.add_domain(self._files, wanted, now_ms=self._shard.clock.now_ms())
        await self._accounts.account(wanted.account)
        return ctl.Nothing()

    async def _on_domain_rm(self, wanted: ctl.DomainName, _: Call) -> ctl.Nothing:
        await domainkeys.remove_domain(self._files, wanted.domain)
        return ctl.Nothing()

    async def _on_domain_disable(self, wanted: ctl.DomainName, _: Call) -> ctl.Nothing:
        return await self._disable_domain(wanted.domain, disabled=True)

    async def _on_domain_enable(self, wanted: ctl.DomainName, _: Call) -> ctl.Nothing:
        return await self._disable_domain(wanted.domain, disabled=False)

    async def _disable_domain(self, domain: str, *, disabled: bool) -> ctl.Nothing:
        await self._files.edit(
            partial(change.set_domain_disabled, domain=domain, disabled=disabled)
        )
        return ctl.Nothing()

    async def _refuse_leftovers(self, account: str) -> None:
        """A new account must not inherit the mail of an old one.    Errors: Refused."""
        if await self._accounts.is_stored(account):
            raise Refused(
                f"the mail of an earlier account {account!r} is still there; remove it with:"
                f" mox config account rm {account}, or choose another name"
            )

    def _target(self, text: str) -> Target:
        address = parse_address(text)
        if address is None or address.localpart is None:
            raise Malformed(f"{text!r} is not an address")
        found = find_recipient(self._files.live.config, address.localpart, address.domain)
        if isinstance(found, AliasTarget):
            raise Refused(
                f"{text} is an alias; its members: mox config alias print {found.address}"
            )
        if isinstance(found, Miss):
            raise Refused(f"{text}: {found.value}")
        return found
