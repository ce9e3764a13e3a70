"""Date and time of a message: read leniently, written strictly.    RFC 5322 §3.3, §4.3."""

import re
from datetime import date
from functools import lru_cache

from mox.message.header import unfold
from mox.message.parameters import without_comments

_MONTHS = (
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun",
    b"jul", b"aug", b"sep", b"oct", b"nov", b"dec",
)  # fmt: skip
_MONTH_NUMBER = {name: number for number, name in enumerate(_MONTHS, 1)}
_ZONE_HOURS = {
    b"edt": -4, b"est": -5, b"cdt": -5, b"cst": -6,
    b"mdt": -6, b"mst": -7, b"pdt": -7, b"pst": -8,
}  # fmt: skip
_DATE_TIME = re.compile(
    rb"(?:[a-z]{2,9}+[ ]?[,.]?[ ]?)?+"  # the weekday is not checked: many are wrong
    rb"(\d{1,2})[ -]([a-z]{3})[a-z]{0,6}+\.?[ -](\d{2,5})[ ]"
    rb"(\d{1,2})[ ]?:[ ]?(\d{2})(?:[ ]?:[ ]?(\d{2}))?+"
    rb"(?:[ ]?([+-])(\d{2}):?(\d{2})|[ ]?([a-z]{1,5}))?+(?![a-z\d])"
)
_DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_MAX_INPUT = 1000  # bytes; a longer value is no date


def parse_date(raw: bytes) -> tuple[int, int] | None:
    """The instant in ms since 1970 (UTC) and the zone in minutes east; None for no valid date.

    Accepted beyond the grammar: no weekday or a wrong one, years of two or three digits, no seconds,
    no zone (taken as UTC), names of zones, "-" between day, month and year, anything behind.
    A zone of 24 hours or more counts for the instant but is given as 0.  A year over 9999 is none.
    """
    if len(raw) > _MAX_INPUT:
        return None
    text = b" ".join(without_comments(unfold(raw)).split()).lower()
    match = _DATE_TIME.match(text)
    if match is None:
        return None
    day_ms = _day(match)
    time_ms = _time(match)
    if day_ms is None or time_ms is None:
        return None
    zone = _zone(match)
    utc_ms = day_ms + time_ms - zone * 60_000
    if not _is_sane(utc_ms):
        return None
    return utc_ms, zone if abs(zone) < 24 * 60 else 0


def _day(match: re.Match[bytes]) -> int | None:
    year, month = int(match[3]), _MONTH_NUMBER.get(match[2])
    if month is None or year > 9999:
        return None
    # RFC 5322 §4.3: two digits are 2000..2049 and 1950..1999, three count from 1900
    if len(match[3]) == 2:
        year += 2000 if year < 50 else 1900
    elif len(match[3]) == 3:
        year += 1900
    try:
        return (date(year, month, int(match[1])).toordinal() - _EPOCH) * _DAY_MS
    except ValueError:
        return None


def _time(match: re.Match[bytes]) -> int | None:
    hour, minute, second = int(match[4]), int(match[5]), int(match[6] or 0)
    if hour > 23 or minute > 59 or second > 60:  # RFC 5322 §3.3: 60 is a leap second
        return None
    return ((hour * 60 + minute) * 60 + second) * 1000


def _zone(match: re.Match[bytes]) -> int:
    """Minutes east of UTC.    RFC 5322 §4.3: unknown names count as -0000."""
    if match[7] is not None:
        minutes = int(match[8]) * 60 + int(match[9])
        return -minutes if match[7] == b"-" else minutes
    return _ZONE_HOURS.get(match[10] or b"", 0) * 60


def _is_sane(utc_ms: int) -> bool:
    return 1 <= utc_ms // _DAY_MS + _EPOCH <= date.max.toordinal()


def format_date(utc_ms: int, zone_minutes: int = 0) -> str:
    """``2 Jan 2006 15:04:05 -0700``: RFC 5322 §3.3 without the optional weekday.

    Errors  ValueError where the local time falls outside of the years 1 to 9999 or the zone is a
            day or more.
    """
    return _written(utc_ms // 1000, zone_minutes)


@lru_cache(maxsize=16)  # mostly now, asked for by all messages of the second
def _written(utc_s: int, zone_minutes: int) -> str:
    if abs(zone_minutes) >= 24 * 60:
        raise ValueError("zone of a day or more")
    local_ms = (utc_s + zone_minutes * 60) * 1000
    if not _is_sane(local_ms):
        raise ValueError("year outside of 1 to 9999")
    days, rest = divmod(local_ms, _DAY_MS)
    day = date.fromordinal(days + _EPOCH)
    seconds = rest // 1000
    hours, minutes = divmod(abs(zone_minutes), 60)
    return (
        f"{day.day} {_MONTHS[day.month - 1].decode().capitalize()} {day.year:04d}"
        f" {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        f" {'-' if zone_minutes < 0 else '+'}{hours:02d}{minutes:02d}"
    )
