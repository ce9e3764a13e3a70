from collections.abc import Set as AbstractSet
from mmap import mmap

NO_COLON: int
LEADING_SPACE: int
NO_NAME: int
NO_EMPTY_LINE: int
UNTERMINATED: int
AT_BOUNDARY: int
TOO_LARGE: int

def scan_header(
    data: bytes | mmap | memoryview,
    start: int,
    end: int,
    parse_end: int,
    max_fields: int,
    boundaries: tuple[bytes, ...],
    wanted: AbstractSet[bytes] | None,
) -> tuple[list[tuple[bytes, int, int, int]], int, int, int]: ...
def header_values(
    data: bytes | mmap | memoryview,
    start: int,
    end: int,
    parse_end: int,
    max_fields: int,
    boundaries: tuple[bytes, ...],
    wanted: AbstractSet[bytes] | None,
) -> tuple[dict[bytes, list[bytes]], int, int, int]: ...
def scan_body(
    data: bytes | mmap | memoryview,
    start: int,
    end: int,
    boundaries: tuple[bytes, ...],
) -> tuple[int, int, int, int, bool, int, int, int]: ...
def count_line_ends(data: bytes | mmap | memoryview) -> tuple[int, int]: ...
def text_before_dot(data: bytes | mmap | memoryview, start: int, end: int) -> tuple[int, bool]: ...
def filter_fields(
    data: bytes | mmap | memoryview,
    start: int,
    end: int,
    names: list[bytes],
    exclude: bool,
) -> bytes: ...
