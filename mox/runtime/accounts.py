"""Accounts as configured meet accounts as stored: logins, passwords, creation, removal."""

import asyncio
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import msgspec

from mox.base.errors import Refused, Unavailable
from mox.base.limits import PASSWORD_HASHES
from mox.base.log import get_logger
from mox.config.live import Config, Live
from mox.config.lookup import find_login, login_identity
from mox.runtime.accountsettings import apply_settings
from mox.runtime.passwordcache import PasswordCache
from mox.sasl.mechanism import CramSecret, Credentials, ScramSecret, Verify
from mox.sasl.secretset import SecretSet, derive
from mox.store.account import Account
from mox.store.credentials import read_credentials, write_credentials
from mox.store.errors import AccountExists, AccountMissing, DataDamaged
from mox.store.shard import Shard

log = get_logger("accounts")

REMOVAL_WAIT_S = 30.0  # for deliveries in progress


class AccountSecrets:
    """The credentials of an account, with its name."""

    __slots__ = ("account", "secrets")

    def __init__(self, account: str, secrets: SecretSet) -> None:
        self.account = account
        self.secrets = secrets

    def verify_password(self, password: str) -> bool:
        """Is it the password?    Slow: call it in a thread."""
        return self.secrets.verify_password(password)

    def scram(self, hash_name: str) -> ScramSecret | None:
        """The secret for ``sha1`` or ``sha256``."""
        return self.secrets.scram(hash_name)

    def cram_md5(self) -> CramSecret | None:
        """The secret for CRAM-MD5."""
        return self.secrets.cram_md5()


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
        self._users: Counter[str] = Counter()  # deliveries in progress by account
        self._idle: dict[str, asyncio.Event] = {}  # removals wait for them to end
        self._hashers = ThreadPoolExecutor(PASSWORD_HASHES, thread_name_prefix="password")
        self._checked = PasswordCache(shard.clock)
        shard.configure = self._opened
        for account in shard.open_accounts():
            self._opened(account)
        live.listen(self._reconfigured)

    def close(self) -> None:
        """No more passwords are checked."""
        self._hashers.shutdown(wait=False, cancel_futures=True)

    async def account(self, name: str) -> Account:
        """A configured account, created in the store when it is new there.

        Errors  AccountMissing when the configuration does not know it.
        """
        self._must_be_configured(name)
        try:
            account = await self._shard.account(name)
        except AccountMissing:
            account = await self._create(name)
        # It may have been removed while we waited.
        self._must_be_configured(name)
        return account

    def using(self, name: str) -> "_Use":
        """An account that is not removed before we are done with it.    Errors: AccountMissing."""
        return _Use(self, name)

    def begin_use(self, name: str) -> None:
        """Somebody works with an account."""
        self._users[name] += 1

    def end_use(self, name: str) -> None:
        """And is done with it."""
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            if name in self._idle:
                self._idle[name].set()

    async def login(self, username: str) -> Login | None:
        """What a login with this address is checked against; None when nobody has it."""
        found = find_login(self._live.config, username)
        if found is None:
            return None
        name, configured = found
        value = read_credentials(await self.account(name))
        stored = None if value is None else decode_secrets(value, name)
        return Login(
            account=name,
            credentials=None if stored is None else AccountSecrets(name, stored),
            disabled=configured.login_disabled,
            capabilities_disabled=configured.imap_capabilities_disabled,
        )

    def identity(self, username: str) -> str:
        """One name for all spellings of a user name, whoever it is."""
        return login_identity(self._live.config, username)

    async def verify(self, step: Verify) -> bool:
        """Check a password; slow, in a thread, unless the same check succeeded lately."""
        loop = asyncio.get_running_loop()
        known = step.credentials
        if not isinstance(known, AccountSecrets):
            return await loop.run_in_executor(self._hashers, step.run)
        name, stored = known.account, known.secrets.password_hash
        if self._checked.knows(name, stored, step.password):
            return True
        good = await loop.run_in_executor(self._hashers, step.run)
        if good:
            self._checked.remember(name, stored, step.password)
        return good

    async def set_password(self, name: str, password: str) -> None:
        """Errors: AccountMissing, PasswordUnfit."""
        account = await self.account(name)
        stored = await asyncio.get_running_loop().run_in_executor(
            self._hashers, derive, password, secrets.token_bytes
        )
        await write_credentials(account, msgspec.msgpack.encode(stored))
        log.info("account.password_set", account=name)

    async def has_password(self, name: str) -> bool:
        """Was one ever set?    Errors: AccountMissing."""
        return read_credentials(await self.account(name)) is not None

    async def is_stored(self, name: str) -> bool:
        """Is there data of an account, configured or not?"""
        return name in await self._shard.account_names()

    async def remove(self, name: str) -> bool:
        """Remove the data of an account the configuration no longer names.    False: there is none.

        Its sessions were ended.  Deliveries in progress come to their end first.
        Errors  Refused, Unavailable.
        """
        if name in self._live.config.domains.accounts:
            raise Refused(f"account {name} is still configured")
        await self._wait_until_idle(name)
        try:
            await self._shard.remove_account(name)
        except AccountMissing:
            return False
        log.info("account.removed", account=name)
        return True

    async def _wait_until_idle(self, name: str) -> None:
        if name not in self._users:
            return
        idle = self._idle.setdefault(name, asyncio.Event())
        try:
            async with asyncio.timeout(REMOVAL_WAIT_S):
                await idle.wait()
        except TimeoutError as error:
            raise Unavailable(
                f"a delivery to {name} does not end, so its data is still there; remove it again",
                cause=error,
            ) from error
        finally:
            self._idle.pop(name, None)

    def _must_be_configured(self, name: str) -> None:
        if name not in self._live.config.domains.accounts:
            raise AccountMissing(f"no such account: {name}")

    async def _create(self, name: str) -> Account:
        initial = self._live.config.static.initial_mailboxes
        mailboxes = [(mailbox, role) for role, mailbox in initial.special_use.by_role().items()]
        mailboxes += [(mailbox, "") for mailbox in initial.regular]
        try:
            account = await self._shard.create_account(name, mailboxes=mailboxes)
        except AccountExists:
            return await self._shard.account(name)  # somebody else made it meanwhile
        log.info("account.created", account=name)
        return account

    def _opened(self, account: Account) -> None:
        apply_settings(self._live.config, account)

    def _reconfigured(self, _old: Config, new: Config) -> None:
        for account in self._shard.open_accounts():
            apply_settings(new, account)


class _Use:
    """``Accounts.using``; each delivery has one, and a generator would cost three times as much."""

    __slots__ = ("_accounts", "_name")

    def __init__(self, accounts: Accounts, name: str) -> None:
        self._accounts = accounts
        self._name = name

    async def __aenter__(self) -> Account:
        account = await self._accounts.account(self._name)
        self._accounts.begin_use(self._name)
        return account

    async def __aexit__(self, *_: object) -> None:
        self._accounts.end_use(self._name)


def decode_secrets(value: bytes, account: str) -> SecretSet:
    """Errors: DataDamaged."""
    try:
        return msgspec.msgpack.decode(value, type=SecretSet)
    except msgspec.DecodeError as error:
        raise DataDamaged(f"the stored password of {account} is damaged", cause=error) from error
