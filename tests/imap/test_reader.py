"""The IMAP reader: framing, literals, limits."""

import tracemalloc
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base import limits
from mox.imap.command import Command
from mox.imap.events import (
    NEED_DATA,
    PAUSED,
    Continue,
    Event,
    Line,
    LiteralData,
    LiteralEnd,
    LiteralStart,
    Problem,
    Refused,
    Resume,
)
from mox.imap.reader import Reader


def shape(event: Event) -> object:
    """An event as something that can be compared."""
    match event:
        case Command():
            literals = {at: literal.data for at, literal in event.literals.items()}
            return (
                "command",
                event.tag,
                event.name,
                bytes(event.text),
                bytes(event.kinds),
                literals,
            )
        case Continue() | LiteralStart():
            return (type(event).__name__, event.command.name, event.literal)
        case Refused():
            return ("refused", event.command.tag, event.fatal)
        case _:
            return event


class Session:
    """Answers a reader as a session would, and keeps what it said."""

    def __init__(self, answer: str, line_limit: int) -> None:
        self.reader = Reader(line_limit=line_limit)
        self.answer = answer
        self.events: list[object] = []
        self.streamed = b""

    def drain(self) -> None:
        while True:
            event = self.reader.next()
            if event is NEED_DATA:
                return
            if event is PAUSED:
                if self.events and isinstance(self.events[-1], Problem) and self.events[-1].fatal:
                    return
                if self.events and str(self.events[-1]).startswith("('refused'"):
                    return
                self.reader.resume(
                    Resume.COMMAND if isinstance(self.events[-1], Line) else Resume.LINE
                )
                continue
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, LiteralData):
            self.streamed += event.data
            return
        if isinstance(event, LiteralEnd):
            self.events.append(("streamed", self.streamed))
            self.streamed = b""
            return
        self.events.append(shape(event))
        if isinstance(event, LiteralStart):
            {
                "stream": self.reader.accept_stream,
                "memory": self.reader.accept_memory,
                "refuse": self.reader.refuse,
            }[self.answer]()
        elif isinstance(event, Continue) and self.answer == "refuse":
            self.reader.refuse()


def events(
    chunks: Iterable[bytes], answer: str = "stream", line_limit: int = 65536
) -> list[object]:
    session = Session(answer, line_limit)
    for chunk in chunks:
        session.reader.feed(chunk)
        session.drain()
    return session.events


def only(data: bytes) -> Event:
    reader = Reader()
    reader.feed(data)
    event = reader.next()
    assert reader.next() in {NEED_DATA, PAUSED}
    return event


def problem(data: bytes) -> Problem:
    event = only(data)
    assert isinstance(event, Problem)
    return event


@pytest.mark.rfc("9051 §2.2.1")
def test_a_line_is_tag_name_and_arguments() -> None:
    event = only(b"a.1 fetch 1:* (UID FLAGS)\r\n")
    assert isinstance(event, Command)
    assert (event.tag, event.name) == (b"a.1", b"FETCH")
    assert bytes(event.kinds[event.first :]) == b" w (w w)\0"


def test_uid_and_the_next_word_are_one_name() -> None:
    event = only(b"a uid Fetch 1 UID\r\n")
    assert isinstance(event, Command)
    assert event.name == b"UID FETCH"
    assert only(b"a UID\r\n").name == b"UID"  # type: ignore[union-attr]


def test_lf_alone_ends_a_line() -> None:
    assert shape(only(b"a NOOP\n")) == shape(only(b"a NOOP\r\n"))


@pytest.mark.parametrize(
    ("line", "tag"),
    [
        (b"", None),
        (b" a NOOP", None),
        (b"+ NOOP", None),
        (b"a+b NOOP", None),
        (b"\x01 NOOP", None),
        (b"a", b"a"),
        (b"a ", b"a"),
        (b"a  NOOP", b"a"),
        (b"a NOOP  x", b"a"),
        (b"a (NOOP", b"a"),
        (b'a "NOOP"', b"a"),
        (b"a NO%OP", b"a"),
        (b"a \x7fNOOP", b"a"),
        (b'a LOGIN "x', b"a"),
        (b'a LOGIN "x\\y"', b"a"),
        (b"a LOGIN {5x}", b"a"),
        (b"a LOGIN {}", b"a"),
        (b"a LOGIN {5} x", b"a"),
        (b"a LOGIN x\0y", b"a"),
        (b"a LOGIN x\ry", b"a"),
        (b"a SEARCH )", b"a"),
        (b"a SEARCH " + b"(" * (limits.IMAP_NESTING + 1), b"a"),
    ],
)
def test_ungrammatical_lines_are_problems_and_the_next_is_read(
    line: bytes, tag: bytes | None
) -> None:
    reader = Reader()
    reader.feed(line + b"\r\nb NOOP\r\n")
    event = reader.next()
    assert isinstance(event, Problem)
    assert (event.tag, event.fatal) == (tag, False)
    after = reader.next()
    assert isinstance(after, Command)
    assert after.tag == b"b"


@pytest.mark.rfc("9051 §4.3")
def test_small_literals_become_part_of_the_command() -> None:
    reader = Reader()
    reader.feed(b"a LOGIN {4}\r\n")
    event = reader.next()
    assert isinstance(event, Continue)
    assert event.literal.sync
    assert reader.next() is NEED_DATA
    reader.feed(b"us\r\n {5+}\r\npass)\r\n")
    done = reader.next()
    assert isinstance(done, Command)
    assert [literal.data for literal in done.literals.values()] == [b"us\r\n", b"pass)"]
    assert bytes(done.kinds) == b"w w { {\0"


@pytest.mark.rfc("7888 §4")
@pytest.mark.parametrize(("marker", "fatal"), [(b"{102401}", False), (b"{102401+}", True)])
def test_a_literal_over_the_limit_is_too_big(marker: bytes, fatal: bool) -> None:
    reader = Reader()
    reader.feed(b"a LOGIN " + marker + b"\r\nb NOOP\r\n")
    event = reader.next()
    assert event == Problem(tag=b"a", text="literal too big", code=b"TOOBIG", fatal=fatal)
    after = reader.next()
    assert after is PAUSED if fatal else isinstance(after, Command)


@pytest.mark.parametrize(
    "digits", [b"4294967295", b"9223372036854775808", b"99999999999999999999", b"9" * 5000]
)
def test_huge_literal_sizes_are_too_big(digits: bytes) -> None:
    assert problem(b"a LOGIN {" + digits + b"}\r\n").code == b"TOOBIG"
    append = only(b"a APPEND x {" + digits + b"}\r\n")
    if len(digits) < 19:
        assert isinstance(append, LiteralStart)
        assert append.literal.size == int(digits)
    else:
        assert append == Problem(tag=b"a", text="literal too big", code=b"TOOBIG")


def test_leading_zeros_of_a_literal_size_do_not_count() -> None:
    event = only(b"a LOGIN {" + b"0" * 100 + b"5}\r\n")
    assert isinstance(event, Continue)
    assert event.literal.size == 5


def test_literals_of_a_command_are_limited_in_sum() -> None:
    size = limits.IMAP_LITERAL
    one = b"{%d+}\r\n" % size + b"x" * size + b" "
    reader = Reader()
    reader.feed(b"a X " + one * (limits.IMAP_LITERALS_TOTAL // size) + b"{1+}\r\n")
    event = reader.next()
    assert isinstance(event, Problem)
    assert (event.code, event.fatal) == (b"TOOBIG", True)


def test_literals_of_a_command_are_limited_in_number() -> None:
    reader = Reader(line_limit=1 << 20)
    reader.feed(b"a X" + b" {0+}\r\n" * limits.IMAP_LITERALS_COUNT)
    assert reader.next() is NEED_DATA
    reader.feed(b" {0}\r\n")
    event = reader.next()
    assert isinstance(event, Problem)
    assert event.code == b"TOOBIG"


@pytest.mark.rfc("9051 §6.3.12")
def test_a_message_literal_is_streamed() -> None:
    reader = Reader()
    reader.feed(b"a APPEND Inbox (\\Seen) {10}\r\n")
    start = reader.next()
    assert isinstance(start, LiteralStart)
    assert (start.literal.size, start.literal.sync, start.literal.binary) == (10, True, False)
    assert reader.next() is PAUSED
    reader.accept_stream()
    assert reader.next() is NEED_DATA
    reader.feed(b"01234")
    assert reader.next() == LiteralData(b"01234")
    assert reader.next() is NEED_DATA
    reader.feed(b"56789\r\nb NOOP\r\n")
    assert reader.next() == LiteralData(b"56789")
    assert reader.next() == LiteralEnd()
    done = reader.next()
    assert done is start.command
    assert isinstance(reader.next(), Command)


def test_the_mailbox_of_append_may_be_a_literal() -> None:
    assert events([b"a APPEND {5+}\r\nInbox {3+}\r\nabc\r\n"])[0][1] == b"APPEND"  # type: ignore[index]
    seen = events([b"a APPEND {5+}\r\nInbox {3+}\r\nabc {1+}\r\nd\r\n"])
    assert [event for event in seen if isinstance(event, tuple) and event[0] == "streamed"] == [
        ("streamed", b"abc"),
        ("streamed", b"d"),
    ]


@pytest.mark.rfc("6855 §4")
def test_a_message_literal_within_utf8() -> None:
    reader = Reader()
    reader.feed(b"a APPEND x UTF8 (~{3+}\r\n\0bc)\r\n")
    start = reader.next()
    assert isinstance(start, LiteralStart)
    assert start.literal.binary
    reader.accept_memory()
    done = reader.next()
    assert isinstance(done, Command)
    assert list(done.literals.values())[0].data == b"\0bc"
    assert bytes(done.kinds) == b"w w w w (~)\0"


@pytest.mark.rfc("8508 §3")
def test_replace_has_two_arguments_before_its_message() -> None:
    assert isinstance(only(b"a REPLACE 4 x {3}\r\n"), LiteralStart)
    assert isinstance(only(b"a UID REPLACE 4 x {3}\r\n"), LiteralStart)
    assert isinstance(only(b"a UID REPLACE 4 {3}\r\n"), Continue)


def test_a_refused_synchronising_literal_ends_its_command() -> None:
    reader = Reader()
    reader.feed(b"a APPEND x {3}\r\n")
    start = reader.next()
    assert isinstance(start, LiteralStart)
    reader.refuse()
    assert reader.next() == Refused(start.command)
    reader.feed(b"b NOOP\r\n")
    after = reader.next()
    assert isinstance(after, Command)
    assert after.tag == b"b"


def test_a_refused_literal_is_skipped_by_count_with_all_that_follows() -> None:
    data = b"a APPEND x {12+}\r\nb DELETE x\r\n (\\Seen) {10+}\r\nc LOGOUT\r\n\r\nd NOOP\r\n"
    reader = Reader()
    reader.feed(data)
    start = reader.next()
    assert isinstance(start, LiteralStart)
    reader.refuse()
    assert reader.next() == Refused(start.command)
    after = reader.next()
    assert isinstance(after, Command)
    assert after.tag == b"d"


def test_a_refused_literal_too_large_to_skip_is_fatal_at_once() -> None:
    reader = Reader()
    reader.feed(b"a APPEND x {%d+}\r\n" % (limits.IMAP_LINE_DISCARD + 1))
    start = reader.next()
    assert isinstance(start, LiteralStart)
    reader.refuse()
    assert reader.next() == Refused(start.command, fatal=True)
    assert reader.next() is PAUSED


def test_a_small_literal_can_be_refused_before_its_continuation() -> None:
    reader = Reader()
    reader.feed(b"a LOGIN {4}\r\n")
    event = reader.next()
    assert isinstance(event, Continue)
    reader.refuse()
    assert reader.next() == Refused(event.command)


def test_a_bad_line_before_a_literal_that_comes_anyway_is_fatal() -> None:
    assert problem(b'a APPEND x "y {10+}\r\n').fatal
    assert problem(b'"a" {10+}\r\n').fatal
    assert not problem(b'a APPEND x "y {10}\r\n').fatal


@pytest.mark.parametrize("name", [b"STARTTLS", b"AUTHENTICATE PLAIN", b"COMPRESS DEFLATE", b"IDLE"])
def test_nothing_is_read_after_a_command_that_changes_the_language(name: bytes) -> None:
    reader = Reader()
    reader.feed(b"a " + name + b"\r\nb DELETE x\r\n")
    assert isinstance(reader.next(), Command)
    assert reader.next() is PAUSED
    assert reader.next() is PAUSED
    assert reader.leftover() == b"b DELETE x\r\n"
    assert reader.leftover() == b""
    reader.resume()
    assert reader.next() is NEED_DATA


def test_lines_are_read_one_at_a_time() -> None:
    reader = Reader()
    reader.feed(b"a AUTHENTICATE PLAIN\r\nAGEAYg==\r\n")
    reader.next()
    reader.resume(Resume.LINE)
    assert reader.next() == Line(b"AGEAYg==")
    assert reader.next() is PAUSED
    reader.resume()
    assert reader.next() is NEED_DATA


def test_a_line_up_to_the_limit_is_read_and_a_longer_one_is_not() -> None:
    for size, good in ((100, True), (101, False)):
        line = b"a NOOP ".ljust(size - 2, b"x") + b"\r\n"
        seen = events([line, b"b NOOP\r\n"], line_limit=100)
        first = seen[0]
        if good:
            assert isinstance(first, tuple)
        else:
            assert first == Problem(tag=b"a", text="line too long", code=b"TOOBIG")
        assert seen[1][1] == b"b"  # type: ignore[index]


def test_the_limit_holds_for_all_lines_of_a_command() -> None:
    line = b"a X" + b" {0+}\r\n" * 12 + b" " + b"y" * 20 + b"\r\nb NOOP\r\n"
    seen = events([line], line_limit=100)
    assert seen[0] == Problem(tag=b"a", text="line too long", code=b"TOOBIG")
    assert seen[1][1] == b"b"  # type: ignore[index]


def test_a_limit_raised_by_a_login_holds_for_the_next_command() -> None:
    reader = Reader(line_limit=50)
    reader.feed(b"a LOGIN x y\r\nb NOOP " + b"x" * 100 + b"\r\n")
    assert isinstance(reader.next(), Command)
    reader.line_limit = 1000
    assert isinstance(reader.next(), Command)


def test_a_long_line_does_not_smuggle_its_literal() -> None:
    line = b"a X " + b"y" * 200 + b" {12+}\r\nb DELETE x\r\n\r\nc NOOP\r\n"
    seen = events([line], line_limit=100)
    assert seen[0] == Problem(tag=b"a", text="line too long", code=b"TOOBIG")
    assert seen[1][1] == b"c"  # type: ignore[index]
    assert len(seen) == 2


def test_an_endless_line_is_fatal_past_the_bound() -> None:
    reader = Reader()
    chunk = b"x" * (1 << 20)
    for _ in range(limits.IMAP_LINE_DISCARD >> 20):
        reader.feed(chunk)
        assert reader.next() is NEED_DATA
    reader.feed(b"x")
    event = reader.next()
    assert event == Problem(tag=None, text="line too long", code=b"TOOBIG", fatal=True)
    reader.feed(chunk)
    assert reader.next() is PAUSED
    assert reader.buffered == 0


def test_an_overlong_raw_line_is_a_problem() -> None:
    reader = Reader(line_limit=20)
    reader.feed(b"a IDLE\r\n" + b"x" * 30 + b" {3+}\r\nb NOOP\r\n")
    reader.next()
    reader.resume(Resume.LINE)
    event = reader.next()
    assert isinstance(event, Problem)
    assert event.code == b"TOOBIG"
    assert reader.next() is PAUSED
    reader.resume()
    assert isinstance(reader.next(), Command)


@pytest.mark.parametrize(
    "data", [b"a SEARCH " + b"(" * 10_000_000, b"(" * 10_000_000, b"a " * 5_000_000]
)
def test_memory_stays_flat(data: bytes) -> None:
    reader = Reader(line_limit=limits.IMAP_LINE_AFTER_LOGIN)
    view = memoryview(data)
    tracemalloc.start()
    for at in range(0, len(data), 65536):
        reader.feed(view[at : at + 65536])
        reader.next()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 << 20


def test_a_line_of_many_words_is_limited() -> None:
    reader = Reader(line_limit=limits.IMAP_LINE_AFTER_LOGIN)
    reader.feed(b"a X" + b" 1" * limits.IMAP_TOKENS + b"\r\n")
    event = reader.next()
    assert isinstance(event, Problem)
    assert event.tag == b"a"


PIECES = [
    b"a NOOP\r\n",
    b"b UID FETCH 1 (UID)\n",
    b"c LOGIN {3+}\r\n",
    b"c LOGIN {3}\r\n",
    b"d APPEND x {6+}\r\n",
    b"d APPEND x UTF8 (~{2}\r\n",
    b"e IDLE\r\n",
    b'f X "a\\"b"\r\n',
    b"DONE\r\n",
    b"{7+}\r\n",
    b"x" * 70,
    b"x" * 50 + b"{4+}\r\n",
    b"\0\r\n",
    b"(((",
    b'"',
    b" ",
    b")\r\n",
    b"abc",
]


@given(
    st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join),
    st.lists(st.integers(0, 200), max_size=8),
    st.sampled_from(["stream", "memory", "refuse"]),
)
def test_chunking_does_not_matter(data: bytes, cuts: list[int], answer: str) -> None:
    whole = events([data], answer, line_limit=120)
    bytewise = events([data[at : at + 1] for at in range(len(data))], answer, line_limit=120)
    borders = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    pieces = [data[a:b] for a, b in zip(borders, borders[1:], strict=False)]
    assert bytewise == whole
    assert events(pieces, answer, line_limit=120) == whole
