"""The other end of the control socket: for the command line, which has no event loop."""

import os
import select
import socket
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import msgspec

from mox.base.clock import SystemClock
from mox.base.errors import Broken, Malformed, MoxError, Unavailable
from mox.base.limits import CTL_CHUNK, CTL_LINE
from mox.ctl.place import new_socket, socket_address
from mox.ctl.protocol import (
    FAMILIES,
    PROTOCOL,
    SOCKET_NAME,
    A,
    Command,
    Failed,
    Greeting,
    Progress,
    R,
    Request,
    decode_line,
    decode_reply,
    encode_chunk,
    encode_line,
)

CONNECT_TIMEOUT_S = 10.0
REPLY_TIMEOUT_S = 600.0  # between two lines of the server


class NotRunning(Unavailable):
    """No server answers."""


class Client:
    """A connection to the running server; a context manager.    Blocks."""

    def __init__(self, folder: Path) -> None:
        """Connect.    Input: the data folder.    Errors: NotRunning, Unavailable, Malformed."""
        self._path = folder / SOCKET_NAME
        self._socket = self._connect()
        self._lines: BinaryIO = self._socket.makefile("rb")
        try:
            greeting = decode_line(self._line(), Greeting)
        except MoxError:
            self.close()
            raise
        if greeting.protocol != PROTOCOL:
            self.close()
            raise Unavailable(
                f"the running server is mox {greeting.mox} and speaks another control protocol;"
                " restart it after an upgrade"
            )
        self._socket.settimeout(REPLY_TIMEOUT_S)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._lines.close()
        self._socket.close()

    def call(
        self,
        command: Command[A, R],
        arguments: A,
        *,
        body: Iterable[bytes] = (),
        progress: Callable[[msgspec.Raw], None] | None = None,
    ) -> R:
        """Run a command and wait for its result.

        Input   body: pieces of what the command takes besides its arguments, of any size.
                progress: shown each value the server sends on the way.
        Errors  the family the server names, with its text; Unavailable when the server goes away.
        """
        raw = msgspec.Raw(msgspec.json.encode(arguments))
        self._send(encode_line(Request(command=command.name, arguments=raw)))
        if command.takes_body:
            for piece in body:
                for start in range(0, len(piece), CTL_CHUNK):
                    self._send(encode_chunk(piece[start : start + CTL_CHUNK]))
            self._send(encode_chunk(b""))
        while True:
            reply = decode_reply(self._line())
            if isinstance(reply, Progress):
                if progress is not None:
                    progress(reply.value)
            elif isinstance(reply, Failed):
                raise FAMILIES.get(reply.family, Broken)(reply.error)
            else:
                return decode_line(bytes(reply.result), command.result)

    def _connect(self) -> socket.socket:
        connected = new_socket()
        try:
            connected.settimeout(CONNECT_TIMEOUT_S)
            with socket_address(self._path) as address:
                connected.connect(address)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            connected.close()
            text = f"no server is running: nothing answers on the control socket {self._path}"
            raise NotRunning(text, cause=error) from error
        except PermissionError as error:
            connected.close()
            text = f"no permission for the control socket {self._path}; run as the server's user"
            raise Unavailable(text, cause=error) from error
        except OSError as error:
            connected.close()
            text = f"cannot use the control socket {self._path}: {error.strerror or error}"
            raise Unavailable(text, cause=error) from error
        return connected

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise self._gone(error) from error

    def _line(self) -> bytes:
        try:
            line = self._lines.readline(CTL_LINE + 1)
        except OSError as error:
            raise self._gone(error) from error
        if not line:
            raise self._gone(None)
        if not line.endswith(b"\n"):
            raise Malformed("the server sent too long a line")
        return line

    def _gone(self, cause: OSError | None) -> Unavailable:
        if isinstance(cause, TimeoutError):
            return Unavailable("the server does not answer", cause=cause)
        return Unavailable("the server closed the control connection", cause=cause)


def wait_for_end(processes: Iterable[int], timeout_s: float) -> bool:
    """Wait until these processes are gone.    False when one is still there.    Blocks."""
    clock = SystemClock()
    deadline = clock.monotonic_s() + timeout_s
    for number in processes:
        try:
            process = os.pidfd_open(number)
        except ProcessLookupError:
            continue
        try:
            poll = select.poll()
            poll.register(process, select.POLLIN)
            if not poll.poll(max(0.0, deadline - clock.monotonic_s()) * 1000):
                return False
        finally:
            os.close(process)
    return True
