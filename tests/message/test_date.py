"""Dates of messages, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message.date import format_date, parse_date

JULY = 1_751_364_000_000  # 2025-07-01 10:00:00 UTC


@pytest.mark.rfc("5322 §3.3, §4.3")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Tue, 1 Jul 2025 10:00:00 +0000", (JULY, 0)),
        (b"1 Jul 2025 12:00:00 +0200", (JULY, 120)),
        (b"Tue, 1 Jul 2025 04:30:00 -0530", (JULY, -330)),
        (b"Tue, 01 Jul 2025 10:00 +0000", (JULY, 0)),
        (b"Tue, 1 Jul 2025 10:00:00 +0000 (comment)", (JULY, 0)),
        (b" tue ,1 jul 2025\r\n 10 : 00 : 00 gmt", (JULY, 0)),
        (b"tue, 1 jul 2025\r\n 10 : 00 : 00 gmt", (JULY, 0)),
        (b"Tue, 1 (x) Jul (y) 2025 10:00:00 (z) +0000", (JULY, 0)),
        (b"1 Jul 25 10:00:00 +0000", (JULY, 0)),
        (b"1 Jul 125 10:00:00 +0000", (JULY, 0)),
        (b"21 Nov 97 09:55:06 -0600", (880127706000, -360)),
        (b"1 Jul 2025 06:00:00 EDT", (JULY, -240)),
        (b"1 Jul 2025 02:00:00 PST", (JULY, -480)),
        (b"1 Jul 2025 10:00:00 UT", (JULY, 0)),
        (b"1 Jul 2025 10:00:00 Z", (JULY, 0)),
        (b"1 Jul 2025 10:00:00 A", (JULY, 0)),
        (b"1 Jul 2025 10:00:00 CEST", (JULY, 0)),
        (b"1 Jul 2025 10:00:00 -0000", (JULY, 0)),
        (b"1 Jul 2025 10:00:00", (JULY, 0)),
        (b"Tuesday, 01-Jul-2025 10:00:00 GMT", (JULY, 0)),
        (b"1 July 2025 10:00:00 +00:00", (JULY, 0)),
        (b"Tue 1 Jul 2025 10:00:00 +0000", (JULY, 0)),
        (b"Fri, 1 Jul 2025 10:00:00 +0000", (JULY, 0)),
        (b"1 Jul 2025 09:59:60 +0000", (JULY, 0)),
        # a zone of a day or more counts, and is shown as UTC
        (b"2 Jul 2025 10:00:00 +2400", (JULY, 0)),
        (b"5 Jul 2025 13:00:00 +9900", (JULY, 0)),
        (b"1 Jan 12000 10:00:00 +0000", None),
        (b"31 Dec 9999 23:00:00 -2400", None),
        (b"1 Jan 0001 00:00:00 +2400", None),
        (b"0 Jul 2025 10:00:00 +0000", None),
        (b"31 Jun 2025 10:00:00 +0000", None),
        (b"1 Foo 2025 10:00:00 +0000", None),
        (b"1 Jul 2025 24:00:00 +0000", None),
        (b"1 Jul 2025 10:60:00 +0000", None),
        (b"1 Jul 2025 10:00:61 +0000", None),
        (b"1 Jul 2025", None),
        (b"", None),
        (b"Tue, 1 Jul 2025 10:00:00 +0000" + b" " * 1000, None),
    ],
)
def test_parse(raw: bytes, expected: tuple[int, int] | None) -> None:
    assert parse_date(raw) == expected


def test_format() -> None:
    assert format_date(JULY) == "1 Jul 2025 10:00:00 +0000"
    assert format_date(JULY + 999, 330) == "1 Jul 2025 15:30:00 +0530"
    assert format_date(0, -60) == "31 Dec 1969 23:00:00 -0100"
    with pytest.raises(ValueError, match="zone"):
        format_date(0, 24 * 60)
    with pytest.raises(ValueError, match="year"):
        format_date(10**18)


@given(st.integers(-62_000_000_000, 253_000_000_000), st.integers(-1439, 1439))
def test_what_was_written_reads_the_same(seconds: int, zone: int) -> None:
    assert parse_date(format_date(seconds * 1000, zone).encode()) == (seconds * 1000, zone)
