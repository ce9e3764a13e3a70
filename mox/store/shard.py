"""A shard: one index, its packs, its committer, and the accounts in it.    One process has it open."""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar
from weakref import WeakValueDictionary

from mox.base.clock import Clock, SystemClock
from mox.base.ids import AccountId
from mox.base.limits import ACCOUNTS_OPEN, MIB
from mox.base.mailboxname import INBOX
from mox.mailauth.publicsuffix import listed
from mox.store.account import Account, load_account
from mox.store.blobs.base import Blobs
from mox.store.blobs.memory import MemoryBlobs
from mox.store.blobs.packs import PackBlobs
from mox.store.bodies import BodyWriter
from mox.store.changes import ChangeSet
from mox.store.commit import LAZY_SYNC_S, Committer
from mox.store.content import Derive, Spool
from mox.store.engine.base import Batch, Engine, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.erase import Eraser
from mox.store.errors import AccountExists, AccountMissing, DataUnreadable
from mox.store.layout import keys, rows
from mox.store.layout.rows import FORMAT_VERSION, AccountRecord, Location
from mox.store.learn import Learner
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import SPECIAL_USES
from mox.store.rates import Rates
from mox.store.reclaim import Reclaimer
from mox.store.recover import recover_mailbox
from mox.store.space import Space
from mox.store.thread import WorkThreads
from mox.store.tidy import Tidier
from mox.store.votes import Organizational
from mox.store.words import WordCache

P = ParamSpec("P")
T = TypeVar("T")

READERS = 4  # threads for reads from disk
COLUMNS_MAX = 512 * MIB  # bytes of columns kept for mailboxes nobody has open
KEPT_LOOK = 8  # accounts looked at for one to let go of, so that many busy ones cost little
INITIAL_MAILBOXES = tuple((name, name) for name in ("Archive", "Drafts", "Junk", "Sent", "Trash"))


def listed_organizational(domain: str) -> str:
    """The organizational domain by the public suffix list; reads it at the first call."""
    return listed().organizational(domain)


def _leave(_: Account) -> None:
    """The settings an account is made with."""


class Shard:
    """Made by ``open_shard`` or ``memory_shard``."""

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        spool_folder: Path,
        derive: Derive,
        *,
        clock: Clock | None = None,
        lazy_sync_s: float = LAZY_SYNC_S,
        columns_max: int = COLUMNS_MAX,
        accounts_max: int = ACCOUNTS_OPEN,
    ) -> None:
        self.engine = engine
        self.blobs = blobs
        self.derive = derive
        self.clock: Clock = clock or SystemClock()
        self.committer = Committer(engine, lazy_sync_s=lazy_sync_s)
        self.bodies = BodyWriter(blobs)
        self.space = Space(blobs, self.clock)
        self.reclaimer = Reclaimer(self, blobs) if isinstance(blobs, PackBlobs) else None
        self.words = WordCache()
        self.organizational: Organizational = listed_organizational
        self.learner = Learner(self)
        self.eraser = Eraser(self)
        self.rates = Rates()
        self.tidier = Tidier(self)
        self.spool_folder = spool_folder
        self._readers = WorkThreads("read", READERS)
        self.configure: Callable[[Account], None] = _leave  # of each account that is opened
        # There is one object of an account: whoever still has one that is not kept, shares it.
        self._accounts: WeakValueDictionary[str, Account] = WeakValueDictionary()
        self._kept: OrderedDict[str, Account] = OrderedDict()  # oldest use first
        self._accounts_max = accounts_max
        self._opening: dict[str, asyncio.Future[Account]] = {}
        self._creating = asyncio.Lock()  # each new account takes the next number of the index
        self._columns_max = columns_max
        self.removed: set[int] = set()  # accounts removed by this process
        # Bytes of columns, oldest use first.
        self._loaded: OrderedDict[Mailbox, int] = OrderedDict()
        self._loaded_bytes = 0
        self._deleted: list[Mailbox] = []  # deleted while somebody had them open

    async def in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call in a reader thread."""
        return await self._readers.run(call, *args, **kwargs)

    def named(self, location: Location) -> None:
        """A row that names the place of a body is staged."""
        self.bodies.named(location)
        if self.reclaimer is not None:
            self.reclaimer.added(location)

    def spool(self) -> Spool:
        """For a content of unknown size."""
        return Spool(self.spool_folder)

    async def account(self, name: str) -> Account:
        """An account by name, opened when it is not.    Errors: AccountMissing."""
        found = self._accounts.get(name)
        if found is not None:
            self._keep(found)
            return found
        opening = self._opening.get(name)
        if opening is None:
            opening = self._opening[name] = asyncio.ensure_future(self._open(name))
            opening.add_done_callback(partial(self._end_opening, name))
        return await asyncio.shield(opening)

    def _end_opening(self, name: str, opening: "asyncio.Future[Account]") -> None:
        # However it ended, and whether or not somebody still waits for it.
        del self._opening[name]
        if not opening.cancelled():
            opening.exception()

    async def _open(self, name: str) -> Account:
        def read() -> Account | None:
            value = self.engine.get(Family.META, keys.account_name(name))
            if value is None:
                return None
            return load_account(self, AccountId(int.from_bytes(value, "big")))

        # The object before this one may have staged what has no waiter.
        await self.committer.written(self.committer.staged)
        account = await self.in_thread(read)
        if account is None:
            raise AccountMissing(f"no such account: {name}")
        for mailbox in list(account.mailboxes.values()):
            if mailbox.record.dirty:
                await recover_mailbox(account, mailbox)
        self.configure(account)
        self._accounts[name] = account
        self._keep(account)
        self.learner.wake(account)
        self.eraser.wake_account(account)
        self.tidier.wake(account)
        return account

    def _keep(self, account: Account) -> None:
        """An account is in use; let go of others that nobody uses when there are too many."""
        self._kept[account.name] = account
        self._kept.move_to_end(account.name)
        for _ in range(KEPT_LOOK):
            if len(self._kept) <= self._accounts_max:
                return
            name, oldest = next(iter(self._kept.items()))
            if oldest.is_idle:
                del self._kept[name]
                self._drop_columns(oldest)
            else:
                self._kept.move_to_end(name)

    def _drop_columns(self, account: Account) -> None:
        for mailbox in account.mailboxes.values():
            if mailbox.drop_columns():
                self._loaded_bytes -= self._loaded.pop(mailbox, 0)

    def open_accounts(self) -> list[Account]:
        """Accounts in memory."""
        return list(self._accounts.values())

    async def account_names(self) -> list[str]:
        """Names of all accounts, sorted."""

        def read() -> list[str]:
            found = self.engine.scan(Family.META, *keys.ACCOUNT_NAMES)
            return [key[1:].decode() for key, _ in found]

        return await self.in_thread(read)

    async def create_account(
        self,
        name: str,
        *,
        mailboxes: Iterable[tuple[str, str]] = INITIAL_MAILBOXES,
    ) -> Account:
        """A new account with Inbox and others, given as (name, special use or "").

        Errors  AccountExists.
        """
        async with self._creating:
            return await self._create(name, mailboxes)

    async def _create(self, name: str, mailboxes: Iterable[tuple[str, str]]) -> Account:
        taken = await self.in_thread(self.engine.get, Family.META, keys.account_name(name))
        if taken is not None or name in self._accounts:
            raise AccountExists(f"account already exists: {name}")
        value = self.engine.get(Family.META, keys.NEXT_ACCOUNT)
        number = AccountId(int.from_bytes(value, "big") if value else 1)
        now = self.clock.now_ms()
        uidvalidity = (now // 1000 // 2) & 0xFFFFFFFF
        record = AccountRecord(name=name, next_uidvalidity=uidvalidity + 1)
        account = Account(self, number, record)
        self.configure(account)
        change = ChangeSet(account)
        change.batch.put(Family.META, keys.NEXT_ACCOUNT, (number + 1).to_bytes(4, "big"))
        change.batch.put(Family.META, keys.account_name(name), number.to_bytes(4, "big"))
        for mailbox_name, use in ((INBOX, ""), *mailboxes):
            mailbox = account.add_mailbox(change, mailbox_name, uidvalidity=uidvalidity)
            mailbox.record.special_use = (use,) if use in SPECIAL_USES else ()
            account.subscriptions.add(mailbox_name)
            key = keys.setting(number, keys.SUBSCRIPTION, mailbox_name.encode())
            change.batch.put(Family.KV, key, b"")
        self._accounts[name] = account
        self._keep(account)
        await self.committer.synced(change.stage())
        return account

    async def remove_account(self, name: str) -> None:
        """Remove an account with everything in it.    Errors: AccountMissing."""
        account = await self.account(name)
        await account.settle()
        if account.id in self.removed:
            raise AccountMissing(f"no such account: {name}")
        large = await self.in_thread(self._large_contents, account.id)
        batch = Batch()
        batch.delete(Family.META, keys.account_name(name))
        batch.delete(Family.META, keys.account(account.id))
        batch.delete_range(Family.META, *keys.mailboxes(account.id))
        for family in Family:
            if family is not Family.META:
                batch.delete_range(family, *keys.account_range(account.id))
        self.removed.add(account.id)
        for mailbox in account.mailboxes.values():
            mailbox.deleted = True
        await self.committer.synced(self.committer.stage(batch))
        self._accounts.pop(name, None)
        self._kept.pop(name, None)
        await self.in_thread(self._erase_contents, account.id, large)
        self.eraser.reclaim()

    def _large_contents(self, account_id: int) -> list[tuple[int, Location]]:
        found = self.engine.scan(Family.LOC, *keys.account_range(account_id))
        located = ((keys.file_id(key), rows.decode(Location, value)) for key, value in found)
        return [(file, location) for file, location in located if location.is_file]

    def _erase_contents(self, account_id: int, contents: list[tuple[int, Location]]) -> None:
        for file, location in contents:
            self.blobs.erase(account_id, file, location)

    def touch(self, mailbox: Mailbox) -> None:
        """The mailbox's columns are in use; drop others that nobody uses when there are too many."""
        if mailbox.columns is None or mailbox.deleted:
            return
        held = mailbox.columns.memory
        self._loaded_bytes += held - self._loaded.pop(mailbox, 0)
        self._loaded[mailbox] = held
        if self._accounts.get(mailbox.account.name) is mailbox.account:
            self._keep(mailbox.account)
        for box in list(self._loaded) if self._loaded_bytes > self._columns_max else ():
            if self._loaded_bytes <= self._columns_max:
                break
            if box is not mailbox and (box.columns is None or box.drop_columns()):
                self._loaded_bytes -= self._loaded.pop(box)

    def deleted_floors(self, account: Account) -> dict[int, int]:
        """Floors of mailboxes that were deleted while sessions had them open."""
        self._deleted = [mailbox for mailbox in self._deleted if mailbox.views]
        return {
            mailbox.id: mailbox.told_floor()
            for mailbox in self._deleted
            if mailbox.account is account
        }

    def deleted(self, mailbox: Mailbox) -> None:
        """A mailbox is no more; where sessions have it open its contents stay until they leave."""
        self._loaded_bytes -= self._loaded.pop(mailbox, 0)
        if mailbox.views:
            self._deleted.append(mailbox)

    def released(self, account: Account) -> None:
        """A session left an account."""
        if not account.feeds:
            self.eraser.wake_account(account)

    async def close(self) -> None:
        """Make everything durable and let go of the folder."""
        await self.tidier.close()
        await self.learner.close()
        await self.eraser.close()
        await self.bodies.close()
        await self.committer.close()
        self._readers.close()
        self.blobs.close()
        self.engine.close()


def open_shard(
    folder: Path,
    derive: Derive,
    *,
    clock: Clock | None = None,
    lazy_sync_s: float = LAZY_SYNC_S,
) -> Shard:
    """Open or make the shard of a folder.    Errors: DataLocked, DataUnreadable."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        spool = folder / "tmp"
        spool.mkdir(exist_ok=True)
        for left in spool.iterdir():
            left.unlink()  # what a crash left of contents nobody was promised
        engine = RocksEngine(folder / "db")
    except OSError as error:
        raise DataUnreadable(f"{folder} cannot be opened: {error.strerror}", cause=error) from error
    try:
        check_format(engine)
        blobs = PackBlobs(folder)
        remove_unreferenced(engine, blobs)
    except BaseException:
        with contextlib.suppress(OSError):
            engine.close()
        raise
    return Shard(engine, blobs, spool, derive, clock=clock, lazy_sync_s=lazy_sync_s)


def remove_unreferenced(engine: Engine, blobs: PackBlobs) -> None:
    """Large files a crash left between their sync and their row.    Before anybody adds new ones."""
    for account, file in blobs.large_files():
        if engine.get(Family.LOC, keys.file(account, file)) is None:
            blobs.remove_large(account, file)


def check_format(engine: Engine) -> None:
    """Refuse data of another format; mark new data with ours.    Errors: DataUnreadable."""
    value = engine.get(Family.META, keys.FORMAT)
    if value is None:
        batch = Batch()
        batch.put(Family.META, keys.FORMAT, str(FORMAT_VERSION).encode())
        engine.write(batch)
        engine.sync()
    elif value != str(FORMAT_VERSION).encode():
        raise DataUnreadable(
            f"the data has format {value.decode('ascii', 'replace')}, this version reads format"
            f" {FORMAT_VERSION}; use the version that wrote it"
        )


def memory_shard(spool_folder: Path, derive: Derive, *, clock: Clock | None = None) -> Shard:
    """A shard that keeps everything in memory, for tests."""
    engine = MemoryEngine()
    check_format(engine)
    return Shard(engine, MemoryBlobs(), spool_folder, derive, clock=clock)
