"""The filter of words seen before."""

import pytest

from mox.junk.bloom import POSITIONS, SIZE, Bloom, positions

GOLDEN = {
    b"hello": "6593438 653138 18371737 12861939 13321405 1754575 16241244 15042888 4876515 14708171",
    b"Subject:invoice": (
        "15932769 12096308 19314327 13478731 33437081 28961545 21470057 23977126 29794296 4216090"
    ),
    b"cheap pills": (
        "14110680 16379439 3336417 14293985 29443134 26536359 21888093 26276596 30729000 22457180"
    ),
}


@pytest.mark.parametrize("word", GOLDEN)
def test_positions(word: bytes) -> None:
    assert positions(word, 25, POSITIONS) == [int(text) for text in GOLDEN[word].split()]
    assert SIZE * 8 == 1 << 25


def test_positions_are_groups_of_the_hash() -> None:
    bits = "".join(f"{at:08b}" for at in positions(b"hello", 8, 32))
    for width, count in ((8, 4), (32, 8), (5, 51)):
        groups = [int(bits[at * width : (at + 1) * width], 2) for at in range(count)]
        assert positions(b"hello", width, count) == groups


@pytest.mark.parametrize(("width", "count"), [(25, 11), (33, 1), (0, 1), (8, 0), (32, 9)])
def test_more_bits_than_the_hash_has_are_refused(width: int, count: int) -> None:
    with pytest.raises(ValueError, match="bits"):
        positions(b"hello", width, count)


@pytest.mark.parametrize("size", [0, 3, 5, 1000])
def test_the_size_is_a_power_of_two(size: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Bloom(bytearray(size))


def test_bits_are_numbered_from_the_highest() -> None:
    bloom = Bloom(bytearray(32), count=1)
    (at,) = positions(b"hello", 8, 1)
    assert not bloom.add(b"hello")
    assert bloom.bits[at >> 3] == 0x80 >> (at & 7)
    assert bloom.ones == 1


def test_words_are_seen_the_second_time() -> None:
    bloom = Bloom(bytearray(4096))
    words = {b"word%d" % number for number in range(100)}
    assert bloom.seen_before(words) == set()
    assert all(word in bloom for word in words)
    assert bloom.seen_before(words) == words
    assert 0 < bloom.ones <= 1000
    assert sum(b"other%d" % number in bloom for number in range(1000)) < 10
