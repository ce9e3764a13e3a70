"""Whom a message was sent to."""

import pytest

from mox.dns.name import parse_domain
from mox.junk import recipients
from mox.junk.recipients import Recipient, sent_to


def names(block: bytes) -> list[str]:
    return [f"{one.localpart}@{one.domain.unicode}" for one in sent_to(block).recipients]


def test_recipients_and_date() -> None:
    found = sent_to(
        b"From: me@example.org\r\n"
        b"To: Friend <friend@Pals.example>, friends: a@b.example, c@b.example;\r\n"
        b"Date: Tue, 01 Mar 2022 10:00:00 +0100\r\n"
        b"Cc: friend@pals.example\r\n"
        b"Bcc: hidden@b.example\r\nSubject: x\r\n\r\n"
    )
    assert found.date_ms == 1_646_125_200_000
    assert found.recipients == (
        Recipient("friend", parse_domain("pals.example")),
        Recipient("a", parse_domain("b.example")),
        Recipient("c", parse_domain("b.example")),
        Recipient("hidden", parse_domain("b.example")),
    )


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (b'"a b"@example.org', ["a b@example.org"]),
        (b'"plain"@example.org', ["plain@example.org"]),
        (b"e\xcc\x81@example.org", ["\xe9@example.org"]),  # NFC
        ("x@bücher.example".encode(), ["x@bücher.example"]),
        (b"x@xn--bcher-kva.example", ["x@bücher.example"]),
        (b"<@example.org>, nobody, <a@>, undisclosed-recipients:;", []),
        (b'""@example.org', []),
        (b"a@[192.0.2.1], b@1.2.3.4, c@-x-.example", []),
        (b"l" * 200 + b"@example.org", []),
        (b"", []),
    ],
)
def test_odd_addresses(to: bytes, expected: list[str]) -> None:
    assert names(b"To: " + to + b"\r\n\r\n") == expected


def test_no_date_and_no_recipients() -> None:
    assert sent_to(b"Subject: x\r\nDate: yesterday\r\n\r\n") == ((), None)
    assert sent_to(b"") == ((), None)


def test_there_is_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipients, "SENT_RECIPIENTS", 3)
    block = b"To: a@x.example, a@x.example, b@x.example\r\nCc: c@x.example, d@x.example\r\n\r\n"
    assert names(block) == ["a@x.example", "b@x.example", "c@x.example"]
