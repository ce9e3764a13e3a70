"""Dates: a moment of the calendar that reads back the same, or nothing."""

from mox.message.date import format_date, parse_date

TARGET_NAME: str = "dates"
SEEDS = (
    b"Tue, 1 Jul 2025 10:00:00 +0200 (CEST)",
    b"Fri, 21 Nov 97 09(comment):   55  :  06 EST",
    b"31-Dec-9999 23:59:60 -2400",
)


def run(data: bytes) -> None:
    """As the value of a field."""
    found = parse_date(data)
    if found is None:
        return
    utc_ms, zone = found
    if abs(zone) >= 24 * 60 or utc_ms % 1000:
        raise AssertionError("no zone, or no whole second")
    if parse_date(format_date(utc_ms, zone).encode()) != found:
        raise AssertionError("does not read back")
