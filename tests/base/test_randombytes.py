"""Random bytes from a stock are given once."""

from threading import Thread

import pytest

from mox.base.randombytes import random_bytes


def test_none_is_given_twice() -> None:
    found: list[bytes] = []

    def take() -> None:
        found.extend(random_bytes(16) for _ in range(2000))

    threads = [Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == len(found) == 8000
    assert {len(one) for one in found} == {16}


def test_more_than_is_left_is_taken_anew() -> None:
    assert [len(random_bytes(count)) for count in (4000, 4000, 4096, 1)] == [4000, 4000, 4096, 1]
    with pytest.raises(ValueError, match="at most 4096 bytes"):
        random_bytes(4097)
