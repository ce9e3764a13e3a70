"""Flags: bits, keywords, and back."""

import pytest

from mox.base import flags as bits
from mox.base import limits
from mox.imap import flags
from mox.imap.errors import BadKeyword
from mox.imap.flags import FlagSet


@pytest.mark.rfc("9051 §2.3.2")
def test_every_system_flag_is_read_and_written_in_any_case() -> None:
    for name, bit in bits.SYSTEM_FLAGS:
        for form in (name, name.upper(), name.lower()):
            assert flags.parse([form.encode()]) == FlagSet(bits=bit)
        assert flags.format_list(bit) == f"({name})".encode()
    assert flags.parse(flags.SYSTEM_NAMES.split()).bits == flags.ALL_BITS


def test_keywords_are_lower_case_sorted_and_once() -> None:
    assert flags.parse([b"Zed", b"alpha", b"ZED"]).keywords == ("alpha", "zed")


@pytest.mark.parametrize("name", [b"", b"\\", b"\\Recent", b"\\foo", b"a b", b"a(", b"\xe9", b"]"])
def test_bad_names(name: bytes) -> None:
    with pytest.raises(ValueError, match=r"flag|keyword"):
        flags.parse([name])


def test_a_long_keyword_is_refused_not_ungrammatical() -> None:
    flags.parse([b"k" * limits.KEYWORD_LENGTH]).check_keywords()
    with pytest.raises(BadKeyword):
        flags.parse([b"k" * (limits.KEYWORD_LENGTH + 1)]).check_keywords()


def test_the_order_shown() -> None:
    shown = flags.format_list(bits.DELETED | bits.SEEN | bits.JUNK, ["x"], recent=True)
    assert shown == rb"(\Recent \Seen \Deleted $Junk x)"
    assert flags.format_list(0) == b"()"
