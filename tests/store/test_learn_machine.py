"""Whatever happens to an account: what it knows of senders and words is what all of its messages say."""

import asyncio
import random
import shutil
import tempfile
from array import array
from collections.abc import Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule
from support.knowledge import org_of, past, stored_counts, trained_anew
from support.reputation import NOW, Oracle, senders
from support.turns import Later, OnExecutor

from mox.base.clock import FrozenClock
from mox.base.flags import JUNK, NOTJUNK, SEEN
from mox.base.regexp import Regexp
from mox.junk.mailboxes import MailboxRules
from mox.junk.parameters import Parameters
from mox.junk.reputation import DAY_MS, Sender, evaluate
from mox.store import bodies, commit, course, erase, flags, learn, lessons, messages, shard
from mox.store.account import Account
from mox.store.blobs.memory import MemoryBlobs
from mox.store.content import NewMessage
from mox.store.engine.base import Batch, Engine, Family
from mox.store.engine.memory import MemoryEngine
from mox.store.engine.rocks import RocksEngine
from mox.store.errors import MailboxExists, MailboxHasChildren, RetrainImpossible
from mox.store.flags import How, change_flags
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts
from mox.store.mailbox import Mailbox
from mox.store.mailboxes import create, delete, rename
from mox.store.messages import append, copy, expunge
from mox.store.retrain import retrain
from mox.store.shard import Shard, check_format
from mox.store.verify import verify_account
from mox.store.votes import read_history
from mox.store.words import WordCache

T = TypeVar("T")

NAMES = ("Inbox", "Sent", "Junk", "Rejects", "intro", "lists/a")
FILTERS = (None, Parameters(), Parameters(twograms=True), Parameters(threshold=0.5))
RULES = (
    MailboxRules(rejects_mailbox="Rejects", introbox="intro"),
    MailboxRules(
        enabled=True,
        junk=Regexp("^junk"),
        neutral=Regexp("^(inbox|intro|rejects)"),
        rejects_mailbox="Rejects",
        introbox="intro",
    ),
)
WORDS = [f"word{letter}" for letter in "abcdefgh"]
FLAGS = st.sampled_from([0, JUNK, NOTJUNK, JUNK | NOTJUNK, SEEN, JUNK | SEEN])
AGES = st.sampled_from([0, 1, 40, 92, 183, 731, 1096])
MAIL = st.tuples(
    senders(), FLAGS, AGES, st.lists(st.sampled_from(WORDS), max_size=6), st.integers(0, 3)
)
BOX, SLOTS = st.integers(0, 9), st.integers(1, 2**12 - 1)

# How often, what, with which arguments.
STEPS: list[tuple[int, str, dict[str, st.SearchStrategy[Any]]]] = [
    (6, "deliver", {"where": BOX, "mails": st.lists(MAIL, min_size=1, max_size=4)}),
    (6, "set_flags", {"where": BOX, "slots": SLOTS, "how": st.sampled_from(How), "bits": FLAGS}),
    (5, "copy", {"where": BOX, "there": BOX, "slots": SLOTS, "move": st.booleans()}),
    (3, "expunge", {"where": BOX, "slots": SLOTS}),
    (1, "create", {"name": st.sampled_from([*NAMES, "x"]), "use": st.sampled_from(["", "Sent"])}),
    (1, "delete", {"where": BOX}),
    (1, "rename", {"where": BOX, "name": st.sampled_from(["y", "Junk", "Rejects", "z/z"])}),
    (2, "set_filter", {"which": st.integers(0, len(FILTERS) - 1)}),
    (1, "set_rules", {"which": st.integers(0, len(RULES) - 1)}),
    (1, "train", {}),
    (1, "trim", {}),
    (2, "pause", {}),
    (1, "reopen", {}),
]
STEP = st.sampled_from([at for at, (often, *_) in enumerate(STEPS) for _ in range(often)]).flatmap(
    lambda at: st.tuples(st.just(STEPS[at][1]), st.fixed_dictionaries(STEPS[at][2]))
)


class KnowledgeAgainstMessages(RuleBasedStateMachine):
    """Learning goes on between and during the steps; it is compared whenever it has caught up.

    No thread and no clock has a say in it, so each run is the same.
    """

    rocks = False

    def __init__(self) -> None:
        super().__init__()
        self.patches = ExitStack()
        small = [
            (flags, "COMMIT_BATCH_ROWS", 4),
            (messages, "COMMIT_BATCH_ROWS", 4),
            (messages, "BODY_INLINE_BATCH", 150),
            (erase, "FILES_PER_BATCH", 2),
            (lessons, "LEARN_ROWS", 5),
            (lessons, "LEARN_MESSAGES", 3),
            (lessons, "LEARN_FLAGGED", 2),
            (lessons, "LEARN_BYTES", 300),
            (course, "LEARN_LOG", 2),
            (course, "NEAR", 2),
            (learn, "LEARN_LAG", 5),
        ]
        for module, name, value in small:
            self.patches.enter_context(mock.patch.object(module, name, value))
        rng = random.Random(1)
        for user in (bodies, commit, shard):
            later = mock.patch.object(
                user,
                "WorkThreads",
                side_effect=lambda _, count=1: OnExecutor(Later(rng, 8, in_order=count == 1)),
            )
            self.patches.enter_context(later)
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp(prefix="mox-knowledge-"))
        self.engine: Engine = MemoryEngine()
        self.blobs = MemoryBlobs()
        self.asked: list[Sender] = []
        self.filter: Parameters | None = None
        self.mailbox_rules = RULES[0]
        self.shard: Shard
        self.account: Account
        self.run(self.open(first=True))

    @rule(
        steps=st.lists(STEP, min_size=5, max_size=15),
        asked=st.lists(senders(), min_size=1, max_size=3),
    )
    def go_on(self, steps: list[tuple[str, dict[str, Any]]], asked: list[Sender]) -> None:
        for name, arguments in steps:
            self.run(getattr(self, name)(**arguments))
        self.run(self.compare(asked))

    # -------------------------------------------------------------- running

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, 60))

    async def open(self, *, first: bool = False) -> None:
        if self.rocks:
            self.engine = RocksEngine(self.folder / "db")
        check_format(self.engine)
        self.shard = Shard(
            self.engine,
            self.blobs,
            self.folder,
            lambda content: {},
            clock=FrozenClock(NOW),
            lazy_sync_s=3600,  # the step "pause" does it
        )
        self.shard.organizational = org_of
        self.shard.words = WordCache(memory=1000)
        self.shard.configure = self.configure
        if first:
            boxes = [(name, name) for name in ("Sent", "Junk")]
            boxes += [(name, "") for name in ("Rejects", "intro", "lists", "lists/a")]
            self.account = await self.shard.create_account("mox", mailboxes=boxes)
        else:
            self.account = await self.shard.account("mox")

    def configure(self, account: Account) -> None:
        account.filter, account.rules = self.filter, self.mailbox_rules

    def teardown(self) -> None:
        try:
            self.run(self.compare([]))
            self.run(self.shard.close())
        finally:
            self.loop.close()
            self.patches.close()
            shutil.rmtree(self.folder)

    async def compare(self, asked: list[Sender]) -> None:
        account = self.account
        await self.shard.learner.caught_up(account)
        await self.shard.learner.idle()
        await self.shard.committer.written(self.shard.committer.staged)
        assert stored_counts(account) == trained_anew(account)
        stored, sent = past(account)
        for sender in [*asked, *self.asked[-5:]]:
            for name, mailbox in account.by_name.items():
                found = evaluate(read_history(account, name), sender, NOW)
                expected = Oracle(stored, sent, sender, mailbox.id).answer()
                assert (found.junk, found.conclusive, found.method.value) == expected
        assert await verify_account(account) == []
        await self.shard.eraser.idle()
        assert await verify_account(account) == []

    # -------------------------------------------------------------- choosing

    def box(self, where: int) -> Mailbox:
        boxes = sorted(self.account.mailboxes.values(), key=lambda box: box.id)
        return boxes[where % len(boxes)]

    async def some(self, box: Mailbox, which: int) -> "array[int]":
        """Some live messages, by the bits of a number."""
        columns = await box.load()
        live = columns.visible_slots(len(columns), 1 << 62)
        return array("I", (slot for at, slot in enumerate(live) if which >> at % 12 & 1))

    # -------------------------------------------------------------- steps

    async def deliver(self, where: int, mails: list[Any]) -> None:
        box, inbox = self.box(where), self.account.mailbox("Inbox")
        new = []
        for sender, bits, days, words, kind in mails:
            self.asked.append(sender)
            date = "Date: Sat, 01 Jan 2028 00:00:00 +0000\r\n" if kind == 1 else ""
            head = f"{date}To: {sender.from_localpart or 'who'}@{sender.from_domain or 'x'}\r\n"
            text = " ".join(words)
            new.append(
                NewMessage(
                    content=f"{head}Subject: {text}\r\n\r\n{text}\r\n".encode(),
                    flags=bits,
                    received_ms=NOW - days * DAY_MS,
                    facts=Facts(sender=sender, destined=inbox.id if kind > 1 else 0),
                )
            )
        await append(self.account, box, new)

    async def set_flags(self, where: int, slots: int, how: How, bits: int) -> None:
        box = self.box(where)
        with box.pinned():
            chosen = await self.some(box, slots)
            changed = change_flags(self.account, box, chosen, how, bits, ())
        await self.account.committer.written(changed.ticket)

    async def copy(self, where: int, there: int, slots: int, move: bool) -> None:
        source = self.box(where)
        with source.pinned():
            chosen = await self.some(source, slots)
            if chosen:
                await copy(self.account, source, chosen, self.box(there), move=move)
        source.compact()

    async def expunge(self, where: int, slots: int) -> None:
        box = self.box(where)
        with box.pinned():
            await expunge(self.account, box, await self.some(box, slots))
        box.compact()

    async def create(self, name: str, use: str) -> None:
        if name not in self.account.by_name:
            await create(self.account, name, special_use=(use,) if use else ())

    async def delete(self, where: int) -> None:
        box = self.box(where)
        if box.name != "Inbox":
            try:
                await delete(self.account, box.name)
            except MailboxHasChildren:
                assert any(name.startswith(box.name + "/") for name in self.account.by_name)

    async def rename(self, where: int, name: str) -> None:
        box = self.box(where)
        try:
            await rename(self.account, box.name, name)
        except MailboxExists:
            assert name in self.account.by_name or box.name != "Inbox"

    async def set_filter(self, which: int) -> None:
        self.filter = FILTERS[which]
        self.account.filter = self.filter

    async def set_rules(self, which: int) -> None:
        self.mailbox_rules = RULES[which]
        self.account.rules = self.mailbox_rules

    async def train(self) -> None:
        try:
            await retrain(self.account)
        except RetrainImpossible:
            # No filter, or the learner was faster.
            course = self.account.course
            assert self.filter is None or (course and course.retrain_cursor is not None)

    async def trim(self) -> None:
        """History is forgotten, whatever the learner has read of it."""
        account = self.account
        await account.settle()
        account.record.trimmed_modseq = account.record.modseq
        batch = Batch()
        batch.put(Family.META, keys.account(account.id), rows.encode(account.record))
        batch.delete_range(Family.LOG, *keys.account_range(account.id))
        await account.committer.synced(account.committer.stage(batch))

    async def pause(self) -> None:
        """The learner gets on by some lessons."""
        self.shard.committer._sync_all()
        for _ in range(25):
            await asyncio.sleep(0)

    async def reopen(self) -> None:
        await self.shard.close()
        await self.open()


class KnowledgeOnRocks(KnowledgeAgainstMessages):
    rocks = True


TestKnowledge = KnowledgeAgainstMessages.TestCase
TestKnowledge.settings = settings(
    settings.get_profile("ci"), max_examples=25, stateful_step_count=5
)
TestKnowledgeOnRocks = KnowledgeOnRocks.TestCase
TestKnowledgeOnRocks.settings = settings(
    settings.get_profile("ci"), max_examples=5, stateful_step_count=5
)
