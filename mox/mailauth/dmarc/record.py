"""DMARC policy records: parse.    RFC 7489 §6.3, §6.4."""

import re
from enum import StrEnum
from functools import lru_cache

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import DMARC_RECORD, DMARC_TAGS, DMARC_URIS


class BadRecord(Malformed):
    """A record that means to be DMARC and cannot be followed."""

    default = "malformed DMARC record"


class Policy(StrEnum):
    """What the domain wants done with mail that fails."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


class ReportUri(msgspec.Struct, frozen=True, kw_only=True):
    """Where reports are wanted."""

    uri: str
    max_size: int | None = None  # bytes; None: no limit named


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy record says; bad values have become their defaults (§6.3)."""

    policy: Policy
    subdomain_policy: Policy | None = None
    is_dkim_strict: bool = False
    is_spf_strict: bool = False
    aggregate: tuple[ReportUri, ...] = ()  # rua
    failure: tuple[ReportUri, ...] = ()  # ruf
    interval_s: int = 86_400  # ri
    failure_options: tuple[str, ...] = ("0",)  # fo
    failure_formats: tuple[str, ...] = ("afrf",)  # rf
    percent: int = 100  # pct

    def policy_for(self, *, is_subdomain: bool) -> Policy:
        """What to do with mail from the record's domain, or from one below it."""
        if is_subdomain and self.subdomain_policy is not None:
            return self.subdomain_policy
        return self.policy


# RFC 7489 §6.4: dmarc-version; the value is case-sensitive, the ";" part of what makes it DMARC
_VERSION = re.compile(rb"[vV][ \t]*+=[ \t]*+DMARC1[ \t]*+;")
_CONSENT = re.compile(rb"[vV][ \t]*+=[ \t]*+DMARC1[ \t]*+(?:;|\Z)")
_NAME = re.compile(r"[a-z][a-z0-9_]*+")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*+:[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]++")
_SIZE = re.compile(r"([0-9]{1,15}+)([kmgt]?)", re.IGNORECASE)
_SCALE = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_FAILURE_OPTIONS = {"0", "1", "d", "s"}


def is_record(text: bytes) -> bool:
    """Whether a TXT text means to be a policy record.    RFC 7489 §6.6.3 step 2."""
    return _VERSION.match(text) is not None


def is_consent(text: bytes) -> bool:
    """Whether a TXT text agrees to receive another domain's reports.    RFC 7489 §7.1.

    A lone ``v=DMARC1``, without the ";" of the grammar, is common and taken.
    """
    return len(text) <= DMARC_RECORD and _CONSENT.match(text) is not None


@lru_cache(maxsize=128)  # senders come again; a record takes up to DMARC_RECORD
def parse_record(text: bytes) -> Record:
    """A policy record from its TXT text.

    Errors  BadRecord: not a record, a tag twice, or no valid policy and nobody to tell (§6.6.3
            step 6).
    """
    tags = _tags(text)
    aggregate = _uris(tags.get("rua", ""))
    policy = _policy(tags.get("p")) if list(tags)[1:2] == ["p"] else None  # §6.3: in that order
    subdomain = _policy(tags.get("sp"))
    if policy is None or ("sp" in tags and subdomain is None):
        # RFC 7489 §6.6.3 step 6: the reports will tell them.
        if not aggregate:
            raise BadRecord("no valid policy")
        policy, subdomain = Policy.NONE, None
    return Record(
        policy=policy,
        subdomain_policy=subdomain,
        is_dkim_strict=tags.get("adkim", "").lower() == "s",
        is_spf_strict=tags.get("aspf", "").lower() == "s",
        aggregate=aggregate,
        failure=_uris(tags.get("ruf", "")),
        interval_s=_number(tags.get("ri"), 2**32 - 1, 86_400),
        failure_options=_options(tags.get("fo", "0")),
        failure_formats=_formats(tags.get("rf", "afrf")),
        percent=_number(tags.get("pct"), 100, 100),
    )


def _tags(text: bytes) -> dict[str, str]:
    if len(text) > DMARC_RECORD:
        raise BadRecord("DMARC record too long")
    if not is_record(text):
        raise BadRecord
    pieces = text.decode(errors="replace").split(";", DMARC_TAGS + 1)
    if len(pieces) > DMARC_TAGS:
        raise BadRecord("too many tags")
    tags: dict[str, str] = {}
    for piece in pieces:
        name, equals, value = piece.partition("=")
        name = name.strip(" \t").lower()
        if not equals or not _NAME.fullmatch(name):
            continue  # §6.3: syntax errors behind the version are ignored
        if name in tags:
            raise BadRecord("duplicate tag")
        tags[name] = value.strip(" \t")
    return tags


def _policy(value: str | None) -> Policy | None:
    try:
        return None if value is None else Policy(value.lower())
    except ValueError:
        return None


def _number(value: str | None, largest: int, default: int) -> int:
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 10:
        return default
    return int(value) if int(value) <= largest else default


def _options(value: str) -> tuple[str, ...]:
    options = [word.strip(" \t").lower() for word in value.split(":")]
    return tuple(dict.fromkeys(word for word in options if word in _FAILURE_OPTIONS)) or ("0",)


def _formats(value: str) -> tuple[str, ...]:
    formats = [word.strip(" \t").lower() for word in value.split(":")]
    return tuple(dict.fromkeys(word for word in formats if word)) or ("afrf",)


def _uris(value: str) -> tuple[ReportUri, ...]:
    """RFC 7489 §6.2: what cannot be read is left out, the rest counts."""
    found: list[ReportUri] = []
    for piece in value.split(",", DMARC_URIS)[:DMARC_URIS]:
        uri, mark, size = piece.strip(" \t").partition("!")
        limit = _SIZE.fullmatch(size)
        if not _URI.fullmatch(uri) or (mark and limit is None):
            continue
        scaled = int(limit[1]) * _SCALE[limit[2].lower()] if limit else None
        found.append(ReportUri(uri=uri, max_size=scaled))
    return tuple(found)
