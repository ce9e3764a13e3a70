"""Flags on the wire: system flags are bits, everything else is a keyword.    RFC 9051 §2.3.2.

Names compare without case.  Keywords are kept in lower case; ``$Forwarded``, ``$Junk``,
``$NotJunk``, ``$Phishing`` and ``$MDNSent`` are bits like the flags with a backslash.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from mox.base import limits
from mox.base.flags import SYSTEM_FLAGS
from mox.imap.characters import ATOM
from mox.imap.errors import BadKeyword

_BITS: Final = {name.lower().encode(): bit for name, bit in SYSTEM_FLAGS}
_NAMES: Final = tuple((name.encode(), bit) for name, bit in SYSTEM_FLAGS)
ALL_BITS: Final = sum(bit for _, bit in SYSTEM_FLAGS)
SYSTEM_NAMES: Final = b" ".join(name for name, _ in _NAMES)


class FlagSet(msgspec.Struct, frozen=True, kw_only=True):
    """Flags of one command or message.    ``keywords`` are lower case, sorted, each once."""

    bits: int = 0
    keywords: tuple[str, ...] = ()

    def check_keywords(self) -> None:
        """Errors: BadKeyword for a keyword that we do not keep."""
        for keyword in self.keywords:
            if len(keyword) > limits.KEYWORD_LENGTH:
                raise BadKeyword("keyword too long")


def parse(names: Iterable[bytes]) -> FlagSet:
    """Flags from their names.

    Errors  ValueError, its text fit to be shown: an unknown flag with a backslash (``\\Recent``
            too: RFC 3501 §2.3.2, no client can set it), or a keyword that is no atom.
    """
    bits = 0
    keywords: set[str] = set()
    for name in names:
        lower = name.lower()
        bit = _BITS.get(lower)
        if bit is not None:
            bits |= bit
        elif lower.startswith(b"\\"):
            raise ValueError("unknown system flag")
        elif not lower or lower.translate(None, ATOM):
            raise ValueError("bad keyword")
        else:
            keywords.add(lower.decode("ascii"))
    return FlagSet(bits=bits, keywords=tuple(sorted(keywords)))


def names(bits: int, keywords: Iterable[str] = (), *, recent: bool = False) -> bytes:
    """Flags as a list's content: \\Recent, the system flags in their order, the keywords.

    The same order as in the lines of ``_speedups.format_fetch``.
    """
    found = [name for name, bit in _NAMES if bits & bit]
    if recent:
        found.insert(0, b"\\Recent")
    found.extend(keyword.encode("ascii") for keyword in keywords)
    return b" ".join(found)


def format_list(bits: int, keywords: Iterable[str] = (), *, recent: bool = False) -> bytes:
    """Flags as a parenthesised list: ``(\\Seen $Junk label)``."""
    return b"(" + names(bits, keywords, recent=recent) + b")"
