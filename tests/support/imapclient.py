"""A small blocking IMAP client over a plain socket: sends what it is told, gives what comes back."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from support.imapresponse import Response, ResponseError, Token, atom, number, parse_response

_ENDS_IN_LITERAL = re.compile(rb"\{([0-9]+)\+?\}\r\n\Z")
RECEIVE = 256 * 1024  # bytes asked for at once


class ConnectionEnded(Exception):
    """The server closed the connection."""


class Literal(bytes):
    """An argument to be sent as a literal."""


@dataclass(frozen=True)
class Result:
    """Everything that came back for one command."""

    tagged: Response
    untagged: list[Response]

    @property
    def status(self) -> bytes:
        """OK, NO or BAD."""
        return self.tagged.kind

    def of(self, kind: bytes) -> list[Response]:
        """The untagged responses of one kind."""
        return [response for response in self.untagged if response.kind == kind]

    def fetched(self) -> dict[int, dict[bytes, Token]]:
        """Sequence number → items; later responses for a message overwrite earlier ones."""
        found: dict[int, dict[bytes, Token]] = {}
        for response in self.of(b"FETCH"):
            found.setdefault(response.number, {}).update(response.pairs())
        return found

    def code(self, name: bytes) -> list[Token] | None:
        """The last response code of this name, tagged or untagged, without its name."""
        for response in [self.tagged, *reversed(self.untagged)]:
            if response.code is not None and response.code_name == name:
                return response.code[1:]
        return None

    def code_number(self, name: bytes) -> int:
        """The number in such a code; 0 if it was not sent."""
        found = self.code(name)
        return number(found[0]) if found else 0

    @property
    def exists(self) -> int:
        """The last EXISTS; -1 if none came."""
        counts = [response.number for response in self.of(b"EXISTS")]
        return counts[-1] if counts else -1

    def search(self) -> list[int]:
        """The numbers of untagged SEARCH responses."""
        return [number(n) for response in self.of(b"SEARCH") for n in response.tokens[1:]
                if not isinstance(n, list)]  # fmt: skip


def connect(host: str, port: int, timeout: float, receive_buffer: int = 0) -> socket.socket:
    """A TCP connection; receive_buffer in bytes makes a slow reader slow at once."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(timeout)
        sock.connect((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


class ImapClient:
    """One connection.   Every wait has a time limit; a late answer is a TimeoutError."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        tls: ssl.SSLContext | None = None,
        timeout: float = 20.0,
        receive_buffer: int = 0,
        tag_prefix: str = "a",
    ) -> None:
        self.sock = connect(host, port, timeout, receive_buffer)
        self.local_port: int = self.sock.getsockname()[1]
        self._buffer = bytearray()
        self._count = 0
        self._prefix = tag_prefix
        try:
            if tls is not None:
                self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
            self.greeting = self.read_response()
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection without a word."""
        self.sock.close()

    def starttls(self, context: ssl.SSLContext) -> None:
        """STARTTLS, and the handshake.   RFC 9051 §6.2.1."""
        self.ok(b"STARTTLS")
        if self._buffer:
            raise ResponseError(f"data between the OK and the handshake: {bytes(self._buffer)!r}")
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    # what comes in

    def _fill(self) -> None:
        data = self.sock.recv(RECEIVE)
        if not data:
            raise ConnectionEnded
        self._buffer += data

    def _read_line(self) -> bytes:
        start = 0
        while (end := self._buffer.find(b"\n", start)) < 0:
            start = len(self._buffer)
            self._fill()
        line = bytes(self._buffer[: end + 1])
        del self._buffer[: end + 1]
        return line

    def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._fill()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def read_raw(self) -> bytes:
        """One response as it came, literals included."""
        line = self._read_line()
        match = _ENDS_IN_LITERAL.search(line)
        if match is None:
            return line
        parts = [line]
        while match is not None:
            parts.append(self._read_exactly(int(match[1])))
            line = self._read_line()
            parts.append(line)
            match = _ENDS_IN_LITERAL.search(line)
        return b"".join(parts)

    def read_response(self) -> Response:
        """The next response, parsed."""
        return parse_response(self.read_raw())

    def pending(self, seconds: float) -> Iterator[Response]:
        """Responses that arrive within so many seconds; none is waited for longer."""
        until = time.monotonic() + seconds
        timeout = self.sock.gettimeout()
        try:
            while (left := until - time.monotonic()) > 0:
                self.sock.settimeout(left)
                try:
                    while b"\n" not in self._buffer:
                        self._fill()
                except TimeoutError:
                    return
                self.sock.settimeout(timeout)
                yield self.read_response()
        finally:
            self.sock.settimeout(timeout)

    # what goes out

    def send(self, data: bytes) -> None:
        """These bytes, nothing else."""
        self.sock.sendall(data)

    def next_tag(self) -> bytes:
        """A tag not used before on this connection."""
        self._count += 1
        return f"{self._prefix}{self._count}".encode()

    def until_tagged(self, tag: bytes) -> Result:
        """Everything up to the tagged response."""
        untagged: list[Response] = []
        while True:
            response = self.read_response()
            if response.tag == tag:
                return Result(response, untagged)
            if response.tag != b"*":
                raise ResponseError(f"waiting for {tag!r}: {response.raw[:200]!r}")
            untagged.append(response)

    def start(self, *parts: bytes) -> bytes:
        """Send a command (parts joined as they are, literals as such); gives its tag.

        A literal is sent when the server asked for it (synchronising).
        """
        tag = self.next_tag()
        line = bytearray(tag + b" ")
        for part in parts:
            if isinstance(part, Literal):
                line += b"{%d}\r\n" % len(part)
                self.send(bytes(line))
                answer = self.read_response()
                if answer.tag != b"+":
                    raise ResponseError(f"no continuation: {answer.raw[:200]!r}")
                line = bytearray(part)
            else:
                line += part
        self.send(bytes(line) + b"\r\n")
        return tag

    def command(self, *parts: bytes) -> Result:
        """Send a command and wait for its end."""
        return self.until_tagged(self.start(*parts))

    def ok(self, *parts: bytes) -> Result:
        """As command(); anything but OK is an error."""
        result = self.command(*parts)
        if result.status != b"OK":
            raise ResponseError(f"{b''.join(parts)[:200]!r}: {result.tagged.raw[:300]!r}")
        return result

    # the few commands that every test needs

    def login(self, user: str, password: str) -> Result:
        """LOGIN."""
        return self.ok(f'LOGIN "{user}" "{password}"'.encode())

    def select(self, mailbox: str, parameters: bytes = b"") -> Result:
        """SELECT, with parameters as they shall be sent."""
        return self.ok(f'SELECT "{mailbox}"'.encode(), b" " + parameters if parameters else b"")

    def append(self, mailbox: str, message: bytes, flags: bytes = b"") -> int:
        """APPEND; gives the UID from APPENDUID, 0 where the server names none."""
        options = b" (" + flags + b")" if flags else b""
        result = self.ok(f'APPEND "{mailbox}"'.encode() + options + b" ", Literal(message))
        code = result.tagged.code
        if result.tagged.code_name != b"APPENDUID" or code is None:
            return 0
        return number(code[2])

    def append_many(self, mailbox: str, messages: list[bytes]) -> None:
        """APPEND them all without waiting in between.   RFC 7888: LITERAL+."""
        tags = []
        for start in range(0, len(messages), 50):
            chunk = bytearray()
            for message in messages[start : start + 50]:
                tags.append(self.next_tag())
                chunk += b'%s APPEND "%s" {%d+}\r\n' % (tags[-1], mailbox.encode(), len(message))
                chunk += message + b"\r\n"
            self.send(bytes(chunk))
            for tag in tags:
                result = self.until_tagged(tag)
                if result.status != b"OK":
                    raise ResponseError(f"APPEND: {result.tagged.raw[:300]!r}")
            tags.clear()

    def capabilities(self) -> set[bytes]:
        """The words of CAPABILITY."""
        return {atom(t) for r in self.ok(b"CAPABILITY").of(b"CAPABILITY") for t in r.tokens[1:]}

    def idle(self) -> bytes:
        """Begin IDLE; gives the tag for done()."""
        tag = self.next_tag()
        self.send(tag + b" IDLE\r\n")
        answer = self.read_response()
        if answer.tag != b"+":
            raise ResponseError(f"IDLE: {answer.raw[:200]!r}")
        return tag

    def done(self, tag: bytes) -> Result:
        """End IDLE."""
        self.send(b"DONE\r\n")
        return self.until_tagged(tag)
