"""Accounts nobody uses leave memory; there is never a second object of one that somebody uses."""

import asyncio
import gc
from array import array
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from weakref import ref

import pytest

from mox.base import flags as flagbits
from mox.store.account import Account
from mox.store.blobs.memory import MemoryBlobs
from mox.store.changes import Feed
from mox.store.content import NewMessage
from mox.store.engine.memory import MemoryEngine
from mox.store.flags import How, change_flags
from mox.store.mailboxes import create, subscribe
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]
KEPT = 2
NAMES = [f"user{n}" for n in range(6)]


@pytest.fixture
async def shard(tmp_path: Path) -> AsyncIterator[Shard]:
    """Two accounts are kept of six."""
    engine = MemoryEngine()
    check_format(engine)
    made = Shard(engine, MemoryBlobs(), tmp_path, lambda content: {}, accounts_max=KEPT)
    for name in NAMES:
        await made.create_account(name)
    yield made
    await made.close()


async def settled(shard: Shard) -> None:
    """Nothing goes on in the background any more, and everything is on disk."""
    await shard.learner.idle()
    await shard.tidier.idle()
    await shard.eraser.idle()
    await shard.committer.synced(shard.committer.staged)
    gc.collect()


async def visit_all(shard: Shard, *, but: str = "") -> None:
    """Twice, as what a visit begins may keep an account a while longer."""
    others = [name for name in NAMES if name != but]
    for _ in range(2):
        for name in others:
            await shard.account(name)
        await settled(shard)
    await shard.account(others[-1])
    gc.collect()


async def test_only_some_are_kept(shard: Shard) -> None:
    await visit_all(shard)
    assert len(shard.open_accounts()) <= KEPT
    account = ref(await shard.account(NAMES[0]))
    assert account() is await shard.account(NAMES[0])
    await visit_all(shard, but=NAMES[0])
    assert account() is None


async def test_what_was_changed_is_there_again(shard: Shard, message: Make) -> None:
    account = await shard.account(NAMES[0])
    account.quota_bytes = 1_000_000
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message(str(n)) for n in range(5)])
    await create(account, "a/b", subscribe=True)
    await subscribe(account, "elsewhere")
    with inbox.pinned():
        await inbox.load()
        change_flags(account, inbox, array("I", [0, 1]), How.ADD, flagbits.SEEN, ("word",))
        await copy(account, inbox, array("I", [2]), account.mailbox("a/b"))
        await expunge(account, inbox, array("I", [4]))
    before = account.record, {box.name: box.record for box in account.mailboxes.values()}
    subscriptions, gone = set(account.subscriptions), ref(account)
    del account, inbox
    await visit_all(shard, but=NAMES[0])
    assert gone() is None
    account = await shard.account(NAMES[0])
    assert (account.record, {box.name: box.record for box in account.mailboxes.values()}) == before
    assert account.subscriptions == subscriptions
    assert account.quota_bytes == 0  # to be set by what the shard calls: ``configure``
    assert await verify_account(account) == []


async def test_each_one_that_is_opened_is_configured(shard: Shard) -> None:
    configured = []

    def configure(account: Account) -> None:
        configured.append(account.name)
        account.quota_bytes = 5

    await visit_all(shard)
    shard.configure = configure
    assert (await shard.account(NAMES[0])).quota_bytes == 5
    assert configured == [NAMES[0]]


async def test_an_account_with_a_session_stays(shard: Shard) -> None:
    account = await shard.account(NAMES[0])
    feed, number = Feed(lambda: None), id(account)
    account.register(feed)
    del account
    await visit_all(shard, but=NAMES[0])
    assert NAMES[0] in {account.name for account in shard.open_accounts()}
    account = await shard.account(NAMES[0])
    assert id(account) == number
    assert feed in account.feeds
    gone = ref(account)
    account.unregister(feed)
    del account
    await visit_all(shard, but=NAMES[0])
    assert gone() is None


async def test_an_account_with_a_view_stays_with_its_columns(shard: Shard, message: Make) -> None:
    account = await shard.account(NAMES[0])
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("1")])
    view = await account.open_view(inbox, read_only=False)
    del account
    await visit_all(shard, but=NAMES[0])
    assert view.mailbox is (await shard.account(NAMES[0])).mailbox("Inbox")
    assert inbox.columns is view.columns
    view.close()


async def test_what_somebody_still_holds_is_not_opened_a_second_time(
    shard: Shard, message: Make
) -> None:
    held = await shard.account(NAMES[0])
    await visit_all(shard, but=NAMES[0])
    assert held in shard.open_accounts()
    await append(held, held.mailbox("Inbox"), [message("while it was not kept")])
    again = await shard.account(NAMES[0])
    assert again is held
    assert again.mailbox("Inbox").record.messages == 1


async def test_staged_changes_are_waited_for(shard: Shard, message: Make) -> None:
    """What has no waiter and no session is written, or the account is not let go of."""
    account = await shard.account(NAMES[0])
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("1")])
    view = await account.open_view(inbox, read_only=False)
    account.claim_recent(view)
    view.close()
    assert not account.is_idle
    del account, inbox, view
    await visit_all(shard, but=NAMES[0])
    account = await shard.account(NAMES[0])
    assert account.mailbox("Inbox").record.first_recent == 2
    await account.settle()
    assert account.is_idle


async def test_columns_go_with_their_account(shard: Shard, message: Make) -> None:
    account = await shard.account(NAMES[0])
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("1")])
    await inbox.load()
    await visit_all(shard, but=NAMES[0])
    assert inbox.columns is None
    assert shard._loaded_bytes == 0
    # Loading them again, by whoever holds it, keeps the account.
    await inbox.load()
    gone = ref(account)
    del account, inbox
    gc.collect()
    assert gone() is await shard.account(NAMES[0])


async def test_busy_accounts_do_not_keep_idle_ones_in_memory(shard: Shard) -> None:
    feeds = []
    for name in NAMES[:4]:
        account = await shard.account(name)
        feeds.append((account, Feed(lambda: None)))
        account.register(feeds[-1][1])
    idle = [ref(await shard.account(name)) for name in NAMES[4:]]
    for _ in range(3):
        await shard.account(NAMES[0])
    await settled(shard)
    await shard.account(NAMES[0])
    gc.collect()
    assert [one() for one in idle] == [None, None]
    assert len(shard.open_accounts()) == 4
    for account, feed in feeds:
        account.unregister(feed)


async def test_a_removed_account_is_not_kept(shard: Shard) -> None:
    gone = ref(await shard.account(NAMES[0]))
    await shard.remove_account(NAMES[0])
    await settled(shard)
    assert gone() is None
    made = await shard.create_account(NAMES[0])
    assert made is await shard.account(NAMES[0])


async def test_many_tasks_use_many_accounts(shard: Shard, message: Make) -> None:
    async def deliver(n: int) -> None:
        name = NAMES[n % len(NAMES)]
        account = await shard.account(name)
        await append(account, account.mailbox("Inbox"), [message(f"{n}")])
        if n % 4 == 0:
            view = await account.open_view(account.mailbox("Inbox"), read_only=False)
            account.claim_recent(view)
            done = change_flags(
                account, view.mailbox, array("I", [0]), How.ADD, 1 << n % 3, (), origin=None
            )
            await account.committer.written(done.ticket)
            view.close()
        if n % 16 == 0:
            gc.collect()

    # Neither all at once nor one after another.
    turns = asyncio.Semaphore(4)

    async def deliver_in_turn(n: int) -> None:
        async with turns:
            await deliver(n)

    await asyncio.gather(*(deliver_in_turn(n) for n in range(120)))

    async def check(account: Account) -> None:
        record = account.mailbox("Inbox").record
        assert (record.messages, record.uidnext) == (20, 21)
        assert await verify_account(account) == []

    for name in NAMES:
        await check(await shard.account(name))
    await visit_all(shard)
    assert len(shard.open_accounts()) <= KEPT
