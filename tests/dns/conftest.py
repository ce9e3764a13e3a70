"""A resolver and the name server that it asks."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from support.nameserver import NameServer
from support.ports import HOST, free_offset

from mox.base.clock import FrozenClock
from mox.dns.resolvconf import ResolverSettings
from mox.dns.resolver import DnsResolver


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    found = NameServer()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    # One number for UDP and TCP: of those that the kernel gives to clients another may have it.
    sock.bind((HOST, free_offset([0])))
    sock.setblocking(False)
    found.port = sock.getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: found, sock=sock)
    stream = await asyncio.start_server(found.stream, HOST, found.port)
    yield found
    for task in list(found.held):
        task.cancel()
    stream.close()
    await stream.wait_closed()
    transport.close()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def resolver(server: NameServer, clock: FrozenClock) -> AsyncIterator[DnsResolver]:
    settings = ResolverSettings(servers=(HOST,), port=server.port)
    found = DnsResolver(settings, clock=clock, timeout_s=2.0, try_timeout_s=1.0)
    yield found
    await found.close()
