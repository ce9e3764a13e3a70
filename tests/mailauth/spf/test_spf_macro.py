"""Macros: the examples of RFC 7208 §7.4 and what is no macro."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import SPF_EXPANDED
from mox.mailauth.spf.errors import RecordError
from mox.mailauth.spf.macro import (
    Values,
    expand,
    parse_domain_spec,
    parse_explanation,
    parse_macro_string,
    target_name,
)


def values(ip: str = "192.0.2.3", localpart: str = "strong-bad") -> Values:
    return Values(
        localpart=localpart,
        sender_domain="email.example.com",
        domain="email.example.com",
        ip=ipaddress.ip_address(ip),
        helo="mx.example.org",
        validated="mx.example.org",
        receiver="me.example",
        now_s=1700000000,
    )


@pytest.mark.rfc("7208 §7.4")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("%{s}", "strong-bad@email.example.com"),
        ("%{o}", "email.example.com"),
        ("%{d}", "email.example.com"),
        ("%{d4}", "email.example.com"),
        ("%{d3}", "email.example.com"),
        ("%{d2}", "example.com"),
        ("%{d1}", "com"),
        ("%{dr}", "com.example.email"),
        ("%{d2r}", "example.email"),
        ("%{l}", "strong-bad"),
        ("%{l-}", "strong.bad"),
        ("%{lr}", "strong-bad"),
        ("%{lr-}", "bad.strong"),
        ("%{l1r-}", "strong"),
        ("%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"),
        ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
        (
            "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
            "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
        ),
        (
            "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}",
            "3.2.0.192.in-addr.strong.lp._spf.example.com",
        ),
        ("%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"),
        ("%{p} %{h}", "mx.example.org mx.example.org"),
        ("%{c} %{r} %{t}", "192.0.2.3 me.example 1700000000"),
        ("%%%-%_", "%%20 "),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{d127}", "email.example.com"),
        ("%{D2R}", "example.email"),
        ("%{d02}", "example.com"),
    ],
)
def test_expansion(text: str, wanted: str) -> None:
    assert expand(parse_explanation(text), values()) == wanted


@pytest.mark.rfc("7208 §7.4")
def test_an_ipv6_address_is_expanded_as_nibbles() -> None:
    macro = parse_domain_spec("%{ir}.%{v}._spf.%{d2}")
    wanted = "1.0.b.c." + "0." * 20 + "8.b.d.0.1.0.0.2.ip6._spf.example.com"
    assert expand(macro, values("2001:db8::cb01")) == wanted
    assert expand(parse_explanation("%{c}"), values("2001:db8::cb01")) == "2001:db8::cb01"


@pytest.mark.rfc("7208 §7.3")
@pytest.mark.parametrize(
    "text",
    ["%", "%b", "%{", "%{s", "%{s0}", "%{s00}", "%{s" + "9" * 50 + "}", "%{x}", "%{sr1}", "%{s!}"]
    + ["%(s)", "a%", "%{}", "%{ss}", "\x7f", "é", "a b"],
)
def test_what_is_no_macro_string(text: str) -> None:
    with pytest.raises(RecordError):
        parse_macro_string(text)


@pytest.mark.rfc("7208 §7.2")
@pytest.mark.parametrize("letter", "crtCRT")
def test_some_letters_are_for_explanations_only(letter: str) -> None:
    with pytest.raises(RecordError):
        parse_domain_spec(f"%{{{letter}}}.example.org")
    assert parse_explanation(f"%{{{letter}}}").uses(letter.lower())


@pytest.mark.rfc("7208 §7.1")
@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("example.org", True),
        ("example.org.", True),
        ("_spf.%{d}", True),
        ("%{d}", True),
        ("x%%", True),
        ("x%%-", False),
        ("%{d}.org", True),
        ("a.xn--p1ai", True),
        ("a.1-2", True),
        ("", False),
        ("org", False),
        ("org.", False),
        ("%{d}org", False),
        ("a.123", False),
        ("a.-b", False),
        ("a.b-", False),
        ("a.b_c", False),
        ("a..", False),
        ("a.b/24", False),
    ],
)
def test_the_end_of_a_domain_spec(text: str, is_valid: bool) -> None:
    if is_valid:
        assert str(parse_domain_spec(text)) == text
        return
    with pytest.raises(RecordError):
        parse_domain_spec(text)


@pytest.mark.rfc("7208 §7.3")
def test_a_long_name_loses_labels_at_its_left() -> None:
    tail = ".".join(["x" * 49] * 5)  # 249 characters
    assert target_name("abc." + tail) == "abc." + tail
    assert target_name("a.bc." + tail) == "bc." + tail
    assert target_name("abcd." + tail) == tail
    assert target_name("y" * 300 + "." + tail + ".") == tail


@pytest.mark.parametrize("text", ["", ".", "a..b", "a..", ".a", "x" * 64 + ".a", "x" * 300, "é.a"])
def test_what_cannot_be_looked_up_names_nothing(text: str) -> None:
    assert target_name(text) is None


def test_an_expansion_has_a_limit() -> None:
    macro = parse_macro_string("%{s}" * 2000)
    with pytest.raises(RecordError):
        expand(macro, values(localpart="x" * 128))
    assert len(expand(parse_macro_string("x" * SPF_EXPANDED), values())) == SPF_EXPANDED


@given(st.text(alphabet="%{}sldiovhpcrt0123-_./=+ aé\x00", max_size=40), st.text(max_size=20))
def test_what_parses_is_expanded(text: str, localpart: str) -> None:
    try:
        macro = parse_explanation(text)
    except RecordError:
        return
    expanded = expand(macro, values(localpart=localpart))
    name = target_name(expanded)
    assert name is None or 0 < len(name) <= 253
