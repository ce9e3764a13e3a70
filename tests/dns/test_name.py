"""Domain names."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.name import (
    BadName,
    Domain,
    check_name,
    is_within,
    parse_domain,
    reverse_name,
    unmapped,
)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Example.ORG", Domain("example.org", "example.org")),
        ("Bücher.example", Domain("xn--bcher-kva.example", "bücher.example")),
        ("XN--BCHER-KVA.example", Domain("xn--bcher-kva.example", "bücher.example")),
        ("bu\u0308cher。example", Domain("xn--bcher-kva.example", "bücher.example")),
        ("localhost", Domain("localhost", "localhost")),
        ("x" * 63 + ".example", Domain("x" * 63 + ".example", "x" * 63 + ".example")),
    ],
)
def test_both_forms_of_a_domain(text: str, wanted: Domain) -> None:
    assert parse_domain(text) == wanted
    assert parse_domain(wanted.ascii) == parse_domain(wanted.unicode) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "example.org.",
        "a..b",
        ".a",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b.example",
        "a\n.example",
        "192.0.2.1",
        "[192.0.2.1]",
        "2001:db8::1",
        "x" * 64 + ".example",
        "a." * 127 + "a",
        "xn--a.example",
        "\ud800.example",
        "é" * 300,
        "b\u00fccher_x.example",
    ],
)
def test_what_is_no_domain(text: str) -> None:
    with pytest.raises(BadName):
        parse_domain(text)


def test_lax_names_have_underscores_in_ascii_only() -> None:
    assert parse_domain("_mx_1.Example.org", lax=True).ascii == "_mx_1.example.org"
    with pytest.raises(BadName):
        parse_domain("b\u00fccher_x.example", lax=True)


def test_display_shows_both_forms_where_they_differ() -> None:
    assert parse_domain("bücher.example").display() == "bücher.example/xn--bcher-kva.example"
    assert parse_domain("a.example").display() == "a.example"


@given(st.text(max_size=80))
def test_parsing_raises_nothing_else(text: str) -> None:
    for lax in (False, True):
        try:
            found = parse_domain(text, lax=lax)
        except BadName:
            continue
        assert parse_domain(found.ascii, lax=lax) == found
        assert parse_domain(found.unicode, lax=lax) == found


def test_lookup_names_are_absolute_and_free_in_characters() -> None:
    assert check_name("Foo:bar/b az.example.") == ("Foo:bar/b az", "example")
    assert check_name(".") == ()
    assert len(check_name("a." * 126 + "a")) == 127
    for bad in ("", "..", "a..", "a." * 127 + "a", "é.example"):
        with pytest.raises(BadName):
            check_name(bad)


def test_within_is_by_whole_labels() -> None:
    assert is_within("Mail.Example.com.", "example.com")
    assert is_within("example.com", "example.com")
    assert not is_within("bad-example.com", "example.com")
    assert not is_within("example.com", "mail.example.com")


@pytest.mark.rfc("3596 §2.5")
def test_reverse_names() -> None:
    assert reverse_name(ipaddress.ip_address("192.0.2.3")) == "3.2.0.192.in-addr.arpa"
    name = reverse_name(ipaddress.ip_address("2001:db8::cb01"))
    assert name == "1.0.b.c." + "0." * 20 + "8.b.d.0.1.0.0.2.ip6.arpa"


def test_a_mapped_address_is_an_ipv4_address() -> None:
    assert unmapped(ipaddress.ip_address("::ffff:192.0.2.1")) == ipaddress.ip_address("192.0.2.1")
    assert unmapped(ipaddress.ip_address("2001:db8::1")) == ipaddress.ip_address("2001:db8::1")
