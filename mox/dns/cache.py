"""Answers and absences kept for as long as they may be.

Source  RFC 1035 §7.4, RFC 2308 §5.
Laws    never more entries or bytes than allowed; an entry is never given out after its time; the
        TTL of what is given out is what remains of it.
"""

from collections import OrderedDict
from typing import Final, TypeAlias

import msgspec

from mox.base.limits import DNS_CACHE_BYTES, DNS_CACHE_ENTRIES, DNS_CACHE_TTL, DNS_NEGATIVE_TTL
from mox.dns.base import Answer, Kind, NotFound, Record

Key: TypeAlias = tuple[str, Kind]

_RECORD_BYTES: Final = 100  # a record as an object
_ENTRY_BYTES: Final = 500  # an entry without its records


class _Entry(msgspec.Struct, frozen=True):
    outcome: Answer[Record] | NotFound
    expires_s: float
    size: int


class Cache:
    """Least recently used go first."""

    __slots__ = ("_bytes", "_bytes_max", "_entries", "_entries_max", "hits", "misses")

    def __init__(
        self, *, entries: int = DNS_CACHE_ENTRIES, bytes_max: int = DNS_CACHE_BYTES
    ) -> None:
        self._entries: OrderedDict[Key, _Entry] = OrderedDict()
        self._entries_max = entries
        self._bytes_max = bytes_max
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Bytes, estimated."""
        return self._bytes

    def get(self, key: Key, now_s: float) -> Answer[Record] | NotFound | None:
        """What is known; None for nothing.    now_s: seconds that never go back."""
        entry = self._entries.get(key)
        if entry is not None and entry.expires_s <= now_s:
            self._drop(key)
            entry = None
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        remaining = int(entry.expires_s - now_s)
        if isinstance(entry.outcome, Answer):
            return msgspec.structs.replace(entry.outcome, ttl=remaining)
        # Not the one that was raised: an exception keeps the frames it went through.
        return copy_of(entry.outcome, remaining)

    def has(self, key: Key, now_s: float) -> bool:
        """Whether something is known; does not count as use."""
        entry = self._entries.get(key)
        return entry is not None and entry.expires_s > now_s

    def put(self, key: Key, outcome: Answer[Record] | NotFound, now_s: float) -> None:
        """Keep an outcome for its TTL; one that may not be kept, or is too large, is not."""
        if key in self._entries:
            self._drop(key)
        if isinstance(outcome, Answer):
            ttl = min(outcome.ttl, DNS_CACHE_TTL)
            size = _ENTRY_BYTES + sum(_size(record) for record in outcome.records)
        else:
            ttl = min(outcome.ttl, DNS_NEGATIVE_TTL)
            size = _ENTRY_BYTES
            outcome = copy_of(outcome, ttl)
        # RFC 1035 §3.2.1: a TTL of zero is for the transaction in progress only.
        if ttl <= 0 or size > self._bytes_max:
            return
        self._entries[key] = _Entry(outcome, now_s + ttl, size)
        self._bytes += size
        while self._bytes > self._bytes_max or len(self._entries) > self._entries_max:
            self._drop(next(iter(self._entries)))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._bytes = 0

    def _drop(self, key: Key) -> None:
        self._bytes -= self._entries.pop(key).size


def copy_of(missing: NotFound, ttl: int) -> NotFound:
    """The same absence as a fresh exception."""
    copy = NotFound(is_nxdomain=missing.is_nxdomain, authentic=missing.authentic, ttl=ttl)
    copy.fields = missing.fields
    return copy


def _size(record: Record) -> int:
    return _RECORD_BYTES + (len(record) if isinstance(record, bytes | str) else 0)
