"""The threads that run calls for the event loop."""

import asyncio
import threading
import weakref

import pytest

from mox.store.thread import WorkThreads


async def test_calls_run_in_order_in_one_other_thread() -> None:
    worker = WorkThreads("work")
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
    assert names == [(number, "work_0") for number in range(5)]
    worker.close()


async def test_an_error_is_told_and_the_next_call_runs() -> None:
    worker = WorkThreads("work")

    def fail(text: str) -> None:
        raise OSError(text)

    with pytest.raises(OSError, match="disk"):
        await worker.run(fail, "disk")
    assert await worker.run(len, "abc") == 3
    worker.close()


async def test_close_does_what_is_queued() -> None:
    worker = WorkThreads("work")
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
    worker = WorkThreads("work")
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

    worker = WorkThreads("work")
    content = Content()
    seen = weakref.ref(content)
    await worker.run(id, content)
    del content
    await worker.run(len, "")  # the first call is over in the thread as well
    assert seen() is None
    worker.close()


def test_a_loop_that_is_gone_ends_nothing() -> None:
    worker = WorkThreads("work")
    gate = threading.Event()

    async def leave() -> asyncio.Future[bool]:
        return worker.run(gate.wait, 5.0)

    assert not asyncio.run(leave()).done()
    gate.set()

    async def again() -> int:
        return await worker.run(len, "ab")

    assert asyncio.run(again()) == 2
    worker.close()


async def test_several_run_side_by_side() -> None:
    workers = WorkThreads("work", 2)
    meeting = threading.Barrier(2)
    await asyncio.gather(workers.run(meeting.wait, 5.0), workers.run(meeting.wait, 5.0))
    workers.close()
    with pytest.raises(RuntimeError):
        await workers.run(len, "")
