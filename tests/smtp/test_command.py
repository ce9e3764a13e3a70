from collections.abc import Callable

import pytest

from mox.smtp.address import NULL_PATH, Address
from mox.smtp.command import (
    Auth,
    Command,
    decode_response,
    parse_auth,
    parse_hello,
    parse_mail,
    parse_nothing,
    parse_optional_string,
    parse_rcpt,
    parse_verify,
    split_command,
)
from mox.smtp.errors import CommandError
from mox.smtp.params import MailParams


def code_of(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(CommandError) as raised:
        call()
    return raised.value.reply.code, raised.value.reply.enhanced


def test_the_verb_ends_at_the_first_space() -> None:
    assert split_command(b"mail FROM:<>") == Command(b"MAIL", b" FROM:<>")
    assert split_command(b"quit") == Command(b"QUIT", b"")
    assert split_command(b"") == Command(b"", b"")
    assert split_command(b" x") == Command(b"", b" x")


@pytest.mark.rfc("5321 §4.1.1.2")
def test_mail() -> None:
    mail = parse_mail(b" FROM:<a@b>", exact_end=True)
    assert mail.sender == Address("a", "b")
    assert mail.params == MailParams()
    assert parse_mail(b" from:<>", exact_end=True).sender == NULL_PATH
    assert parse_mail(b" FROM: <a@b>", exact_end=True).sender == Address("a", "b")
    assert parse_mail(b' FROM:<""@b>', exact_end=True).sender == Address("", "b")


def test_mail_parameters() -> None:
    mail = parse_mail(b" FROM:<a@b> size=1000 BODY=8bitmime AUTH=<> SMTPUTF8", exact_end=True)
    assert mail.params == MailParams(size=1000, body_8bit=True, smtputf8=True)
    assert parse_mail(b" FROM:<> AUTH=e+3Dmc2@x", exact_end=True).params == MailParams()
    big = parse_mail(b" FROM:<> SIZE=99999999999999999999", exact_end=True)
    assert big.params.size == 99999999999999999999


@pytest.mark.parametrize(
    ("rest", "code", "enhanced"),
    [
        (b"", 501, "5.5.2"),
        (b" FROM", 501, "5.5.2"),
        (b" FROM:a@b", 501, "5.5.2"),
        (b" FROM:  <a@b>", 501, "5.5.2"),
        (b" FROM:<a@b>SIZE=1", 501, "5.5.2"),
        (b" FROM:<a@b> ", 501, "5.5.2"),
        (b" FROM:<a@b>  SIZE=1", 501, "5.5.2"),
        (b" FROM:<a@b> SIZE=", 501, "5.5.2"),
        (b" FROM:<a@b> SIZE", 501, "5.5.2"),
        (b" FROM:<a@b> SIZE=x", 501, "5.5.2"),
        (b" FROM:<a@b> SIZE=123456789012345678901", 501, "5.5.2"),
        (b" FROM:<a@b> SIZE=1 SIZE=1", 501, "5.5.4"),
        (b" FROM:<a@b> SMTPUTF8=1", 501, "5.5.2"),
        (b" FROM:<a@b> AUTH=", 501, "5.5.2"),
        (b" FROM:<a@b> AUTH=+zz", 501, "5.5.2"),
        (b" FROM:<a@b> BODY=BINARYMIME", 555, "5.5.4"),
        (b" FROM:<a@b> BODY", 555, "5.5.4"),
        (b" FROM:<a@b> RET=HDRS", 555, "5.3.3"),
        ("FROM:<é@b>".encode(), 501, "5.5.2"),
        (" FROM:<é@b>".encode(), 550, "5.6.7"),
        (" FROM:<a@é>".encode(), 501, "5.5.2"),
    ],
)
def test_mail_errors(rest: bytes, code: int, enhanced: str) -> None:
    assert code_of(lambda: parse_mail(rest, exact_end=True)) == (code, enhanced)


@pytest.mark.rfc("6531 §3.5")
def test_smtputf8_after_the_path_allows_utf8_in_it() -> None:
    mail = parse_mail(" FROM:<é@é> SMTPUTF8".encode(), exact_end=True)
    assert mail.sender == Address("é", "xn--9ca")


def test_spaces_at_the_end_are_tolerated_on_the_open_port() -> None:
    assert parse_mail(b" FROM:<a@b> SIZE=1 \t", exact_end=False).params.size == 1
    assert parse_rcpt(b" TO:<a@b>  ", exact_end=False, smtputf8=False) == Address("a", "b")
    parse_nothing(b" ", exact_end=False)
    assert code_of(lambda: parse_nothing(b" ", exact_end=True)) == (501, "5.5.2")
    assert code_of(lambda: parse_nothing(b" x", exact_end=False)) == (501, "5.5.2")


def test_rcpt() -> None:
    assert parse_rcpt(b" TO:<a@b>", exact_end=True, smtputf8=False) == Address("a", "b")
    bare = parse_rcpt(b" to: <Postmaster>", exact_end=True, smtputf8=False)
    assert bare == Address("postmaster", "")
    with_utf8 = parse_rcpt(" TO:<é@b>".encode(), exact_end=True, smtputf8=True)
    assert with_utf8 == Address("é", "b")


@pytest.mark.parametrize(
    ("rest", "code", "enhanced"),
    [
        (b" TO:<>", 501, "5.5.2"),
        (b" TO:a@b", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=NEVER", 555, "5.3.3"),
        (b" TO:<a@b> x", 555, "5.3.3"),
        (" TO:<é@b>".encode(), 553, "5.6.7"),
        (" TO:<a@é>".encode(), 501, "5.5.2"),
    ],
)
def test_rcpt_errors(rest: bytes, code: int, enhanced: str) -> None:
    call = lambda: parse_rcpt(rest, exact_end=True, smtputf8=False)  # noqa: E731
    assert code_of(call) == (code, enhanced)


@pytest.mark.rfc("5321 §4.1.1.1")
def test_hello() -> None:
    assert parse_hello(b" Mail.Example.org", extended=True).name == "mail.example.org"
    assert parse_hello(b" [127.0.0.1]", extended=True).name == "[127.0.0.1]"
    assert parse_hello(b" [IPv6:::1] some text", extended=True).name == "[IPv6:::1]"
    assert parse_hello(b" localhost ", extended=False).name == "localhost"


@pytest.mark.parametrize(
    ("rest", "extended"),
    [
        (b"", True),
        (b" ", True),
        (b" a b", True),
        (b" [127.0.0.1]x", True),
        (b" [127.0.0.1]", False),
        (b" 127.0.0.1", True),
        (b" [::1]", True),
        (" é".encode(), True),
    ],
)
def test_hello_errors(rest: bytes, extended: bool) -> None:
    assert code_of(lambda: parse_hello(rest, extended=extended)) == (501, "5.5.2")


@pytest.mark.rfc("4954 §4")
def test_auth() -> None:
    assert parse_auth(b" LOGIN", exact_end=True) == Auth("LOGIN", None)
    assert parse_auth(b" PLAIN =", exact_end=True) == Auth("PLAIN", b"")
    assert parse_auth(b" PLAIN AGEAYg==", exact_end=True) == Auth("PLAIN", b"\0a\0b")
    assert parse_auth(b"  PLAIN  AGEAYg==", exact_end=True) == Auth("PLAIN", b"\0a\0b")
    assert parse_auth(b" SCRAM-SHA-256-PLUS", exact_end=True).mechanism == "SCRAM-SHA-256-PLUS"


@pytest.mark.parametrize(
    ("rest", "code", "enhanced"),
    [
        (b"", 501, "5.5.2"),
        (b" ", 501, "5.5.2"),
        (b" plain", 501, "5.5.2"),
        (b" *", 501, "5.5.2"),
        (b" PLAIN ", 501, "5.5.2"),
        (b" PLAIN @", 501, "5.5.2"),
        (b" PLAIN AGEAYg", 501, "5.5.2"),
        (b" PLAIN AGEAYg== x", 501, "5.5.2"),
        (b" PLAIN \xff", 501, "5.5.2"),
        (b" A-NAME-WITH-MORE-THAN-20", 504, "5.5.4"),
    ],
)
def test_auth_errors(rest: bytes, code: int, enhanced: str) -> None:
    for exact_end in (True, False):
        assert code_of(lambda: parse_auth(rest, exact_end=exact_end)) == (code, enhanced)  # noqa: B023


def test_responses_are_strict_base64() -> None:
    assert decode_response(b"") == b""
    assert decode_response(b"bW94") == b"mox"
    for bad in (b"bW9", b"bW94=", b"b W94", b"bW94\n", b"=", b"====", b"bW94bW=="[:-1]):
        assert code_of(lambda: decode_response(bad)) == (501, "5.5.2")  # noqa: B023


def test_strings() -> None:
    for good in (b"", b" x", b' "a b"', " é".encode()):
        parse_optional_string(good, exact_end=True)
    for bad in (b" ", b" a b", b' "a', b"x"):
        with pytest.raises(CommandError):
            parse_optional_string(bad, exact_end=True)
    for good in (b" user", b' "full name"', " é SMTPUTF8".encode()):
        parse_verify(good, exact_end=True)
    for bad in (b"", b" ", b" a b"):
        with pytest.raises(CommandError):
            parse_verify(bad, exact_end=True)


def test_the_part_not_understood_is_kept_for_those_who_may_see_it() -> None:
    with pytest.raises(CommandError) as raised:
        parse_mail(b" FROM:<a@b> &", exact_end=True)
    assert raised.value.remainder == b"&"
    assert "&" not in raised.value.reply.text
