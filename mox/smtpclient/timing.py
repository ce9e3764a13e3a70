"""How long servers take to answer, by command and reply."""

from collections.abc import Callable
from typing import Final

from mox.base import metrics
from mox.base.limits import CLIENT_TIMED
from mox.smtp.reply import Reply

Observe = Callable[[float], None]


class Times:
    """Takes times; a server that makes codes up does not make series without end."""

    __slots__ = ("_known", "_most")

    def __init__(self, most: int = CLIENT_TIMED) -> None:
        self._most = most
        self._known: dict[tuple[str, int, str], Observe] = {}

    def add(self, command: str, reply: Reply, seconds: float) -> None:
        """A reply came.    Input  command: of ours, from a closed set.    Cost: 2 us."""
        key = (command, reply.code, reply.enhanced)
        observe = self._known.get(key)
        if observe is None:
            if len(self._known) < self._most:
                observe = _series(command, str(reply.code), reply.enhanced)
                self._known[key] = observe
            else:
                observe = _series(command, f"{reply.code // 100}xx", "(other)")
        observe(seconds)


def _series(command: str, code: str, enhanced: str) -> Observe:
    observe: Observe = metrics.SMTPCLIENT_COMMAND_SECONDS.labels(command, code, enhanced).observe
    return observe


TIMES: Final = Times()
