"""Random bytes from a stock are given once."""

from collections.abc import Callable
from threading import Thread

from mox.base.randombytes import random_bytes


def test_none_is_given_twice() -> None:
    found: list[bytes] = []

    def take() -> None:
        found.extend(random_bytes(16) for _ in range(2000))

    threads = [Thread(target=take) for _ in range(4)]
    run_all(threads, Thread.start)
    run_all(threads, Thread.join)
    assert len(set(found)) == len(found) == 8000
    assert {len(one) for one in found} == {16}


def run_all(threads: list[Thread], call: Callable[[Thread], None]) -> None:
    for thread in threads:
        call(thread)


def test_more_than_is_left_is_taken_anew() -> None:
    assert [len(random_bytes(count)) for count in (4000, 4000, 4096, 1)] == [4000, 4000, 4096, 1]
