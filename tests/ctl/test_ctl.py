"""Client and server of the control socket, over a real one."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
import pytest
from msgspec import Struct

from mox.base import metrics
from mox.base.errors import Broken, Malformed, MoxError, Refused, Unavailable
from mox.ctl import client as client_module
from mox.ctl.client import Client, NotRunning, wait_for_end
from mox.ctl.protocol import Command, decode_line, encode_chunk
from mox.ctl.server import Call, ControlServer, Handlers, process_ids

T = TypeVar("T")


class Text(Struct, frozen=True):
    text: str = ""


class Count(Struct, frozen=True):
    size: int
    pieces: int


ECHO = Command("echo", Text, Text)
FAIL = Command("fail", Text, Text)
SLOW = Command("slow", Text, Text)
SIZE = Command("size", Text, Count, takes_body=True)
REFUSE_BODY = Command("refuse_body", Text, Count, takes_body=True)
UNKNOWN = Command("unknown", Text, Text)

ERRORS: dict[str, Exception] = {
    "refused": Refused("no"),
    "malformed": Malformed("what?"),
    "unavailable": Unavailable("later"),
    "broken": Broken("oh"),
    "bug": KeyError("secret"),
}


async def echo(arguments: Text, _call: Call) -> Text:
    return arguments


async def fail(arguments: Text, _call: Call) -> Text:
    raise ERRORS[arguments.text]


async def slow(arguments: Text, call: Call) -> Text:
    for number in range(3):
        await call.progress({"done": number})
    return arguments


async def size(_arguments: Text, call: Call) -> Count:
    sizes = [len(piece) async for piece in call.body()]
    return Count(size=sum(sizes), pieces=len(sizes))


async def refuse_body(_arguments: Text, _call: Call) -> Count:
    raise Refused("not that")


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    server = make_server(tmp_path)
    await server.start()
    yield tmp_path
    await server.stop()


def make_server(folder: Path) -> ControlServer:
    handlers = Handlers()
    handlers.on(ECHO, echo)
    handlers.on(FAIL, fail)
    handlers.on(SLOW, slow)
    handlers.on(SIZE, size)
    handlers.on(REFUSE_BODY, refuse_body)
    return ControlServer(folder, handlers)


async def with_client(folder: Path, work: Callable[[Client], T]) -> T:
    """Run the blocking client beside the server."""

    def run() -> T:
        with Client(folder) as client:
            return work(client)

    return await asyncio.to_thread(run)


async def test_several_requests_on_one_connection(folder: Path) -> None:
    def work(client: Client) -> list[str]:
        return [client.call(ECHO, Text(text)).text for text in ("a", "ü\n", "x" * 100_000)]

    assert await with_client(folder, work) == ["a", "ü\n", "x" * 100_000]


async def test_only_the_owner_may_connect(folder: Path) -> None:
    assert (folder / "ctl").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["ctl"]


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("refused", Refused, "no"),
        ("malformed", Malformed, "what?"),
        ("unavailable", Unavailable, "later"),
        ("broken", Broken, "oh"),
    ],
)
async def test_errors_come_back_as_their_family(
    folder: Path, name: str, kind: type[MoxError], text: str
) -> None:
    def work(client: Client) -> str:
        with pytest.raises(kind) as caught:
            client.call(FAIL, Text(name))
        assert caught.value.public == text
        return client.call(ECHO, Text("still there")).text

    assert await with_client(folder, work) == "still there"


async def test_a_bug_is_counted_and_not_told(folder: Path) -> None:
    before = metrics.unhandled_total()

    def work(client: Client) -> None:
        with pytest.raises(Broken) as caught:
            client.call(FAIL, Text("bug"))
        assert "secret" not in caught.value.public

    await with_client(folder, work)
    assert metrics.unhandled_total() == before + 1
    metrics.PANICS.labels("ctl").reset()


async def test_progress(folder: Path) -> None:
    seen: list[bytes] = []

    def work(client: Client) -> str:
        shown = client.call(SLOW, Text("x"), progress=lambda value: seen.append(bytes(value)))
        return shown.text + client.call(SLOW, Text("y")).text

    assert await with_client(folder, work) == "xy"
    assert [msgspec.json.decode(value) for value in seen] == [{"done": n} for n in range(3)]


async def test_a_body(folder: Path) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        yield b""
        yield b"y" * 10

    def work(client: Client) -> list[Count]:
        return [
            client.call(SIZE, Text(), body=pieces()),
            client.call(SIZE, Text()),
        ]

    assert await with_client(folder, work) == [Count(100_010, 3), Count(0, 0)]


async def test_a_body_nobody_wants(folder: Path) -> None:
    def work(client: Client) -> str:
        with pytest.raises(Refused, match="not that"):
            client.call(REFUSE_BODY, Text(), body=[b"x" * 1_000_000])
        return client.call(ECHO, Text("in step")).text

    assert await with_client(folder, work) == "in step"


async def test_an_unknown_command(folder: Path) -> None:
    def work(client: Client) -> None:
        with pytest.raises(Malformed, match="no command 'unknown'"):
            client.call(UNKNOWN, Text())

    await with_client(folder, work)


async def talk(folder: Path, data: bytes) -> bytes:
    """Send raw bytes, return all that comes back, also when the server hangs up on us."""

    def run() -> bytes:
        answer = b""
        with socket.socket(socket.AF_UNIX) as raw, contextlib.suppress(ConnectionError):
            raw.settimeout(5)
            raw.connect(str(folder / "ctl"))
            with contextlib.suppress(BrokenPipeError):
                raw.sendall(data)
                raw.shutdown(socket.SHUT_WR)
            while piece := raw.recv(65536):
                answer += piece
        return answer

    return await asyncio.to_thread(run)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"hello\n", b"not understood"),
        (b"{}\n", b"missing required field"),
        (b'{"command":"echo","x":1}\n', b"unknown field"),
        (b'{"command":"echo","arguments":{"text":1}}\n', b"Expected `str`"),
        (b"[" * 100_000 + b"\n", b"not understood"),
        (b"x" * 1_100_000 + b"\n", b"line too long"),
        (b'{"command":"size"}\n' + b"\xff" * 4, b"chunk too large"),
        (b'{"command":"size"}\n' + encode_chunk(b"abc")[:5], b"the body ended early"),
        (b'{"command":"refuse_body"}\n' + b"\x00", b"not that"),
        (b'{"command":"ec', b""),
        (b"\xff\xfe\n", b"not understood"),
    ],
)
async def test_nonsense_is_answered(folder: Path, data: bytes, said: bytes) -> None:
    answer = await talk(folder, data)
    greeting, _, reply = answer.partition(b"\n")
    assert b'"protocol":1' in greeting
    assert (b'"failed"' in reply and said in reply) if said else (reply == b"")


async def test_no_server(tmp_path: Path) -> None:
    with pytest.raises(NotRunning) as caught:
        Client(tmp_path)
    assert str(tmp_path / "ctl") in caught.value.public
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "ctl"))
    with pytest.raises(NotRunning):
        Client(tmp_path)


async def test_the_socket_goes_with_the_server_and_a_successors_stays(tmp_path: Path) -> None:
    first, second = make_server(tmp_path), make_server(tmp_path)
    await first.start()
    await second.start()
    await first.stop()
    assert await with_client(tmp_path, lambda client: client.call(ECHO, Text("2")).text) == "2"
    await second.stop()
    assert list(tmp_path.iterdir()) == []


async def test_stop_ends_open_connections(tmp_path: Path) -> None:
    server = make_server(tmp_path)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(tmp_path / "ctl"))
    await reader.readline()
    await server.stop()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()


async def test_a_folder_deep_down(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*(["x" * 50] * 4))
    deep.mkdir(parents=True)
    server = make_server(deep)
    await server.start()
    assert await with_client(deep, lambda client: client.call(ECHO, Text("deep")).text) == "deep"
    await server.stop()
    assert list(deep.iterdir()) == []


async def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    server = make_server(tmp_path / "missing")
    with pytest.raises(Unavailable, match="cannot make the control socket"):
        await server.start()
    with pytest.raises(NotRunning):
        Client(tmp_path / "missing")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"mox":"9","protocol":2}\n', "speaks another control protocol"),
        (b"220 hello\n", "not understood"),
        (b"", "closed the control connection"),
        (b"x" * 1_100_000, "too long a line"),
    ],
)
async def test_another_server(tmp_path: Path, line: bytes, said: str) -> None:
    async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(line)
        writer.close()

    server = await asyncio.start_unix_server(answer, str(tmp_path / "ctl"))
    async with server:
        with pytest.raises(MoxError) as caught:
            await asyncio.to_thread(Client, tmp_path)
    assert said in caught.value.public


async def test_a_silent_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "CONNECT_TIMEOUT_S", 0.01)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "ctl"))
        silent.listen()
        with pytest.raises(Unavailable, match="the server does not answer"):
            Client(tmp_path)


def test_two_handlers_for_one_command() -> None:
    handlers = Handlers()
    handlers.on(ECHO, echo)
    with pytest.raises(ValueError, match="claimed twice"):
        handlers.on(ECHO, echo)


def test_waiting_for_the_end() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert wait_for_end([gone.pid], 1.0)
    with subprocess.Popen(["sleep", "30"]) as there:
        assert not wait_for_end([gone.pid, there.pid], 0.01)
        there.kill()
        assert wait_for_end([there.pid], 5.0)
    assert process_ids(supervised=False) == (os.getpid(),)
    assert process_ids(supervised=True) == (os.getpid(), os.getppid())


def test_a_password_is_not_in_a_traceback() -> None:
    from mox.ctl.commands import SetPassword

    request = decode_line(b'{"account":"me","password":"secret"}', SetPassword)
    assert request.password == "secret"
    assert "secret" not in repr(request)
