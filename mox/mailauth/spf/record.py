"""SPF records: parse.

Source  RFC 7208 §4.5, §4.6, §5, §6, §12.
Laws    parse accepts or raises RecordError; str(record) parses to an equal record.

A record is checked as a whole before anything is evaluated (RFC 7208 §4.6).
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final

import msgspec

from mox.base.limits import SPF_PARSED, SPF_PARSED_RECORD, SPF_RECORD
from mox.mailauth.spf.errors import RecordError
from mox.mailauth.spf.macro import MacroString, parse_domain_spec, parse_macro_string

_VERSION: Final = b"v=spf1"
# name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." )
_MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)=(.*)", re.DOTALL)
_DIRECTIVE: Final = re.compile(r"([+\-?~]?)([A-Za-z][A-Za-z0-9]*)(?=[:/]|\Z)(.*)", re.DOTALL)
# dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ], at the end of a or mx
_DUAL_CIDR: Final = re.compile(r"(?:/(\d+))?(?://(\d+))?\Z", re.ASCII)
_CIDR: Final = re.compile(r"0|[1-9][0-9]{0,2}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Mechanism(msgspec.Struct, frozen=True, kw_only=True):
    """A directive: a qualifier and a test."""

    text: str  # as written
    qualifier: str  # one of + - ? ~
    name: str  # lower case: all include a mx ptr ip4 ip6 exists
    domain: MacroString | None = None  # None: the domain of the record
    prefix4: int = 32  # of a and mx: bits of an IPv4 address that are compared
    prefix6: int = 128
    network: Network | None = None  # of ip4 and ip6


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed record."""

    mechanisms: tuple[Mechanism, ...]
    redirect: MacroString | None = None
    explanation: MacroString | None = None
    unknown: tuple[tuple[str, MacroString], ...] = ()  # other modifiers; they mean nothing

    def __str__(self) -> str:
        terms = [mechanism.text for mechanism in self.mechanisms]
        if self.redirect is not None:
            terms.append(f"redirect={self.redirect}")
        if self.explanation is not None:
            terms.append(f"exp={self.explanation}")
        terms += [f"{name}={value}" for name, value in self.unknown]
        return " ".join([_VERSION.decode(), *terms])


def is_record(text: bytes) -> bool:
    """Whether a TXT record is one of ours: the version, then a space or the end.

    Source  RFC 7208 §4.5: "v=spf10" is not.
    """
    return text[: len(_VERSION)].lower() == _VERSION and text[len(_VERSION) :][:1] in (b"", b" ")


def parse(text: bytes) -> Record:
    """A record with its version.    Errors: RecordError."""
    return _parse_again(text) if len(text) <= SPF_PARSED_RECORD else _parse(text)


def _parse(text: bytes) -> Record:
    if not is_record(text):
        raise RecordError("not an spf record")
    if len(text) > SPF_RECORD:
        raise RecordError("spf record too long")
    if not text.isascii():  # RFC 7208 §3.1
        raise RecordError("spf record is not in ASCII")
    mechanisms: list[Mechanism] = []
    modifiers: dict[str, MacroString] = {}
    unknown: list[tuple[str, MacroString]] = []
    # Terms are separated by spaces; any other control character is an error within its term.
    for term in text[len(_VERSION) :].decode("ascii").split(" "):
        if not term:
            continue
        modifier = _MODIFIER.fullmatch(term)
        if modifier is None:
            mechanisms.append(_mechanism(term))
            continue
        name, value = modifier.groups()
        if name.lower() not in ("redirect", "exp"):
            unknown.append((name, parse_macro_string(value)))
            continue
        if name.lower() in modifiers:  # RFC 7208 §6: "MUST NOT appear ... more than once each"
            raise RecordError(f"{name.lower()} occurs twice in spf record")
        modifiers[name.lower()] = parse_domain_spec(value)
    return Record(
        mechanisms=tuple(mechanisms),
        redirect=modifiers.get("redirect"),
        explanation=modifiers.get("exp"),
        unknown=tuple(unknown),
    )


# The records of a few large providers are met again and again; they are immutable.
_parse_again = lru_cache(SPF_PARSED)(_parse)


def _mechanism(term: str) -> Mechanism:
    found = _DIRECTIVE.fullmatch(term)
    if found is None:
        raise RecordError("invalid term in spf record")
    qualifier, name, rest = found.groups()
    name = name.lower()
    qualifier = qualifier or "+"  # RFC 7208 §4.6.2
    match name:
        case "all":
            if rest:
                raise RecordError('"all" takes no argument in spf record')
            return Mechanism(text=term, qualifier=qualifier, name=name)
        case "a" | "mx":
            domain, prefix4, prefix6 = _split_cidr(rest)
            return Mechanism(
                text=term,
                qualifier=qualifier,
                name=name,
                domain=_domain(domain) if domain else None,
                prefix4=prefix4,
                prefix6=prefix6,
            )
        case "ptr":
            domain_spec = _domain(rest) if rest else None
            return Mechanism(text=term, qualifier=qualifier, name=name, domain=domain_spec)
        case "include" | "exists":
            return Mechanism(text=term, qualifier=qualifier, name=name, domain=_domain(rest))
        case "ip4" | "ip6":
            return Mechanism(
                text=term, qualifier=qualifier, name=name, network=_network(name, rest)
            )
        case _:
            raise RecordError("unknown mechanism in spf record")


def _domain(rest: str) -> MacroString:
    if not rest.startswith(":"):
        raise RecordError("a domain is missing in spf record")
    return parse_domain_spec(rest[1:])


def _split_cidr(rest: str) -> tuple[str, int, int]:
    found = _DUAL_CIDR.search(rest)
    assert found is not None, "the pattern matches the empty end"
    prefix4, prefix6 = found.groups()
    return (
        rest[: found.start()],
        32 if prefix4 is None else _prefix(prefix4, 32),
        128 if prefix6 is None else _prefix(prefix6, 128),
    )


def _prefix(digits: str, most: int) -> int:
    # RFC 7208 §5.6: "0" / %x31-39 0*2DIGIT, within the range.
    if not _CIDR.fullmatch(digits) or int(digits) > most:
        raise RecordError("invalid prefix length in spf record")
    return int(digits)


def _network(name: str, rest: str) -> Network:
    address, slash, digits = rest.removeprefix(":").partition("/")
    try:
        if not rest.startswith(":"):
            raise ValueError("no address")
        if name == "ip4":
            prefix = _prefix(digits, 32) if slash else 32
            # ipaddress wants four octets without leading zeros, as RFC 7208 §5.6 does.
            return ipaddress.IPv4Network((ipaddress.IPv4Address(address), prefix), strict=False)
        prefix = _prefix(digits, 128) if slash else 128
        if "%" in address:  # a zone id, which a record cannot mean
            raise ValueError("zone id")
        return ipaddress.IPv6Network((ipaddress.IPv6Address(address), prefix), strict=False)
    except ValueError as e:
        raise RecordError("invalid address in spf record", cause=e) from e
