"""Threads that take turns with the event loop, so that a test runs the same way each time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

T = TypeVar("T")


class Later(Executor):
    """Jobs run on the event loop, some turns after they were handed in; in what order is drawn once.

    What real threads do beside the loop happens between two of its steps.    Give it to whatever would
    make ``WorkThreads``, by way of ``OnExecutor``; jobs of one executor with ``in_order`` run one after another.
    """

    def __init__(self, rng: random.Random, most: int, *, in_order: bool) -> None:
        self._rng = rng
        self._most = most  # turns
        self._in_order = in_order
        self._waiting: list[Callable[[], None]] = []
        self._running = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call some turns later."""
        future: Future[T] = Future()

        def job() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(fn(*args, **kwargs))
                except BaseException as error:
                    future.set_exception(error)

        if self._in_order:
            self._waiting.append(job)
            self._next()
        else:
            self._after(self._rng.randint(0, self._most), job)
        return future

    def _next(self) -> None:
        if self._waiting and not self._running:
            self._running = True
            self._after(self._rng.randint(0, self._most), self._run_first)

    def _run_first(self) -> None:
        self._running = False
        self._waiting.pop(0)()
        self._next()

    def _after(self, turns: int, job: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        if turns == 0:
            loop.call_soon(job)
        else:
            loop.call_soon(self._after, turns - 1, job)


class OnExecutor:
    """In the place of ``WorkThreads``: calls go to an executor."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def run(self, call: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        """As ``WorkThreads``."""
        return asyncio.get_running_loop().run_in_executor(self._executor, call, *args)

    def submit(self, call: Callable[..., None], *args: Any) -> None:
        """As ``WorkThreads``."""
        self._executor.submit(call, *args)

    def close(self) -> None:
        """As ``WorkThreads``."""
        self._executor.shutdown()
