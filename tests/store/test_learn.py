"""The learner: votes, recipients and word counts follow the flags and mailboxes of messages."""

import asyncio
import threading
from array import array
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.knowledge import past, stored_counts, stored_messages, trained_anew
from support.reputation import NOW, Oracle

from mox.base import metrics
from mox.base.clock import FrozenClock
from mox.base.flags import JUNK, NOTJUNK, SEEN
from mox.base.regexp import Regexp
from mox.junk.classify import classify
from mox.junk.mailboxes import MailboxRules
from mox.junk.model import Count
from mox.junk.parameters import Parameters
from mox.junk.reputation import DAY_MS, Sender, evaluate
from mox.store import course, learn, lessons
from mox.store.account import Account
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Engine, Family, Ranges
from mox.store.engine.memory import MemoryEngine
from mox.store.errors import RetrainImpossible
from mox.store.flags import How, change_flags
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts, Scan
from mox.store.lessons import Stretch
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import create, delete
from mox.store.messages import append, copy, expunge
from mox.store.retrain import Retraining, retrain
from mox.store.shard import Shard, memory_shard, open_shard
from mox.store.verify import verify_account
from mox.store.votes import read_history, vote_rows
from mox.store.words import Changed, WordCache, read_counts

WORDS_ONLY = Parameters()
FRIEND = Sender(
    from_localpart="friend",
    from_domain="pals.example",
    from_org_domain="pals.example",
    from_validated=True,
    dkim_domains=("pals.example", "esp.example"),
    ip1="192.0.2.1",
    ip2="192.0.2.0/26",
    ip3="192.0.0.0/21",
)
RULES = MailboxRules(
    enabled=True,
    junk=Regexp("^(junk|spam)"),
    neutral=Regexp("^(inbox|introbox|rejects)"),
    rejects_mailbox="Rejects",
    introbox="Introbox",
)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock(NOW)


def mail(
    text: str = "hello there",
    *,
    sender: Sender = FRIEND,
    flags: int = 0,
    head: str = "",
    **facts: int,
) -> NewMessage:
    return NewMessage(
        content=f"{head}Subject: {text}\r\n\r\n{text}\r\n".encode(),
        flags=flags,
        received_ms=NOW - DAY_MS,
        facts=Facts(sender=sender, **facts),  # type: ignore[arg-type]
    )


async def settled(account: Account) -> None:
    await account.shard.learner.caught_up(account)
    await account.shard.learner.idle()
    assert await verify_account(account) == []


def verdict(
    account: Account, sender: Sender = FRIEND, mailbox: str = "Inbox"
) -> tuple[object, ...]:
    """What the index answers; the same as a query over all messages."""
    found = evaluate(read_history(account, mailbox), sender, NOW)
    messages, sent = past(account)
    known = account.by_name.get(mailbox)
    oracle = Oracle(messages, sent, sender, known.id if known else -1)
    answer = (found.junk, found.conclusive, found.method.value)
    assert answer == oracle.answer()
    return answer


def slots_of(mailbox: Mailbox, numbers: list[int]) -> "array[int]":
    """Messages by the order in which they came, from 0."""
    assert mailbox.columns is not None
    uids = [(number + 1, number + 1) for number in numbers]
    return mailbox.columns.slots_by_uid(uids, len(mailbox.columns), 1 << 62)


async def flag(
    account: Account, mailbox: Mailbox, numbers: list[int], how: How, flags: int
) -> None:
    with mailbox.pinned():
        await mailbox.load()
        changed = change_flags(account, mailbox, slots_of(mailbox, numbers), how, flags, ())
    await account.committer.synced(changed.ticket)


async def move(
    account: Account, source: str, numbers: list[int], target: str, *, stay: bool = False
) -> None:
    box = account.mailbox(source)
    with box.pinned():
        await box.load()
        await copy(account, box, slots_of(box, numbers), account.mailbox(target), move=not stay)


async def remove(account: Account, name: str, numbers: list[int]) -> None:
    box = account.mailbox(name)
    with box.pinned():
        await box.load()
        await expunge(account, box, slots_of(box, numbers))
    box.compact()


def index_rows(account: Account) -> int:
    """Rows about messages that the learner keeps."""
    engine = account.shard.engine
    ranges = [
        (Family.IDX, keys.votes_of(account.id)),
        (Family.IDX, keys.sent_of(account.id)),
        *((Family.KV, keys.settings(account.id, kind)) for kind in (keys.LEARNT, keys.TRAINED)),
    ]
    return sum(1 for family, bounds in ranges for _ in engine.scan(family, *bounds))


async def test_votes_follow_the_flags(account: Account) -> None:
    inbox = account.mailbox("Inbox")
    assert verdict(account) == (None, False, "none")
    await append(account, inbox, [mail(), mail()])
    await settled(account)
    assert verdict(account) == (None, False, "none")
    assert index_rows(account) == 0
    await flag(account, inbox, [0], How.ADD, JUNK)
    await settled(account)
    assert verdict(account) == (True, True, "msgfromfull")
    await flag(account, inbox, [1], How.ADD, NOTJUNK)
    await settled(account)
    assert verdict(account) == (False, True, "msgfromfull")
    await flag(account, inbox, [1], How.ADD, JUNK)  # both say nothing
    await settled(account)
    assert verdict(account) == (True, True, "msgfromfull")
    await flag(account, inbox, [0, 1], How.REPLACE, SEEN)
    await settled(account)
    assert verdict(account) == (None, False, "none")
    assert index_rows(account) == 0


async def test_votes_go_with_their_messages(account: Account) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(flags=JUNK), mail(flags=JUNK)])
    await settled(account)
    assert verdict(account) == (True, True, "msgfromfull")
    await remove(account, "Inbox", [0, 1])
    await settled(account)
    assert verdict(account) == (None, False, "none")
    await account.shard.eraser.idle()
    assert index_rows(account) == 0
    assert not list(account.shard.engine.scan(Family.MSG, *keys.account_range(account.id)))


async def test_a_deleted_mailbox_takes_its_votes(account: Account) -> None:
    [box] = await create(account, "lists")
    await append(account, box, [mail(flags=NOTJUNK)] * 3)
    await settled(account)
    assert verdict(account, mailbox="lists") == (False, True, "msgfromfull")
    await delete(account, "lists")
    await settled(account)
    assert index_rows(account) == 0
    assert verdict(account, mailbox="lists") == (None, False, "none")


async def test_mailboxes_have_reputations_of_their_own(account: Account) -> None:
    [box] = await create(account, "lists")
    await append(account, box, [mail(flags=JUNK)])
    await append(account, account.mailbox("Inbox"), [mail(flags=NOTJUNK)])
    await settled(account)
    assert verdict(account) == (False, True, "msgfromfull")
    assert verdict(account, mailbox="lists") == (True, True, "msgfromfull")
    assert verdict(account, mailbox="nowhere") == (None, False, "none")
    # A move changes what the flags say, not whom they speak for.
    await move(account, "lists", [0], "Inbox")
    await settled(account)
    assert verdict(account) == (False, True, "msgfromfull")
    assert verdict(account, mailbox="lists") == (True, True, "msgfromfull")


async def test_a_rescued_message_counts_where_it_belongs(account: Account) -> None:
    account.rules = RULES
    inbox = account.mailbox("Inbox")
    [rejects] = await create(account, "Rejects")
    await append(account, rejects, [mail(flags=SEEN, destined=inbox.id)])
    await flag(account, rejects, [0], How.ADD, NOTJUNK)
    await settled(account)
    assert verdict(account) == (None, False, "none")
    await move(account, "Rejects", [0], "Archive")
    await settled(account)
    assert verdict(account) == (False, True, "msgfromfull")
    [(_, _, flags, _, _)] = stored_messages(account)
    assert flags == NOTJUNK  # and unseen


async def test_mailboxes_give_flags(account: Account) -> None:
    account.rules = RULES
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(flags=JUNK | SEEN)])
    await append(account, account.mailbox("Archive"), [mail()])
    await append(account, account.mailbox("Junk"), [mail(flags=NOTJUNK)])
    flags = {mailbox: bits for mailbox, _, bits, _, _ in stored_messages(account)}
    assert flags == {
        inbox.id: SEEN,
        account.mailbox("Archive").id: NOTJUNK,
        account.mailbox("Junk").id: JUNK,
    }
    await move(account, "Junk", [0], "Inbox", stay=True)
    await move(account, "Inbox", [0], "Junk")
    await move(account, "Inbox", [1], "Archive")
    found = {mailbox: [] for mailbox in flags}  # type: dict[int, list[int]]
    for mailbox, _, bits, _, _ in stored_messages(account):
        found[mailbox].append(bits)
    assert found == {
        inbox.id: [],
        account.mailbox("Archive").id: [NOTJUNK, NOTJUNK],
        account.mailbox("Junk").id: [JUNK, JUNK | SEEN],
    }
    await settled(account)
    assert verdict(account)


async def test_what_leaves_the_introbox_is_wanted(account: Account) -> None:
    account.rules = RULES
    inbox = account.mailbox("Inbox")
    [introbox] = await create(account, "Introbox")
    new = [mail(destined=inbox.id), mail(), mail(destined=inbox.id), mail(flags=SEEN, destined=9)]
    await append(account, introbox, new)
    await settled(account)
    assert verdict(account) == (None, False, "none")
    await move(account, "Introbox", [0, 1, 2, 3], "Inbox")
    assert [bits for *_, bits, _, _ in stored_messages(account)] == [NOTJUNK, 0, NOTJUNK, SEEN]
    await settled(account)
    assert verdict(account) == (False, True, "msgfromfull")


@pytest.mark.parametrize("box", ["Introbox", "Rejects"])
async def test_what_goes_from_there_to_junk_is_junk(account: Account, box: str) -> None:
    account.rules = RULES
    [source] = await create(account, box)
    await append(account, source, [mail(destined=account.mailbox("Inbox").id)] * 2)
    await move(account, box, [0, 1], "Junk")
    await settled(account)
    assert verdict(account) == (True, True, "msgfromfull")


async def test_whom_the_account_wrote_to(account: Account) -> None:
    account.shard.organizational = lambda domain: ".".join(domain.split(".")[-2:])
    sent = account.mailbox("Sent")
    head = (
        "Date: Tue, 01 Mar 2030 10:00:00 +0000\r\n"
        'To: "Fr. Iend" <"fr.iend"@Pals.Example>, undisclosed:;\r\n'
        "Cc: <@nowhere>, x@mail.other.example\r\nBcc: y@münchen.example\r\n"
    )
    await append(account, sent, [mail(head=head, sender=Sender())])
    await settled(account)

    def asked(localpart: str, domain: str, org: str = "") -> object:
        sender = Sender(from_localpart=localpart, from_domain=domain, from_org_domain=org)
        junk, conclusive, method = verdict(account, sender)
        return method if (junk, conclusive) == (False, True) else None

    assert asked("fr.iend", "pals.example") == "msgtofull"
    assert asked("Fr.iend", "pals.example") == "msgtodomain"
    assert asked("x", "other.example", "other.example") == "msgtoorgdomain"
    assert asked("y", "münchen.example") == "msgtofull"
    assert asked("x", "nowhere") is None
    assert index_rows(account) == 9 + 1  # 3 of each kind
    await move(account, "Sent", [0], "Archive", stay=True)
    await remove(account, "Sent", [0])
    await settled(account)
    assert asked("fr.iend", "pals.example") is None
    assert index_rows(account) == 0
    # A mailbox that becomes the one for sent messages counts as a whole, and the other one no more.
    await append(account, sent, [mail(head="To: a@b.example\r\n")])
    await settled(account)
    assert asked("a", "b.example") == "msgtofull"
    await create(account, "Sent Items", special_use=("Sent",))
    await settled(account)
    assert asked("a", "b.example") is None
    await move(account, "Sent", [1], "Sent Items")
    await settled(account)
    assert asked("a", "b.example") == "msgtofull"


async def test_messages_that_are_not_there_yet_are_not_learnt(account: Account) -> None:
    """Of a large copy rows are written before the batch that makes it happen, if that ever comes."""
    inbox, sent = account.mailbox("Inbox"), account.mailbox("Sent")
    await append(account, inbox, [mail(flags=JUNK)])
    await append(account, sent, [mail(head="To: a@b.example\r\n")])
    await settled(account)
    before = index_rows(account)
    batch = Batch()
    for mailbox in (inbox, sent):
        key = keys.row(account.id, mailbox.id, 1)
        row = account.shard.engine.get(Family.ROW, key)
        assert row is not None
        batch.put(Family.ROW, keys.row(account.id, mailbox.id, 2), row)
    await account.committer.written(account.committer.stage(batch))
    assert account.course is not None
    async with account.course.lock:
        account.course.set(scan=Scan(account.synced_modseq))
    account.shard.learner.wake(account)
    await account.shard.learner.idle()
    assert account.course.record.scan is None
    assert index_rows(account) == before


async def test_words_follow_the_flags(account: Account) -> None:
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail("cheap pills", flags=JUNK), mail("meeting agenda")])
    await settled(account)
    counts = read_counts(account)
    assert counts.totals() == Count(0, 1)
    assert counts.get_many([b"cheap", b"Subject:pills", b"agenda"]) == [(0, 1), (0, 1), None]
    await flag(account, inbox, [1], How.ADD, NOTJUNK)
    await settled(account)
    assert stored_counts(account) == trained_anew(account)
    assert counts.totals() == Count(1, 1)
    assert classify([b"cheap", b"pills"], counts, WORDS_ONLY).probability > 0.9
    assert classify([b"meeting", b"agenda"], counts, WORDS_ONLY).probability < 0.1
    await flag(account, inbox, [0, 1], How.ADD, JUNK | NOTJUNK)
    await settled(account)
    assert stored_counts(account) == {}
    await flag(account, inbox, [0, 1], How.REMOVE, JUNK)
    await settled(account)
    assert stored_counts(account) == trained_anew(account) != {}
    await move(account, "Inbox", [0], "Archive", stay=True)
    await settled(account)
    assert counts.totals() == Count(3, 0)
    assert stored_counts(account) == trained_anew(account)
    await remove(account, "Inbox", [0, 1])
    await account.shard.eraser.idle()
    assert counts.totals() == Count(1, 0)
    assert stored_counts(account) == trained_anew(account)
    await remove(account, "Archive", [0])
    await settled(account)
    assert stored_counts(account) == {}


async def test_without_a_filter_no_words_are_kept(account: Account) -> None:
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(flags=JUNK)])
    await settled(account)
    assert stored_counts(account) == {}
    assert verdict(account) == (True, True, "msgfromfull")
    account.filter = WORDS_ONLY
    await account.shard.learner.idle()
    assert stored_counts(account) == trained_anew(account) != {}
    account.filter = None
    await account.shard.learner.idle()
    assert stored_counts(account) == {}
    assert verdict(account) == (True, True, "msgfromfull")
    await append(account, inbox, [mail(flags=NOTJUNK)])
    account.filter = WORDS_ONLY
    await settled(account)
    assert stored_counts(account) == trained_anew(account) != {}


async def test_other_words_are_counted_when_the_filter_is_set_differently(account: Account) -> None:
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail("one two three", flags=JUNK)] * 3)
    await settled(account)
    before = stored_counts(account)
    account.filter = Parameters(twograms=True)
    await account.shard.learner.idle()
    assert stored_counts(account) == trained_anew(account)
    assert stored_counts(account).keys() > before.keys()
    account.filter = Parameters(onegrams=False, threegrams=True)
    account.filter = Parameters(onegrams=False, twograms=True)  # before it was done
    await account.shard.learner.idle()
    assert stored_counts(account) == trained_anew(account)
    await account.shard.eraser.idle()


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_lessons_are_small(
    account: Account, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(lessons, "LEARN_ROWS", limit)
    monkeypatch.setattr(lessons, "LEARN_MESSAGES", 3)
    monkeypatch.setattr(course, "LEARN_LOG", 2)
    account.filter = WORDS_ONLY
    inbox, engine = account.mailbox("Inbox"), account.shard.engine
    long = " ".join(f"word{letter}{other}" for letter in "abcdefgh" for other in "klmnop")
    sizes: list[int] = []
    write = engine.write

    def watched(batch: Batch) -> None:
        sizes.append(
            sum(1 for family, rows_, _ in batch.bulk if family is Family.KV for _ in rows_)
        )
        write(batch)

    monkeypatch.setattr(engine, "write", watched)
    await append(account, inbox, [mail(long, flags=JUNK), *[mail(str(n)) for n in range(6)]])
    for n in range(1, 7):
        await append(account, inbox, [mail(f"subject number{n}", flags=JUNK if n % 2 else 0)])
    await flag(account, inbox, [0, 2, 4, 6], How.ADD, NOTJUNK)
    await flag(account, inbox, [0], How.REMOVE, JUNK)
    await settled(account)
    assert stored_counts(account) == trained_anew(account)
    assert max(sizes) <= limit + 1  # and the totals
    await flag(account, inbox, [0], How.REMOVE, NOTJUNK)
    await remove(account, "Inbox", [2, 3, 8])
    await settled(account)
    assert stored_counts(account) == trained_anew(account)
    assert verdict(account)
    await retrain(account)
    await account.shard.learner.idle()
    assert stored_counts(account) == trained_anew(account)


async def test_a_message_of_many_words_changes_while_it_is_learnt(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lessons, "LEARN_ROWS", 2)
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    text = " ".join(f"word{letter}" for letter in "abcdefghijklmnop")
    await append(account, inbox, [mail(text, flags=JUNK)])
    for flags in (NOTJUNK, 0, JUNK, NOTJUNK):
        await flag(account, inbox, [0], How.REPLACE, flags)
        for _ in range(3):
            await asyncio.sleep(0.001)
    await settled(account)
    assert stored_counts(account) == trained_anew(account)
    assert read_counts(account).totals() == Count(1, 0)


async def test_what_was_learnt_survives(shard: Shard, account: Account, tmp_path: Path) -> None:
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(flags=JUNK), mail("other words", flags=NOTJUNK)])
    await settled(account)
    for _ in range(5):
        await append(account, inbox, [mail()])
    await account.settle()
    await shard.close()
    if isinstance(shard.engine, MemoryEngine):
        again = Shard(shard.engine, shard.blobs, tmp_path, lambda content: {}, clock=shard.clock)
    else:
        again = open_shard(tmp_path / "shard", lambda content: {}, clock=shard.clock)

    def configure(opened: Account) -> None:
        opened.filter = WORDS_ONLY

    again.configure = configure
    reopened = await again.account("mox")
    await again.learner.idle()
    assert reopened.course is not None
    assert reopened.course.stored.cursor == reopened.record.modseq  # written at the close
    assert stored_counts(reopened) == trained_anew(reopened) != {}
    assert verdict(reopened) == (False, True, "msgfromfull")
    await remove(reopened, "Inbox", [1])
    await again.eraser.idle()
    assert stored_counts(reopened) == trained_anew(reopened)
    assert verdict(reopened) == (True, True, "msgfromfull")
    await again.close()


async def test_a_trimmed_log_is_made_up_for(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.filter = WORDS_ONLY
    inbox, engine = account.mailbox("Inbox"), account.shard.engine
    await append(account, inbox, [mail(flags=JUNK), mail(flags=JUNK)])
    await settled(account)
    assert account.course is not None
    async with account.course.lock:  # the learner waits
        await flag(account, inbox, [0], How.REPLACE, NOTJUNK)
        await remove(account, "Inbox", [1])
        await append(account, account.mailbox("Sent"), [mail(head="To: a@b.example\r\n")])
        await trim(account)
    await settled(account)
    assert not list(engine.scan(Family.LOG, *keys.account_range(account.id)))
    assert stored_counts(account) == trained_anew(account)
    assert verdict(account) == (False, True, "msgfromfull")
    sender = Sender(from_localpart="a", from_domain="b.example")
    assert verdict(account, sender) == (False, True, "msgtofull")


async def test_a_log_trimmed_while_it_is_read_is_made_up_for(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.filter = WORDS_ONLY
    inbox, loop, reads = account.mailbox("Inbox"), asyncio.get_running_loop(), 0
    await append(account, inbox, [mail(flags=JUNK)])
    await settled(account)
    read_log = course.read_log

    def read_too_late(engine: Engine, number: int, since: int, upto: int) -> Any:
        nonlocal reads
        reads += 1
        if reads == 1:
            asyncio.run_coroutine_threadsafe(trim(account), loop).result(60)
        return read_log(engine, number, since, upto)

    monkeypatch.setattr(learn, "read_log", read_too_late)
    await flag(account, inbox, [0], How.REPLACE, NOTJUNK)
    await settled(account)
    assert reads == 1
    assert stored_counts(account) == trained_anew(account)
    assert verdict(account) == (False, True, "msgfromfull")


async def trim(account: Account) -> None:
    await account.settle()
    account.record.trimmed_modseq = account.record.modseq
    batch = Batch()
    batch.put(Family.META, keys.account(account.id), rows.encode(account.record))
    batch.delete_range(Family.LOG, *keys.account_range(account.id))
    await account.committer.written(account.committer.stage(batch))


async def test_another_version_learns_anew(
    shard: Shard, account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)] * 2)
    await settled(account)
    before = index_rows(account)
    monkeypatch.setattr(learn, "VERSION", learn.VERSION + 1)
    assert account.course is not None
    batch = Batch()
    stale = keys.vote(keys.votes(account.id, 1, "stale", 1), 5, 1, 1)
    batch.put(Family.IDX, stale, b"\x01\x00")
    await account.committer.written(account.committer.stage(batch))
    shard.learner.wake(account)
    await shard.learner.idle()
    assert index_rows(account) == before
    assert stored_counts(account) == trained_anew(account)
    assert verdict(account) == (True, True, "msgfromfull")


async def test_unreadable_contents_are_passed_over(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")

    def fails(*_: object) -> None:
        raise RecursionError("a parser's fault")

    before = metrics.unhandled_total()
    with monkeypatch.context() as broken:
        broken.setattr(lessons, "message_words", fails)
        await append(account, inbox, [mail(flags=JUNK)])
        await settled(account)
    with monkeypatch.context() as broken:
        broken.setattr(lessons, "read_content", lambda *_: None)
        await append(account, inbox, [mail(flags=JUNK)])
        await settled(account)
    assert metrics.unhandled_total() == before + 1
    assert stored_counts(account) == {}
    assert verdict(account) == (True, True, "msgfromfull")
    # What was not counted is not taken away either.
    await append(account, inbox, [mail(flags=JUNK)])
    await remove(account, "Inbox", [0, 1])
    await settled(account)
    assert stored_counts(account) == trained_anew(account) != {}


async def test_an_error_of_one_account_is_told(
    shard: Shard, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await shard.create_account("other")
    await settled(account)
    await settled(other)
    before = metrics.unhandled_total()

    def fails(*_: object) -> None:
        raise ValueError("a fault of ours")

    with monkeypatch.context() as broken:
        broken.setattr(learn, "learn", fails)
        await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)])
        with pytest.raises(ValueError, match="a fault of ours"):
            await shard.learner.caught_up(account)
    assert metrics.unhandled_total() > before
    await append(other, other.mailbox("Inbox"), [mail(flags=JUNK)])
    await settled(other)
    assert verdict(other) == (True, True, "msgfromfull")
    await append(account, account.mailbox("Inbox"), [mail()])
    await settled(account)
    assert verdict(account) == (True, True, "msgfromfull")


async def test_contents_wait_for_the_learner(shard: Shard, account: Account) -> None:
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)])
    await settled(account)
    assert account.course is not None
    async with account.course.lock:
        await remove(account, "Inbox", [0])
        for _ in range(20):
            shard.eraser.wake_account(account)
            await asyncio.sleep(0.002)
        assert list(shard.engine.scan(Family.MSG, *keys.account_range(account.id)))
    await shard.eraser.idle()
    assert not list(shard.engine.scan(Family.MSG, *keys.account_range(account.id)))
    assert stored_counts(account) == {}


async def test_a_removed_account_leaves_nothing(shard: Shard, account: Account) -> None:
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)] * 3)
    await shard.remove_account("mox")
    await shard.learner.idle()
    await shard.committer.synced(shard.committer.staged)
    for family in (Family.IDX, Family.KV):
        assert not list(shard.engine.scan(family, *keys.account_range(account.id)))


async def test_mail_that_teaches_nothing_costs_nothing(
    shard: Shard, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(account)
    woken: list[Account] = []
    monkeypatch.setattr(shard.learner, "wake", woken.append)
    monkeypatch.setattr(learn, "LEARN_LAG", 4)
    inbox = account.mailbox("Inbox")
    for _ in range(3):
        await append(account, inbox, [mail()])
    await flag(account, inbox, [0], How.ADD, SEEN)
    assert not woken or account.course is not None
    assert account.course is not None
    assert account.course.record.cursor == account.record.modseq
    assert woken == [account]  # to write down how far it is


async def test_what_teaches_nothing_is_passed_when_the_learner_comes_to_it(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(account)
    go_on = threading.Event()
    reads: list[tuple[int, int]] = []

    def slow(engine: Engine, number: int, since: int, upto: int) -> tuple[list[Stretch], int]:
        reads.append((since, upto))
        assert go_on.wait(10)
        return course.read_log(engine, number, since, upto)

    monkeypatch.setattr(learn, "read_log", slow)
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(flags=JUNK)])
    taught = account.record.modseq
    for _ in range(3):
        await append(account, inbox, [mail()])
    go_on.set()
    await settled(account)
    assert account.course is not None
    assert account.course.record.cursor == account.record.modseq == taught + 3
    assert reads == [(taught - 1, taught)]
    assert index_rows(account) > 0


async def test_what_the_learner_was_not_told_is_read(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    await settled(account)
    inbox = account.mailbox("Inbox")
    with monkeypatch.context() as patch:
        patch.setattr(account.shard.learner, "told", lambda *_, **__: None)
        await append(account, inbox, [mail(flags=JUNK)])
    await append(account, inbox, [mail()])
    await settled(account)
    assert index_rows(account) > 0


# ------------------------------------------------------------------ training anew


async def test_the_filter_is_trained_anew(account: Account) -> None:
    with pytest.raises(RetrainImpossible):
        await retrain(account)
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(f"subject number{n}", flags=JUNK) for n in range(5)])
    await append(account, account.mailbox("Archive"), [mail(flags=NOTJUNK), mail()])
    await settled(account)
    # Somebody broke the counts.
    used = keys.words(account.id, account.course.record.generation)  # type: ignore[union-attr]
    batch = Batch()
    batch.put(Family.KV, used + b"hello", rows.encode_count(Count(77, 0)))
    await account.committer.written(account.committer.stage(batch))
    told: list[Retraining] = []

    async def progress(now: Retraining) -> None:
        told.append(now)

    result = await retrain(account, progress)
    assert (result.done, result.total) == (7, 7)
    assert told[-1] == result
    assert [one.done for one in told] == sorted(one.done for one in told)
    await account.shard.committer.written(account.shard.committer.staged)
    assert stored_counts(account) == trained_anew(account)
    assert read_counts(account).get_many([b"hello"]) == [Count(1, 0)]


async def test_what_happens_meanwhile_is_learnt_too(account: Account) -> None:
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(f"subject number{n}", flags=JUNK) for n in range(5)])
    await settled(account)
    steps = 0

    async def progress(_: Retraining) -> None:
        nonlocal steps
        steps += 1
        if steps == 1:
            await append(account, inbox, [mail("a new one", flags=NOTJUNK)])
            await flag(account, inbox, [0], How.REPLACE, NOTJUNK)
            await remove(account, "Inbox", [1])
            await create(account, "later")
            await move(account, "Inbox", [2], "later")
            with pytest.raises(RetrainImpossible):
                await retrain(account)
        if steps == 4:
            await flag(account, inbox, [4], How.REPLACE, 0)

    await retrain(account, progress)
    assert steps > 4
    await settled(account)
    await account.shard.eraser.idle()
    await account.shard.committer.written(account.shard.committer.staged)
    assert stored_counts(account) == trained_anew(account)


async def test_an_interrupted_training_leaves_nothing(account: Account) -> None:
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)] * 3)
    await settled(account)

    async def progress(_: Retraining) -> None:
        raise ConnectionError("the client went away")

    with pytest.raises(ConnectionError):
        await retrain(account, progress)
    await account.shard.committer.written(account.shard.committer.staged)
    assert stored_counts(account) == trained_anew(account)
    await retrain(account)
    await account.shard.committer.written(account.shard.committer.staged)
    assert stored_counts(account) == trained_anew(account)


async def test_a_log_trimmed_while_a_training_reads_it(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)] * 3)
    await settled(account)
    loop, reads, read_log = asyncio.get_running_loop(), 0, course.read_log

    def read_too_late(engine: Engine, number: int, since: int, upto: int) -> Any:
        nonlocal reads
        reads += 1
        asyncio.run_coroutine_threadsafe(trim(account), loop).result(60)
        return read_log(engine, number, since, upto)

    async def progress(_: Retraining) -> None:
        if not reads:
            await append(account, account.mailbox("Inbox"), [mail("a new one", flags=JUNK)])

    monkeypatch.setattr("mox.store.retrain.read_log", read_too_late)
    with pytest.raises(RetrainImpossible):
        await retrain(account, progress)
    assert reads == 1
    await settled(account)
    assert stored_counts(account) == trained_anew(account)


async def test_a_filter_set_differently_meanwhile(account: Account) -> None:
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail("a few words", flags=JUNK)] * 3)
    await settled(account)

    async def progress(_: Retraining) -> None:
        account.filter = Parameters(twograms=True)

    with pytest.raises(RetrainImpossible):
        await retrain(account, progress)
    await account.shard.learner.idle()
    assert stored_counts(account) == trained_anew(account)
    assert b"few words" in stored_counts(account)


# ------------------------------------------------------------------ counts in memory


async def test_counts_in_memory_are_those_stored(shard: Shard, account: Account) -> None:
    shard.words = WordCache(memory=1000)
    account.filter = WORDS_ONLY
    inbox = account.mailbox("Inbox")
    counts, words = read_counts(account), [f"word{n}".encode() for n in "abcdefgh"]
    for n in range(8):
        text = " ".join(f"word{letter}" for letter in "abcdefgh"[: n + 1])
        await append(account, inbox, [mail(text, flags=JUNK)])
        await settled(account)
        expected = [stored_counts(account).get(word) for word in words]
        assert counts.get_many(words) == expected
        assert counts.get_many(words[:2]) == expected[:2]
        assert counts.get_many([]) == []
    await flag(account, inbox, list(range(8)), How.REPLACE, 0)
    await settled(account)
    assert counts.get_many(words) == [None] * 8


async def test_what_is_read_while_counts_are_written_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = memory_shard(tmp_path, lambda content: {})
    cache, engine = WordCache(), shard.engine

    def put(count: Count) -> None:
        batch = Batch()
        batch.put(Family.KV, b"word", rows.encode_count(count))
        engine.write(batch)

    assert cache.get_many(engine, b"", [b"word"]) == [None]
    cache.begin_write()
    put(Count(1, 0))
    assert cache.get_many(engine, b"", [b"word"]) == [None]  # as it was remembered before
    cache.end_write(Changed(b"", [b"word"], [Count(1, 0)]))
    assert cache.get_many(engine, b"", [b"word"]) == [Count(1, 0)]
    multi_get = engine.multi_get
    for number, ends in ((2, True), (3, False)):
        fresh = WordCache()

        def overtaken(
            family: Family,
            wanted: list[bytes],
            cache: WordCache = fresh,
            number: int = number,
            ends: bool = ends,
        ) -> list[bytes | None]:
            """A batch is written after the look into the index."""
            found = multi_get(family, wanted)
            cache.begin_write()
            put(Count(number, 0))
            if ends:
                cache.end_write(Changed(b"", [b"word"], [Count(number, 0)]))
            return found

        with monkeypatch.context() as patched:
            patched.setattr(engine, "multi_get", overtaken)
            assert fresh.get_many(engine, b"", [b"word"]) == [Count(number - 1, 0)]
        if not ends:
            fresh.end_write(None)
        assert fresh.get_many(engine, b"", [b"word"]) == [Count(number, 0)]
    await shard.close()


# ------------------------------------------------------------------ what an answer costs


async def test_an_answer_is_a_few_short_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the history is: rows are counted, not time."""
    strangers = [
        msgspec.structs.replace(
            FRIEND,
            from_localpart=f"who{n}",
            from_validated=bool(n % 2),
            mail_from_domain="esp.example",
            mail_from_validated=True,
            ehlo_domain="mx.example",
            ehlo_validated=True,
        )
        for n in range(50)
    ]
    asked = [
        FRIEND,
        strangers[0],
        msgspec.structs.replace(FRIEND, from_localpart="new"),
        msgspec.structs.replace(strangers[1], from_domain="new.example", from_org_domain="new"),
        Sender(from_localpart="x", from_domain="y", ip1="z", ip2="192.0.2.0/26"),
        Sender(ip3=FRIEND.ip3),
        Sender(),
    ]
    read: dict[int, list[tuple[int, int]]] = {}
    for size in (100, 20_000):
        shard = open_shard(tmp_path / str(size), lambda content: {}, clock=FrozenClock(NOW))
        account = await shard.create_account("mox")
        inbox = account.mailbox("Inbox")
        batch = Batch()
        for n in range(size):
            facts = Facts(sender=strangers[n % len(strangers)], origin=inbox.id)
            found = vote_rows(account.id, inbox.id, n + 1, facts, NOW - n, junk=n % 3 == 0)
            for key, value in found:
                batch.put(Family.IDX, key, value)
            if len(batch) > 2000:
                shard.engine.write(batch)
                batch = Batch()
        shard.engine.write(batch)
        looks = reads = rows_read = 0
        ranges = shard.engine.ranges

        class Counted:
            def __init__(self, *args: Any, original: Any = ranges) -> None:
                nonlocal looks
                looks += 1
                self._ranges: Ranges = original(*args)

            def first(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
                nonlocal reads, rows_read
                found: list[tuple[bytes, bytes]] = self._ranges.first(start, end, limit)
                reads += 1
                rows_read += len(found)
                return found

        read[size] = []
        with monkeypatch.context() as patched:
            patched.setattr(shard.engine, "ranges", Counted)
            for sender in asked:
                looks = reads = rows_read = 0
                answer = evaluate(read_history(account, "Inbox"), sender, NOW)
                read[size].append((reads, rows_read))
                assert looks == reads
                looks = 0
                ask = partial(evaluate, sender=sender, now_ms=NOW)
                assert read_history(account, "Inbox").at_once(ask) == answer
                assert looks == 1
        await shard.close()
    assert read[100] == read[20_000]
    assert max(reads for reads, _ in read[100]) <= 15 + 2
    assert max(rows_read for _, rows_read in read[100]) <= 3 * 50
    assert max(rows_read for _, rows_read in read[100]) > 50


# ------------------------------------------------------------------ data of earlier versions


def test_facts_of_earlier_versions_are_read() -> None:
    """They had six fields, and no sender."""
    value = b"\x01" + msgspec.msgpack.encode((7, "1@b.example", "a@b", "c@d", "192.0.2.1", "mx"))
    facts = rows.decode(Facts, value)
    assert facts == Facts(7, "1@b.example", "a@b", "c@d", "192.0.2.1", "mx")
    assert (facts.prefix_length, facts.message_id, facts.helo) == (7, "1@b.example", "mx")
    assert facts.sender == Sender()
    later = b"\x01" + msgspec.msgpack.encode(
        [*msgspec.to_builtins(Facts(), builtin_types=(bytes,)), "later"]
    )
    assert rows.decode(Facts, later) == Facts()


async def test_an_account_of_an_earlier_version_is_learnt(account: Account) -> None:
    """Its messages have neither origin nor sender, and there are no rows of the learner."""
    account.filter = WORDS_ONLY
    await append(account, account.mailbox("Inbox"), [mail(flags=JUNK)])
    await append(account, account.mailbox("Sent"), [mail(head="To: a@b.example\r\n")])
    await settled(account)
    batch = Batch()
    for kind in (keys.LEARNING, keys.LEARNT, keys.TRAINED, keys.WORD):
        batch.delete_range(Family.KV, *keys.settings(account.id, kind))
    batch.delete_range(Family.IDX, *keys.votes_of(account.id))
    batch.delete_range(Family.IDX, *keys.sent_of(account.id))
    for key, _ in account.shard.engine.scan(Family.MSG, *keys.account_range(account.id)):
        batch.put(Family.MSG, key, b"\x01" + msgspec.msgpack.encode((0, "", "", "", "", "")))
    await account.committer.written(account.committer.stage(batch))
    account.course = None
    account.shard.words = WordCache()
    account.shard.learner.wake(account)
    await settled(account)
    assert stored_counts(account) == trained_anew(account) != {}
    assert verdict(account) == (None, False, "none")
    sender = Sender(from_localpart="a", from_domain="b.example")
    assert verdict(account, sender) == (False, True, "msgtofull")
