"""How often a domain wants reports, and when they are due.    RFC 7489 §6.3, ri; §7.2.

Reports are sent at whole hours, at the same ones every day, so that periods do not overlap.
"""

from typing import Final

HOURS: Final = (24, 12, 8, 6, 4, 3, 2, 1)
"""Lengths of periods; each divides a day."""


def interval_hours(seconds: int) -> int:
    """The length of the periods for a wish in seconds: rounded up to hours, then the next shorter."""
    wanted = -(-seconds // 3600)
    return next((hours for hours in HOURS if hours <= wanted), 1)


def due_intervals(hour: int) -> tuple[int, ...]:
    """The periods that end at an hour of the day, UTC.    Input: 0 to 23; midnight ends all of them."""
    return tuple(hours for hours in HOURS if (hour or 24) % hours == 0)
