"""RocksDB through rocksdict, in raw mode; the only door to it.

``write`` never asks RocksDB to sync (that holds the GIL through the fsync, measured); ``sync``
is ``flush_wal(True)``, which releases it.  Handles of families are dropped before ``close``,
otherwise the lock of the folder stays (engine.md section 2.3).

Values of BODY are in blob files, which compactions leave alone: its tables hold keys only.  RocksDB's own
collection of dead blobs moves the oldest part of all blobs in every compaction, so it is switched on for
one compaction where enough is dead (``give_back``).
"""

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    BottommostLevelCompaction,
    Cache,
    Checkpoint,
    CompactOptions,
    DBCompressionType,
    DBRecoveryMode,
    Options,
    Rdict,
    RdictIter,
    ReadOptions,
    WriteBatch,
)

from mox.base.limits import DISK_FREE_MIN, KIB, MIB
from mox.store.engine.base import Batch, Family
from mox.store.errors import DataLocked, DataUnreadable

BLOCK_CACHE = 64 * MIB  # bytes, shared by the families of a database
WRITE_BUFFER = 16 * MIB  # bytes per memtable
WAL_TOTAL = 96 * MIB  # bytes; beyond it idle families are flushed, so that reopening stays short
OPEN_FILES = 512
DEAD_SHARE = 0.5  # of the bytes of blobs; above it those that live are written anew
SKIPPED = 200  # deleted keys that a short read passes before it asks for its range alone


class RocksEngine:
    """One database folder, opened for writing by this process alone."""

    def __init__(self, folder: Path, *, read_only: bool = False) -> None:
        options = _options()
        cache = Cache(BLOCK_CACHE)
        families = {family.value: _family_options(family, cache) for family in Family}
        access = AccessType.read_only() if read_only else AccessType.read_write()
        try:
            if read_only:
                there = set(Rdict.list_cf(str(folder)))
                families = {name: found for name, found in families.items() if name in there}
            self._db: Rdict | None = Rdict(
                str(folder), options, column_families=families, access_type=access
            )
        except Exception as error:
            text = str(error)
            if "lock" in text.lower():
                raise DataLocked(
                    f"{folder} is in use by another process; stop it first", cause=error
                ) from error
            raise DataUnreadable(f"{folder} cannot be opened: {text}", cause=error) from error
        self._folder = folder
        # Only reading makes no families: in a folder of an earlier version the one that is always
        # there and always empty stands for those that came later.
        self._families = {
            family: self._db.get_column_family(
                family.value if family.value in families else "default"
            )
            for family in Family
        }
        self._handles = (
            {}
            if read_only
            else {family: self._db.get_column_family_handle(family.value) for family in Family}
        )

    def get(self, family: Family, key: bytes) -> bytes | None:
        """Value of a key."""
        value: bytes | None = self._families[family].get(key)
        return value

    def multi_get(self, family: Family, keys: list[bytes]) -> list[bytes | None]:
        """Values of many keys, in their order; releases the GIL."""
        return self._families[family].get(keys)  # type: ignore[arg-type, return-value]

    def scan(
        self, family: Family, start: bytes, end: bytes, *, reverse: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys of a range; the iterator pins what it sees when it is made (engine.md section 2.3)."""
        # set_iterate_lower_bound has no effect on seek_to_first in rocksdict 0.3.29: seek instead.
        bounds = ReadOptions()
        bounds.set_iterate_upper_bound(end)
        iterator = self._families[family].iter(bounds)
        if reverse:
            return _backward(iterator, bounds, start, end)
        return _forward(iterator, bounds, start)

    def iterator(self, family: Family, options: ReadOptions) -> RdictIter:
        """One that sees the family as it is now; whoever has it holds the options as well."""
        return self._families[family].iter(options)

    def ranges(self, family: Family, end: bytes) -> "_Ranges":
        """To read many short ranges with one iterator: a second seek costs half of the first."""
        return _Ranges(self, family, end)

    def write(self, batch: Batch) -> None:
        """Apply a batch: one record of the write-ahead log."""
        assert self._db is not None
        out = WriteBatch(raw_mode=True)
        for family, key, value, end in batch.operations:
            handle = self._handles[family]
            if end is not None:
                out.delete_range(key, end, handle)
            elif value is None:
                out.delete(key, handle)
            else:
                out.put(key, value, handle)
        for family, keys, values in batch.bulk:
            handle = self._handles[family]
            for key, value in zip(keys, values, strict=True):
                out.put(key, value, handle)
        for family, keys in batch.bulk_deletes:
            handle = self._handles[family]
            for key in keys:
                out.delete(key, handle)
        try:
            self._db.write(out)
        except Exception as error:
            raise OSError(f"RocksDB write failed: {error}") from error

    def sync(self) -> None:
        """Sync the write-ahead log; releases the GIL."""
        assert self._db is not None
        try:
            self._db.flush_wal(True)
        except Exception as error:
            raise OSError(f"RocksDB sync failed: {error}") from error

    def give_back(self, family: Family) -> None:
        """Compact a family; write its blobs anew where most of them are dead.    Releases the GIL."""
        rows = self._families[family]
        options = CompactOptions()
        options.set_exclusive_manual_compaction(False)
        try:
            # Blob files without anything alive go by this alone.
            rows.compact_range(None, None, options)
            size, dead = self._blob_bytes(family)
            if dead <= size * DEAD_SHARE:
                return
            if shutil.disk_usage(self._folder).free < size - dead + DISK_FREE_MIN:
                return  # the rest of a file goes when it is dead as a whole
            options.set_bottommost_level_compaction(BottommostLevelCompaction.force())
            rows.set_options(
                {
                    "enable_blob_garbage_collection": "true",
                    "blob_garbage_collection_age_cutoff": "1.0",
                }
            )
            try:
                rows.compact_range(None, None, options)
            finally:
                rows.set_options({"enable_blob_garbage_collection": "false"})
        except Exception as error:
            raise OSError(f"RocksDB compaction failed: {error}") from error

    def _blob_bytes(self, family: Family) -> tuple[int, int]:
        """Of all blob files, and what of it is dead."""
        rows = self._families[family]
        size, dead = (
            int(rows.property_value(f"rocksdb.live-blob-file-{name}") or 0)
            for name in ("size", "garbage-size")
        )
        return size, dead

    def checkpoint(self, folder: Path) -> None:
        """A consistent copy, made of hard links where possible."""
        assert self._db is not None
        Checkpoint(self._db).create_checkpoint(str(folder))

    def close(self) -> None:
        """Drop every handle, then close: only then is the lock released."""
        if self._db is None:
            return
        self._handles.clear()
        self._families.clear()
        self._db.close()
        self._db = None


class _Ranges:
    """One iterator of a family.

    A scan stops at the end of its range.  This one would go on to the next key, past all that were
    deleted and are not cleared away yet: so it gives up early, and then the range is scanned.
    """

    __slots__ = ("_bounds", "_engine", "_family", "_rows")

    def __init__(self, engine: RocksEngine, family: Family, end: bytes) -> None:
        self._engine = engine
        self._family = family
        self._bounds = ReadOptions()  # RocksDB keeps a pointer into them
        self._bounds.set_iterate_upper_bound(end)
        self._bounds.set_max_skippable_internal_keys(SKIPPED)
        self._rows = engine.iterator(family, self._bounds)

    def first(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        """The first rows of a range."""
        rows = self._rows
        found: list[tuple[bytes, bytes]] = []
        rows.seek(start)
        while len(found) < limit:
            if not rows.valid():
                return found if self._is_whole() else self._scanned(start, end, limit)
            key = rows.key()
            if key >= end:
                break
            found.append((key, rows.value()))
            if len(found) < limit:
                rows.next()
        return found

    def _is_whole(self) -> bool:
        """Nothing was left out: the iterator came to its end."""
        try:
            self._rows.status()
        except Exception as error:
            if "incomplete" in str(error):
                return False
            raise OSError(f"RocksDB read failed: {error}") from error
        return True

    def _scanned(self, start: bytes, end: bytes, limit: int) -> list[tuple[bytes, bytes]]:
        return list(islice(self._engine.scan(self._family, start, end), limit))


# The generators hold the options: RocksDB keeps a pointer into them for as long as it iterates.
def _forward(rows: RdictIter, _bounds: ReadOptions, start: bytes) -> Iterator[tuple[bytes, bytes]]:
    rows.seek(start)
    while rows.valid():
        yield rows.key(), rows.value()
        rows.next()


def _backward(
    rows: RdictIter, _bounds: ReadOptions, start: bytes, end: bytes
) -> Iterator[tuple[bytes, bytes]]:
    rows.seek_for_prev(end)
    if rows.valid() and rows.key() >= end:
        rows.prev()
    while rows.valid() and rows.key() >= start:
        yield rows.key(), rows.value()
        rows.prev()


def _options() -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_max_total_wal_size(WAL_TOTAL)
    options.set_max_open_files(OPEN_FILES)
    options.set_keep_log_file_num(3)
    options.set_max_log_file_size(1 * MIB)
    # A damaged middle of the log is refused; a torn tail (the last, never acknowledged write) is not.
    options.set_wal_recovery_mode(DBRecoveryMode.point_in_time())
    return options


def _family_options(family: Family, cache: Cache) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_block_size(16 * KIB)
    table.set_bloom_filter(10, False)
    table.set_cache_index_and_filter_blocks(False)
    options = Options(raw_mode=True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER)
    options.set_max_write_buffer_number(3)
    options.set_compression_type(DBCompressionType.lz4())
    if family is Family.BODY:
        options.set_enable_blob_files(True)
        options.set_blob_compression_type(DBCompressionType.lz4())
    return options
