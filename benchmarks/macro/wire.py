"""An IMAP client that is not the bottleneck: large buffers, responses counted and not parsed."""

from __future__ import annotations

import selectors
import socket
import time
from dataclasses import dataclass

from support.imapclient import connect
from support.ports import HOST
from support.servers import PASSWORD, USER, Server

BUFFER = 4 * 1024 * 1024  # bytes
KEPT = 512  # bytes carried over between reads: a tagged line is shorter
FETCH = b" FETCH ("


@dataclass(frozen=True)
class Timed:
    """One command: how long, and how many FETCH responses."""

    seconds: float
    lines: int
    octets: int


class Wire:
    """One logged-in connection."""

    def __init__(self, server: Server, timeout: float = 300.0) -> None:
        self.sock = connect(HOST, server.port("imap"), timeout)
        self._buffer = bytearray(BUFFER)
        self._view = memoryview(self._buffer)
        self._count = 0
        self.sock.recv(4096)
        self.run(f'LOGIN "{USER}" "{PASSWORD}"'.encode())

    def close(self) -> None:
        """End the connection."""
        self.sock.close()

    def run(self, line: bytes) -> Timed:
        """Send a command, read to its end; anything but OK is an error."""
        self._count += 1
        tag = b"t%d" % self._count
        began = time.perf_counter()
        self.sock.sendall(tag + b" " + line + b"\r\n")
        lines, octets, last = self._read(tag)
        seconds = time.perf_counter() - began
        if not last.startswith(tag + b" OK"):
            raise RuntimeError(f"{line[:100]!r}: {last!r}")
        return Timed(seconds, lines, octets)

    def _read(self, tag: bytes) -> tuple[int, int, bytes]:
        buffer, view = self._buffer, self._view
        start = tag + b" "
        kept = lines = octets = 0
        while True:
            got = self.sock.recv_into(view[kept:])
            if not got:
                raise RuntimeError("the connection ended")
            octets += got
            end = kept + got
            # what was kept has been counted, but for a word across the border
            lines += buffer.count(FETCH, max(0, kept - len(FETCH) + 1), end)
            if buffer[end - 1] == 10:
                line_start = buffer.rfind(b"\n", 0, end - 1) + 1
                if buffer.startswith(start, line_start):
                    return lines, octets, bytes(buffer[line_start:end])
            kept = min(KEPT, end)
            buffer[:kept] = buffer[end - kept : end]


class _Appender:
    """One of several connections that append, one message at a time each."""

    def __init__(self, server: Server, mailbox: str, message: bytes, count: int) -> None:
        wire = Wire(server)
        self.sock = wire.sock
        self.left = count
        self._rest = b""
        line = b"APPEND %s {%d+}\r\n" % (mailbox.encode(), len(message))
        self._command = b"x " + line + message + b"\r\n"

    def send(self) -> None:
        self.sock.sendall(self._command)

    def answered(self) -> bool:
        """Read what is there; has the APPEND ended?"""
        self._rest += self.sock.recv(65536)
        at = self._rest.find(b"x OK")
        if at < 0:
            if b"x NO" in self._rest or b"x BAD" in self._rest:
                raise RuntimeError(self._rest.decode(errors="replace"))
            return False
        if self._rest.find(b"\n", at) < 0:
            return False
        self._rest = b""
        return True


def appends(server: Server, mailbox: str, message: bytes, connections: int, each: int) -> float:
    """Durable single APPENDs from several connections at once; gives appends per second."""
    with server.imap() as client:
        client.ok(f"CREATE {mailbox}".encode())
    appenders = [_Appender(server, mailbox, message, each) for _ in range(connections)]
    with selectors.DefaultSelector() as selector:
        for appender in appenders:
            selector.register(appender.sock, selectors.EVENT_READ, appender)
        began = time.perf_counter()
        for appender in appenders:
            appender.send()
        working = connections
        while working:
            for key, _ in selector.select(60):
                appender = key.data
                if not appender.answered():
                    continue
                appender.left -= 1
                if appender.left:
                    appender.send()
                else:
                    working -= 1
                    selector.unregister(appender.sock)
        seconds = time.perf_counter() - began
    for appender in appenders:
        appender.sock.close()
    with server.imap() as client:
        stored = client.select(mailbox).exists
    if stored != connections * each:
        raise RuntimeError(f"{stored} of {connections * each} messages were stored")
    return connections * each / seconds


def slowest_noop(port: int, stop: socket.socket, seconds: float) -> float:
    """Ask NOOP all the time on a connection of its own; gives the longest wait in seconds.

    Runs in a process of its own, so that it waits for the server and not for this program.
    """
    sock = connect(HOST, port, 60)
    sock.recv(4096)
    sock.sendall(f'l LOGIN "{USER}" "{PASSWORD}"\r\n'.encode())
    while b"l OK" not in sock.recv(65536):
        pass
    stop.sendall(b"r")  # ready
    stop.setblocking(False)
    longest = 0.0
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        sock.sendall(b"n NOOP\r\n")
        while b"n OK" not in sock.recv(65536):
            pass
        longest = max(longest, time.perf_counter() - began)
        try:
            stop.recv(1)
            break
        except BlockingIOError:
            time.sleep(0.002)
    sock.close()
    return longest
