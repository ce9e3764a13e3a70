"""Log lines: one event is one line, whatever a peer sent and whatever the disk does."""

import asyncio
import errno
import io
import json
import re
from collections.abc import Iterator

import pytest

from mox.base import log


class Output(io.StringIO):
    """A file whose disk may be full."""

    full = False

    def flush(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def output() -> Iterator[Output]:
    made = Output()
    log.configure(output=made)
    yield made
    log.configure()


HOSTILE = [
    "a\r\nlevel=info event=forged",
    'x" event=forged',
    'x\\" event=forged',
    'x\\\\" event=forged y="',
    "event=forged",
    "a\\ event=forged",
    "\x1b[2J\x07\x00 b",
    "\x85\u2028\u2029\u202e b",
    "\udc80\ufffe",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_value_stays_one_value(output: Output, text: str) -> None:
    for value in (text, text.encode("utf-8", "surrogateescape") if "\ufffe" not in text else b"x"):
        output.seek(0)
        output.truncate()
        log.get_logger("area").info("real", user=value, last=1)
        (line,) = output.getvalue().splitlines()
        assert line.isprintable()
        fields = re.findall(r'([a-z]+)=("(?:[^"\\]|\\.)*"|[^" ]*)(?: |$)', line)
        assert [name for name, _ in fields] == [
            "timestamp",
            "level",
            "event",
            "area",
            "user",
            "last",
        ]


@pytest.mark.parametrize("text", HOSTILE)
def test_json_lines_too(output: Output, text: str) -> None:
    log.configure(output=output, json=True)
    log.get_logger("area").info("real", user=text)
    (line,) = output.getvalue().splitlines()
    assert line.isascii()
    assert json.loads(line)["event"] == "real"


VALUES = [
    *HOSTILE,
    *[text.encode("utf-8", "replace") for text in HOSTILE],
    "",
    "\\",
    'a"',
    None,
    True,
    False,
    0,
    1.5,
    -3,
]


@pytest.mark.parametrize("value", VALUES)
def test_the_short_way_writes_what_the_library_writes(output: Output, value: object) -> None:
    """A field that is bound as well takes the long way."""
    log.get_logger("area").bind(first=value).info("real", user=value, last=1)
    log.get_logger("area").bind(first=value, last=2).info("real", user=value, last=1)
    short, long = [line.partition(" ")[2] for line in output.getvalue().splitlines()]
    level, event, area, *_ = long.split(" ")
    assert (level, event, area) == ("level=info", "event=real", "area=area")
    assert sorted(re.findall(r'[a-z]+(?:="(?:[^"\\]|\\.)*"|=[^" ]*)?', short)) == sorted(
        re.findall(r'[a-z]+(?:="(?:[^"\\]|\\.)*"|=[^" ]*)?', long)
    )


def test_a_trace_is_one_line(output: Output) -> None:
    try:
        raise ValueError("first\nevent=forged")
    except ValueError as e:
        log.get_logger("area").error("broken", e)
    (line,) = output.getvalue().splitlines()
    assert "ValueError" in line


def test_a_log_that_cannot_be_written_stops_nobody(output: Output) -> None:
    logger = log.get_logger("area")
    output.full = True
    for _ in range(3):
        logger.info("lost")
    output.full = False
    logger.info("again")
    logger.info("more")
    events = re.findall(r"event=\S+.*", output.getvalue())[-3:]
    assert [event.split()[0] for event in events] == [
        "event=again",
        "event=log.unwritten",
        "event=more",
    ]
    assert events[1].endswith("lines=3")


def events(output: Output) -> list[str]:
    return re.findall(r"event=(\S+)", output.getvalue())


async def test_lines_of_a_turn_are_written_together(output: Output) -> None:
    logger = log.get_logger("area")
    logger.info("one")
    logger.info("two")
    assert events(output) == []
    await asyncio.sleep(0)
    assert events(output) == ["one", "two"]


async def test_a_warning_is_written_at_once_and_in_its_place(output: Output) -> None:
    logger = log.get_logger("area")
    logger.info("one")
    logger.warn("two")
    assert events(output) == ["one", "two"]
    logger.info("three")
    await asyncio.to_thread(logger.info, "four")
    assert events(output) == ["one", "two", "three", "four"]


def test_lines_of_a_loop_that_ended_are_written(output: Output) -> None:
    async def say(event: str) -> None:
        log.get_logger("area").info(event)

    for event in ("one", "two"):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(say(event))
        loop.close()
    log.configure(output=output)
    assert events(output) == ["one", "two"]
