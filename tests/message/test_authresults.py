"""Authentication-Results: written safely, read leniently."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.message.authresults import (
    AuthResults,
    BadAuthResults,
    Method,
    Property,
    claimed_host,
    format_field,
    parse,
)

DKIM = Method(
    method="dkim",
    result="pass",
    comment="2048 bit rsa",
    properties=(
        Property(type="header", name="d", value="example.com"),
        Property(type="header", name="i", value="@example.com", is_address=True),
    ),
)


def test_a_field_is_written_with_a_line_per_method() -> None:
    spf = Method(
        method="spf",
        result="fail",
        reason="no match",
        properties=(Property(type="smtp", name="mailfrom", value="a@b.example", is_address=True),),
    )
    field = format_field(AuthResults(host="mx.example.org", methods=(DKIM, spf)))
    assert field == (
        b"Authentication-Results: mx.example.org;\r\n"
        b"\tdkim=pass (2048 bit rsa) header.d=example.com header.i=@example.com;\r\n"
        b'\tspf=fail reason="no match" smtp.mailfrom=a@b.example\r\n'
    )


@pytest.mark.rfc("8601 §2.2")
def test_without_methods_it_says_none() -> None:
    field = format_field(AuthResults(host="mx.example.org"))
    assert field == b"Authentication-Results: mx.example.org; none\r\n"
    assert parse(b" mx.example.org; none") == AuthResults(host="mx.example.org")
    assert parse(b"mx.example.org 1; none;\r\n") == AuthResults(host="mx.example.org")
    assert parse(b"mx.example.org;") == AuthResults(host="mx.example.org")


def test_a_comment_is_written_only_before_something() -> None:
    field = format_field(
        AuthResults(host="h", methods=(Method(method="a", result="b", comment="c"),))
    )
    assert field == b"Authentication-Results: h;\r\n\ta=b\r\n"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b\\', '"a\\"b\\\\"'),
        ("a@b", '"a@b"'),
        ("2001:db8::1", '"2001:db8::1"'),
        ("jörg", "jörg"),
        ("a\r\nX-Evil: 1", '"a??X-Evil: 1"'),
        ("\u2028", '"?"'),
    ],
)
def test_values_are_quoted_and_cannot_end_the_field(value: str, written: str) -> None:
    method = Method(
        method="x", result="pass", properties=(Property(type="policy", name="v", value=value),)
    )
    field = format_field(AuthResults(host="h", methods=(method,))).decode()
    assert field == f"Authentication-Results: h;\r\n\tx=pass policy.v={written}\r\n"


def test_long_values_are_cut_and_words_cleaned() -> None:
    method = Method(
        method="x y\r\n" + "z" * 100, result="", reason="\U0001f600" * 5000, comment=")(\\" * 400
    )
    lines = format_field(AuthResults(host="h" * 3000, methods=(method,))).split(b"\r\n")
    assert max(len(line) for line in lines) < 998
    assert lines[2].startswith(b"\tx-y--zz")


printable = st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), max_size=20)
words = st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True)
properties = st.builds(Property, type=words, name=words, value=printable, comment=printable)
methods = st.builds(
    Method,
    method=words.filter(lambda word: word != "none"),
    result=words,
    version=st.integers(1, 9),
    comment=printable,
    reason=printable,
    properties=st.lists(properties, min_size=1, max_size=3).map(tuple),
)


@given(
    st.builds(
        AuthResults,
        host=printable.filter(bool),
        comment=printable,
        version=st.integers(1, 9),
        methods=st.lists(methods, max_size=3).map(tuple),
    )
)
def test_what_is_written_is_read_back(results: AuthResults) -> None:
    assert parse(format_field(results).partition(b":")[2]) == results


@given(st.binary(max_size=60) | st.text('a=;."()\\/@ 1', max_size=60).map(str.encode))
def test_reading_raises_its_own_error_only(value: bytes) -> None:
    try:
        results = parse(value)
    except BadAuthResults:
        return
    assert isinstance(results, AuthResults)


@pytest.mark.rfc("8601 §B.6")
def test_comments_stand_anywhere() -> None:
    results = parse(
        b" foo.example.net (foobar) 1 (baz);\r\n"
        b" dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
        b"  policy (A dot can go here) . (like that) expired\r\n"
        b"  (this surprised me) = (as I wasn't expecting it) 1362471462\r\n"
    )
    assert results.host == "foo.example.net"
    (method,) = results.methods
    assert (method.method, method.result) == ("dkim", "fail")
    assert method.value("policy", "expired") == "1362471462"
    assert method.value("policy", "other") is None


@pytest.mark.rfc("8601 §B.5")
def test_several_results_with_addresses() -> None:
    results = parse(
        b"example.com; dkim=pass (good signature) header.i=@mail-router.example.net;\r\n"
        b'\tdkim=fail reason="bad signature" header.i=@newyork.example.com;\r\n'
        b' auth=pass (cram-md5) smtp.auth="sender "@example.com;'
    )
    assert [method.result for method in results.methods] == ["pass", "fail", "pass"]
    assert results.methods[0].comment == "good signature"
    assert results.methods[0].properties[0].is_address
    assert results.methods[1].reason == "bad signature"
    assert results.methods[2].value("smtp", "auth") == "sender @example.com"


@pytest.mark.parametrize(
    "value",
    [
        b"h; dkim=perm_fail",
        b"(\xc3\xb6.example (a\\)(b))) xn--nda.example; spf=pass",
        b"h; iprev=pass policy.iprev=2001:db8::1 (mx.example)",
        b"h; dkim=pass header.b=ab/cd+e=",
        b'"h x"; a=b',
    ],
)
def test_the_wild_is_read(value: bytes) -> None:
    assert len(parse(value).methods) == 1


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"h",
        b"h; none; spf=pass",
        b"h; spf=pass; none",
        b"h; none spf=pass",
        b"h; spf",
        b"h; spf=",
        b"h; spf=pass smtp",
        b"h; spf=pass smtp.mailfrom",
        b"h; spf=pass smtp.mailfrom=",
        b"h; spf/=pass",
        b"h (; spf=pass",
        b"(" * 60_000,
        b"h; " + b"a=b;" * 201,
        b"h; a=b" + b" c.d=e" * 101,
        b"h; a=b " + b" " * 70_000,
    ],
    ids=lambda value: value[:30].decode(),
)
def test_what_is_refused(value: bytes) -> None:
    with pytest.raises(BadAuthResults):
        parse(value)


@pytest.mark.rfc("8601 §5")
@pytest.mark.parametrize(
    ("value", "host"),
    [
        (b" MX.example; spf=pass", "mx.example"),
        (b"\r\n\t(c) mx.example 1; dkim=", "mx.example"),
        (b'"mx.example"; none', "mx.example"),
        (b"mx.example", "mx.example"),
        (b"mx.example;" + b"x" * 100_000, "mx.example"),
        (b"", None),
        (b"; spf=pass", None),
        (b"((", None),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_who_a_field_claims_to_be_from(value: bytes, host: str | None) -> None:
    assert claimed_host(value) == host
