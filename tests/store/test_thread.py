"""The thread that runs calls for the event loop."""

import asyncio
import threading
import weakref

import pytest

from mox.store.thread import WorkThread


async def test_calls_run_in_order_in_one_other_thread() -> None:
    worker = WorkThread("work")
    names: list[tuple[int, str]] = []

    def call(number: int) -> int:
        names.append((number, threading.current_thread().name))
        return number * 2

    assert await asyncio.gather(*(worker.run(call, number) for number in range(5))) == [
        0,
        2,
        4,
        6,
        8,
    ]
    assert names == [(number, "work") for number in range(5)]
    worker.close()


async def test_an_error_is_told_and_the_next_call_runs() -> None:
    worker = WorkThread("work")

    def fail(text: str) -> None:
        raise OSError(text)

    with pytest.raises(OSError, match="disk"):
        await worker.run(fail, "disk")
    assert await worker.run(len, "abc") == 3
    worker.close()


async def test_close_does_what_is_queued() -> None:
    worker = WorkThread("work")
    gate = threading.Event()
    done: list[int] = []
    first, second = worker.run(gate.wait, 5.0), worker.run(done.append, 1)
    threading.Timer(0.05, gate.set).start()
    worker.close()
    assert done == [1]
    assert await first
    await second
    worker.close()


async def test_who_gave_up_is_told_nothing() -> None:
    worker = WorkThread("work")
    gate = threading.Event()
    future = worker.run(gate.wait, 5.0)
    future.cancel()
    gate.set()
    assert await worker.run(len, "a") == 1
    assert future.cancelled()
    worker.close()


async def test_nothing_is_kept_between_calls() -> None:
    class Content:
        pass

    worker = WorkThread("work")
    content = Content()
    seen = weakref.ref(content)
    await worker.run(id, content)
    del content
    await worker.run(len, "")  # the first call is over in the thread as well
    assert seen() is None
    worker.close()


def test_a_loop_that_is_gone_ends_nothing() -> None:
    worker = WorkThread("work")
    gate = threading.Event()

    async def leave() -> asyncio.Future[bool]:
        return worker.run(gate.wait, 5.0)

    assert not asyncio.run(leave()).done()
    gate.set()

    async def again() -> int:
        return await worker.run(len, "ab")

    assert asyncio.run(again()) == 2
    worker.close()
