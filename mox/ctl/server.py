"""The control socket: who may open the file may command the server.

The socket is made under another name, given its permissions and then put in place: there is no
moment at which a stranger could connect, and a server that fails to start leaves the socket of the
running one alone.
"""

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from mox.base import metrics
from mox.base.errors import Malformed, MoxError, Unavailable
from mox.base.limits import CTL_CHUNK, CTL_CONNECTIONS, CTL_LINE, CTL_TIMEOUT, WRITE_TIMEOUT
from mox.base.log import Logger, get_logger
from mox.base.table import Table
from mox.base.version import mox_version
from mox.ctl.place import new_socket, socket_address
from mox.ctl.protocol import (
    PROTOCOL,
    SOCKET_NAME,
    A,
    Command,
    Done,
    Failed,
    Greeting,
    Progress,
    R,
    Request,
    decode_line,
    encode_line,
    family_of,
)

_log = get_logger("ctl")


class Call:
    """One request being handled: its body, and a way to tell of progress."""

    __slots__ = ("_body_left", "_reader", "_writer")

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, has_body: bool
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._body_left = has_body

    async def progress(self, value: object) -> None:
        """Show the client how far we are."""
        await _send(self._writer, Progress(value=msgspec.Raw(msgspec.json.encode(value))))

    async def body(self) -> AsyncIterator[bytes]:
        """The pieces of the body, each at most 64 KiB.    The handler bounds their sum.

        Errors  Unavailable when the client goes away or is silent, Malformed.
        """
        while self._body_left:
            try:
                async with asyncio.timeout(CTL_TIMEOUT):
                    size = int.from_bytes(await self._reader.readexactly(4), "big")
                    if size > CTL_CHUNK:
                        raise Malformed("chunk too large")
                    data = await self._reader.readexactly(size)
            except (asyncio.IncompleteReadError, TimeoutError, ConnectionError) as error:
                self._body_left = False
                raise Unavailable("the body ended early", cause=error) from error
            if not data:
                self._body_left = False
                return
            yield data

    async def finish_body(self) -> None:
        """Read what the handler left, so that the next request is found."""
        async for _ in self.body():
            pass


Handler = Callable[[Any, Call], Awaitable[Struct]]


class _Entry(Struct, frozen=True, kw_only=True):
    command: Command[Any, Any]
    handler: Handler


class Handlers:
    """Which function handles which command."""

    __slots__ = ("_table",)

    def __init__(self) -> None:
        self._table: Table[_Entry] = Table("control commands")

    def on(self, command: Command[A, R], handler: Callable[[A, Call], Awaitable[R]]) -> None:
        """Handle a command.    Errors: ValueError when it has a handler already."""
        self._table.add(command.name.encode(), _Entry(command=command, handler=handler))

    def get(self, name: str) -> _Entry | None:
        """The entry of a command."""
        return self._table.get(name.encode("utf-8", "replace"))

    def freeze(self) -> None:
        """No more handlers."""
        self._table.freeze()


class ControlServer:
    """Answers on the control socket in a data folder."""

    __slots__ = ("_handlers", "_inode", "_server", "_tasks", "path")

    def __init__(self, folder: Path, handlers: Handlers) -> None:
        self.path = folder / SOCKET_NAME
        self._handlers = handlers
        self._server: asyncio.Server | None = None
        self._inode = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make the socket and answer.    Errors: Unavailable."""
        self._handlers.freeze()
        temporary = self.path.with_name(f".{SOCKET_NAME}.{secrets.token_hex(6)}")
        bound = new_socket()
        try:
            with socket_address(temporary) as address:
                bound.bind(address)
            temporary.chmod(0o600)
            self._inode = temporary.stat().st_ino
            temporary.replace(self.path)
            self._server = await asyncio.start_unix_server(
                self._connected, sock=bound, limit=CTL_LINE
            )
        except OSError as error:
            bound.close()
            temporary.unlink(missing_ok=True)
            text = f"cannot make the control socket {self.path}: {error.strerror or error}"
            raise Unavailable(text, cause=error) from error

    async def stop(self) -> None:
        """Remove the socket, end the connections.    A successor's socket stays."""
        with contextlib.suppress(FileNotFoundError):
            if self.path.stat().st_ino == self._inode:
                self.path.unlink()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= CTL_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        try:
            await self._talk(reader, writer)
        except (OSError, TimeoutError) as error:
            _log.debug("ctl.connection_lost", error=str(error))
        except asyncio.CancelledError:
            # The stream machinery logs a cancelled callback as an error; this is the end of the
            # task in any case, and only ``stop`` cancels it.
            _log.debug("ctl.connection_ended")
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _send(writer, Greeting(mox=mox_version(), protocol=PROTOCOL))
        while True:
            try:
                async with asyncio.timeout(CTL_TIMEOUT):
                    line = await reader.readline()
            except ValueError:  # longer than CTL_LINE
                await _send(writer, Failed(family="malformed", error="line too long"))
                return
            if not line.endswith(b"\n"):
                return
            if not await self._request(line, reader, writer):
                return

    async def _request(
        self, line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Handle one.    False when the connection cannot go on."""
        try:
            request = decode_line(line, Request)
            entry = self._handlers.get(request.command)
            if entry is None:
                raise Malformed(f"this server has no command {request.command!r}")
        except Malformed as error:
            await _send(writer, Failed(family="malformed", error=error.public))
            return False
        log = _log.bind(command=request.command)
        call = Call(reader, writer, has_body=entry.command.takes_body)
        reply = await _run(entry, request, call, log)
        try:
            await call.finish_body()
        except (Malformed, Unavailable) as error:
            log.debug("ctl.body_unfinished", error=error.public)
            await _send(writer, reply)
            return False
        await _send(writer, reply)
        return True


async def _run(entry: _Entry, request: Request, call: Call, log: Logger) -> Done | Failed:
    try:
        arguments = decode_line(bytes(request.arguments), entry.command.arguments)
        result = await entry.handler(arguments, call)
        log.info("ctl.command", result="ok")
        return Done(result=msgspec.Raw(msgspec.json.encode(result)))
    except MoxError as error:
        log.info("ctl.command", result=family_of(error), error=error.public)
        return Failed(family=family_of(error), error=error.public)
    except Exception as error:
        metrics.unhandled("ctl")
        log.error("ctl.unhandled", error)
        return Failed(family="broken", error="internal error; the server's log has the details")


async def _send(writer: asyncio.StreamWriter, value: object) -> None:
    writer.write(encode_line(value))
    async with asyncio.timeout(WRITE_TIMEOUT):
        await writer.drain()


def process_ids(*, supervised: bool) -> tuple[int, ...]:
    """What ``Stopping`` says: this process, and the parent that keeps it running."""
    return (os.getpid(), os.getppid()) if supervised else (os.getpid(),)
