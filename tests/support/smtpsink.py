"""A mail server for tests that takes everything, or does as it is told.    On loopback."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Taken:
    """A message that was taken."""

    sender: str
    recipients: list[str]
    content: bytes
    tls: bool
    server: "Sink"


@dataclass(kw_only=True)
class Sink:
    """What the server does.

    ``replies``: by verb, or verb and argument ("RCPT a@b"), instead of the usual ones; "close" hangs up,
    "silence" says nothing.  Of a list each is used once, the last one on.
    """

    keywords: tuple[str, ...] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000")
    context: ssl.SSLContext | None = None
    implicit_tls: bool = False
    replies: Mapping[str, str | list[str]] = field(default_factory=dict)
    greeting: str = "220 sink.example"
    taken: list[Taken] = field(default_factory=list)
    connections: int = 0
    commands: list[str] = field(default_factory=list)
    port: int = 0
    _used: dict[str, int] = field(default_factory=dict)

    @asynccontextmanager
    async def serve(self, ip: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Self]:
        tasks: set[asyncio.Task[None]] = set()

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                await _Conversation(self, reader, writer).run()
            except (OSError, EOFError, asyncio.IncompleteReadError):
                pass  # the client left
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(
            handle, ip, port, ssl=self.context if self.implicit_tls else None, limit=1 << 20
        )
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()

    def reply_to(self, verb: str, argument: str, usual: str) -> str:
        for key in (f"{verb} {argument}", verb):
            found = self.replies.get(key)
            if isinstance(found, str):
                return found
            if found is not None:
                at = self._used.get(key, 0)
                self._used[key] = at + 1
                return found[min(at, len(found) - 1)]
        return usual


@contextmanager
def in_thread(sink: Sink) -> Iterator[Sink]:
    """The server in a thread of its own, for callers that block."""
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()

    async def serve() -> None:
        async with sink.serve():
            started.set()
            await end.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    if not started.wait(30):
        raise RuntimeError("the sink does not start")
    try:
        yield sink
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join()
        loop.close()


class _Hangup(EOFError):
    pass


class _Conversation:
    def __init__(
        self, sink: Sink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.sink = sink
        self.reader = reader
        self.writer = writer
        self.tls = sink.implicit_tls
        self.sender: str | None = None
        self.recipients: list[str] = []
        self.chunks: list[bytes] = []

    async def run(self) -> None:
        self.sink.connections += 1
        await self.say(self.sink.greeting)
        while line := await self.reader.readline():
            verb, _, rest = line.decode().rstrip("\r\n").partition(" ")
            self.sink.commands.append(f"{verb.upper()} {rest}".strip())
            await self.command(verb.upper(), rest)

    async def say(self, reply: str) -> None:
        if reply == "close":
            raise _Hangup
        if reply == "silence":
            await asyncio.Event().wait()
        self.writer.write(f"{reply}\r\n".encode())
        await self.writer.drain()

    async def answer(self, verb: str, argument: str, usual: str) -> bool:
        reply = self.sink.reply_to(verb, argument, usual)
        await self.say(reply)
        return reply[:1] in "23"

    async def command(self, verb: str, rest: str) -> None:
        match verb:
            case "EHLO":
                await self.ehlo(rest)
            case "STARTTLS":
                if await self.answer(verb, "", "220 go"):
                    assert self.sink.context is not None
                    await self.writer.start_tls(self.sink.context)
                    self.tls = True
            case "MAIL":
                self.recipients = []
                address = rest.partition("<")[2].partition(">")[0]
                good = await self.answer(verb, address, "250 2.1.0 ok")
                self.sender = address if good else None
            case "RCPT":
                address = rest.partition("<")[2].partition(">")[0]
                usual = "250 2.1.5 ok" if self.sender is not None else "503 no sender"
                if await self.answer(verb, address, usual):
                    self.recipients.append(address)
            case "DATA":
                usual = "354 go" if self.recipients else "503 no recipients"
                if await self.answer(verb, "", usual):
                    await self.end(await self.data())
            case "BDAT":
                await self.chunk(rest)
            case "RSET":
                self.sender, self.recipients = None, []
                await self.answer(verb, "", "250 2.0.0 ok")
            case "QUIT":
                await self.say("221 2.0.0 bye")
                raise _Hangup
            case _:
                await self.answer(verb, rest, "500 5.5.1 what")

    async def chunk(self, rest: str) -> None:
        size, _, last = rest.partition(" ")
        self.chunks.append(await self.reader.readexactly(int(size)))
        if last:
            content, self.chunks = b"".join(self.chunks), []
            await self.end(content)
        else:
            await self.answer("BDAT", "", "250 2.0.0 more")

    async def ehlo(self, rest: str) -> None:
        keywords = list(self.sink.keywords)
        if self.sink.context is not None and not self.tls:
            keywords.append("STARTTLS")
        lines = ["sink.example", *keywords]
        marks = ["-"] * len(keywords) + [" "]
        usual = "\r\n".join(f"250{mark}{line}" for mark, line in zip(marks, lines, strict=True))
        await self.answer("EHLO", rest, usual)

    async def data(self) -> bytes:
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                raise _Hangup
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        return b"".join(lines)

    async def end(self, content: bytes) -> None:
        sender, recipients = self.sender, self.recipients
        self.sender, self.recipients = None, []
        reply = self.sink.reply_to("END", "", "250 2.0.0 taken" if recipients else "554 nobody")
        if sender is not None and recipients and reply.startswith("2"):
            self.sink.taken.append(Taken(sender, recipients, content, self.tls, self.sink))
        await self.say(reply)
