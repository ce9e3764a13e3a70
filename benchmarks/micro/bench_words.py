"""Words of a 50 KB message, and its classification by a filter that knows all of them."""

import random
from types import ModuleType

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox._speedups import words as compiled
from mox._speedups.reference import words as plain
from mox.junk.classify import classify_message
from mox.junk.memory import MemoryCounts
from mox.junk.model import TOTALS, Count
from mox.junk.parameters import Parameters
from mox.junk.words import message_words
from mox.message import mime

CHANCE = random.Random(1)
VOCABULARY = [
    "".join(CHANCE.choice("bdfglmnprst") + CHANCE.choice("aeiou") for _ in range(size))
    for size in (2, 3, 4, 5)
    for _ in range(2000)
]
TEXT = " ".join(CHANCE.choice(VOCABULARY) for _ in range(7200))[:50_000]
HEAD = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: words of a subject\r\nContent-Type: "
PLAIN = HEAD + b"text/plain\r\n\r\n" + TEXT.encode()
HTML = HEAD + b"text/html\r\n\r\n" + b"".join(
    b'<tr><td class="a b" style="color: red"><a href="https://example.org/?a=%d&amp;b">%s</a>'
    b"&nbsp;</td></tr>\r\n" % (number, " ".join(VOCABULARY[number * 3 :][:4]).encode())
    for number in range(440)
)  # fmt: skip
both = pytest.mark.parametrize("module", [compiled, plain], ids=["c", "py"])


@both
@pytest.mark.parametrize("grams", [1, 3, 7])
def test_add_words(benchmark: BenchmarkFixture, module: ModuleType, grams: int) -> None:
    def once() -> set[bytes]:
        found: set[bytes] = set()
        module.add_words(TEXT, b"", grams, 1000, 100_000, found)
        return found

    assert len(benchmark(once)) > 3000


@pytest.mark.parametrize("message", [PLAIN, HTML], ids=["plain", "html"])
@pytest.mark.parametrize("twograms", [False, True], ids=["one", "one-two"])
def test_classify(benchmark: BenchmarkFixture, message: bytes, twograms: bool) -> None:
    parameters = Parameters(twograms=twograms)
    counts = MemoryCounts()
    for word in message_words(message, mime.parse(message), parameters.grams):
        counts.rows[word] = Count(CHANCE.randint(0, 20), CHANCE.randint(0, 20))
    counts.rows[TOTALS] = Count(1000, 1000)

    def once() -> float:
        part = mime.parse(message)
        return classify_message(message, part, counts, parameters).probability

    assert 0 <= benchmark(once) <= 1
