"""Courts: mail judged over a memory shard."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from support.judging import Court

from mox.base import metrics

MakeCourt = Callable[..., Court]


@pytest.fixture
async def make_court(tmp_path: Path) -> AsyncIterator[MakeCourt]:
    """Courts with arguments; no task of theirs may be left, no error unhandled."""
    unhandled = metrics.unhandled_total()
    made: list[Court] = []

    def make(**arguments: Any) -> Court:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Court(folder, **arguments))
        return made[-1]

    yield make
    for court in made:
        await court.close()
    assert metrics.unhandled_total() == unhandled


@pytest.fixture
async def court(make_court: MakeCourt) -> Court:
    return make_court()
