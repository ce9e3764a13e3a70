"""Value bytes: versioned structs.    The first byte is the version; an unknown one is refused.

The packed row of a message is written and read by the compiled columns (``_speedups/columns``).
"""

import zlib
from array import array
from struct import Struct
from typing import TypeVar

import msgspec

from mox._speedups import Columns, decode_ranges, encode_ranges, pack_rows
from mox.junk.model import Count
from mox.junk.reputation import Sender
from mox.store.errors import DataDamaged
from mox.store.layout.packed import Packed

VERSION = 1
FORMAT_VERSION = 1  # of the data folder as a whole


class AccountRecord(msgspec.Struct, array_like=True):
    """Counters of an account."""

    name: str
    modseq: int = 1  # last one handed out
    next_uidvalidity: int = 1
    next_mailbox: int = 1
    next_file: int = 1
    trimmed_modseq: int = 0  # history up to here is gone: highest deleted modseq
    used_bytes: int = 0  # sum of live messages


class MailboxRecord(msgspec.Struct, array_like=True):
    """A mailbox with its kept counts, so that SELECT and STATUS never scan."""

    name: str
    uidvalidity: int
    createseq: int
    modseq: int  # of the newest change, expunges included
    uidnext: int = 1
    special_use: tuple[str, ...] = ()  # of Archive Drafts Junk Sent Trash
    keywords: tuple[str, ...] = ()  # position = bit
    messages: int = 0
    unseen: int = 0
    deleted: int = 0
    size: int = 0
    deleted_size: int = 0
    first_recent: int = 1  # UIDs from here on are recent (RFC 3501 §2.3.2)
    dirty: bool = False  # a change in several batches was begun: recount at open


_OWN_FILE = 0  # pack numbers that are none
_IN_ROW = -1


class Location(msgspec.Struct, array_like=True, frozen=True):
    """Where a content is: in a pack, in a file of its own, or in a row of the index."""

    pack: int  # 0: a file of its own, named by the file id; -1: a row of BODY
    offset: int
    length: int  # bytes
    crc: int  # CRC-32 of the bytes

    @property
    def is_row(self) -> bool:
        """It is a row of BODY, which comes and goes with the row that says so."""
        return self.pack == _IN_ROW

    @property
    def is_file(self) -> bool:
        """It is a file of its own."""
        return self.pack == _OWN_FILE


def row_location(content: bytes) -> Location:
    """Of a content that is put as a row of BODY in the same batch."""
    return Location(pack=_IN_ROW, offset=0, length=len(content), crc=zlib.crc32(content))


def row_content(location: Location, value: bytes | None) -> bytes:
    """What was read of a content that is a row.    Errors: DataDamaged."""
    if value is None:
        raise DataDamaged("a stored message has no row")
    if len(value) != location.length:
        raise DataDamaged("a stored message has another length than recorded")
    if zlib.crc32(value) != location.crc:
        raise DataDamaged("a stored message does not match its checksum")
    return value


class LogChange(msgspec.Struct, array_like=True, frozen=True):
    """UIDs of one mailbox that changed in a change set."""

    mailbox: int
    uids: bytes  # encoded ranges
    # added, flags, expunged, moved-out, moved-in, created, deleted, renamed; role and recovered
    # concern all messages of the mailbox and name none
    what: str
    detail: str = ""


class LogRow(msgspec.Struct, array_like=True, frozen=True):
    """One change set."""

    time_ms: int
    changes: tuple[LogChange, ...]


class Facts(msgspec.Struct, array_like=True, frozen=True):
    """Cold facts of a content: how it came.    New fields go to the end, with a default."""

    prefix_length: int = 0  # bytes that we put before what was received
    message_id: str = ""  # canonical, empty when there is none
    mail_from: str = ""
    rcpt_to: str = ""
    remote_ip: str = ""
    helo: str = ""
    sender: Sender = Sender()  # who sent it, as far as flags on it say something about others
    origin: int = 0  # id of the mailbox it was delivered to
    destined: int = 0  # id of the one it would have gone to (Rejects, Introbox), else 0
    is_reject: bool = False  # refused, and kept in the Rejects mailbox
    is_forward: bool = False  # a ruleset says that it was forwarded
    is_list: bool = False  # a ruleset says that it came by a mailing list
    content_hash: bytes = b""  # SHA-256 of the received data, of rejects only

    def effective_origin(self, mailbox: int) -> int:
        """The mailbox that a message in ``mailbox`` with this content counts for.

        Whoever takes it out of where it was put aside says where it belongs.
        """
        return self.destined if self.destined and mailbox != self.origin else self.origin


# A message in a mailbox: version, zone (minutes), uid, size, flags, received and saved (ms),
# modseq, createseq, thread, file, keyword bits; then keyword bits from 64 on, little-endian.
# Written and read back by the compiled columns.
_ROW = Struct("<BxhIIIqqQQQQQ")


def message_rows(columns: Columns, slots: "array[int]") -> Packed | list[bytes]:
    """Values of ROW keys."""
    packed = pack_rows(columns, slots)
    return Packed(packed, _ROW.size) if isinstance(packed, bytes) else packed


def message_state(value: bytes) -> tuple[int, int, int]:
    """Flags, time received (ms) and content id of a row.    Errors: DataDamaged."""
    if len(value) < _ROW.size or value[0] != VERSION:
        raise DataDamaged("a message row is damaged")
    _, _, _, _, flags, received_ms, _, _, _, _, file, _ = _ROW.unpack_from(value)
    return flags, received_ms, file


def message_flags(value: bytes) -> int:
    """The system flags of a row, as it is."""
    return int.from_bytes(value[12:16], "little")


def row_file(value: bytes) -> int:
    """Content id of a row.    Errors: DataDamaged."""
    if len(value) < _ROW.size or value[0] != VERSION:
        raise DataDamaged("a message row is damaged")
    number: int = _ROW.unpack_from(value)[10]
    return number


def encode_uids(ranges: list[tuple[int, int]]) -> bytes:
    """Value of a VANISHED key."""
    return b"\x01" + encode_ranges(ranges)


def decode_uids(value: bytes) -> list[tuple[int, int]]:
    """Ranges of such a value.    Errors: DataDamaged."""
    if value[:1] != b"\x01":
        raise DataDamaged("UID ranges of an unknown version")
    try:
        return decode_ranges(value[1:])
    except ValueError as error:
        raise DataDamaged("UID ranges are damaged", cause=error) from error


def encode_files(files: "array[int]") -> bytes:
    """Value of an ERASE key: content ids."""
    return b"\x01" + files.tobytes()


def decode_files(value: bytes) -> "array[int]":
    """Content ids of such a value.    Errors: DataDamaged."""
    if value[:1] != b"\x01" or len(value) % 8 != 1:
        raise DataDamaged("content ids are damaged")
    return array("Q", value[1:])


class Scan(msgspec.Struct, array_like=True, frozen=True):
    """The learner looks at every message of an account; how far it is."""

    upto: int  # modseq from which on the change log is followed afterwards
    mailbox: int = 0  # the first one to be looked at
    uid: int = 1  # the first one in it


class Learning(msgspec.Struct, array_like=True, frozen=True):
    """How far the learner is with an account."""

    version: int  # of what it makes of a message; another one: all is made anew
    cursor: int = 0  # modseq up to which changes were learnt
    generation: int = 0  # of the word counts in use
    grams: int = 0  # what was counted in it: ``Parameters.grams``; 0: nothing
    scan: Scan | None = None


class Learnt(msgspec.Struct, frozen=True):
    """What the index of votes and recipients holds of a message.    Enough to take it away again."""

    vote: bool | None  # is it junk; None: there is no vote
    sent: bool  # those it was sent to are known
    received_ms: int
    file: int


class Trained(msgspec.Struct, frozen=True):
    """What the word counts of a generation hold of a message."""

    junk: bool | None  # None: nothing yet
    file: int
    readable: bool = True  # False: its words are not known, so none were counted
    # A message of very many words is counted in several batches: as what, and how many words yet.
    toward: bool | None = None
    done: int = 0


_LEARNT = Struct("<BBqQ")
_TRAINED = Struct("<BBIQ")
_COUNT = Struct("<BII")
_SAID = (None, False, True)  # as numbers


def encode_learnt(learnt: Learnt) -> bytes:
    """Value of a LEARNT key."""
    state = _SAID.index(learnt.vote) | learnt.sent << 2
    return _LEARNT.pack(VERSION, state, learnt.received_ms, learnt.file)


def decode_learnt(value: bytes) -> Learnt:
    """What such a value says.    Errors: DataDamaged."""
    if len(value) != _LEARNT.size or value[0] != VERSION or value[1] > 7 or value[1] & 3 == 3:
        raise DataDamaged("a row of the learner is damaged")
    _, state, received_ms, file = _LEARNT.unpack(value)
    return Learnt(_SAID[state & 3], bool(state & 4), received_ms, file)


def encode_trained(trained: Trained) -> bytes:
    """Value of a TRAINED key."""
    state = _SAID.index(trained.junk) | trained.readable << 2 | _SAID.index(trained.toward) << 3
    return _TRAINED.pack(VERSION, state, trained.done, trained.file)


def decode_trained(value: bytes) -> Trained:
    """What such a value says.    Errors: DataDamaged."""
    if len(value) != _TRAINED.size or value[0] != VERSION:
        raise DataDamaged("a row of the word counts is damaged")
    _, state, done, file = _TRAINED.unpack(value)
    junk, toward = state & 3, state >> 3
    if junk == 3 or toward >= 3:
        raise DataDamaged("a row of the word counts is damaged")
    return Trained(_SAID[junk], file, bool(state & 4), _SAID[toward], done)


def encode_count(count: Count) -> bytes:
    """Value of a WORD key."""
    return _COUNT.pack(VERSION, count.ham, count.spam)


def decode_count(value: bytes) -> Count:
    """Messages a word was in.    Errors: DataDamaged."""
    if len(value) != _COUNT.size or value[0] != VERSION:
        raise DataDamaged("a word count is damaged")
    _, ham, spam = _COUNT.unpack(value)
    return Count(ham, spam)


_encoder = msgspec.msgpack.Encoder()
_T = TypeVar("_T", bound=msgspec.Struct)
_decoders: dict[type[msgspec.Struct], msgspec.msgpack.Decoder[msgspec.Struct]] = {}


def encode(record: msgspec.Struct) -> bytes:
    """Bytes of a record."""
    return b"\x01" + _encoder.encode(record)


def decode(kind: type[_T], value: bytes) -> _T:
    """Record of bytes.    Errors: DataDamaged."""
    if not value or value[0] != VERSION:
        raise DataDamaged(f"{kind.__name__}: unknown version {value[:1]!r}")
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.msgpack.Decoder(kind)
    try:
        record = decoder.decode(memoryview(value)[1:])
    except msgspec.DecodeError as error:
        raise DataDamaged(f"{kind.__name__}: {error}", cause=error) from error
    assert isinstance(record, kind)
    return record
