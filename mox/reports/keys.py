"""Key bytes of reports in the server's database.    Big-endian, so byte order is numeric order.

A domain in a key is its text in UTF-8 and a NUL, so that no domain's range holds another's.
"""

import hashlib
from struct import Struct

DMARC = b"D"
TLS = b"T"
EVALUATION = b"E"
RESULT = b"R"
SUPPRESSED = b"S"
STS = b"M"

_U16 = Struct(">H")
_U32 = Struct(">I")
_U64 = Struct(">Q")
DIGEST = 16  # bytes kept of a SHA-256


def digest(value: bytes) -> bytes:
    """Something long as part of a key."""
    return hashlib.sha256(value).digest()[:DIGEST]


def domain_part(domain: str) -> bytes:
    """A domain as part of a key."""
    return domain.encode("utf-8", "replace").replace(b"\0", b"") + b"\0"


# Received reports


def totals(kind: bytes) -> bytes:
    """META: how many there are."""
    return kind + b"t"


def head(kind: bytes, number: int) -> bytes:
    """MSG: who sent a report about what, and its summary."""
    return kind + b"h" + _U64.pack(number)


def heads(kind: bytes, first: int = 0) -> tuple[bytes, bytes]:
    """MSG: range of heads from a number on."""
    return head(kind, first), kind + b"i"


def head_number(key: bytes) -> int:
    """Number of a head's key."""
    return int.from_bytes(key[2:], "big")


def piece(kind: bytes, number: int, index: int) -> bytes:
    """MSG: a piece of a packed report."""
    return kind + b"p" + _U64.pack(number) + _U16.pack(index)


def pieces(kind: bytes, number: int) -> tuple[bytes, bytes]:
    """MSG: range of a report's pieces."""
    return kind + b"p" + _U64.pack(number), kind + b"p" + _U64.pack(number + 1)


def all_pieces(kind: bytes, first: int = 0) -> tuple[bytes, bytes]:
    """MSG: range of the pieces of all reports from a number on."""
    return kind + b"p" + _U64.pack(first), kind + b"q"


def about(kind: bytes, domain: str, number: int) -> bytes:
    """IDX: reports by domain."""
    return kind + b"d" + domain_part(domain) + _U64.pack(number)


def all_about(kind: bytes, domain: str) -> tuple[bytes, bytes]:
    """IDX: range of the reports about a domain."""
    start = kind + b"d" + domain_part(domain)
    return start, start + b"\xff" * 9


def about_number(key: bytes) -> int:
    """Number of the report of such a key."""
    return int.from_bytes(key[-8:], "big")


def identity(kind: bytes, known_as: bytes) -> bytes:
    """IDX: a report by its digest of who names it how."""
    return kind + b"n" + known_as


def index(kind: bytes) -> tuple[bytes, bytes]:
    """IDX: range of everything about a kind."""
    return kind, kind + b"\xff"


# Evaluations


def evaluation(domain: str, hour: int, row: bytes) -> bytes:
    """KV: equal evaluations of a policy domain in an hour since 1970; row: a digest."""
    return EVALUATION + domain_part(domain) + _U32.pack(hour) + row


def evaluations(domain: str, first: int, end: int) -> tuple[bytes, bytes]:
    """KV: range of those of a domain in hours ``first <= hour < end``."""
    start = EVALUATION + domain_part(domain)
    return start + _U32.pack(first), start + _U32.pack(end)


ALL_EVALUATIONS = (EVALUATION, EVALUATION + b"\xff")


def evaluation_place(key: bytes) -> tuple[str, int]:
    """Domain and hour of such a key."""
    split = len(key) - DIGEST - 4
    return key[1 : split - 1].decode(), int.from_bytes(key[split : split + 4], "big")


# TLS results


def result(day: int, recipient_domain: str, policy_domain: str) -> bytes:
    """KV: results of a day since 1970, by recipient domain and by whose policy it was."""
    return RESULT + _U32.pack(day) + domain_part(recipient_domain) + domain_part(policy_domain)


def results(first: int, end: int) -> tuple[bytes, bytes]:
    """KV: range of days ``first <= day < end``."""
    return RESULT + _U32.pack(first), RESULT + _U32.pack(end)


def suppressed(address: str) -> bytes:
    """KV: an address that gets no reports."""
    return SUPPRESSED + address.encode("utf-8", "replace")


ALL_SUPPRESSED = (SUPPRESSED, SUPPRESSED + b"\xff")


# MTA-STS policies of other domains


def sts_policy(domain: str) -> bytes:
    """KV: what is kept of a domain's policy."""
    return STS + domain.encode("ascii")


STS_POLICIES = (STS, STS[:-1] + bytes([STS[-1] + 1]))  # range of all


def sts_domain(key: bytes) -> str:
    """Domain of such a key."""
    return key[1:].decode("ascii")
