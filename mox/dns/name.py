"""Domain names: as hosts and mail domains write them, and as look-ups take them.

Source  RFC 1035 §2.3.4, RFC 5890 §2.3.2.1, RFC 5891 §5.
Laws    parse(domain.ascii) == parse(domain.unicode) == domain; parsing raises BadName only.

A *look-up name* is text: labels joined by dots, taken as absolute, case-insensitive, with at most
one dot at its end.  It may hold characters no host name has (SPF macros put them there).
"""

import ipaddress
import re
from functools import lru_cache
from typing import Final, TypeAlias

import idna
import msgspec

from mox.base.errors import Malformed
from mox.base.limits import DNS_LABEL, DNS_NAME

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_LABEL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
_LAX_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?")


class BadName(Malformed):
    """Not a name that can be looked up, or not one of a host."""

    default = "bad domain name"


class Domain(msgspec.Struct, frozen=True, order=True):
    """A host or mail domain; equal names are equal values."""

    ascii: str  # lower case, A-labels
    unicode: str  # lower case, U-labels, NFC; the same text where there are none

    def __str__(self) -> str:
        return self.ascii

    def display(self) -> str:
        """For people: the Unicode form, with the ASCII form where it differs."""
        return self.ascii if self.ascii == self.unicode else f"{self.unicode}/{self.ascii}"


def parse_domain(text: str, *, lax: bool = False) -> Domain:
    """A domain in either form.

    Input   lax: underscores are allowed in names of ASCII only, as targets of MX records have them.
    Errors  BadName; a dot at the end and IP addresses are refused.
    """
    if len(text) > DNS_NAME:  # before the costly part; U-labels are never longer than A-labels
        raise BadName("domain name too long")
    name = text.lower()
    if not name.isascii() or "xn--" in name:
        try:
            # RFC 5891 §5: valid A-labels and U-labels only; UTS 46 folds case and width.
            name = idna.encode(name, uts46=True).decode("ascii")
        except UnicodeError as e:  # idna.IDNAError is one
            raise BadName("bad internationalised domain name", cause=e) from e
        lax = False
    check_name(name)
    label = _LAX_LABEL if lax else _LABEL
    labels = name.split(".")
    if not all(label.fullmatch(one) for one in labels):
        raise BadName
    if labels[-1].isdigit():
        raise BadName("an ip address is not a domain name")
    return Domain(name, to_unicode(name))


def to_unicode(name: str) -> str:
    """A name in ASCII with U-labels; a label that is no valid A-label stays."""
    if "xn--" not in name:
        return name
    return ".".join(_label_to_unicode(label) for label in name.split("."))


def _label_to_unicode(label: str) -> str:
    if not label.startswith("xn--"):
        return label
    try:
        return idna.ulabel(label)
    except idna.IDNAError:
        return label


def canonical(name: str) -> str:
    """A look-up name for comparison: lower case, without the dot at its end."""
    return name.removesuffix(".").lower()


@lru_cache(maxsize=4096)  # the same few names for most mail
def check_name(name: str) -> tuple[str, ...]:
    """The labels of a look-up name (none for the root ``.``).

    Errors  BadName: an empty label, one above 63 octets, more than 253 in all, or not ASCII.
    """
    if name == ".":
        return ()
    bare = name.removesuffix(".")
    if not bare.isascii():
        raise BadName("not an ASCII domain name")
    if not bare or len(bare) > DNS_NAME:  # RFC 1035 §2.3.4: 255 octets on the wire
        raise BadName("domain name empty or too long")
    labels = bare.split(".")
    if "" in labels or max(map(len, labels)) > DNS_LABEL:
        raise BadName("label empty or too long")
    return tuple(labels)


def is_within(name: str, parent: str) -> bool:
    """Whether a look-up name is the parent or below it."""
    name, parent = canonical(name), canonical(parent)
    return name == parent or name.endswith("." + parent)


def reversed_labels(ip: IPAddress) -> str:
    """An address for a name in a reversed zone: octets, or nibbles in lower case, last one first."""
    if ip.version == 4:
        return ".".join(reversed(str(ip).split(".")))
    return ".".join(reversed(ip.packed.hex()))


def reverse_name(ip: IPAddress) -> str:
    """Where the PTR records of an address are.    RFC 1035 §3.5, RFC 3596 §2.5."""
    return f"{reversed_labels(ip)}.{'in-addr' if ip.version == 4 else 'ip6'}.arpa"


def unmapped(ip: IPAddress) -> IPAddress:
    """The IPv4 address within an IPv4-mapped one; others as they are.    RFC 4291 §2.5.5.2."""
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
