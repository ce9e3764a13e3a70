"""Word counts of junk filters in the index, with those in memory that are asked for often.

Counts are absolute values, written by the learner alone (``lessons``).  Each account has a generation
of counts in use; a new one is made beside it and takes its place (``retrain``).
"""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from mox.base.limits import WORDS_CACHED
from mox.base.log import get_logger
from mox.junk.model import TOTALS, Count, Delta, add
from mox.store.account import Account
from mox.store.engine.base import Batch, Engine, Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import Learning

log = get_logger("store")

_ABSENT: Final = Count()  # in memory: the index has no row


class WordCache:
    """Counts of words of all accounts that were asked for lately, by key.    Used from any thread.

    Two tables: what is asked for goes into the young one, which takes the place of the old one when
    it is full.
    """

    def __init__(self, *, size: int = WORDS_CACHED) -> None:
        self._size = size
        self._young: dict[bytes, Count] = {}
        self._old: dict[bytes, Count] = {}
        self._lock = threading.Lock()
        self._writing = 0  # batches of counts on their way
        self._version = 0  # another one whenever a batch begins or ends

    def get_many(
        self, engine: Engine, wanted: Sequence[bytes], *, remember: bool = True
    ) -> list[Count | None]:
        """Counts of whole keys, read where they are not in memory.    Blocks."""
        version = self._version
        found: list[Count | None] = list(map(self._young.get, wanted))
        missing = [at for at, count in enumerate(found) if count is None]
        if missing:
            keys_of = [wanted[at] for at in missing]
            counts = self._read(engine, keys_of)
            for at, count in zip(missing, counts, strict=True):
                found[at] = count
            if remember:
                self._remember(keys_of, counts, version)
        return [None if count is _ABSENT else count for count in found]

    def _read(self, engine: Engine, wanted: list[bytes]) -> list[Count]:
        known = list(map(self._old.get, wanted))
        unknown = [key for key, count in zip(wanted, known, strict=True) if count is None]
        values = iter(engine.multi_get(Family.KV, unknown) if unknown else ())
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

    def _remember(self, wanted: list[bytes], counts: list[Count], version: int) -> None:
        with self._lock:
            # What was written meanwhile may be newer than what was read.
            if self._version == version and not self._writing:
                self._young.update(zip(wanted, counts, strict=True))
                if len(self._young) > self._size:
                    self._old, self._young = self._young, {}

    def begin_write(self) -> None:
        """Counts are about to be written: what is read from here on is not remembered."""
        with self._lock:
            self._writing += 1
            self._version += 1

    def end_write(self, changed: Iterable[tuple[bytes, Count | None]]) -> None:
        """They are written, or never will be."""
        with self._lock:
            for key, count in changed:
                self._old.pop(key, None)
                if key in self._young:
                    self._young[key] = _ABSENT if count is None else count
            self._writing -= 1
            self._version += 1


def read_counts(account: Account) -> "StoredCounts":
    """What the account's filter has learnt.    Its methods block: use it in a thread."""
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

    def _get(self, words: Sequence[bytes]) -> list[Count | None]:
        generation = self._generation()
        while True:
            prefix = keys.words(self._account, generation)
            found = self._cache.get_many(self._engine, [prefix + word for word in words])
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

    def put(
        self, engine: Engine, cache: WordCache, batch: Batch
    ) -> list[tuple[bytes, Count | None]]:
        """Put the new counts into a batch; their keys and values.    Blocks."""
        changes = self._sums()
        wanted = [self._prefix + word for word in changes]
        before = cache.get_many(engine, wanted, remember=False)
        changed: list[tuple[bytes, Count | None]] = []
        known: dict[tuple[Count | None, tuple[int, int]], tuple[Count | None, bool]] = {}
        short = 0
        for key, count, change in zip(wanted, before, changes.values(), strict=True):
            found = known.get((count, change))  # many are alike
            if found is None:
                added = add(count, Delta(words=(), ham=change[0], spam=change[1]))
                found = None if added.is_empty else added.after, added.fell_short
                known[count, change] = found
            after, fell_short = found
            short += fell_short
            if after != count:
                changed.append((key, after))
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


def _put(batch: Batch, changed: list[tuple[bytes, Count | None]]) -> None:
    batch.delete_all(Family.KV, [key for key, count in changed if count is None])
    kept = [(key, count) for key, count in changed if count is not None]
    values = {count: rows.encode_count(count) for count in {count for _, count in kept}}
    batch.put_all(Family.KV, [key for key, _ in kept], [values[count] for _, count in kept])
