"""What is measured: each takes a filled server and gives one number."""

from __future__ import annotations

import multiprocessing
import socket
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from support.messages import small_message
from support.servers import Server

from benchmarks.macro.wire import Wire, appends, slowest_noop

if TYPE_CHECKING:
    from collections.abc import Iterator

APPEND_CONNECTIONS = 10
APPENDS_EACH = 200
APPEND_SIZE = 4000  # bytes


@dataclass(frozen=True)
class Measure:
    """A measure by name; rate: more is better, else milliseconds."""

    name: str
    unit: str
    rate: bool
    run: Callable[[Server, str, int], float]  # server, mailbox, round
    prepare: Callable[[Server], None] | None = None  # before each run, not timed


def mailbox_name(size: int) -> str:
    """The mailbox with so many messages."""
    return f"Size{size}"


def select_and_flags(server: Server, mailbox: str, _: int) -> float:
    """SELECT and FETCH 1:* (UID FLAGS) together, FETCH lines per second."""
    wire = Wire(server)
    select = wire.run(b"SELECT " + mailbox.encode())
    fetch = wire.run(b"FETCH 1:* (UID FLAGS)")
    wire.close()
    _complete(mailbox, fetch.lines)
    return fetch.lines / (select.seconds + fetch.seconds)


def flags(server: Server, mailbox: str, _: int) -> float:
    """FETCH 1:* (UID FLAGS) alone, in a mailbox that is selected."""
    return _fetch(server, mailbox, b"(UID FLAGS)")


def structure(server: Server, mailbox: str, _: int) -> float:
    """FETCH 1:* (ENVELOPE BODYSTRUCTURE), as both keep it in their caches."""
    return _fetch(server, mailbox, b"(ENVELOPE BODYSTRUCTURE)")


def _fetch(server: Server, mailbox: str, items: bytes) -> float:
    wire = Wire(server)
    wire.run(b"SELECT " + mailbox.encode())
    fetch = wire.run(b"FETCH 1:* " + items)
    wire.close()
    _complete(mailbox, fetch.lines)
    return fetch.lines / fetch.seconds


def _complete(mailbox: str, lines: int) -> None:
    if lines != int(mailbox.removeprefix("Size")):
        raise RuntimeError(f"{lines} FETCH responses from {mailbox}")


def restart(server: Server) -> None:
    """Stop and start; nothing is open afterwards."""
    server.stop()
    server.start()


def first_select(server: Server, mailbox: str, _: int) -> float:
    """The first SELECT after a restart, milliseconds."""
    wire = Wire(server)
    seconds = wire.run(b"SELECT " + mailbox.encode()).seconds
    wire.close()
    return seconds * 1000


def single_appends(server: Server, mailbox: str, round_number: int) -> float:
    """Durable APPENDs of 4 KB, 10 connections, one at a time each; per second."""
    message = small_message("append", APPEND_SIZE)
    name = f"Appends{mailbox}r{round_number}"
    return appends(server, name, message, APPEND_CONNECTIONS, APPENDS_EACH)


def _watch(port: int, stop: socket.socket, answer: Connection) -> None:
    answer.send(slowest_noop(port, stop, 120))


@contextmanager
def watched(server: Server, waits: list[float]) -> Iterator[None]:
    """Meanwhile another connection asks NOOP; its longest wait in milliseconds goes to waits."""
    ours, theirs = socket.socketpair()
    receive, send = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.Process(target=_watch, args=(server.port("imap"), theirs, send))
    process.start()
    ours.settimeout(60)
    ours.recv(1)
    yield
    ours.sendall(b"s")
    waits.append(receive.recv() * 1000)
    process.join(60)
    for end in (ours, theirs):
        end.close()


FETCHES = (
    Measure("SELECT + FETCH 1:* (UID FLAGS)", "lines/s", True, select_and_flags),
    Measure("FETCH 1:* (UID FLAGS)", "lines/s", True, flags),
    Measure("FETCH 1:* (ENVELOPE BODYSTRUCTURE)", "messages/s", True, structure),
    Measure("SELECT after restart", "ms", False, first_select, restart),
)
APPENDS = Measure("durable APPEND, 10 connections", "appends/s", True, single_appends)
