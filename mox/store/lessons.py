"""What a stretch of a mailbox teaches: the rows to change so that the index says what its messages say.

Not what happened counts but what is: a message, the flags on it, and what the index holds of it (rows
LEARNT and TRAINED).  So it does not matter how often a stretch is looked at, nor in which order.
Everything here blocks and runs in reader threads.

Bounded  by limits.LEARN_*: messages looked at, bytes read and rows written of one lesson.  A message of
         more words than fit is counted in several lessons.
"""

import mmap
from collections.abc import Callable, Iterable
from itertools import islice
from typing import NamedTuple

import msgspec

from mox.base import metrics
from mox.base.flags import JUNK, NOTJUNK
from mox.base.limits import (
    HEADER_PARSE,
    LEARN_BYTES,
    LEARN_FLAGGED,
    LEARN_MESSAGES,
    LEARN_ROWS,
)
from mox.base.log import get_logger
from mox.junk.model import TOTALS, wanted
from mox.junk.recipients import Sent, sent_to
from mox.junk.words import message_words
from mox.message import mime
from mox.message.header import end_of_header
from mox.store.account import Account
from mox.store.engine.base import Batch, Family
from mox.store.errors import DataDamaged
from mox.store.layout import keys, rows
from mox.store.layout.rows import Facts, Learnt, MailboxRecord, Trained
from mox.store.reading import locate, read_content, read_start
from mox.store.votes import sent_rows, vote_rows
from mox.store.words import Changed, CountChanges

log = get_logger("store")

UID_LAST = 0xFFFFFFFF
_FLAGGED = JUNK | NOTJUNK


class Stretch(msgspec.Struct, frozen=True):
    """Some UIDs of a mailbox, which need not exist (any more)."""

    mailbox: int
    first: int = 1
    last: int = UID_LAST


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be learnt."""

    votes: bool  # the index of votes and recipients
    generation: int
    grams: int  # what is counted in this generation of word counts; 0: nothing


class Lesson(msgspec.Struct, frozen=True, kw_only=True):
    """What to write, and where to go on."""

    batch: Batch
    counts: Changed  # word counts in the batch
    looked_at: int
    next_uid: int  # 0: the stretch is at its end


def learn(account: Account, stretch: Stretch, subject: Subject) -> Lesson:
    """The next lesson of a stretch.    Errors: DataDamaged."""
    look = _look(account, stretch, subject)
    pupil = _Pupil(account, stretch.mailbox, subject, is_sent=look.is_sent)
    next_uid = look.last + 1 if look.last < stretch.last else 0
    for uid in sorted(look.found):
        if not pupil.take(uid, look.found[uid]):
            next_uid = uid
            break
    counts = pupil.counts.put(account.shard.engine, account.shard.words, pupil.batch)
    return Lesson(batch=pupil.batch, counts=counts, looked_at=look.looked_at, next_uid=next_uid)


class _Known(msgspec.Struct):
    """The rows of a message, as far as they matter."""

    row: bytes | None = None
    learnt: bytes | None = None
    trained: bytes | None = None


class _Look(NamedTuple):
    found: dict[int, _Known]  # by UID, as far as there may be something to do
    last: int  # UID looked at
    looked_at: int  # messages
    is_sent: bool  # the mailbox is for sent messages


def _look(account: Account, stretch: Stretch, subject: Subject) -> _Look:
    engine, number = account.shard.engine, account.id
    mailbox, first, last = stretch.mailbox, stretch.first, stretch.last
    record = _record(account, mailbox)
    is_sent = subject.votes and record is not None and "Sent" in record.special_use
    # Rows from uidnext on belong to a change that was not made yet, and may never be.
    end_of_rows = 1 if record is None else min(last + 1, record.uidnext)

    messages: list[tuple[int, bytes]] = []
    looked_at = 0
    for key, value in engine.scan(
        Family.ROW, *keys.rows(number, mailbox, first, max(first, end_of_rows))
    ):
        looked_at += 1
        if is_sent or rows.message_flags(value) & _FLAGGED:
            messages.append((keys.row_uid(key), value))
        # Those that say something take time: then it is a shorter look.
        if looked_at == LEARN_MESSAGES or len(messages) == LEARN_FLAGGED:
            last = min(last, keys.row_uid(key))
            break

    def read(start: bytes, end: bytes, uid_of: Callable[[bytes], int]) -> list[tuple[int, bytes]]:
        nonlocal last
        found = list(islice(engine.scan(Family.KV, start, end + b"\0"), LEARN_MESSAGES))
        if len(found) == LEARN_MESSAGES:
            last = min(last, uid_of(found[-1][0]))
        return [(uid_of(key), value) for key, value in found]

    learnt = trained = list[tuple[int, bytes]]()
    if subject.votes:
        start, end = keys.learnt(number, mailbox, first), keys.learnt(number, mailbox, last)
        learnt = read(start, end, lambda key: keys.learnt_parts(key)[1])
    if subject.grams:
        generation = subject.generation
        start = keys.trained(number, generation, mailbox, first)
        end = keys.trained(number, generation, mailbox, last)
        trained = read(start, end, lambda key: keys.trained_parts(key)[1])
    known = {uid: _Known(row=value) for uid, value in messages}
    for uid, value in learnt:
        known.setdefault(uid, _Known()).learnt = value
    for uid, value in trained:
        known.setdefault(uid, _Known()).trained = value
    found = {uid: one for uid, one in known.items() if uid <= last}
    return _Look(found, last, looked_at, is_sent)


def _record(account: Account, mailbox: int) -> MailboxRecord | None:
    value = account.shard.engine.get(Family.META, keys.mailbox(account.id, mailbox))
    return None if value is None else rows.decode(MailboxRecord, value)


class _Pupil:
    """Collects the changes of one lesson."""

    def __init__(self, account: Account, mailbox: int, subject: Subject, *, is_sent: bool) -> None:
        self.batch = Batch()
        self.counts = CountChanges(account.id, subject.generation)
        self._account = account
        self._mailbox = mailbox
        self._is_sent = is_sent
        self._subject = subject
        self._bytes = 0  # of contents read

    def take(self, uid: int, known: _Known) -> bool:
        """Learn a message; False when there is (again) something to be learnt of it later."""
        if self._size() >= LEARN_ROWS or self._bytes >= LEARN_BYTES:
            return False
        vote, received_ms, file = None, 0, 0
        if known.row is not None:
            flags, received_ms, file = rows.message_state(known.row)
            vote = wanted(junk=bool(flags & JUNK), notjunk=bool(flags & NOTJUNK))
        if self._subject.grams:
            trained = None if known.trained is None else rows.decode_trained(known.trained)
            if not self._train(uid, trained or Trained(None, file), vote):
                return False
        if self._subject.votes:
            now = Learnt(vote, known.row is not None and self._is_sent, received_ms, file)
            before = None if known.learnt is None else rows.decode_learnt(known.learnt)
            self._note(uid, before or msgspec.structs.replace(now, vote=None, sent=False), now)
        return True

    def _size(self) -> int:
        return len(self.batch) + len(self.counts)

    # -------------------------------------------------------------- word counts

    def _train(self, uid: int, trained: Trained, want: bool | None) -> bool:
        toward = trained.toward if trained.done else want
        if toward is trained.junk:
            return True
        words = self._words_of(trained)
        readable = words is not None
        chunk = (words or [])[trained.done : trained.done + LEARN_ROWS]
        if self._size() and self._size() + len(chunk) > LEARN_ROWS:
            return False
        ham = (toward is False) - (trained.junk is False)
        spam = (toward is True) - (trained.junk is True)
        if readable:
            self.counts.add(chunk if trained.done else [TOTALS, *chunk], ham, spam)
        done = trained.done + len(chunk)
        key = keys.trained(self._account.id, self._subject.generation, self._mailbox, uid)
        if done < len(words or ()):
            after = Trained(trained.junk, trained.file, readable, toward, done)
            self.batch.put(Family.KV, key, rows.encode_trained(after))
            return False
        if toward is None:
            self.batch.delete(Family.KV, key)
        else:
            after = Trained(toward, trained.file, readable)
            self.batch.put(Family.KV, key, rows.encode_trained(after))
        return toward is want

    def _words_of(self, trained: Trained) -> list[bytes] | None:
        if trained.junk is not None and not trained.readable:
            return None  # none were counted
        words = self._read_words(trained.file)
        if words is None and (trained.junk is not None or trained.done):
            # They stay counted until the filter is trained anew.
            log.error("store.words_lost", account=self._account.name, file=trained.file)
        return words

    def _read_words(self, file: int) -> list[bytes] | None:
        """The words of a content in a fixed order; None where they cannot be had, which is logged."""
        account = self._account
        content = read_content(account, file, locate(account, [file])[0])
        if content is None:
            return None
        self._bytes += len(content)
        try:
            return sorted(message_words(content, mime.parse(content), self._subject.grams))
        except Exception as error:
            # Whatever somebody sent us: it must not keep the account from learning (and erasing).
            metrics.unhandled("store")
            log.error("store.words_unreadable", error, account=account.name, file=file)
            return None
        finally:
            if isinstance(content, mmap.mmap):
                content.close()

    # -------------------------------------------------------------- votes and recipients

    def _note(self, uid: int, before: Learnt, now: Learnt) -> None:
        if (before.vote, before.sent) == (now.vote, now.sent):
            return
        number, mailbox = self._account.id, self._mailbox
        key = keys.learnt(number, mailbox, uid)
        after = msgspec.structs.replace(before, vote=now.vote, sent=now.sent)
        if after.vote is None and not after.sent:
            self.batch.delete(Family.KV, key)
        else:
            self.batch.put(Family.KV, key, rows.encode_learnt(after))
        if before.vote is not after.vote:
            said = before.vote if after.vote is None else after.vote
            facts = read_facts(self._account, before.file)
            found = vote_rows(number, mailbox, uid, facts, before.received_ms, junk=bool(said))
            self._change(found, there=after.vote is not None)
        if before.sent is not after.sent:
            start = read_start(
                self._account,
                before.file,
                locate(self._account, [before.file])[0],
                HEADER_PARSE,
            )
            self._bytes += len(start or b"")
            sent = sent_of_start(start)
            found = sent_rows(
                number, mailbox, uid, sent, before.received_ms, self._account.shard.organizational
            )
            self._change(found, there=after.sent)

    def _change(self, found: Iterable[tuple[bytes, bytes]], *, there: bool) -> None:
        for key, value in found:
            if there:
                self.batch.put(Family.IDX, key, value)
            else:
                self.batch.delete(Family.IDX, key)


def sent_of_start(start: bytes | None) -> Sent:
    """Whom a message went to, of its first bytes."""
    return sent_to(start[: end_of_header(start)]) if start else Sent((), None)


def read_facts(account: Account, file: int) -> Facts:
    """How a content came; nothing is known where that cannot be read, which is logged."""
    value = account.shard.engine.get(Family.MSG, keys.file(account.id, file))
    try:
        if value is not None:
            return rows.decode(Facts, value)
        log.error("store.facts_missing", account=account.name, file=file)
    except DataDamaged as error:
        log.error("store.facts_damaged", error, account=account.name, file=file)
    return Facts()
