"""The engine protocol: an ordered map of bytes to bytes per family, with atomic batches.

One writer; readers from any thread of the process.  ``write`` hands a batch to the write-ahead
log and to readers at once; ``sync`` makes everything written before it durable.
"""

from collections.abc import Collection, Iterator
from enum import Enum
from pathlib import Path
from typing import Protocol


class Family(Enum):
    """Column families, each with its own access pattern (engine.md section 3.1)."""

    META = "meta"  # accounts, mailboxes, counters: point reads at open
    ROW = "row"  # one row per message: range scans at mailbox open
    LOG = "log"  # the change log: appended, read in ranges
    VANISHED = "vanished"  # expunged UIDs by modseq: short range reads
    MSG = "msg"  # cold facts of a message: point reads
    CACHE = "cache"  # envelope, structure, preview: multi-gets
    LOC = "loc"  # where a body is and how often it is referred to
    BODY = "body"  # small contents themselves: multi-gets
    IDX = "idx"  # look-ups by value: Message-ID, threads, recipients
    KV = "kv"  # credentials, subscriptions, settings


class Batch:
    """Changes over any families that happen together or not at all."""

    __slots__ = ("bulk", "bulk_deletes", "operations")

    def __init__(self) -> None:
        self.operations: list[tuple[Family, bytes, bytes | None, bytes | None]] = []
        # after the operations
        self.bulk: list[tuple[Family, Collection[bytes], Collection[bytes]]] = []
        self.bulk_deletes: list[tuple[Family, Collection[bytes]]] = []

    def put(self, family: Family, key: bytes, value: bytes) -> None:
        """Set a key."""
        self.operations.append((family, key, value, None))

    def put_all(self, family: Family, keys: Collection[bytes], values: Collection[bytes]) -> None:
        """Set many keys that nothing else in the batch touches; cheaper than one by one."""
        self.bulk.append((family, keys, values))

    def delete_all(self, family: Family, keys: Collection[bytes]) -> None:
        """Remove many keys that nothing else in the batch touches; cheaper than one by one."""
        self.bulk_deletes.append((family, keys))

    def delete(self, family: Family, key: bytes) -> None:
        """Remove a key; no error when it is not there."""
        self.operations.append((family, key, None, None))

    def delete_range(self, family: Family, start: bytes, end: bytes) -> None:
        """Remove all keys with ``start <= key < end``."""
        self.operations.append((family, start, None, end))

    def __len__(self) -> int:
        many = sum(len(keys) for _, keys, _ in self.bulk)
        return len(self.operations) + many + sum(len(keys) for _, keys in self.bulk_deletes)


class Ranges(Protocol):
    """Many short reads of one family, as it was when this was made, or later.

    Of one thread, for a moment: it holds on to what it sees, and is dropped before the engine is closed.
    """

    def first(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The first rows with ``start <= key < end``, at most ``limit``."""
        ...


class Engine(Protocol):
    """See the module."""

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Value of a key."""
        ...

    def multi_get(self, family: Family, keys: list[bytes]) -> list[bytes | None]:
        """Values of many keys, in their order."""
        ...

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys with ``start <= key < end`` in order, as they were when the scan began."""
        ...

    def ranges(self, family: Family, end: bytes) -> Ranges:
        """To read many short ranges, all of them before ``end``: cheaper than as many scans."""
        ...

    def write(self, batch: Batch) -> None:
        """Apply a batch as a whole.    Errors: OSError when the disk refuses."""
        ...

    def sync(self) -> None:
        """Make all writes so far durable.    Errors: OSError."""
        ...

    def give_back(self, family: Family) -> None:
        """Give the space of what was removed from a family back.    Blocks, for seconds where it is much.

        Errors  OSError.
        """
        ...

    def checkpoint(self, folder: Path) -> None:
        """A consistent copy in a folder that does not exist yet."""
        ...

    def close(self) -> None:
        """Release everything, the lock of the folder included."""
        ...
