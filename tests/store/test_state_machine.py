"""An account against a plain model of what is there and of what each session may know."""

import asyncio
import shutil
import tempfile
import threading
from array import array
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from support.turns import OnExecutor

from mox._speedups import ranges_of
from mox.base import flags as flagbits
from mox.base.clock import FrozenClock
from mox.store import bodies, commit, erase, flags, mailbox, messages, reading, shard
from mox.store.account import Account
from mox.store.blobs.memory import MemoryBlobs
from mox.store.content import NewMessage
from mox.store.engine.base import Engine, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import MailboxExists, MailboxHasChildren
from mox.store.flags import How, change_flags
from mox.store.history import vanished_since
from mox.store.layout import keys
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import create, delete, rename, subscribe, unsubscribe
from mox.store.messages import append, copy, expunge
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account
from mox.store.view import View

T = TypeVar("T")
Flags = tuple[int, frozenset[str]]
KEYWORDS = ("red", "green", "blue")
NAMES = ("Inbox", "a", "a/b", "a/c", "d", "e/f")
ALL_UIDS = [(1, 2**32 - 1)]


@dataclass
class Message:
    uid: int
    content: bytes
    flags: Flags
    createseq: int
    modseq: int
    gone: int = 0


@dataclass
class Box:
    """A mailbox as it ought to be, with all it ever had since it was made."""

    mailbox: Mailbox
    uidnext: int = 1
    messages: dict[int, Message] = field(default_factory=dict)
    deleted: bool = False

    def live(self) -> list[Message]:
        return [message for message in self.messages.values() if not message.gone]


@dataclass(eq=False)
class Client:
    """A session's view, and what its client was told."""

    view: View
    box: Box
    seen: int
    told: int
    shown: list[int]
    known: dict[int, Flags]
    own: set[int] = field(default_factory=set)
    modseq: int = 0
    recent: set[int] = field(default_factory=set)


class Gate:
    """Syncs wait here while it is shut; ``let_one_through`` ends one of them."""

    def __init__(self) -> None:
        self.is_open = True
        self.waiting = False
        self._permit = threading.Event()
        self._rested = threading.Event()

    def watch(self, engine: Engine) -> None:
        sync = engine.sync

        def wait_and_sync() -> None:
            if not self.is_open:
                self.waiting = True
                self._rested.set()
                assert self._permit.wait(60), "the gate stays shut"
                self._permit.clear()
                self.waiting = False
            sync()

        engine.sync = wait_and_sync  # type: ignore[method-assign]

    def run(self, job: Callable[[], None]) -> None:
        """Run a job to its end, or until it waits here."""
        if self.is_open:
            job()
            return

        def run_and_rest() -> None:
            job()
            self._rested.set()

        self._rest_after(threading.Thread(target=run_and_rest).start)

    def let_one_through(self) -> None:
        """One sync ends; until the thread waits for another one, or is done."""
        assert self.waiting
        self._rest_after(self._permit.set)

    def open(self) -> None:
        """From here on no sync waits."""
        self.is_open = True
        if self.waiting:
            self.let_one_through()

    def shut(self) -> None:
        """From here on each sync waits."""
        self.is_open = False

    def _rest_after(self, start: Callable[[], None]) -> None:
        self._rested.clear()
        start()
        assert self._rested.wait(60), "a thread does not end"


class InTurn(Executor):
    """Threads that never run beside the event loop, so that each run of a test is the same."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:
                future.set_exception(error)

        self._gate.run(job)
        return future


WHERE, WHICH, BITS = st.integers(0, 9), st.integers(0, 5), st.integers(0, 15)
SLOTS = st.integers(1, 2**24 - 1)
WORDS = st.sets(st.sampled_from(KEYWORDS))
NAME, NEW_NAME = st.sampled_from(NAMES), st.sampled_from(NAMES[1:])

# How often, what, with which arguments.
STEPS: list[tuple[int, str, dict[str, st.SearchStrategy[Any]]]] = [
    (
        3,
        "append",
        {"where": WHERE, "count": st.integers(1, 7), "bits": BITS, "words": WORDS, "mine": WHICH},
    ),
    (
        4,
        "set_flags",
        {
            "which": WHICH,
            "slots": SLOTS,
            "how": st.sampled_from(How),
            "bits": BITS,
            "words": WORDS,
            "since": st.none() | st.integers(0, 6),
            "mine": st.booleans(),
        },
    ),
    (
        3,
        "copy",
        {"where": WHERE, "there": WHERE, "slots": SLOTS, "move": st.booleans(), "mine": WHICH},
    ),
    (3, "expunge", {"where": WHERE, "slots": SLOTS}),
    (1, "create", {"name": NEW_NAME, "special": st.booleans()}),
    (1, "delete", {"name": NEW_NAME}),
    (1, "rename", {"old": NAME, "new": NEW_NAME}),
    (1, "subscribe", {"name": NAME, "on": st.booleans()}),
    (2, "open_view", {"where": WHERE, "read_only": st.booleans()}),
    (1, "close_view", {"which": WHICH}),
    (5, "poll", {"which": WHICH, "expunges": st.booleans()}),
    (1, "claim_recent", {"which": WHICH}),
    (1, "read_contents", {"which": WHICH, "deep": st.booleans()}),
    (2, "drop_columns", {"where": WHERE}),
    (1, "compact", {"where": WHERE}),
    (2, "shut", {}),
    (1, "release", {}),
    (4, "sync_some", {}),
    (2, "time_passes", {}),
    (2, "load_behind", {"where": WHERE}),
    (1, "history", {"where": WHERE, "back": st.integers(0, 8)}),
    (1, "verify", {}),
    (1, "reopen", {}),
]
STEP = st.sampled_from([at for at, (often, *_) in enumerate(STEPS) for _ in range(often)]).flatmap(
    lambda at: st.tuples(st.just(STEPS[at][1]), st.fixed_dictionaries(STEPS[at][2]))
)


async def a_while() -> None:
    """Until nothing goes on but what waits for a thread or a timer."""
    for _ in range(20):
        await asyncio.sleep(0)


class AccountAgainstModel(RuleBasedStateMachine):
    """One rule for all steps: hypothesis would leave most of many rules out of a run."""

    rocks = False

    def __init__(self) -> None:
        super().__init__()
        self.patches = ExitStack()
        for module in (flags, messages):
            self.patches.enter_context(mock.patch.object(module, "COMMIT_BATCH_ROWS", 4))
        self.patches.enter_context(mock.patch.object(erase, "FILES_PER_BATCH", 2))
        # Two contents of a change are rows.
        self.patches.enter_context(mock.patch.object(messages, "BODY_INLINE_BATCH", 32))
        self.patches.enter_context(mock.patch.object(mailbox, "COMPACT_TAIL", 6))
        self.patches.enter_context(mock.patch.object(mailbox, "COMPACT_SHARE", 3))
        self.patches.enter_context(mock.patch.object(mailbox, "LOAD_SLICE", 3))
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="mox-model-"))
        self.clock = FrozenClock()
        self.engine: Engine = MemoryEngine()
        self.blobs = MemoryBlobs()
        self.gate = Gate()
        in_turn = OnExecutor(InTurn(self.gate))
        for module in (bodies, commit, shard):
            self.patches.enter_context(
                mock.patch.object(module, "WorkThreads", return_value=in_turn)
            )
        self.boxes: dict[str, Box] = {}
        self.clients: list[Client] = []
        self.subscribed: set[str] = set()
        self.pending: list[asyncio.Task[Any]] = []
        self.number = 0
        self.shard: Shard
        self.account: Account
        self.run(self.open(first=True))
        inbox = self.account.mailbox("Inbox")
        self.boxes["Inbox"] = Box(inbox)
        self.subscribed = set(self.account.subscriptions)

        self.append(where=0, count=5, bits=0, words=set(), mine=5)
        self.open_view(where=0, read_only=False)

    @rule(steps=st.lists(STEP, min_size=5, max_size=15))
    def go_on(self, steps: list[tuple[str, dict[str, Any]]]) -> None:
        for name, arguments in steps:
            getattr(self, name)(**arguments)

    # -------------------------------------------------------------- running

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 20))

    async def open(self, *, first: bool = False) -> None:
        if self.rocks:
            self.engine = RocksEngine(self.folder / "db")
        if first or self.rocks:
            self.gate.watch(self.engine)
        check_format(self.engine)
        self.shard = Shard(
            self.engine,
            self.blobs,
            self.folder,
            lambda content: {},
            clock=self.clock,
            lazy_sync_s=3600,  # the step "time_passes" does it
        )
        if first:
            self.account = await self.shard.create_account("mox", mailboxes=())
        else:
            self.account = await self.shard.account("mox")

    def call(self, function: Callable[..., T], *args: Any, **named: Any) -> T:
        """Call what needs a running loop."""

        async def work() -> T:
            return function(*args, **named)

        return self.run(work())

    def do(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Run a change to its end; with the gate shut until it is staged."""
        if self.gate.is_open:
            return self.run(work)
        before = self.account.ticket

        async def until_staged() -> T | None:
            task = self.loop.create_task(work)
            while not task.done() and self.account.ticket == before:
                await asyncio.sleep(0)
            if task.done():
                return task.result()
            self.pending.append(task)
            return None

        return self.run(until_staged())

    def teardown(self) -> None:
        try:
            self.release()
            self.run(self.finish())
        finally:
            self.gate.open()
            self.loop.close()
            self.patches.close()
            shutil.rmtree(self.folder)

    async def finish(self) -> None:
        for client in self.clients:
            client.view.close()
        await self.shard.eraser.idle()
        assert await verify_account(self.account) == []
        await self.shard.close()

    # -------------------------------------------------------------- choosing

    def box_of(self, where: int) -> Box:
        return list(self.boxes.values())[where % len(self.boxes)]

    def client_of(self, which: int) -> Client | None:
        return self.clients[which % len(self.clients)] if self.clients else None

    def slots_of(self, box: Box, which: int, limit: int | None = None) -> "array[int]":
        """Some live slots, by the bits of a number; only where the columns are loaded."""
        columns = box.mailbox.columns
        assert columns is not None
        count = len(columns) if limit is None else limit
        return array(
            "I",
            (slot for slot in range(count) if which >> slot % 24 & 1 and not columns.gone(slot)),
        )

    def load(self, box: Box) -> None:
        if box.mailbox.columns is None:
            self.run(box.mailbox.load())

    @property
    def newest(self) -> int:
        return self.account.record.modseq

    # -------------------------------------------------------------- messages

    def append(self, where: int, count: int, bits: int, words: set[str], mine: int) -> None:
        box = self.box_of(where)
        fresh = []
        for _ in range(count):
            self.number += 1
            fresh.append(b"Subject: %d\r\n\r\n" % self.number)
        new = [
            NewMessage(content=text, flags=bits, keywords=tuple(sorted(words)), received_ms=1)
            for text in fresh
        ]
        before = self.newest
        added = self.do(append(self.account, box.mailbox, new))
        assert self.newest == before + 1
        uids = range(box.uidnext, box.uidnext + count)
        if added is not None:
            assert added.uids == [(uids[0], uids[-1])]
            assert added.modseq == self.newest
        for uid, text in zip(uids, fresh, strict=True):
            status = (bits, frozenset(words))
            box.messages[uid] = Message(uid, text, status, self.newest, self.newest)
        box.uidnext += count
        self.change_is_mine(mine, box)

    def change_is_mine(self, which: int, box: Box) -> None:
        """The newest change was made by the session of a client, who may have another mailbox."""
        if which < len(self.clients):
            client = self.clients[which]
            client.view.own(self.newest)
            client.own.add(self.newest)
            if client.box is box:
                for message in box.messages.values():
                    if message.modseq == self.newest:
                        client.known[message.uid] = message.flags

    def set_flags(
        self,
        which: int,
        slots: int,
        how: How,
        bits: int,
        words: set[str],
        since: int | None,
        mine: bool,
    ) -> None:
        client = self.client_of(which)
        if client is None:
            return
        box, view = client.box, client.view
        if box.deleted:
            return
        chosen = self.slots_of(box, slots, view.limit)
        live = {view.columns.uid(slot): slot for slot in chosen}
        assert view.split_gone(chosen) == (chosen, False)
        unchanged = None if since is None else max(0, self.newest - since)
        behind = {view.columns.uid(slot) for slot in view.changed_by_others()}
        before = self.newest
        result = self.call(
            change_flags,
            self.account,
            box.mailbox,
            chosen,
            how,
            bits,
            tuple(sorted(words)),
            unchanged_since=unchanged,
        )
        failed, changed = [], []
        for uid in live:
            message = box.messages[uid]
            if unchanged is not None and message.modseq > unchanged:
                failed.append(uid)
                continue
            old, named = message.flags
            new: Flags = {
                How.REPLACE: (bits, frozenset(words)),
                How.ADD: (old | bits, named | words),
                How.REMOVE: (old & ~bits, named - words),
            }[how]
            if new != message.flags:
                message.flags, message.modseq = new, before + 1
                changed.append(uid)
        assert [view.columns.uid(slot) for slot in result.failed] == failed
        assert [view.columns.uid(slot) for slot in result.changed] == changed
        assert result.modseq == (before + 1 if changed else 0)
        assert self.newest == (before + 1 if changed else before)
        if result.modseq and mine:
            view.own(result.modseq)
            client.own.add(result.modseq)
            for uid in changed:
                client.known[uid] = box.messages[uid].flags
        for uid in behind & live.keys():
            client.known[uid] = box.messages[uid].flags
        if self.gate.is_open:
            self.run(self.account.committer.written(result.ticket))

    def copy(self, where: int, there: int, slots: int, move: bool, mine: int) -> None:
        source, target = self.box_of(where), self.box_of(there)
        if source.mailbox.columns is None and not self.gate.is_open:
            return
        self.load(source)
        chosen = self.slots_of(source, slots)
        if not chosen:
            return
        columns = source.mailbox.columns
        assert columns is not None
        uids = [columns.uid(slot) for slot in chosen]
        source.mailbox.pins += 1
        done = self.do(copy(self.account, source.mailbox, chosen, target.mailbox, move=move))
        source.mailbox.pins -= 1
        first = target.uidnext
        target.uidnext += len(uids)
        for uid, new in zip(uids, range(first, target.uidnext), strict=True):
            old = source.messages[uid]
            target.messages[new] = Message(new, old.content, old.flags, self.newest, self.newest)
            if move:
                old.gone = self.newest
        if done is not None:
            assert done.uids == [(first, target.uidnext - 1)]
            assert done.source_uids == ranges_of(uids)
        self.change_is_mine(mine, target)

    def expunge(self, where: int, slots: int) -> None:
        box = self.box_of(where)
        if box.mailbox.columns is None and not self.gate.is_open:
            return
        self.load(box)
        chosen = self.slots_of(box, slots)
        columns = box.mailbox.columns
        assert columns is not None
        uids = [columns.uid(slot) for slot in chosen]
        before = self.newest
        box.mailbox.pins += 1
        modseq = self.do(expunge(self.account, box.mailbox, chosen))
        box.mailbox.pins -= 1
        for uid in uids:
            box.messages[uid].gone = self.newest
        assert self.newest == before + bool(uids)
        if modseq is not None:
            assert modseq == (self.newest if uids else 0)

    # -------------------------------------------------------------- mailboxes

    def create(self, name: str, special: bool) -> None:
        use = ("Archive",) if special else ()
        if name in self.boxes:
            self.refused(create(self.account, name), MailboxExists)
            return
        self.do(create(self.account, name, special_use=use))
        self.notice_new_mailboxes()
        assert name in self.boxes
        if special:
            users = [n for n, b in self.boxes.items() if b.mailbox.record.special_use]
            assert users == [name]

    def notice_new_mailboxes(self) -> None:
        for name, found in self.account.by_name.items():
            if name not in self.boxes:
                assert any(one.startswith(name) for one in (*NAMES, *self.account.by_name))
                self.boxes[name] = Box(found)

    def refused(self, work: Coroutine[Any, Any, object], error: type[Exception]) -> None:
        before = self.newest
        try:
            self.run(work)
        except error:
            assert self.newest == before
        else:
            raise AssertionError(f"{error.__name__} expected")

    def delete(self, name: str) -> None:
        if not self.gate.is_open:
            return
        if name not in self.boxes:
            return
        if any(other.startswith(name + "/") for other in self.boxes):
            self.refused(delete(self.account, name), MailboxHasChildren)
            return
        box = self.boxes.pop(name)
        self.run(delete(self.account, name))
        box.deleted = True
        for message in box.live():
            message.gone = self.newest

    def rename(self, old: str, new: str) -> None:
        if old not in self.boxes or (old == "Inbox" and not self.gate.is_open):
            return
        if new in self.boxes:
            self.refused(rename(self.account, old, new), MailboxExists)
            return
        if old == "Inbox":
            self.rename_inbox(new)
            return
        moved = {n: b for n, b in self.boxes.items() if n == old or n.startswith(old + "/")}
        if any(new + n[len(old) :] in self.boxes.keys() - moved.keys() for n in moved):
            self.refused(rename(self.account, old, new), MailboxExists)
            return
        self.do(rename(self.account, old, new))
        for name in moved:
            del self.boxes[name]
        for name, box in moved.items():
            self.boxes[new + name[len(old) :]] = box
        self.notice_new_mailboxes()

    def rename_inbox(self, new: str) -> None:
        inbox = self.boxes["Inbox"]
        self.run(rename(self.account, "Inbox", new))
        self.notice_new_mailboxes()
        target = self.boxes[new]
        for uid, old in enumerate(inbox.live(), 1):
            target.messages[uid] = Message(uid, old.content, old.flags, self.newest, self.newest)
            target.uidnext = uid + 1
        for old in inbox.live():
            old.gone = self.newest

    def subscribe(self, name: str, on: bool) -> None:
        if not self.gate.is_open and (name in self.subscribed) == on:
            return
        if on:
            self.do(subscribe(self.account, name))
            self.subscribed.add(name)
        elif name in self.subscribed:
            self.do(unsubscribe(self.account, name))
            self.subscribed.discard(name)
        assert self.account.subscriptions == self.subscribed

    # -------------------------------------------------------------- views

    def open_view(self, where: int, read_only: bool) -> None:
        if not self.gate.is_open or len(self.clients) >= 4:
            return
        box = self.box_of(where)
        view = self.run(self.account.open_view(box.mailbox, read_only=read_only))
        shown = {message.uid: message.flags for message in box.live()}
        assert self.account.synced_modseq == self.newest
        client = Client(view, box, self.newest, self.newest, list(shown), dict(shown))
        self.clients.append(client)
        self.check_view(client)

    def close_view(self, which: int) -> None:
        client = self.client_of(which)
        if client is not None:
            self.clients.remove(client)
            client.view.close()

    def poll(self, which: int, expunges: bool) -> None:
        client = self.client_of(which)
        if client is None:
            return
        view, box, columns = client.view, client.box, client.view.columns
        upto = self.account.synced_modseq
        every = box.messages
        gone = [uid for uid in client.shown if every[uid].gone and every[uid].gone <= upto]
        if not expunges:
            gone = []
        news = view.poll(expunge=expunges)
        assert list(news.expunged_seqs) == [client.shown.index(uid) + 1 for uid in gone]
        assert news.vanished == ranges_of(gone)
        client.shown = [uid for uid in client.shown if uid not in gone]
        if expunges:
            client.told = upto
        changed = [
            uid
            for uid in client.shown
            if client.seen < every[uid].modseq <= upto
            and not every[uid].gone
            and every[uid].modseq not in client.own
        ]
        assert [columns.uid(slot) for slot in news.changed] == changed
        added = [
            message.uid
            for message in every.values()
            if client.seen < message.createseq <= upto and not 0 < message.gone <= client.told
        ]
        client.shown += added
        assert news.exists == (len(client.shown) if added else None)
        told = [uid for uid in added if every[uid].modseq not in client.own]
        assert [columns.uid(slot) for slot in news.added] == told
        for uid in (*changed, *told):
            client.known[uid] = every[uid].flags
        client.seen = upto
        if expunges:
            box.mailbox.compact()
        self.check_view(client)

    def check_view(self, client: Client) -> None:
        view, every = client.view, client.box.messages
        columns = view.columns
        assert view.exists == len(client.shown)
        slots = view.slots_by_seq([(1, len(client.shown))] if client.shown else [])
        assert [columns.uid(slot) for slot in slots] == client.shown
        assert list(view.seqs(slots)) == list(range(1, len(slots) + 1))
        assert list(view.slots_by_uid(ALL_UIDS)) == list(slots)
        assert view.highest_uid() == max(client.shown, default=0)
        for uid, slot in zip(client.shown, slots, strict=True):
            message = every[uid]
            keywords = client.box.mailbox.keyword_names(columns.keywords(slot))
            assert (columns.flags(slot), frozenset(keywords)) == message.flags
            assert columns.modseq(slot) == message.modseq
            assert columns.createseq(slot) == message.createseq
            assert view.is_gone(slot) == bool(message.gone)
            if message.modseq <= client.seen and not message.gone:
                # Whatever happened up to there, this client knows how it ended.
                assert client.known[uid] == message.flags
        assert view.modseq <= self.account.synced_modseq
        assert view.modseq >= client.modseq
        client.modseq = view.modseq
        untold = [every[uid].gone for uid in client.shown if 0 < every[uid].gone <= client.seen]
        newest = client.box.mailbox.record.modseq
        assert newest >= max((max(m.modseq, m.gone) for m in every.values()), default=1)
        assert view.modseq == min([newest, client.seen, *(modseq - 1 for modseq in untold)])

    def claim_recent(self, which: int) -> None:
        client = self.client_of(which)
        if client is None:
            return
        first = client.box.mailbox.record.first_recent
        others = [c for c in self.clients if c.box is client.box and c is not client and c.recent]
        self.call(self.account.claim_recent, client.view)
        recent = {client.view.columns.uid(slot) for slot in client.view.recent_slots()}
        if client.view.read_only:
            assert not recent
        elif not (others or client.box.deleted):
            client.recent |= {uid for uid in client.shown if uid >= first}
            assert client.recent & set(client.shown) <= recent
        # RFC 3501 §2.3.2: a message is recent in one session.
        assert not any(other.recent & recent for other in others)

    def read_contents(self, which: int, deep: bool) -> None:
        """What a client was not told to be gone can be read, after any erasing."""
        if not self.gate.is_open:
            return
        client = self.client_of(which)
        if client is None:
            return
        if deep:
            self.shard.eraser.wake(client.box.mailbox)
            self.run(self.shard.eraser.idle())
        columns = client.view.columns
        slots = client.view.slots_by_uid(ALL_UIDS)
        files = [columns.file(slot) for slot in slots]
        found = reading.read_contents(self.account, files)
        assert found == [client.box.messages[uid].content for uid in client.shown]

    # -------------------------------------------------------------- memory, disk

    def drop_columns(self, where: int) -> None:
        self.run(a_while())  # a loading that came to its end lets go
        mailbox = self.box_of(where).mailbox
        loaded = mailbox.columns is not None
        assert mailbox.drop_columns() == (loaded and not mailbox.views)

    def compact(self, where: int) -> None:
        self.box_of(where).mailbox.compact()
        for client in self.clients:
            self.check_view(client)

    def shut(self) -> None:
        """From here on nothing becomes durable, so nothing may be told."""
        if not self.gate.is_open:
            return
        self.run(self.account.settle())
        self.run(asyncio.sleep(0))
        self.gate.shut()

    def release(self) -> None:
        if self.gate.is_open:
            return
        self.gate.open()
        if self.pending:
            self.run(asyncio.wait_for(asyncio.gather(*self.pending), 10))
            self.pending.clear()
        self.run(self.account.settle())

    def sync_some(self) -> None:
        """What was written before becomes durable, what came later does not."""
        if self.gate.is_open or not self.gate.waiting:
            return
        self.gate.let_one_through()
        self.run(a_while())

    def time_passes(self) -> None:
        """What was written long enough ago is synced."""
        self.call(self.shard.committer._sync_all)
        self.run(a_while())

    def load_behind(self, where: int) -> None:
        """A mailbox is loaded while its newest rows are not written yet."""
        box = self.box_of(where)
        if box.mailbox.columns is None and not self.gate.is_open:
            self.pending.append(self.loop.create_task(box.mailbox.load()))

    def history(self, where: int, back: int) -> None:
        box, upto = self.box_of(where), self.account.synced_modseq
        since = max(1, upto - back)
        found = self.run(vanished_since(self.account, box.mailbox, since, upto, ALL_UIDS))
        expected = sorted(m.uid for m in box.messages.values() if since < m.gone <= upto)
        assert found == ranges_of(expected)

    def verify(self) -> None:
        if not self.gate.is_open:
            return
        self.run(self.account.settle())
        assert self.run(verify_account(self.account)) == []
        assert set(self.account.by_name) == set(self.boxes)
        for name, box in self.boxes.items():
            record, live = box.mailbox.record, box.live()
            assert record.name == name
            assert record.uidnext == box.uidnext
            assert record.messages == len(live)
            assert record.unseen == sum(not m.flags[0] & flagbits.SEEN for m in live)
            assert record.deleted == sum(bool(m.flags[0] & flagbits.DELETED) for m in live)
            assert record.size == sum(len(m.content) for m in live)

    def reopen(self) -> None:
        if not self.gate.is_open:
            return
        for client in self.clients:
            client.view.close()
        self.clients.clear()
        before = self.newest
        self.run(self.shard.close())
        self.run(self.open())
        assert self.newest == before
        assert self.account.subscriptions == self.subscribed
        assert set(self.account.by_name) == set(self.boxes)
        for name, box in self.boxes.items():
            box.mailbox = self.account.mailbox(name)
            columns = self.run(box.mailbox.load())
            found = {
                columns.uid(slot): (
                    columns.flags(slot),
                    frozenset(box.mailbox.keyword_names(columns.keywords(slot))),
                    columns.modseq(slot),
                )
                for slot in range(len(columns))
            }
            assert found == {m.uid: (*m.flags, m.modseq) for m in box.live()}
        self.run(self.shard.eraser.idle())
        self.nothing_is_kept_in_vain()

    def nothing_is_kept_in_vain(self) -> None:
        """With no view open and everything told, every content is somebody's."""
        start, end = keys.account_range(self.account.id)
        stored = {keys.file_id(key) for key, _ in self.engine.scan(Family.LOC, start, end)}
        needed = {
            keys.reference_parts(key)[0] for key, _ in self.engine.scan(Family.IDX, start, end)
        }
        assert stored == needed
        in_rows = {keys.file_id(key) for key, _ in self.engine.scan(Family.BODY, start, end)}
        assert in_rows <= stored


class OnRocks(AccountAgainstModel):
    rocks = True


TestAccountAgainstModel = AccountAgainstModel.TestCase
TestAccountAgainstModel.settings = settings(
    settings.get_profile("ci"), max_examples=30, stateful_step_count=10
)
TestOnRocks = OnRocks.TestCase
TestOnRocks.settings = settings(settings.get_profile("ci"), max_examples=4, stateful_step_count=10)
