"""Real processes on loopback: one server of each kind for the tests that can share it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers import Dovecot, Mox, Server

_names = itertools.count(1)


class Running:
    """Servers that are started when first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, Server] = {}
        self._failed: dict[str, str] = {}

    def get(self, name: str) -> Server:
        """mox or dovecot, running.   A server that once failed to start is not tried again."""
        if name in self._failed:
            pytest.fail(self._failed[name])
        if name not in self._servers:
            kinds: dict[str, type[Server]] = {"mox": Mox, "dovecot": Dovecot}
            server = kinds[name](self._folder / name)
            try:
                server.start()
            except (RuntimeError, OSError) as e:
                self._failed[name] = f"{name} does not start: {e}"
                pytest.fail(self._failed[name])
            self._servers[name] = server
        return self._servers[name]

    def end(self) -> None:
        """Stop them all."""
        for server in self._servers.values():
            server.end()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    servers = Running(tmp_path_factory.mktemp("servers"))
    yield servers
    servers.end()


@pytest.fixture
def mox(running: Running) -> Mox:
    """Our server, shared: use a mailbox of your own."""
    server = running.get("mox")
    assert isinstance(server, Mox)
    return server


@pytest.fixture(params=["mox", "dovecot"])
def imap_server(request: pytest.FixtureRequest, running: Running) -> Server:
    """Ours and Dovecot in turn: a test that Dovecot fails judges nobody."""
    return running.get(str(request.param))


@pytest.fixture
def mailbox(imap_server: Server) -> str:
    """A new empty mailbox."""
    name = f"Box{next(_names)}"
    with imap_server.imap() as client:
        client.ok(f"CREATE {name}".encode())
    return name
