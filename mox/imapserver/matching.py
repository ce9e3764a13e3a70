"""Does a message's header or text contain what a SEARCH asks for?    RFC 9051 §6.4.4.

Laws
  Pure functions over content bytes; they block for as long as reading takes and run in threads.
  Case does not count: both sides are lower-cased as Unicode.  A header value matches raw or
  decoded.  A match never looks at more than a chunk at a time, so memory is bounded.
"""

import codecs
import datetime
import re
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from mox.base.limits import HEADER_PARSE
from mox.imap.searchkey import DateTest
from mox.imapserver.decoding import CHUNK, decoded_chunks
from mox.message import charset, encodedword, header, section
from mox.message.buffer import Buffer
from mox.message.date import parse_date
from mox.message.part import Part

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_DAY_MS = 86_400_000
_FOLD = re.compile(rb"\r?\n(?=[ \t])")


class HeaderTest(msgspec.Struct, frozen=True):
    """A field (lower case) contains a text; with an empty text it is there."""

    field: bytes
    text: str


class TextTest(msgspec.Struct, frozen=True):
    """The body contains a text; with ``headers`` the header sections count too."""

    text: str
    headers: bool


class SentTest(msgspec.Struct, frozen=True):
    """The day of the Date field, in its own zone, is before, on, or not before a day."""

    test: DateTest
    day: datetime.date


def match_headers(block: Buffer, tests: Sequence[HeaderTest | SentTest]) -> list[bool]:
    """Which tests hold for a header section, in their order; what follows it is not looked at."""
    names = {test.field if isinstance(test, HeaderTest) else b"date" for test in tests}
    values = header.values_of(block, sorted(names))
    return [
        _field_matches(values.get(test.field, ()), test.text)
        if isinstance(test, HeaderTest)
        else _sent(values.get(b"date", ()), test)
        for test in tests
    ]


def _sent(values: Sequence[bytes], test: SentTest) -> bool:
    """A message without a valid date matches none of the three."""
    found = parse_date(values[0]) if values else None
    if found is None:
        return False
    # RFC 9051 §6.4.4: without regard to time and zone, so the day as it is written.
    day = datetime.date.fromordinal(_EPOCH + (found[0] + found[1] * 60_000) // _DAY_MS)
    match test.test:
        case DateTest.BEFORE:
            return day < test.day
        case DateTest.ON:
            return day == test.day
        case DateTest.SINCE:
            return day >= test.day


def _field_matches(values: Sequence[bytes], text: str) -> bool:
    # RFC 9051 §6.4.4: a zero-length string matches where the field is there.
    if not text:
        return bool(values)
    needle = text.lower()
    return any(_value_contains(value, needle) for value in values)


def _value_contains(value: bytes, needle: str) -> bool:
    if needle in charset.decode(value, b"").lower():
        return True
    return b"=?" in value and needle in encodedword.decode(value).lower()


def match_texts(content: Buffer, tree: Part, tests: Sequence[TextTest]) -> list[bool]:
    """Which text tests hold for a message, in their order; reads no further than it must."""
    results = [not test.text for test in tests]
    open_tests = {index: test.text.lower() for index, test in enumerate(tests) if test.text}
    for block, parts in _sources(content, tree):
        with_header = [index for index in open_tests if tests[index].headers]
        if with_header and block is not None:
            _search((_header_text(block),), with_header, open_tests, results)
        for part, source in parts:
            if open_tests:
                chunks = _lowered(_text_chunks(source, part))
                _search(chunks, list(open_tests), open_tests, results)
        if not open_tests:
            break
    return results


def _search(
    chunks: Iterable[str], indexes: list[int], open_tests: dict[int, str], results: list[bool]
) -> None:
    """Look for open tests in a text that comes in chunks; what is found is open no more."""
    longest = max(len(open_tests[index]) for index in indexes)
    tail = ""
    for chunk in chunks:
        window = tail + chunk
        for index in indexes:
            if open_tests[index] in window:
                results[index] = True
                del open_tests[index]
        indexes = [index for index in indexes if index in open_tests]
        if not indexes:
            return
        # What a needle may begin with: one that lies across two chunks is seen in the next window.
        tail = window[-(longest - 1) :] if longest > 1 else ""


def _sources(
    content: Buffer, tree: Part
) -> Iterator[tuple[memoryview | None, list[tuple[Part, Buffer]]]]:
    """Every part's header section, and the part itself where it is text, with its content."""
    stack: list[tuple[Part, Buffer]] = [(tree, content)]
    while stack:
        part, source = stack.pop()
        block = memoryview(source)[part.header_offset : part.body_offset]
        leaf = part.is_text and not part.parts and part.message is None
        yield block if block.nbytes else None, [(part, source)] if leaf else []
        stack.extend((child, source) for child in reversed(part.parts))
        if part.message is not None:
            inner = section.source(source, (part,)) if part.message_decoded else source
            stack.append((part.message, inner))


def _header_text(block: memoryview) -> str:
    """A header section to search in: raw, and decoded where that differs."""
    raw = _FOLD.sub(b"", bytes(block[:HEADER_PARSE]))
    text = charset.decode(raw, b"").lower()
    if b"=?" not in raw:
        return text
    lines = (encodedword.decode(line).lower() for line in raw.split(b"\n") if b"=?" in line)
    return "\n".join((text, *lines))


def _text_chunks(source: Buffer, part: Part) -> Iterator[str]:
    """The text of a part, decoded piece by piece."""
    name = next((value for key, value in part.params if key == b"charset"), b"")
    chunks = decoded_chunks(source, part.body_offset, part.end_offset, part.encoding or b"")
    if part.body_size <= CHUNK:
        yield charset.decode(b"".join(chunks), name)
        return
    known = charset.codec(name) if name else None
    if known is None or known in ("ascii", "utf-8"):
        # What claims to be ASCII is often UTF-8; an unknown charset keeps its ASCII readable.
        known = "utf-8"
    decoder = codecs.getincrementaldecoder(known)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk)
    yield decoder.decode(b"", True)


def _lowered(chunks: Iterable[str]) -> Iterator[str]:
    for chunk in chunks:
        yield chunk.lower()
