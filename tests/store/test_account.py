"""Accounts, messages, flags and views over both engines."""

import asyncio
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from mox.base import flags as flagbits
from mox.store.account import Account
from mox.store.changes import Feed
from mox.store.content import NewMessage, Spool
from mox.store.engine.base import Family
from mox.store.errors import (
    AccountExists,
    AccountMissing,
    MailboxExists,
    MailboxHasChildren,
    MailboxMissing,
    MailboxNameInvalid,
    QuotaExceeded,
)
from mox.store.flags import How, change_flags
from mox.store.history import expunged_by, vanished_since
from mox.store.layout import keys
from mox.store.mailboxes import create, delete, ensure, rename, subscribe, unsubscribe
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, open_shard
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]


async def test_new_account_has_its_mailboxes(account: Account) -> None:
    assert set(account.by_name) == {"Inbox", "Archive", "Drafts", "Junk", "Sent", "Trash"}
    assert account.subscriptions == set(account.by_name)
    assert account.by_name["Sent"].record.special_use == ("Sent",)
    validities = {mailbox.record.uidvalidity for mailbox in account.mailboxes.values()}
    assert len(validities) == 1
    assert account.record.next_uidvalidity == validities.pop() + 1
    assert account.synced_modseq == 2


async def test_account_names_are_unique(shard: Shard, account: Account) -> None:
    with pytest.raises(AccountExists):
        await shard.create_account("mox")
    with pytest.raises(AccountMissing):
        await shard.account("nobody")
    assert await shard.account_names() == ["mox"]
    assert await shard.account("mox") is account


async def test_append_gives_uids_and_modseqs_and_is_seen_by_other_views(
    account: Account, message: Make
) -> None:
    inbox = account.mailbox("INBOX")
    view = await account.open_view(inbox, read_only=False)
    woken: list[int] = []
    feed = Feed(lambda: woken.append(1))
    account.register(feed)
    first = await append(account, inbox, [message("one"), message("two")])
    assert first.uids == [(1, 2)]
    assert first.modseq == 3
    assert view.exists == 0
    assert woken
    news = view.poll(expunge=False)
    assert news.exists == 2
    assert list(news.added) == [0, 1]
    assert [view.columns.uid(slot) for slot in news.added] == [1, 2]
    assert not view.poll(expunge=True)
    assert inbox.record.unseen == 2


async def test_own_changes_are_not_news(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message()])
    mine = await account.open_view(inbox, read_only=False)
    other = await account.open_view(inbox, read_only=False)
    result = change_flags(account, inbox, array("I", [0]), How.ADD, flagbits.SEEN, ())
    mine.own(result.modseq)
    await account.committer.synced(result.ticket)
    assert not mine.poll(expunge=True)
    assert list(other.poll(expunge=True).changed) == [0]


async def test_no_news_before_the_sync(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message()])
    view = await account.open_view(inbox, read_only=False)
    result = change_flags(account, inbox, array("I", [0]), How.ADD, flagbits.SEEN, ())
    assert not view.poll(expunge=True)
    await account.committer.written(result.ticket)
    assert not view.poll(expunge=True)
    await account.settle()
    assert list(view.poll(expunge=True).changed) == [0]


async def test_flags_and_keywords(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message(keywords=("b",)), message(flags=flagbits.SEEN)])
    columns = await inbox.load()
    both = array("I", [0, 1])
    one = change_flags(account, inbox, both, How.ADD, flagbits.FLAGGED, ("a",))
    assert list(one.changed) == [0, 1]
    assert inbox.record.keywords == ("b", "a")
    again = change_flags(account, inbox, both, How.ADD, flagbits.FLAGGED, ("a",))
    assert again.modseq == 0
    assert columns.modseq(0) == one.modseq
    removed = change_flags(account, inbox, both, How.REMOVE, 0, ("a", "never"))
    assert inbox.keyword_names(columns.keywords(0)) == ("b",)
    assert inbox.record.keywords == ("b", "a")
    failing = change_flags(
        account, inbox, both, How.REPLACE, 0, ("new",), unchanged_since=removed.modseq - 1
    )
    assert list(failing.failed) == [0, 1]
    assert "new" not in inbox.record.keywords
    await account.settle()
    await verify_clean(account)


async def test_counts_follow(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("x") for _ in range(3)])
    size = message("x").size
    record = inbox.record
    await inbox.load()
    change_flags(account, inbox, array("I", [0]), How.ADD, flagbits.SEEN | flagbits.DELETED, ())
    assert (record.messages, record.unseen, record.deleted) == (3, 2, 1)
    assert (record.size, record.deleted_size) == (3 * size, size)
    await expunge(account, inbox, array("I", [0]))
    assert (record.messages, record.unseen, record.deleted, record.deleted_size) == (2, 2, 0, 0)
    assert account.record.used_bytes == 2 * size


async def test_expunge_is_held_back_and_told_later(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message(str(n)) for n in range(5)])
    view = await account.open_view(inbox, read_only=False)
    modseq = await expunge(account, inbox, array("I", [1, 3]))
    assert view.exists == 5
    assert not view.poll(expunge=False)
    assert view.modseq == modseq - 1
    assert view.is_gone(1)
    assert view.seq(4) == 5
    news = view.poll(expunge=True)
    assert list(news.expunged_seqs) == [2, 4]
    assert news.vanished == [(2, 2), (4, 4)]
    assert view.exists == 3
    assert view.modseq == modseq
    inbox.compact()
    assert len(inbox.columns or ()) == 3
    assert [view.columns.uid(slot) for slot in view.slots_by_seq([(1, 3)])] == [1, 3, 5]
    assert await vanished_since(account, inbox, modseq - 1, modseq, [(1, 9)]) == [(2, 2), (4, 4)]
    assert await vanished_since(account, inbox, modseq, modseq, [(1, 9)]) == []
    assert await expunged_by(account, inbox, 4, modseq) == modseq
    assert await expunged_by(account, inbox, 5, modseq) == 0


async def test_content_is_erased_when_no_view_needs_it(
    shard: Shard, account: Account, message: Make
) -> None:
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    await append(account, inbox, [message("kept"), message("gone")])
    view = await account.open_view(inbox, read_only=False)
    files = [view.columns.file(slot) for slot in (0, 1)]
    await copy(account, inbox, array("I", [0]), archive)
    await expunge(account, inbox, array("I", [0, 1]))

    def stored(file: int) -> bool:
        return shard.engine.get(Family.LOC, keys.file(account.id, file)) is not None

    shard.eraser.wake(inbox)
    await shard.eraser.idle()
    assert stored(files[0])
    assert stored(files[1])
    view.poll(expunge=True)
    inbox.compact()
    await shard.eraser.idle()
    assert stored(files[0])  # Archive refers to it
    assert not stored(files[1])
    await verify_clean(account)


async def test_content_of_a_copy_stays_while_a_view_was_not_told_of_its_expunge(
    shard: Shard, account: Account, message: Make
) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("moved, then expunged")])
    view = await account.open_view(inbox, read_only=False)
    file = view.columns.file(0)
    await copy(account, inbox, array("I", [0]), inbox, move=True)
    view.poll(expunge=True)
    # The first expunge was told, the second was not: both rows name the content.
    await expunge(account, inbox, array("I", [1]))
    shard.eraser.wake(inbox)
    await shard.eraser.idle()
    assert shard.engine.get(Family.LOC, keys.file(account.id, file)) is not None
    view.poll(expunge=True)
    shard.eraser.wake(inbox)
    await shard.eraser.idle()
    assert shard.engine.get(Family.LOC, keys.file(account.id, file)) is None
    await verify_clean(account)


async def test_copy_and_move(account: Account, message: Make) -> None:
    inbox, archive = account.mailbox("Inbox"), account.mailbox("Archive")
    await append(account, archive, [message("old", keywords=("z",))])
    await append(account, inbox, [message(str(n), keywords=("k", "z")) for n in range(3)])
    columns = await inbox.load()
    copied = await copy(account, inbox, array("I", [0, 2]), archive)
    assert (copied.source_uids, copied.uids) == ([(1, 1), (3, 3)], [(2, 3)])
    target = await archive.load()
    assert archive.keyword_names(target.keywords(1)) == ("z", "k")
    assert target.createseq(1) == copied.modseq == target.modseq(1)
    assert columns.modseq(0) != copied.modseq
    before = account.record.used_bytes
    moved = await copy(account, inbox, array("I", [1]), archive, move=True)
    assert moved.uids == [(4, 4)]
    assert account.record.used_bytes == before
    assert columns.gone(1) == moved.modseq
    assert inbox.record.messages == 2
    within = await copy(account, inbox, array("I", [0]), inbox)
    assert within.uids == [(4, 4)]
    await verify_clean(account)


async def test_quota(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    size = message().size
    account.quota_bytes = 2 * size
    await append(account, inbox, [message(), message()])
    with pytest.raises(QuotaExceeded):
        await append(account, inbox, [message()])
    assert inbox.record.messages == 2
    assert account.record.used_bytes == 2 * size
    await inbox.load()
    with pytest.raises(QuotaExceeded):
        await copy(account, inbox, array("I", [0]), account.mailbox("Archive"))
    await copy(account, inbox, array("I", [0]), account.mailbox("Archive"), move=True)


async def test_mailbox_tree(account: Account) -> None:
    made = await create(account, "a/b/c", subscribe=True)
    assert [mailbox.name for mailbox in made] == ["a", "a/b", "a/b/c"]
    assert len({mailbox.record.uidvalidity for mailbox in made}) == 3
    assert "a/b" in account.subscriptions
    with pytest.raises(MailboxExists):
        await create(account, "a/b")
    with pytest.raises(MailboxHasChildren):
        await delete(account, "a/b")
    with pytest.raises(MailboxMissing):
        await delete(account, "nope")
    for wrong in ("", "/a", "a//b", ".", "..", "x/..", "#x", "inbox"):
        with pytest.raises(MailboxNameInvalid):
            await create(account, wrong)
    assert (await ensure(account, "INBOX/x")).name == "Inbox/x"
    await delete(account, "a/b/c")
    assert "a/b/c" not in account.by_name
    await subscribe(account, "never/made")
    await unsubscribe(account, "never/made")
    with pytest.raises(MailboxMissing):
        await unsubscribe(account, "never/made")
    await verify_clean(account)


@pytest.mark.rfc("9051 §6.3.6")
async def test_rename_matrix(account: Account, message: Make) -> None:
    await create(account, "a/b/c")
    with pytest.raises(MailboxExists):
        await rename(account, "a/b/c", "a/b")
    validity = account.mailbox("a/b").record.uidvalidity
    assert await rename(account, "a/b", "x/y") == [("a/b", "x/y"), ("a/b/c", "x/y/c")]
    assert account.mailbox("x/y").record.uidvalidity == validity
    assert "x" in account.by_name
    assert "a/b" not in account.by_name
    await create(account, "k/l")
    old = account.mailbox("k/l").id
    await rename(account, "k/l", "k/l/m")
    assert account.mailbox("k/l/m").id == old
    assert account.mailbox("k/l").id != old
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message("1"), message("2", keywords=("kept",))])
    await rename(account, "inbox", "misc/old/inbox")
    assert account.mailbox("misc/old/inbox").record.messages == 2
    assert account.mailbox("misc/old/inbox").record.keywords == ("kept",)
    assert inbox.record.messages == 0
    with pytest.raises(MailboxMissing):
        await rename(account, "nope", "z")
    with pytest.raises(MailboxExists):
        await rename(account, "Sent", "Trash")
    await verify_clean(account)


async def test_special_use_moves(account: Account) -> None:
    await create(account, "Bin", special_use=("Trash",))
    assert account.mailbox("Bin").record.special_use == ("Trash",)
    assert account.mailbox("Trash").record.special_use == ()


async def test_list_changes_go_to_others_only(account: Account) -> None:
    mine, other = Feed(lambda: None), Feed(lambda: None)
    account.register(mine)
    account.register(other)
    await create(account, "new", origin=mine)
    assert not mine.list_changes
    assert [(change.kind, change.name) for change in other.list_changes] == [("added", "new")]


async def test_everything_is_there_after_reopening(tmp_path: Path, message: Make) -> None:
    def derive(content: object) -> dict[int, bytes]:
        return {}

    shard = open_shard(tmp_path / "shard", derive)
    account = await shard.create_account("mox")
    inbox = account.mailbox("Inbox")
    keywords = tuple(f"k{n}" for n in range(70))
    await append(account, inbox, [message("1"), message("2", keywords=keywords), message("3")])
    await inbox.load()
    await expunge(account, inbox, array("I", [0]))
    result = change_flags(account, inbox, array("I", [2]), How.ADD, flagbits.FLAGGED, ("new",))
    await account.committer.written(result.ticket)
    large = Spool(shard.spool_folder)
    large.write(b"Subject: large\r\n\r\n")
    large.write(b"x" * 2_000_000)
    spooled = NewMessage(content=large.finish(), prefix=b"Received: us\r\n", received_ms=5)
    await append(account, inbox, [spooled])
    record = inbox.record
    await shard.close()
    [kept] = (tmp_path / "shard" / "large").glob("*/*/*")
    left_by_a_crash = kept.with_name("4711")
    left_by_a_crash.write_bytes(b"nobody was promised this")

    shard = open_shard(tmp_path / "shard", derive)
    assert kept.exists()
    assert not left_by_a_crash.exists()
    account = await shard.account("mox")
    inbox = account.mailbox("Inbox")
    assert inbox.record == record
    columns = await inbox.load()
    assert [columns.uid(slot) for slot in range(3)] == [2, 3, 4]
    assert inbox.keyword_names(columns.keywords(0)) == keywords
    assert inbox.keyword_names(columns.keywords(1)) == ("new",)
    assert columns.flags(1) == flagbits.FLAGGED
    await shard.eraser.idle()
    await verify_clean(account)
    await shard.close()


async def test_appends_to_a_mailbox_while_it_is_loaded(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message(str(n)) for n in range(50)])
    inbox.drop_columns()
    loading = asyncio.ensure_future(inbox.load())
    await asyncio.gather(*(append(account, inbox, [message(f"x{n}")]) for n in range(10)))
    columns = await loading
    assert [columns.uid(slot) for slot in range(len(columns))] == list(range(1, 61))


async def test_recent_belongs_to_the_first_session(account: Account, message: Make) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [message(), message()])
    examine = await account.open_view(inbox, read_only=True)
    account.claim_recent(examine)
    assert examine.recent_from > 2
    first = await account.open_view(inbox, read_only=False)
    account.claim_recent(first)
    assert first.recent_from == 1
    second = await account.open_view(inbox, read_only=False)
    account.claim_recent(second)
    assert second.recent_from > 2


async def verify_clean(account: Account) -> None:
    await account.settle()
    assert await verify_account(account) == []
