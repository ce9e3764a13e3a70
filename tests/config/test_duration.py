"""Lengths of time.    spec/config.md section 1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.config.duration import Duration


@pytest.mark.parametrize(
    ("text", "ms", "canonical"),
    [
        ("300ms", 300, "300ms"),
        ("15s", 15_000, "15s"),
        ("10m", 600_000, "10m"),
        ("72h", 259_200_000, "72h"),
        ("1h30m", 5_400_000, "1h30m"),
        ("24h0m0s", 86_400_000, "24h"),
        ("90m", 5_400_000, "1h30m"),
        ("7m30s", 450_000, "7m30s"),
        ("1h1m1s1ms", 3_661_001, "1h1m1s1ms"),
        ("5m1ms", 300_001, "5m1ms"),
        ("0s", 0, "0s"),
        ("0", 0, "0s"),
    ],
)
def test_read_and_written(text: str, ms: int, canonical: str) -> None:
    duration = Duration(text)
    assert duration.ms == ms
    assert duration.seconds == ms / 1000
    assert bool(duration) is (ms > 0)
    assert str(duration) == canonical
    assert duration == Duration(canonical)
    assert hash(duration) == hash(Duration(canonical))


@pytest.mark.parametrize(
    "text", ["", "15", "s", "1.5h", "-1s", "1d", "30m1h", "1 h", "1h ", "1H", "٣s", "1s2s", "1ms1s"]
)
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        Duration(text)


def test_too_long() -> None:
    assert Duration("87600h").seconds == 10 * 365 * 86_400
    with pytest.raises(ValueError, match="longer than 3650 days"):
        Duration("87600h1ms")
    with pytest.raises(ValueError, match="not a duration"):
        Duration("9" * 5000 + "h")


@given(st.integers(min_value=0, max_value=10 * 365 * 86_400_000))
def test_every_length_can_be_written(ms: int) -> None:
    assert Duration(str(Duration(f"{ms}ms"))).ms == ms
