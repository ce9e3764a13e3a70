"""Dates and date-times."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import dates


@pytest.mark.rfc("9051 §9")
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        (b" 1-Jan-1970 00:00:00 +0000", (0, 0)),
        (b"01-jan-1970 01:30:00 +0130", (0, 90)),
        (b"31-DEC-1969 19:00:00 -0500", (0, -300)),
        (b"29-Feb-2024 23:59:59 +0000", (1709251199000, 0)),
    ],
)
def test_date_time(text: bytes, moment: tuple[int, int]) -> None:
    assert dates.parse_date_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        b"31-Feb-2024 00:00:00 +0000",
        b"29-Feb-2023 00:00:00 +0000",
        b" 0-Jan-2024 00:00:00 +0000",
        b" 1-Jan-2024 24:00:00 +0000",
        b" 1-Jan-2024 00:60:00 +0000",
        b" 1-Jan-2024 00:00:61 +0000",
        b" 1-Jan-2024 00:00:00 +9900",
        b" 1-Jan-2024 00:00:00 +0099",
        b" 1-Jan-2024 00:00:00 0000",
        b" 1-Jan-0000 00:00:00 +0000",
        b" 1-Xxx-2024 00:00:00 +0000",
        b"1-Jan-2024 00:00:00 +0000",
        b" 1-Jan-2024  00:00:00 +0000",
        b" 1-Jan-2024 00:00:00 +0000 ",
        b"",
    ],
)
def test_bad_date_time(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        dates.parse_date_time(text)


def test_bad_dates() -> None:
    for text in (b"", b"1-Jan", b"0-Jan-2024", b"32-Jan-2024", b"001-Jan-2024", b"1-Jan-0000"):
        with pytest.raises(ValueError, match=r"."):
            dates.parse_date(text)


def test_the_day_is_padded_with_a_space() -> None:
    assert dates.format_date_time(0) == b'" 1-Jan-1970 00:00:00 +0000"'
    assert dates.format_date_time(0, -90) == b'"31-Dec-1969 22:30:00 -0130"'
    assert dates.format_date_time(-1) == b'"31-Dec-1969 23:59:59 +0000"'


def test_years_that_cannot_be_written_are_clamped() -> None:
    assert b"-9999 " in dates.format_date_time(1 << 62)
    assert b"-0001 " in dates.format_date_time(-(1 << 62))


@given(
    st.datetimes(datetime.datetime(2, 1, 1), datetime.datetime(9998, 1, 1)),
    st.integers(-23 * 60, 23 * 60),
)
def test_written_is_read_back(moment: datetime.datetime, zone: int) -> None:
    ms = int((moment - datetime.datetime(1970, 1, 1)).total_seconds()) * 1000
    written = dates.format_date_time(ms, zone)
    assert dates.parse_date_time(written[1:-1]) == (ms, zone)
