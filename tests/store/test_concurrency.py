"""Tasks that use one mailbox at the same time, in the orders that hurt."""

import asyncio
import threading
from array import array
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from mox.base import flags as flagbits
from mox.store.account import Account
from mox.store.blobs.memory import MemoryBlobs
from mox.store.changes import Feed
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.errors import (
    AccountMissing,
    DataDamaged,
    MailboxExists,
    MailboxMissing,
    StoreStopped,
)
from mox.store.flags import How, change_flags
from mox.store.layout import keys
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import create, delete, rename, subscribe, unsubscribe
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]


class GatedEngine(MemoryEngine):
    """Scans of rows, writes and syncs wait at gates."""

    def __init__(self) -> None:
        super().__init__()
        self.scans = threading.Event()
        self.writes = threading.Event()
        self.syncs_gate = threading.Event()
        self.failing_scans = self.failing_writes = False
        self.begun_scans = 0
        for gate in (self.scans, self.writes, self.syncs_gate):
            gate.set()

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        if family is Family.ROW:
            fails = self.failing_scans
            self.begun_scans += 1
            assert self.scans.wait(60)
            if fails:
                raise DataDamaged
        return super().scan(family, start, end, reverse=reverse)

    def write(self, batch: Batch) -> None:
        assert self.writes.wait(60)
        if self.failing_writes:
            raise OSError("broken disk")
        super().write(batch)

    def sync(self) -> None:
        assert self.syncs_gate.wait(60)
        super().sync()


@pytest.fixture
def engine() -> GatedEngine:
    made = GatedEngine()
    check_format(made)
    return made


@pytest.fixture
async def shard(engine: GatedEngine, tmp_path: Path) -> AsyncIterator[Shard]:
    made = Shard(engine, MemoryBlobs(), tmp_path, lambda content: {}, columns_max=1)
    yield made
    await made.close()


@pytest.fixture
async def box(account: Account, message: Make) -> Mailbox:
    """A mailbox with three messages that is not in memory."""
    [made] = await create(account, "box")
    await append(account, made, [message(str(n)) for n in range(3)])
    assert made.columns is None
    return made


async def steps(count: int = 3) -> None:
    """Let other tasks go on."""
    for _ in range(count):
        await asyncio.sleep(0)


async def clean(account: Account) -> None:
    assert await verify_account(account) == []


async def test_a_load_nobody_waits_for_leaves_columns_that_can_be_dropped(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    engine.scans.clear()
    waiting = asyncio.ensure_future(box.load())
    await steps()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    engine.scans.set()
    while box.columns is None:
        await asyncio.sleep(0.001)
    await steps()
    assert box.drop_columns()
    assert len(await box.load()) == 3


async def test_a_failed_load_is_tried_again(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make
) -> None:
    # The junk filter reads rows as well, and is not to meet the failure.
    await account.shard.learner.caught_up(account)
    engine.scans.clear()
    engine.failing_scans = True
    begun = engine.begun_scans
    waiting = asyncio.ensure_future(box.load())
    while engine.begun_scans == begun:
        await asyncio.sleep(0.001)
    waiting.cancel()
    await steps()
    engine.failing_scans = False
    adding = asyncio.ensure_future(append(account, box, [message("late")]))
    await adding
    engine.scans.set()
    while box._loading is not None:
        await asyncio.sleep(0.001)
    columns = await box.load()
    assert [columns.uid(slot) for slot in range(len(columns))] == [1, 2, 3, 4]
    await clean(account)


async def test_a_damaged_row_is_reported_as_such(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    batch = Batch()
    batch.put(Family.ROW, keys.row(account.id, box.id, 2), b"\x07rubbish")
    engine.write(batch)
    with pytest.raises(DataDamaged):
        await box.load()


async def test_messages_come_while_the_mailbox_is_loaded(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make
) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("copied")])
    view = await account.open_view(inbox, read_only=False)
    engine.scans.clear()
    loading = asyncio.ensure_future(box.load())
    await steps()
    await append(account, box, [message("x")])
    await copy(account, inbox, array("I", [0]), box)
    engine.scans.set()
    columns = await loading
    assert [columns.uid(slot) for slot in range(len(columns))] == [1, 2, 3, 4, 5]
    view.close()
    await clean(account)


async def test_a_mailbox_renamed_while_it_is_loaded_is_not_deleted(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    engine.scans.clear()
    deleting = asyncio.ensure_future(delete(account, "box"))
    await steps()
    await rename(account, "box", "kept")
    engine.scans.set()
    with pytest.raises(MailboxMissing):
        await deleting
    assert not box.deleted
    await clean(account)


async def test_a_child_made_while_its_parent_is_loaded_saves_it(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    engine.scans.clear()
    deleting = asyncio.ensure_future(delete(account, "box"))
    await steps()
    await create(account, "box/child")
    engine.scans.set()
    with pytest.raises(Exception, match="children"):
        await deleting
    await clean(account)


async def test_of_two_deletes_one_succeeds(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    engine.scans.clear()
    both = [asyncio.ensure_future(delete(account, "box")) for _ in range(2)]
    await steps()
    engine.scans.set()
    results = await asyncio.gather(*both, return_exceptions=True)
    assert [type(result) for result in results] == [type(None), MailboxMissing]
    await clean(account)


@pytest.mark.parametrize("what", ["delete", "rename"])
async def test_columns_dropped_after_the_load_are_loaded_again(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make, what: str
) -> None:
    """Another waiter of the same load runs first and pushes the columns out of memory."""
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    await append(account, inbox, [message("in")])
    await append(account, archive, [message("other")])
    source = box if what == "delete" else inbox
    engine.scans.clear()

    async def drop_it() -> None:
        await source.load()
        source.drop_columns()

    first = asyncio.ensure_future(drop_it())
    await steps()
    second = asyncio.ensure_future(
        delete(account, "box") if what == "delete" else rename(account, "Inbox", "old")
    )
    await steps()
    engine.scans.set()
    await asyncio.gather(first, second)
    if what == "rename":
        assert account.mailbox("old").record.messages == 1
    await clean(account)


async def test_a_view_is_not_opened_on_a_mailbox_deleted_meanwhile(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    engine.scans.clear()
    deleting = asyncio.ensure_future(delete(account, "box"))
    opening = asyncio.ensure_future(account.open_view(box, read_only=False))
    await steps()
    engine.scans.set()
    _, opened = await asyncio.gather(deleting, opening, return_exceptions=True)
    assert isinstance(opened, MailboxMissing)
    with pytest.raises(MailboxMissing):
        await account.open_view(box, read_only=False)
    assert box not in account.shard._loaded
    await account.shard.eraser.idle()
    await clean(account)


async def test_a_view_opened_while_columns_are_dropped_gets_those_in_use(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make
) -> None:
    engine.scans.clear()

    async def drop_it() -> None:
        await box.load()
        box.drop_columns()

    first = asyncio.ensure_future(drop_it())
    await steps()
    opening = asyncio.ensure_future(account.open_view(box, read_only=False))
    await steps()
    engine.scans.set()
    await first
    view = await opening
    assert view.columns is box.columns
    await append(account, box, [message("new")])
    assert view.poll(expunge=True).exists == 4


async def test_copies_into_a_mailbox_that_is_deleted(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make
) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("one")])
    view = await account.open_view(inbox, read_only=False)
    await box.load()
    engine.syncs_gate.clear()
    copying = asyncio.ensure_future(copy(account, inbox, array("I", [0]), box))
    await steps()
    deleting = asyncio.ensure_future(delete(account, "box"))
    while not box.deleted:
        await asyncio.sleep(0.001)
    late = asyncio.ensure_future(copy(account, inbox, array("I", [0]), box))
    adding = asyncio.ensure_future(append(account, box, [message("late")]))
    await steps()
    engine.syncs_gate.set()
    results = await asyncio.gather(copying, deleting, late, adding, return_exceptions=True)
    assert [isinstance(result, MailboxMissing) for result in results] == [False, False, True, True]
    await account.shard.eraser.idle()
    view.close()
    await clean(account)


async def test_a_message_of_a_mailbox_that_is_renamed_arrives(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make
) -> None:
    engine.writes.clear()
    adding = asyncio.ensure_future(append(account, box, [message("one")]))
    renaming = asyncio.ensure_future(rename(account, "box", "new"))
    await steps()
    engine.writes.set()
    await asyncio.gather(adding, renaming)
    assert account.mailbox("new").record.messages == 4
    await clean(account)


async def test_contents_copied_while_they_are_erased_stay(
    engine: GatedEngine, shard: Shard, account: Account, box: Mailbox
) -> None:
    """Copy and expunge are staged, none is written yet, and the eraser wakes."""
    view = await account.open_view(box, read_only=False)
    archive = account.mailbox("Archive")
    engine.writes.clear()
    every = array("I", range(3))
    changes = [
        asyncio.ensure_future(copy(account, box, every, archive)),
        asyncio.ensure_future(expunge(account, box, every)),
    ]
    await steps()
    view.close()
    shard.eraser.wake(box)
    await steps()
    engine.writes.set()
    await asyncio.gather(*changes)
    await shard.eraser.idle()
    shard.eraser.wake(box)
    await shard.eraser.idle()
    assert archive.record.messages == 3
    await clean(account)


async def test_a_poll_after_a_deletion_does_not_bring_the_mailbox_back(
    account: Account, box: Mailbox, message: Make
) -> None:
    view = await account.open_view(box, read_only=False)
    await append(account, box, [message("new")])
    await delete(account, "box")
    assert view.poll(expunge=False).exists == 4
    account.claim_recent(view)
    await clean(account)
    assert account.shard.engine.get(Family.META, keys.mailbox(account.id, box.id)) is None
    view.close()
    await account.shard.eraser.idle()
    await clean(account)


async def test_inbox_is_renamed_as_a_whole_or_not_at_all(
    engine: GatedEngine, account: Account, message: Make
) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("one")])
    before = account.record.modseq
    await rename(account, "Inbox", "a/old")
    assert account.record.modseq == before + 1
    engine.scans.clear()
    inbox.drop_columns()
    renaming = asyncio.ensure_future(rename(account, "Inbox", "b"))
    await steps()
    await create(account, "b")
    engine.scans.set()
    with pytest.raises(MailboxExists):
        await renaming
    await clean(account)


async def test_a_subscription_is_promised_only_when_it_is_durable(
    engine: GatedEngine, account: Account
) -> None:
    for change in (subscribe, unsubscribe):
        engine.syncs_gate.clear()
        first = asyncio.ensure_future(change(account, "name"))
        await steps()
        second = asyncio.ensure_future(change(account, "name"))
        await asyncio.wait([second], timeout=0.02)
        assert not second.done()
        engine.syncs_gate.set()
        if change is subscribe:
            await asyncio.gather(first, second)
        else:
            _, missing = await asyncio.gather(first, second, return_exceptions=True)
            assert isinstance(missing, MailboxMissing)


async def test_a_flag_that_is_there_already_has_the_promise_of_who_set_it(
    engine: GatedEngine, account: Account, box: Mailbox
) -> None:
    await account.open_view(box, read_only=False)
    engine.writes.clear()
    slots = array("I", [0])
    first = change_flags(account, box, slots, How.ADD, flagbits.SEEN, ())
    second = change_flags(account, box, slots, How.ADD, flagbits.SEEN, ())
    assert second.modseq == 0
    assert second.ticket >= first.ticket
    engine.writes.set()
    await account.committer.written(second.ticket)


async def test_after_a_failed_write_nothing_changes_in_memory(
    engine: GatedEngine, account: Account, box: Mailbox, message: Make
) -> None:
    view = await account.open_view(box, read_only=False)
    engine.failing_writes = True
    slots = array("I", [0])
    lost = change_flags(account, box, slots, How.ADD, flagbits.SEEN, ())
    with pytest.raises(StoreStopped):
        await account.committer.written(lost.ticket)
    before = account.record.modseq, box.record.uidnext, box.record.keywords, view.columns.counts()
    names = set(account.by_name)
    for change in (
        lambda: append(account, box, [message("x", keywords=("new",))]),
        lambda: copy(account, box, slots, account.mailbox("Archive")),
        lambda: copy(account, box, slots, account.mailbox("Archive"), move=True),
        lambda: expunge(account, box, slots),
        lambda: create(account, "new"),
        lambda: rename(account, "box", "other"),
        lambda: delete(account, "box"),
        lambda: subscribe(account, "new"),
        lambda: unsubscribe(account, "Inbox"),
    ):
        with pytest.raises(StoreStopped):
            await change()
    with pytest.raises(StoreStopped):
        change_flags(account, box, slots, How.ADD, flagbits.FLAGGED, ("new",))
    after = account.record.modseq, box.record.uidnext, box.record.keywords, view.columns.counts()
    assert after == before
    assert set(account.by_name) == names
    assert account.mailbox("Archive").record.messages == 0
    assert "new" not in account.subscriptions
    assert "Inbox" in account.subscriptions
    engine.failing_writes = False


async def test_a_session_that_cannot_be_woken_stops_nobody(
    account: Account, box: Mailbox, message: Make
) -> None:
    woken: list[int] = []

    def broken() -> None:
        raise RuntimeError("a face is broken")

    account.register(Feed(broken))
    account.register(Feed(lambda: woken.append(1)))
    await append(account, box, [message("one")])
    await append(account, box, [message("two")])
    assert len(woken) == 2


async def test_an_account_that_was_not_there_can_be_opened_later(
    engine: GatedEngine, shard: Shard
) -> None:
    opening = asyncio.ensure_future(shard.account("late"))
    await steps()
    opening.cancel()
    await asyncio.sleep(0.01)
    batch = Batch()
    batch.put(Family.META, keys.account_name("late"), (7).to_bytes(4, "big"))
    await shard.create_account("late")
    assert (await shard.account("late")).name == "late"
    with pytest.raises(AccountMissing):
        await shard.account("never")


async def test_a_removed_account_changes_no_more(shard: Shard, account: Account) -> None:
    await shard.remove_account("mox")
    with pytest.raises(AccountMissing):
        await create(account, "x")
    again = await shard.create_account("mox")
    assert again.id != account.id
    await clean(again)
