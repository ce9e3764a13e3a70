"""IMAP's two forms of dates.    RFC 9051 §9 date, date-time.

Times are milliseconds since 1970 in UTC; zones are minutes east of Greenwich.
"""

import datetime
import re
from typing import Final

_MONTHS: Final = (
    b"Jan",
    b"Feb",
    b"Mar",
    b"Apr",
    b"May",
    b"Jun",
    b"Jul",
    b"Aug",
    b"Sep",
    b"Oct",
    b"Nov",
    b"Dec",
)
_MONTH_NUMBERS: Final = {name.lower(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})")
_DATE_TIME = re.compile(
    rb"( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4})"
    rb" ([0-9]{2}):([0-9]{2}):([0-9]{2})"
    rb" ([+-])([0-9]{2})([0-9]{2})"
)


def _month(name: bytes) -> int:
    number = _MONTH_NUMBERS.get(name.lower())
    if number is None:
        raise ValueError("no such month")
    return number


def parse_date(text: bytes) -> datetime.date:
    """A day: ``1-Feb-2024``.    Errors: ValueError, also for a day that the month has not."""
    match = _DATE.fullmatch(text)
    if match is None:
        raise ValueError("not a date")
    return datetime.date(int(match[3]), _month(match[2]), int(match[1]))


def parse_date_time(text: bytes) -> tuple[int, int]:
    """A moment and its zone, from the text between the quotes: `` 1-Feb-2024 10:00:00 +0100``.

    Errors  ValueError, also for a field out of range (no day 31 of February, no hour 99).
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        raise ValueError("not a date-time")
    hours, minutes = int(match[8]), int(match[9])
    if hours > 23 or minutes > 59:
        raise ValueError("zone out of range")
    zone = hours * 60 + minutes
    if match[7] == b"-":
        zone = -zone
    moment = datetime.datetime(
        int(match[3]),
        _month(match[2]),
        int(match[1]),
        int(match[4]),
        int(match[5]),
        int(match[6]),
        tzinfo=datetime.UTC,
    )
    return (moment - _EPOCH) // datetime.timedelta(milliseconds=1) - zone * 60_000, zone


def _clamped(ms: int) -> datetime.datetime:
    """The moment; years that four digits cannot write become the nearest that they can."""
    try:
        return _EPOCH + datetime.timedelta(milliseconds=ms)
    except OverflowError:
        end = datetime.datetime.max if ms > 0 else datetime.datetime.min
        return end.replace(tzinfo=datetime.UTC)


def format_date_time(ms: int, zone: int = 0) -> bytes:
    """The form of INTERNALDATE with its quotes; the day is padded with a space.

    Source  RFC 9051 §9 date-day-fixed: two places always.
    """
    moment = _clamped(ms + zone * 60_000)
    sign = b"-" if zone < 0 else b"+"
    hours, minutes = divmod(abs(zone), 60)
    return b'"%2d-%b-%04d %02d:%02d:%02d %b%02d%02d"' % (
        moment.day,
        _MONTHS[moment.month - 1],
        moment.year,
        moment.hour,
        moment.minute,
        moment.second,
        sign,
        hours,
        minutes,
    )
