"""A resolver and the name server that it asks."""

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
from support.nameserver import NameServer

from mox.base.clock import FrozenClock
from mox.dns.resolvconf import ResolverSettings
from mox.dns.resolver import DnsResolver


@pytest.fixture
async def server() -> AsyncIterator[NameServer]:
    found = NameServer()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    found.port = sock.getsockname()[1]
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: found, sock=sock)
    stream = await asyncio.start_server(found.stream, "127.0.0.1", found.port)
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
    settings = ResolverSettings(servers=("127.0.0.1",), port=server.port)
    found = DnsResolver(settings, clock=clock, timeout_s=2.0, try_timeout_s=1.0)
    yield found
    await found.close()
