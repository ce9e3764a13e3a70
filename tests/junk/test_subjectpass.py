"""Tokens in the subject."""

import base64
import random

import pytest

from mox.dns.name import BadName
from mox.junk.subjectpass import KEY_LENGTH, Result, make, new_key, sender_of, verify, verify_token
from mox.message.address import Address

KEY = "abcDEF0123456789"
SENDER = "sender@example.org"
MADE_S = 1_700_000_000
PERIOD_S = 12 * 3600
TOKEN = "(pass:AGVT8aBIzufvrPKsBlXdlg)"  # noqa: S105 - the golden value


def message(subject: str, from_: str = "Sender <sender@Example.org>", fields: str = "") -> bytes:
    return f"From: {from_}\r\nSubject: {subject}\r\n{fields}\r\nbody\r\n".encode()


def verified(content: bytes, *, key: str = KEY, later_s: int = 0) -> Result:
    return verify(content, key, period_s=PERIOD_S, now_s=MADE_S + later_s)


@pytest.mark.parametrize(
    ("at", "same"),
    [(MADE_S, True), (MADE_S + 255, True), (MADE_S - 1, False), (MADE_S + 256, False)],
)
def test_the_golden_token(at: int, same: bool) -> None:
    assert (make(KEY, SENDER, at) == TOKEN) is same


@pytest.mark.parametrize(
    "subject",
    [f"hello {TOKEN}", TOKEN, f"Re: {TOKEN} (x)", f"folded\r\n {TOKEN}", f"(pass {TOKEN}"],
)
def test_a_valid_token(subject: str) -> None:
    assert verified(message(subject)) is Result.VALID


def test_a_token_expires() -> None:
    assert verified(message(TOKEN), later_s=PERIOD_S) is Result.VALID
    assert verified(message(TOKEN), later_s=PERIOD_S + 256) is Result.EXPIRED


def test_another_key_or_sender_does_not_verify() -> None:
    assert verified(message(TOKEN), key="0" * KEY_LENGTH) is Result.WRONG
    assert verified(message(TOKEN, "other@example.org")) is Result.WRONG
    changed = TOKEN.replace("AGVT8a", "AGVT9a")  # another time
    assert verified(message(changed)) is Result.WRONG


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("hello", Result.ABSENT),
        ("hello (pass:AGVT8aBIzufvrPKsBlXdlg", Result.ABSENT),
        ("(pass:)", Result.MALFORMED_TOKEN),
        (TOKEN.replace("dlg)", ")"), Result.MALFORMED_TOKEN),
        (TOKEN.replace("dlg)", "dlg=)"), Result.MALFORMED_TOKEN),
        (TOKEN.replace("dlg)", "d+g)"), Result.MALFORMED_TOKEN),
        (TOKEN.replace("AGVT", "EGVT"), Result.MALFORMED_TOKEN),  # version 1
        ("(pass:no)" + TOKEN, Result.MALFORMED_TOKEN),  # the first one counts
        # searched as it is written
        ("=?utf-8?Q?" + TOKEN.replace(":", "=3A") + "?=", Result.ABSENT),
    ],
)
def test_other_subjects(subject: str, expected: Result) -> None:
    assert verified(message(subject)) is expected


@pytest.mark.parametrize(
    ("from_", "fields"),
    [
        ("a@example.org, sender@example.org", ""),
        ("sender", ""),
        ("sender@example.org", "From: sender@example.org\r\n"),
        ("sender@xn--a.example", ""),
        ("sender@[192.0.2.1]", ""),
    ],
)
def test_one_author_with_a_domain_is_needed(from_: str, fields: str) -> None:
    assert verified(message(TOKEN, from_, fields)) is Result.BAD_FROM


def test_messages_without_subject_or_form() -> None:
    assert verified(b"From: sender@example.org\r\n\r\nbody\r\n") is Result.ABSENT
    assert verified(message(TOKEN) + b"bare\nline\r\n") is Result.MALFORMED_MESSAGE
    assert verified(message(TOKEN, fields="no colon\r\n")) is Result.MALFORMED_MESSAGE


@pytest.mark.parametrize(
    ("mailbox", "host", "expected"),
    [
        (b"sender", b"Example.ORG", "sender@example.org"),
        (b"Sender", b"xn--bcher-kva.example", "Sender@bücher.example"),
        ("jörg".encode(), "Bücher.example".encode(), "jörg@bücher.example"),
        (b'"a b"', b"example.org", '"a b"@example.org'),
        (b"caf\xe9", b"a_b.example.org", "caf\udce9@a_b.example.org"),
    ],
)
def test_senders_as_they_are_hashed(mailbox: bytes, host: bytes, expected: str) -> None:
    sender = sender_of(Address(None, None, mailbox, host))
    assert sender == expected
    token = make(KEY, sender, MADE_S)
    assert len(token) == len(TOKEN)
    found = verify_token(token[6:-1].encode(), KEY, sender, period_s=PERIOD_S, now_s=MADE_S)
    assert found is Result.VALID


def test_a_sender_without_domain_has_no_token() -> None:
    with pytest.raises(BadName):
        sender_of(Address(None, None, b"sender", b""))


def test_times_have_36_bits() -> None:
    late = 1 << 35
    token = make(KEY, SENDER, late)[6:-1]
    assert base64.urlsafe_b64decode(token + "==")[0] == 8
    assert verify_token(token.encode(), KEY, SENDER, period_s=1, now_s=late) is Result.VALID
    assert make(KEY, SENDER, 1 << 40) == make(KEY, SENDER, (1 << 36) - 1)
    assert make(KEY, SENDER, -5) == make(KEY, SENDER, 0)


def test_keys_are_letters_and_digits() -> None:
    keys = {new_key() for _ in range(20)}
    assert len(keys) == 20
    assert all(len(key) == KEY_LENGTH and key.isascii() and key.isalnum() for key in keys)
    assert new_key(random.Random(1).choice) == new_key(random.Random(1).choice)
