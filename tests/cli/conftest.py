"""A configuration folder and, where asked for, something that answers on its control socket."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import pytest

from mox.base.errors import Refused
from mox.ctl import commands
from mox.ctl.commands import Nothing
from mox.ctl.server import Call, ControlServer, Handlers

STATIC = """\
data_dir = "data"
log_level = "info"
hostname = "mail.example.org"
[postmaster]
account = "me"
mailbox = "Postmaster"
[listeners.local]
ips = ["127.0.0.1"]
[listeners.local.imap]
enabled = true
port = 1143
no_require_starttls = true
"""
DOMAINS = """\
[domains."example.org"]
[accounts.me]
domain = "example.org"
[accounts.me.destinations."me@example.org"]
"""


ALIAS = commands.AliasLine(
    alias="all@b.c",
    addresses=("a@b.c", "x@b.c"),
    post_public=True,
    list_members=False,
    allow_msg_from=False,
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with config/mox.toml, config/domains.toml and config/data."""
    (tmp_path / "config" / "data").mkdir(parents=True)
    (tmp_path / "config" / "mox.toml").write_text(STATIC)
    (tmp_path / "config" / "domains.toml").write_text(DOMAINS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOX_CONFIG", raising=False)
    return tmp_path


class Recorded:
    """What the commands asked for."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def handlers(self) -> Handlers:
        handlers = Handlers()
        results: list[tuple[Any, Any]] = [
            (commands.STOP, commands.Stopping()),
            (
                commands.LOG_LEVELS,
                commands.LogLevels(levels={"(default)": "info", "store": "debug"}),
            ),
            (commands.LOG_LEVEL_SET, Nothing()),
            (commands.PASSWORD_SET, Nothing()),
            (
                commands.ACCOUNT_LIST,
                commands.AccountList(
                    accounts=(
                        commands.AccountLine(account="me", login_disabled=""),
                        commands.AccountLine(account="old", login_disabled="gone"),
                    )
                ),
            ),
            (commands.ACCOUNT_ADDRESSES, commands.Addresses(addresses=("a@b.c", "@b.c"))),
            (commands.ACCOUNT_ADD, Nothing()),
            (commands.ACCOUNT_RM, Nothing()),
            (commands.ACCOUNT_DISABLE, Nothing()),
            (commands.ACCOUNT_ENABLE, Nothing()),
            (commands.ADDRESS_ADD, Nothing()),
            (commands.ADDRESS_ACCOUNT, commands.AddressTarget(account="me", mailbox="Inbox")),
            (
                commands.DOMAIN_LIST,
                commands.DomainList(
                    domains=(
                        commands.DomainLine(domain="b.c", disabled=False),
                        commands.DomainLine(domain="ü.c", disabled=True),
                    )
                ),
            ),
            (commands.ALIAS_LIST, commands.AliasList(aliases=(ALIAS,))),
            (commands.ALIAS_PRINT, ALIAS),
            (commands.ALIAS_ADD, Nothing()),
            (commands.ALIAS_UPDATE, Nothing()),
            (commands.ALIAS_RM, Nothing()),
            (commands.ALIAS_ADDADDR, Nothing()),
            (commands.ALIAS_RMADDR, Nothing()),
            (commands.DOMAIN_ADD, Nothing()),
            (commands.DOMAIN_RM, Nothing()),
            (commands.DOMAIN_DISABLE, Nothing()),
            (commands.DOMAIN_ENABLE, Nothing()),
        ]
        for command, result in results:
            handlers.on(command, self._handler(result))
        handlers.on(commands.DELIVER, self._deliver)
        handlers.on(commands.ADDRESS_RM, self._refuse)
        return handlers

    def _handler(self, result: Any) -> Any:
        async def handle(arguments: Any, _call: Call) -> Any:
            self.asked.append(arguments)
            return result

        return handle

    async def _deliver(self, arguments: commands.Deliver, call: Call) -> commands.Delivered:
        body = b"".join([piece async for piece in call.body()])
        self.asked.append((arguments, body))
        return commands.Delivered(account="me", mailbox="Inbox")

    async def _refuse(self, arguments: commands.Address, _call: Call) -> Nothing:
        raise Refused(f"{arguments.address}: address not found")


class House(Protocol):
    """Whoever answers."""

    def handlers(self) -> Handlers: ...


@contextmanager
def served(recorded: House, folder: Path) -> Iterator[None]:
    """A control server in a thread of its own, since the command line blocks."""
    started, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        server = ControlServer(folder, recorded.handlers())
        await server.start()
        started.set()
        await end.wait()
        await server.stop()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(5)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(5)
        loop.close()


@pytest.fixture
def server(folder: Path) -> Iterator[Recorded]:
    """A server that writes down what it is asked."""
    recorded = Recorded()
    with served(recorded, folder / "config" / "data"):
        yield recorded


@pytest.fixture
def answering(folder: Path) -> Callable[[House], AbstractContextManager[None]]:
    """Somebody's own handlers, for a while."""
    return lambda house: served(house, folder / "config" / "data")
