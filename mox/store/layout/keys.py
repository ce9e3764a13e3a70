"""Key bytes: one function per key kind.    Big-endian, so byte order is numeric order.

The account comes first in every key of an account, so an account is one range per family: it can
be exported, counted or deleted as a whole.
"""

from array import array
from hashlib import sha256
from struct import Struct

from mox._speedups import pack_keys, pack_references
from mox.store.layout.packed import Packed

_U32 = Struct(">I")
_ACCOUNT_U64 = Struct(">IQ")
_ROW = Struct(">IQI")
_ACCOUNT_U64_U64 = Struct(">IQQ")
_CACHE = Struct(">IQB")
_REF = Struct(">IcQQI")
_REJECT = Struct(">IcQ")
_VOTES = Struct(">IcB")
_NEWEST = Struct(">QQI")
_LEARNT = Struct(">QI")
_TRAINED = Struct(">IQI")
_I64_MAX = (1 << 63) - 1
_U64_MAX = (1 << 64) - 1
_PART_MAX = 200  # bytes of a value that stands in a key as it is; a longer one is hashed

FORMAT = b"F"  # META: version of the data format
NEXT_ACCOUNT = b"N"  # META: next account id


def account_name(name: str) -> bytes:
    """META: account name → account id."""
    return b"n" + name.encode()


ACCOUNT_NAMES = (b"n", b"o")  # range of all account names


def account(account_id: int) -> bytes:
    """META: an account's record."""
    return b"A" + _U32.pack(account_id)


def mailbox(account_id: int, mailbox_id: int) -> bytes:
    """META: a mailbox's record."""
    return b"B" + _ACCOUNT_U64.pack(account_id, mailbox_id)


def mailboxes(account_id: int) -> tuple[bytes, bytes]:
    """META: range of an account's mailboxes."""
    return b"B" + _U32.pack(account_id), b"B" + _U32.pack(account_id + 1)


def row(account_id: int, mailbox_id: int, uid: int) -> bytes:
    """ROW: a message in a mailbox."""
    return _ROW.pack(account_id, mailbox_id, uid)


def row_keys(account_id: int, mailbox_id: int, uids: "array[int]") -> Packed:
    """ROW: many messages of a mailbox."""
    return Packed(pack_keys(_ACCOUNT_U64.pack(account_id, mailbox_id), uids), _ROW.size)


def rows(account_id: int, mailbox_id: int, first: int, end: int) -> tuple[bytes, bytes]:
    """ROW: range of UIDs ``first <= uid < end``; end may be 2^32."""
    if end > 0xFFFFFFFF:
        return _ROW.pack(account_id, mailbox_id, first), _ACCOUNT_U64.pack(
            account_id, mailbox_id + 1
        )
    return _ROW.pack(account_id, mailbox_id, first), _ROW.pack(account_id, mailbox_id, end)


def row_uid(key: bytes) -> int:
    """UID of a row's key."""
    return int.from_bytes(key[12:16], "big")


def log(account_id: int, modseq: int) -> bytes:
    """LOG: what a change set changed."""
    return _ACCOUNT_U64.pack(account_id, modseq)


def vanished(account_id: int, mailbox_id: int, modseq: int) -> bytes:
    """VANISHED: UIDs expunged from a mailbox by a change set."""
    return _ACCOUNT_U64_U64.pack(account_id, mailbox_id, modseq)


def vanished_range(account_id: int, mailbox_id: int) -> tuple[bytes, bytes]:
    """VANISHED: everything of a mailbox."""
    return vanished(account_id, mailbox_id, 0), vanished(account_id, mailbox_id + 1, 0)


def vanished_modseq(key: bytes) -> int:
    """Modseq of such a key."""
    return int.from_bytes(key[12:20], "big")


def file(account_id: int, file_id: int) -> bytes:
    """MSG, LOC and BODY: facts and place of a content, and a small one itself."""
    return _ACCOUNT_U64.pack(account_id, file_id)


def file_id(key: bytes) -> int:
    """File id of a MSG, LOC, BODY or CACHE key."""
    return int.from_bytes(key[4:12], "big")


def cache(account_id: int, file_id: int, kind: int) -> bytes:
    """CACHE: one derived value of a content."""
    return _CACHE.pack(account_id, file_id, kind)


def reference(account_id: int, file_id: int, mailbox_id: int, uid: int) -> bytes:
    """IDX: a message that refers to a content."""
    return _REF.pack(account_id, b"R", file_id, mailbox_id, uid)


def reference_keys(
    account_id: int, files: "array[int]", mailbox_id: int, uids: "array[int]"
) -> Packed:
    """IDX: many messages of a mailbox, each with its content."""
    head, middle = _U32.pack(account_id) + b"R", mailbox_id.to_bytes(8, "big")
    return Packed(pack_references(head, files, middle, uids), _REF.size)


def references(account_id: int, file_id: int) -> tuple[bytes, bytes]:
    """IDX: range of all messages that refer to a content."""
    return _REF.pack(account_id, b"R", file_id, 0, 0), _REF.pack(
        account_id, b"R", file_id + 1, 0, 0
    )


def reference_parts(key: bytes) -> tuple[int, int, int]:
    """File id, mailbox id and UID of a reference key."""
    _, _, file_number, mailbox_id, uid = _REF.unpack(key)
    return file_number, mailbox_id, uid


def part(value: str | bytes) -> bytes:
    """A value of any length within a key: none is the beginning of another one."""
    data = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if len(data) <= _PART_MAX:
        return bytes((len(data),)) + data
    return b"\xff" + sha256(data).digest()


def reject_names(
    account_id: int, mailbox_id: int, message_id: str, content_hash: bytes
) -> list[bytes]:
    """IDX: beginnings of the keys of what a rejected message is known by again."""
    prefix = _REJECT.pack(account_id, b"J", mailbox_id)
    known = [prefix + b"h" + part(content_hash)] if content_hash else []
    return [*known, prefix + b"m" + part(message_id)] if message_id else known


def reject(name: bytes, uid: int) -> bytes:
    """IDX: a rejected message, by one of its names.    The row may outlive the message."""
    return name + _U32.pack(uid)


def rejects(name: bytes) -> tuple[bytes, bytes]:
    """IDX: range of the messages of such a name."""
    return name, name + b"\xff" * 5


def rejects_of(account_id: int) -> tuple[bytes, bytes]:
    """IDX: range of all such rows of an account."""
    return _REJECT.pack(account_id, b"J", 0), _REJECT.pack(account_id, b"K", 0)


def reject_parts(key: bytes) -> tuple[int, int]:
    """Mailbox id and UID of such a key."""
    return int.from_bytes(key[5:13], "big"), int.from_bytes(key[-4:], "big")


def votes(account_id: int, kind: int, value: str, origin: int) -> bytes:
    """IDX: where the votes for one identity of a sender in one mailbox begin."""
    return _VOTES.pack(account_id, b"V", kind) + part(value) + origin.to_bytes(8, "big")


def vote(beginning: bytes, received_ms: int, mailbox_id: int, uid: int) -> bytes:
    """IDX: the vote of a message; the newest come first, of one moment the later UID."""
    return beginning + _NEWEST.pack(_I64_MAX - received_ms, mailbox_id, 0xFFFFFFFF - uid)


def votes_since(beginning: bytes, since_ms: int) -> tuple[bytes, bytes]:
    """IDX: range of the votes received then or later."""
    last = min(max(_I64_MAX - since_ms, 0), _U64_MAX)
    return beginning, beginning + last.to_bytes(8, "big") + b"\xff" * 13


def vote_received(key: bytes) -> int:
    """When the message of a vote was received, ms."""
    return _I64_MAX - int.from_bytes(key[-20:-12], "big")


def vote_message(key: bytes) -> tuple[int, int]:
    """Mailbox id and UID of a vote."""
    return int.from_bytes(key[-12:-4], "big"), 0xFFFFFFFF - int.from_bytes(key[-4:], "big")


def votes_of(account_id: int) -> tuple[bytes, bytes]:
    """IDX: range of all votes of an account."""
    return _U32.pack(account_id) + b"V", _U32.pack(account_id) + b"W"


def sent_to(account_id: int, kind: bytes, value: str) -> bytes:
    """IDX: where what an account sent to an address (a), domain (d), organization (o) begins."""
    return _U32.pack(account_id) + b"S" + kind + part(value)


def sent_of(account_id: int) -> tuple[bytes, bytes]:
    """IDX: range of all such rows of an account; they end like those of votes."""
    return _U32.pack(account_id) + b"S", _U32.pack(account_id) + b"T"


def account_range(account_id: int) -> tuple[bytes, bytes]:
    """Every key of an account in a family whose keys begin with the account."""
    return _U32.pack(account_id), _U32.pack(account_id + 1)


EVERY_ACCOUNT = (b"\x00", b"\xff" * 24)  # range over all accounts in such a family


def setting(account_id: int, kind: bytes, name: bytes = b"") -> bytes:
    """KV: a named value of an account; kind is one byte."""
    return _U32.pack(account_id) + kind + name


def settings(account_id: int, kind: bytes) -> tuple[bytes, bytes]:
    """KV: range of all values of a kind."""
    start = _U32.pack(account_id) + kind
    return start, start[:-1] + bytes([start[-1] + 1])


LEARNING = b"l"  # KV kind: how far the learner is
LEARNT = b"L"  # KV kind: mailbox id (8 bytes) + UID (4) → votes and recipients of a message
TRAINED = b"T"  # KV kind: generation (4) + mailbox id (8) + UID (4) → is it in the word counts
WORD = b"w"  # KV kind: generation (4) + word → messages it was in
SUBJECTPASS = b"p"  # KV kind: canonical address → key of its subject passes
RATE = b"r"  # KV kind: class (1 byte) + network → what came from it lately
VERDICT = b"v"  # KV kind: time (8 bytes) + number (6 bytes) → record of a decision
VERDICT_ID = b"i"  # KV kind: Message-ID (part) + time + number of a record → empty
SUBSCRIPTION = b"s"  # KV kind: name of a subscribed mailbox → empty
CREDENTIALS = b"c"  # KV kind: what logins are checked against
ERASE = b"e"  # KV kind: modseq (8 bytes) + mailbox id (8 bytes) → contents to erase once no view needs them


def erase(account_id: int, modseq: int, mailbox_id: int) -> bytes:
    """KV: contents expunged from a mailbox by a change set."""
    return setting(account_id, ERASE, modseq.to_bytes(8, "big") + mailbox_id.to_bytes(8, "big"))


def learnt(account_id: int, mailbox_id: int, uid: int) -> bytes:
    """KV: what the index holds of a message."""
    return setting(account_id, LEARNT, _LEARNT.pack(mailbox_id, uid))


def learnt_parts(key: bytes) -> tuple[int, int]:
    """Mailbox id and UID of such a key."""
    return int.from_bytes(key[5:13], "big"), int.from_bytes(key[13:17], "big")


def trained(account_id: int, generation: int, mailbox_id: int, uid: int) -> bytes:
    """KV: what the word counts of a generation hold of a message."""
    return setting(account_id, TRAINED, _TRAINED.pack(generation, mailbox_id, uid))


def trained_parts(key: bytes) -> tuple[int, int]:
    """Mailbox id and UID of such a key."""
    return int.from_bytes(key[9:17], "big"), int.from_bytes(key[17:21], "big")


def words(account_id: int, generation: int) -> bytes:
    """KV: where the counts of a generation begin; the word follows."""
    return setting(account_id, WORD, _U32.pack(generation))


def generation(account_id: int, kind: bytes, number: int) -> tuple[bytes, bytes]:
    """KV: range of all of a generation, of the kind WORD or TRAINED."""
    start = setting(account_id, kind)
    return start + _U32.pack(number), start + _U32.pack(number + 1)


def verdict(account_id: int, at_ms: int, number: bytes = b"") -> bytes:
    """KV: a record of a decision; without a number: where those of a time begin."""
    return setting(account_id, VERDICT, at_ms.to_bytes(8, "big") + number)


def verdict_when(key: bytes) -> bytes:
    """Time and number of a record, as they end the key in either kind."""
    return key[-14:]


def verdict_id(account_id: int, id_part: bytes, when: bytes = b"") -> bytes:
    """KV: a record by Message-ID as a part; without a time: where those of the id begin."""
    return setting(account_id, VERDICT_ID, id_part + when)


def erase_parts(key: bytes) -> tuple[int, int]:
    """Modseq and mailbox id of such a key."""
    return int.from_bytes(key[5:13], "big"), int.from_bytes(key[13:21], "big")


SENT_COUNT = (
    b"o"  # KV kind: ten minutes since 1970 (4 bytes) → recipients written to, new ones of them
)
WRITTEN_TO = b"O"  # KV kind: address → empty: the account sent to it once


def sent_count(account_id: int, step: int) -> bytes:
    """KV: how much an account sent in ten minutes."""
    return setting(account_id, SENT_COUNT, _U32.pack(step))


def written_to(account_id: int, address: str) -> bytes:
    """KV: an address the account sent to."""
    return setting(account_id, WRITTEN_TO, address.encode("utf-8", "replace"))
