"""When reports are due."""

import pytest

from mox.mailauth.dmarc.interval import HOURS, due_intervals, interval_hours


@pytest.mark.parametrize(
    ("seconds", "hours"),
    [
        (86400, 24),
        (3600, 1),
        (3601, 2),
        (18000, 4),
        (36000, 8),
        (90000, 24),
        (0, 1),
        (1, 1),
        (25200, 6),
        (2**32 - 1, 24),
    ],
)
@pytest.mark.rfc("7489 §6.3")
def test_wishes(seconds: int, hours: int) -> None:
    assert interval_hours(seconds) == hours


@pytest.mark.parametrize(
    ("hour", "due"),
    [(12, (12, 6, 4, 3, 2, 1)), (0, HOURS), (1, (1,)), (23, (1,)), (8, (8, 4, 2, 1))],
)
def test_hours(hour: int, due: tuple[int, ...]) -> None:
    assert due_intervals(hour) == due


def test_periods_fill_a_day() -> None:
    for interval in HOURS:
        assert sum(interval in due_intervals(hour) for hour in range(24)) * interval == 24
