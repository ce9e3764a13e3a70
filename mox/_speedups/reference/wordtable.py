"""A table of words and what is known of each: the plain twin of ``wordtable.pyx``."""

from collections.abc import Hashable
from typing import Final, Generic, TypeVar, final

LONGEST: Final = 32768

_VALUE_BYTES = 200  # of an object, about
_WORD_BYTES = 100  # of a word and its place, about

V = TypeVar("V", bound=Hashable)


@final
class WordTable(Generic[V]):
    """See the module."""

    def __init__(self) -> None:
        self._known: dict[bytes, V] = {}
        self._values: dict[V, V] = {}

    def __len__(self) -> int:
        return len(self._known)

    @property
    def memory(self) -> int:
        """Bytes that are needed, about."""
        return len(self._known) * _WORD_BYTES + len(self._values) * _VALUE_BYTES

    def get(self, words: list[bytes]) -> list[V | None]:
        """What is known of each word, in their order; None for words that are not here."""
        _check(words)
        return [self._known.get(word) for word in words]

    def put(self, words: list[bytes], values: list[V]) -> None:
        """Know this of the words from now on, whatever was known of them."""
        _check(words, values)
        for word, value in zip(words, values, strict=True):
            self._known[word] = self._values.setdefault(value, value)

    def replace(self, words: list[bytes], values: list[V]) -> None:
        """The same, of those words that are here."""
        _check(words, values)
        for word, value in zip(words, values, strict=True):
            if word in self._known:
                self._known[word] = self._values.setdefault(value, value)


def _check(words: list[bytes], values: list[V] | None = None) -> None:
    if values is not None and len(values) != len(words):
        raise ValueError("as many values as words")
    if any(len(word) > LONGEST for word in words):
        raise ValueError("a word is too long")
