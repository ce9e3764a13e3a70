"""Organisational domains by the public suffix list; the only door to the publicsuffixlist package.

Source  RFC 7489 §3.2 with erratum 6729: only the list's section of registries (ICANN) counts.
        https://publicsuffix.org/list/ : exceptions win, then the longest rule, else one label.
"""

from collections.abc import Iterable
from functools import cache, lru_cache
from typing import Protocol

from publicsuffixlist import PublicSuffixList

from mox.base.limits import PUBLIC_SUFFIX_CACHE


class PublicSuffixes(Protocol):
    """Who registers names."""

    def organizational(self, domain: str) -> str:
        """The name somebody registered: a public suffix and one label; a suffix maps to itself.

        ``domain`` is in ASCII or Unicode, without final dot; the answer is in lower case.
        """
        ...


class ListedSuffixes:
    """The public suffix list; the copy that comes with the package, or the rules given."""

    __slots__ = ("_find", "_list")

    def __init__(self, rules: Iterable[str] | None = None) -> None:
        lines = None
        if rules is not None:
            lines = ["// ===BEGIN ICANN DOMAINS===", *rules, "// ===END ICANN DOMAINS==="]
        self._list = PublicSuffixList(lines, only_icann=True)
        self._find = lru_cache(maxsize=PUBLIC_SUFFIX_CACHE)(self._organizational)

    def organizational(self, domain: str) -> str:
        """See ``PublicSuffixes``."""
        return self._find(domain.lower())

    def _organizational(self, domain: str) -> str:
        return self._list.privatesuffix(domain) or domain


@cache
def listed() -> ListedSuffixes:
    """The list of the package; read once, at the first call (about 0.1 s)."""
    return ListedSuffixes()


def is_public_suffix(suffixes: PublicSuffixes, domain: str) -> bool:
    """Whether names directly below it are registered by different people."""
    below = f"x.{domain}".lower()
    return suffixes.organizational(below) == below


def is_same_organization(suffixes: PublicSuffixes, one: str, other: str) -> bool:
    """Whether two names belong to the same registered one; names at or above a suffix never do.

    Source  RFC 7489 §3.1: relaxed alignment.
    """
    if one.lower() == other.lower():
        return True
    organization = suffixes.organizational(one)
    return organization == suffixes.organizational(other) and not is_public_suffix(
        suffixes, organization
    )
