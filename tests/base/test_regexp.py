"""Expressions of operators on texts of strangers: the same answers as ``re``, in bounded time."""

import re
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox.base.limits import CONFIG_REGEXP, REGEXP_DEPTH, REGEXP_KEPT, REGEXP_SUBJECT
from mox.base.regexp import Regexp


@pytest.mark.parametrize(
    ("text", "found", "not_found"),
    [
        ("", ["", "x"], []),
        ("b", ["b", "abc"], ["", "ac"]),
        ("^b", ["bc"], ["ab", "a\nb"]),
        ("b$", ["ab"], ["ba", "b\n", "b\na"]),
        (r"\Ab\z", ["b"], ["ab", "ba"]),
        (r"\Ab\Z", ["b"], ["b\n"]),
        ("(?m)^b$", ["b", "a\nb\nc"], ["ab", "a\nbc"]),
        ("^(junk|spam)", ["junk", "spam/2026"], ["my junk"]),
        ("a|bc|", ["", "x"], []),
        ("a(b|c)d", ["abd", "xacdx"], ["ad", "abcd"]),
        ("ab*c", ["ac", "abbbc"], ["ab"]),
        ("ab+c", ["abc", "abbc"], ["ac"]),
        ("^ab?c$", ["ac", "abc"], ["abbc"]),
        ("^ab*?c$", ["ac", "abbc"], ["abd"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{1,3}$", ["a", "aaa"], ["", "aaaa"]),
        ("^a{0}$", [""], ["a"]),
        ("^a{,3}$", ["a{,3}"], ["aaa"]),  # not a count: as it stands
        ("^{$", ["{"], [""]),
        ("^(ab|c){2}$", ["abc", "cc"], ["ab", "abcc"]),
        ("^(a*)*$", ["", "aaaa"], ["b"]),
        ("^(a|b*)+$", ["", "abba"], ["c"]),
        ("a.c", ["abc", "a☃c"], ["a\nc", "ac"]),
        ("(?s)a.c", ["a\nc"], ["ac"]),
        ("(?i)straße", ["STRAßE", "Straße"], ["strasse"]),
        ("(?i)^[a-c]$", ["B", "b"], ["D"]),
        ("^(?i:a)b$", ["Ab", "ab"], ["AB"]),
        ("^(?i)a(?-i)b$", ["Ab"], ["AB"]),
        ("(?P<name>a)(?<other>b)(?:c)", ["abc"], ["ab"]),
        ("^[abc]$", ["b"], ["d", ""]),
        ("^[^abc]$", ["d", "\n"], ["b"]),
        ("^[]a]$", ["]", "a"], ["["]),
        ("^[a-]$", ["-", "a"], ["b"]),
        (r"^[\d.]+$", ["1.2"], ["a"]),
        (r"^[^\D]$", ["1"], ["a"]),
        (r"^[\]\\]$", ["]", "\\"], ["a"]),
        ("^[[:alpha:][:^alnum:]]$", ["a", "-"], ["1"]),
        (r"^\d\D\w\W\s\S$", ["1a_- x"], ["aa_- x"]),
        (r"^\d$", ["7"], ["٧"]),  # ASCII, as in RE2
        (r"^\w$", ["w"], ["é"]),
        (r"^\s$", [" ", "\t"], ["\v", "\xa0"]),
        (r"\bfoo\b", ["a foo.", "foo"], ["food", "_foo"]),
        (r"o\Bo", ["foo"], ["o o"]),
        (r"^\b$", [], ["", "a"]),
        (r"^\.\x41\x{1f600}\n\t$", [".A\U0001f600\n\t"], [".A"]),
        (r"@example\.org$", ["you@example.org"], ["you@example-org", "you@example.org.evil"]),
        ("é", ["café"], ["cafe"]),
    ],
)
def test_what_is_found(text: str, found: list[str], not_found: list[str]) -> None:
    expression = Regexp(text)
    for _ in range(2):  # with states to be made, and with those that are kept
        for subject in found:
            assert expression.found_in(subject), subject
        for subject in not_found:
            assert not expression.found_in(subject), subject


@pytest.mark.parametrize(
    "text",
    [
        "(", ")", "a)", "(a", "[", "[a", "[]", "[^]", "*", "+a", "?", "a**", "a*+", "a++", "a{2}{3}",
        "a{2,1}", "a{1001}", "a{0,1001}", "\\", "a\\", r"(a)\1", r"\g<1>", r"\pL", r"\Qa\E", r"\k",
        "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?(1)a)", "(?P=n)", "(?P<n", "(?x)", "(?",
        "[b-a]", r"[a-\d]", r"[\d-z]", "[[:bogus:]]", "[[:alpha:", r"[\b]", r"\x4", r"\x{110000}",
        r"\x{", "(?#c)", "|*",
    ],
)  # fmt: skip
def test_not_expressions(text: str) -> None:
    with pytest.raises(ValueError, match=r"^not a regular expression: .* at character \d+$"):
        Regexp(text)


def test_limits() -> None:
    Regexp("x" * CONFIG_REGEXP)
    with pytest.raises(ValueError, match="has at most 1000 characters"):
        Regexp("x" * (CONFIG_REGEXP + 1))
    Regexp("(" * REGEXP_DEPTH + ")" * REGEXP_DEPTH)
    with pytest.raises(ValueError, match="groups in more than 50 groups"):
        Regexp("(" * (REGEXP_DEPTH + 1) + ")" * (REGEXP_DEPTH + 1))
    with pytest.raises(ValueError, match="its repetitions make it too large"):
        Regexp("((a{1000}){1000}){1000}")
    with pytest.raises(ValueError, match="its repetitions make it too large"):
        Regexp("((((a|b){0,40}){0,40}){0,40}){0,40}")
    assert Regexp("((((){1000}){1000}){1000}){1000}").found_in("")
    with pytest.raises(ValueError, match="its repetitions make it too large"):
        Regexp("((((){0,1000}){1000}){1000}){1000}")


def test_only_so_much_of_a_text_is_searched() -> None:
    assert Regexp("b$").found_in("a" * (REGEXP_SUBJECT - 1) + "b")
    assert not Regexp("b").found_in("a" * REGEXP_SUBJECT + "b")


@pytest.mark.parametrize("text", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(.*a.*)*$", "(x+x+)+y"])
def test_what_takes_for_ever_elsewhere(text: str) -> None:
    expression = Regexp(text)
    assert not expression.found_in("a" * (REGEXP_SUBJECT - 2) + "\n!")
    assert not expression.found_in("x" * REGEXP_SUBJECT)


def test_the_states_that_are_kept_are_bounded() -> None:
    """An expression whose states are exponentially many."""
    expression = Regexp("(a|b)*a(a|b){12}c")
    for seed in range(40):
        number = seed * 7919 + 1
        subject = "".join(
            "ab"[(number := number * 1103515245 + 12345 & 0x7FFFFFFF) >> 16 & 1] for _ in range(500)
        )
        assert not expression.found_in(subject)
        assert expression._kept <= REGEXP_KEPT + 100
    assert expression.found_in("b" * 300 + "a" + "b" * 12 + "c")


def test_several_threads() -> None:
    expression = Regexp("(a|b)*a(a|b){9}c")
    answers: list[bool] = []

    def search(number: int) -> None:
        filler = format(number * 0x9E3779B97F4A7C15, "b").translate({48: "a", 49: "b"})
        subject = filler + "c" * (number % 2)
        answers.extend(expression.found_in(subject) for _ in range(20))

    threads = [threading.Thread(target=search, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = [
        re.search(
            "a[ab]{9}c",
            format(n * 0x9E3779B97F4A7C15, "b").translate({48: "a", 49: "b"}) + "c" * (n % 2),
        )
        for n in range(8)
    ]
    assert answers.count(True) == 20 * sum(one is not None for one in wanted)


def test_equality() -> None:
    assert Regexp("a") == Regexp("a")
    assert Regexp("a") != Regexp("b")
    assert hash(Regexp("a")) == hash(Regexp("a"))
    assert repr(Regexp("a")) == "Regexp('a')"


ATOMS = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\w", r"\W", r"\d", r"\b", r"\B", "^", r"\Z", "_", "[a-c1]"]
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"({two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "{2}", "{0,2}", "{1,}"])).map(
            lambda two: f"(?:{two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(EXPRESSIONS, st.lists(st.text("ab1_ \n", max_size=7), min_size=1, max_size=5))
def test_the_same_answers_as_re(text: str, subjects: list[str]) -> None:
    expression = Regexp(text)
    for subject in subjects:
        if not subject and r"\B" in text:
            continue  # here re of Python before 3.14 and RE2 differ
        wanted = re.search(text, subject, re.ASCII) is not None
        assert expression.found_in(subject) is wanted, (text, subject)
        assert Regexp(text).found_in(subject) is wanted
