"""A small blocking SMTP client over a plain socket.   RFC 5321."""

from __future__ import annotations

import base64
import ssl
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from support.imapclient import ConnectionEnded, connect


class SmtpRefused(AssertionError):
    """A reply that was not the expected one."""


@dataclass(frozen=True)
class Reply:
    """One reply, all its lines."""

    code: int
    lines: list[bytes]  # without the code and without CRLF


def stuffed(message: bytes) -> bytes:
    """The message as DATA wants it: dots doubled, the end marked.   RFC 5321 §4.5.2."""
    if not message.endswith(b"\r\n"):
        raise ValueError("a message for DATA ends with CRLF")
    if message.startswith(b"."):
        message = b"." + message
    return message.replace(b"\r\n.", b"\r\n..") + b".\r\n"


class SmtpClient:
    """One connection.   Every wait has a time limit."""

    def __init__(
        self, host: str, port: int, *, tls: ssl.SSLContext | None = None, timeout: float = 20.0
    ) -> None:
        self.sock = connect(host, port, timeout)
        self.local_port: int = self.sock.getsockname()[1]
        self._buffer = bytearray()
        try:
            if tls is not None:
                self.sock = tls.wrap_socket(self.sock, server_hostname="localhost")
            self.greeting = self.expect(self.read_reply(), 220)
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

    @staticmethod
    def expect(reply: Reply, code: int) -> Reply:
        """The reply, which must have this code."""
        if reply.code != code:
            raise SmtpRefused(f"{code} expected: {reply.code} {reply.lines!r}")
        return reply

    def read_reply(self) -> Reply:
        """The next reply."""
        lines: list[bytes] = []
        while True:
            while (end := self._buffer.find(b"\r\n")) < 0:
                data = self.sock.recv(65536)
                if not data:
                    raise ConnectionEnded
                self._buffer += data
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            lines.append(line[4:])
            if line[3:4] != b"-":
                return Reply(int(line[:3]), lines)

    def send(self, data: bytes) -> None:
        """These bytes, nothing else."""
        self.sock.sendall(data)

    def command(self, line: bytes, code: int | None = None) -> Reply:
        """Send a line, read the reply; with a code, any other is an error."""
        self.send(line + b"\r\n")
        reply = self.read_reply()
        return reply if code is None else self.expect(reply, code)

    def ehlo(self, name: bytes = b"client.example") -> set[bytes]:
        """EHLO; gives the keyword lines."""
        return set(self.command(b"EHLO " + name, 250).lines[1:])

    def starttls(self, context: ssl.SSLContext) -> None:
        """STARTTLS and the handshake."""
        self.command(b"STARTTLS", 220)
        if self._buffer:
            raise SmtpRefused("data between the 220 and the handshake")
        self.sock = context.wrap_socket(self.sock, server_hostname="localhost")

    def auth_plain(self, user: str, password: str) -> Reply:
        """AUTH PLAIN with initial response.   RFC 4954."""
        secret = base64.b64encode(f"\0{user}\0{password}".encode())
        return self.command(b"AUTH PLAIN " + secret, 235)

    def deliver(self, sender: bytes, recipients: list[bytes], message: bytes) -> Reply:
        """A whole transaction; gives the 250 of the end of data."""
        self.command(b"MAIL FROM:<" + sender + b">", 250)
        for recipient in recipients:
            self.command(b"RCPT TO:<" + recipient + b">", 250)
        self.command(b"DATA", 354)
        self.send(stuffed(message))
        return self.expect(self.read_reply(), 250)
