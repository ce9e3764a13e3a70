from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.base.limits import SMTP_AUTH_DISCARD, SMTP_AUTH_LINE, SMTP_LINE
from mox.smtp.command import Command, parse_bdat
from mox.smtp.errors import CommandError
from mox.smtp.reader import (
    AuthLine,
    BdatEnd,
    DataChunk,
    DataEnd,
    Event,
    LineTooLong,
    Mode,
    Reader,
    Signal,
)


def drain(reader: Reader) -> list[Event]:
    """All events up to NEED_DATA; DATA and BDAT are always accepted, other pauses are left as they are."""
    events: list[Event] = []
    while not isinstance(event := reader.next(), Signal):
        events.append(event)
        if event == Command(b"DATA", b""):
            reader.resume(Mode.DATA)
        elif isinstance(event, Command) and event.verb == b"BDAT":
            try:
                reader.resume(Mode.BDAT, octets=parse_bdat(event.rest, exact_end=False).size)
            except CommandError:
                break
    return events


def events_of(chunks: Sequence[bytes]) -> list[Event]:
    reader = Reader()
    events: list[Event] = []
    for chunk in chunks:
        reader.feed(chunk)
        events += drain(reader)
    return events


def joined(events: list[Event]) -> list[Event]:
    """Neighbouring chunks as one: where they are cut is not promised."""
    out: list[Event] = []
    for event in events:
        if isinstance(event, DataChunk) and out and isinstance(out[-1], DataChunk):
            out[-1] = DataChunk(out[-1].content + event.content)
        else:
            out.append(event)
    return out


def message(raw: bytes) -> tuple[bytes, bool, bytes]:
    """Content, smuggling and what follows of DATA input; the end must be there."""
    reader = Reader()
    reader.resume(Mode.DATA)
    reader.feed(raw)
    content = b""
    while isinstance(event := reader.next(), DataChunk):
        content += event.content
    assert isinstance(event, DataEnd)
    return content, event.smuggling, reader.leftover()


def test_lines_end_with_lf_and_an_optional_cr() -> None:
    assert events_of([b"noop\r\nMAIL from:<a@b>\nRsEt\r\n"]) == [
        Command(b"NOOP", b""),
        Command(b"MAIL", b" from:<a@b>"),
        Command(b"RSET", b""),
    ]


def test_the_line_limit_counts_the_line_end() -> None:
    longest = b"NOOP " + b"x" * (SMTP_LINE - 7) + b"\r\n"
    assert events_of([longest]) == [Command(b"NOOP", longest[4:-2])]
    assert events_of([b"NOOP " + b"x" * (SMTP_LINE - 6) + b"\r\n"]) == [
        LineTooLong(auth=False, resumable=False)
    ]


def test_an_endless_line_is_refused_without_its_end_and_nothing_follows() -> None:
    reader = Reader()
    reader.feed(b"x" * SMTP_LINE)
    assert reader.next() is Signal.NEED_DATA
    reader.feed(b"x")
    assert reader.next() == LineTooLong(auth=False, resumable=False)
    reader.feed(b"\r\nNOOP\r\n")
    assert reader.next() is Signal.PAUSED


@pytest.mark.rfc("4954 §4")
def test_an_authentication_line_may_be_longer_and_is_skipped_when_too_long() -> None:
    line = b"AUTH PLAIN " + b"A" * (SMTP_AUTH_LINE - 13) + b"\r\n"
    assert len(line) == SMTP_AUTH_LINE
    assert events_of([line]) == [Command(b"AUTH", line[4:-2])]
    assert events_of([b"auth PLAIN A" + line[11:] + b"NOOP\r\n"]) == [
        LineTooLong(auth=True, resumable=True),
        Command(b"NOOP", b""),
    ]


def test_an_endless_authentication_line_is_given_up() -> None:
    reader = Reader()
    reader.resume(Mode.AUTH)
    for _ in range(SMTP_AUTH_DISCARD // 4096):
        reader.feed(b"A" * 4096)
        assert reader.next() is Signal.NEED_DATA
        assert len(reader.leftover()) <= SMTP_AUTH_LINE
    reader.feed(b"A")
    assert reader.next() == LineTooLong(auth=True, resumable=False)


@pytest.mark.rfc("3207 §4.2")
def test_reading_pauses_after_starttls_and_the_rest_is_left_over() -> None:
    reader = Reader()
    reader.feed(b"STARTTLS\r\nEHLO x\r\n")
    assert reader.next() == Command(b"STARTTLS", b"")
    assert reader.next() is Signal.PAUSED
    assert reader.leftover() == b"EHLO x\r\n"


def test_an_authentication_exchange_goes_line_by_line() -> None:
    reader = Reader()
    reader.feed(b"AUTH LOGIN\r\nbW94\r\n*\r\nNOOP\r\n")
    assert reader.next() == Command(b"AUTH", b" LOGIN")
    assert reader.next() is Signal.PAUSED
    reader.resume(Mode.AUTH)
    assert reader.next() == AuthLine(b"bW94")
    assert reader.next() is Signal.PAUSED
    reader.resume(Mode.AUTH)
    assert reader.next() == AuthLine(b"*")
    reader.resume(Mode.COMMAND)
    assert reader.next() == Command(b"NOOP", b"")


def test_a_refused_data_command_is_followed_by_commands() -> None:
    reader = Reader()
    reader.feed(b"DATA\r\nRSET\r\n")
    assert reader.next() == Command(b"DATA", b"")
    assert reader.next() is Signal.PAUSED
    reader.resume(Mode.COMMAND)
    assert reader.next() == Command(b"RSET", b"")


@pytest.mark.rfc("5321 §4.5.2")
@pytest.mark.parametrize(
    ("raw", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"a\r\n.\r\n", b"a\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...a\r\n.b\r\n.\r\n", b"..a\r\nb\r\n"),
        (b"a.\r\n.\r\n", b"a.\r\n"),
        (b"a\nb\r\n.\r\n", b"a\nb\r\n"),  # a bare LF is repaired elsewhere
        (b"a\n..b\r\n.\r\n", b"a\n..b\r\n"),  # no line after CRLF: the dots are content
        (b"a\n.b\r\n.\r\n", b"a\n.b\r\n"),
    ],
)
def test_message_data_without_its_transparency(raw: bytes, content: bytes) -> None:
    assert message(raw + b"QUIT\r\n") == (content, False, b"QUIT\r\n")


@pytest.mark.rfc("5321 §2.3.8")
@pytest.mark.parametrize(
    "raw",
    [
        b"a\r\n.\nMAIL FROM:<x@y>\r\n.\r\n",
        b"a\n.\nMAIL FROM:<x@y>\r\n.\r\n",
        b"a\r.\rMAIL FROM:<x@y>\r\n.\r\n",
        b"a\n.\r\nMAIL FROM:<x@y>\r\n.\r\n",
        b".\nMAIL FROM:<x@y>\r\n.\r\n",
        b"a\rb\r\n.\r\n",
        b"a\r\r\n.\r\n",
        b"a\r\n.\r.\r\n.\r\n",
        b"a\r\n\r\n.\r\r\n.\r\n",
    ],
)
def test_smuggling_marks_the_message_and_ends_nothing(raw: bytes) -> None:
    _, smuggling, leftover = message(raw + b"QUIT\r\n")
    assert smuggling
    assert leftover == b"QUIT\r\n"


def test_a_cr_at_the_end_of_a_chunk_is_judged_with_the_next_byte() -> None:
    reader = Reader()
    reader.resume(Mode.DATA)
    reader.feed(b"a" * 4095 + b"\r")
    assert reader.next() == DataChunk(b"a" * 4095)
    assert reader.next() is Signal.NEED_DATA
    reader.feed(b"\n.\r\n")
    assert reader.next() == DataChunk(b"\r\n")
    assert reader.next() == DataEnd(smuggling=False)


def test_data_is_not_kept() -> None:
    reader = Reader()
    reader.resume(Mode.DATA)
    total = 0
    for _ in range(100):
        reader.feed(b"0123456789abcde\r\n" * 1000)
        while isinstance(event := reader.next(), DataChunk):
            total += len(event.content)
        assert len(reader.leftover()) <= 3
    assert total == 1_700_000


def test_commands_may_follow_the_message_at_once() -> None:
    raw = b"DATA\r\nx\r\n.\r\nMAIL FROM:<>\r\n"
    assert events_of([raw]) == [
        Command(b"DATA", b""),
        DataChunk(b"x\r\n"),
        DataEnd(smuggling=False),
        Command(b"MAIL", b" FROM:<>"),
    ]


@pytest.mark.rfc("3030 §2")
@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"\r\n.\r\n",
        b".\r\nQUIT\r\n",
        b"\n.\n\r.\r\0",
        b"..x\r\n",
        b"x" * 70_000,
        b"BDAT 5\r\n",
    ],
)
def test_octets_are_counted_and_nothing_in_them_means_anything(octets: bytes) -> None:
    raw = b"bdat %d last\r\n%sNOOP\r\n" % (len(octets), octets)
    for size in (1, 7, len(raw)):
        if size == 1 and len(raw) > 1000:
            continue
        found = joined(events_of([raw[at : at + size] for at in range(0, len(raw), size)]))
        content = [DataChunk(octets)] if octets else []
        command = Command(b"BDAT", b" %d last" % len(octets))
        assert found == [command, *content, BdatEnd(), Command(b"NOOP", b"")]


def test_octets_are_not_kept() -> None:
    reader = Reader()
    reader.resume(Mode.BDAT, octets=10_000_000)
    for _ in range(100):
        reader.feed(b"x" * 100_000)
        assert reader.next() == DataChunk(b"x" * 100_000)
        assert reader.leftover() == b""
    assert reader.next() == BdatEnd()
    assert reader.next() is Signal.NEED_DATA


def test_a_pause_after_bdat_until_somebody_says_how_much() -> None:
    reader = Reader()
    reader.feed(b"BDAT 4\r\nNOOP\r\n")
    assert reader.next() == Command(b"BDAT", b" 4")
    assert reader.next() is Signal.PAUSED
    reader.resume(Mode.BDAT, octets=4)
    assert reader.next() == DataChunk(b"NOOP")
    assert reader.next() == BdatEnd()
    reader.resume(Mode.COMMAND)
    assert reader.next() == Command(b"", b"")


PIECES = st.sampled_from(
    [
        b"BDAT 0\r\n",
        b"BDAT 3 LAST\r\n",
        b"bdat 17\r\n",
        b"BDAT 4000\r\n",
        b"DATA\r\n",
        b".",
        b"\r",
        b"\n",
        b"\r\n",
        b"\r\n.\r\n",
        b"a",
        b"NOOP",
        b"AUTH ",
        b"x" * 3000,
    ]
)


@given(st.lists(PIECES, max_size=40), st.lists(st.integers(0, 60_000), max_size=20))
def test_other_chunks_same_events(pieces: list[bytes], cuts: list[int]) -> None:
    raw = b"".join(pieces)
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    chunks = [raw[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert joined(events_of(chunks)) == joined(events_of([raw]))


@given(st.lists(PIECES, max_size=25))
def test_byte_by_byte_same_events(pieces: list[bytes]) -> None:
    raw = b"".join(pieces).replace(b"x" * 3000, b"x" * 30)
    single = [raw[i : i + 1] for i in range(len(raw))]
    assert joined(events_of(single)) == joined(events_of([raw]))


@given(st.binary(max_size=200), st.booleans())
def test_any_content_survives_the_wire(content: bytes, last: bool) -> None:
    lines = content.replace(b"\r", b"").split(b"\n")
    text = b"".join(line + b"\r\n" for line in lines)
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert message(stuffed + b".\r\n") == (text, False, b"")


def plainly(data: bytes) -> tuple[bytes, bool, bytes]:
    """The rules of message data, byte by byte."""
    content = bytearray()
    smuggling = False
    start: bytes | None = b"\r\n"  # the line end before this place
    at = 0
    while True:
        if start == b"\r\n" and data[at : at + 3] == b".\r\n":
            return bytes(content), smuggling, data[at + 3 :]
        if start is not None:
            after_lf = start == b"\n" and data[at : at + 3] == b".\r\n"
            smuggling = smuggling or after_lf or data[at : at + 2] == b".\n"
            at += start == b"\r\n" and data[at : at + 1] == b"."
            start = None
        bare_cr = data[at : at + 1] == b"\r" and data[at + 1 : at + 2] != b"\n"
        smuggling = smuggling or bare_cr
        content.append(data[at])
        at += 1
        if content.endswith(b"\n"):
            start = b"\r\n" if content.endswith(b"\r\n") else b"\n"


LINE_ENDS = st.sampled_from([b".", b"\r", b"\n", b"\r\n", b"a", b"\r\n.", b".\r\n", b"\r\n.\r\n"])


@given(st.lists(LINE_ENDS, max_size=14), st.integers(1, 6))
@settings(max_examples=500)
def test_message_data_is_read_as_the_rules_say(parts: list[bytes], size: int) -> None:
    raw = b"".join(parts) + b"\r\n.\r\nQUIT\r\n"
    reader = Reader()
    reader.resume(Mode.DATA)
    content, end = b"", None
    for start in range(0, len(raw), size):
        reader.feed(raw[start : start + size])
        while end is None and not isinstance(event := reader.next(), Signal):
            if isinstance(event, DataChunk):
                content += event.content
            else:
                assert isinstance(event, DataEnd)
                end = event
    assert end is not None
    assert (content, end.smuggling, reader.leftover()) == plainly(raw)
