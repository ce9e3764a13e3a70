"""The IMAP reader and the grammar behind it: never raises but its own errors; chunks do not matter.

The first byte chooses how message literals are answered and which line limit holds.
"""

import contextlib
from collections.abc import Callable

from mox.base import limits
from mox.imap import append, fetchitem, mailboxname, searchkey
from mox.imap.command import Command
from mox.imap.cursor import Cursor
from mox.imap.errors import BadMailboxName, BadSyntax
from mox.imap.events import (
    Continue,
    Event,
    Line,
    LiteralData,
    LiteralEnd,
    LiteralStart,
    Problem,
    Refused,
    Resume,
    Signal,
)
from mox.imap.pattern import Pattern
from mox.imap.reader import Reader

TARGET_NAME: str = "imap_reader"

SEEDS: tuple[bytes, ...] = (
    b"0a UID FETCH 1:*,$ (UID BODY.PEEK[1.2.HEADER.FIELDS (To \"x\")]<0.5>) (CHANGEDSINCE 5)\r\n",
    b"1a SEARCH RETURN (MIN) CHARSET UTF-8 OR NOT (SEEN 1:3) FROM {3+}\r\nabc\r\n",
    b'2a APPEND {5+}\r\nInbox (\\Seen) " 1-Jan-1970 00:00:00 +0000" UTF8 (~{3+}\r\nabc)\r\nb NOOP\r\n',
    b"3a STORE 1 +FLAGS.SILENT (\\Seen a)\r\nb LIST \"\" %&Jjo-*\r\nc ID (\"a\" NIL)\r\n",
    b"4a AUTHENTICATE PLAIN =\r\nabc\r\nb IDLE\r\nDONE\r\nc SEARCH MODSEQ \"/flags/\\\\x\" all 1\r\n",
)  # fmt: skip

_LIMITS = (limits.IMAP_LINE_BEFORE_LOGIN, 64)
_ANSWERS: tuple[Callable[[Reader], None], ...] = (
    Reader.accept_stream,
    Reader.accept_memory,
    Reader.refuse,
)


def run(data: bytes) -> None:
    """Read as a server would, whole and byte by byte."""
    choice = data[0] if data else 0
    rest = data[1:]
    whole = _events([rest], choice)
    bytewise = _events([rest[at : at + 1] for at in range(len(rest))], choice)
    if whole != bytewise:
        raise AssertionError("other chunks, other events")


def _events(chunks: list[bytes], choice: int) -> list[object]:
    reader = Reader(line_limit=_LIMITS[choice // 8 % 2])
    events: list[object] = []
    for chunk in chunks:
        reader.feed(chunk)
        while True:
            event = reader.next()
            if event is Signal.NEED_DATA:
                break
            if event is Signal.PAUSED:
                # Fatal, or after a command that waits for raw lines.
                if events and events[-1] == "fatal":
                    return events
                was_line = bool(events) and isinstance(events[-1], Line)
                reader.resume(Resume.COMMAND if was_line else Resume.LINE)
                continue
            _collect(reader, event, events, choice)
    return events


def _collect(reader: Reader, event: Event, events: list[object], choice: int) -> None:
    match event:
        case LiteralData():
            if not (events and isinstance(events[-1], bytearray)):
                events.append(bytearray())
            stream = events[-1]
            assert isinstance(stream, bytearray)
            stream += event.data
        case Command():
            events.append((event.tag, event.name, bytes(event.text), event.literals))
            _parse(event)
        case LiteralStart():
            events.append((event.command.tag, event.literal))
            _parse(event.command)
            _ANSWERS[choice % 3](reader)
        case Continue():
            events.append(event.literal)
            if choice % 3 == 2:
                reader.refuse()
        case Problem() | Refused():
            events.append(event if isinstance(event, Problem) else event.command.tag)
            if event.fatal:
                events.append("fatal")
        case Line() | LiteralEnd() | Signal():
            events.append(event)


def _append(cursor: Cursor) -> None:
    cursor.space()
    cursor.mailbox()
    while append.finish(cursor, append.message(cursor)):
        pass


def _fetch(cursor: Cursor) -> None:
    cursor.space()
    cursor.sequence_set().resolve(9)
    cursor.space()
    for item in fetchitem.items(cursor):
        assert getattr(item, "label", None)
    fetchitem.modifiers(cursor)
    cursor.end()


def _search(cursor: Cursor) -> None:
    searchkey.returns(cursor)
    searchkey.program(cursor)


def _store(cursor: Cursor) -> None:
    cursor.space()
    cursor.sequence_set()
    cursor.space()
    cursor.name()
    cursor.space()
    cursor.flags()
    cursor.end()


def _list(cursor: Cursor) -> None:
    cursor.space()
    raw = cursor.mailbox()
    cursor.space()
    pattern = mailboxname.decode_pattern(cursor.list_mailbox(), utf8=False)
    Pattern(pattern).matches("Inbox/a/b")
    name = mailboxname.decode(raw, utf8=False)
    # A name has one form only, but for the case of INBOX.
    if not name.startswith(mailboxname.INBOX):
        assert mailboxname.encode_utf7(name) == raw


def _anything(cursor: Cursor) -> None:
    """Every rule, one after the other, at every argument."""
    while cursor.try_space():
        mark = cursor.mark()
        for rule in _RULES:
            with contextlib.suppress(BadSyntax):
                rule(cursor)
            cursor.back(mark)
        cursor.skip_value()
    cursor.end()


_RULES: tuple[Callable[[Cursor], object], ...] = (
    Cursor.atom,
    Cursor.base64,
    Cursor.nstring,
    Cursor.astring,
    Cursor.list_mailbox,
    Cursor.literal,
    Cursor.number,
    Cursor.nz_number64,
    Cursor.mod_sequence_value,
    Cursor.sequence_set,
    Cursor.flags,
    Cursor.flag_keyword,
    Cursor.date,
    Cursor.date_time,
    Cursor.id_params,
)
_PARSERS: dict[bytes, Callable[[Cursor], None]] = {
    b"APPEND": _append,
    b"FETCH": _fetch,
    b"UID FETCH": _fetch,
    b"SEARCH": _search,
    b"UID SEARCH": _search,
    b"STORE": _store,
    b"LIST": _list,
}


def _parse(command: Command) -> None:
    for parse in (_PARSERS.get(command.name, _anything), _anything):
        try:
            parse(Cursor(command))
        except BadSyntax as e:
            if not 0 <= e.offset <= len(command.text):
                raise AssertionError("offset outside of the command") from e
        except BadMailboxName:
            pass
