from collections.abc import Callable

import pytest

from mox.smtp.address import NULL_PATH, Address
from mox.smtp.command import (
    Auth,
    Bdat,
    Command,
    Forwarded,
    decode_response,
    parse_auth,
    parse_bdat,
    parse_hello,
    parse_mail,
    parse_nothing,
    parse_optional_string,
    parse_rcpt,
    parse_verify,
    parse_xforward,
    split_command,
)
from mox.smtp.errors import CommandError
from mox.smtp.params import Body, MailParams, Notify, RcptParams, Return


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
    assert mail.params == MailParams(size=1000, body=Body.EIGHT_BIT, smtputf8=True)
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
        (b" FROM:<a@b> BODY=9BIT", 555, "5.5.4"),
        (b" FROM:<a@b> BODY=\xff", 555, "5.5.4"),
        (b" FROM:<a@b> BODY", 555, "5.5.4"),
        (b" FROM:<a@b> RET", 501, "5.5.2"),
        (b" FROM:<a@b> RET=ALL", 501, "5.5.2"),
        (b" FROM:<a@b> RET=FULL RET=FULL", 501, "5.5.4"),
        (b" FROM:<a@b> ENVID", 501, "5.5.2"),
        (b" FROM:<a@b> ENVID=" + b"x" * 101, 501, "5.5.2"),
        (b" FROM:<a@b> ENVID=a+0Ab", 501, "5.5.2"),  # not printable
        (b" FROM:<a@b> ENVID=a+7Fb", 501, "5.5.2"),
        (b" FROM:<a@b> ENVID=a+C3b", 501, "5.5.2"),
        (b" FROM:<a@b> ENVID=a+2bb", 501, "5.5.2"),  # upper case only
        (b" FROM:<a@b> ENVID=a+", 501, "5.5.2"),
        (b" FROM:<a@b> ENVID=\xc3\xa9", 501, "5.5.2"),
        (b" FROM:<a@b> REQUIRETLS=1", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDFOR", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDFOR=0", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDFOR=01", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDFOR=1234567890", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDFOR=-1", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDFOR=1 HOLDFOR=1", 501, "5.5.4"),
        (b" FROM:<a@b> HOLDFOR=1 HOLDUNTIL=2026-12-01T00:00:00Z", 501, "5.5.4"),
        (b" FROM:<a@b> HOLDUNTIL=2026-12-01T00:00:00Z HOLDFOR=1", 501, "5.5.4"),
        (b" FROM:<a@b> HOLDUNTIL", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=2026-12-01T00:00:00", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=2026-12-01T00:00:00+00:00", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=2026-12-01", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=2026-02-30T00:00:00Z", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=2026-12-01T24:00:00Z", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=2026-12-01T23:59:61Z", 501, "5.5.2"),
        (b" FROM:<a@b> HOLDUNTIL=0000-12-01T00:00:00Z", 501, "5.5.2"),
        (b" FROM:<a@b> MT-PRIORITY=3", 555, "5.3.3"),
        ("FROM:<é@b>".encode(), 501, "5.5.2"),
        (" FROM:<é@b>".encode(), 550, "5.6.7"),
        (" FROM:<a@é>".encode(), 501, "5.5.2"),
    ],
)
def test_mail_errors(rest: bytes, code: int, enhanced: str) -> None:
    assert code_of(lambda: parse_mail(rest, exact_end=True)) == (code, enhanced)


@pytest.mark.rfc("3461 §4.3; §4.4")
def test_what_goes_back_with_a_notification() -> None:
    mail = parse_mail(b" FROM:<a@b> ret=hdrs ENVID=QQ314159+2B+20+09x", exact_end=True)
    assert mail.params == MailParams(ret=Return.HEADERS, envid="QQ314159+2B+20+09x")
    assert parse_mail(b" FROM:<> RET=Full", exact_end=True).params.ret is Return.FULL
    longest = b" FROM:<> ENVID=" + b"x" * 100
    assert len(parse_mail(longest, exact_end=True).params.envid) == 100


@pytest.mark.rfc("3461 §4.1; §4.2")
def test_what_a_sender_wants_to_hear_about_a_recipient() -> None:
    def params(text: str, *, smtputf8: bool = False) -> RcptParams:
        rest = f" TO:<a@b> {text}".encode()
        return parse_rcpt(rest, exact_end=True, smtputf8=smtputf8).params

    assert params("NOTIFY=never") == RcptParams(notify=frozenset({Notify.NEVER}))
    assert params("notify=Success,FAILURE,delay ORCPT=RFC822;A+2Bb@Example.org") == RcptParams(
        notify=frozenset({Notify.SUCCESS, Notify.FAILURE, Notify.DELAY}),
        orcpt="RFC822;A+2Bb@Example.org",  # RFC 3461 §5.2.1: not a letter of it changes
    )
    assert params("ORCPT=x400;/CN=y".replace("=y", "+3Dy")).orcpt == "x400;/CN+3Dy"
    assert len(params("ORCPT=rfc822;" + "x" * 487).orcpt) == 494


@pytest.mark.rfc("6533 §3")
def test_an_original_recipient_in_utf8() -> None:
    raw = " TO:<é@b> ORCPT=utf-8;é\\x{5C}@\\x{1F600}.example".encode()
    params = parse_rcpt(raw, exact_end=True, smtputf8=True).params
    assert params.orcpt == "utf-8;é\\x{5C}@\\x{1F600}.example"
    assert params.orcpt_utf8
    plain = parse_rcpt(b" TO:<a@b> ORCPT=UTF-8;\\x{E9}@b", exact_end=True, smtputf8=False)
    assert not plain.params.orcpt_utf8


@pytest.mark.rfc("4865 §4; 8689 §4")
def test_requiretls_and_holding() -> None:
    def params(text: bytes) -> MailParams:
        return parse_mail(b" FROM:<a@b> " + text, exact_end=True).params

    assert params(b"REQUIRETLS") == MailParams(require_tls=True)
    assert params(b"holdfor=123456789") == MailParams(hold_for_s=123_456_789)
    assert params(b"HOLDUNTIL=1970-01-02T00:00:01Z").hold_until_ms == 86_401_000
    assert params(b"HOLDUNTIL=1970-01-01t00:00:01.23456z").hold_until_ms == 1_234
    assert params(b"HOLDUNTIL=1970-01-01T23:59:60Z").hold_until_ms == 86_400_000
    assert params(b"HOLDUNTIL=1969-12-31T23:59:59Z").hold_until_ms == -1000
    refused = parse_mail
    for name in (b"REQUIRETLS", b"HOLDFOR=1", b"HOLDUNTIL=1970-01-02T00:00:01Z"):
        rest = b" FROM:<a@b> " + name
        call = lambda: refused(rest, exact_end=True, refused={rest.split()[1].split(b"=")[0]})  # noqa: B023, E731
        assert code_of(call) == (555, "5.3.3")


@pytest.mark.rfc("3030 §2")
def test_bdat() -> None:
    assert parse_bdat(b" 86 LAST", exact_end=True) == Bdat(86, last=True)
    assert parse_bdat(b" 0 last", exact_end=True) == Bdat(0, last=True)
    assert parse_bdat(b" 0099", exact_end=True) == Bdat(99, last=False)
    assert parse_bdat(b" 5 \t", exact_end=False) == Bdat(5, last=False)
    big = parse_bdat(b" 99999999999999999999", exact_end=True)
    assert big.size == 99_999_999_999_999_999_999


@pytest.mark.parametrize(
    "rest",
    [
        b"", b" ", b" x", b" -1", b" +1", b"  1", b" 1 ", b" 1  LAST", b" 1 LAST ", b" 1LAST",
        b" 1 FIRST", b" LAST", b" 1.0", b" 0x10", b" 1_0", b" \xd9\xa1", b" 123456789012345678901",
    ],
)  # fmt: skip
def test_bdat_errors(rest: bytes) -> None:
    assert code_of(lambda: parse_bdat(rest, exact_end=True)) == (501, "5.5.2")


@pytest.mark.rfc("6531 §3.5")
def test_smtputf8_after_the_path_allows_utf8_in_it() -> None:
    mail = parse_mail(" FROM:<é@é> SMTPUTF8".encode(), exact_end=True)
    assert mail.sender == Address("é", "xn--9ca")


def test_spaces_at_the_end_are_tolerated_on_the_open_port() -> None:
    assert parse_mail(b" FROM:<a@b> SIZE=1 \t", exact_end=False).params.size == 1
    assert parse_rcpt(b" TO:<a@b>  ", exact_end=False, smtputf8=False).recipient == Address(
        "a", "b"
    )
    parse_nothing(b" ", exact_end=False)
    assert code_of(lambda: parse_nothing(b" ", exact_end=True)) == (501, "5.5.2")
    assert code_of(lambda: parse_nothing(b" x", exact_end=False)) == (501, "5.5.2")


def test_rcpt() -> None:
    assert parse_rcpt(b" TO:<a@b>", exact_end=True, smtputf8=False).recipient == Address("a", "b")
    bare = parse_rcpt(b" to: <Postmaster>", exact_end=True, smtputf8=False)
    assert bare.recipient == Address("postmaster", "")
    with_utf8 = parse_rcpt(" TO:<é@b>".encode(), exact_end=True, smtputf8=True)
    assert with_utf8.recipient == Address("é", "b")


@pytest.mark.parametrize(
    ("rest", "code", "enhanced"),
    [
        (b" TO:<>", 501, "5.5.2"),
        (b" TO:a@b", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=ALWAYS", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=NEVER,DELAY", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=DELAY,DELAY", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=DELAY,", 501, "5.5.2"),
        (b" TO:<a@b> NOTIFY=DELAY NOTIFY=DELAY", 501, "5.5.4"),
        (b" TO:<a@b> ORCPT", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=a@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc822;", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=;a@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc 822;a@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc(822);a@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc822;a+0D+0Ab", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc822;\xc3\xa9@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=utf-8;\xc3\xa9@b", 501, "5.5.2"),  # without SMTPUTF8
        (b" TO:<a@b> ORCPT=utf-8;a+40b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=utf-8;\\x{D800}@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=utf-8;\\x{110000}@b", 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc822;" + b"x" * 488, 501, "5.5.2"),
        (b" TO:<a@b> ORCPT=rfc822;a@b ORCPT=rfc822;a@b", 501, "5.5.4"),
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


def test_what_another_server_tells_of_its_client() -> None:
    both = parse_xforward(
        b" name=mail.example ADDR=192.0.2.1 PROTO=ESMTP helo=Mail.Example PORT=25"
    )
    assert both == Forwarded("192.0.2.1", "mail.example")
    v6 = parse_xforward(b" ADDR=IPv6:2001:DB8::0:1")
    assert v6 == Forwarded("2001:db8::1", None)
    assert parse_xforward(b" HELO=[UNAVAILABLE] ADDR=[unavailable]") == Forwarded("", "")
    assert parse_xforward(b" SOURCE=LOCAL IDENT=3F+2B") == Forwarded()
    assert parse_xforward(b" HELO=[192.0.2.1]").hello == "[192.0.2.1]"
    assert parse_xforward(b" HELO=my+20computer").hello == ""


@pytest.mark.parametrize(
    "rest",
    [b"", b" ", b" ADDR", b" ADDR=", b" ADDR=x", b" ADDR=1.2.3.4.5", b" LOGIN=me", b" =x", b" ADDR=1.2.3.4 ",
     b" HELO=\xc3\xa9", b" ADDR=IPv6:192.0.2"],
)  # fmt: skip
def test_xforward_errors(rest: bytes) -> None:
    assert code_of(lambda: parse_xforward(rest)) == (501, "5.5.2")
