"""A network of its own, empty but for loopback, for what a thread starts while it is inside.

There every port is free, 25 and 53 among them, and no packet leaves.  Needs root.   setns(2)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from support.isolated import require_isolation
from support.privatedns import bring_loopback_up

CLONE_NEWNET = 0x40000000
_OWN = "/proc/thread-self/ns/net"


class Network:
    """Lives until it is left and nothing runs in it any more."""

    def __init__(self) -> None:
        require_isolation()
        self._libc = ctypes.CDLL(None, use_errno=True)
        home = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._check(self._libc.unshare(CLONE_NEWNET))
            try:
                bring_loopback_up()
                self._there = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
            finally:
                self._go(home)
        finally:
            os.close(home)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._there)

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets that this thread makes are there, and so are the programs it starts."""
        back = os.open(_OWN, os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._go(self._there)
            try:
                yield
            finally:
                self._go(back)
        finally:
            os.close(back)

    def _go(self, network: int) -> None:
        self._check(self._libc.setns(network, CLONE_NEWNET))

    @staticmethod
    def _check(code: int) -> None:
        if code:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
