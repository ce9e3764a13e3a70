"""The SMTP reader and the commands behind it: never raises but CommandError; chunks do not matter."""

import contextlib
from collections.abc import Callable

from mox.smtp import command
from mox.smtp.errors import CommandError
from mox.smtp.reader import (
    BdatEnd,
    DataChunk,
    DataEnd,
    Event,
    LineTooLong,
    Mode,
    Reader,
    Signal,
)

TARGET_NAME: str = "smtp_reader"
SEEDS = (
    b'EHLO [IPv6:::1] x\r\nMAIL FROM:<@a,@b:"q\\""@c> SIZE=5 BODY=8BITMIME SMTPUTF8\r\n',
    b"RCPT TO:<postmaster>\r\nDATA\r\nx\n.\r\n..\r\n.\rx\r\n.\r\nQUIT\r\n",
    b"MAIL FROM:<> BODY=BINARYMIME RET=HDRS ENVID=a+2Bb REQUIRETLS HOLDFOR=7\r\n"
    b"RCPT TO:<a@b> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\x{E9}@b\r\nBDAT 5\r\n\r\n.\r\nBDAT 0 LAST\r\nNOOP\r\n",
    b"MAIL FROM:<> HOLDUNTIL=2026-12-31T23:59:60.5Z\r\nBDAT 9 LAST\r\n\n.\n\0\r.\rDABDAT x\r\nQUIT\r\n",
    b"LHLO x\r\nXFORWARD NAME=a.b ADDR=IPv6:::1 HELO=[UNAVAILABLE] PORT=2+35\r\n",
    b'AUTH PLAIN AGEAYg==\r\nAAAA\r\n*\r\nVRFY "x y" SMTPUTF8\r\nNOOP \xc3\xa9\r\n',
)

PARSERS: dict[bytes, Callable[[bytes], object]] = {
    b"EHLO": lambda rest: command.parse_hello(rest, extended=True),
    b"HELO": lambda rest: command.parse_hello(rest, extended=False),
    b"MAIL": lambda rest: command.parse_mail(rest, exact_end=False),
    b"RCPT": lambda rest: command.parse_rcpt(rest, exact_end=True, smtputf8=len(rest) % 2 == 0),
    b"XFORWARD": command.parse_xforward,
    b"BDAT": lambda rest: command.parse_bdat(rest, exact_end=True),
    b"AUTH": lambda rest: command.parse_auth(rest, exact_end=False),
    b"VRFY": lambda rest: command.parse_verify(rest, exact_end=False),
    b"NOOP": lambda rest: command.parse_optional_string(rest, exact_end=False),
    b"QUIT": lambda rest: command.parse_nothing(rest, exact_end=False),
}


def run(data: bytes) -> None:
    """Read as a server would, whole and in pieces."""
    whole = _events([data])
    size = 1 + (data[0] if data else 0) % 7
    pieces = _events([data[i : i + size] for i in range(0, len(data), size)])
    if whole != pieces:
        raise AssertionError("other chunks, other events")


def _events(chunks: list[bytes]) -> list[object]:
    reader = Reader()
    events: list[object] = []
    for chunk in chunks:
        reader.feed(chunk)
        while True:
            event = reader.next()
            if event is Signal.NEED_DATA:
                break
            if event is Signal.PAUSED:
                return events
            assert not isinstance(event, Signal)
            _collect(reader, event, events)
    return events


def _collect(reader: Reader, event: Event, events: list[object]) -> None:
    if isinstance(event, DataChunk) and events and isinstance(events[-1], bytearray):
        events[-1] += event.content
    elif isinstance(event, DataChunk):
        events.append(bytearray(event.content))
    elif isinstance(event, (DataEnd, BdatEnd, LineTooLong)):
        events.append(event)
    elif isinstance(event, command.Command) and event.verb == b"BDAT":
        events.append(event)
        with contextlib.suppress(CommandError):
            chunk = command.parse_bdat(event.rest, exact_end=False)
            reader.resume(Mode.BDAT, octets=chunk.size)
    elif isinstance(event, command.Command):
        events.append(event)
        _parse(event)
        reader.resume({b"DATA": Mode.DATA, b"AUTH": Mode.AUTH}.get(event.verb, Mode.COMMAND))
    else:
        events.append(event)
        reader.resume(Mode.AUTH if event.line != b"*" else Mode.COMMAND)


def _parse(event: command.Command) -> None:
    parser = PARSERS.get(event.verb)
    if parser is not None:
        with contextlib.suppress(CommandError):
            parser(event.rest)
