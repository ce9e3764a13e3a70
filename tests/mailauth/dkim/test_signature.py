"""Signature fields, key records, tag lists: what is read, what is refused."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from hypothesis import given
from hypothesis import strategies as st

from mox.mailauth.dkim.keyrecord import (
    BadKey,
    BadRecord,
    KeyRecord,
    choose_record,
    format_record,
    load_key,
    parse_record,
    record_of,
)
from mox.mailauth.dkim.signature import (
    Signature,
    format_unsigned,
    parse_signature,
    with_value,
    without_value,
)
from mox.mailauth.dkim.taglist import BadTags, parse_tags

BH = base64.b64encode(b"h" * 32)
GOOD = (
    b" v=1; a=rsa-sha256; d=Example.COM; s=Sel_1.x; h=From : to\r\n\t:Subject;\r\n bh="
    + BH
    + b"; b=YW\r\n Jj"
)


def test_a_signature_is_read() -> None:
    signature = parse_signature(
        GOOD + b"; x=9; t=5; l=77; i=a=20b@mail.example.com; q=dns/txt:z\r\n"
    )
    assert signature == Signature(
        algorithm="rsa-sha256",
        domain="example.com",
        selector="sel_1.x",
        names=(b"from", b"to", b"subject"),
        body_hash=b"h" * 32,
        value=b"abc",
        identity_local="a b",
        identity_domain="mail.example.com",
        body_length=77,
        queries=("dns/txt", "z"),
        signed_at=5,
        expires_at=9,
    )
    assert signature.record_name == "sel_1.x._domainkey.example.com"
    assert (signature.key_kind, signature.hash_name) == ("rsa", "sha256")


@pytest.mark.rfc("6376 §3.5")
@pytest.mark.parametrize(
    ("canon", "expected"),
    [
        (b"", ("simple", "simple")),
        (b"; c=relaxed", ("relaxed", "simple")),
        (b"; c=simple/relaxed", ("simple", "relaxed")),
        (b"; c=Relaxed/Relaxed", ("relaxed", "relaxed")),
    ],
)
def test_canonicalisation(canon: bytes, expected: tuple[str, str]) -> None:
    signature = parse_signature(GOOD + canon)
    assert (signature.header_canon, signature.body_canon) == expected


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b";;",
        GOOD + b"; ",
        GOOD + b";;",
        GOOD.replace(b"v=1", b"v=2"),
        GOOD.replace(b"v=1; ", b""),
        GOOD + b"; v=1",
        GOOD.replace(b"d=Example.COM", b"d=\xc3\xb6.example"),
        GOOD.replace(b"d=Example.COM", b"d=-x.example"),
        GOOD.replace(b"d=Example.COM", b"d=" + b"a." * 127 + b"example"),
        GOOD.replace(b"d=Example.COM", b"d=a..b"),
        GOOD.replace(b"s=Sel_1.x", b"s=a..b"),
        GOOD.replace(b"s=Sel_1.x", b"s="),
        GOOD + b"; i=@example.org",
        GOOD + b"; i=example.com",
        GOOD + b"; i=\xc3\xb6@example.com",
        GOOD + b"; t=5; x=5",
        GOOD + b"; t=-5",
        GOOD + b"; t=1234567890123",
        GOOD + b"; l=" + b"1" * 77,
        GOOD.replace(BH, b"YWJj"),
        GOOD.replace(BH, b"YW"),
        GOOD.replace(b"YW\r\n Jj", b"Y*"),
        GOOD.replace(b"From", b"Fr\tom"),
        GOOD + b"; q=",
        GOOD + b"; z=\x01",
        GOOD + b"; z=a\rb",
        GOOD + b"; 1=x",
        GOOD + b"; =x",
        GOOD + b"; x" * 200,
        GOOD + b"; z=" + b"x" * 70_000,
    ],
    ids=lambda value: value[-30:].decode(errors="replace"),
)
def test_no_signatures(value: bytes) -> None:
    with pytest.raises(BadTags):
        parse_signature(value)


@pytest.mark.rfc("8616 §3")
def test_an_identity_in_utf8_needs_smtputf8() -> None:
    signature = parse_signature(GOOD + b"; i=\xc3\xb6@example.com", is_utf8=True)
    assert signature.identity_local == "ö"
    with pytest.raises(BadTags):
        parse_signature(GOOD + b"; i=\xff@example.com", is_utf8=True)


@pytest.mark.rfc("6376 §3.2")
def test_tag_lists() -> None:
    assert parse_tags(b" a = b c ; B=;") == {b"a": b"b c", b"B": b""}
    assert parse_tags(b"a=b\r\n\tc=d") == {b"a": b"b\tc=d"}


@given(st.binary(max_size=50) | st.text("ab=; \r\n\t", max_size=50).map(str.encode))
def test_tag_lists_raise_their_own_error_only(value: bytes) -> None:
    try:
        tags = parse_tags(value)
    except BadTags:
        return
    assert all(name.isalnum() or b"_" in name for name in tags)


@pytest.mark.rfc("6376 §3.7")
@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"X: a=1; b=QUJD\r\n RA== ; bh=x\r\n", b"X: a=1; b=; bh=x"),
        (b"X: a=1; b=QUJD\r\n", b"X: a=1; b="),
        (b"X: a=1;\r\n\tb =\r\n QUJD;\r\n", b"X: a=1;\r\n\tb =;"),
        (b"X: bb=1; b=\r\n", b"X: bb=1; b="),
        (b"X: bh=b=c; b=x", b"X: bh=b=c; b="),
    ],
)
def test_the_value_is_taken_out(field: bytes, expected: bytes) -> None:
    assert without_value(field) == expected


names = st.from_regex(rb"[a-z][a-z0-9-]{0,20}", fullmatch=True)
numbers = st.integers(0, 10**12 - 1)


@given(
    st.lists(names, min_size=1, max_size=30),
    st.none() | st.text(st.characters(min_codepoint=1, max_codepoint=126), min_size=1, max_size=20),
    st.none() | st.integers(0, 10**11),
    st.binary(min_size=1, max_size=512),
)
def test_what_is_written_is_read_back(
    signed: list[bytes], local: str | None, signed_at: int | None, value: bytes
) -> None:
    signature = Signature(
        algorithm="rsa-sha256",
        header_canon="relaxed",
        domain="example.com",
        selector="sel",
        names=tuple(signed),
        body_hash=b"h" * 32,
        value=value,
        identity_local=local,
        identity_domain="sub.example.com",
        signed_at=signed_at,
        expires_at=None if signed_at is None else signed_at + 5,
    )
    unsigned = format_unsigned(signature)
    field = with_value(unsigned, value)
    assert parse_signature(field.partition(b":")[2]) == signature
    assert without_value(field) == unsigned
    assert max(len(line) for line in field.split(b"\r\n")) <= 78


def test_key_records_are_written_and_read() -> None:
    record = KeyRecord(
        hashes=("sha256",),
        kind="ed25519",
        notes="x",
        key=b"k",
        services=("email",),
        flags=("y", "s"),
    )
    assert format_record(record) == "v=DKIM1;h=sha256;k=ed25519;n=x;s=email;t=y:s;p=aw=="
    assert parse_record(format_record(record).encode()) == record
    assert record.is_testing
    assert record.is_strict
    assert record.is_for_mail
    assert parse_record(b"p=") == KeyRecord()
    assert parse_record(b"v=DKIM1; unknown=1; p=YQ==;") == KeyRecord(key=b"a")


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"v=DKIM1",
        b"v=dkim1; p=",
        b"v=DKIM2; p=",
        b"p=; v=DKIM1",
        b"v=DKIM1; p=; p=",
        b"v=DKIM1; p=; ",
        b"v=DKIM1; h=; p=",
        b"v=DKIM1; k=\xff; p=",
        b"v=DKIM1; p=*",
    ],
)
def test_no_key_records(record: bytes) -> None:
    with pytest.raises(BadRecord):
        parse_record(record)


@pytest.mark.rfc("8301 §3.2")
@pytest.mark.parametrize(("bits", "is_good"), [(1024, True), (8192, True), (8193, False)])
def test_sizes_of_rsa_keys(bits: int, is_good: bool) -> None:
    record = record_of(RSAPublicNumbers(65_537, (1 << (bits - 1)) + 1).public_key())
    if is_good:
        assert isinstance(load_key(record), RSAPublicKey)
        return
    with pytest.raises(BadKey, match="8193"):
        load_key(record)


def test_one_of_many_texts_is_the_key() -> None:
    assert choose_record([b"junk"] * 50 + [b"p=YQ=="]).key == b"a"
    with pytest.raises(BadRecord):
        choose_record([])
