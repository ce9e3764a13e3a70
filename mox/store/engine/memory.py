"""The reference engine: a sorted list of keys beside a dict, per family.    For tests."""

import threading
from bisect import bisect_left, insort
from collections.abc import Iterator
from pathlib import Path

from mox.store.engine.base import Batch, Family


class MemoryEngine:
    """Keeps its content as long as the object lives; ``syncs`` counts the calls of ``sync``."""

    def __init__(self) -> None:
        self._values: dict[Family, dict[bytes, bytes]] = {family: {} for family in Family}
        self._keys: dict[Family, list[bytes]] = {family: [] for family in Family}
        self.syncs = 0
        self._lock = threading.Lock()  # a scan sees all of a batch or nothing

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Value of a key."""
        return self._values[family].get(key)

    def multi_get(self, family: Family, keys: list[bytes]) -> list[bytes | None]:
        """Values of many keys, in their order."""
        values = self._values[family]
        with self._lock:
            return [values.get(key) for key in keys]

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys of a range, as they were when the scan began."""
        keys, values = self._keys[family], self._values[family]
        with self._lock:
            found = [
                (key, values[key])
                for key in keys[bisect_left(keys, start) : bisect_left(keys, end)]
            ]
        return reversed(found) if reverse else iter(found)

    def ranges(self, family: Family, end: bytes) -> "_Ranges":
        """To read many short ranges, as they are when each is read."""
        return _Ranges(self, family)

    def first(
        self, family: Family, start: bytes, end: bytes, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """The first rows of a range."""
        keys, values = self._keys[family], self._values[family]
        with self._lock:
            at = bisect_left(keys, start)
            found = keys[at : min(at + limit, bisect_left(keys, end))]
            return [(key, values[key]) for key in found]

    def write(self, batch: Batch) -> None:
        """Apply a batch."""
        with self._lock:
            self._apply(batch)

    def _apply(self, batch: Batch) -> None:
        for family, key, value, end in batch.operations:
            keys, values = self._keys[family], self._values[family]
            if end is not None:
                low, high = bisect_left(keys, key), bisect_left(keys, end)
                for gone in keys[low:high]:
                    del values[gone]
                del keys[low:high]
            elif value is None:
                self._delete(family, key)
            else:
                self._put(family, key, value)
        for family, new_keys, new_values in batch.bulk:
            for key, value in zip(new_keys, new_values, strict=True):
                self._put(family, key, value)
        for family, gone_keys in batch.bulk_deletes:
            for key in gone_keys:
                self._delete(family, key)

    def _delete(self, family: Family, key: bytes) -> None:
        if self._values[family].pop(key, None) is not None:
            keys = self._keys[family]
            del keys[bisect_left(keys, key)]

    def _put(self, family: Family, key: bytes, value: bytes) -> None:
        values = self._values[family]
        if key not in values:
            insort(self._keys[family], key)
        values[key] = value

    def sync(self) -> None:
        """Count the call."""
        self.syncs += 1

    def give_back(self, family: Family) -> None:
        """Nothing is left of what was removed."""

    def checkpoint(self, folder: Path) -> None:
        """Not kept on disk, so there is nothing to copy to."""
        raise NotImplementedError("the memory engine has no files")

    def close(self) -> None:
        """Keep the content, so that a test can open it again."""


class _Ranges:
    def __init__(self, engine: MemoryEngine, family: Family) -> None:
        self._engine = engine
        self._family = family

    def first(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The first rows of a range."""
        return self._engine.first(self._family, start, end, limit)
