"""Capability names, one line each, with the RFC, and what each implies.    IANA imap-capabilities.

Which of them a session announces is the server's decision; here is only the vocabulary.
"""

from collections.abc import Iterable
from typing import Final

import msgspec


class Capability(msgspec.Struct, frozen=True):
    """A name as it is announced, its RFC, and names that are in force with it."""

    name: bytes
    rfc: int
    implies: tuple[bytes, ...] = ()


# RFC 9051 Appendix E: what a client of IMAP4rev2 may use without it being announced.
_REV2: Final = (
    b"NAMESPACE",
    b"UNSELECT",
    b"UIDPLUS",
    b"ESEARCH",
    b"SEARCHRES",
    b"ENABLE",
    b"IDLE",
    b"SASL-IR",
    b"LIST-EXTENDED",
    b"LIST-STATUS",
    b"MOVE",
    b"LITERAL-",
    b"STATUS=SIZE",
)

CAPABILITIES: Final = (
    Capability(b"IMAP4rev1", 3501),
    Capability(b"IMAP4rev2", 9051, _REV2),
    Capability(b"APPENDLIMIT", 7889),  # announced with "=" and the number
    Capability(b"BINARY", 3516),
    Capability(b"CHILDREN", 3348),
    Capability(b"COMPRESS=DEFLATE", 4978),
    Capability(b"CONDSTORE", 7162),
    Capability(b"CREATE-SPECIAL-USE", 6154),
    Capability(b"ENABLE", 5161),
    Capability(b"ESEARCH", 4731),
    Capability(b"ID", 2971),
    Capability(b"IDLE", 2177),
    Capability(b"INPROGRESS", 9585),
    Capability(b"LIST-EXTENDED", 5258),
    Capability(b"LIST-METADATA", 9590),
    Capability(b"LIST-STATUS", 5819),
    Capability(b"LITERAL+", 7888, (b"LITERAL-",)),
    Capability(b"LITERAL-", 7888),
    Capability(b"LOGINDISABLED", 9051),
    Capability(b"METADATA", 5464),
    Capability(b"MOVE", 6851),
    Capability(b"MULTIAPPEND", 3502),
    Capability(b"MULTISEARCH", 7377),
    Capability(b"NAMESPACE", 2342),
    Capability(b"NOTIFY", 5465),
    Capability(b"PREVIEW", 8970),
    Capability(b"QRESYNC", 7162, (b"CONDSTORE", b"ENABLE")),
    Capability(b"QUOTA", 9208),
    Capability(b"REPLACE", 8508),
    Capability(b"SASL-IR", 4959),
    Capability(b"SAVEDATE", 8514),
    Capability(b"SEARCHRES", 5182, (b"ESEARCH",)),
    Capability(b"SPECIAL-USE", 6154),
    Capability(b"STARTTLS", 9051),
    Capability(b"STATUS=SIZE", 8438),
    Capability(b"UIDONLY", 9586),
    Capability(b"UIDPLUS", 4315),
    Capability(b"UNSELECT", 3691),
    Capability(b"UTF8=ACCEPT", 6855, (b"ENABLE",)),
    Capability(b"WITHIN", 5032),
)

BY_NAME: Final = {capability.name.upper(): capability for capability in CAPABILITIES}


def known(name: bytes) -> Capability | None:
    """The capability of a name in any case."""
    return BY_NAME.get(name.upper())


def implied(names: Iterable[bytes]) -> frozenset[bytes]:
    """The names, upper case, with all that they imply."""
    found: set[bytes] = set()
    waiting = [name.upper() for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        entry = BY_NAME.get(name)
        if entry is not None:
            waiting.extend(entry.implies)
    return frozenset(found)
