"""Changes of so many messages that they are made in slices; keywords of other mailboxes."""

import asyncio
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.base import flags as flagbits
from mox.base.clock import FrozenClock
from mox.store import erase, flags, messages
from mox.store.account import Account
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Family
from mox.store.flags import How, change_flags
from mox.store.layout import keys
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import create, delete
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, open_shard
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]
EVERY = array("I", range(13))


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (flags, messages):
        monkeypatch.setattr(module, "COMMIT_BATCH_ROWS", 4)
    monkeypatch.setattr(erase, "FILES_PER_BATCH", 3)


async def filled(
    account: Account, message: Make, words: Callable[[int], tuple[str, ...]]
) -> Mailbox:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message(str(n), keywords=words(n)) for n in EVERY])
    await inbox.load()
    return inbox


def words_of(mailbox: Mailbox) -> list[tuple[str, ...]]:
    columns = mailbox.columns
    assert columns is not None
    live = columns.visible_slots(len(columns), 1 << 62)
    return [tuple(sorted(mailbox.keyword_names(columns.keywords(slot)))) for slot in live]


def references(account: Account) -> set[tuple[int, int, int]]:
    start, end = keys.references(account.id, 0)[0], keys.references(account.id, 1 << 63)[0]
    return {
        keys.reference_parts(key) for key, _ in account.shard.engine.scan(Family.IDX, start, end)
    }


@pytest.mark.parametrize("loaded", [False, True], ids=["not-loaded", "loaded"])
@pytest.mark.parametrize("count", [3, 100], ids=["few-keywords", "many-keywords"])
async def test_copies_keep_their_keywords(
    account: Account, message: Make, count: int, loaded: bool
) -> None:
    """Which bit a keyword has differs between mailboxes; beyond the 64th they are kept elsewhere."""
    inbox = await filled(account, message, lambda n: (f"a{n * 7 % count}", f"a{n * 11 % count}"))
    archive = account.mailbox("Archive")
    first = [message("first", keywords=tuple(f"a{n}" for n in reversed(range(count))))]
    await append(account, archive, first)
    expected = words_of(inbox)
    if loaded:
        await archive.load()
    archive.pins += 1
    await copy(account, inbox, EVERY, archive)
    await archive.load()
    assert words_of(archive)[1:] == expected
    assert archive.record.messages == 1 + len(EVERY)
    # And back, to where others have those bits.
    change_flags(account, inbox, EVERY, How.REPLACE, 0, ("z",))
    moved = array("I", range(1, 1 + len(EVERY)))
    await copy(account, archive, moved, inbox, move=True)
    assert words_of(inbox) == [("z",)] * len(EVERY) + expected
    assert await verify_account(account) == []


async def test_a_copy_into_the_same_mailbox(account: Account, message: Make) -> None:
    inbox = await filled(account, message, lambda n: ("odd",) if n % 2 else ())
    added = await copy(account, inbox, EVERY, inbox)
    assert (added.source_uids, added.uids) == ([(1, 13)], [(14, 26)])
    assert words_of(inbox)[:13] == words_of(inbox)[13:]
    assert await verify_account(account) == []


async def test_a_mailbox_is_loaded_while_many_come(account: Account, message: Make) -> None:
    inbox = await filled(account, message, lambda n: (f"k{n}",))
    archive = account.mailbox("Archive")
    await append(account, archive, [message("before")])
    loading = asyncio.ensure_future(archive.load())
    copying = asyncio.ensure_future(copy(account, inbox, EVERY, archive))
    added = append(account, archive, [message("after", keywords=("late",))])
    _, _, columns = await asyncio.gather(copying, added, loading)
    assert list(columns.uids(array("I", range(len(columns))))) == list(range(1, 16))
    expected = [(), ("late",), *((f"k{n}",) for n in EVERY)]
    assert sorted(words_of(archive)) == sorted(expected)
    assert await verify_account(account) == []


@pytest.mark.parametrize(
    "slots", [EVERY, EVERY[::2], array("I", [1])], ids=["all", "every-other", "one"]
)
async def test_references_go_with_the_contents(
    account: Account, message: Make, slots: "array[int]"
) -> None:
    inbox = await filled(account, message, lambda n: ())
    archive = account.mailbox("Archive")
    await copy(account, inbox, array("I", [1]), archive)
    view = await account.open_view(inbox, read_only=False)
    before = references(account)
    await expunge(account, inbox, slots)
    await account.shard.eraser.idle()
    # This client was not told: it may still read them.
    assert references(account) == before
    assert await verify_account(account) == []
    view.poll(expunge=True)
    view.close()
    await account.shard.eraser.idle()
    expunged = {slot + 1 for slot in slots}
    assert references(account) == {
        (file, mailbox, uid)
        for file, mailbox, uid in before
        if mailbox != inbox.id or uid not in expunged
    }
    assert await verify_account(account) == []


async def test_a_deleted_mailbox_leaves_nothing(account: Account, message: Make) -> None:
    inbox = await filled(account, message, lambda n: ())
    [box] = await create(account, "box")
    await copy(account, inbox, EVERY, box, move=True)
    await delete(account, "box")
    await account.shard.eraser.idle()
    assert references(account) == set()
    engine = account.shard.engine
    for family in (Family.ROW, Family.LOC, Family.VANISHED):
        left = [
            key
            for key, _ in engine.scan(family, *keys.account_range(account.id))
            if family is not Family.VANISHED or key[4:12] != inbox.id.to_bytes(8, "big")
        ]
        assert left == []
    assert await verify_account(account) == []


async def test_a_reference_of_nothing_is_a_problem(account: Account, message: Make) -> None:
    inbox = await filled(account, message, lambda n: ())
    await expunge(account, inbox, array("I", [3]))
    inbox.compact()
    await account.shard.eraser.idle()
    assert await verify_account(account) == []
    batch = Batch()
    batch.put(Family.IDX, keys.reference(account.id, 4, inbox.id, 4), b"")
    account.shard.engine.write(batch)
    [problem] = await verify_account(account)
    assert "reference without a row" in problem.text


async def test_everything_is_there_after_reopening(
    tmp_path: Path, message: Make, clock: FrozenClock
) -> None:
    def opened() -> Shard:
        return open_shard(tmp_path / "large", lambda content: {}, clock=clock)

    shard = opened()
    account = await shard.create_account("mox")
    inbox = await filled(account, message, lambda n: (f"k{n}",))
    await copy(account, inbox, EVERY[::2], account.mailbox("Archive"), move=True)
    done = change_flags(account, inbox, EVERY[1::2], How.ADD, 1, ("new",))
    assert len(done.changed) == 6
    await account.committer.written(done.ticket)
    await shard.close()
    shard = opened()
    account = await shard.account("mox")
    assert await verify_account(account) == []
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    for mailbox in (inbox, archive):
        await mailbox.load()
    assert words_of(inbox) == [tuple(sorted((f"k{n}", "new"))) for n in EVERY[1::2]]
    assert words_of(archive) == [(f"k{n}",) for n in EVERY[::2]]
    assert inbox.record.unseen == 0
    await shard.close()


async def test_copies_in_the_junk_mailbox_are_junk(account: Account, message: Make) -> None:
    inbox = await filled(account, message, lambda n: ())
    columns = inbox.columns
    assert columns is not None
    change_flags(account, inbox, EVERY, How.ADD, flagbits.NOTJUNK | flagbits.SEEN, ())
    junk = account.mailbox("Junk")
    await junk.load()
    await copy(account, inbox, EVERY, junk, move=True)
    assert junk.columns is not None
    assert {junk.columns.flags(slot) for slot in EVERY} == {flagbits.JUNK | flagbits.SEEN}
    assert await verify_account(account) == []
