"""Threads that run calls for the event loop.

What an executor does, at a third of its cost per call: each delivery waits for several.
"""

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

_Call = tuple[asyncio.AbstractEventLoop, asyncio.Future[Any], Callable[..., Any], tuple[Any, ...]]


class WorkThreads:
    """Begin with the first calls; ``close`` ends them.    One of them runs calls in their order."""

    __slots__ = ("_calls", "_closed", "_count", "_name", "_threads")

    def __init__(self, name: str, count: int = 1) -> None:
        self._name = name
        self._count = count
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._closed = False

    def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> "asyncio.Future[R]":
        """Queue a call; what comes of it.    Errors of the future: those of the call.

        Errors  RuntimeError after ``close``.
        """
        assert not kwargs
        if self._closed:
            raise RuntimeError("the threads were ended")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        if len(self._threads) < self._count:
            # Daemons: a process that ends without closing the store does not wait for them.
            name = f"{self._name}_{len(self._threads)}"
            thread = Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()
        self._calls.put((loop, future, call, args))
        return future

    def submit(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """As ``run``, where nobody waits: the call tells of its errors itself."""
        _ = self.run(call, *args, **kwargs)

    def close(self) -> None:
        """Do what is queued, then end.    Blocks."""
        self._closed = True
        for _ in self._threads:
            self._calls.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            loop, future, call, args = item
            result, error = None, None
            try:
                result = call(*args)
            except BaseException as e:  # noqa: BLE001  it is told to who waits
                error = e
            if not loop.is_closed():
                loop.call_soon_threadsafe(_end, future, result, error)
            # Not to be kept while we wait for the next.
            del item, loop, future, call, args, result, error


def _end(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return  # given up
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
