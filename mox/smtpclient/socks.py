"""Connections through a SOCKS5 proxy.    RFC 1928, no authentication, addresses only."""

import ipaddress
from typing import Final

from mox.dns.name import IPAddress
from mox.smtpclient.errors import NotReached
from mox.smtpclient.link import Link

_VERSION: Final = 5
_NO_LOGIN: Final = 0
_CONNECT: Final = 1
_V4: Final = 1
_NAME: Final = 3
_V6: Final = 4
# RFC 1928 §6
_REPLIES: Final = {
    1: "general failure",
    2: "not allowed",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "timed out",
    7: "command not supported",
    8: "address type not supported",
}


def greeting() -> bytes:
    """We can do without a login."""
    return bytes((_VERSION, 1, _NO_LOGIN))


def request(ip: IPAddress, port: int) -> bytes:
    """Connect to an address."""
    kind = _V4 if ip.version == 4 else _V6
    return bytes((_VERSION, _CONNECT, 0, kind)) + ip.packed + port.to_bytes(2, "big")


async def pass_through(link: Link, ip: IPAddress, port: int, timeout_s: float) -> None:
    """Have a proxy, which the link leads to, connect it to an address.

    Errors  NotReached; LinkLost.
    """
    await link.write(greeting(), timeout_s)
    if await link.read_exactly(2, timeout_s) != bytes((_VERSION, _NO_LOGIN)):
        raise NotReached("the SOCKS proxy wants a login, or is none")
    await link.write(request(ip, port), timeout_s)
    version, code, _, kind = await link.read_exactly(4, timeout_s)
    if version != _VERSION:
        raise NotReached("not a SOCKS5 proxy")
    if code:
        raise NotReached(f"SOCKS proxy: {_REPLIES.get(code, f'error {code}')}")
    rest = {_V4: 4, _V6: 16}.get(kind)
    if kind == _NAME:
        rest = (await link.read_exactly(1, timeout_s))[0]
    if rest is None:
        raise NotReached("SOCKS proxy: bad reply")
    # The address it connects from is of no use to us.
    await link.read_exactly(rest + 2, timeout_s)


def parse_proxy(text: str) -> tuple[str, int]:
    """``host:port``, an IPv6 address in brackets.    Errors: ValueError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError("expected host:port")
    if host.startswith("[") and host.endswith("]"):
        host = str(ipaddress.IPv6Address(host[1:-1]))
    if not host:
        raise ValueError("expected host:port")
    return host, int(port)
