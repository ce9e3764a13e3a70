"""Sets of numbers as ranges: ascending, disjoint, not adjacent, inclusive.    The plain twin."""

from collections.abc import Iterable

Ranges = list[tuple[int, int]]
RANGES_MAX = 1 << 24  # ranges of one encoded value; far above what a change set can name


def ranges_of(numbers: Iterable[int]) -> Ranges:
    """Ascending numbers, each once, as ranges.    Errors: ValueError when they do not ascend."""
    ranges: Ranges = []
    first = last = -1
    for number in numbers:
        if first < 0:
            first = last = number
        elif number == last + 1:
            last = number
        elif number <= last:
            raise ValueError("numbers do not ascend")
        else:
            ranges.append((first, last))
            first = last = number
    if first >= 0:
        ranges.append((first, last))
    return ranges


def count_ranges(ranges: Ranges) -> int:
    """How many numbers."""
    return sum(last - first + 1 for first, last in ranges)


def merge_ranges(sets: list[Ranges]) -> Ranges:
    """Union of any sets."""
    merged: Ranges = []
    for first, last in sorted(pair for ranges in sets for pair in ranges):
        if merged and first <= merged[-1][1] + 1:
            if last > merged[-1][1]:
                merged[-1] = (merged[-1][0], last)
        else:
            merged.append((first, last))
    return merged


def intersect_ranges(left: Ranges, right: Ranges) -> Ranges:
    """Numbers in both."""
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
    out: Ranges = []
    j = 0
    for first, last in left:
        while j < len(right) and right[j][1] < first:
            j += 1
        k = j
        while k < len(right) and right[k][0] <= last:
            if right[k][0] > first:
                out.append((first, right[k][0] - 1))
            first = right[k][1] + 1
            k += 1
        if first <= last:
            out.append((first, last))
    return out


def encode_ranges(ranges: Ranges) -> bytes:
    """Compact bytes: per range two varints, distance from the end of the last one and length - 1."""
    out = bytearray()
    previous = 0
    for first, last in ranges:
        for number in (first - previous, last - first):
            if number < 0:
                raise ValueError("ranges do not ascend")
            while number > 0x7F:
                out.append(number & 0x7F | 0x80)
                number >>= 7
            out.append(number)
        previous = last
    return bytes(out)


def decode_ranges(data: bytes) -> Ranges:
    """Ranges of such bytes.    Errors: ValueError when they are damaged."""
    numbers: list[int] = []
    number = shift = 0
    for byte in data:
        number |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            if shift > 63:
                raise ValueError("a number is too long")
        else:
            numbers.append(number)
            number = shift = 0
    if shift or len(numbers) % 2 or len(numbers) > 2 * RANGES_MAX:
        raise ValueError("the bytes end inside a range")
    ranges: Ranges = []
    last = 0
    for distance, length in zip(numbers[::2], numbers[1::2], strict=True):
        first = last + distance
        last = first + length
        ranges.append((first, last))
    return ranges
