"""Key bytes of the queue's database: one function per key kind.    Big-endian: byte order is numeric.

Families are used for what they are tuned for: ROW entries, IDX orders and look-ups, KV small values,
MSG what is done, CACHE attempts, LOG events, LOC places of contents (as in a shard, of account 0).

A *lane* is what waits for one domain, first attempts apart from later ones.  Rows of a lane are
ordered by time.  ``ready`` orders the lanes by when to look at them, ``lane_hint`` tells that of one.
"""

from struct import Struct

from mox.queue.entry import Entry

_U64 = Struct(">Q")
_TWO = Struct(">QQ")
_THREE = Struct(">QQQ")
_ATTEMPT = Struct(">QI")

ACCOUNT = 0  # of contents: everything in the queue is the server's
FRESH = b"\x00"  # class of a lane: first attempts
RETRY = b"\x01"
END = b"\xff" * 8
NEVER = (1 << 63) - 1  # a time after all others

FORMAT = b"F"  # META: version of the data format
COUNTERS = b"C"  # META: ids given out, entries counted


def number(value: int) -> bytes:
    """A u64; also ROW and MSG: an entry."""
    return _U64.pack(value)


def last_number(key: bytes) -> int:
    """The u64 a key ends with: mostly the entry's id."""
    return int.from_bytes(key[-8:], "big")


def hold_rule(rule: int) -> bytes:
    """META: a hold rule."""
    return b"H" + _U64.pack(rule)


HOLD_RULES = (b"H", b"I")


def time_order(next_ms: int, entry: int) -> bytes:
    """IDX: every entry by its next attempt."""
    return b"T" + _TWO.pack(next_ms, entry)


TIME_ORDER = (b"T", b"U")


def time_of(key: bytes) -> int:
    """The time in a key that ends with a time and an id."""
    return int.from_bytes(key[-16:-8], "big")


def lane(entry: Entry) -> bytes:
    """Class and domain."""
    return (RETRY if entry.attempts else FRESH) + entry.recipient_domain.encode()


def lane_row(lane: bytes, next_ms: int, entry: int) -> bytes:
    """IDX: an entry that is not held, in its lane → its base id."""
    return b"L" + lane + b"\x00" + _TWO.pack(next_ms, entry)


def lane_rows(lane: bytes, first_ms: int) -> tuple[bytes, bytes]:
    """IDX: range of the rows of a lane from a time on."""
    prefix = b"L" + lane + b"\x00"
    return prefix + _U64.pack(first_ms), prefix + END + b"\xff"


LANES = (b"L", b"M")


def ready(lane: bytes, ready_ms: int) -> bytes:
    """IDX: a lane by when to look at it."""
    return b"R" + lane[:1] + _U64.pack(ready_ms) + lane[1:]


def ready_rows(klass: bytes, first_ms: int) -> tuple[bytes, bytes]:
    """IDX: range of the lanes of a class from a time on."""
    return b"R" + klass + _U64.pack(first_ms), b"R" + klass + END + b"\xff"


def ready_parts(key: bytes) -> tuple[int, bytes]:
    """Time and lane of such a key."""
    return int.from_bytes(key[2:10], "big"), key[1:2] + key[10:]


def lane_hint(lane: bytes) -> bytes:
    """KV: when to look at a lane, and the time before which it has no rows."""
    return b"h" + lane


LANE_HINTS = (b"h", b"i")


def encode_hint(ready_ms: int, first_ms: int) -> bytes:
    """Value of such a key."""
    return _TWO.pack(ready_ms, first_ms)


def decode_hint(value: bytes) -> tuple[int, int]:
    """Both times."""
    ready_ms, first_ms = _TWO.unpack(value)
    return ready_ms, first_ms


BY_ENTRY = b"e"  # kinds of references to a content
BY_NOTICE = b"n"


def reference(content: int, kind: bytes, by: int) -> bytes:
    """IDX: an entry or notice that needs a content."""
    return b"C" + _U64.pack(content) + kind + _U64.pack(by)


def references(content: int) -> tuple[bytes, bytes]:
    """IDX: range of all that need a content."""
    return b"C" + _U64.pack(content), b"C" + _U64.pack(content + 1)


REFERENCES = (b"C", b"D")


def reference_parts(key: bytes) -> tuple[int, bytes, int]:
    """Content, kind and id of such a key."""
    return int.from_bytes(key[1:9], "big"), key[9:10], int.from_bytes(key[10:18], "big")


def content(number: int) -> bytes:
    """KV: the bytes of a small content; others have a place in LOC."""
    return b"c" + _U64.pack(number)


CONTENTS = (b"c", b"d")


def unneeded(content: int) -> bytes:
    """KV: a content that lost a reference, to be erased if it was the last."""
    return b"u" + _U64.pack(content)


UNNEEDED = (b"u", b"v")


def from_id(value: str) -> bytes:
    """IDX: unique id in a sender → entry, also a retired one."""
    return b"F" + value.encode()


FROM_IDS = (b"F", b"G")


def attempt(entry: int, attempt: int) -> bytes:
    """CACHE: an attempt for an entry."""
    return _ATTEMPT.pack(entry, attempt)


def attempts(entry: int) -> tuple[bytes, bytes]:
    """CACHE: range of the attempts for an entry."""
    return _U64.pack(entry), _U64.pack(entry + 1)


EVERYTHING = (b"", b"\xff" * 20)  # range over a family whose keys begin with a number


def retired_order(last_activity_ms: int, entry: int) -> bytes:
    """IDX: a retired entry by its last activity."""
    return b"A" + _TWO.pack(last_activity_ms, entry)


RETIRED_ORDER = (b"A", b"B")


def retired_end(keep_until_ms: int, entry: int) -> bytes:
    """IDX: a retired entry by when it is forgotten."""
    return b"K" + _TWO.pack(keep_until_ms, entry)


RETIRED_ENDS = (b"K", b"L")


def retired_to(account: str, base_address: str, last_activity_ms: int, entry: int) -> bytes:
    """IDX: a retired entry by account and base address of its recipient → b"1" for success."""
    return _address(b"S", account, base_address) + _TWO.pack(last_activity_ms, entry)


def all_retired_to(account: str, base_address: str) -> tuple[bytes, bytes]:
    """IDX: range of them."""
    prefix = _address(b"S", account, base_address)
    return prefix, prefix + END + END + b"\xff"


RETIRED_TO = (b"S", b"T")


def suppression(account: str, base_address: str) -> bytes:
    """KV: an address an account does not send to."""
    return _address(b"s", account, base_address)


def suppressions(account: str | None) -> tuple[bytes, bytes]:
    """KV: range of those of an account, or of all."""
    if account is None:
        return b"s", b"t"
    prefix = b"s" + account.encode() + b"\x00"
    return prefix, prefix[:-1] + b"\x01"


def notice(due_ms: int, number: int) -> bytes:
    """KV: a notification by when to deliver it."""
    return b"n" + _TWO.pack(due_ms, number)


def notices(first_ms: int) -> tuple[bytes, bytes]:
    """KV: range of notifications from a time on."""
    return b"n" + _U64.pack(first_ms), b"o"


def _address(kind: bytes, account: str, address: str) -> bytes:
    # Neither has a NUL: accounts are names of the configuration, addresses lose controls.
    return kind + account.encode() + b"\x00" + address.encode() + b"\x00"
