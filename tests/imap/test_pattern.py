"""LIST wildcards."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import MAILBOX_NAME
from mox.imap import pattern
from mox.imap.pattern import Pattern


@pytest.mark.rfc("9051 §6.3.9")
@pytest.mark.parametrize(
    ("text", "matching", "others"),
    [
        ("*", ["a", "a/b", "Inbox"], []),
        ("%", ["a", "Inbox"], ["a/b"]),
        ("a/%", ["a/b", "a/"], ["a", "a/b/c", "b/a"]),
        ("%/%", ["a/b"], ["a", "a/b/c"]),
        ("a%", ["a", "ab"], ["a/b", "ba"]),
        ("*b", ["b", "a/b", "ab"], ["ba"]),
        ("a*c%e", ["ace", "a/b/c/cde"], ["ac/e"]),
        ("%*", ["a", "a/b"], []),
        ("*%", ["a", "a/b"], []),
        ("%%", ["a"], ["a/b"]),
        ("", [], ["a"]),
        ("a", ["a"], ["A", "ab", ""]),
        ("☺%", ["☺x"], ["x"]),
    ],
)
def test_wildcards(text: str, matching: list[str], others: list[str]) -> None:
    compiled = Pattern(text)
    assert [name for name in matching if not compiled.matches(name)] == []
    assert [name for name in others if compiled.matches(name)] == []


@pytest.mark.rfc("9051 §5.1")
def test_inbox_matches_in_any_case_at_the_top_only() -> None:
    for text in ("INBOX", "inbox", "InB%", "i*", "%X"):
        assert Pattern(text).matches("Inbox")
    assert Pattern("INBOX/%").matches("Inbox/a")
    assert not Pattern("INBOX/A").matches("Inbox/a")
    assert not Pattern("a/INBOX").matches("a/Inbox")
    assert not Pattern("INBOXES").matches("Inboxes")


def test_a_reference_is_a_level() -> None:
    assert pattern.join("", "%") == "%"
    assert pattern.join("a", "%") == "a/%"
    assert pattern.join("a/", "%") == "a/%"
    assert pattern.join("/a", "%") is None
    assert pattern.join("a", "/b") is None


def test_hostile_patterns_are_cheap() -> None:
    name = "a" * MAILBOX_NAME
    started = time.process_time()
    assert not Pattern("*a" * MAILBOX_NAME + "*b").matches(name)
    assert not Pattern("%a*" * (MAILBOX_NAME // 2) + "b").matches(name)
    assert not Pattern("a" * 1_000_000).matches(name)
    assert Pattern("*" * 1_000_000).matches(name)
    assert time.process_time() - started < 0.5


@given(st.text("ab/%*", max_size=8), st.text("ab/", max_size=8))
def test_it_is_what_the_wildcards_say(text: str, name: str) -> None:
    pieces = {"%": "[^/]*", "*": ".*"}
    expected = re.fullmatch("".join(pieces.get(char, re.escape(char)) for char in text), name)
    assert Pattern(text).matches(name) == (expected is not None)
