"""House rules that a machine can check.    Floors, purity and doors are import-linter's (ci/floors)."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "mox").rglob("*.py"))
PYX = sorted((ROOT / "mox" / "_speedups").glob("*.pyx"))
DATA_STRUCTURES = {"columns"}  # without a twin: tested by a state machine


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_no_module_is_named_for_nothing() -> None:
    forbidden = {"utils", "util", "helpers", "common", "misc", "core", "manager"}
    assert [
        path for path in SOURCES if path.stem in forbidden or path.parent.name in forbidden
    ] == []


@pytest.mark.parametrize("pyx", PYX, ids=lambda path: path.stem)
def test_every_compiled_module_has_its_companions(pyx: Path) -> None:
    name = pyx.stem
    wanted = [pyx.with_suffix(".pyi"), ROOT / "tests" / "speedups" / f"test_{name}.py"]
    wanted.append(ROOT / "benchmarks" / "micro" / f"bench_{name}.py")
    if name not in DATA_STRUCTURES:
        wanted.append(pyx.parent / "reference" / f"{name}.py")
    assert [path for path in wanted if not path.exists()] == []


def test_the_compiled_modules_are_loaded() -> None:
    speedups = importlib.import_module("mox._speedups")
    assert speedups.IMPLEMENTATION == "cython"


def test_time_is_read_in_one_place() -> None:
    allowed = ROOT / "mox" / "base" / "clock.py"
    readers = [path for path in SOURCES if "time" in imported(path) and path != allowed]
    assert readers == []


def test_the_environment_is_read_at_the_edges_only() -> None:
    readers = []
    for path in SOURCES:
        floor = path.relative_to(ROOT / "mox").parts[0]
        if floor in {"runtime", "cli", "_speedups"}:
            continue
        readers += [
            path
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
        ]
    assert readers == []


def test_every_decision_says_what_it_costs_or_why() -> None:
    for path in sorted((ROOT / "docs" / "decisions").glob("*.md")):
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]} "), path
        assert "taken" in text, path
