"""Accounts as configured meet accounts as stored: logins, passwords, creation, delivery targets."""

import asyncio
import secrets
from collections.abc import Callable

import msgspec

from mox.base.errors import Refused
from mox.base.log import get_logger
from mox.config.live import Config, Live
from mox.config.lookup import find_login
from mox.sasl.mechanism import Credentials
from mox.sasl.secretset import SecretSet, derive
from mox.store.account import Account
from mox.store.credentials import read_credentials, write_credentials
from mox.store.errors import AccountMissing, DataDamaged
from mox.store.shard import Shard

log = get_logger("accounts")


class Login(msgspec.Struct, frozen=True, kw_only=True):
    """Who logs in with an address."""

    account: str
    credentials: Credentials | None  # None: no password was set
    disabled: str  # why no login is possible, or empty
    capabilities_disabled: tuple[str, ...] = ()


class Accounts:
    """The accounts of this worker's shard, as the current configuration names them."""

    def __init__(self, shard: Shard, live: Live) -> None:
        self._shard = shard
        self._live = live
        self._creating: dict[str, asyncio.Task[Account]] = {}
        # Argon2id takes 19 MiB and 30 ms each: at most two at once.
        self._hashing = asyncio.Semaphore(2)
        live.listen(self._reconfigured)

    async def account(self, name: str) -> Account:
        """A configured account, created in the store when it is new there.

        Errors  AccountMissing when the configuration does not know it.
        """
        config = self._live.config
        if name not in config.domains.accounts:
            raise AccountMissing(f"no such account: {name}")
        try:
            account = await self._shard.account(name)
        except AccountMissing:
            task = self._creating.get(name)
            if task is None:
                task = self._creating[name] = asyncio.create_task(self._create(config, name))
                task.add_done_callback(lambda _: self._creating.pop(name, None))
            account = await asyncio.shield(task)
        account.quota_bytes = quota_of(config, name)
        return account

    async def login(self, username: str) -> Login | None:
        """What a login with this address is checked against; None when nobody has it."""
        found = find_login(self._live.config, username)
        if found is None:
            return None
        name, configured = found
        account = await self.account(name)
        value = read_credentials(account)
        return Login(
            account=name,
            credentials=None if value is None else decode_secrets(value, name),
            disabled=configured.login_disabled,
            capabilities_disabled=configured.imap_capabilities_disabled,
        )

    async def set_password(self, name: str, password: str) -> None:
        """Errors: AccountMissing, PasswordUnfit."""
        account = await self.account(name)
        async with self._hashing:
            stored = await self._shard.in_thread(derive, password, secrets.token_bytes)
        await write_credentials(account, msgspec.msgpack.encode(stored))
        log.info("account.password_set", account=name)

    async def remove(self, name: str) -> None:
        """Remove the stored data of an account the configuration no longer names."""
        if name in self._live.config.domains.accounts:
            raise Refused(f"account {name} is still configured")
        try:
            await self._shard.remove_account(name)
        except AccountMissing:
            return
        log.info("account.removed", account=name)

    async def create_configured(self) -> None:
        """Make the accounts that the configuration names and the store does not know."""
        for name in self._live.config.domains.accounts:
            await self.account(name)

    async def verify(self, check: Callable[[], bool]) -> bool:
        """Run a slow password check in a thread, at most two at once."""
        async with self._hashing:
            return await self._shard.in_thread(check)

    async def _create(self, config: Config, name: str) -> Account:
        initial = config.static.initial_mailboxes
        mailboxes = [(mailbox, role) for role, mailbox in initial.special_use.by_role().items()]
        mailboxes += [(mailbox, "") for mailbox in initial.regular]
        account = await self._shard.create_account(name, mailboxes=mailboxes)
        log.info("account.created", account=name)
        return account

    def _reconfigured(self, _old: Config, new: Config) -> None:
        for account in self._shard.open_accounts():
            account.quota_bytes = quota_of(new, account.name)


def quota_of(config: Config, name: str) -> int:
    """Bytes an account may hold, 0 for no limit."""
    account = config.domains.accounts.get(name)
    own = account.quota_message_size if account is not None else 0
    return max(0, own or config.static.quota_message_size)


def decode_secrets(value: bytes, account: str) -> SecretSet:
    """Errors: DataDamaged."""
    try:
        return msgspec.msgpack.decode(value, type=SecretSet)
    except msgspec.DecodeError as error:
        raise DataDamaged(f"the stored password of {account} is damaged", cause=error) from error
