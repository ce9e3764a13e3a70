import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.address import (
    NULL_PATH,
    Address,
    domain_to_unicode,
    parse_address,
    parse_domain,
    quote_localpart,
    read_literal,
    read_path,
)
from mox.smtp.cursor import Cursor
from mox.smtp.errors import CommandError


@pytest.mark.rfc("5321 §4.1.2")
@pytest.mark.parametrize(
    ("text", "localpart", "domain", "formatted"),
    [
        ("mox@localhost", "mox", "localhost", "mox@localhost"),
        ('"mox"@localhost', "mox", "localhost", "mox@localhost"),
        ('""@localhost', "", "localhost", '""@localhost'),
        ('"a b"@localhost', "a b", "localhost", '"a b"@localhost'),
        (r'"a\"b\\c"@localhost', 'a"b\\c', "localhost", r'"a\"b\\c"@localhost'),
        (r'"\a\b"@localhost', "ab", "localhost", "ab@localhost"),
        ('"a@b"@localhost', "a@b", "localhost", '"a@b"@localhost'),
        ('"a..b"@localhost', "a..b", "localhost", '"a..b"@localhost'),
        ('".a"@x', ".a", "x", '".a"@x'),
        ("a.b-c+d=e@Example.ORG", "a.b-c+d=e", "example.org", "a.b-c+d=e@example.org"),
        ("x@[192.0.2.1]", "x", "[192.0.2.1]", "x@[192.0.2.1]"),
        ("x@[ipv6:2001:DB8:0::1]", "x", "[IPv6:2001:db8::1]", "x@[IPv6:2001:db8::1]"),
        ("móx@bücher.example", "móx", "xn--bcher-kva.example", "móx@xn--bcher-kva.example"),
        ("x@XN--BCHER-KVA.example", "x", "xn--bcher-kva.example", "x@xn--bcher-kva.example"),
        ("!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~", "x", "!#$%&'*+-/=?^_`{|}~@x"),
    ],
)
def test_addresses(text: str, localpart: str, domain: str, formatted: str) -> None:
    address = parse_address(text)
    assert address == Address(localpart, domain)
    assert str(address) == formatted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "@x",
        "x@",
        ".a@x",
        "a.@x",
        "a..b@x",
        "a b@x",
        '"a@x',
        '"a"b@x',
        '"a\\"@x',
        '"\x00"@x',
        '"\\é"@x',
        "x@a..b",
        "x@a.",
        "x@.a",
        "x@-a",
        "x@a-",
        "x@a_b",
        "x@192.0.2.1",
        "x@a.1",
        "x@[192.0.2]",
        "x@[192.0.2.1",
        "x@[IPv6:fe80::1%eth0]",
        "x@[IPv6:zz]",
        "x@xn--a",
        "x@xn--",
        "x@a\u200bb\u200c",
        "x@" + "a" * 64,
        "x@" + "a.ä" * 63,
        "x@" + ".".join(["a" * 50] * 6),
        "a" * 129 + "@x",
        "é" * 65 + "@x",
        "x@y>",
        "x@y z",
        "\udcff@x",
        "x@\udcff",
    ],
)
def test_bad_addresses_are_syntax_errors(text: str) -> None:
    with pytest.raises(CommandError) as raised:
        parse_address(text)
    assert (raised.value.reply.code, raised.value.reply.enhanced) == (501, "5.5.2")


def test_the_longest_localpart_and_domain() -> None:
    localpart = "a" * 128
    domain = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 63])
    assert parse_address(f"{localpart}@{domain}") == Address(localpart, domain)


def test_composed_and_decomposed_characters_are_one_address() -> None:
    assert parse_address("mo\u0301x@x") == parse_address("m\u00f3x@x")
    assert parse_address("\u2126@x") == parse_address("\u03a9@x")  # ohm sign, capital omega


def test_normalisation_to_a_special_character_is_quoted() -> None:
    address = parse_address("a\u037eb@x")  # Greek question mark becomes a semicolon
    assert address.localpart == "a;b"
    assert str(address) == '"a;b"@x'


def test_unicode_form() -> None:
    assert parse_address("x@xn--bcher-kva.example").unicode() == "x@bücher.example"
    assert domain_to_unicode("a.xn--0.b") == "a.xn--0.b"
    assert parse_domain("BÜCHER.example") == "xn--bcher-kva.example"


def test_null_path_and_needs_utf8() -> None:
    assert NULL_PATH.is_null
    assert NULL_PATH.path() == "<>"
    assert not parse_address('""@x').is_null
    assert parse_address('""@x').path() == '<""@x>'
    assert Address("postmaster", "").path() == "<postmaster>"
    assert parse_address("ö@x").needs_utf8
    assert not parse_address("x@ö").needs_utf8


@pytest.mark.rfc("5321 §4.1.1.3")
def test_a_source_route_is_forgotten() -> None:
    path = read_path(Cursor(b"<@a.example,@b.example:c@d>"))
    assert path.address == Address("c", "d")
    for bad in (b"<@a.example c@d>", b"<@a,b:c@d>", b"<@a,:c@d>", b"<@:c@d>"):
        with pytest.raises(CommandError):
            read_path(Cursor(bad))


def test_paths() -> None:
    assert read_path(Cursor(b"<>"), null=True).address == NULL_PATH
    with pytest.raises(CommandError):
        read_path(Cursor(b"<>"))
    bare = read_path(Cursor(b"<PostMaster>"), postmaster=True)
    assert bare.address == Address("postmaster", "")
    with pytest.raises(CommandError):
        read_path(Cursor(b"<postmaster>"))
    with pytest.raises(CommandError):
        read_path(Cursor(b"a@b"))
    with pytest.raises(CommandError):
        read_path(Cursor(b"<a@b"))


@pytest.mark.rfc("5321 §4.5.3.1.3")
def test_the_length_of_a_recipient_path_is_limited() -> None:
    domain = b".".join([b"d" * 50] * 4)
    fits = b"<" + b"a" * (256 - 3 - len(domain)) + b"@" + domain + b">"
    assert len(fits) == 256
    assert read_path(Cursor(fits), postmaster=True).address.domain == domain.decode()
    with pytest.raises(CommandError, match="path too long"):
        read_path(Cursor(fits.replace(b"<", b"<a")), postmaster=True)


def test_how_it_was_written_is_kept() -> None:
    path = read_path(Cursor("<\u212a@bücher.example>".encode()))
    assert path.address == Address("K", "xn--bcher-kva.example")
    assert path.localpart_utf8
    assert path.domain_utf8


def test_literals_stay_where_they_end() -> None:
    cursor = Cursor(b"[127.0.0.1] and more")
    assert read_literal(cursor) == "[127.0.0.1]"
    assert cursor.remainder == b" and more"


@given(
    st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_characters="\x7f"), max_size=30)
)
def test_what_is_formatted_parses_to_the_same(localpart: str) -> None:
    try:
        address = parse_address(f"{quote_localpart(localpart)}@localhost")
    except CommandError:
        assert len(localpart.encode()) > 128
        return
    assert parse_address(str(address)) == address


@pytest.mark.rfc("5321 §4.5.3.1.2")
def test_the_limit_of_a_domain_is_of_its_a_label_form() -> None:
    labels = ["xn--" + "bcher-kva"] * 17
    address = parse_address("x@" + ".".join(labels) + ".example")
    assert len(address.domain) < 255
    # In UTF-8 it may be longer or shorter; it is the same domain in any case.
    assert parse_address(address.unicode()).domain == address.domain
    wide = "x@" + ".".join(["\U0001d538" * 15] * 4 + ["例" * 15] * 3)
    assert parse_address(wide).domain == ".".join(
        [("a" * 15)] * 4 + [parse_address("x@" + "例" * 15).domain] * 3
    )
    with pytest.raises(CommandError, match="too long"):
        parse_address("x@" + ".".join(["a" * 60] * 5))
