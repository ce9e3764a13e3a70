"""Text → words and runs of words, as the junk filter counts them: the plain twin of ``words.pyx``.

A word is a run of letters and digits (Unicode), and of apostrophes that begin it or have no letter
behind them.  It is lower-cased character by character, and apostrophes around it are taken away.
Left out are words of at most 2 bytes of UTF-8 and those that look like no language: digits only; in
ASCII a run of 6 consonants and digits 2 to 9; a run of 4 digits, or of 3 where "0x" or nothing
precedes and all is hexadecimal.  What is left out is no part of a run and does not end one.
"""

import re
from typing import Final

ONE: Final = 1
TWO: Final = 2
THREE: Final = 4

_SHORT = 2  # bytes; words of so many say nothing
_SHORT_PREFIXED = 3  # bytes; the same behind a prefix
_MOST_LONGEST = 1 << 20
_RANDOM = re.compile(rb"[b-df-hj-np-tv-z2-9]{6}")
_DIGITS = re.compile(rb"[0-9]+")
_NUMERIC = re.compile(rb"[0-9]{4}")
_HEX = re.compile(rb"[0-9a-f]*[0-9]{3}[0-9a-f]*")


def _words(text: str) -> list[str]:
    words: list[str] = []
    word: list[str] = []
    for at, char in enumerate(text):
        joins = char == "'" and (not word or not text[at + 1 : at + 2].isalpha())
        if joins or char.isalpha() or char.isdecimal():
            word.append(char.lower()[0])  # the first is the simple form of Unicode
        elif word:
            words.append("".join(word))
            word = []
    words.append("".join(word))
    return words


def _keeps(word: bytes) -> bool:
    if len(word) <= _SHORT or _DIGITS.fullmatch(word):
        return False
    if word.isascii() and _RANDOM.search(word):
        return False
    number = word.removeprefix(b"0x")
    return not (_NUMERIC.search(number) or _HEX.fullmatch(number))


def add_words(
    text: str, prefix: bytes, grams: int, longest: int, most: int, found: set[bytes]
) -> None:
    """Add the words of a text, and runs of two and three of them, to a set.

    Input   grams: the sum of ONE, TWO, THREE that are wanted.  longest: bytes of a word or run with
            its prefix, longer ones are left out.  most: a set of so many takes no more.
    """
    if not 0 <= longest <= _MOST_LONGEST:
        raise ValueError("longest outside of 0 .. 1 MiB")
    if len(prefix) > longest:
        raise ValueError("prefix longer than the longest word")
    before_last = last = b""
    for read in _words(text):
        raw = read.encode()
        word = raw.strip(b"'")
        if len(raw) > longest or not _keeps(word):
            continue
        runs: list[bytes] = []
        if grams & THREE and last and before_last:
            runs.append(b" ".join((before_last, last, word)))
        if grams & TWO and last:
            runs.append(b" ".join((last, word)))
        if grams & ONE:
            runs.append(word)
        before_last, last = last, word
        for run in runs:
            short = bool(prefix) and len(run) <= _SHORT_PREFIXED
            if not short and len(prefix) + len(run) <= longest and len(found) < most:
                found.add(prefix + run)
