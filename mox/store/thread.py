"""A thread that runs one call after the other for the event loop.

What an executor of one thread does, at a third of its cost per call: each delivery waits for two.
"""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, TypeVar

A = TypeVar("A")
R = TypeVar("R")

_Call = tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[[Any], Any], Any]


class WorkThread:
    """Begins with the first call; ``close`` ends it."""

    __slots__ = ("_calls", "_name", "_thread")

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._thread: Thread | None = None

    def run(self, call: Callable[[A], R], argument: A) -> "asyncio.Future[R]":
        """Queue a call; what comes of it.    Errors of the future: those of the call."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if self._thread is None:
            # A daemon: a process that ends without closing the store does not wait for it.
            self._thread = Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        self._calls.put((loop, future, call, argument))
        return future

    def submit(self, call: Callable[[A], None], argument: A) -> None:
        """As ``run``, where nobody waits: the call tells of its errors itself."""
        _ = self.run(call, argument)

    def close(self) -> None:
        """Do what is queued, then end.    Blocks."""
        if self._thread is not None:
            self._calls.put(None)
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            loop, future, call, argument = item
            result, error = None, None
            try:
                result = call(argument)
            except BaseException as e:  # noqa: BLE001  it is told to who waits
                error = e
            if not loop.is_closed():
                loop.call_soon_threadsafe(_end, future, result, error)
            # Not to be kept while we wait for the next.
            del item, loop, future, call, argument, result, error


def _end(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return  # given up
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
