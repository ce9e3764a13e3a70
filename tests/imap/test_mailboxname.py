"""Mailbox names in modified UTF-7 and UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.imap import mailboxname
from mox.imap.errors import BadMailboxName


@pytest.mark.rfc("3501 §5.1.3")
@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"", ""),
        (b"Sent Items", "Sent Items"),
        (b"&Jjo-", "☺"),
        (b"&-", "&"),
        (b"&-&-", "&&"),
        (b"a&-b", "a&b"),
        (b"&Jjo-&-", "☺&"),
        (b"&-&Jjo-", "&☺"),
        (b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語"),
        (b"&2D3eAA-", "😀"),
        (b"x&AOk-y&AOk-", "xéyé"),
    ],
)
def test_both_ways(raw: bytes, name: str) -> None:
    assert mailboxname.decode_utf7(raw) == name
    assert mailboxname.encode_utf7(name) == raw


@pytest.mark.rfc("3501 §5.1.3")
@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"&", "unterminated"),
        (b"&&", "unterminated"),
        (b"&Jjo", "unterminated"),
        (b"&Jjo-&Jjo-", "superfluous"),
        (b"&AGE-", "unneeded"),
        (b"&AGEA6Q-", "unneeded"),
        (b"&ACY-", "unneeded"),
        (b"&Jj-", "odd|base64"),
        (b"&Jjo6-", "odd"),
        (b"&J!o-", "base64"),
        (b"&Jjo=-", "base64"),
        (b"&U/BTFw-", "base64"),
        (b"&Jjp-", "base64"),  # bits after the last character are not zero
        (b"&2AA-", "surrogates"),
        (b"&3gDYPQ-", "surrogates"),
        (b"a\xc3\xa9", "UTF-7"),
        (b"a\x01", "UTF-7"),
        (b"a\x7f", "UTF-7"),
    ],
)
def test_bad_encodings(raw: bytes, why: str) -> None:
    with pytest.raises(BadMailboxName, match=why):
        mailboxname.decode_utf7(raw)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_every_text_survives(name: str) -> None:
    raw = mailboxname.encode_utf7(name)
    assert raw.isascii()
    assert mailboxname.decode_utf7(raw) == name


@given(st.text("&-,/+AJjo6☺", max_size=12))
def test_one_name_has_one_form(text: str) -> None:
    raw = text.encode("ascii", "ignore")
    try:
        name = mailboxname.decode_utf7(raw)
    except BadMailboxName:
        return
    assert mailboxname.encode_utf7(name) == raw


@pytest.mark.rfc("6855 §3")
def test_utf8_names_are_as_they_are() -> None:
    assert mailboxname.decode("☺&".encode(), utf8=True) == "☺&"
    assert mailboxname.encode("☺&", utf8=True) == '"☺&"'.encode()
    assert mailboxname.encode("☺&", utf8=False) == b"&Jjo-&-"
    with pytest.raises(BadMailboxName):
        mailboxname.decode(b"\xff", utf8=True)


@pytest.mark.rfc("9051 §5.1")
def test_inbox_is_one_name_in_any_case() -> None:
    assert mailboxname.decode(b"iNbOx", utf8=False) == "Inbox"
    assert mailboxname.decode(b"INBOX/Sub", utf8=False) == "Inbox/Sub"
    assert mailboxname.decode(b"INBOXES", utf8=False) == "INBOXES"
    assert mailboxname.decode(b"a/INBOX", utf8=False) == "a/INBOX"
    assert mailboxname.decode_pattern(b"INBOX%", utf8=False) == "INBOX%"


def test_names_are_bare_only_where_they_are_atoms() -> None:
    assert mailboxname.encode("Sent", utf8=False) == b"Sent"
    assert mailboxname.encode("Sent Items", utf8=False) == b'"Sent Items"'
    assert mailboxname.encode('a"b', utf8=False) == b'"a\\"b"'
    assert mailboxname.encode("NIL", utf8=False) == b'"NIL"'


@pytest.mark.parametrize(
    "name", ["", "/a", "a//b", "a/", ".", "..", "x/..", "#x", "a\nb", "a\u2028", "e\u0301"]
)
def test_names_no_mailbox_may_have(name: str) -> None:
    with pytest.raises(BadMailboxName):
        mailboxname.check(name)


def test_names_a_mailbox_may_have() -> None:
    for name in ("...", "%", "*", "test#", "&", "a/b"):
        assert mailboxname.check(name) == name
    assert mailboxname.check("inBox/a") == "Inbox/a"


def test_a_huge_name_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(BadMailboxName, match="too long"):
        mailboxname.decode(b"x" * 100_000, utf8=False)
