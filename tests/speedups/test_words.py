"""Words of a text: compiled and plain add the same ones."""

import random
import sys
import threading
import time
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import _speedups
from mox._speedups import words as compiled
from mox._speedups.reference import words as plain

texts = st.text(max_size=60) | st.lists(
    st.sampled_from(
        [
            "a",
            "b",
            "word",
            "don't",
            "'",
            "''",
            " ",
            "\n",
            "2024",
            "12",
            "0x",
            "7f",
            "é",
            "Ü",
            "İ",
            "\u2126",
            "日本",
            "\u0661",
            "\U00010400",
            "\ud800",
            "rhythm",
            "-",
            "x1",
            "K",
            "ǅ",
        ]  # fmt: skip
    ),
    max_size=30,
).map("".join)


def found_by(module: ModuleType, text: str, *, prefix: bytes = b"", grams: int = 1) -> set[bytes]:
    found: set[bytes] = set()
    module.add_words(text, prefix, grams, 1000, 1000, found)
    return found


@pytest.fixture(params=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return compiled if request.param == "c" else plain


def test_the_door_gives_the_one_it_says() -> None:
    chosen = compiled if _speedups.IMPLEMENTATION == "cython" else plain
    assert _speedups.add_words is chosen.add_words
    assert (compiled.ONE, compiled.TWO, compiled.THREE) == (plain.ONE, plain.TWO, plain.THREE)


@given(
    texts,
    st.sampled_from([b"", b"Subject:"]),
    st.integers(0, 7),
    st.integers(8, 40),
    st.integers(0, 20),
)
def test_add_words_is_the_twin(
    text: str, prefix: bytes, grams: int, longest: int, most: int
) -> None:
    by_c, by_py = {b"there before"}, {b"there before"}
    compiled.add_words(text, prefix, grams, longest, most, by_c)
    plain.add_words(text, prefix, grams, longest, most, by_py)
    assert by_c == by_py
    assert len(by_c) <= max(most, 1)


@pytest.mark.parametrize("start", range(0, 0x20000, 0x2000))
def test_every_character_means_the_same(start: int) -> None:
    # each between letters, so that one that ends a word shows
    text = "\n".join(f"abz{chr(code)}oma" for code in range(start, start + 0x2000))
    by_c: set[bytes] = set()
    by_py: set[bytes] = set()
    compiled.add_words(text, b"", 1, 100, 1 << 20, by_c)
    plain.add_words(text, b"", 1, 100, 1 << 20, by_py)
    assert by_c == by_py


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("it's a test", "test"),
        ("dogs' tails", "dogs tails"),
        ("don't", "don"),
        ("2024 abc2024 0xdeadbeef x1y2z3", "0xdeadbeef x1y2z3"),
        ("2fvu9stm9yxhnlu", ""),
        ("rhythms", ""),
        ("Überraschung", "überraschung"),
        ("été", "été"),
        # digits run together, not all digits of the word
        ("a1b2c3 u1o2i3e4 1234ghosts 123abc 0x123abc 0x12ab 12ab34", "a1b2c3 u1o2i3e4 0x12ab 12ab34"),
        ("'tis ''quoted'' rock'n'roll 12'34 '' 'ab'", "tis quoted rock roll 12'34"),
        ("Don't 12345 abc123456 xkcdqwrt café ab it", "don café"),
        ("İstanbul \u2126hm ΣΊΣΥΦΟΣ", "istanbul ωhm σίσυφοσ"),
        ("", ""),
    ],
)  # fmt: skip
def test_words_of_a_text(module: ModuleType, text: str, expected: str) -> None:
    assert found_by(module, text) == {word.encode() for word in expected.split()}


def test_runs_pass_over_what_is_left_out(module: ModuleType) -> None:
    text = "pay your 12345 invoice now"
    assert found_by(module, text, grams=module.TWO) == {
        b"pay your",
        b"your invoice",
        b"invoice now",
    }
    assert found_by(module, text, grams=module.THREE) == {b"pay your invoice", b"your invoice now"}
    assert len(found_by(module, text, grams=7)) == 4 + 3 + 2
    assert found_by(module, text, grams=0) == set()


def test_behind_a_prefix_short_words_say_nothing(module: ModuleType) -> None:
    assert found_by(module, "the viagra", prefix=b"Subject:", grams=3) == {
        b"Subject:viagra",
        b"Subject:the viagra",
    }


def test_what_is_too_long_is_left_out_and_ends_no_run(module: ModuleType) -> None:
    found: set[bytes] = set()
    module.add_words("good " + "a" * 101 + " bye " + "e" * 100, b"", 3, 100, 100, found)
    assert found == {b"good", b"bye", b"good bye", b"e" * 100}
    found.clear()
    module.add_words("'" * 300_000 + " " + "ab'1" * 100_000, b"", 7, 100, 100, found)
    assert found == set()


def test_a_full_set_takes_no_more(module: ModuleType) -> None:
    found: set[bytes] = set()
    module.add_words("one two three four five", b"", 1, 100, 3, found)
    assert found == {b"one", b"two", b"three"}


@given(
    st.lists(st.sampled_from(["one", "two", "three", "four", "five", "six"]), max_size=20),
    st.sets(st.sampled_from([b"one", b"two", b"three four", b"five", b"other"])),
    st.integers(0, 10),
)
def test_what_the_set_had_before_takes_no_room(
    text: list[str], before: set[bytes], most: int
) -> None:
    by_c, by_py = set(before), set(before)
    compiled.add_words(" ".join(text), b"", 3, 100, most, by_c)
    plain.add_words(" ".join(text), b"", 3, 100, most, by_py)
    assert by_c == by_py


@pytest.mark.parametrize("most", [0, 1, 500, 20_000, 1_000_000])
def test_a_long_text_of_many_words(most: int) -> None:
    chance = random.Random(1)
    syllables = [f"{a}{b}" for a in "bdfglmnprst" for b in "aeiouäöü"]
    vocabulary = ["".join(chance.choices(syllables, k=4)) for _ in range(6000)]
    text = " ".join(chance.choices(vocabulary, k=20_000))
    by_c, by_py = {b"there before"}, {b"there before"}
    compiled.add_words(text, b"", 7, 1000, most, by_c)
    plain.add_words(text, b"", 7, 1000, most, by_py)
    assert by_c == by_py
    assert len(by_c) >= min(most, 40_000)


def test_a_long_text_lets_others_run() -> None:
    """It takes tens of milliseconds, without the GIL."""
    text = "several words of a language " * 200_000
    turns: list[int] = []
    ended = threading.Event()

    def count() -> None:
        while not ended.is_set():
            turns.append(1)
            time.sleep(0)

    other = threading.Thread(target=count)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(100.0)  # nobody is asked for the GIL
    try:
        other.start()
        before = len(turns)
        compiled.add_words(text, b"", 7, 1000, 1000, set())
        after = len(turns)
    finally:
        ended.set()
        other.join()
        sys.setswitchinterval(interval)
    assert after - before > 10


def test_limits_that_make_no_sense_are_refused(module: ModuleType) -> None:
    with pytest.raises(ValueError, match="longest"):
        module.add_words("text", b"", 1, -1, 1, set())
    with pytest.raises(ValueError, match="prefix"):
        module.add_words("text", b"prefix", 1, 3, 1, set())


def test_other_types_are_refused() -> None:
    for text, found in ((b"bytes", set()), (None, set()), ("text", [])):
        with pytest.raises(TypeError):
            compiled.add_words(text, b"", 1, 10, 10, found)  # type: ignore[arg-type]
