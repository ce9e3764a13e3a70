"""The learner: follows the changes of each account and keeps what is known of senders and words.

One task of a shard.  It follows the change log with a cursor, in lessons (``lessons``), each computed in
a reader thread and written as one batch; the accounts take turns.  Before a new account, and where the
log does not reach back, it looks at every message instead.

Crash  a lesson is written as a whole or not at all, and looking at a message again changes nothing.  The
       cursor may be written later than it moves: then some of the log is read again.
Erase  contents are needed to unlearn them: the eraser stays behind the cursor.
"""

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from mox.base import metrics
from mox.base.limits import LEARN_LAG, LEARN_MESSAGES
from mox.base.log import get_logger
from mox.store.course import Course, next_mailbox, read_log, write
from mox.store.engine.base import Batch, Family
from mox.store.erase import learnt_floor
from mox.store.errors import AccountMissing, RetrainImpossible, StoreStopped
from mox.store.layout import keys
from mox.store.layout.rows import Learning, Scan
from mox.store.lessons import Stretch, learn
from mox.store.retrain import retrain
from mox.store.words import read_learning

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.shard import Shard

log = get_logger("store")

VERSION = 1  # of what is made of a message: identities, recipients, words


class Learner:
    """One task of a shard."""

    def __init__(self, shard: "Shard") -> None:
        self._shard = shard
        self._waiting: deque[Account] = deque()
        self._current: Account | None = None
        self._retrains: dict[int, asyncio.Task[None]] = {}  # by account
        self._one_retrain = asyncio.Semaphore(1)
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()  # of the lesson at hand
        self._stopping = False
        self._task = asyncio.get_running_loop().create_task(self._run(), name="learner")

    # -------------------------------------------------------------- being told

    def told(self, account: "Account", modseq: int, *, teaches: bool) -> None:
        """A change set is durable.    ``teaches`` False: nothing in it concerns us."""
        course = account.course
        if course is not None:
            course.note(modseq, teaches=teaches)
            course.pass_quiet()
            if course.record.cursor == modseq < course.stored.cursor + LEARN_LAG:
                return
        self.wake(account)

    def wake(self, account: "Account") -> None:
        """There may be something to learn."""
        if account not in self._waiting and not (self._stopping or self._task.done()):
            self._waiting.append(account)
            self._wake.set()

    # -------------------------------------------------------------- waiting

    async def idle(self) -> None:
        """Wait until nothing is left to do in the accounts that are open."""
        while not self._task.done() and (self._waiting or self._current or self._retrains):
            await self._moved.wait()

    async def caught_up(self, account: "Account") -> None:
        """Wait until everything that happened to an account up to now is learnt.

        Errors  StoreStopped; what went wrong, where the learner fails with this account.
        """
        await account.settle()
        upto = account.synced_modseq
        while not _has_learnt(account.course, upto):
            if self._stopping or self._task.done():
                raise StoreStopped
            if account is not self._current and account not in self._waiting:
                if account.course is not None and account.course.failure is not None:
                    raise account.course.failure
                self.wake(account)
            await self._moved.wait()

    async def course(self, account: "Account") -> Course:
        """How far the learner is with an account, once it looked at it.    Errors: as ``caught_up``."""
        await self.caught_up(account)
        assert account.course is not None
        return account.course

    async def write_down(self, account: "Account") -> None:
        """Wait as ``caught_up`` does; then what is stored says so as well."""
        course = await self.course(account)
        async with course.lock:
            if course.record != course.stored:
                await course.write()

    async def close(self) -> None:
        """Finish the lesson at hand, write down how far we are."""
        self._stopping = True
        self._wake.set()
        for task in self._retrains.values():
            task.cancel()
        await asyncio.gather(self._task, *self._retrains.values(), return_exceptions=True)
        for account in self._shard.open_accounts():
            course = account.course
            if course is not None and course.record != course.stored:
                try:
                    await course.write()
                except (StoreStopped, AccountMissing):
                    log.debug("store.cursor_not_written", account=account.name)

    # -------------------------------------------------------------- the task

    async def _run(self) -> None:
        try:
            while not self._stopping:
                if self._waiting:
                    self._current = self._waiting.popleft()
                    await self._turn(self._current)
                    self._current = None
                    self._pulse()
                    continue
                self._wake.clear()
                await self._wake.wait()
        except StoreStopped:
            self._waiting.clear()
        finally:
            self._current = None
            self._pulse()

    def _pulse(self) -> None:
        metrics.LEARNING_LAG.set(sum(_lag(account) for account in self._waiting))
        self._moved.set()
        self._moved = asyncio.Event()

    async def _turn(self, account: "Account") -> None:
        """Some lessons of one account; it queues again while there are more."""
        try:
            before = learnt_floor(account)
            course = account.course or await self._open(account)
            course.failure = None
            async with course.lock:
                more = await self._learn(course)
            if more:
                self.wake(account)
            self._passed(course, before)
        except StoreStopped:
            raise
        except AccountMissing:
            log.debug("store.learning_ended", account=account.name)
        except Exception as error:
            # Nothing is lost: it is tried again with the next change of this account.
            metrics.unhandled("store")
            log.error("store.learning_failed", error, account=account.name)
            if account.course is not None:
                account.course.failure = error

    def _passed(self, course: Course, before: int) -> None:
        account = course.account
        if account.erase_waits and course.floor > before:
            account.erase_waits = False
            self._shard.eraser.wake_account(account)

    async def _open(self, account: "Account") -> Course:
        record = await self._shard.in_thread(read_learning, self._shard.engine, account.id)
        account.check_open()
        course = account.course = Course(account, record)
        if record.version == VERSION:
            leftovers = await self._shard.in_thread(_leftovers, course)
            if len(leftovers):
                await write(account, leftovers)
        return course

    async def _learn(self, course: Course) -> bool:
        """One lesson, or what comes before; False when nothing is left."""
        account = course.account
        account.check_open()
        if course.record.version != VERSION:
            await self._begin_anew(course)
            return True
        if await self._set_up(course):
            return True
        if course.record.scan is not None:
            await self._scan(course, course.record.scan)
            return True
        course.pass_quiet()
        if not course.ahead:
            cursor, upto = course.record.cursor, course.to_read(account.synced_modseq)
            if account.record.trimmed_modseq > cursor:
                log.info("store.learning_anew", account=account.name, reason="log trimmed")
                course.set(scan=Scan(upto))
                return True
            if cursor >= upto:
                if cursor - course.stored.cursor >= LEARN_LAG:
                    await course.write()
                return False
            found, read_upto = await self._shard.in_thread(
                read_log, self._shard.engine, account.id, cursor, upto
            )
            if account.record.trimmed_modseq > cursor:
                return True  # while it was read; what was not found may have been there
            course.ahead.extend(found)
            course.ahead_upto = read_upto
        await self._go_ahead(course)
        course.pass_quiet()
        return course.record.cursor < account.synced_modseq

    async def _go_ahead(self, course: Course) -> None:
        """A lesson of what the log named; where that is at its end the cursor moves."""
        while course.ahead:
            stretch = course.ahead[0]
            lesson = await self._shard.in_thread(learn, course.account, stretch, course.subject)
            if lesson.next_uid:
                course.ahead[0] = Stretch(stretch.mailbox, lesson.next_uid, stretch.last)
            else:
                course.ahead.popleft()
            if not course.ahead:
                course.set(cursor=max(course.record.cursor, course.ahead_upto))
            if len(lesson.batch):
                await course.write(lesson)
                return
            if lesson.next_uid:
                return
        course.set(cursor=max(course.record.cursor, course.ahead_upto))

    async def _scan(self, course: Course, scan: Scan) -> None:
        """Some of the messages of an account, by mailbox and UID."""
        looked_at = 0
        while looked_at < LEARN_MESSAGES:
            mailbox = await self._shard.in_thread(
                next_mailbox, course.account, course, scan.mailbox
            )
            if mailbox is None:
                course.set(cursor=max(course.record.cursor, scan.upto), scan=None)
                await course.write()
                return
            first = scan.uid if mailbox == scan.mailbox else 1
            lesson = await self._shard.in_thread(
                learn, course.account, Stretch(mailbox, first), course.subject
            )
            scan = (
                Scan(scan.upto, mailbox, lesson.next_uid)
                if lesson.next_uid
                else Scan(scan.upto, mailbox + 1)
            )
            course.set(scan=scan)
            looked_at += lesson.looked_at + 1
            if len(lesson.batch):
                await course.write(lesson)
                return

    # -------------------------------------------------------------- beginning anew

    async def _begin_anew(self, course: Course) -> None:
        """Forget what an earlier version learnt, if there is anything; then look at every message."""
        account = course.account
        batch = Batch()
        if course.record.version:
            log.info("store.learning_anew", account=account.name, reason="new version")
            batch.delete_range(Family.IDX, *keys.votes_of(account.id))
            batch.delete_range(Family.IDX, *keys.sent_of(account.id))
            for kind in (keys.LEARNT, keys.TRAINED, keys.WORD):
                batch.delete_range(Family.KV, *keys.settings(account.id, kind))
        course.generations += 1
        course.ahead.clear()
        course.record = Learning(
            version=VERSION,
            generation=course.generations,
            grams=_grams(account),
            scan=Scan(account.synced_modseq),
        )
        await course.write(batch=batch)

    async def _set_up(self, course: Course) -> bool:
        """Follow the settings of the junk filter; True when something was done."""
        account, record = course.account, course.record
        grams = _grams(account)
        if grams == record.grams:
            return False
        if grams and record.grams:
            self._begin_retrain(account)
            return False
        batch = Batch()
        if record.grams:  # there is no filter any more
            for kind in (keys.TRAINED, keys.WORD):
                batch.delete_range(Family.KV, *keys.generation(account.id, kind, record.generation))
        course.generations += 1
        course.ahead.clear()  # it is found again, from the cursor on
        scan = Scan(account.synced_modseq) if grams else record.scan
        course.set(generation=course.generations, grams=grams, scan=scan)
        await course.write(batch=batch)
        return True

    def _begin_retrain(self, account: "Account") -> None:
        """Its filter counts something else now: count anew, one account at a time."""
        course = account.course
        if account.id in self._retrains or course is None or course.retrain_cursor is not None:
            return
        task = asyncio.get_running_loop().create_task(self._retrain(account), name="retrain")
        self._retrains[account.id] = task

    async def _retrain(self, account: "Account") -> None:
        try:
            async with self._one_retrain:
                log.info("store.retrain", account=account.name, reason="other words are counted")
                await retrain(account)
        except (StoreStopped, AccountMissing, RetrainImpossible) as error:
            log.debug("store.retrain_ended", account=account.name, error=error.public)
        except Exception as error:
            # The filter goes on with what it has.
            metrics.unhandled("store")
            log.error("store.retrain_failed", error, account=account.name)
        finally:
            del self._retrains[account.id]
            self._pulse()


def _has_learnt(course: Course | None, upto: int) -> bool:
    return course is not None and course.record.scan is None and course.record.cursor >= upto


def _lag(account: "Account") -> int:
    """Change sets that were not learnt yet."""
    cursor = 0 if account.course is None else account.course.record.cursor
    return max(0, account.synced_modseq - cursor)


def _grams(account: "Account") -> int:
    return 0 if account.filter is None else account.filter.grams


def _leftovers(course: Course) -> Batch:
    """What forgets word counts of generations that are not in use: a retrain was interrupted."""
    engine, number = course.account.shard.engine, course.account.id
    batch = Batch()
    for kind in (keys.TRAINED, keys.WORD):
        start, end = keys.settings(number, kind)
        used = keys.generation(number, kind, course.record.generation)
        for one in ((start, used[0]), (used[1], end)):
            if next(iter(engine.scan(Family.KV, *one)), None) is not None:
                batch.delete_range(Family.KV, *one)
    return batch
