"""HTTPS requests against servers on loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from support.certificates import Made

from mox.base.errors import Refused
from mox.base.fetch import Fetched, Fetcher, FetchFailed, IPAddress, Trouble

LONG = datetime(2100, 1, 1, tzinfo=UTC)
ROOT = Made("root", is_ca=True, until=LONG)
LEAF = Made("leaf", ROOT, names=("mta-sts.example.org",), until=LONG)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


async def lookup(host: str) -> Sequence[IPAddress]:
    if host == "gone.example.org":
        raise Refused("no such host")
    return [ip_address("127.0.0.1")]


class Server:
    """Says one thing over TLS."""

    def __init__(self, answer: bytes, *, endless: bool = False) -> None:
        self.answer = answer
        self.endless = endless
        self.request = b""
        self.port = 0

    @asynccontextmanager
    async def serve(self, context: ssl.SSLContext | None) -> AsyncIterator[None]:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                if context is not None:
                    self.request = await reader.readuntil(b"\r\n\r\n")
                writer.write(self.answer)
                while self.endless:
                    writer.write(b"x" * 10_000)
                    await writer.drain()
                await reader.read()
            except (OSError, asyncio.IncompleteReadError):
                pass  # the client left
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def get(self, host: str = "mta-sts.example.org", *, private: bool = True) -> Fetched:
        context = ssl.create_default_context(cadata=ROOT.pem.decode().split("KEY-----\n")[-1])
        fetcher = Fetcher(lookup, context, allow_private=private, ports={host: self.port})
        return await fetcher.get(f"https://{host}/file.txt", max_bytes=1000, timeout_s=30)


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    path = tmp_path / "leaf.pem"
    path.write_bytes(LEAF.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK, Fetched(status=200, body=b"hello")),
        (OK.replace(b"200 OK", b"404 Nothing"), Fetched(status=404, body=b"hello")),
        (
            b"HTTP/1.1 301 Elsewhere\r\nLocation: https://other.example/\r\nContent-Length: 0\r\n\r\n",
            Fetched(status=301, body=b""),
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            Fetched(status=200, body=b"abc"),
        ),
    ],
)
async def test_answers(context: ssl.SSLContext, answer: bytes, expected: Fetched) -> None:
    server = Server(answer)
    async with server.serve(context):
        assert await server.get() == expected
    assert server.request.startswith(b"GET /file.txt HTTP/1.1\r\n")


async def trouble_of(server: Server, host: str = "mta-sts.example.org", **more: bool) -> Trouble:
    with pytest.raises(FetchFailed) as caught:
        await server.get(host, **more)
    assert caught.value.public
    return caught.value.trouble


async def test_what_can_go_wrong(context: ssl.SSLContext) -> None:
    server = Server(OK)
    async with server.serve(context):
        assert await trouble_of(server, "gone.example.org") is Trouble.NAME
        assert await trouble_of(server, "other.example.org") is Trouble.TLS
        # A public name must not lead to machines behind our firewall.
        assert await trouble_of(server, private=False) is Trouble.NAME
    assert await trouble_of(server) is Trouble.CONNECT
    no_tls = Server(b"hello\r\n")
    async with no_tls.serve(None):
        assert await trouble_of(no_tls) in (Trouble.TLS, Trouble.CONNECT)
    no_http = Server(b"hello\r\n\r\n")
    async with no_http.serve(context):
        assert await trouble_of(no_http) is Trouble.HTTP


async def test_an_endless_answer(context: ssl.SSLContext) -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", endless=True)
    async with server.serve(context):
        assert await trouble_of(server) is Trouble.SIZE


async def test_a_server_that_takes_too_long(context: ssl.SSLContext) -> None:
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel")
    async with server.serve(context):
        fetcher = Fetcher(
            lookup,
            ssl._create_unverified_context(),  # noqa: SLF001
            allow_private=True,
            ports={"x.example": server.port},
        )
        with pytest.raises(FetchFailed) as caught:
            await fetcher.get("https://x.example/", max_bytes=10, timeout_s=0.2)
        assert caught.value.trouble is Trouble.TIME
