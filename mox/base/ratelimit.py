"""Counters per address and per network, in fixed windows aligned to the clock.

Each address counts at three network sizes (host, network, region), so that someone with many
addresses is still one.  A limit reached at any size refuses.

Source  spec/smtp-server.md section 2.
Memory  bounded: a window keeps at most ``RATE_NETWORKS`` networks of each size and forgets all when
        the next window begins.
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from itertools import islice

import msgspec

from mox.base.clock import Clock
from mox.base.limits import RATE_NETWORKS

# Bits cut off: what remains names the network.
_SHIFTS_V4 = (0, 32 - 26, 32 - 21)
_SHIFTS_V6 = (128 - 64, 128 - 48, 128 - 32)

Limits = tuple[int, int, int]
"""What host, network and region may reach."""

Networks = tuple[int, int, int]
"""Keys of the three networks of an address.    IPv4 keys are even, IPv6 keys are odd."""


@lru_cache(maxsize=4096)  # several limits ask about each connection
def networks_of(address: str) -> Networks:
    """The three networks of an address: IPv4 /32 /26 /21, IPv6 /64 /48 /32.

    An IPv4 address mapped into IPv6 (RFC 4291 §2.5.5.2) counts as IPv4.
    Errors  ValueError when the text is no address.
    """
    parsed = ip_address(address)
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is None:
            number = int(parsed)
            host, network, region = (number >> shift for shift in _SHIFTS_V6)
            return host << 1 | 1, network << 1 | 1, region << 1 | 1
        parsed = parsed.ipv4_mapped
    number = int(parsed)
    host, network, region = (number >> shift for shift in _SHIFTS_V4)
    return host << 1, network << 1, region << 1


class WindowState(msgspec.Struct, frozen=True, kw_only=True):
    """The counts of a window, to be kept over a restart.    Keys of ``tables`` as in ``Networks``, hex."""

    seconds: int
    index: int  # which stretch of time
    tables: tuple[dict[str, int], dict[str, int], dict[str, int]]


class _Counts:
    """Counts at the three sizes."""

    __slots__ = ("_limits", "_tables")

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tables: tuple[dict[int, int], dict[int, int], dict[int, int]] = ({}, {}, {})

    def has_room(self, networks: Networks, count: int) -> bool:
        return all(
            table.get(key, 0) + count <= limit
            for table, key, limit in zip(self._tables, networks, self._limits, strict=True)
        )

    def add(self, networks: Networks, count: int) -> None:
        for table, key in zip(self._tables, networks, strict=True):
            # A full table stops counting newcomers at this size; the larger sizes, with fewer
            # networks, still hold them.  Refusing them would let one attacker shut out everybody.
            if key in table or len(table) < RATE_NETWORKS:
                table[key] = table.get(key, 0) + count

    def subtract(self, networks: Networks, count: int) -> None:
        for table, key in zip(self._tables, networks, strict=True):
            left = table.get(key, 0) - count
            if left > 0:
                table[key] = left
            else:
                table.pop(key, None)

    def host_count(self, networks: Networks) -> int:
        return self._tables[0].get(networks[0], 0)

    def clear(self) -> None:
        for table in self._tables:
            table.clear()

    def copy(self) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
        host, network, region = self._tables
        return dict(host), dict(network), dict(region)

    def replace(self, tables: Sequence[dict[str, int]]) -> None:
        self.clear()
        for table, kept in zip(self._tables, tables, strict=True):
            for key, count in islice(kept.items(), RATE_NETWORKS):
                if count > 0:
                    table[int(key, 16)] = count

    def __len__(self) -> int:
        return sum(len(table) for table in self._tables)


class Window:
    """One window: how long it is, in seconds, and what the three network sizes may reach in it."""

    __slots__ = ("limits", "seconds")

    def __init__(self, seconds: int, limits: Limits) -> None:
        self.seconds = seconds
        self.limits = limits


class RateLimiter:
    """Counts events per address in one or more windows."""

    __slots__ = ("_clock", "_windows")

    def __init__(self, clock: Clock, *windows: Window) -> None:
        self._clock = clock
        self._windows = [_RunningWindow(window) for window in windows]

    def can_add(self, address: str, count: int = 1) -> bool:
        """Would ``add`` accept?    Changes no count."""
        networks = networks_of(address)
        return self._room(networks, count)

    def add(self, address: str, count: int = 1) -> bool:
        """Count events.    False, and nothing counted, when any window or network size is full."""
        networks = networks_of(address)
        if not self._room(networks, count):
            return False
        for window in self._windows:
            window.counts.add(networks, count)
        return True

    def reset(self, address: str) -> None:
        """Forget what this host did in the running windows, also in its networks' counts."""
        networks = networks_of(address)
        now_s = self._clock.now_ms() // 1000
        for window in self._windows:
            window.roll(now_s)
            window.counts.subtract(networks, window.counts.host_count(networks))

    def snapshot(self) -> "Snapshot":
        """The counts of this moment.    Cost: a copy of the tables."""
        now_s = self._clock.now_ms() // 1000
        for window in self._windows:
            window.roll(now_s)
        return Snapshot(
            [(window.seconds, window.index, window.counts.copy()) for window in self._windows]
        )

    def restore(self, states: Sequence[WindowState]) -> None:
        """Go on with counts that were kept, where their window is still running.

        Errors  ValueError: a key that is no number; the counts are then incomplete.
        """
        now_s = self._clock.now_ms() // 1000
        kept = {state.seconds: state for state in states}
        for window in self._windows:
            window.roll(now_s)
            state = kept.get(window.seconds)
            if state is not None and state.index == window.index:
                window.counts.replace(state.tables)

    def _room(self, networks: Networks, count: int) -> bool:
        now_s = self._clock.now_ms() // 1000
        room = True
        for window in self._windows:
            window.roll(now_s)
            room = room and window.counts.has_room(networks, count)
        return room

    def __len__(self) -> int:
        """Counters kept: a measure of memory."""
        return sum(len(window.counts) for window in self._windows)


class _RunningWindow:
    """A window and the counts of its current stretch of time."""

    __slots__ = ("counts", "index", "seconds")

    def __init__(self, window: Window) -> None:
        self.seconds = window.seconds
        self.index = -1
        self.counts = _Counts(window.limits)

    def roll(self, now_s: int) -> None:
        index = now_s // self.seconds
        if index != self.index:  # also after the clock was set back: a count must not stick
            self.index = index
            self.counts.clear()


class Snapshot:
    """Copied counts of a limiter."""

    __slots__ = ("_windows",)

    def __init__(
        self,
        windows: list[tuple[int, int, tuple[dict[int, int], dict[int, int], dict[int, int]]]],
    ) -> None:
        self._windows = windows

    def states(self) -> list[WindowState]:
        """To be kept.    Needs no event loop: may be called in a thread."""
        return [
            WindowState(
                seconds=seconds,
                index=index,
                tables=(_in_hex(host), _in_hex(network), _in_hex(region)),
            )
            for seconds, index, (host, network, region) in self._windows
        ]


def _in_hex(table: dict[int, int]) -> dict[str, int]:
    return {f"{key:x}": count for key, count in table.items()}


class OpenCounter:
    """How many connections an address, its network and its region hold open."""

    __slots__ = ("_counts",)

    def __init__(self, limits: Limits) -> None:
        self._counts = _Counts(limits)

    def enter(self, address: str) -> bool:
        """Count one more.    False, and nothing counted, when there are too many already."""
        networks = networks_of(address)
        if not self._counts.has_room(networks, 1):
            return False
        self._counts.add(networks, 1)
        return True

    def leave(self, address: str) -> None:
        """One less.    Call it exactly once for each ``enter`` that said yes."""
        self._counts.subtract(networks_of(address), 1)

    def __len__(self) -> int:
        """Counters kept; zero when nothing is open."""
        return len(self._counts)
