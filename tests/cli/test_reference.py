"""The committed reference pages are those of this program."""

from pathlib import Path

import pytest

from mox.base import metrics
from mox.cli.reference import pages, write

FOLDER = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", sorted(pages()))
def test_the_page_is_current(name: str) -> None:
    assert (FOLDER / name).read_text() == pages()[name], "run: bash ci/reference"


def test_every_metric_is_described() -> None:
    described = {
        one.name.removesuffix("_info" if one.kind == "info" else "_total")
        for one in metrics.descriptions()
    }
    ours = {one.name for one in metrics.REGISTRY.collect() if one.name.startswith("mox_")}
    assert described == ours


def test_write(tmp_path: Path) -> None:
    write(tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(pages())
