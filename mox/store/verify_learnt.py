"""Do votes, recipients and word counts say what the messages say?    Part of ``verify``.

Every flagged message must have its rows, and there are no others.  Messages that changed since the
learner looked are left out: it will look at them.  Recounting words reads every flagged message, so it
is done on demand.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import msgspec

from mox._speedups import merge_ranges
from mox.base.flags import JUNK, NOTJUNK
from mox.base.limits import HEADER_PARSE
from mox.junk.model import TOTALS, Count, wanted
from mox.junk.words import message_words
from mox.message import mime
from mox.store.blobs.base import Blobs
from mox.store.course import read_log
from mox.store.engine.base import Engine, Family
from mox.store.errors import DataDamaged
from mox.store.layout import keys, rows
from mox.store.layout.rows import (
    AccountRecord,
    Facts,
    Learning,
    Location,
    MailboxRecord,
    Trained,
)
from mox.store.lessons import sent_of_start
from mox.store.votes import Organizational, sent_rows, vote_rows
from mox.store.words import read_learning

_SLICE = 1000  # messages whose facts are read at a time
Ranges = list[tuple[int, int]]


class _Message(msgspec.Struct):
    """A message about which there is something to know."""

    uid: int
    vote: bool | None
    received_ms: int
    file: int


class Learnt:
    """What is stored of one account."""

    def __init__(
        self,
        engine: Engine,
        blobs: Blobs,
        number: int,
        mailboxes: dict[int, MailboxRecord],
        organizational: Organizational,
    ) -> None:
        self._engine = engine
        self._blobs = blobs
        self._number = number
        self._mailboxes = mailboxes
        self._organizational = organizational
        self._record = read_learning(engine, number)
        self._moving: dict[int, Ranges] = {}
        self._rows: Counter[bytes] = Counter()  # those that must be there, by first letter

    def problems(
        self, account: AccountRecord, *, contents: bool, junk: bool
    ) -> Iterator[tuple[str, str]]:
        """Mailbox (or nothing) and what is wrong.

        Input  contents: recipients are compared, for which sent messages are read.  junk: words are
               counted again.
        """
        record = self._record
        if not record.version:
            if self._count_rows():
                yield "", "messages are learnt, though nothing says how far"
            return
        if record.cursor > account.modseq:
            yield "", f"changes up to {record.cursor} are learnt, there were {account.modseq}"
        # Nothing can be said while everything is looked at anew.
        if record.scan is not None or account.trimmed_modseq > record.cursor:
            return
        self._find_moving(account.modseq)
        for mailbox, box in self._mailboxes.items():
            for text in self._mailbox(mailbox, box, contents=contents):
                yield box.name, text
        yield from self._too_many(contents=contents)
        yield from self._totals()
        if junk and record.grams:
            yield from self._words(record)

    def _count_rows(self) -> int:
        ranges = [
            (Family.IDX, keys.votes_of(self._number)),
            (Family.IDX, keys.sent_of(self._number)),
            (Family.KV, keys.settings(self._number, keys.LEARNT)),
            (Family.KV, keys.settings(self._number, keys.TRAINED)),
            (Family.KV, keys.settings(self._number, keys.WORD)),
        ]
        return sum(1 for family, bounds in ranges for _ in self._engine.scan(family, *bounds))

    def _find_moving(self, upto: int) -> None:
        since, found = self._record.cursor, dict[int, list[Ranges]]()
        while since < upto:
            stretches, since = read_log(self._engine, self._number, since, upto)
            for one in stretches:
                found.setdefault(one.mailbox, []).append([(one.first, one.last)])
        self._moving = {mailbox: merge_ranges(ranges) for mailbox, ranges in found.items()}

    def _is_moving(self, mailbox: int, uid: int) -> bool:
        """It changed since the learner looked."""
        ranges = self._moving.get(mailbox)
        if not ranges:
            return False
        at = bisect_right(ranges, (uid, 1 << 62)) - 1
        return at >= 0 and ranges[at][0] <= uid <= ranges[at][1]

    # -------------------------------------------------------------- messages have their rows

    def _mailbox(self, mailbox: int, box: MailboxRecord, *, contents: bool) -> Iterator[str]:
        is_sent = "Sent" in box.special_use
        messages = self._messages(mailbox, box, is_sent=is_sent)
        while some := list(islice(messages, _SLICE)):
            yield from self._votes(mailbox, [one for one in some if one.vote is not None])
            yield from self._states(mailbox, some, is_sent=is_sent)
            if is_sent and contents:
                for one in some:
                    yield from self._recipients(mailbox, one)

    def _messages(self, mailbox: int, box: MailboxRecord, *, is_sent: bool) -> Iterator[_Message]:
        start, end = keys.rows(self._number, mailbox, 1, max(1, box.uidnext))
        for key, value in self._engine.scan(Family.ROW, start, end):
            uid = keys.row_uid(key)
            flags, received_ms, file = rows.message_state(value)
            vote = wanted(junk=bool(flags & JUNK), notjunk=bool(flags & NOTJUNK))
            if (is_sent or vote is not None) and not self._is_moving(mailbox, uid):
                yield _Message(uid, vote, received_ms, file)

    def _votes(self, mailbox: int, messages: list[_Message]) -> Iterator[str]:
        values = self._engine.multi_get(
            Family.MSG, [keys.file(self._number, one.file) for one in messages]
        )
        expected: list[tuple[int, bytes, bytes]] = []
        for one, value in zip(messages, values, strict=True):
            try:
                facts = Facts() if value is None else rows.decode(Facts, value)
            except DataDamaged as error:
                yield f"UID {one.uid}: {error.public}"
                facts = Facts()
            found = vote_rows(
                self._number, mailbox, one.uid, facts, one.received_ms, junk=bool(one.vote)
            )
            expected += [(one.uid, key, value) for key, value in found]
        self._rows[b"V"] += len(expected)
        yield from self._missing(expected, "vote")

    def _recipients(self, mailbox: int, message: _Message) -> Iterator[str]:
        start = self._read(message.file, HEADER_PARSE)
        found = sent_rows(
            self._number,
            mailbox,
            message.uid,
            sent_of_start(start),
            message.received_ms,
            self._organizational,
        )
        expected = [(message.uid, key, value) for key, value in found]
        self._rows[b"S"] += len(expected)
        yield from self._missing(expected, "recipient")

    def _missing(self, expected: list[tuple[int, bytes, bytes]], what: str) -> Iterator[str]:
        stored = self._engine.multi_get(Family.IDX, [key for _, key, _ in expected])
        for (uid, _, value), there in zip(expected, stored, strict=True):
            if there is None:
                yield f"UID {uid}: a {what} is missing in the index"
            elif there != value:
                yield f"UID {uid}: a {what} in the index says something else"

    def _states(self, mailbox: int, messages: list[_Message], *, is_sent: bool) -> Iterator[str]:
        number, generation = self._number, self._record.generation
        learnt = self._engine.multi_get(
            Family.KV, [keys.learnt(number, mailbox, one.uid) for one in messages]
        )
        self._rows[b"L"] += len(messages)
        for one, value in zip(messages, learnt, strict=True):
            wanted_row = rows.Learnt(one.vote, is_sent, one.received_ms, one.file)
            if value != rows.encode_learnt(wanted_row):
                yield f"UID {one.uid}: it is not learnt as it is"
        if not self._record.grams:
            return
        flagged = [one for one in messages if one.vote is not None]
        self._rows[b"T"] += len(flagged)
        trained = self._engine.multi_get(
            Family.KV, [keys.trained(number, generation, mailbox, one.uid) for one in flagged]
        )
        for one, value in zip(flagged, trained, strict=True):
            known = None if value is None else rows.decode_trained(value)
            if known is None or known.done or (known.junk, known.file) != (one.vote, one.file):
                yield f"UID {one.uid}: its words are not counted as its flags say"

    # -------------------------------------------------------------- and there are no others

    def _too_many(self, *, contents: bool) -> Iterator[tuple[str, str]]:
        number = self._number
        votes, sent = keys.votes_of(number), keys.sent_of(number)
        learnt = keys.settings(number, keys.LEARNT)
        trained = keys.generation(number, keys.TRAINED, self._record.generation)
        counted = [
            (b"V", "votes", Family.IDX, votes, keys.vote_message),
            (b"L", "messages that are learnt", Family.KV, learnt, keys.learnt_parts),
            (b"T", "messages whose words are counted", Family.KV, trained, keys.trained_parts),
        ]
        if contents:
            counted.append((b"S", "recipients", Family.IDX, sent, keys.vote_message))
        for letter, what, family, bounds, message_of in counted:
            stored = sum(
                not self._is_moving(*message_of(key))
                for key, _ in self._engine.scan(family, *bounds)
            )
            if stored > self._rows[letter]:
                yield "", f"{what}: {stored} are stored, {self._rows[letter]} of messages"

    # -------------------------------------------------------------- word counts

    def _trained(self) -> Iterator[Trained]:
        bounds = keys.generation(self._number, keys.TRAINED, self._record.generation)
        for _, value in self._engine.scan(Family.KV, *bounds):
            yield rows.decode_trained(value)

    def _totals(self) -> Iterator[tuple[str, str]]:
        ham = spam = 0
        for one in self._trained():
            counted = one.toward if one.done else one.junk
            if one.readable:
                ham += counted is False
                spam += counted is True
        key = keys.words(self._number, self._record.generation) + TOTALS
        value = self._engine.get(Family.KV, key)
        stored = Count() if value is None else rows.decode_count(value)
        if stored != (ham, spam):
            text = f"ham and spam messages: {ham} and {spam} are learnt, counted are {stored.ham}"
            yield "", f"{text} and {stored.spam}"

    def _words(self, record: Learning) -> Iterator[tuple[str, str]]:
        expected: dict[bytes, list[int]] = {}

        def count(words: list[bytes], junk: bool | None) -> None:
            if junk is not None:
                for word in words:
                    expected.setdefault(word, [0, 0])[junk] += 1

        for one in self._trained():
            content = self._read(one.file, None) if one.readable else None
            if content is None:
                continue
            words = sorted(message_words(content, mime.parse(content), record.grams))
            count(words[: one.done], one.toward)
            count(words[one.done :], one.junk)
        prefix = keys.words(self._number, record.generation)
        bounds = keys.generation(self._number, keys.WORD, record.generation)
        wrong = 0
        for key, value in self._engine.scan(Family.KV, *bounds):
            word = key[len(prefix) :]
            if word != TOTALS:
                wrong += list(rows.decode_count(value)) != expected.pop(word, None)
        wrong += len(expected)
        if wrong:
            yield "", f"{wrong} words are not in as many messages as is counted: mox retrain"

    def _read(self, file: int, size: int | None) -> bytes | None:
        """The first bytes of a content, or all; what cannot be read is told by others."""
        value = self._engine.get(Family.LOC, keys.file(self._number, file))
        if value is None:
            return None
        location = rows.decode(Location, value)
        if location.is_row:
            row = self._engine.get(Family.BODY, keys.file(self._number, file))
            try:
                return rows.row_content(location, row)[:size]
            except DataDamaged:
                return None
        end = location.length if size is None else min(size, location.length)
        try:
            return self._blobs.read(self._number, file, location, 0, end)
        except (DataDamaged, OSError):
            return None
