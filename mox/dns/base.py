"""What look-ups answer, and the protocol of those who answer.

Notes
- Names are taken as absolute; no search list is ever used (see ``mox.dns.name``).
- "No such name" and "no such record" are both ``NotFound``.  A server that fails, refuses or is
  late is ``Temporary``; ``Bogus`` is a ``Temporary`` whose cause is DNSSEC.
- ``authentic`` says that the configured, trusted resolver has validated the whole answer,
  aliases included.  It is False wherever the resolver is not trusted.
- ``prefetch`` is a hint: the answer will probably be wanted.  Pure code has look-ups run side by
  side that way; an implementation may do nothing.
"""

import enum
import ipaddress
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

import msgspec

from mox.base.errors import MoxError, Refused, Unavailable
from mox.dns.name import BadName, IPAddress, reverse_name

__all__ = [
    "Answer",
    "BadName",
    "Bogus",
    "DnsError",
    "Kind",
    "Lookups",
    "Mx",
    "NotFound",
    "Record",
    "Resolver",
    "Srv",
    "Temporary",
    "Tlsa",
]


class Kind(enum.StrEnum):
    """Types of records we look up."""

    A = "A"
    AAAA = "AAAA"
    MX = "MX"
    TXT = "TXT"
    PTR = "PTR"
    CNAME = "CNAME"
    NS = "NS"
    SRV = "SRV"
    TLSA = "TLSA"


class Mx(msgspec.Struct, frozen=True, order=True):
    """A mail exchanger.    RFC 5321 §5.1; an empty host is the null MX, RFC 7505 §3."""

    preference: int
    host: str  # lower case, no dot at the end


class Srv(msgspec.Struct, frozen=True, order=True):
    """Where a service is.    RFC 2782; an empty target means that there is none."""

    priority: int
    weight: int
    port: int
    target: str  # lower case, no dot at the end


class Tlsa(msgspec.Struct, frozen=True, order=True):
    """A certificate association.    RFC 6698 §2.1."""

    usage: int
    selector: int
    matching: int
    data: bytes


Record: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address | Mx | Srv | Tlsa | bytes | str

T = TypeVar("T")


class Answer(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """At least one record, as the server ordered them."""

    records: tuple[T, ...]
    name: str  # where the records are: the name asked, or the end of its aliases
    authentic: bool
    ttl: int  # seconds for which it may be kept


class DnsError(MoxError):
    """No answer; the three kinds are below."""

    default = "name lookup failed"


class NotFound(DnsError, Refused):
    """The name, or the type of record, does not exist.

    ``is_nxdomain``: the name itself does not.  ``authentic``: proven by DNSSEC.  ``ttl``: seconds
    for which this may be kept (RFC 2308 §5), 0 where the answer did not say.
    """

    default = "no such dns record"

    def __init__(
        self,
        public: str = "",
        *,
        cause: BaseException | None = None,
        is_nxdomain: bool = False,
        authentic: bool = False,
        ttl: int = 0,
        **fields: object,
    ) -> None:
        super().__init__(public, cause=cause, **fields)
        self.is_nxdomain = is_nxdomain
        self.authentic = authentic
        self.ttl = ttl


class Temporary(DnsError, Unavailable):
    """The server failed or did not answer in time."""

    default = "temporary name lookup error"


class Bogus(Temporary):
    """The resolver could not authenticate the answer: an extended error of RFC 8914 said so."""

    default = "dns answer could not be authenticated"

    def __init__(
        self,
        public: str = "",
        *,
        cause: BaseException | None = None,
        code: int,
        text: str = "",
        **fields: object,
    ) -> None:
        super().__init__(public, cause=cause, code=code, text=text, **fields)
        self.code = code
        self.text = text


class Resolver(Protocol):
    """Who answers.    Every look-up raises NotFound, Temporary (also Bogus) or BadName."""

    async def a(self, name: str) -> Answer[ipaddress.IPv4Address]:
        """IPv4 addresses."""
        ...

    async def aaaa(self, name: str) -> Answer[ipaddress.IPv6Address]:
        """IPv6 addresses."""
        ...

    async def addresses(self, name: str) -> Answer[IPAddress]:
        """Addresses of both families, looked up side by side; one family that fails is left out.

        Errors  Temporary where nothing was found and a look-up failed, else NotFound.
        """
        ...

    async def mx(self, name: str) -> Answer[Mx]:
        """Mail exchangers; targets that are no names are left out."""
        ...

    async def txt(self, name: str) -> Answer[bytes]:
        """Texts, the strings of each record joined (RFC 7208 §3.3)."""
        ...

    async def ptr(self, ip: IPAddress) -> Answer[str]:
        """Names an address claims."""
        ...

    async def cname(self, name: str) -> Answer[str]:
        """What the name is an alias of."""
        ...

    async def ns(self, name: str) -> Answer[str]:
        """Name servers."""
        ...

    async def srv(self, name: str) -> Answer[Srv]:
        """Services."""
        ...

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """Certificate associations."""
        ...

    def prefetch(self, name: str, kind: Kind) -> None:
        """The records will probably be asked for: a look-up may begin now.    Never raises."""
        ...


class Lookups:
    """The typed look-ups of a Resolver over one ``query``."""

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        """Records of one kind.    Errors: as Resolver."""
        raise NotImplementedError

    def prefetch(self, name: str, kind: Kind) -> None:
        """As Resolver; nothing is done here."""

    async def a(self, name: str) -> Answer[ipaddress.IPv4Address]:
        """As Resolver."""
        return cast(Answer[ipaddress.IPv4Address], await self.query(name, Kind.A))

    async def aaaa(self, name: str) -> Answer[ipaddress.IPv6Address]:
        """As Resolver."""
        return cast(Answer[ipaddress.IPv6Address], await self.query(name, Kind.AAAA))

    async def addresses(self, name: str) -> Answer[IPAddress]:
        """As Resolver."""
        self.prefetch(name, Kind.AAAA)
        found: list[Answer[IPAddress]] = []
        missing: list[NotFound] = []
        failed: Temporary | None = None
        for kind in (Kind.A, Kind.AAAA):
            try:
                found.append(cast(Answer[IPAddress], await self.query(name, kind)))
            except NotFound as e:
                missing.append(e)
            except Temporary as e:
                failed = e
        if found:
            return Answer(
                records=tuple(record for answer in found for record in answer.records),
                name=found[0].name,
                authentic=failed is None
                and all(answer.authentic for answer in found)
                and all(one.authentic for one in missing),
                ttl=min(answer.ttl for answer in found),
            )
        if failed is not None:
            raise failed
        raise NotFound(
            is_nxdomain=all(one.is_nxdomain for one in missing),
            authentic=all(one.authentic for one in missing),
            ttl=min(one.ttl for one in missing),
            name=name,
        )

    async def mx(self, name: str) -> Answer[Mx]:
        """As Resolver."""
        return cast(Answer[Mx], await self.query(name, Kind.MX))

    async def txt(self, name: str) -> Answer[bytes]:
        """As Resolver."""
        return cast(Answer[bytes], await self.query(name, Kind.TXT))

    async def ptr(self, ip: IPAddress) -> Answer[str]:
        """As Resolver."""
        return cast(Answer[str], await self.query(reverse_name(ip), Kind.PTR))

    async def cname(self, name: str) -> Answer[str]:
        """As Resolver."""
        return cast(Answer[str], await self.query(name, Kind.CNAME))

    async def ns(self, name: str) -> Answer[str]:
        """As Resolver."""
        return cast(Answer[str], await self.query(name, Kind.NS))

    async def srv(self, name: str) -> Answer[Srv]:
        """As Resolver."""
        return cast(Answer[Srv], await self.query(name, Kind.SRV))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """As Resolver."""
        return cast(Answer[Tlsa], await self.query(name, Kind.TLSA))
