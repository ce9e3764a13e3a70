"""Rate limits by address, network and region."""

import msgspec
import pytest

from mox.base import ratelimit
from mox.base.clock import FrozenClock
from mox.base.ratelimit import OpenCounter, RateLimiter, Window, WindowState, networks_of

MINUTE_START = 1_700_000_040_000  # a multiple of 60 s


def limiter(*windows: Window) -> tuple[RateLimiter, FrozenClock]:
    clock = FrozenClock(MINUTE_START)
    return RateLimiter(clock, *windows), clock


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", (True, True, True)),
        ("192.0.2.1", "192.0.2.2", (False, True, True)),
        ("192.0.2.63", "192.0.2.64", (False, False, True)),  # /26 border
        ("10.0.7.255", "10.0.8.0", (False, False, False)),  # /21 border
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", (True, True, True)),
        ("2001:db8::1", "2001:db8:0:1::1", (False, True, True)),
        ("2001:db8::1", "2001:db8:1::1", (False, False, True)),
        ("2001:db8::1", "2001:db9::1", (False, False, False)),
        ("192.0.2.1", "::ffff:192.0.2.1", (True, True, True)),
        ("fe80::1%eth0", "fe80::2", (True, True, True)),
        ("0.0.0.0", "::", (False, False, False)),
    ],
)
def test_networks(one: str, other: str, same: tuple[bool, bool, bool]) -> None:
    pairs = zip(networks_of(one), networks_of(other), strict=True)
    assert tuple(a == b for a, b in pairs) == same


def test_not_an_address() -> None:
    with pytest.raises(ValueError, match="does not appear"):
        networks_of("localhost")


def test_each_size_has_its_own_limit() -> None:
    rates, _ = limiter(Window(60, (2, 3, 4)))
    assert rates.add("10.0.0.1")
    assert rates.add("10.0.0.1")
    assert not rates.add("10.0.0.1")  # the host is full
    assert rates.add("10.0.0.2")
    assert not rates.add("10.0.0.3")  # the /26 is full
    assert rates.add("10.0.1.1")
    assert not rates.add("10.0.2.1")  # the /21 is full
    assert rates.add("10.0.8.1")


def test_a_refused_add_counts_nothing() -> None:
    rates, _ = limiter(Window(60, (10, 10, 10)), Window(3600, (3, 3, 3)))
    assert not rates.add("10.0.0.1", 4)
    assert rates.add("10.0.0.1", 3)
    assert not rates.can_add("10.0.0.1")


def test_can_add_changes_no_count() -> None:
    rates, _ = limiter(Window(60, (1, 1, 1)))
    assert all(rates.can_add("10.0.0.1") for _ in range(5))
    assert rates.add("10.0.0.1")
    assert not rates.can_add("10.0.0.1")


def test_windows_are_aligned_to_the_clock() -> None:
    rates, clock = limiter(Window(60, (1, 1, 1)))
    clock.advance(59)
    assert rates.add("10.0.0.1")
    assert not rates.add("10.0.0.1")
    clock.advance(1)  # one second later, but a new minute
    assert rates.add("10.0.0.1")


def test_the_longer_window_goes_on_when_the_shorter_begins_anew() -> None:
    rates, clock = limiter(Window(60, (1, 9, 9)), Window(86_400, (2, 9, 9)))
    assert rates.add("10.0.0.1")
    clock.advance(60)
    assert rates.add("10.0.0.1")
    clock.advance(60)
    assert not rates.add("10.0.0.1")


def test_reset_takes_the_host_out_of_all_sizes_and_leaves_its_neighbours() -> None:
    rates, _ = limiter(Window(60, (5, 5, 5)))
    assert rates.add("10.0.0.1", 3)
    assert rates.add("10.0.0.2", 2)
    assert not rates.can_add("10.0.0.3")
    rates.reset("10.0.0.1")
    assert rates.can_add("10.0.0.3", 3)
    assert not rates.can_add("10.0.0.3", 4)
    rates.reset("10.0.0.2")
    assert len(rates) == 0


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ratelimit, "RATE_NETWORKS", 100)
    rates, clock = limiter(Window(60, (2, 1000, 3)))
    for number in range(1000):
        assert rates.add(f"2001:db8:{number:x}::1") == (number < 3)
        rates.add(f"2001:{number:x}::1")
    assert len(rates) <= 300
    assert not rates.can_add("2001:db8:ffff::1")  # those already counted stay limited
    clock.advance(60)
    assert rates.can_add("2001:db8:ffff::1")
    assert len(rates) == 0


def test_open_connections() -> None:
    counter = OpenCounter((2, 3, 4))
    assert counter.enter("10.0.0.1")
    assert counter.enter("10.0.0.1")
    assert not counter.enter("10.0.0.1")
    assert counter.enter("10.0.0.2")
    assert not counter.enter("10.0.0.3")
    counter.leave("10.0.0.1")
    assert counter.enter("10.0.0.3")
    for address in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
        counter.leave(address)
    assert len(counter) == 0


def test_counts_survive_a_restart_while_their_window_runs() -> None:
    windows = (Window(60, (3, 9, 9)), Window(86_400, (4, 9, 9)))
    before, clock = limiter(*windows)
    assert before.add("10.0.0.1", 2)
    assert before.add("2001:db8:ffff:ffff::1", 3)
    states = msgspec.json.decode(
        msgspec.json.encode(before.snapshot().states()), type=list[WindowState]
    )
    after = RateLimiter(clock, *windows)
    after.restore(states)
    for rates in (before, after):
        assert len(rates) == 12
        assert rates.can_add("10.0.0.1", 1)
        assert not rates.can_add("10.0.0.1", 2)
        assert not rates.can_add("2001:db8:ffff:ffff::2")
    clock.advance(60)
    late = RateLimiter(clock, *windows)
    late.restore(states)
    assert late.can_add("10.0.0.1", 2)  # the minute is over, the day is not
    assert not late.can_add("10.0.0.1", 3)
    clock.advance(86_400)
    later = RateLimiter(clock, *windows)
    later.restore(states)
    assert len(later) == 0


def test_a_snapshot_does_not_change_any_more() -> None:
    rates, _ = limiter(Window(60, (9, 9, 9)))
    rates.add("10.0.0.1")
    snapshot = rates.snapshot()
    rates.add("10.0.0.1")
    rates.add("10.9.0.1")
    assert snapshot.states()[0].tables[0] == {f"{networks_of('10.0.0.1')[0]:x}": 1}


def test_kept_counts_of_other_windows_or_limits_are_no_harm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ratelimit, "RATE_NETWORKS", 2)
    rates, clock = limiter(Window(60, (1, 1, 1)))
    index = clock.now_ms() // 60_000
    tables: tuple[dict[str, int], dict[str, int], dict[str, int]] = (
        {"2": 5, "4": -1, "6": 0},
        {"2": 1},
        {},
    )
    other = WindowState(seconds=3600, index=index, tables=({"2": 9}, {}, {}))
    rates.restore([other, WindowState(seconds=60, index=index, tables=tables)])
    assert len(rates) == 2  # counts that mean nothing, and more than are kept, are left out
    with pytest.raises(ValueError, match="base 16"):
        rates.restore([WindowState(seconds=60, index=index, tables=({"x": 1}, {}, {}))])
