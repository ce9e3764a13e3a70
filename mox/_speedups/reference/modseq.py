"""Sets of numbers (UIDs, sequence numbers, modseqs) as ranges: the plain twin of modseq.pyx.

A set is a list of inclusive ranges, ascending, disjoint and not adjacent; numbers are 0 to 2^63-1,
as far as a modseq goes (RFC 7162 §7).  Where a function says "any order" it brings them into order.
"""

from collections.abc import Iterable
from typing import Final

Ranges = list[tuple[int, int]]

NUMBER_MAX: Final = (1 << 63) - 1
RANGES_MAX: Final = 1 << 24  # ranges of one encoded value; far above what a change set can name
VARINT_MAX: Final = 9  # bytes; 63 bits in groups of seven


def _check(ranges: Ranges) -> None:
    """Refuse what is not ascending and disjoint."""
    floor = 0
    for first, last in ranges:
        if not floor <= first <= last <= NUMBER_MAX:
            raise ValueError("ranges must be ascending, disjoint and below 2^63")
        floor = last + 1


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Ascending numbers, each once, as ranges.    Errors: ValueError when they do not ascend."""
    ranges: Ranges = []
    floor = 0
    for number in numbers:
        if not floor <= number <= NUMBER_MAX:
            raise ValueError("numbers must be ascending and below 2^63")
        if ranges and number == floor:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
        floor = number + 1
    return ranges


def count_ranges(ranges: Ranges) -> int:
    """How many numbers."""
    _check(ranges)
    return sum(last - first + 1 for first, last in ranges)


def merge_ranges(sets: list[Ranges]) -> Ranges:
    """Union of any sets, of ranges in any order.    Cost: n log n."""
    pairs = sorted(pair for ranges in sets for pair in ranges)
    merged: Ranges = []
    for first, last in pairs:
        if not 0 <= first <= last <= NUMBER_MAX:
            raise ValueError("a range must be ascending and below 2^63")
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def intersect_ranges(left: Ranges, right: Ranges) -> Ranges:
    """Numbers in both."""
    _check(left)
    _check(right)
    out: Ranges = []
    i = j = 0
    while i < len(left) and j < len(right):
        first, last = max(left[i][0], right[j][0]), min(left[i][1], right[j][1])
        if first <= last:
            out.append((first, last))
        if left[i][1] < right[j][1]:
            i += 1
        else:
            j += 1
    return out


def subtract_ranges(left: Ranges, right: Ranges) -> Ranges:
    """Numbers of the first that are not in the second."""
    _check(left)
    _check(right)
    out: Ranges = []
    j = 0
    for first, last in left:
        start = first
        while j < len(right) and right[j][1] < start:
            j += 1
        k = j
        while k < len(right) and right[k][0] <= last:
            if right[k][0] > start:
                out.append((start, right[k][0] - 1))
            start = right[k][1] + 1
            k += 1
        # The last one may reach into the next range of the left side.
        j = max(j, k - 1)
        if start <= last:
            out.append((start, last))
    return out


def encode_ranges(ranges: Ranges) -> bytes:
    """Compact bytes: per range two varints, distance from the end of the last one and length - 1.

    A varint is groups of seven bits, lowest first, the high bit set in all bytes but the last.
    """
    _check(ranges)
    if len(ranges) > RANGES_MAX:
        raise ValueError("too many ranges")
    out = bytearray()
    previous = 0
    for first, last in ranges:
        for number in (first - previous, last - first):
            while number > 0x7F:
                out.append(number & 0x7F | 0x80)
                number >>= 7
            out.append(number)
        previous = last
    return bytes(out)


def _varints(data: bytes) -> list[int]:
    numbers: list[int] = []
    number = length = 0
    for byte in data:
        if length == VARINT_MAX:
            raise ValueError("a number is too long")
        number |= (byte & 0x7F) << 7 * length
        length += 1
        if byte < 0x80:
            numbers.append(number)
            number = length = 0
    if length or len(numbers) % 2:
        raise ValueError("the bytes end inside a range")
    return numbers


def decode_ranges(data: bytes) -> Ranges:
    """Ranges of such bytes.    Errors: ValueError when they are damaged."""
    numbers = _varints(data)
    if len(numbers) > 2 * RANGES_MAX:
        raise ValueError("too many ranges")
    ranges: Ranges = []
    last = 0
    for distance, length in zip(numbers[::2], numbers[1::2], strict=True):
        if ranges and not distance:
            raise ValueError("ranges overlap")
        first = last + distance
        last = first + length
        if last > NUMBER_MAX:
            raise ValueError("a number is too large")
        ranges.append((first, last))
    return ranges
