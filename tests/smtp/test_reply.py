import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.errors import Malformed
from mox.base.limits import MESSAGE_SIZE
from mox.smtp import replies
from mox.smtp.keywords import Keyword, format_ehlo, parse_ehlo
from mox.smtp.reply import Reply, ReplyParser, format_reply, reply


def parse(data: bytes) -> Reply:
    parser = ReplyParser()
    *lines, last = data.removesuffix(b"\r\n").split(b"\r\n")
    for line in lines:
        assert parser.line(line) is None
    found = parser.line(last)
    assert found is not None
    return found


@pytest.mark.rfc("2034 §4")
def test_the_enhanced_code_is_on_every_line() -> None:
    assert format_reply(reply(550, "5.1.1", "no\nsuch user")) == (
        b"550-5.1.1 no\r\n550 5.1.1 such user\r\n"
    )
    assert format_reply(replies.START_DATA) == b"354 see you at the bare dot\r\n"
    assert format_reply(Reply(code=250)) == b"250 \r\n"


@pytest.mark.rfc("5321 §4.5.3.1.5")
def test_long_text_is_cut_at_a_space_or_at_byte_400() -> None:
    spaced = "a" * 450 + " " + "b" * 100
    assert format_reply(reply(250, "2.0.0", spaced)) == (
        b"250-2.0.0 " + b"a" * 450 + b"\r\n250 2.0.0  " + b"b" * 100 + b"\r\n"
    )
    assert format_reply(reply(250, "2.0.0", "a" * 900)) == (
        b"250-2.0.0 " + b"a" * 400 + b"\r\n250 2.0.0 " + b"a" * 500 + b"\r\n"
    )
    # 510 octets without CRLF fit: 4 of the code, 6 of the enhanced code, 500 of text.
    fits = format_reply(reply(250, "2.0.0", "a" * 500))
    assert len(fits) == 512


def test_a_cut_does_not_split_a_character() -> None:
    for line in format_reply(reply(250, "2.0.0", "x" + "é" * 600)).split(b"\r\n"):
        assert len(line) <= 510
        line.decode("utf-8")


def test_nothing_of_a_peer_can_begin_a_line() -> None:
    assert format_reply(Reply(code=501, lines=("a\r\n250 ok\0\x7f",))) == b"501 a??250 ok??\r\n"


@given(
    st.integers(200, 599),
    st.sampled_from(["", "2.0.0", "4.7.11", "5.123.1"]),
    st.lists(st.text(st.characters(codec="utf-8", min_codepoint=33), max_size=20), min_size=1),
)
def test_what_is_formatted_parses_to_the_same(code: int, enhanced: str, lines: list[str]) -> None:
    code = int(enhanced[0]) * 100 + code % 100 if enhanced else code
    value = Reply(
        code=code, enhanced=enhanced, lines=tuple(x.replace("\x7f", "").strip() for x in lines)
    )
    parsed = parse(format_reply(value))
    assert (parsed.code, parsed.lines) == (value.code, value.lines)
    assert parsed.enhanced == enhanced


def test_reply_parsing() -> None:
    assert parse(b"250") == Reply(code=250)
    assert parse(b"250 5.1.1 odd class") == Reply(code=250, lines=("5.1.1 odd class",))
    parser = ReplyParser()
    parser.line(b"250-a")
    with pytest.raises(Malformed, match="changes"):
        parser.line(b"251 b")
    for bad in (b"", b"25", b"250x", b"hello", b"650 x"):
        with pytest.raises(Malformed):
            ReplyParser().line(bad)


def test_a_reply_has_a_limit_of_lines() -> None:
    parser = ReplyParser()
    for _ in range(1000):
        parser.line(b"250-x")
    with pytest.raises(Malformed, match="too many"):
        parser.line(b"250-x")


def test_combined_failures() -> None:
    same = replies.combine(
        [replies.NO_SUCH_USER, reply(550, "5.1.1", "other"), replies.NO_SUCH_USER]
    )
    assert same == Reply(code=550, enhanced="5.1.1", lines=("no such user(s)", "other"))
    mixed = replies.combine([replies.NO_SUCH_USER, replies.OVER_QUOTA])
    assert (mixed.code, mixed.enhanced) == (554, "5.3.0")
    assert mixed.lines == (
        "550 5.1.1 no such user(s)",
        "452 4.2.2 mailbox full",
        "multiple errors",
    )
    temporary = replies.combine([replies.OVER_QUOTA, replies.STORAGE_FULL])
    assert (temporary.code, temporary.enhanced) == (451, "4.3.0")


def test_too_big_names_whose_limit_it_is() -> None:
    assert replies.too_big(MESSAGE_SIZE, MESSAGE_SIZE).enhanced == "5.3.4"
    assert replies.too_big(1000, MESSAGE_SIZE).enhanced == "5.2.3"


def test_every_named_reply_has_a_fitting_class() -> None:
    named = [value for value in vars(replies).values() if isinstance(value, Reply)]
    assert len(named) > 50
    for value in named:
        assert not value.enhanced or value.enhanced[0] == str(value.code)[0] or value.code == 354


@pytest.mark.rfc("5321 §4.1.1.1")
def test_ehlo_keywords_there_and_back() -> None:
    keywords = [Keyword("PIPELINING"), Keyword("AUTH", ("PLAIN", "LOGIN"))]
    written = format_ehlo("mail.example.org", keywords)
    assert format_reply(written) == (
        b"250-mail.example.org\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n"
    )
    assert parse_ehlo(written) == (
        "mail.example.org",
        {"PIPELINING": (), "AUTH": ("PLAIN", "LOGIN")},
    )
    odd = Reply(code=250, lines=("host hello there", "", "size 5", "AUTH=PLAIN"))
    assert parse_ehlo(odd) == ("host", {"SIZE": ("5",)})
    with pytest.raises(Malformed):
        parse_ehlo(replies.UNKNOWN_COMMAND)
