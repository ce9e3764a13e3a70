"""The machine stops after any write: what is learnt afterwards is what it would have been.

As in ``test_crash``, but of the learner: everything it does is cut off after each write, opened again
and compared with a look at every message.
"""

import asyncio
from array import array
from pathlib import Path

import pytest
from support.knowledge import org_of, past, stored_counts, trained_anew
from support.recording import RecordingBlobs, RecordingEngine
from support.reputation import NOW, Oracle

from mox.base.clock import FrozenClock
from mox.base.flags import JUNK, NOTJUNK
from mox.junk.mailboxes import MailboxRules
from mox.junk.parameters import Parameters
from mox.junk.reputation import Sender, evaluate
from mox.store import course, erase, flags, lessons, messages
from mox.store.account import Account
from mox.store.blobs.memory import MemoryBlobs
from mox.store.content import NewMessage
from mox.store.engine.memory import MemoryEngine
from mox.store.flags import How, change_flags
from mox.store.layout.rows import Facts
from mox.store.mailboxes import create, delete
from mox.store.messages import append, copy, expunge
from mox.store.retrain import retrain
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account
from mox.store.votes import read_history

SENDERS = [
    Sender(
        from_localpart=name,
        from_domain=f"{name}.example.org",
        from_org_domain="example.org",
        from_validated=name < "c",
        ip1=f"192.0.2.{len(name)}",
    )
    for name in ("a", "b", "c", "dd")
]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (flags, messages):
        monkeypatch.setattr(module, "COMMIT_BATCH_ROWS", 4)
    monkeypatch.setattr(erase, "FILES_PER_BATCH", 2)
    monkeypatch.setattr(messages, "BODY_INLINE_BATCH", 300)  # two messages
    monkeypatch.setattr(lessons, "LEARN_ROWS", 8)
    monkeypatch.setattr(lessons, "LEARN_MESSAGES", 3)
    monkeypatch.setattr(course, "LEARN_LOG", 2)


def mail(number: int, flags: int = 0, **facts: int) -> NewMessage:
    sender = SENDERS[number % len(SENDERS)]
    content = (
        f"To: to{number}@{sender.from_domain}\r\nSubject: subject number{number}\r\n\r\n"
        f"words{chr(97 + number)} of a message that has a few more of them\r\n"
    )
    return NewMessage(
        content=content.encode(),
        flags=flags,
        received_ms=NOW - number,
        facts=Facts(sender=sender, **facts),  # type: ignore[arg-type]
    )


def open_account(
    engine: MemoryEngine, blobs: MemoryBlobs, folder: Path, filter_: Parameters | None
) -> Shard:
    shard = Shard(engine, blobs, folder, lambda content: {}, clock=FrozenClock(NOW), lazy_sync_s=60)
    shard.organizational = org_of

    def configure(account: Account) -> None:
        account.filter = filter_
        account.rules = MailboxRules(introbox="intro")

    shard.configure = configure
    return shard


async def compare(account: Account, when: str) -> None:
    """What is known is what a look at every message tells."""
    shard = account.shard
    await shard.learner.caught_up(account)
    await shard.learner.idle()
    await shard.committer.written(shard.committer.staged)
    assert stored_counts(account) == trained_anew(account), when
    stored, sent = past(account)
    for name, mailbox in account.by_name.items():
        for sender in SENDERS:
            found = evaluate(read_history(account, name), sender, NOW)
            expected = Oracle(stored, sent, sender, mailbox.id).answer()
            assert (found.junk, found.conclusive, found.method.value) == expected, when
    assert await verify_account(account) == [], when


async def crash_everywhere(
    engine: RecordingEngine,
    blobs: RecordingBlobs,
    folder: Path,
    first: int,
    filter_: Parameters | None,
) -> None:
    assert first < len(engine.writes)
    for kept in range(first, len(engine.writes) + 1):
        shard = open_account(engine.cut_off(kept), blobs.cut_off(kept), folder, filter_)
        account = await shard.account("mox")
        await compare(account, f"after {kept} writes")
        await shard.eraser.idle()
        assert await verify_account(account) == [], f"after {kept} writes, erased"
        await shard.close()


async def change(account: Account, name: str, numbers: list[int], how: How, bits: int) -> None:
    box = account.mailbox(name)
    with box.pinned():
        columns = await box.load()
        slots = columns.slots_by_uid([(n, n) for n in numbers], len(columns), 1 << 62)
        changed = change_flags(account, box, slots, how, bits, ())
    await account.committer.synced(changed.ticket)


async def put(account: Account, name: str, numbers: list[int], target: str, *, move: bool) -> None:
    box = account.mailbox(name)
    with box.pinned():
        columns = await box.load()
        slots = columns.slots_by_uid([(n, n) for n in numbers], len(columns), 1 << 62)
        await copy(account, box, slots, account.mailbox(target), move=move)


@pytest.mark.parametrize("filter_", [None, Parameters()], ids=["no-filter", "filter"])
async def test_everything_is_learnt_in_the_end(tmp_path: Path, filter_: Parameters | None) -> None:
    engine = RecordingEngine()
    check_format(engine)
    blobs = RecordingBlobs(engine)
    shard = open_account(engine, blobs, tmp_path, filter_)
    boxes = (("Sent", "Sent"), ("Junk", "Junk"), ("intro", ""))
    account = await shard.create_account("mox", mailboxes=boxes)
    first, inbox = engine.synced, account.mailbox("Inbox")
    await append(account, inbox, [mail(n, JUNK if n % 3 else NOTJUNK) for n in range(9)])
    await append(account, account.mailbox("Sent"), [mail(n) for n in range(3)])
    await shard.learner.write_down(account)  # so that nothing is looked at twice by chance
    await change(account, "Inbox", list(range(1, 10)), How.REPLACE, NOTJUNK)
    await change(account, "Inbox", [2, 4], How.REPLACE, 0)
    await put(account, "Inbox", [1, 3], "Junk", move=True)
    await asyncio.sleep(0)
    await put(account, "Sent", [1, 2], "Inbox", move=False)
    await shard.learner.idle()
    await append(account, account.mailbox("intro"), [mail(7, destined=inbox.id), mail(8)])
    await put(account, "intro", [1, 2], "Inbox", move=True)
    await create(account, "Other", special_use=("Sent",))
    with account.mailbox("Junk").pinned():
        await account.mailbox("Junk").load()
        await expunge(account, account.mailbox("Junk"), array("I", [0]))
    await shard.eraser.idle()
    await delete(account, "Junk")
    await change(account, "Inbox", [5], How.REPLACE, JUNK)
    await shard.eraser.idle()
    await compare(account, "without a crash")
    await crash_everywhere(engine, blobs, tmp_path, first, filter_)
    await shard.close()


async def test_counts_are_replaced_as_a_whole(tmp_path: Path) -> None:
    engine = RecordingEngine()
    check_format(engine)
    blobs = RecordingBlobs(engine)
    shard = open_account(engine, blobs, tmp_path, Parameters())
    account = await shard.create_account("mox", mailboxes=())
    inbox = account.mailbox("Inbox")
    await append(account, inbox, [mail(n, JUNK if n % 2 else NOTJUNK) for n in range(4)])
    await shard.learner.idle()
    first = len(engine.writes)
    steps = 0

    async def progress(_: object) -> None:
        nonlocal steps
        steps += 1
        if steps == 2:
            await change(account, "Inbox", [1, 2], How.REPLACE, JUNK)
            await append(account, inbox, [mail(9, NOTJUNK)])

    await retrain(account, progress)
    await shard.learner.idle()
    await compare(account, "without a crash")
    await crash_everywhere(engine, blobs, tmp_path, first, Parameters())
    # The same where the filter is set differently afterwards.
    account.filter = Parameters(twograms=True)
    await shard.learner.idle()
    await compare(account, "without a crash")
    await crash_everywhere(engine, blobs, tmp_path, first, Parameters(twograms=True))
    await shard.close()
