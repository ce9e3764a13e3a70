"""What an evaluation is asked, and what it answers."""

import enum

import msgspec

from mox.dns.name import IPAddress


class Status(enum.StrEnum):
    """RFC 7208 §2.6."""

    NONE = "none"
    NEUTRAL = "neutral"
    PASS = "pass"  # noqa: S105  # not a password
    FAIL = "fail"
    SOFTFAIL = "softfail"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Identity(enum.StrEnum):
    """Which name was checked.    RFC 7208 §2.3, §2.4."""

    MAILFROM = "mailfrom"
    HELO = "helo"


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Whose permission is asked about."""

    ip: IPAddress  # of the client; an IPv4-mapped one counts as IPv4
    helo: str  # as it was given: a name with A-labels, or an address literal
    localpart: str = ""  # of MAIL FROM, unquoted
    domain: str = ""  # of MAIL FROM, A-labels; empty for the null sender


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The verdict and what it came from."""

    status: Status
    identity: Identity
    sender: Sender
    domain: str  # the domain that was checked, in lower case
    mechanism: str = ""  # the term that decided, as written; "default" where none matched
    problem: str = ""  # what is wrong, for none, temperror and permerror
    explanation: str = ""  # what the domain says of a fail; a stranger's text, printable ASCII
    authentic: bool = False  # every answer used was authenticated by DNSSEC
    lookups: int = 0  # terms that asked the DNS
