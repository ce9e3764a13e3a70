"""How far the learner is with an account that is open."""

import asyncio
from collections import defaultdict, deque
from itertools import islice

import msgspec

from mox._speedups import decode_ranges, merge_ranges
from mox.base.limits import LEARN_LOG
from mox.store.account import Account
from mox.store.engine.base import Batch, Engine, Family
from mox.store.errors import DataDamaged
from mox.store.layout import keys, rows
from mox.store.layout.rows import Learning, LogChange, LogRow
from mox.store.lessons import UID_LAST, Lesson, Stretch, Subject

Ranges = list[tuple[int, int]]
NEAR = 64  # UIDs: looking at those between costs less than a look of its own
_WHOLE = frozenset(["role", "recovered"])  # of these the log does not name the messages


class Course:
    """Made by the learner.    ``lock`` is held for one lesson at a time, and to change generations."""

    def __init__(self, account: Account, record: Learning) -> None:
        self.account = account
        self.lock = asyncio.Lock()
        self.record = record
        self.stored = record  # as it was last written
        self.generations = record.generation  # the highest number that was given out
        self.ahead: deque[Stretch] = deque()  # what the changes up to ``ahead_upto`` touched
        self.ahead_upto = 0
        self.retrain_cursor: int | None = None  # of counts that are being made anew
        self.failure: Exception | None = None
        self._quiet_from, self._quiet_upto = 1, 0  # the newest change sets, that do not concern us

    def note(self, modseq: int, *, teaches: bool) -> None:
        """A change set is durable.    ``teaches`` False: nothing in it concerns us."""
        if teaches:
            self._quiet_from = modseq + 1
        elif modseq != self._quiet_upto + 1:
            self._quiet_from = modseq  # what lies between we were not told
        self._quiet_upto = modseq

    def pass_quiet(self) -> None:
        """Move the cursor over the newest change sets, where nothing before them is left to learn."""
        record = self.record
        if (
            record.scan is None
            and not self.ahead
            and self._quiet_from - 1 <= record.cursor < self._quiet_upto
        ):
            self.set(cursor=self._quiet_upto)

    def to_read(self, upto: int) -> int:
        """Up to which modseq the log has to be read, to know all that it says up to ``upto``."""
        return self._quiet_from - 1 if upto <= self._quiet_upto else upto

    @property
    def floor(self) -> int:
        """What was expunged up to this modseq is not needed any more."""
        if self.retrain_cursor is None:
            return self.record.cursor
        return min(self.record.cursor, self.retrain_cursor)

    @property
    def subject(self) -> Subject:
        """What is to be learnt as things change."""
        record = self.record
        return Subject(votes=True, generation=record.generation, grams=record.grams)

    def set(self, **fields: object) -> None:
        """Change the record in memory."""
        self.record = msgspec.structs.replace(self.record, **fields)

    async def write(self, lesson: Lesson | None = None, batch: Batch | None = None) -> None:
        """Write a lesson together with the record.    Errors: StoreStopped, AccountMissing."""
        out = batch or (Batch() if lesson is None else lesson.batch)
        self.account.check_open()
        key = keys.setting(self.account.id, keys.LEARNING)
        out.put(Family.KV, key, rows.encode(self.record))
        self.stored = self.record
        await write(self.account, out, lesson)


async def write(account: Account, batch: Batch, lesson: Lesson | None = None) -> None:
    """Write a batch of ours: readers have it, whatever comes next is written after it."""
    account.check_open()
    committer, words = account.committer, account.shard.words
    words.begin_write()
    try:
        await committer.written(committer.stage(batch))
    finally:
        words.end_write(None if lesson is None else lesson.counts)


def read_log(engine: Engine, account_id: int, since: int, upto: int) -> tuple[list[Stretch], int]:
    """What change sets ``since < modseq <= upto`` touched, and up to which it was read.    Blocks.

    Errors  DataDamaged.
    """
    start, end = keys.log(account_id, since + 1), keys.log(account_id, upto + 1)
    found = list(islice(engine.scan(Family.LOG, start, end), LEARN_LOG))
    touched: defaultdict[int, list[Ranges]] = defaultdict(list)
    for _, value in found:
        for change in rows.decode(LogRow, value).changes:
            if ranges := _ranges(change):
                touched[change.mailbox].append(ranges)
    # Change sets that leave no row touch nothing of ours.
    last = upto if len(found) < LEARN_LOG else int.from_bytes(found[-1][0][4:12], "big")
    return [
        Stretch(mailbox, first, end)
        for mailbox, ranges in sorted(touched.items())
        for first, end in _joined(merge_ranges(ranges))
    ], last


def _ranges(change: LogChange) -> Ranges:
    if change.what in _WHOLE:
        return [(1, UID_LAST)]
    try:
        return decode_ranges(change.uids)
    except ValueError as error:
        raise DataDamaged("a row of the change log is damaged", cause=error) from error


def _joined(ranges: Ranges) -> Ranges:
    joined: Ranges = []
    for first, last in ranges:
        if joined and first - joined[-1][1] <= NEAR:
            joined[-1] = (joined[-1][0], last)
        else:
            joined.append((first, last))
    return joined


def next_mailbox(account: Account, course: Course, at: int) -> int | None:
    """The first mailbox from an id on that has messages, or had some we know of.    Blocks."""
    engine, number = account.shard.engine, account.id
    generation = course.record.generation
    places = (
        (Family.META, keys.mailbox(number, at), keys.mailboxes(number)[1], 5),
        (Family.KV, keys.learnt(number, at, 0), keys.settings(number, keys.LEARNT)[1], 5),
        (
            Family.KV,
            keys.trained(number, generation, at, 0),
            keys.generation(number, keys.TRAINED, generation)[1],
            9,
        ),
    )
    found = [
        int.from_bytes(key[offset : offset + 8], "big")
        for family, start, end, offset in places
        if (key := next((key for key, _ in engine.scan(family, start, end)), None)) is not None
    ]
    return min(found, default=None)
