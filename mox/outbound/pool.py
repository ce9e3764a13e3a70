"""Connections that are kept for the next message to the same host.

A connection is used again only for the same host under the same demands: a message never travels on
a connection that proved less than its own plan asks for.
"""

import asyncio
from collections import deque
from typing import Final

import msgspec

from mox.base.limits import OUTBOUND_KEPT, OUTBOUND_KEPT_HOST, OUTBOUND_KEPT_S, OUTBOUND_MESSAGES
from mox.smtpclient.dialogue import Dialogue
from mox.smtpclient.link import Link
from mox.smtpclient.secure import Secured
from mox.tlspolicy.choose import Plan

_NEVER: Final = 1 << 30


class Place(msgspec.Struct, frozen=True):
    """What must be equal for a connection to be used again."""

    host: str
    port: int
    way: str  # name of the transport
    hello: str  # our name
    plan: Plan


class Kept(msgspec.Struct, kw_only=True):
    """A conversation that can take a message."""

    place: Place
    dialogue: Dialogue
    link: Link
    ip: str
    secured: Secured | None
    messages: int = 0  # sent on it

    @property
    def is_used(self) -> bool:
        """It was kept for a while, so that the server may have left meanwhile."""
        return self.messages > 0

    @property
    def can_go_on(self) -> bool:
        """May it take another message?    RFC 9422 §4: MAILMAX."""
        most = min(self.dialogue.extensions.limits.get("MAILMAX", _NEVER), OUTBOUND_MESSAGES)
        return not self.dialogue.is_broken and not self.link.is_lost and self.messages < most

    async def end(self) -> None:
        """QUIT and close.    Never raises."""
        try:
            await self.dialogue.quit()
        finally:
            await self.link.close()


class Pool:
    """Idle connections of a worker."""

    def __init__(self, idle_s: float = OUTBOUND_KEPT_S) -> None:
        self._idle_s = idle_s
        self._idle: dict[Place, deque[tuple[Kept, asyncio.TimerHandle]]] = {}
        self._count = 0
        self._ending: set[asyncio.Task[None]] = set()
        self._closed = False

    def take(self, place: Place) -> Kept | None:
        """The connection that was used last; None when there is none."""
        waiting = self._idle.get(place)
        while waiting:
            kept, timer = waiting.pop()
            timer.cancel()
            self._count -= 1
            if not waiting:
                del self._idle[place]
            if kept.can_go_on and not kept.link.has_input:
                return kept
            self.end(kept)
        return None

    def give(self, kept: Kept) -> None:
        """The connection is not needed now."""
        waiting = self._idle.get(kept.place, ())
        full = self._count >= OUTBOUND_KEPT or len(waiting) >= OUTBOUND_KEPT_HOST
        if self._closed or full or not kept.can_go_on:
            self.end(kept)
            return
        timer = asyncio.get_running_loop().call_later(self._idle_s, self._expire, kept)
        self._idle.setdefault(kept.place, deque()).append((kept, timer))
        self._count += 1

    def end(self, kept: Kept) -> None:
        """Leave a server politely, in the background."""
        task = asyncio.ensure_future(kept.end())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """Leave all servers."""
        self._closed = True
        for waiting in self._idle.values():
            for kept, timer in waiting:
                timer.cancel()
                self.end(kept)
        self._idle.clear()
        self._count = 0
        while self._ending:
            await asyncio.gather(*self._ending)

    def _expire(self, kept: Kept) -> None:
        waiting = self._idle[kept.place]
        waiting.remove(next(one for one in waiting if one[0] is kept))
        self._count -= 1
        if not waiting:
            del self._idle[kept.place]
        self.end(kept)
