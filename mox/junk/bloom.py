"""Words seen before, without keeping them: once-only words stay out of a bulk training.

A stored filter is a plain string of bits.  Mail that comes in does not use it: the table of counts
has filters of its own.    Hash: BLAKE2b-256, RFC 7693.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

SIZE: Final = 4 * 1024 * 1024  # bytes
POSITIONS: Final = 10  # of one word
_HASH_BITS = 256
_WIDTH_MAX = 32


def positions(word: bytes, width: int, count: int) -> list[int]:
    """The bits of a word: consecutive groups of ``width`` bits of its hash, highest first.

    Errors  ValueError where the hash has too few bits.
    """
    if not 0 < width <= _WIDTH_MAX or count < 1 or count * width > _HASH_BITS:
        raise ValueError("more bits than the hash has")
    number = int.from_bytes(hashlib.blake2b(word, digest_size=_HASH_BITS // 8).digest(), "big")
    mask = (1 << width) - 1
    return [number >> (_HASH_BITS - width * (at + 1)) & mask for at in range(count)]


class Bloom:
    """A set of words that may claim to hold one it does not, never the opposite.

    Errors  ValueError for a size that is no power of two.
    """

    __slots__ = ("_count", "_width", "bits")

    def __init__(self, bits: bytearray, count: int = POSITIONS) -> None:
        size = len(bits) * 8
        if not size or size & (size - 1):
            raise ValueError("size is no power of two")
        self.bits = bits
        self._width = size.bit_length() - 1
        self._count = count
        positions(b"", self._width, count)  # refuses what cannot work

    def __contains__(self, word: bytes) -> bool:
        return all(
            self.bits[at >> 3] & 0x80 >> (at & 7)
            for at in positions(word, self._width, self._count)
        )

    def add(self, word: bytes) -> bool:
        """Add a word; True where it seems to have been there before."""
        known = True
        for at in positions(word, self._width, self._count):
            bit = 0x80 >> (at & 7)
            if not self.bits[at >> 3] & bit:
                known = False
                self.bits[at >> 3] |= bit
        return known

    def seen_before(self, words: Iterable[bytes]) -> set[bytes]:
        """Add words; those that seem to have been there before, which are to be counted."""
        return {word for word in words if self.add(word)}

    @property
    def ones(self) -> int:
        """Bits that are set."""
        return int.from_bytes(self.bits, "big").bit_count()
