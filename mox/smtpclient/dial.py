"""Getting a connection to a host: its addresses in order, a head start for each.

Source  RFC 5321 §5.1; RFC 8305 §5 for trying the next address beside a slow one;
        spec/smtp-client-queue.md section 5.
"""

import asyncio
import os
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from mox.base.limits import CLIENT_DIAL_STAGGER, CLIENT_TIMEOUT_DIAL
from mox.dns.name import IPAddress
from mox.smtpclient.errors import DeliveryError, NotReached
from mox.smtpclient.link import Link, LinkProtocol
from mox.smtpclient.socks import pass_through


class Dial(Protocol):
    """Who makes connections."""

    async def __call__(self, ip: IPAddress, port: int) -> Link:
        """Errors: NotReached, OSError.    Time is the caller's to limit."""
        ...


class DirectDial(msgspec.Struct, frozen=True, kw_only=True):
    """Straight to the address, from one of ours of its family where one is set."""

    local: Mapping[int, str] = {}  # by version of IP

    async def __call__(self, ip: IPAddress, port: int) -> Link:
        """As ``Dial``."""
        own = self.local.get(ip.version)
        return await _connect(str(ip), port, own)


class SocksDial(msgspec.Struct, frozen=True, kw_only=True):
    """By way of a SOCKS5 proxy."""

    host: str
    port: int

    async def __call__(self, ip: IPAddress, port: int) -> Link:
        """As ``Dial``."""
        link = await _connect(self.host, self.port, None)
        try:
            await pass_through(link, ip, port, CLIENT_TIMEOUT_DIAL)
        except BaseException:
            link.abort()
            raise
        return link


class Dialled(msgspec.Struct, frozen=True, kw_only=True):
    """A connection, and to which address."""

    link: Link
    ip: IPAddress


async def _connect(host: str, port: int, local: str | None) -> Link:
    loop = asyncio.get_running_loop()
    link = Link()
    await loop.create_connection(
        lambda: LinkProtocol(link),
        host,
        port,
        local_addr=None if local is None else (local, 0),
    )
    return link


def in_order(ips: Sequence[IPAddress], dialled: Sequence[IPAddress]) -> list[IPAddress]:
    """The order to try addresses in.    Input  dialled: earlier tries at this host, oldest first.

    The other family than the last time first, so that a server that dislikes one of our addresses
    meets another; the same address again within a family that was tried once, for greylisting.
    """
    if not dialled:
        return list(ips)
    last = dialled[-1]
    once = sum(one.version == last.version for one in dialled) == 1

    def place(ip: IPAddress) -> tuple[bool, bool]:
        return ip.version == last.version, not (once and ip == last)

    return sorted(ips, key=place)


async def dial(
    connect: Dial,
    ips: Sequence[IPAddress],
    port: int,
    *,
    timeout_s: float = CLIENT_TIMEOUT_DIAL,
    stagger_s: float = CLIENT_DIAL_STAGGER,
) -> Dialled:
    """The first address that answers; the next one is tried beside one that takes its time.

    Errors  NotReached, which names every address and what became of it.
    """
    problems: dict[IPAddress, str] = {}
    late: TimeoutError | None = None
    waiting = list(ips)
    running: dict[asyncio.Task[Link], IPAddress] = {}
    try:
        async with asyncio.timeout(timeout_s):
            while waiting or running:
                if waiting:
                    ip = waiting.pop(0)
                    running[asyncio.ensure_future(connect(ip, port))] = ip
                found = await _first(running, stagger_s if waiting else None, problems)
                if found is not None:
                    return found
    except TimeoutError as error:
        late = error
        problems.update((ip, "no answer in time") for ip in running.values())
    finally:
        await _give_up(running)
    said = "; ".join(f"{ip}: {problem}" for ip, problem in problems.items())
    public = f"cannot connect: {said}" if said else "the host has no address to connect to"
    raise NotReached(public, cause=late)


async def _first(
    running: dict[asyncio.Task[Link], IPAddress],
    wait_s: float | None,
    problems: dict[IPAddress, str],
) -> Dialled | None:
    """The first connection that comes about; None when the next address is to be tried."""
    done, _ = await asyncio.wait(running, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
    found: Dialled | None = None
    for task in done:
        ip = running[task]
        error = task.exception()
        if error is None and found is None:
            found = Dialled(link=task.result(), ip=ip)
            del running[task]
        elif isinstance(error, DeliveryError | OSError):
            problems[ip] = error.public if isinstance(error, DeliveryError) else _said(error)
            del running[task]
        elif error is not None:
            raise error
    return found


async def _give_up(running: dict[asyncio.Task[Link], IPAddress]) -> None:
    """End what is still under way; a connection that came too late is closed."""
    for task in running:
        task.cancel()
    for result in await asyncio.gather(*running, return_exceptions=True):
        if isinstance(result, Link):
            result.abort()


def _said(error: OSError) -> str:
    # asyncio's own text has the address once more.
    return (os.strerror(error.errno) if error.errno else str(error) or "failed").lower()
