"""Word counts of junk filters in the index, with those in memory that are asked for often.

Counts are absolute values, written by the learner alone (``lessons``).  Each account has a generation
of counts in use; a new one is made beside it and takes its place (``retrain``).
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from mox._speedups import WordTable
from mox.base.limits import WORDS_MEMORY
from mox.base.log import get_logger
from mox.junk.model import TOTALS, Count, Delta, add
from mox.store.account import Account
from mox.store.engine.base import Batch, Engine, Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import Learning

log = get_logger("store")

_ABSENT: Final = Count(-1, -1)  # in memory: the index has no row


Counted = tuple[Count, list[Count | None]]
"""Messages trained, and those each of some words was in; None for unknown words."""


class Changed(NamedTuple):
    """Counts in a batch: of words of one generation."""

    prefix: bytes  # of their keys
    words: list[bytes]
    counts: list[Count | None]


class WordCache:
    """Counts of words of all accounts that were asked for lately.    Used from any thread.

    Two sets of tables, one for each generation of counts: what is asked for goes into the young one,
    which takes the place of the old one when it is full.
    """

    def __init__(self, *, memory: int = WORDS_MEMORY) -> None:
        self._memory = memory
        self._used = 0  # of it, by the young ones
        self._young: dict[bytes, WordTable[Count]] = {}
        self._old: dict[bytes, WordTable[Count]] = {}
        self._lock = threading.Lock()
        self._writing = 0  # batches of counts on their way
        self._version = 0  # another one whenever a batch begins or ends

    def get_many(
        self, engine: Engine, prefix: bytes, wanted: Sequence[bytes], *, remember: bool = True
    ) -> list[Count | None]:
        """Counts of the words of a generation, read where they are not in memory.    Blocks.

        Input  ``prefix``: of their keys.
        """
        found = self._get(engine, prefix, wanted, remember=remember)
        assert found is not None
        return found

    def known(self, prefix: bytes, wanted: Sequence[bytes]) -> list[Count | None] | None:
        """The same where all are in memory, else None.    Does not block."""
        return self._get(None, prefix, wanted, remember=True)

    def _get(
        self, engine: Engine | None, prefix: bytes, wanted: Sequence[bytes], *, remember: bool
    ) -> list[Count | None] | None:
        version = self._version
        words = wanted if isinstance(wanted, list) else list(wanted)
        found = _known(self._young, prefix, words)
        missing = [at for at, count in enumerate(found) if count is None]
        if missing:
            asked = [words[at] for at in missing]
            counts = self._read(engine, prefix, asked)
            if counts is None:
                return None
            for at, count in zip(missing, counts, strict=True):
                found[at] = count
            if remember:
                self._remember(prefix, asked, counts, version)
        return [None if count is _ABSENT else count for count in found]

    def _read(
        self, engine: Engine | None, prefix: bytes, wanted: list[bytes]
    ) -> list[Count] | None:
        """From the old tables and, where there is an engine, the index."""
        known = _known(self._old, prefix, wanted)
        unknown = [
            prefix + word for word, count in zip(wanted, known, strict=True) if count is None
        ]
        if unknown and engine is None:
            return None
        values = iter(engine.multi_get(Family.KV, unknown) if engine and unknown else ())
        decoded: dict[bytes | None, Count] = {None: _ABSENT}  # many are alike
        counts = []
        for count in known:
            if count is None:
                value = next(values)
                count = decoded.get(value)
                if count is None and value is not None:
                    count = decoded[value] = rows.decode_count(value)
                assert count is not None
            counts.append(count)
        return counts

    def _remember(
        self, prefix: bytes, wanted: list[bytes], counts: list[Count], version: int
    ) -> None:
        with self._lock:
            # What was written meanwhile may be newer than what was read.
            if self._version == version and not self._writing:
                table = self._young.get(prefix)
                if table is None:
                    table = self._young[prefix] = WordTable()
                    self._used += table.memory
                before = table.memory
                table.put(wanted, counts)
                self._used += table.memory - before
                if self._used > self._memory:
                    self._old, self._young, self._used = self._young, {}, 0

    def begin_write(self) -> None:
        """Counts are about to be written: what is read from here on is not remembered."""
        with self._lock:
            self._writing += 1
            self._version += 1

    def end_write(self, changed: Changed | None) -> None:
        """They are written, or never will be."""
        with self._lock:
            if changed is not None:
                counts = [_ABSENT if count is None else count for count in changed.counts]
                for tables in (self._young, self._old):
                    table = tables.get(changed.prefix)
                    if table is not None:
                        table.replace(changed.words, counts)
            self._writing -= 1
            self._version += 1


def _known(
    tables: dict[bytes, WordTable[Count]], prefix: bytes, words: list[bytes]
) -> list[Count | None]:
    table = tables.get(prefix)
    return [None] * len(words) if table is None else table.get(words)


def read_counts(account: Account) -> "StoredCounts":
    """What the account's filter has learnt.    All but ``known`` blocks: use it in a thread."""
    shard = account.shard
    return StoredCounts(shard.engine, shard.words, account.id)


class StoredCounts:
    """``model.Counts`` of an account.    Cost: about 0.1 us a word in memory, 2 us for others."""

    def __init__(self, engine: Engine, cache: WordCache, account_id: int) -> None:
        self._engine = engine
        self._cache = cache
        self._account = account_id

    def totals(self) -> Count:
        """Messages trained."""
        return self._get([TOTALS])[0] or Count()

    def get_many(self, words: Sequence[bytes]) -> list[Count | None]:
        """The count of each word, in the order asked; None for unknown words."""
        return self._get(words)

    def read(self, words: list[bytes]) -> Counted:
        """Both at once."""
        found = self._get([TOTALS, *words])
        return found[0] or Count(), found[1:]

    def known(self, words: list[bytes]) -> Counted | None:
        """The same where all are in memory, else None.    Does not block."""
        prefix = keys.words(self._account, self._generation())
        found = self._cache.known(prefix, [TOTALS, *words])
        return None if found is None else (found[0] or Count(), found[1:])

    def _get(self, words: Sequence[bytes]) -> list[Count | None]:
        generation = self._generation()
        while True:
            prefix = keys.words(self._account, generation)
            found = self._cache.get_many(self._engine, prefix, words)
            now = self._generation()
            if now == generation:
                return found
            generation = now  # the counts were replaced meanwhile, and the old ones are gone

    def _generation(self) -> int:
        return read_learning(self._engine, self._account).generation


def read_learning(engine: Engine, account_id: int) -> Learning:
    """How far the learner is with an account, as stored.    A point read."""
    value = engine.get(Family.KV, keys.setting(account_id, keys.LEARNING))
    return Learning(version=0) if value is None else rows.decode(Learning, value)


class CountChanges:
    """Changes of the counts of one generation, collected for one batch."""

    def __init__(self, account_id: int, generation: int) -> None:
        self._account = account_id
        self._prefix = keys.words(account_id, generation)
        # How often each change of ham and spam was made to each word: counting is done in C.
        self._times: defaultdict[tuple[int, int], Counter[bytes]] = defaultdict(Counter)

    def __len__(self) -> int:
        return sum(map(len, self._times.values()))

    def add(self, words: Iterable[bytes], ham: int, spam: int) -> None:
        """So many more messages of each word, or fewer."""
        self._times[ham, spam].update(words)

    def put(self, engine: Engine, cache: WordCache, batch: Batch) -> Changed:
        """Put the new counts into a batch; which ones they are.    Blocks."""
        changes = self._sums()
        wanted = list(changes)
        before = cache.get_many(engine, self._prefix, wanted, remember=False)
        changed = Changed(self._prefix, [], [])
        known: dict[tuple[Count | None, tuple[int, int]], tuple[Count | None, bool]] = {}
        short = 0
        for word, count, change in zip(wanted, before, changes.values(), strict=True):
            found = known.get((count, change))  # many are alike
            if found is None:
                added = add(count, Delta(words=(), ham=change[0], spam=change[1]))
                found = None if added.is_empty else added.after, added.fell_short
                known[count, change] = found
            after, fell_short = found
            short += fell_short
            if after != count:
                changed.words.append(word)
                changed.counts.append(after)
        if short:
            log.error("store.counts_fell_short", words=short, account_id=self._account)
        _put(batch, changed)
        return changed

    def _sums(self) -> dict[bytes, tuple[int, int]]:
        sums: dict[bytes, tuple[int, int]] = {}
        for (ham, spam), times in self._times.items():
            if not sums:
                alike = {count: (ham * count, spam * count) for count in set(times.values())}
                sums = {word: alike[count] for word, count in times.items()}
                continue
            for word, count in times.items():
                old_ham, old_spam = sums.get(word, (0, 0))
                sums[word] = (old_ham + ham * count, old_spam + spam * count)
        return sums


def _put(batch: Batch, changed: Changed) -> None:
    prefix = changed.prefix
    rows_of = list(zip(changed.words, changed.counts, strict=True))
    batch.delete_all(Family.KV, [prefix + word for word, count in rows_of if count is None])
    kept = [(prefix + word, count) for word, count in rows_of if count is not None]
    values = {count: rows.encode_count(count) for count in {count for _, count in kept}}
    batch.put_all(Family.KV, [key for key, _ in kept], [values[count] for _, count in kept])
