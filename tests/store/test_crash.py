"""The machine stops after any write: what was promised is there, nothing is given out twice.

Every write, sync and body is recorded.  A crash keeps some first part of the writes, at least those
that were synced (power failure) or all that were written (the process was killed).  Each such part is
opened again.  Source  decision 0007.
"""

import asyncio
import contextlib
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.recording import RecordingBlobs, RecordingEngine

from mox.base import flags as flagbits
from mox.store import erase, flags, messages
from mox.store.account import Account
from mox.store.changes import Feed
from mox.store.content import NewMessage
from mox.store.errors import MailboxMissing
from mox.store.flags import How, change_flags
from mox.store.mailboxes import create, delete, rename, subscribe, unsubscribe
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account

Make = Callable[..., NewMessage]
State = dict[str, object]  # everything a client could see of an account


@dataclass
class Recorder:
    """An account whose machine may stop; what was promised to whom, by number of writes."""

    shard: Shard
    engine: RecordingEngine
    blobs: RecordingBlobs
    account: Account
    folder: Path
    first: int  # writes before anything could be opened
    told: list[tuple[int, int]] = field(default_factory=list)  # writes that last, modseq
    promises: list[tuple[int, str, Callable[[State], bool]]] = field(default_factory=list)

    async def durable(
        self, name: str, work: Awaitable[object], kept: Callable[[State], bool]
    ) -> None:
        """A change whose reply promises that it is on disk."""
        await work
        self.promises.append((self.engine.synced, name, kept))
        self.told.append((self.engine.synced, self.account.synced_modseq))

    async def crash_everywhere(self) -> None:
        """Open what is left after every write."""
        assert self.first < len(self.engine.writes)
        for kept in range(self.first, len(self.engine.writes) + 1):
            await self.crash(kept)

    async def crash(self, kept: int) -> None:
        shard = Shard(
            self.engine.cut_off(kept),
            self.blobs.cut_off(kept),
            self.folder,
            lambda content: {},
        )
        account = await shard.account("mox")
        state = await state_of(account)
        problems = await verify_account(account)
        assert problems == [], f"after {kept} writes"
        for needed, name, is_kept in self.promises:
            assert needed > kept or is_kept(state), f"{name} is lost after {kept} writes: {state}"
        highest = max((modseq for needed, modseq in self.told if needed <= kept), default=0)
        fresh = NewMessage(content=b"\r\nafter the crash", received_ms=1)
        added = await append(account, account.mailbox("Inbox"), [fresh])
        assert added.modseq > highest, f"a modseq is given out twice after {kept} writes"
        uids = {uid for uid, *_ in state["Inbox"]}  # type: ignore[attr-defined]
        assert not uids & {uid for first, last in added.uids for uid in range(first, last + 1)}
        await shard.eraser.idle()
        assert await verify_account(account) == [], f"after {kept} writes and a message"
        await shard.close()


async def state_of(account: Account) -> State:
    """By name: messages with UID, flags, keywords; and the subscriptions."""
    state: State = {"subscriptions": set(account.subscriptions)}
    for name, mailbox in account.by_name.items():
        columns = await mailbox.load()
        state[name] = [
            (
                columns.uid(slot),
                columns.flags(slot),
                mailbox.keyword_names(columns.keywords(slot)),
                columns.file(slot),
            )
            for slot in range(len(columns))
            if not columns.gone(slot)
        ]
    return state


def uids_in(state: State, name: str) -> list[int] | None:
    found = state.get(name)
    return None if found is None else [uid for uid, *_ in found]  # type: ignore[attr-defined]


def subscriptions(state: State) -> set[str]:
    found = state["subscriptions"]
    assert isinstance(found, set)
    return found


def flags_in(state: State, name: str, uid: int) -> int:
    found = {one: bits for one, bits, *_ in state[name]}  # type: ignore[attr-defined]
    return int(found.get(uid, -1))


@pytest.fixture(params=[40, 0], ids=["rows", "packs"])
async def recorder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Recorder:
    """Contents are rows, the first two of each change, or none is."""
    monkeypatch.setattr(messages, "BODY_INLINE_BATCH", request.param)
    for module in (flags, messages):
        monkeypatch.setattr(module, "COMMIT_BATCH_ROWS", 4)
    monkeypatch.setattr(erase, "FILES_PER_BATCH", 2)
    engine = RecordingEngine()
    check_format(engine)
    blobs = RecordingBlobs(engine)
    shard = Shard(engine, blobs, tmp_path, lambda content: {}, lazy_sync_s=60)
    account = await shard.create_account("mox", mailboxes=(("Archive", ""),))
    return Recorder(shard, engine, blobs, account, tmp_path, engine.synced)


def is_there(name: str, *uids: int) -> Callable[[State], bool]:
    return lambda state: set(uids) <= set(uids_in(state, name) or ())


async def filled(recorder: Recorder, message: Make, count: int) -> None:
    inbox = recorder.account.mailbox("Inbox")
    new = [message(str(n)) for n in range(count)]
    await recorder.durable("append", append(recorder.account, inbox, new), lambda state: True)
    await inbox.load()


async def test_appended_messages_survive(recorder: Recorder, message: Make) -> None:
    account, inbox = recorder.account, recorder.account.mailbox("Inbox")
    await recorder.durable("one", append(account, inbox, [message("1")]), is_there("Inbox", 1))
    several = [message(str(n), keywords=("k",)) for n in range(7)]
    await recorder.durable("many", append(account, inbox, several), is_there("Inbox", *range(1, 9)))
    await asyncio.gather(
        *(
            recorder.durable(
                f"at once {n}",
                append(account, inbox, [message(f"x{n}")]),
                lambda state: len(uids_in(state, "Inbox") or ()) >= 9,
            )
            for n in range(5)
        )
    )
    # All of a change or nothing of it.
    recorder.promises.append(
        (0, "whole", lambda state: len(uids_in(state, "Inbox") or ()) in {0, 1, *range(8, 14)})
    )
    await recorder.crash_everywhere()
    await recorder.shard.close()


@pytest.mark.parametrize("move", [False, True], ids=["copy", "move"])
@pytest.mark.parametrize(
    "uids",
    [[1, 2], list(range(1, 12)), list(range(1, 13, 2))],
    ids=["one-batch", "slices", "every-other"],
)
async def test_copied_and_moved_messages_survive(
    recorder: Recorder, message: Make, uids: list[int], move: bool
) -> None:
    account, inbox = recorder.account, recorder.account.mailbox("Inbox")
    archive = account.mailbox("Archive")
    await filled(recorder, message, 12)
    some = array("I", [uid - 1 for uid in uids])
    everywhere, new = range(1, 13), list(range(1, len(uids) + 1))

    def whole(state: State) -> bool:
        copied = uids_in(state, "Archive") or []
        source = set(uids_in(state, "Inbox") or ())
        if not source:
            return not copied  # before the messages came
        if not copied:
            return source == set(everywhere)
        left = set(everywhere) - set(uids) if move else set(everywhere)
        return copied == new and source == left

    recorder.promises.append((0, "all or nothing", whole))
    await recorder.durable(
        "copy",
        copy(account, inbox, some, archive, move=move),
        is_there("Archive", *new),
    )
    await recorder.crash_everywhere()
    await recorder.shard.close()


@pytest.mark.parametrize(
    "uids",
    [[2], [1, 2, 3, 4], list(range(1, 20, 2))],
    ids=["one", "the-first-four", "every-other"],
)
async def test_expunged_messages_stay_away(
    recorder: Recorder, message: Make, uids: list[int]
) -> None:
    account, inbox = recorder.account, recorder.account.mailbox("Inbox")
    await filled(recorder, message, 20)
    await copy(account, inbox, array("I", [1]), account.mailbox("Archive"))

    def whole(state: State) -> bool:
        left = set(uids_in(state, "Inbox") or ())
        return not left or left == set(range(1, 21)) or left == set(range(1, 21)) - set(uids)

    recorder.promises.append((0, "all or nothing", whole))
    slots = array("I", [uid - 1 for uid in uids])
    await recorder.durable(
        "expunge",
        expunge(account, inbox, slots),
        lambda state: not set(uids) & set(uids_in(state, "Inbox") or ()),
    )
    inbox.compact()
    await recorder.shard.eraser.idle()
    await recorder.crash_everywhere()
    await recorder.shard.close()


async def test_a_mailbox_is_made_with_its_parents(recorder: Recorder) -> None:
    three = {"a", "a/b", "a/b/c"}
    await recorder.durable(
        "create",
        create(recorder.account, "a/b/c", subscribe=True),
        lambda state: three <= state.keys(),
    )
    recorder.promises.append((0, "all or none", lambda state: len(three & state.keys()) in {0, 3}))
    recorder.promises.append(
        (
            0,
            "subscriptions come with them",
            lambda state: three & state.keys() == three & subscriptions(state),
        )
    )
    await recorder.crash_everywhere()
    await recorder.shard.close()


async def test_a_mailbox_is_renamed_with_its_children(recorder: Recorder, message: Make) -> None:
    account = recorder.account
    await filled(recorder, message, 6)
    await create(account, "a/b/c")
    every = array("I", range(6))
    await copy(account, account.mailbox("Inbox"), every, account.mailbox("a/b"))
    done = recorder.engine.synced
    before, after = {"a/b", "a/b/c"}, {"x", "x/y", "x/y/c"}

    def whole(state: State) -> bool:
        found = (before | after) & state.keys()
        return found in (before, after)

    recorder.promises.append((done, "all or nothing", whole))
    recorder.promises.append(
        (done, "messages", lambda s: len(uids_in(s, "a/b") or uids_in(s, "x/y") or ()) == 6)
    )
    await recorder.durable("rename", rename(account, "a/b", "x/y"), lambda s: after <= s.keys())
    await recorder.crash_everywhere()
    await recorder.shard.close()


@pytest.mark.parametrize("count", [1, 6], ids=["one-batch", "slices"])
async def test_inbox_is_renamed_as_a_whole(recorder: Recorder, message: Make, count: int) -> None:
    await filled(recorder, message, count)
    done, every = recorder.engine.synced, list(range(1, count + 1))

    def whole(state: State) -> bool:
        if "old" in state:
            return uids_in(state, "old/in") == every and uids_in(state, "Inbox") == []
        return "old/in" not in state and uids_in(state, "Inbox") == every

    recorder.promises.append((done, "all or nothing", whole))
    await recorder.durable(
        "rename", rename(recorder.account, "Inbox", "old/in"), lambda state: "old/in" in state
    )
    await recorder.crash_everywhere()
    # What was not done can be done again.
    engine = recorder.engine.cut_off(done + 1)
    shard = Shard(engine, recorder.blobs.cut_off(done + 1), recorder.folder, lambda content: {})
    account = await shard.account("mox")
    if count > 1:
        await rename(account, "Inbox", "old/in")
    assert whole(await state_of(account))
    assert await verify_account(account) == []
    await shard.close()
    await recorder.shard.close()


async def test_a_mailbox_is_deleted_with_its_messages(recorder: Recorder, message: Make) -> None:
    account = recorder.account
    await filled(recorder, message, 6)
    await create(account, "a/b")
    every = array("I", range(6))
    await copy(account, account.mailbox("Inbox"), every, account.mailbox("a/b"), move=True)
    done = recorder.engine.synced
    recorder.promises.append(
        (done, "all or nothing", lambda state: len(uids_in(state, "a/b") or range(6)) == 6)
    )
    await recorder.durable("child", delete(account, "a/b"), lambda state: "a/b" not in state)
    await recorder.durable("delete", delete(account, "a"), lambda state: "a" not in state)
    await recorder.shard.eraser.idle()
    await recorder.crash_everywhere()
    await recorder.shard.close()


async def test_subscriptions_survive(recorder: Recorder) -> None:
    account = recorder.account

    def subscribed(name: str, state: State) -> bool:
        return name in subscriptions(state)

    await recorder.durable("on", subscribe(account, "a"), lambda state: True)
    await recorder.durable("on", subscribe(account, "b"), lambda state: subscribed("b", state))
    await recorder.durable("off", unsubscribe(account, "a"), lambda s: not subscribed("a", s))
    await recorder.crash_everywhere()
    await recorder.shard.close()


@pytest.mark.parametrize("count", [1, 11], ids=["one-batch", "slices"])
async def test_flags_survive_as_they_were_promised(
    recorder: Recorder, message: Make, count: int
) -> None:
    account, inbox = recorder.account, recorder.account.mailbox("Inbox")
    await filled(recorder, message, 12)
    slots = array("I", range(count))
    written = change_flags(account, inbox, slots, How.ADD, flagbits.SEEN, ("new",))
    before = len(recorder.engine.writes)
    await account.committer.written(written.ticket)
    # Killed from here on, the process left all of it in the write-ahead log.
    assert len(recorder.engine.writes) > before
    recorder.promises.append(
        (
            len(recorder.engine.writes),
            "written",
            lambda state: all(flags_in(state, "Inbox", uid) & 1 for uid in range(1, count + 1)),
        )
    )
    assert account.synced_modseq < written.modseq  # and nobody was told
    flagged = change_flags(account, inbox, slots, How.ADD, flagbits.FLAGGED, ())
    await recorder.durable(
        "synced",
        account.committer.synced(flagged.ticket),
        lambda state: all(
            flags_in(state, "Inbox", uid) == flagbits.SEEN | flagbits.FLAGGED
            for uid in range(1, count + 1)
        ),
    )
    await recorder.crash_everywhere()
    await recorder.shard.close()


async def test_a_watching_session_is_told_only_what_lasts(
    recorder: Recorder, message: Make
) -> None:
    account, inbox = recorder.account, recorder.account.mailbox("Inbox")
    await filled(recorder, message, 6)
    view = await account.open_view(inbox, read_only=False)
    highest: list[tuple[int, int]] = []

    def look() -> None:
        news = view.poll(expunge=True)
        columns = view.columns
        seen = [columns.modseq(slot) for slot in (*news.changed, *news.added)]
        highest.append((recorder.engine.synced, max([view.modseq, *seen])))

    account.register(Feed(look))
    for n in range(8):
        slots = array("I", [n % 3])
        change_flags(account, inbox, slots, How.ADD if n % 2 else How.REMOVE, 1 << n % 3, ())
        await asyncio.sleep(0)
        await append(account, inbox, [message(f"later {n}")])
        if n % 4 == 3:
            live, _ = view.split_gone(array("I", [n]))
            await expunge(account, inbox, live)
        look()
    recorder.told += highest
    assert len({modseq for _, modseq in highest}) > 8
    await recorder.crash_everywhere()
    await recorder.shard.close()


async def test_a_mailbox_comes_back_under_another_uidvalidity(
    recorder: Recorder, message: Make
) -> None:
    """Deleted and made again around crashes, a name never shows old UIDs with an old validity."""
    account = recorder.account
    told: list[tuple[int, int, str]] = []  # writes that last, UIDVALIDITY, which
    for n in range(3):
        [box] = await create(account, "box")
        await append(account, box, [message(str(n))])
        told.append((recorder.engine.synced, box.record.uidvalidity, str(n)))
        await delete(account, "box")
    assert len({validity for _, validity, _ in told}) == 3
    for kept in range(recorder.first, len(recorder.engine.writes) + 1):
        engine = recorder.engine.cut_off(kept)
        shard = Shard(engine, recorder.blobs.cut_off(kept), recorder.folder, lambda content: {})
        again = await shard.account("mox")
        with contextlib.suppress(MailboxMissing):
            await delete(again, "box")
        [made] = await create(again, "box")
        earlier = [validity for needed, validity, _ in told if needed <= kept]
        assert made.record.uidvalidity > max(earlier, default=0)
        await shard.close()
    await recorder.shard.close()
