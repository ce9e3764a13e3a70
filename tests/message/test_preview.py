"""Previews.    RFC 8970."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import PREVIEW_LINES
from mox.message import mime
from mox.message import preview as module
from mox.message.htmltext import html_to_text
from mox.message.preview import preview, preview_text


def text(*lines: str) -> str:
    return preview_text("\n".join(lines))


@pytest.mark.rfc("8970 §3.1")
@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["hello", "", "  world  "], "hello\nworld\n"),
        ([""], ""),
        (["> quoted", ">", "", "> more", "new"], "[...]\nnew\n"),
        (["a", "> b", "c", "> d"], "a\n[...]\nc\n[...]\n"),
        (["> quoted", "[...]", "new"], "[...]\nnew\n"),
        (["> quoted", "…", "[…]"], "[...]\n…\n[…]\n"),
        (["> quoted", "...", "new"], "[...]\nnew\n"),
        # attribution
        (["On 1 Jan, X wrote:", "> a", "b"], "[...]\nb\n"),
        (["X wrote:", "", "> a", "b"], "[...]\nb\n"),
        (["hi", "On 1 Jan, X wrote:", "", "> a", "b"], "hi\n[...]\nb\n"),
        (["hi", "This is what I said:", "> a"], "hi\nThis is what I said:\n[...]\n"),
        (["hi", "On 1 Jan:", "[...]", "b"], "hi\n[...]\nb\n"),
        (["On 1 Jan 2025,", "X <x@y> wrote:", "> a", "b"], "[...]\nb\n"),
        (["On 1 Jan 2025,", "X wrote:", "", "> a", "b"], "[...]\nb\n"),
        (
            ["On reflection,", "here it is:", "no quote", "b"],
            "On reflection,\nhere it is:\nno quote\nb\n",
        ),
        # signature
        (["hi", "--", "me", "there"], "hi\n"),
        (["hi", "-- ", "me"], "hi\n"),
        (["hi", "------", "me", "", ""], "hi\n"),
        (["hi", "-", "me"], "hi\n-\nme\n"),
        (["hi", "--", "me", "", "more"], "hi\n--\nme\nmore\n"),
        (["hi", "--", "1", "2", "3", "4", "5"], "hi\n--\n1\n2\n3\n4\n5\n"),
    ],
)
def test_text(lines: list[str], expected: str) -> None:
    assert text(*lines) == expected


def test_it_ends_after_enough() -> None:
    assert text("x" * 100, "y" * 100, "z" * 100, "w") == (
        "x" * 100 + "\n" + "y" * 100 + "\n" + "z" * 54
    )
    # characters, not bytes
    assert text("\U0001f600" * 300) == "\U0001f600" * 256


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<p>Hi <b>you</b></p><p>there", "Hi you\nthere"),
        ("<td>a</td><td>b</td></tr><tr><td>c", "a b \nc"),
        ("a<br>b<br/>c", "a\nb\nc"),
        ("<head><title>no</title></head><body>yes", "yes"),
        ("<head><title>no</title><body>yes", "yes"),
        ("<script>if (a < b) { '</p>' }</script>x<STYLE>p > q</STYLE >y", "xy"),
        ("a<svg><g><text>no</text></g><svg></svg>no</svg>b<math/>c", "abc"),
        ("x &amp; y &lt;z&gt; &nbsp;", "x & y <z> \u00a0"),
        ("<blockquote>a<blockquote>b</blockquote>c</blockquote>d", "> a\n> > b\n> c\nd"),
        ("a <!-- <p> no --> b<!DOCTYPE x>c<?php no ?>d", "a bcd"),
        ("a  \t b\r\n\r\n c", "a b c"),
        ("1 < 2 <3", "1 < 2 <3"),
        ("a<b title='x > y' c=\">\">d", "ad"),
        ("a<b title=it's>c", "ac"),
        ("a<b unclosed", "a"),
        ("a<!-- unclosed", "a"),
        ("a<script>unclosed", "a"),
        ("a\u200b\u200c\u00a0b\u00a0c", "ab\u00a0c"),
        ("<p></p><div></div><p>\n</p>x", "x"),
        ("</blockquote></x>a</svg>b", "a\nb"),
        ("", ""),
    ],
)
def test_html(html: str, expected: str) -> None:
    assert html_to_text(html) == expected


def test_html_ends_after_enough() -> None:
    assert 4096 < len(html_to_text("<p>" + "x " * 3000 + "<p>" + "y " * 3000 + "<p>z")) < 9000
    assert "z" not in html_to_text("<p>" + "x " * 3000 + "<p>z")


def of(*lines: str) -> str:
    content = "\r\n".join(lines).encode()
    return preview(mime.parse(content), content)


def multipart(subtype: str, *parts: tuple[str, str]) -> list[str]:
    lines = [f"Content-Type: multipart/{subtype}; boundary=b", ""]
    for header, body in parts:
        lines += ["--b", *([header] if header else []), "", body]
    return [*lines, "--b--", ""]


PLAIN = ("Content-Type: text/plain", "plain")
HTML = ("Content-Type: text/html", "<p>html")


@pytest.mark.rfc("8970 §3.2")
def test_which_part_is_shown() -> None:
    assert of("Subject: x", "", "hi", "") == "hi\n"
    assert of(*multipart("alternative", PLAIN, HTML)) == "plain\n"
    assert of(*multipart("alternative", HTML, PLAIN)) == "html\n"
    assert of(*multipart("alternative", ("Content-Type: text/plain", ""), HTML)) == "html\n"
    assert of(*multipart("mixed", ("", "untyped"), HTML)) == "untyped\n"
    assert of(*multipart("mixed", ("Content-Type: text/calendar", "x"), HTML)) == "html\n"
    assert of(*multipart("mixed", ("Content-Disposition: attachment", "no"))) == ""
    assert of(*multipart("mixed", ("Content-Disposition: Attachment", "no"), HTML)) == "html\n"
    assert of(*multipart("encrypted", PLAIN)) == ""
    assert of(*multipart("signed", ("Content-Type: image/png", "x"), PLAIN)) == ""
    assert of(*multipart("signed", PLAIN, HTML)) == "plain\n"
    assert of("Content-Type: message/rfc822", "", "Subject: x", "", "no") == ""


def test_charset_and_encoding_are_decoded() -> None:
    assert (
        of(
            "Content-Type: text/html; charset=iso-8859-1",
            "Content-Transfer-Encoding: quoted-printable",
            "",
            "<b>J=F6rg</b> =E2",
        )
        == "Jörg â\n"
    )


@pytest.mark.parametrize(
    "unit", ["> a\n", "<a ", '<a "', "<a '>", "<!--", "<p>", "&", "<script", '<a "x>y" ', "</", "-"]
)
def test_hostile_text_takes_linear_time(unit: str) -> None:
    start = time.process_time()
    for kind in ("html", "plain"):
        found = of(f"Content-Type: text/{kind}", "", unit * (1_500_000 // len(unit)))
        assert len(found) <= 256
    # The slowest took 1.2 s, alone on the machine; the square of so many units would take hours.
    assert time.process_time() - start < 15


_lines = st.lists(
    st.sampled_from(["", "text", "> quoted", "--", "On 1 May:", "wrote:", "[...]", "x" * 60]),
    max_size=90,
)


@given(_lines, st.sampled_from(["\n", "\n\n", " \n"]))
def test_the_first_lines_decide_as_all_of_them_do(lines: list[str], end: str) -> None:
    text = end.join(lines)
    every = module._preview_of(text, PREVIEW_LINES)
    assert every is not None
    assert module._preview_of(text, 40) in (None, every)
    assert preview_text(text) == every


@pytest.mark.parametrize("before", range(16))
@pytest.mark.parametrize(
    "lines", [("On 1 May:", "> a"), ("On 1 May:", "", "> a"), ("--", "me", *[""] * 8, "a")]
)
def test_what_stands_at_the_end_of_the_first_lines_is_not_decided_by_them(
    before: int, lines: tuple[str, ...]
) -> None:
    for width in range(18, 30):  # of the lines before: the preview is full with one of them
        text = "\n".join(["x" * width] * before + [*lines, *["y" * 60] * 20])
        assert preview_text(text) == module._preview_of(text, PREVIEW_LINES)


_HEADERS = ["", "Content-Type: text/plain; charset=utf-8", "Content-Type: text/plain; charset=utf-16",
    "Content-Type: text/plain; charset=unknown", "Content-Transfer-Encoding: quoted-printable",
    "Content-Transfer-Encoding: base64", "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Type: text/plain; charset=iso-2022-jp"]  # fmt: skip


@given(_lines, st.sampled_from(_HEADERS), st.sampled_from(["x", "\xe4"]), st.integers(0, 200))
def test_the_start_of_a_long_text_decides_as_all_of_it_does(
    lines: list[str], header: str, end: str, size: int
) -> None:
    body = "\n".join([*lines, end * 5000]).encode("latin-1").replace(b"\n", b"\r\n")
    content = header.encode() + b"\r\n" * bool(header) + b"\r\n" + body
    part = mime.parse(content)
    found = preview(part, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_START", 1_000_000)
        assert found == preview(part, content)
        patch.setattr(module, "_START", size)
        assert found == preview(part, content)
