"""Address lists: as the RFC writes them, as the wild does, and what strict readers refuse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base import limits
from mox.message.address import (
    GROUP_END,
    Address,
    BadAddress,
    format_list,
    mailboxes,
    parse,
    parse_fields,
    parse_strict,
)


def one(
    mailbox: bytes, host: bytes, name: bytes | None = None, adl: bytes | None = None
) -> Address:
    return Address(name=name, adl=adl, mailbox=mailbox, host=host)


def group(name: bytes) -> Address:
    return Address(mailbox=name)


GRAMMATICAL = {
    b"a@b": [one(b"a", b"b")],
    b"<a@b>": [one(b"a", b"b")],
    b" A B  <a.b@c.d> , e@f": [one(b"a.b", b"c.d", b"A B"), one(b"e", b"f")],
    b'"A, B" <a@b>': [one(b"a", b"b", b"A, B")],
    b'"A \\"B\\" \\\\" <a@b>': [one(b"a", b"b", b'A "B" \\')],
    b'"Joe" "Q" Public<a@b>': [one(b"a", b"b", b"Joe Q Public")],
    b"John Q. Public <a@b>": [one(b"a", b"b", b"John Q. Public")],
    b'"" <a@b>': [one(b"a", b"b")],
    b'"\t"t <a@b>': [one(b"a", b"b", b"t")],
    b"": [],
    b" \r\n ": [],
    # local parts are quoted only where they must be
    b'""@x': [one(b'""', b"x")],
    b'" "@example.com': [one(b'" "', b"example.com")],
    b'"a b"@c': [one(b'"a b"', b"c")],
    b'"mox"@localhost': [one(b"mox", b"localhost")],
    b'"a"."b"@c': [one(b"a.b", b"c")],
    b'"a\\"\\\\"@c': [one(b'"a\\"\\\\"', b"c")],
    b'"a."@c': [one(b'"a."', b"c")],
    b'"a@b"@c': [one(b'"a@b"', b"c")],
    # comments, and space where it is obsolete
    b"<user (c)@ (c) domain>": [one(b"user", b"domain")],
    b"Pete(A nice \\) chap) <pete(his account)@silly.test(his host)>": [
        one(b"pete", b"silly.test", b"Pete")
    ],
    b"user@host (Full (nested) Name)": [one(b"user", b"host", b"Full (nested) Name")],
    b"(first) a@b ( )": [one(b"a", b"b", b"first")],
    b"john . doe @ example . org": [one(b"john.doe", b"example.org")],
    b"A\r\n B <a@b>,\r\n\tc@d": [one(b"a", b"b", b"A B"), one(b"c", b"d")],
    b",a@b,, c@d,": [one(b"a", b"b"), one(b"c", b"d")],
    # domains
    b"a@[192.0.2.1]": [one(b"a", b"[192.0.2.1]")],
    b"A <a@[IPv6:2001:db8::1]>": [one(b"a", b"[IPv6:2001:db8::1]", b"A")],
    "Jörg <jörg@exämple.org>".encode(): [
        one("jörg".encode(), "exämple.org".encode(), "Jörg".encode())
    ],
    b"=?iso-8859-2?Q?Krist=FDna?= <k@example.com>": [
        one(b"k", b"example.com", b"=?iso-8859-2?Q?Krist=FDna?=")
    ],
    # routes
    b"Mary <@node.test,@other.test:mary@example.net>": [
        one(b"mary", b"example.net", b"Mary", b"@node.test,@other.test")
    ],
    b"<@a:b@c>": [one(b"b", b"c", None, b"@a")],
    # groups
    b"undisclosed-recipients:;": [group(b"undisclosed-recipients"), GROUP_END],
    b"A Group(names):Ed <a@b>,c@d,John <e@f>;": [
        group(b"A Group"),
        one(b"a", b"b", b"Ed"),
        one(b"c", b"d"),
        one(b"e", b"f", b"John"),
        GROUP_END,
    ],
    b'x@y, "g: h": (none) ;, z@y': [one(b"x", b"y"), group(b"g: h"), GROUP_END, one(b"z", b"y")],
    b"a:b@c;, d: e@f;": [
        group(b"a"),
        one(b"b", b"c"),
        GROUP_END,
        group(b"d"),
        one(b"e", b"f"),
        GROUP_END,
    ],
}

# improvement: where one element is broken the reference gives an empty list
LENIENT = {
    b"root": [one(b"root", b"")],
    b"Some Body": [one(b"Some Body", b"")],
    b"<>": [one(b"", b"")],
    b"A <>": [one(b"", b"", b"A")],
    b"@b": [one(b"", b"b")],
    b"a@": [one(b"a", b"")],
    b"a@b, bro ken, c@d": [one(b"a", b"b"), one(b"bro ken", b""), one(b"c", b"d")],
    b"a@b@c": [one(b'"a@b"', b"c")],
    b"<a@b@c>": [one(b'"a@b"', b"c")],
    b"a@b <c@d>": [one(b"c", b"d", b"a@b")],
    b"a@b>": [one(b"a", b"b")],
    b"A <a@b": [one(b"a", b"b", b"A")],
    b"A <a@b> B": [one(b"a", b"b", b"A B")],
    b"A <a@b> <c@d>": [one(b"a", b"b", b"A <c@d")],
    b"John Doe john@x": [one(b"john", b"x", b"John Doe")],
    b"<John Doe@x>": [one(b'"John Doe"', b"x")],
    b"a@b John": [one(b"a", b"b")],
    b"a@b c, d@e": [one(b"a", b"b"), one(b"d", b"e")],
    b'"A <a@b>': [one(b"A <a@b>", b"")],
    b'"a\\"': [one(b'a"', b"")],
    b"a@b (open": [one(b"a", b"b", b"open")],
    b"a@b ) c": [one(b"a", b"b")],
    b"g: a@b": [group(b"g"), one(b"a", b"b"), GROUP_END],
    b"g: h: a@b;": [group(b"g"), one(b"a", b"b", b"h:"), GROUP_END],
    b"a@b;c@d": [one(b"a", b"b"), one(b"c", b"d")],
    b"a@b:c": [one(b"a", b"b")],
    b"[x <a@b>": [one(b"a", b"b", b"[x")],
    b"a\\b@c": [one(b'"a\\\\b"', b"c")],
    b"<@a,@b>": [one(b'"@a,"', b"b")],
    b"<@a@b,c:d@e>": [one(b"d", b"e", None, b"@a@b,")],
    b"<a@b;c>": [one(b"a", b"b")],
    b"a@[1.2": [one(b"a", b"[1.2")],
}


@pytest.mark.rfc("5322 §3.4, §4.4")
@pytest.mark.parametrize(("value", "expected"), GRAMMATICAL.items())
def test_grammatical(value: bytes, expected: list[Address]) -> None:
    assert parse(value) == expected
    assert parse_strict(value) == expected


@pytest.mark.parametrize(("value", "expected"), LENIENT.items())
def test_the_wild_is_read_and_strictly_refused(value: bytes, expected: list[Address]) -> None:
    assert parse(value) == expected
    with pytest.raises(BadAddress):
        parse_strict(value)


def test_all_fields_of_a_name_count_together() -> None:
    assert parse_fields([b"a@b", b"broken", b"c@d"]) == (
        one(b"a", b"b"),
        one(b"broken", b""),
        one(b"c", b"d"),
    )


def test_marks_of_groups() -> None:
    found = parse(b"g: a@b;")
    assert [address.is_group_start for address in found] == [True, False, False]
    assert [address.is_group_end for address in found] == [False, False, True]
    assert mailboxes(found) == [one(b"a", b"b")]
    assert [address.spec for address in found] == [b"", b"a@b", b""]
    assert one(b"root", b"").spec == b"root"


@pytest.mark.parametrize("value", GRAMMATICAL)
def test_what_was_read_is_written_so_that_it_reads_the_same(value: bytes) -> None:
    found = parse(value)
    assert parse_strict(format_list(found)) == found


def test_names_are_quoted_where_they_must_be() -> None:
    assert format_list(parse(b'"A, B" <a@b>, C D <c@d>, g: e@f;')) == (
        b'"A, B" <a@b>, C D <c@d>, g: e@f;'
    )


def test_a_list_ends_at_the_limit() -> None:
    assert len(parse(b"a@b," * (limits.ADDRESSES + 5))) == limits.ADDRESSES
    assert len(parse(b"g: " * (limits.ADDRESSES + 5) + b"a@b")) <= limits.ADDRESSES
    assert len(parse_fields([b"a@b"] * (limits.ADDRESSES + 5))) == limits.ADDRESSES
    with pytest.raises(BadAddress):
        parse_strict(b"a@b," * (limits.ADDRESSES + 5))


def test_odd_lists_end_at_the_limit_of_tokens() -> None:
    value = b"a b c d e f g h i j k l m n o p q r s t u v w x y z (c) <a@b>," * 9_000
    found = parse(value)
    assert 100 < len(found) < 9_000
    assert len(parse_fields([value, value])) == len(found)
    with pytest.raises(BadAddress):
        parse_strict(b"(" * limits.ADDRESS_TOKENS * 2)


words = st.sampled_from(
    [b"a", b"b.c", b" ", b"@", b"<", b">", b",", b";", b":", b"(", b")", b'"', b"\\", b"[", b"]"]
    + [b".", b"\r\n ", b"\xc3\xa4", b"=?utf-8?q?x?=", b"\0"]
)  # fmt: skip


@given(st.lists(words, max_size=25).map(b"".join))
def test_strict_reads_what_lenient_reads(value: bytes) -> None:
    found = parse(value)
    try:
        strict = parse_strict(value)
    except BadAddress:
        return
    assert strict == found
    assert parse_strict(format_list(found)) == found
