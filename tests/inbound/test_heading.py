"""Who a message says it is from, and to whom it is addressed: strict, and bounded."""

import pytest

from mox.base.limits import HEADER_PARSE
from mox.inbound.heading import Heading
from mox.smtp.address import parse_address


@pytest.mark.parametrize(
    ("field", "author"),
    [
        (b"a@b.example", "a@b.example"),
        (b"Name <A@B.Example>", "A@b.example"),
        (b'"q r"@b.example', "q r@b.example"),
        ("mo\u0301x@BÜCHER.example".encode(), "móx@bücher.example"),
        (b"x@xn--bcher-kva.example", "x@bücher.example"),
        (b"group: a@b.example;", "a@b.example"),  # RFC 6854 §2
    ],
)
def test_one_author(field: bytes, author: str) -> None:
    heading = Heading(b"From: " + field + b"\r\n\r\n")
    assert str(heading.author) == author
    assert not heading.is_ambiguous


@pytest.mark.rfc("7489 §6.6.1")
@pytest.mark.parametrize(
    "header",
    [
        b"From: a@b.example\r\nFrom: c@d.example\r\n\r\n",
        b"from: a@b.example\r\nFROM: a@b.example\r\n\r\n",
        b"From: a@b.example, c@d.example\r\n\r\n",
        b"From: group: a@b.example, c@d.example;\r\n\r\n",
        b"From: <a@b.example> <c@d.example>\r\nFrom : e@f.example\r\n\r\n",
        b"From: a@b.example, (unclosed <c@d.example>\r\nFrom: x\r\n\r\n",
        b"From: " + b"x" * 20_000 + b" <a@b.example>\r\n\r\n",
    ],
)
def test_several_authors_are_none(header: bytes) -> None:
    heading = Heading(header)
    assert heading.author is None
    assert heading.is_ambiguous
    assert heading.author_problem


@pytest.mark.parametrize(
    "field",
    [
        b"",
        b"undisclosed:;",
        b"Doe, John <j@x.example>",
        b"a@[192.0.2.1]",
        b"just a name",
        b"a@b..c",
    ],
)
def test_no_author_is_not_several(field: bytes) -> None:
    heading = Heading(b"From: " + field + b"\r\n\r\n")
    assert heading.author is None
    assert not heading.is_ambiguous
    assert Heading(b"Subject: x\r\n\r\n").author_problem == "no From field"


@pytest.mark.parametrize(
    ("address", "there"),
    [
        ("you@example.org", True),
        ("You@example.org", False),  # the exact local part
        ("you@EXAMPLE.org", True),
        ('"q r"@example.org', True),
        ("me@xn--bcher-kva.example", True),
        ("it@xn--bcher-kva.example", True),
        ("bcc@example.org", False),
        ("other@example.org", False),
    ],
)
def test_addressed(address: str, there: bool) -> None:
    heading = Heading(
        'To: You <you@Example.ORG>, "q r"@example.org\r\nCc: g: me@bücher.example;\r\n'
        "Cc: it@xn--bcher-kva.example\r\nBcc: bcc@example.org\r\n\r\n".encode()
    )
    assert heading.is_addressed_to(parse_address(address)) is there


def test_half_a_million_addresses() -> None:
    many = b", ".join(b"user%d@example.org" % number for number in range(500_000))
    heading = Heading((b"From: a@b.example\r\nTo: " + many)[:HEADER_PARSE])
    assert heading.is_addressed_to(parse_address("user5@example.org"))
    assert not heading.is_addressed_to(parse_address("user499999@example.org"))
    from_many = Heading((b"From: " + many)[:HEADER_PARSE])
    assert from_many.is_ambiguous


def test_domains_in_unicode_cost_only_where_the_local_part_fits() -> None:
    odd = ", ".join(f"x@bücher{number}.example" for number in range(20_000))
    heading = Heading(f"To: {odd}\r\n\r\n".encode())
    assert not heading.is_addressed_to(parse_address("y@example.org"))
    assert not heading.is_addressed_to(parse_address("x@example.org"))


def test_ids_and_subjects() -> None:
    heading = Heading(b"Message-Id:\r\n <A@B.example>\r\nSubject: one\r\n two\r\n\r\n")
    assert heading.message_id == "a@b.example"
    assert heading.subject == b"one two"
    assert Heading(b"\r\n").message_id == ""
    assert Heading(b"\r\n").subject == b""
