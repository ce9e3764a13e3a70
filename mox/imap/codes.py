"""Response codes, one line each, with the RFC they come from.    IANA imap-response-codes.

``mox.imap.codes.X`` is the bare name; the functions build those with arguments.
"""

from collections.abc import Iterable
from typing import Final

from mox.imap import seqset, writer

ALERT: Final = b"ALERT"  # RFC 9051 §7.1
ALREADYEXISTS: Final = b"ALREADYEXISTS"  # RFC 5530 §3
APPENDUID: Final = b"APPENDUID"  # RFC 4315 §3
AUTHENTICATIONFAILED: Final = b"AUTHENTICATIONFAILED"  # RFC 5530 §3
AUTHORIZATIONFAILED: Final = b"AUTHORIZATIONFAILED"  # RFC 5530 §3
BADCHARSET: Final = b"BADCHARSET"  # RFC 9051 §7.1
CANNOT: Final = b"CANNOT"  # RFC 5530 §3
CAPABILITY: Final = b"CAPABILITY"  # RFC 9051 §7.1
CLIENTBUG: Final = b"CLIENTBUG"  # RFC 5530 §3
CLOSED: Final = b"CLOSED"  # RFC 7162 §3.2.11
CONTACTADMIN: Final = b"CONTACTADMIN"  # RFC 5530 §3
COPYUID: Final = b"COPYUID"  # RFC 4315 §3
CORRUPTION: Final = b"CORRUPTION"  # RFC 5530 §3
EXPIRED: Final = b"EXPIRED"  # RFC 5530 §3
EXPUNGEISSUED: Final = b"EXPUNGEISSUED"  # RFC 5530 §3
HASCHILDREN: Final = b"HASCHILDREN"  # RFC 9051 §7.1
HIGHESTMODSEQ: Final = b"HIGHESTMODSEQ"  # RFC 7162 §3.1.2.1
INUSE: Final = b"INUSE"  # RFC 5530 §3
LIMIT: Final = b"LIMIT"  # RFC 5530 §3
MODIFIED: Final = b"MODIFIED"  # RFC 7162 §3.1.3
NOMODSEQ: Final = b"NOMODSEQ"  # RFC 7162 §3.1.2.2
NONEXISTENT: Final = b"NONEXISTENT"  # RFC 5530 §3
NOPERM: Final = b"NOPERM"  # RFC 5530 §3
NOTSAVED: Final = b"NOTSAVED"  # RFC 5182 §2.1
OVERQUOTA: Final = b"OVERQUOTA"  # RFC 5530 §3
PARSE: Final = b"PARSE"  # RFC 9051 §7.1
PERMANENTFLAGS: Final = b"PERMANENTFLAGS"  # RFC 9051 §7.1
PRIVACYREQUIRED: Final = b"PRIVACYREQUIRED"  # RFC 5530 §3
READ_ONLY: Final = b"READ-ONLY"  # RFC 9051 §7.1
READ_WRITE: Final = b"READ-WRITE"  # RFC 9051 §7.1
SERVERBUG: Final = b"SERVERBUG"  # RFC 5530 §3
TOOBIG: Final = b"TOOBIG"  # RFC 4469 §4.2
TRYCREATE: Final = b"TRYCREATE"  # RFC 9051 §7.1
UIDNEXT: Final = b"UIDNEXT"  # RFC 9051 §7.1
UIDNOTSTICKY: Final = b"UIDNOTSTICKY"  # RFC 4315 §3
UIDVALIDITY: Final = b"UIDVALIDITY"  # RFC 9051 §7.1
UNAVAILABLE: Final = b"UNAVAILABLE"  # RFC 5530 §3
UNKNOWN_CTE: Final = b"UNKNOWN-CTE"  # RFC 3516 §4.3
UNSEEN: Final = b"UNSEEN"  # RFC 3501 §7.1
USEATTR: Final = b"USEATTR"  # RFC 6154 §3


def number(name: bytes, value: int) -> bytes:
    """``UIDNEXT 7`` and others with one number."""
    return b"%b %d" % (name, value)


def append_uid(uidvalidity: int, uids: Iterable[tuple[int, int]]) -> bytes:
    """``APPENDUID 1 5:6``; UIDs in the order of the messages, which ascends."""
    return b"APPENDUID %d %b" % (uidvalidity, seqset.format_ranges(uids))


def copy_uid(
    uidvalidity: int, source: Iterable[tuple[int, int]], target: Iterable[tuple[int, int]]
) -> bytes:
    """``COPYUID 1 3:4 9:10``; the n-th UID of the source became the n-th of the target."""
    return b"COPYUID %d %b %b" % (
        uidvalidity,
        seqset.format_ranges(source),
        seqset.format_ranges(target),
    )


def modified(ranges: Iterable[tuple[int, int]]) -> bytes:
    """``MODIFIED 2,5``: what a conditional STORE did not change."""
    return MODIFIED + b" " + seqset.format_ranges(ranges)


def bad_charset(supported: Iterable[bytes]) -> bytes:
    """``BADCHARSET (US-ASCII UTF-8)``."""
    return b"BADCHARSET (%b)" % b" ".join(writer.astring(name) for name in supported)


def capability(names: Iterable[bytes]) -> bytes:
    """``CAPABILITY IMAP4rev2 …``."""
    return b"CAPABILITY " + b" ".join(names)


def permanent_flags(names: bytes) -> bytes:
    r"""``PERMANENTFLAGS (\Seen \*)``, from the names between the parentheses."""
    return b"PERMANENTFLAGS (%b)" % names
