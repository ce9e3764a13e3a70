"""Real sockets on loopback, with the event loop of Python and with uvloop."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
import uvloop
from support.imaphouse import PASSWORD, USER, Users

from mox.base import metrics
from mox.base.clock import SystemClock
from mox.base.ratelimit import OpenCounter, RateLimiter, Window
from mox.imapserver import connection as connection_module
from mox.imapserver.derive import derive
from mox.imapserver.server import ImapServer
from mox.imapserver.service import NO_DELAYS, ImapService, Limiter, Listener
from mox.runtime.certificate import make_self_signed
from mox.runtime.tls import CertificateFiles, ServerTLS
from mox.store.content import NewMessage
from mox.store.messages import append
from mox.store.shard import Shard, memory_shard

Main = Callable[[], Awaitable[None]]
Loop = Callable[[Main], None]
LOGIN = b"l LOGIN %b %b\r\n" % (USER.encode(), PASSWORD.encode())


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Loop:
    """Run a coroutine function on a loop of this kind, in debug mode."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(main: Main) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(10):
                await main()

        unhandled = metrics.unhandled_total()
        with asyncio.Runner(loop_factory=factory, debug=True) as runner:
            runner.run(bounded())
        assert metrics.unhandled_total() == unhandled

    return runs


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    folder = tmp_path_factory.mktemp("tls")
    made = CertificateFiles(cert_file=folder / "c.pem", key_file=folder / "k.pem")
    make_self_signed(made.cert_file, made.key_file, clock=SystemClock(), hostname="localhost")
    return made


@pytest.fixture(scope="module")
def tls(files: CertificateFiles) -> ServerTLS:
    return ServerTLS([files], hostname="localhost", strict_names=False)


@pytest.fixture(scope="module")
def client_tls(files: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(files.cert_file))


@dataclass
class Running:
    """A server that listens."""

    server: ImapServer
    shard: Shard
    port: int

    async def connect(self, **options: object) -> "Peer":
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=sock, **options)  # type: ignore[arg-type]
        return Peer(reader, writer)

    async def empty(self) -> None:
        """Wait until every session is over."""
        while len(self.server):
            await asyncio.sleep(0.005)


class Peer:
    """The client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.writer.close()

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def line(self) -> bytes:
        return await self.reader.readline()

    async def until(self, tag: bytes) -> list[bytes]:
        """Lines up to the tagged one."""
        found: list[bytes] = []
        while not found or not found[-1].startswith(tag + b" "):
            found.append(await self.line())
            assert found[-1], found
        return found

    async def rest(self) -> bytes:
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


@asynccontextmanager
async def listening(
    folder: Path,
    *,
    tls: ServerTLS | None = None,
    implicit: bool = False,
    open_limit: int = 100,
    rate: int = 100,
) -> AsyncIterator[Running]:
    clock = SystemClock()
    shard = memory_shard(folder, derive, clock=clock)
    await shard.create_account("mox")
    service = ImapService(
        accounts=shard,
        authenticator=Users(),
        clock=clock,
        limiter=Limiter(
            connections=RateLimiter(clock, Window(60, (rate, rate, rate))),
            open=OpenCounter((open_limit, open_limit, open_limit)),
            failures=RateLimiter(clock, Window(60, (10, 30, 90))),
        ),
        delays=NO_DELAYS,
    )
    listener = Listener(
        name="test",
        tls=None if tls is None else lambda: tls,
        implicit_tls=implicit,
        plaintext_auth_allowed=tls is None,
    )
    server = ImapServer(service)
    accepting = await asyncio.get_running_loop().create_server(
        server.protocol(listener),
        "127.0.0.1",
        0,
        ssl=tls.context if tls is not None and implicit else None,
    )
    try:
        yield Running(server, shard, accepting.sockets[0].getsockname()[1])
    finally:
        accepting.close()
        await server.stop(1.0)
        assert len(server) == 0
        assert len(service.limiter.open) == 0
        await shard.close()


def test_a_session_over_a_socket(run: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as running, await running.connect() as peer:
            assert (await peer.line()).startswith(b"* OK [CAPABILITY IMAP4rev2 ")
            peer.send(LOGIN)
            assert (await peer.until(b"l"))[-1].startswith(b"l OK")
            peer.send(b"a APPEND Inbox {6}\r\n")
            assert await peer.line() == b"+ \r\n"
            peer.send(b"a\r\n\r\nb\r\nb SELECT Inbox\r\n")
            assert (await peer.until(b"a"))[-1].startswith(b"a OK [APPENDUID ")
            assert b"* 1 EXISTS\r\n" in await peer.until(b"b")
            peer.send(b"c LOGOUT\r\n")
            assert await peer.rest() == b"* BYE thanks\r\nc OK logout done\r\n"

    run(main)


def test_commands_of_a_client_that_closed_its_half_are_answered(run: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as running, await running.connect() as peer:
            await peer.line()
            peer.send(b"a NOOP\r\nb CAPABILITY\r\n")
            peer.writer.write_eof()
            found = (await peer.rest()).splitlines()
            assert found[0].startswith(b"a OK")
            assert found[-1].startswith(b"b OK")

    run(main)


@pytest.mark.rfc("9051 §6.2.1")
def test_starttls(run: Loop, tmp_path: Path, tls: ServerTLS, client_tls: ssl.SSLContext) -> None:
    async def main() -> None:
        async with listening(tmp_path, tls=tls) as running, await running.connect() as peer:
            greeting = await peer.line()
            assert b" STARTTLS LOGINDISABLED]" in greeting
            peer.send(LOGIN)
            assert (await peer.line()).startswith(b"l NO [PRIVACYREQUIRED]")
            peer.send(b"a STARTTLS\r\n")
            assert (await peer.line()).startswith(b"a OK")
            await peer.writer.start_tls(client_tls, server_hostname="localhost")
            peer.send(b"b CAPABILITY\r\n")
            found = (await peer.until(b"b"))[0]
            assert b"STARTTLS" not in found
            assert b"LOGINDISABLED" not in found
            assert b"AUTH=SCRAM-SHA-256-PLUS" in found
            peer.send(b"c STARTTLS\r\n")
            assert (await peer.line()).startswith(b"c BAD")
            peer.send(LOGIN)
            assert (await peer.line()).startswith(b"l OK")
            peer.send(b"d LOGOUT\r\n")
            assert (await peer.until(b"d"))[0] == b"* BYE thanks\r\n"

    run(main)


@pytest.mark.rfc("9051 §11.3")
@pytest.mark.parametrize("together", [True, False])
def test_words_behind_starttls_are_never_taken(
    run: Loop, tmp_path: Path, tls: ServerTLS, together: bool
) -> None:
    async def main() -> None:
        async with listening(tmp_path, tls=tls) as running:
            async with await running.connect() as peer:
                await peer.line()
                if together:
                    peer.send(b"a STARTTLS\r\nb LOGIN x y\r\n")
                    assert await peer.rest() == b""
                else:
                    peer.send(b"a STARTTLS\r\n")
                    assert (await peer.line()).startswith(b"a OK")
                    peer.send(b"b LOGIN x y\r\n")  # no ClientHello
                    assert b"b " not in await peer.rest()
            await running.empty()

    run(main)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_implicit_tls_and_much_data(
    run: Loop,
    tmp_path: Path,
    tls: ServerTLS,
    files: CertificateFiles,
    version: ssl.TLSVersion,
) -> None:
    context = ssl.create_default_context(cafile=str(files.cert_file))
    context.maximum_version = version
    message = b"Subject: x\r\n\r\n" + b"0123456789abcde\r\n" * 20_000

    async def main() -> None:
        async with listening(tmp_path, tls=tls, implicit=True) as running:
            options = {"ssl": context, "server_hostname": "localhost"}
            async with await running.connect(**options) as peer:
                assert b"AUTH=SCRAM-SHA-1-PLUS" in await peer.line()
                peer.send(LOGIN)
                assert (await peer.until(b"l"))[-1].startswith(b"l OK")
                peer.send(b"a APPEND Inbox {%d+}\r\n%b\r\n" % (len(message), message))
                assert (await peer.until(b"a"))[-1].startswith(b"a OK")
                peer.send(b"b EXAMINE Inbox\r\nc FETCH 1 BODY[]\r\n")
                await peer.until(b"b")
                assert (await peer.line()).endswith(b"{%d}\r\n" % len(message))
                assert await peer.reader.readexactly(len(message)) == message
                assert (await peer.until(b"c"))[-1].startswith(b"c OK")

    run(main)


def test_a_failed_handshake_ends_the_connection(run: Loop, tmp_path: Path, tls: ServerTLS) -> None:
    async def main() -> None:
        async with listening(tmp_path, tls=tls) as running, await running.connect() as peer:
            await peer.line()
            peer.send(b"a STARTTLS\r\n")
            await peer.line()
            context = ssl.create_default_context()  # does not know our certificate
            with pytest.raises(ssl.SSLCertVerificationError):
                await peer.writer.start_tls(context, server_hostname="localhost")
            await running.empty()

    run(main)


def test_who_reads_nothing_is_dropped(
    run: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "WRITE_TIMEOUT", 0.05)

    async def main() -> None:
        async with listening(tmp_path) as running:
            account = await running.shard.account("mox")
            big = NewMessage(content=b"x" * 900_000, received_ms=0)
            await append(account, account.mailbox("Inbox"), [big])
            async with await running.connect() as peer:
                peer.send(LOGIN + b"a SELECT Inbox\r\n" + b"b FETCH 1 BODY.PEEK[]\r\n" * 10)
                await running.empty()  # though the client is still there and never read a byte
                assert not account.feeds

    run(main)


def test_who_reads_slowly_is_waited_for(
    run: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "WRITE_TIMEOUT", 0.02)

    async def main() -> None:
        async with listening(tmp_path) as running:
            account = await running.shard.account("mox")
            big = NewMessage(content=b"x" * 900_000, received_ms=0)
            await append(account, account.mailbox("Inbox"), [big])
            async with await running.connect() as peer:
                peer.send(LOGIN + b"a EXAMINE Inbox\r\nb FETCH 1 BODY.PEEK[]\r\nc LOGOUT\r\n")
                found = b""
                while piece := await peer.reader.read(20_000):
                    found += piece
                    await asyncio.sleep(0.005)
            assert found.count(b"x" * 900_000) == 1
            assert found.endswith(b"c OK logout done\r\n")

    run(main)


def test_a_client_that_vanishes_leaves_nothing_behind(run: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as running:
            account = await running.shard.account("mox")
            async with await running.connect() as peer:
                peer.send(LOGIN + b"a SELECT Inbox\r\nb IDLE\r\n")
                while not (await peer.line()).startswith(b"+"):
                    pass
                assert account.feeds
                peer.writer.transport.abort()
            await running.empty()
            assert not account.feeds
            assert not account.mailbox("Inbox").views

    run(main)


def test_idle_is_told_at_once(run: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as running, await running.connect() as peer:
            account = await running.shard.account("mox")
            peer.send(LOGIN + b"a SELECT Inbox\r\nb IDLE\r\n")
            while not (await peer.line()).startswith(b"+"):
                pass
            small = NewMessage(content=b"a: b\r\n\r\n", received_ms=0)
            await append(account, account.mailbox("Inbox"), [small])
            assert await peer.line() == b"* 1 EXISTS\r\n"
            peer.send(b"DONE\r\n")
            assert (await peer.until(b"b"))[-1].startswith(b"b OK")

    run(main)


def test_limits_of_connections(run: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path, open_limit=1, rate=3) as running:
            async with await running.connect() as first:
                assert (await first.line()).startswith(b"* OK")
                async with await running.connect() as second:
                    assert await second.rest() == (
                        b"* BYE too many open connections from your address\r\n"
                    )
            await running.empty()
            async with await running.connect() as third:
                assert (await third.line()).startswith(b"* OK")
            async with await running.connect() as fourth:
                assert (await fourth.rest()).startswith(b"* BYE too many connections ")

    run(main)


def test_stopping_says_bye_and_drops_who_does_not_go(run: Loop, tmp_path: Path) -> None:
    async def main() -> None:
        async with listening(tmp_path) as running:
            async with await running.connect() as idle, await running.connect() as slow:
                await slow.line()
                idle.send(LOGIN + b"a IDLE\r\n")
                while not (await idle.line()).startswith(b"+"):
                    pass
                began = asyncio.get_running_loop().time()
                await running.server.stop(0.1)
                assert asyncio.get_running_loop().time() - began < 1
                assert await idle.line() == b"* BYE shutting down\r\n"
            async with await running.connect() as late:
                assert await late.rest() == b"* BYE mox shutting down\r\n"

    run(main)


def test_what_we_said_last_arrives_though_the_client_goes_on_sending(
    run: Loop, tmp_path: Path
) -> None:
    async def main() -> None:
        async with listening(tmp_path) as running, await running.connect() as peer:
            await peer.line()
            peer.send(b"a LOGIN {1000000+}\r\n" + b"x" * 1_000_000)
            assert (await peer.line()).startswith(b"* BYE [ALERT]")
            assert (await peer.line()).startswith(b"a BAD [TOOBIG]")
            assert await peer.rest() == b""

    run(main)
