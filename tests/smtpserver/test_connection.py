"""Real sockets on loopback, with the event loop of Python and with uvloop."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from unittest import mock

import pytest
import uvloop
from support.smtpsession import FakeEvidence, FakeJudging, House

from mox.base import metrics
from mox.base.clock import SystemClock
from mox.inbound.deliver import Delivery
from mox.inbound.judged import Hearing, Outcome
from mox.runtime.certificate import make_self_signed
from mox.runtime.tls import CertificateFiles, ServerTLS
from mox.sasl.client import ScramClient
from mox.sasl.secretset import SecretSet
from mox.smtpserver import connection as connection_module
from mox.smtpserver.connection import failure_reason
from mox.smtpserver.server import SmtpServer
from mox.smtpserver.wire import ConnectionLost, TimedOut

Loop = Callable[[Callable[[], Awaitable[None]]], None]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Loop:
    """Run a coroutine function on a loop of this kind, in debug mode."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else asyncio.new_event_loop

    def runs(main: Callable[[], Awaitable[None]]) -> None:
        async def bounded() -> None:
            async with asyncio.timeout(90):
                await main()

        unhandled = metrics.unhandled_total()
        with asyncio.Runner(loop_factory=factory, debug=True) as runner:
            runner.run(bounded())
        assert metrics.unhandled_total() == unhandled

    return runs


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateFiles:
    folder = tmp_path_factory.mktemp("tls")
    files = CertificateFiles(cert_file=folder / "c.pem", key_file=folder / "k.pem")
    make_self_signed(files.cert_file, files.key_file, clock=SystemClock(), hostname="localhost")
    return files


@pytest.fixture(scope="session")
def tls(certificate: CertificateFiles) -> ServerTLS:
    return ServerTLS([certificate], hostname="localhost", strict_names=False)


@pytest.fixture(scope="session")
def client_tls(certificate: CertificateFiles) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate.cert_file))


@pytest.fixture
def house(tmp_path: Path, secrets_of_mox: SecretSet) -> House:
    return House(tmp_path, secrets_of_mox)


class Peer:
    """A client over a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def reply(self) -> bytes:
        """All lines of one reply."""
        lines = b""
        while True:
            line = await self.reader.readline()
            lines += line
            if line[3:4] != b"-":
                return lines

    async def say(self, line: bytes, expected: bytes) -> bytes:
        self.writer.write(line + b"\r\n")
        reply = await self.reply()
        assert reply.startswith(expected), reply
        return reply

    async def start_tls(self, context: ssl.SSLContext) -> None:
        await self.writer.start_tls(context, server_hostname="localhost")

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            assert self.writer.is_closing()


class Listening:
    """A server on a free port of loopback."""

    def __init__(self, house: House, **changes: object) -> None:
        self.server = SmtpServer(house.service(**changes))
        self.port = 0
        self._listener: asyncio.Server | None = None

    async def start(self, context: ssl.SSLContext | None = None) -> None:
        loop = asyncio.get_running_loop()
        factory = self.server.protocol(implicit_tls=context is not None)
        self._listener = await loop.create_server(factory, "127.0.0.1", 0, ssl=context)
        bound = self._listener.sockets[0]
        # Connections inherit it: whoever does not read is noticed soon.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        self.port = bound.getsockname()[1]

    async def stop(self, grace_s: float = 1.0) -> None:
        assert self._listener is not None
        self._listener.close()
        await self.server.stop(grace_s)
        await self._listener.wait_closed()
        assert len(self.server) == 0

    async def connect(self, context: ssl.SSLContext | None = None) -> Peer:
        peer = Peer(
            *await asyncio.open_connection(
                "127.0.0.1",
                self.port,
                ssl=context,
                server_hostname="localhost" if context else None,
            )
        )
        assert (await peer.reply()).startswith(b"220 ")
        return peer


def test_a_message_over_tcp(run: Loop, house: House) -> None:
    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        peer = await listening.connect()
        await peer.say(b"EHLO client.example", b"250-")
        peer.writer.write(b"MAIL FROM:<a@remote.example>\r\nRCPT TO:<mox@example.org>\r\nDATA\r\n")
        for code in (b"250", b"250", b"354"):
            assert (await peer.reply()).startswith(code)
        await peer.say(b"Subject: x\r\n\r\nbody\r\n.", b"250 2.2.0")
        await peer.say(b"QUIT", b"221 2.0.0")
        assert await peer.reader.read() == b""
        await peer.close()
        await listening.stop()

    run(main)
    assert house.store.messages[0][2].content == b"Subject: x\r\n\r\nbody\r\n"


@pytest.mark.rfc("3207 §4")
def test_starttls_and_a_login_bound_to_the_channel(
    run: Loop, house: House, tls: ServerTLS, client_tls: ssl.SSLContext
) -> None:
    async def main() -> None:
        listening = Listening(house, submission=True, tls=tls, tls_required_auth=True)
        await listening.start()
        peer = await listening.connect()
        assert b"\r\n250-AUTH \r\n" in await peer.say(b"EHLO x", b"250-")
        await peer.say(b"STARTTLS", b"220 2.0.0")
        await peer.start_tls(client_tls)
        await peer.say(b"MAIL FROM:<>", b"503 5.5.1")
        after = await peer.say(b"EHLO x", b"250-")
        assert b"STARTTLS" not in after
        assert b"SCRAM-SHA-256-PLUS" in after

        connection = peer.writer.get_extra_info("ssl_object")
        certificate = connection.getpeercert(binary_form=True)
        import hashlib

        scram = ScramClient(
            "sha256",
            "mox@example.org",
            "moxmoxmox",
            gs2="p=tls-server-end-point,,",
            channel=hashlib.sha256(certificate).digest(),
        )
        from base64 import b64decode, b64encode

        reply = await peer.say(b"AUTH SCRAM-SHA-256-PLUS " + b64encode(scram.first()), b"334 ")
        reply = await peer.say(b64encode(scram.final(b64decode(reply[4:]))), b"334 ")
        scram.check(b64decode(reply[4:]))
        await peer.say(b"", b"235 2.7.0")
        await peer.close()
        await listening.stop()

    run(main)


def test_tls_from_the_start_and_a_large_message(
    run: Loop, house: House, tls: ServerTLS, client_tls: ssl.SSLContext
) -> None:
    body = b"0123456789abcdef0123456789abcdef0123456789abcdef012345678901\r\n" * 50_000

    async def main() -> None:
        listening = Listening(house, tls=tls)
        await listening.start(tls.context)
        peer = await listening.connect(client_tls)
        assert b"STARTTLS" not in await peer.say(b"EHLO client.example", b"250-")
        await peer.say(b"STARTTLS", b"503 5.5.1")
        await peer.say(b"MAIL FROM:<a@remote.example>", b"250")
        await peer.say(b"RCPT TO:<mox@example.org>", b"250")
        await peer.say(b"DATA", b"354")
        peer.writer.write(b"Subject: x\r\n\r\n" + body)
        await peer.writer.drain()
        await peer.say(b".", b"250 2.2.0")
        await peer.close()
        await listening.stop()

    run(main)
    message = house.store.messages[0][2]
    assert message.content == b"Subject: x\r\n\r\n" + body
    assert b"with ESMTPS id id1 (TLS1.3 TLS_" in message.prefix


@pytest.mark.rfc("3207 §6")
def test_bytes_in_clear_after_starttls_end_the_connection(
    run: Loop, house: House, tls: ServerTLS
) -> None:
    async def main() -> None:
        listening = Listening(house, tls=tls)
        await listening.start()
        peer = await listening.connect()
        await peer.say(b"EHLO client.example", b"250-")
        peer.writer.write(b"STARTTLS\r\nEHLO injected.example\r\n")
        assert await peer.reader.read() == b""
        await peer.close()
        await listening.stop()

    run(main)


def test_a_failed_handshake_ends_the_connection(run: Loop, house: House, tls: ServerTLS) -> None:
    async def main() -> None:
        listening = Listening(house, tls=tls)
        await listening.start()
        peer = await listening.connect()
        await peer.say(b"EHLO client.example", b"250-")
        await peer.say(b"STARTTLS", b"220 ")
        peer.writer.write(b"EHLO this is no handshake\r\n")
        try:
            left = await peer.reader.read()
        except ConnectionError:
            left = b""
        assert not left.startswith(b"250")
        await peer.close()
        await listening.stop()

    run(main)


def test_a_client_that_vanishes_at_any_moment_leaves_nothing_behind(
    run: Loop, house: House, tls: ServerTLS
) -> None:
    async def main() -> None:
        listening = Listening(house, tls=tls)
        await listening.start()
        said = b"EHLO client.example\r\nSTARTTLS\r\n"
        for length in (0, 5, 21, len(said)):
            for waits in (0.0, 0.01):
                peer = await listening.connect()
                peer.writer.write(said[:length])
                await asyncio.sleep(waits)
                # A reset instead of an orderly end.
                sock = peer.writer.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                peer.writer.transport.abort()
        while len(listening.server):
            await asyncio.sleep(0.01)
        await listening.stop()

    run(main)
    assert len(house.open_connections) == 0


def test_the_last_reply_arrives_although_the_client_is_still_sending(
    run: Loop, house: House
) -> None:
    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        peer = await listening.connect()
        peer.writer.write(b"x" * 2_000_000)
        assert (await peer.reader.readline()).startswith(b"500 5.5.2 line too long")
        assert await peer.reader.read() == b""
        await peer.close()
        await listening.stop()

    run(main)


def test_a_client_that_has_said_all_gets_all_replies(run: Loop, house: House) -> None:
    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        peer = await listening.connect()
        peer.writer.write(b"NOOP\r\nNOOP\r\nQUIT\r\n")
        peer.writer.write_eof()
        assert (await peer.reader.read()).count(b"\r\n") == 3
        await peer.close()
        await listening.stop()

    run(main)


def test_who_said_quit_is_not_waited_for(
    run: Loop, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "SMTP_LINGER", 3600.0)

    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        peer = await listening.connect()
        peer.writer.write(b"QUIT\r\n")
        assert (await peer.reply()).startswith(b"221 ")
        assert await peer.reader.read() == b""
        async with asyncio.timeout(5):
            while len(listening.server):
                await asyncio.sleep(0.01)
        await peer.close()
        await listening.stop()

    run(main)


class Patient(FakeEvidence):
    """Judges until the client is gone."""

    lost: bool | None = None

    async def deliver(self, delivery: Delivery, hearing: Hearing) -> list[Outcome]:
        self.told.append("waits")
        while not hearing.client.over:
            await asyncio.sleep(0.01)
        self.lost = hearing.client.lost
        return await super().deliver(delivery, hearing)


class PatientJudging(FakeJudging):
    evidence: Patient

    def connected(self, remote_ip: str, *, tls: bool) -> FakeEvidence:
        self.evidence = Patient(passes=True, notifies=False)
        return self.evidence


@pytest.mark.parametrize("how", ["close", "reset", "tls"])
def test_a_client_that_leaves_while_it_should_wait_is_noticed(
    run: Loop, house: House, tls: ServerTLS, client_tls: ssl.SSLContext, how: str
) -> None:
    judging = PatientJudging()

    async def main() -> None:
        listening = Listening(house, judging=judging)
        secure = how == "tls"
        await listening.start(tls.context if secure else None)
        peer = await listening.connect(client_tls if secure else None)
        await peer.say(b"EHLO client.example", b"250-")
        await peer.say(b"MAIL FROM:<friend@remote.example>", b"250 ")
        await peer.say(b"RCPT TO:<mox@example.org>", b"250 ")
        await peer.say(b"DATA", b"354 ")
        peer.writer.write(b"Subject: x\r\n\r\nhi\r\n.\r\n")
        while "waits" not in judging.evidence.told:
            await asyncio.sleep(0.01)
        if how == "reset":
            sock = peer.writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            peer.writer.transport.abort()
        await peer.close()
        while judging.evidence.lost is None:
            await asyncio.sleep(0.01)
        if how == "reset":
            assert judging.evidence.lost
        await listening.stop()

    run(main)


def test_a_client_that_does_not_read_is_waited_for_and_dropped(
    run: Loop, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "WRITE_TIMEOUT", 0.2)

    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        loop = asyncio.get_running_loop()
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            await loop.sock_connect(sock, ("127.0.0.1", listening.port))
            gone = False
            while not gone:
                try:
                    async with asyncio.timeout(60):
                        await loop.sock_sendall(sock, b"EHLO a.b\r\n" * 2000)
                except ConnectionError:
                    gone = True
        while len(listening.server):
            await asyncio.sleep(0.01)
        await listening.stop()

    run(main)


def test_stopping_tells_idle_clients_and_refuses_new_ones(run: Loop, house: House) -> None:
    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        idle = await listening.connect()
        await listening.stop()
        assert (await idle.reader.read()).startswith(b"421 4.3.2 shutting down")
        await idle.close()

    run(main)


def test_stopping_cuts_off_what_takes_too_long(run: Loop, house: House) -> None:
    async def main() -> None:
        listening = Listening(house)
        await listening.start()
        peer = await listening.connect()
        await peer.say(b"EHLO client.example", b"250-")
        await peer.say(b"MAIL FROM:<a@remote.example>", b"250")
        await peer.say(b"RCPT TO:<mox@example.org>", b"250")
        await peer.say(b"DATA", b"354")
        await listening.stop(grace_s=0.05)
        await peer.close()

    run(main)
    assert list(house.spool_folder.iterdir()) == []
    assert len(house.open_connections) == 0


def test_reasons_of_failed_handshakes() -> None:
    def tls_error(reason: str) -> ssl.SSLError:
        error = ssl.SSLError()
        error.reason = reason
        return error

    assert failure_reason(tls_error("WRONG_VERSION_NUMBER")) == "nottls"
    assert failure_reason(tls_error("UNSUPPORTED_PROTOCOL")) == "unsupportedversions"
    assert failure_reason(tls_error("SOMETHING")) == "other"
    assert failure_reason(ConnectionResetError()) == "eof"
    assert failure_reason(TimeoutError()) == "other"


@pytest.mark.rfc("2033 §3")
def test_lmtp_over_a_unix_socket(run: Loop, house: House, tmp_path: Path) -> None:
    async def main() -> None:
        path = tmp_path / "lmtp"
        for allowed in (True, False):
            peers = frozenset({os.geteuid() + (not allowed)})
            server = SmtpServer(house.service(lmtp=True, peers=peers))
            loop = asyncio.get_running_loop()
            listener = await loop.create_unix_server(server.protocol(), path)
            peer = Peer(*await asyncio.open_unix_connection(path))
            if allowed:
                assert await peer.reply() == b"220 mail.example.org LMTP mox\r\n"
                await peer.say(b"LHLO mx.example", b"250")
                await peer.say(b"MAIL FROM:<>", b"250")
                await peer.say(b"RCPT TO:<mox@example.org>", b"250")
                await peer.say(b"RCPT TO:<other@example.org>", b"250")
                await peer.say(b"BDAT 14 LAST\r\nSubject: x\r\n", b"250")
                assert (await peer.reply()).startswith(b"250 2.2.0")
            else:
                assert (await peer.reply()).startswith(b"554 5.7.1")
                assert await peer.reader.read() == b""
            await peer.close()
            listener.close()
            await server.stop()
            await listener.wait_closed()
            path.unlink(missing_ok=True)
        assert len(house.store.messages) == 2
        assert b"from mx.example ([127.0.0.1])" in house.store.messages[0][2].prefix

    run(main)


class StillLoop:
    """The clock and the timers of a loop, moved by a test."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, at: float, call: Callable[[], None]) -> Timer:
        self.timers.append(Timer(at, call))
        return self.timers[-1]

    def create_future(self) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while due := [timer for timer in self.timers if timer.is_set and timer.at <= self.now]:
            due[0].is_set = False
            due[0].call()


class Timer:
    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.is_set = True

    def cancel(self) -> None:
        self.is_set = False


def _still() -> tuple[connection_module.Connection, StillLoop]:
    transport = mock.Mock()
    transport.get_extra_info.return_value = None
    made, loop = connection_module.Connection(transport, None), StillLoop()
    made._loop = loop  # type: ignore[assignment]
    return made, loop


async def test_each_wait_has_its_whole_time_and_they_share_a_timer() -> None:
    connection, loop = _still()
    for _ in range(100):
        waiting = asyncio.ensure_future(connection.receive(10.0, idle=True))
        await asyncio.sleep(0)
        loop.advance(1.0)
        assert not waiting.done()
        connection.received(b"x")
        assert await waiting == b"x"
    assert len(loop.timers) <= 15
    waiting = asyncio.ensure_future(connection.receive(10.0, idle=True))
    await asyncio.sleep(0)
    loop.advance(9.9)
    await asyncio.sleep(0)
    assert not waiting.done()
    loop.advance(0.2)
    with pytest.raises(TimedOut):
        await waiting


async def test_a_shorter_limit_holds_after_a_longer_one() -> None:
    connection, loop = _still()
    for limit, passes in ((300.0, 1.0), (5.0, 4.0), (300.0, 200.0)):
        waiting = asyncio.ensure_future(connection.receive(limit, idle=False))
        await asyncio.sleep(0)
        loop.advance(passes)
        connection.received(b"x")
        assert await waiting == b"x"
    waiting = asyncio.ensure_future(connection.receive(5.0, idle=False))
    await asyncio.sleep(0)
    loop.advance(5.0)
    with pytest.raises(TimedOut):
        await waiting


async def test_no_timer_is_left_when_a_connection_is_gone() -> None:
    connection, loop = _still()
    waiting = asyncio.ensure_future(connection.receive(10.0, idle=True))
    await asyncio.sleep(0)
    connection.was_lost()
    with pytest.raises(ConnectionLost):
        await waiting
    assert not any(timer.is_set for timer in loop.timers)
