"""Classification of a 50 KB message by stored counts: parsing, words, counts, probability."""

import random
from collections.abc import Iterator

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox.junk.classify import classify_message
from mox.junk.model import TOTALS, Count
from mox.junk.parameters import Parameters
from mox.message import mime
from mox.store.engine.base import Batch, Family
from mox.store.engine.rocks import RocksEngine
from mox.store.layout import keys, rows
from mox.store.layout.rows import Learning
from mox.store.words import StoredCounts, WordCache

CHANCE = random.Random(1)
VOCABULARY = [
    "".join(CHANCE.choice("bdfglmnprst") + CHANCE.choice("aeiou") for _ in range(size))
    for size in (2, 3, 4, 5, 6)
    for _ in range(40_000)
]
# As often as words of a language are: the n-th of them 1/n as often as the first one.
WEIGHTS = [1 / (number + 1) for number in range(len(VOCABULARY))]
HEAD = b"From: a@example.org\r\nTo: b@example.net\r\nSubject: words of a subject\r\n\r\n"
ACCOUNT = 1
PARAMETERS = Parameters()


def message() -> bytes:
    words = CHANCE.choices(VOCABULARY, WEIGHTS, k=8000)
    return HEAD + " ".join(words).encode()[:50_000]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RocksEngine]:
    made = RocksEngine(tmp_path_factory.mktemp("classify") / "db")
    batch = Batch()
    record = Learning(version=1, generation=1, grams=1)
    batch.put(Family.KV, keys.setting(ACCOUNT, keys.LEARNING), rows.encode(record))
    prefix = keys.words(ACCOUNT, 1)
    batch.put(Family.KV, prefix + TOTALS, rows.encode_count(Count(20_000, 20_000)))
    for number, word in enumerate(VOCABULARY):
        most = max(1, 20_000 // (number + 1))
        count = Count(CHANCE.randint(0, most), CHANCE.randint(0, most))
        batch.put(Family.KV, prefix + word.encode(), rows.encode_count(count))
    made.write(batch)
    made.sync()
    yield made
    made.close()


def warmed(engine: RocksEngine, messages: list[bytes]) -> WordCache:
    cache = WordCache()
    for one in messages:
        classify_message(one, mime.parse(one), StoredCounts(engine, cache, ACCOUNT), PARAMETERS)
    return cache


@pytest.mark.parametrize("known", ["same", "others", "none"])
def test_classify(benchmark: BenchmarkFixture, engine: RocksEngine, known: str) -> None:
    """In memory are the words of this message, of 200 other messages and more, or none.

    The second is what goes on: each message is a new one, and leaves its words behind.
    """
    content = message()
    seen = {"same": [content], "others": [message() for _ in range(200)], "none": []}[known]
    counts = StoredCounts(engine, warmed(engine, seen), ACCOUNT)

    def prepare() -> tuple[tuple[bytes, StoredCounts], dict[str, object]]:
        stored = StoredCounts(engine, WordCache(), ACCOUNT) if known == "none" else counts
        return (message() if known == "others" else content, stored), {}

    def once(new: bytes, stored: StoredCounts) -> float:
        return classify_message(new, mime.parse(new), stored, PARAMETERS).probability

    found = benchmark.pedantic(once, setup=prepare, rounds=100)  # type: ignore[no-untyped-call]
    assert 0 <= found <= 1
