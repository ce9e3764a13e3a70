"""A small HTTPS client: one GET, bounded in size and time, no redirects.    The client door to aiohttp.

For MTA-STS policies; addresses are looked up by our own resolver, and those that are not public are
refused: a stranger's domain must not make us talk to machines behind our firewall.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import aiohttp
import msgspec
from aiohttp.abc import AbstractResolver, ResolveResult

from mox.base.errors import Unavailable
from mox.base.version import mox_version

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str], Awaitable[Sequence[IPAddress]]]
"""Addresses of a host.    Errors: any Unavailable or Refused."""


class Trouble(StrEnum):
    """Which step failed."""

    NAME = "name"
    CONNECT = "connect"
    TLS = "tls"
    HTTP = "http"
    SIZE = "size"
    TIME = "time"


class FetchFailed(Unavailable):
    """There is no answer that can be used.    ``trouble``: why."""

    default = "fetch failed"

    def __init__(
        self, trouble: Trouble, public: str, *, cause: BaseException | None = None
    ) -> None:
        super().__init__(public, cause=cause)
        self.trouble = trouble


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """An answer."""

    status: int
    body: bytes


_CHUNK: Final = 16 * 1024  # bytes


class Fetcher:
    """Makes requests; nothing is kept between them."""

    def __init__(
        self,
        lookup: Lookup,
        context: ssl.SSLContext,
        *,
        allow_private: bool = False,
        ports: dict[str, int] | None = None,
    ) -> None:
        """Input  context: whom to trust.  allow_private, ports (by host, instead of 443): for tests."""
        self._lookup = lookup
        self._context = context
        self._allow_private = allow_private
        self._ports = ports or {}

    async def get(self, url: str, *, max_bytes: int, timeout_s: float) -> Fetched:
        """GET an https URL.    Errors: FetchFailed; other statuses than 200 are no error."""
        parts = urlsplit(url)
        assert parts.scheme == "https"
        port = self._ports.get(parts.hostname or "")
        if port is not None:
            url = parts._replace(netloc=f"{parts.hostname}:{port}").geturl()
        try:
            async with asyncio.timeout(timeout_s):
                return await self._get(url, max_bytes)
        except TimeoutError as error:
            raise FetchFailed(Trouble.TIME, "the server took too long", cause=error) from error

    async def _get(self, url: str, max_bytes: int) -> Fetched:
        connector = aiohttp.TCPConnector(
            resolver=_Resolver(self._lookup, allow_private=self._allow_private),
            ssl=self._context,
            force_close=True,
        )
        headers = {"User-Agent": f"mox/{mox_version()}", "Accept-Encoding": "identity"}
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    headers=headers,
                    timeout=aiohttp.ClientTimeout(total=None),
                    trust_env=False,
                ) as session,
                session.get(url, allow_redirects=False) as response,
            ):
                body = bytearray()
                async for chunk in response.content.iter_chunked(_CHUNK):
                    body += chunk
                    if len(body) > max_bytes:
                        raise FetchFailed(Trouble.SIZE, f"answer of over {max_bytes} bytes")
                return Fetched(status=response.status, body=bytes(body))
        except aiohttp.ClientError as error:
            raise FetchFailed(_trouble(error), _said(error), cause=error) from error


class _Resolver(AbstractResolver):
    """aiohttp asks our resolver."""

    def __init__(self, lookup: Lookup, *, allow_private: bool) -> None:
        self._lookup = lookup
        self._allow_private = allow_private

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Addresses, as aiohttp wants them.    Errors: OSError."""
        try:
            found = await self._lookup(host)
        except Exception as error:
            raise _NameFailed(str(error)) from error
        usable = [ip for ip in found if self._allow_private or ip.is_global]
        if not usable:
            raise _NameFailed("the host has no public address")
        return [
            ResolveResult(
                hostname=host,
                host=str(ip),
                port=port,
                family=socket.AF_INET if ip.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in usable
        ]

    async def close(self) -> None:
        """Nothing is held."""


class _NameFailed(OSError):
    """aiohttp passes it on as a ClientConnectorError."""


def _trouble(error: aiohttp.ClientError) -> Trouble:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Trouble.NAME
    if isinstance(error, aiohttp.ClientSSLError):
        return Trouble.TLS
    if isinstance(error, aiohttp.ClientConnectionError):
        return Trouble.CONNECT
    return Trouble.HTTP


def _said(error: aiohttp.ClientError) -> str:
    """A reason in a few words; the library's own texts hold addresses and certificates."""
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    if isinstance(inner, ssl.SSLCertVerificationError):
        return f"certificate: {inner.verify_message}"
    if isinstance(inner, _NameFailed):
        return str(inner)
    if isinstance(inner, ssl.SSLError):
        return f"TLS: {inner.reason or 'failed'}"
    if isinstance(inner, OSError):
        return inner.strerror or "cannot connect"
    return type(error).__name__
