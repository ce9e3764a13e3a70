"""What the learner keeps is compared with the messages."""

from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from support.reputation import NOW

from mox.base.clock import FrozenClock
from mox.base.flags import JUNK, NOTJUNK
from mox.junk.model import TOTALS, Count
from mox.junk.parameters import Parameters
from mox.junk.reputation import Kind, Sender
from mox.store.account import Account
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Family
from mox.store.flags import How, change_flags
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts, Learning, Learnt, Scan, Trained
from mox.store.messages import append
from mox.store.shard import open_shard
from mox.store.verify import verify_account, verify_folder
from mox.store.words import read_learning

SENDER = Sender(from_localpart="a", from_domain="b.example", from_org_domain="b.example")
Change = Callable[[Account, Batch], None]


def mail(flags: int = 0, head: str = "") -> NewMessage:
    content = f"{head}Subject: hello\r\n\r\nhello there\r\n".encode()
    return NewMessage(content=content, flags=flags, received_ms=NOW, facts=Facts(sender=SENDER))


@pytest.fixture
async def learnt(account: Account) -> Account:
    account.filter = Parameters()
    await append(account, account.mailbox("Inbox"), [mail(JUNK), mail(), mail(NOTJUNK)])
    await append(account, account.mailbox("Sent"), [mail(head="To: x@y.example\r\n")])
    assert await verify_account(account) == []
    return account


def first(account: Account, family: Family, bounds: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    return next(iter(account.shard.engine.scan(family, *bounds)))


def lose(family: Family, bounds: Callable[[Account], tuple[bytes, bytes]]) -> Change:
    def change(account: Account, batch: Batch) -> None:
        batch.delete(family, first(account, family, bounds(account))[0])

    return change


def generation(account: Account) -> int:
    return read_learning(account.shard.engine, account.id).generation


def trained(account: Account) -> tuple[bytes, bytes]:
    return keys.generation(account.id, keys.TRAINED, generation(account))


def turn_a_vote(account: Account, batch: Batch) -> None:
    key, value = first(account, Family.IDX, keys.votes_of(account.id))
    batch.put(Family.IDX, key, value[:1] + bytes([1 - value[1]]) + value[2:])


def add_a_vote(account: Account, batch: Batch) -> None:
    beginning = keys.votes(account.id, Kind.IP1, "192.0.2.1", 1)
    batch.put(Family.IDX, keys.vote(beginning, NOW, 1, 2), b"\x01\x01")


def add_a_recipient(account: Account, batch: Batch) -> None:
    beginning = keys.sent_to(account.id, b"a", "who@else.example")
    batch.put(Family.IDX, keys.vote(beginning, NOW, 1, 2), b"")


def say_learnt(account: Account, batch: Batch) -> None:
    row = rows.encode_learnt(Learnt(True, False, NOW, 2))
    batch.put(Family.KV, keys.learnt(account.id, 1, 2), row)


def say_learnt_otherwise(account: Account, batch: Batch) -> None:
    row = rows.encode_learnt(Learnt(False, False, NOW, 1))
    batch.put(Family.KV, keys.learnt(account.id, 1, 1), row)


def say_trained(account: Account, batch: Batch) -> None:
    key = keys.trained(account.id, generation(account), 1, 2)
    batch.put(Family.KV, key, rows.encode_trained(Trained(True, 2)))


def count_a_word(account: Account, batch: Batch) -> None:
    key = keys.words(account.id, generation(account)) + b"hello"
    batch.put(Family.KV, key, rows.encode_count(Count(9, 9)))


def lose_a_word(account: Account, batch: Batch) -> None:
    batch.delete(Family.KV, keys.words(account.id, generation(account)) + b"there")


def count_messages(account: Account, batch: Batch) -> None:
    key = keys.words(account.id, generation(account)) + TOTALS
    batch.put(Family.KV, key, rows.encode_count(Count(9, 9)))


def damage(account: Account, batch: Batch) -> None:
    batch.put(Family.KV, keys.learnt(account.id, 1, 1), b"\x09")
    batch.put(Family.KV, keys.trained(account.id, generation(account), 1, 1), b"\x09")


def go_ahead(account: Account, batch: Batch) -> None:
    record = Learning(version=1, cursor=account.record.modseq + 5, generation=1, grams=1)
    batch.put(Family.KV, keys.setting(account.id, keys.LEARNING), rows.encode(record))


def forget_how_far(account: Account, batch: Batch) -> None:
    batch.delete(Family.KV, keys.setting(account.id, keys.LEARNING))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lose(Family.IDX, lambda a: keys.votes_of(a.id)), "a vote is missing in the index"),
        (turn_a_vote, "a vote in the index says something else"),
        (add_a_vote, "votes: 7 are stored, 6 of messages"),
        (lose(Family.IDX, lambda a: keys.sent_of(a.id)), "a recipient is missing in the index"),
        (add_a_recipient, "recipients: 4 are stored, 3 of messages"),
        (lose(Family.KV, lambda a: keys.settings(a.id, keys.LEARNT)), "not learnt as it is"),
        (say_learnt, "messages that are learnt: 4 are stored, 3"),
        (say_learnt_otherwise, "UID 1: it is not learnt as it is"),
        (lose(Family.KV, trained), "UID 1: its words are not counted as its flags say"),
        (say_trained, "messages whose words are counted: 3 are stored, 2"),
        (count_a_word, "1 words are not in as many messages as is counted"),
        (lose_a_word, "1 words are not in as many messages as is counted"),
        (count_messages, "1 and 1 are learnt, counted are 9 and 9"),
        (damage, "a row of the word counts is damaged"),
        (go_ahead, "are learnt, there were"),
        (forget_how_far, "messages are learnt, though nothing says how far"),
    ],
)
async def test_each_fault_is_told(learnt: Account, change: Change, told: str) -> None:
    batch = Batch()
    change(learnt, batch)
    await learnt.committer.written(learnt.committer.stage(batch))
    problems = await verify_account(learnt)
    assert any(told in problem.text for problem in problems), problems


async def test_what_is_not_learnt_yet_is_no_fault(
    learnt: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def at_once(_: Account) -> None:
        pass

    assert learnt.course is not None
    monkeypatch.setattr(learnt.shard.learner, "write_down", at_once)
    async with learnt.course.lock:
        inbox = learnt.mailbox("Inbox")
        with inbox.pinned():
            await inbox.load()
            change_flags(learnt, inbox, array("I", [0]), How.REPLACE, NOTJUNK, ())
        await append(learnt, inbox, [mail(JUNK)])
        await learnt.settle()
        assert await verify_account(learnt) == []
        batch = Batch()
        beginning = keys.votes(learnt.id, Kind.IP1, "192.0.2.1", 1)
        # Of a message that did not change.
        batch.put(Family.IDX, keys.vote(beginning, NOW, 5, 500), b"\x01\x01")
        await learnt.committer.written(learnt.committer.stage(batch))
        [problem] = await verify_account(learnt)
        assert "votes: " in problem.text
        learnt.course.set(scan=Scan(9))
        await learnt.course.write()
        assert await verify_account(learnt) == []  # all of it is looked at anew


async def test_a_folder_is_checked(tmp_path: Path) -> None:
    folder = tmp_path / "shards" / "0"
    shard = open_shard(folder, lambda content: {}, clock=FrozenClock(NOW))
    account = await shard.create_account("mox")
    account.filter = Parameters()
    await append(account, account.mailbox("Inbox"), [mail(JUNK), mail(NOTJUNK)])
    await shard.learner.idle()
    await shard.close()
    assert verify_folder(tmp_path, junk=True) == []
    shard = open_shard(folder, lambda content: {}, clock=FrozenClock(NOW))
    batch = Batch()
    key = keys.words(account.id, read_learning(shard.engine, account.id).generation) + b"hello"
    batch.put(Family.KV, key, rows.encode_count(Count(9, 9)))
    await shard.committer.synced(shard.committer.stage(batch))
    await shard.close()
    assert verify_folder(tmp_path) == []
    [problem] = verify_folder(tmp_path, junk=True)
    assert problem.text == "1 words are not in as many messages as is counted: mox retrain"
