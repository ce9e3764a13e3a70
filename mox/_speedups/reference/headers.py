"""Header sections and MIME boundaries, plainly: the meaning of headers.pyx.

RFC 5322 §2.2:  a field is a name without spaces, ":", a body; lines that begin with a space or a
tab continue it; an empty line ends the section.
RFC 2046 §5.1.1:  ``delimiter := CRLF "--" boundary``, then optional space; ``close-delimiter :=
delimiter "--"``.  The line end before the dashes belongs to the delimiter.

Line ends are LF, with or without CR before it.
"""

from collections.abc import Set as AbstractSet
from mmap import mmap

# Faults of a header section, as bits.
NO_COLON = 1
LEADING_SPACE = 2
NO_NAME = 4
NO_EMPTY_LINE = 8
UNTERMINATED = 16
AT_BOUNDARY = 32
TOO_LARGE = 64


def _check(data: bytes | mmap | memoryview, start: int, end: int) -> bytes:
    if not 0 <= start <= end <= len(data):
        raise ValueError("range outside of the data")
    return bytes(data[:end])


def _line_at(text: bytes, pos: int) -> tuple[bytes, int]:
    """The line without its LF (but with its CR), and where the next one begins."""
    found = text.find(b"\n", pos)
    return (text[pos:], len(text)) if found < 0 else (text[pos:found], found + 1)


def _is_empty(text: bytes, line: bytes, after: int) -> bool:
    return line in (b"", b"\r") and text[after - 1 : after] == b"\n"


def _match(line: bytes, boundaries: tuple[bytes, ...]) -> tuple[int, bool] | None:
    """(index, is it closing) of the boundary of this line; the innermost, the last one, wins."""
    if not line.startswith(b"--"):
        return None
    for index in range(len(boundaries) - 1, -1, -1):
        if not line.startswith(boundaries[index], 2):
            continue
        rest = line[2 + len(boundaries[index]) :]
        if not rest or rest[:1] in b" \t\r":
            return index, False
        if rest.startswith(b"--"):
            return index, True
    return None


class _Recorder:
    """The fields seen so far, while they are wanted."""

    def __init__(self, parse_end: int, max_fields: int, wanted: AbstractSet[bytes] | None) -> None:
        self.parse_end = parse_end
        self.max_fields = max_fields
        self.wanted = wanted
        self.fields: list[tuple[bytes, int, int, int]] = []
        self.current: tuple[bytes, int, int] | None = None  # name, start, start of value
        self.in_field = False  # a line that begins with space continues something
        self.recording = True
        self.faults = 0

    def close(self, at: int) -> None:
        """The current field ends here."""
        if self.current is not None:
            self.fields.append((*self.current, min(at, self.parse_end)))
            self.current = None

    def stop(self, at: int) -> None:
        """Enough was recorded; the rest is only walked over."""
        self.close(at)
        self.recording = False
        self.faults |= TOO_LARGE

    def is_full(self, pos: int) -> bool:
        """The limits are reached at this line."""
        return pos >= self.parse_end or len(self.fields) >= self.max_fields

    def line(self, line: bytes, pos: int) -> None:
        """Take a line that is not empty and no boundary."""
        if line[:1] in (b" ", b"\t"):
            if not self.in_field:
                self.faults |= LEADING_SPACE
                self.in_field = True  # told once; lines that follow continue nothing either
            return
        self.close(pos)
        if len(self.fields) >= self.max_fields:
            self.stop(pos)
            return
        self.in_field = True
        colon = line.find(b":")
        if colon < 0:
            self.faults |= NO_COLON
        elif colon == 0:
            self.faults |= NO_NAME
        elif pos + colon < self.parse_end:
            name = line[:colon].lower()
            if self.wanted is None or name in self.wanted:
                self.current = (name, pos, pos + colon + 1)


def scan_header(
    data: bytes | mmap | memoryview,
    start: int,
    end: int,
    parse_end: int,
    max_fields: int,
    boundaries: tuple[bytes, ...],
    wanted: AbstractSet[bytes] | None,
) -> tuple[list[tuple[bytes, int, int, int]], int, int, int]:
    """Walk a header section; see headers.pyx."""
    text = _check(data, start, end)
    seen = _Recorder(parse_end, max_fields, wanted)
    lines, pos = 0, start
    while pos < end:
        line, after = _line_at(text, pos)
        if seen.recording and seen.is_full(pos):
            seen.stop(pos)
        if _is_empty(text, line, after):
            seen.close(pos)
            return seen.fields, after, lines + 1, seen.faults
        if _match(line, boundaries) is not None:
            seen.close(pos)
            return seen.fields, pos, lines, seen.faults | AT_BOUNDARY
        if seen.recording:
            seen.line(line, pos)
        lines += text[after - 1 : after] == b"\n"
        pos = after
    seen.close(end)
    faults = seen.faults | NO_EMPTY_LINE
    if end > start and text[-1:] != b"\n":
        faults |= UNTERMINATED
    return seen.fields, end, lines, faults


def header_values(
    data: bytes | mmap | memoryview,
    start: int,
    end: int,
    parse_end: int,
    max_fields: int,
    boundaries: tuple[bytes, ...],
    wanted: AbstractSet[bytes] | None,
) -> tuple[dict[bytes, list[bytes]], int, int, int]:
    """The raw values by name; see headers.pyx."""
    fields, body, lines, faults = scan_header(
        data, start, end, parse_end, max_fields, boundaries, wanted
    )
    values: dict[bytes, list[bytes]] = {}
    for name, _, value, after in fields:
        values.setdefault(name, []).append(bytes(data[value:after]))
    return values, body, lines, faults


def scan_body(
    data: bytes | mmap | memoryview, start: int, end: int, boundaries: tuple[bytes, ...]
) -> tuple[int, int, int, int, bool, int, int, int]:
    """Find the next boundary line; see headers.pyx."""
    text = _check(data, start, end)
    body_end = line_start = line_end = end
    index, closing, longest = -1, False, 0
    pos = start
    while pos < end:
        line, after = _line_at(text, pos)
        found = _match(line, boundaries)
        if found is not None:
            index, closing = found
            body_end, line_start, line_end = pos, pos, after
            break
        longest = max(longest, after - pos)
        pos = after
    if index >= 0 and text[start:line_start].endswith(b"\n"):
        # RFC 2046 §5.1.1: the line end before a boundary belongs to the boundary.
        body_end -= 2 if text[start:line_start].endswith(b"\r\n") else 1
    body = text[start:body_end]
    lines = body.count(b"\n")
    return (
        body_end,
        line_start,
        line_end,
        index,
        closing,
        lines,
        lines - body.count(b"\r\n"),
        longest,
    )


def count_line_ends(data: bytes | mmap | memoryview) -> tuple[int, int]:
    """LF and CRLF; see headers.pyx."""
    text = bytes(data)
    return text.count(b"\n"), text.count(b"\r\n")


def text_before_dot(data: bytes | mmap | memoryview, start: int, end: int) -> tuple[int, bool]:
    """The text up to a line that begins with a dot; see headers.pyx."""
    text = _check(data, start, end)
    found = text.find(b"\n.", start, end)
    stop = end if found < 0 else found + 1
    return stop, text.count(b"\r", start, stop) == text.count(b"\r\n", start, stop)


def filter_fields(
    data: bytes | mmap | memoryview, start: int, end: int, names: list[bytes], exclude: bool
) -> bytes:
    """The lines of some header fields; see headers.pyx."""
    text = _check(data, start, end)
    wanted = {name.lower() for name in names}
    taken = exclude
    out: list[bytes] = []
    pos = start
    while pos < end:
        line, after = _line_at(text, pos)
        if _is_empty(text, line, after):
            out.append(text[pos:after])
            break
        if line[:1] not in (b" ", b"\t"):
            name, colon, _ = line.partition(b":")
            taken = (bool(colon) and name.lower() in wanted) != exclude
        if taken:
            out.append(text[pos:after])
        pos = after
    return b"".join(out)
