"""A table of words: compiled and plain know the same, whatever is put into them in which order."""

import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import _speedups
from mox._speedups import wordtable as compiled
from mox._speedups.reference import wordtable as plain

WORDS = st.binary(max_size=3) | st.integers(0, 500).map(lambda number: b"word%d" % number)
VALUES = st.tuples(st.integers(0, 3), st.integers(0, 3))
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "replace"]), st.dictionaries(WORDS, VALUES, max_size=60)),
    max_size=8,
)


@pytest.fixture(params=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return compiled if request.param == "c" else plain


def test_the_door_gives_the_one_it_says() -> None:
    chosen = compiled if _speedups.IMPLEMENTATION == "cython" else plain
    assert _speedups.WordTable is chosen.WordTable
    assert compiled.LONGEST == plain.LONGEST


@given(STEPS, st.lists(WORDS, max_size=50))
def test_it_is_the_twin(steps: list[tuple[str, dict[bytes, Any]]], asked: list[bytes]) -> None:
    by_c, by_py = compiled.WordTable[Any](), plain.WordTable[Any]()
    for name, rows in steps:
        for table in (by_c, by_py):
            getattr(table, name)(list(rows), list(rows.values()))
    every = [*asked, *(word for _, rows in steps for word in rows)]
    assert by_c.get(every) == by_py.get(every)
    assert len(by_c) == len(by_py)


def test_many_words(module: ModuleType) -> None:
    """It grows, and what was replaced meanwhile stays."""
    table = module.WordTable()
    words = [b"word%d" % number * (number % 7) for number in range(20_000)]
    expected: dict[bytes, tuple[int, int]] = {}
    for start in range(0, len(words), 1000):
        some = words[start : start + 1000]
        known = {word: (len(word), start) for word in some}
        table.put(list(known), list(known.values()))
        expected.update(known)
        again = {word: (0, number) for number, word in enumerate(words[:start:77])}
        table.replace(list(again), list(again.values()))
        expected.update(again)
    assert table.get(words) == [expected[word] for word in words]
    assert table.get([word + b"x" for word in words]) == [None] * len(words)
    assert len(table) == len(expected)


def test_it_says_what_memory_it_needs(module: ModuleType) -> None:
    table = module.WordTable()
    assert table.memory < 1000
    words = [b"word%06d" % number for number in range(30_000)]
    table.put(words, [(1, 1)] * len(words))
    assert 20 <= table.memory / len(words) <= 110
    before = table.memory
    table.put(words[:1000], [(1, number) for number in range(1000)])
    assert table.memory >= before + 100 * 1000  # what differs is kept as well


def test_equal_values_are_one(module: ModuleType) -> None:
    table = module.WordTable()
    first, other = ((number, 2) for number in (1000, 1000))
    assert first is not other
    table.put([b"one", b"two"], [first, other])
    assert table.get([b"one"])[0] is table.get([b"two"])[0] is first


def test_it_holds_values_and_gives_them_back(module: ModuleType) -> None:
    value = (object(),)
    before = sys.getrefcount(value)
    table = module.WordTable()
    table.put([b"word"], [value])
    assert sys.getrefcount(value) > before
    del table
    assert sys.getrefcount(value) == before


def test_empty_and_longest_words(module: ModuleType) -> None:
    table = module.WordTable()
    words = [b"", b"a", b"a" * module.LONGEST]
    table.put(words, [(1,), (2,), (3,)])
    assert table.get(words) == [(1,), (2,), (3,)]
    assert table.get([]) == []
    for call in (table.get, lambda words: table.put(words, [(1,)])):
        with pytest.raises(ValueError, match="too long"):
            call([b"a" * (module.LONGEST + 1)])


def test_as_many_values_as_words(module: ModuleType) -> None:
    table = module.WordTable()
    for call in (table.put, table.replace):
        with pytest.raises(ValueError, match="as many"):
            call([b"word"], [])


def test_other_types_are_refused() -> None:
    class Bytes(bytes):
        pass

    table: Any = compiled.WordTable()
    for words in (["text"], [None], [Bytes(b"word")], (b"word",), None):
        with pytest.raises(TypeError):
            table.get(words)
        with pytest.raises(TypeError):
            table.put(words, [(1,)])
    with pytest.raises(TypeError):
        table.put([b"word"], [[]])  # cannot be hashed
    assert table.get([b"word"]) == [None]
