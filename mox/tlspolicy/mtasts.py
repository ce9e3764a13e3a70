"""MTA-STS: records and policies.    RFC 8461 §3.1, §3.2, §4.1."""

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import MTASTS_AGE_MAX_S, MTASTS_MX, MTASTS_POLICY, MTASTS_RECORD
from mox.dns.name import BadName, canonical, parse_domain

RECORD_LABEL: Final = "_mta-sts"
POLICY_HOST_LABEL: Final = "mta-sts"
POLICY_PATH: Final = "/.well-known/mta-sts.txt"


class BadRecord(Malformed):
    """A record that means to be MTA-STS and is none, or one of several."""

    default = "malformed MTA-STS record"


class BadPolicy(Malformed):
    """A policy that cannot be followed."""

    default = "malformed MTA-STS policy"


class Mode(StrEnum):
    """What is done about a host that does not conform.    RFC 8461 §5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a domain promises of its mail hosts."""

    mode: Mode
    max_age_s: int
    mx: tuple[str, ...] = ()  # lower case, A-labels; "*.example" stands for one label before it
    text: str = ""  # as it was served, for reports

    def allows(self, host: str) -> bool:
        """Whether a mail host is one of the policy's.    RFC 8461 §4.1."""
        name = canonical(host)
        _, _, parent = name.partition(".")
        # RFC 6125 §6.4.3: the wildcard stands for exactly the leftmost label.
        return name in self.mx or (parent != "" and f"*.{parent}" in self.mx)


# RFC 8461 §3.1; values are case-sensitive
_VERSION = re.compile(rb"v=STSv1[ \t]*+(?:;|\Z)")
_FIELD = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31})=([\x21-\x3a\x3c\x3e-\x7e]++)")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_AGE = re.compile(r"[0-9]{1,10}")


def is_record(text: bytes) -> bool:
    """Whether a TXT text means to be an MTA-STS record.    RFC 8461 §3.1: others are ignored."""
    return _VERSION.match(text) is not None


def choose_record(texts: Sequence[bytes]) -> str | None:
    """The id of the one record among the texts of ``_mta-sts``; None where there is none.

    Errors  BadRecord: several, or one that cannot be read (RFC 8461 §3.1: no policy then).
    """
    records = [text for text in texts if is_record(text)]
    if not records:
        return None
    if len(records) > 1:
        raise BadRecord("several MTA-STS records")
    return parse_record(records[0])


def parse_record(text: bytes) -> str:
    """The id of a record.    Errors: BadRecord."""
    if len(text) > MTASTS_RECORD or not text.isascii() or not is_record(text):
        raise BadRecord
    pieces = [piece.strip(" \t") for piece in text.decode("ascii").split(";")]
    if pieces[-1] == "":
        pieces.pop()  # the ";" that may end it
    fields: dict[str, str] = {}
    for piece in pieces:
        found = _FIELD.fullmatch(piece)
        if found is None or found[1] in fields:
            raise BadRecord
        fields[found[1]] = found[2]
    number = fields.get("id", "")
    if not _ID.fullmatch(number):
        raise BadRecord("MTA-STS record without a valid id")
    return number


def parse_policy(text: bytes) -> Policy:
    """A policy as it was fetched.    RFC 8461 §3.2.    Errors: BadPolicy."""
    if len(text) > MTASTS_POLICY:
        raise BadPolicy("MTA-STS policy too large")
    try:
        lines = text.decode().replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError as error:
        raise BadPolicy("MTA-STS policy is no UTF-8", cause=error) from error
    first: dict[str, str] = {}
    hosts: list[str] = []
    while lines and not lines[-1].strip(" \t"):
        lines.pop()
    for line in lines:
        key, colon, value = line.partition(":")
        key, value = key.strip(" \t"), value.strip(" \t")
        if not colon or not _KEY.fullmatch(key) or not value:
            raise BadPolicy("MTA-STS policy has a line that is no key and value")
        if key == "mx":
            hosts.append(_pattern(value))
        else:
            first.setdefault(key, value)  # §3.2: of a key given twice the first value counts
    return _checked(first, hosts, "\n".join(lines) + "\n")


def _checked(first: dict[str, str], hosts: list[str], text: str) -> Policy:
    if first.get("version") != "STSv1":
        raise BadPolicy("MTA-STS policy of another version")
    age = first.get("max_age", "")
    if not _AGE.fullmatch(age):
        raise BadPolicy("MTA-STS policy without a valid max_age")
    try:
        mode = Mode(first.get("mode", ""))
    except ValueError as error:
        raise BadPolicy("MTA-STS policy without a valid mode", cause=error) from error
    if mode is not Mode.NONE and not hosts:
        raise BadPolicy("MTA-STS policy without mx")
    if len(hosts) > MTASTS_MX:
        raise BadPolicy("MTA-STS policy with too many mx")
    return Policy(
        mode=mode,
        # §3.2: at most about a year; a larger number means as long as possible.
        max_age_s=min(int(age), MTASTS_AGE_MAX_S),
        mx=tuple(dict.fromkeys(hosts)),
        text=text,
    )


def _pattern(value: str) -> str:
    """An ``mx`` value: a name in A-labels, or ``*.`` and one.    Errors: BadPolicy."""
    wildcard = value.startswith("*.")
    name = value[2:] if wildcard else value
    try:
        domain = parse_domain(name, lax=True)
    except BadName as error:
        raise BadPolicy("MTA-STS policy with a bad mx", cause=error) from error
    if not value.isascii():
        raise BadPolicy("MTA-STS policy with an mx that is not ASCII")  # §3.2: A-labels
    return f"*.{domain.ascii}" if wildcard else domain.ascii


def format_policy(policy: Policy) -> str:
    """A policy as it is served, lines ended by CRLF.    RFC 8461 §3.2."""
    lines = ["version: STSv1", f"mode: {policy.mode}", f"max_age: {policy.max_age_s}"]
    lines += [f"mx: {host}" for host in policy.mx]
    return "".join(f"{line}\r\n" for line in lines)
