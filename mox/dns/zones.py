"""Zones from a dict, for tests and examples.

    Zones({
        "example.org": {"MX": ["10 mx.example.org"], "TXT": ["v=spf1 mx -all"]},
        "mx.example.org": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
        "192.0.2.1": {"PTR": ["mx.example.org"]},
    })

A name that is an IP address stands for its reverse name.  Records are written as in zone files; a
text is one record, unquoted, as str (UTF-8) or bytes.  An entry of ``temporary`` and ``bogus`` is a
name, or a name and a kind ("example.org TXT"); those look-ups fail.
"""

import ipaddress
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from mox.base.limits import DNS_ALIASES
from mox.dns.base import (
    Answer,
    Bogus,
    Kind,
    Lookups,
    Mx,
    NotFound,
    Record,
    Srv,
    Temporary,
    Tlsa,
)
from mox.dns.name import canonical, check_name, reverse_name

_TTL: Final = 300  # seconds, of every record and of every absence
_DNSSEC_BOGUS: Final = 6  # RFC 8914 §4.7


class Zones(Lookups):
    """A Resolver that knows what it was given and nothing else; ``asked`` lists the look-ups."""

    def __init__(
        self,
        zones: Mapping[str, Mapping[str, Sequence[str | bytes]]],
        *,
        temporary: Collection[str] = (),
        bogus: Collection[str] = (),
        authentic: bool | Collection[str] = False,
    ) -> None:
        """Input: authentic: of all answers, or of those for the names given.    Errors: ValueError."""
        self.asked: list[tuple[str, Kind]] = []
        self._names: set[str] = set()
        self._records: dict[tuple[str, Kind], tuple[Record, ...]] = {}
        for written, kinds in zones.items():
            name = _key(written)
            self._names.add(name)
            for kind, records in kinds.items():
                read = _READERS[Kind(kind)]
                self._records[name, Kind(kind)] = tuple(read(record) for record in records)
        self._temporary = {_entry(text) for text in temporary}
        self._bogus = {_entry(text) for text in bogus}
        self._authentic = (
            authentic if isinstance(authentic, bool) else {_key(name) for name in authentic}
        )

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        """Records of one kind; aliases are followed."""
        check_name(name)
        at = canonical(name)
        self.asked.append((at, kind))
        authentic = True
        for _ in range(DNS_ALIASES + 1):
            self._fail(at, kind)
            authentic = authentic and self._is_authentic(at)
            records = self._records.get((at, kind), ())
            if records:
                return Answer(records=records, name=at, authentic=authentic, ttl=_TTL)
            alias = self._records.get((at, Kind.CNAME))
            if not alias or kind is Kind.CNAME:
                raise NotFound(
                    is_nxdomain=at not in self._names, authentic=authentic, ttl=_TTL, name=name
                )
            at = str(alias[0])
        raise Temporary(name=name, reason="too many aliases")

    def _fail(self, name: str, kind: Kind) -> None:
        if not self._bogus.isdisjoint({(name, None), (name, kind)}):
            raise Bogus(code=_DNSSEC_BOGUS, text="dnssec bogus", name=name)
        if not self._temporary.isdisjoint({(name, None), (name, kind)}):
            raise Temporary(name=name)

    def _is_authentic(self, name: str) -> bool:
        return self._authentic if isinstance(self._authentic, bool) else name in self._authentic


def _key(written: str) -> str:
    try:
        return reverse_name(ipaddress.ip_address(written))
    except ValueError:
        return canonical(written)


def _entry(text: str) -> tuple[str, Kind | None]:
    name, separator, kind = text.rpartition(" ")
    return (_key(name), Kind(kind)) if separator else (_key(text), None)


def _text(record: str | bytes) -> str:
    return record if isinstance(record, str) else record.decode("ascii")


def _mx(record: str | bytes) -> Record:
    preference, host = _text(record).split(" ", 1)
    return Mx(int(preference), canonical(host))


def _srv(record: str | bytes) -> Record:
    priority, weight, port, target = _text(record).split(" ", 3)
    return Srv(int(priority), int(weight), int(port), canonical(target))


def _tlsa(record: str | bytes) -> Record:
    usage, selector, matching, data = _text(record).split(" ", 3)
    return Tlsa(int(usage), int(selector), int(matching), bytes.fromhex(data))


def _name(record: str | bytes) -> Record:
    return canonical(_text(record))


_READERS: Final[dict[Kind, Callable[[str | bytes], Record]]] = {
    Kind.A: lambda record: ipaddress.IPv4Address(_text(record)),
    Kind.AAAA: lambda record: ipaddress.IPv6Address(_text(record)),
    Kind.MX: _mx,
    Kind.TXT: lambda record: record if isinstance(record, bytes) else record.encode(),
    Kind.PTR: _name,
    Kind.CNAME: _name,
    Kind.NS: _name,
    Kind.SRV: _srv,
    Kind.TLSA: _tlsa,
}
