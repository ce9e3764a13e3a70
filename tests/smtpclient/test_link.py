"""Real connections on loopback: lines, TLS, ends, and peers that misbehave."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

import pytest
from support.certificates import Made

from mox.base.limits import CLIENT_INPUT, CLIENT_REPLY_LINE
from mox.smtpclient.dial import Dial, Dialled, DirectDial, SocksDial, dial, in_order
from mox.smtpclient.errors import LinkLost, NotReached, ProtocolBroken, TlsUnavailable
from mox.smtpclient.link import Link
from mox.smtpclient.secure import binding_of, make_context
from mox.smtpclient.socks import parse_proxy

WAIT = 30.0
ROOT = Made("root", is_ca=True)
LEAF = Made("leaf", ROOT, names=("mx.example.org",))
LOOPBACK = ip_address("127.0.0.1")
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(serve: Serve) -> AsyncIterator[int]:
    """A server on a free port; its handlers are ended and awaited."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left; what it saw is what the test is about
        finally:
            writer.transport.abort()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listening.wait_closed()


@asynccontextmanager
async def connected(port: int, through: Dial | None = None) -> AsyncIterator[Link]:
    found = await dial(through or DirectDial(), [LOOPBACK], port)
    try:
        yield found.link
    finally:
        await found.link.close()


@pytest.fixture
def server_context(tmp_path: Path) -> ssl.SSLContext:
    path = tmp_path / "server.pem"
    path.write_bytes(LEAF.pem + ROOT.pem.partition(b"-----END PRIVATE KEY-----\n")[2])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


async def test_lines_and_the_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hel")
        await writer.drain()
        writer.write(b"lo\r\n")
        assert await reader.readline() == b"QUIT\r\n"
        writer.write(b"221 one\n221 two")
        await writer.drain()

    async with server(serve) as port, connected(port) as link:
        assert await link.read_line(WAIT) == b"220 hello"
        assert not link.has_input
        await link.write(b"QUIT\r\n", WAIT)
        assert await link.read_line(WAIT) == b"221 one"
        with pytest.raises(LinkLost):
            await link.read_line(WAIT)
        assert link.is_lost
        assert (link.remote_ip, link.tls) == ("127.0.0.1", None)


async def test_a_server_that_says_nothing() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with server(serve) as port, connected(port) as link:
        with pytest.raises(LinkLost, match="in time"):
            await link.read_line(0.05)


@pytest.mark.parametrize(
    "said",
    [b"2" * (CLIENT_REPLY_LINE + 2), b"2" * (CLIENT_REPLY_LINE + 1) + b"\r\n"],
    ids=["endless", "overlong"],
)
async def test_a_line_without_end(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        await reader.read()

    async with server(serve) as port, connected(port) as link:
        with pytest.raises(ProtocolBroken):
            await link.read_line(WAIT)


async def test_a_server_that_talks_without_end_is_left() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"250-more\r\n" * 1000)
            await writer.drain()

    async with server(serve) as port, connected(port) as link:
        while not link.is_lost:
            await asyncio.sleep(0.01)
        with pytest.raises(ProtocolBroken, match="without end"):
            await link.write(b"NOOP\r\n", WAIT)
        assert len(link._input) < 2 * CLIENT_INPUT  # noqa: SLF001  what is held of it


async def test_a_server_that_does_not_read() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async with server(serve) as port, connected(port) as link:
        # More than any socket buffer holds.
        with pytest.raises(LinkLost, match="does not read"):
            await link.write(b"x" * 20_000_000, 0.1)


async def test_tls_and_its_chain(server_context: ssl.SSLContext) -> None:
    names: list[str | None] = []
    server_context.sni_callback = lambda _socket, name, _context: names.append(name)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 go\r\n")
        await writer.start_tls(server_context)
        writer.write(b"250 " + await reader.readline())
        await reader.read()

    async with server(serve) as port, connected(port) as link:
        assert await link.read_line(WAIT) == b"220 go"
        state = await link.start_tls(make_context(), "mx.example.org")
        assert state.chain == (LEAF.der, ROOT.der)
        assert (state.version, link.tls) == ("TLSv1.3", state)
        assert names == ["mx.example.org"]
        await link.write(b"hello\r\n", WAIT)
        assert await link.read_line(WAIT) == b"250 hello"
        binding = binding_of(state)
        assert binding is not None
        assert len(binding) == 32
    assert binding_of(None) is None


@pytest.mark.rfc("3207 §5")
async def test_what_is_said_before_the_handshake_is_an_attack(
    server_context: ssl.SSLContext,
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 go\r\n250 injected\r\n")
        await reader.read()

    async with server(serve) as port, connected(port) as link:
        assert await link.read_line(WAIT) == b"220 go"
        with pytest.raises(ProtocolBroken):
            await link.start_tls(make_context(), "mx.example.org")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"500 what is this\r\n", "tls-record-header-error"),
        (b"", "connection-closed-during-handshake"),
    ],
)
async def test_a_handshake_that_is_none(answer: bytes, reason: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with server(serve) as port, connected(port) as link:
        with pytest.raises(TlsUnavailable) as caught:
            await link.start_tls(make_context(), "mx.example.org")
        assert caught.value.result_type == "validation-failure"
        assert caught.value.reason == reason
        assert not caught.value.permanent


async def test_a_server_that_wants_a_certificate_of_ours(server_context: ssl.SSLContext) -> None:
    server_context.verify_mode = ssl.CERT_REQUIRED

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await writer.start_tls(server_context)

    async with server(serve) as port, connected(port) as link:
        await link.start_tls(make_context(), "mx.example.org")
        # TLS 1.3: our side was done before the server says no.
        with pytest.raises(TlsUnavailable) as caught:
            await link.read_line(WAIT)
        assert "alert" in caught.value.reason or "closed" in caught.value.reason


async def test_the_first_address_that_answers() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hi\r\n")
        await reader.read()

    async with server(serve) as port:
        # Nobody listens on the others: refused at once, so the next one's turn comes at once.
        ips = [ip_address("127.0.0.2"), ip_address("127.0.0.3"), LOOPBACK]
        found = await dial(DirectDial(local={4: "127.0.0.1"}), ips, port, stagger_s=WAIT)
        assert found.ip == LOOPBACK
        assert found.link.local_ip == "127.0.0.1"
        await found.link.close()
        with pytest.raises(NotReached, match=r"127\.0\.0\.2: .*; 127\.0\.0\.3: "):
            await dial(DirectDial(), ips[:2], port)
    with pytest.raises(NotReached, match="no address"):
        await dial(DirectDial(), [], 25)


async def test_a_slow_address_does_not_hold_up_the_next() -> None:
    tried = []
    late = asyncio.Event()

    async def connect(ip: object, port: int) -> Link:
        tried.append(str(ip))
        if str(ip) == "192.0.2.1":
            await late.wait()
        return Link()

    ips = [ip_address("192.0.2.1"), ip_address("192.0.2.2")]
    found = await dial(connect, ips, 25, stagger_s=0.01)
    assert isinstance(found, Dialled)
    assert (str(found.ip), tried) == ("192.0.2.2", ["192.0.2.1", "192.0.2.2"])
    with pytest.raises(NotReached, match="no answer in time"):
        await dial(connect, ips[:1], 25, timeout_s=0.05)


def test_the_order_of_addresses() -> None:
    four = [ip_address(f"192.0.2.{n}") for n in (1, 2, 3)]
    six = [ip_address(f"2001:db8::{n}") for n in (1, 2)]
    every = [*six, *four]
    assert in_order(every, []) == every
    # The other family first; within the one that was tried once, the same address again.
    assert in_order(every, [six[1]]) == [*four, six[1], six[0]]
    assert in_order(every, [six[0], four[1]]) == [*six, four[1], four[0], four[2]]
    assert in_order(every, [four[1], six[0], four[1]]) == [*six, *four]


class Proxy:
    """A SOCKS5 proxy.    RFC 1928."""

    def __init__(self, target: int, *, chosen: bytes = b"\x05\x00", code: int = 0) -> None:
        self.target = target
        self.chosen = chosen
        self.code = code
        self.asked: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(3) == b"\x05\x01\x00"
        writer.write(self.chosen)
        self.asked.append(await reader.readexactly(10))
        writer.write(bytes((5, self.code, 0, 3, 4)) + b"host\x00\x19")
        there, out = await asyncio.open_connection("127.0.0.1", self.target)
        writer.write(await there.readline())
        out.close()
        await out.wait_closed()


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 behind\r\n")
    await reader.read()


async def test_through_a_proxy() -> None:
    async with server(greet) as target:
        proxy = Proxy(target)
        async with server(proxy) as port:
            found = await dial(
                SocksDial(host="127.0.0.1", port=port), [ip_address("192.0.2.9")], 25
            )
            assert await found.link.read_line(WAIT) == b"220 behind"
            assert proxy.asked == [b"\x05\x01\x00\x01\xc0\x00\x02\x09\x00\x19"]
            await found.link.close()


@pytest.mark.parametrize(
    ("proxy", "problem"),
    [
        ({"chosen": b"\x05\xff"}, "wants a login"),
        ({"chosen": b"HT"}, "wants a login, or is none"),
        ({"code": 5}, "connection refused"),
        ({"code": 99}, "error 99"),
    ],
)
async def test_a_proxy_that_cannot(proxy: dict[str, object], problem: str) -> None:
    async with server(Proxy(1, **proxy)) as port:  # type: ignore[arg-type]
        with pytest.raises(NotReached, match=problem):
            await dial(SocksDial(host="127.0.0.1", port=port), [LOOPBACK], 25)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:1080", ("127.0.0.1", 1080)),
        ("[::1]:9", ("::1", 9)),
        ("proxy.example:1", ("proxy.example", 1)),
    ],
)
def test_places_of_proxies(text: str, expected: tuple[str, int]) -> None:
    assert parse_proxy(text) == expected


@pytest.mark.parametrize("text", ["127.0.0.1", ":1080", "x:0", "x:65536", "x:y", "[zz]:1"])
def test_what_is_no_place_of_a_proxy(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  many texts
        parse_proxy(text)
