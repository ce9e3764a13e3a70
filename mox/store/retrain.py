"""The word counts of an account made anew, beside those in use, which they then replace.

A new generation learns every message, then what changed meanwhile, and takes the place of the old one
in one small batch.  The account is used as always; a crash leaves the old counts.
"""

from collections.abc import Awaitable, Callable

import msgspec

from mox.base.log import get_logger
from mox.store.account import Account
from mox.store.course import Course, read_log, write
from mox.store.engine.base import Batch, Family
from mox.store.errors import AccountMissing, RetrainImpossible, StoreStopped
from mox.store.layout import keys
from mox.store.lessons import Stretch, Subject, learn

log = get_logger("store")


class Retraining(msgspec.Struct, frozen=True, kw_only=True):
    """How far it is."""

    done: int  # messages looked at
    total: int  # messages there were when it began


Progress = Callable[[Retraining], Awaitable[None]]


async def _silent(_: Retraining) -> None:
    pass


async def retrain(account: Account, progress: Progress = _silent) -> Retraining:
    """Make the counts anew; returns once they are in use.

    Input   progress: called now and then, also at the end.
    Errors  RetrainImpossible, StoreStopped, AccountMissing.
    """
    if account.filter is None:
        raise RetrainImpossible("the account has no junk filter")
    course = await account.shard.learner.course(account)
    if course.retrain_cursor is not None:
        raise RetrainImpossible("the junk filter of this account is being trained anew already")
    if account.filter is None:
        raise RetrainImpossible("the account has no junk filter")
    course.generations += 1
    subject = Subject(votes=False, generation=course.generations, grams=account.filter.grams)
    course.retrain_cursor = account.synced_modseq
    try:
        result = await _Run(course, subject, progress).run()
    except BaseException:
        try:
            account.ticket = _drop(account, subject.generation)
        except (StoreStopped, AccountMissing) as error:
            # With the account everything goes; else the next open removes it.
            log.debug("store.retrain_left", account=account.name, error=error.public)
        raise
    finally:
        course.retrain_cursor = None
        account.shard.learner.wake(account)  # its filter may have been set differently
        account.shard.eraser.wake_account(account)
    return result


def _drop(account: Account, generation: int) -> int:
    """Nothing of a generation stays; the ticket.    Errors: StoreStopped, AccountMissing."""
    account.check_open()
    batch = Batch()
    for kind in (keys.TRAINED, keys.WORD):
        batch.delete_range(Family.KV, *keys.generation(account.id, kind, generation))
    return account.committer.stage(batch)


class _Run:
    def __init__(self, course: Course, subject: Subject, progress: Progress) -> None:
        self._course = course
        self._account = course.account
        self._subject = subject
        self._progress = progress
        boxes = self._account.mailboxes.values()
        self._total = sum(mailbox.record.messages for mailbox in boxes)
        self._done = 0

    async def run(self) -> Retraining:
        for mailbox in list(self._account.mailboxes):
            await self._learn(Stretch(mailbox))
        self._done = self._total
        await self._follow()
        async with self._course.lock:
            # What happens meanwhile is little; and only we change what is in use.
            while self._cursor < self._course.record.cursor:
                await self._follow()
            old = self._course.record.generation
            self._check_filter()
            self._course.set(generation=self._subject.generation, grams=self._subject.grams)
            await self._course.write()
        await self._account.committer.written(_drop(self._account, old))
        log.info("store.retrained", account=self._account.name, messages=self._total)
        result = Retraining(done=self._done, total=self._total)
        await self._progress(result)
        return result

    @property
    def _cursor(self) -> int:
        assert self._course.retrain_cursor is not None
        return self._course.retrain_cursor

    def _check_filter(self) -> None:
        now = self._account.filter
        if now is None or now.grams != self._subject.grams:
            raise RetrainImpossible("the junk filter was set differently meanwhile")

    async def _learn(self, stretch: Stretch) -> None:
        while True:
            self._check_filter()
            lesson = await self._account.shard.in_thread(
                learn, self._account, stretch, self._subject
            )
            if len(lesson.batch):
                await write(self._account, lesson.batch, lesson)
            self._done = min(self._total, self._done + lesson.looked_at)
            await self._progress(Retraining(done=self._done, total=self._total))
            if not lesson.next_uid:
                return
            stretch = Stretch(stretch.mailbox, lesson.next_uid, stretch.last)

    async def _follow(self) -> None:
        """What changed since."""
        account = self._account
        while (upto := account.synced_modseq) > self._cursor:
            found, last = await account.shard.in_thread(
                read_log, account.shard.engine, account.id, self._cursor, upto
            )
            # Now, as it may have happened while it was read.
            if account.record.trimmed_modseq > self._cursor:
                raise RetrainImpossible("the log was trimmed meanwhile; try again")
            for stretch in found:
                await self._learn(stretch)
            self._course.retrain_cursor = last
