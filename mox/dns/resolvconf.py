"""The system's resolver settings.    resolv.conf(5)."""

import ipaddress
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from mox.dns.name import IPAddress

_SERVERS: Final = 3  # MAXNS of the system's resolver; later lines are ignored there too


class ResolverSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask."""

    servers: tuple[str, ...] = ("127.0.0.1",)  # addresses; resolv.conf(5): the default
    port: int = 53
    ports: Mapping[str, int] = MappingProxyType({})  # of servers that have another one
    trust_ad: bool = False  # "options trust-ad"

    @property
    def is_trusted(self) -> bool:
        """Whether what the servers say of DNSSEC is believed.

        Either the administrator says so, or nobody is between them and us.
        """
        return self.trust_ad or all(_address(server).is_loopback for server in self.servers)


def parse_resolv_conf(text: str) -> ResolverSettings:
    """Settings from the text of the file; what is not understood is ignored, as the system does."""
    servers: list[str] = []
    trust_ad = False
    for line in text.splitlines():
        words = line.split()
        if len(words) < 2 or line[0] in "#;":
            continue
        if words[0] == "nameserver" and _is_address(words[1]):
            servers.append(words[1])
        elif words[0] == "options":
            trust_ad = trust_ad or "trust-ad" in words[1:]
    if not servers:
        return ResolverSettings(trust_ad=trust_ad)
    return ResolverSettings(servers=tuple(servers[:_SERVERS]), trust_ad=trust_ad)


def _address(text: str) -> IPAddress:
    return ipaddress.ip_address(text)


def _is_address(text: str) -> bool:
    try:
        _address(text)
    except ValueError:
        return False
    return True
