"""SPF records as text."""

import contextlib
import ipaddress
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base.limits import SPF_RECORD
from mox.mailauth.spf import RecordError, is_record, parse


def test_a_record_with_everything() -> None:
    record = parse(
        b"v=SPF1  A:%{d}.example.org/24//64 -mx/0 ~include:_spf.example.org ?ptr"
        b" ip4:192.0.2.129/25 ip6:2001:DB8::/32 exists:%{i}.example.org accept=1"
        b" REDIRECT=other.example.org Exp=why.example.org -ALL "
    )
    a, mx, include, ptr, ip4, ip6, exists, all_ = record.mechanisms
    assert (a.name, a.qualifier, a.prefix4, a.prefix6) == ("a", "+", 24, 64)
    assert str(a.domain) == "%{d}.example.org"
    assert (mx.name, mx.qualifier, mx.domain, mx.prefix4, mx.prefix6) == ("mx", "-", None, 0, 128)
    assert (include.qualifier, str(include.domain)) == ("~", "_spf.example.org")
    assert (ptr.qualifier, ptr.domain) == ("?", None)
    assert ip4.network == ipaddress.ip_network("192.0.2.128/25")
    assert ip6.network == ipaddress.ip_network("2001:db8::/32")
    assert exists.name == "exists"
    assert (all_.name, all_.qualifier, all_.text) == ("all", "-", "-ALL")
    assert str(record.redirect) == "other.example.org"
    assert str(record.explanation) == "why.example.org"
    assert [(name, str(value)) for name, value in record.unknown] == [("accept", "1")]
    assert parse(str(record).encode()) == record


@pytest.mark.rfc("7208 §4.5")
@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"v=spf1", True),
        (b"V=SpF1 -all", True),
        (b"v=spf10", False),
        (b"v=spf1\t-all", False),
        (b" v=spf1", False),
        (b"", False),
        (b"v=spf", False),
    ],
)
def test_the_version(text: bytes, wanted: bool) -> None:
    assert is_record(text) is wanted


@pytest.mark.rfc("7208 §4.6.1")
@pytest.mark.parametrize("name", ["accept", "mxfoo", "ptr2", "all", "a", "ip4", "include"])
def test_what_has_an_equals_sign_first_is_a_modifier(name: str) -> None:
    assert parse(f"v=spf1 {name}=1:2/3".encode()).unknown[0][0] == name


@pytest.mark.parametrize(
    "terms",
    [
        "-all:x.example",
        "all/8",
        "moo",
        "-redirect=a.example",
        "redirect=a.example redirect=b.example",
        "exp=a.example EXP=a.example",
        "redirect=",
        "exp=",
        "a:",
        "a/",
        "a/33",
        "a/032",
        "a//129",
        "a/24/64",
        "a//",
        "a:example.org:8080",
        "ptr/24",
        "ptr:",
        "include",
        "include:",
        "exists",
        "exists:a.example/24",
        "ip4",
        "ip4:",
        "ip4:1.2.3",
        "ip4:1.2.3.04",
        "ip4:1.2.3.256",
        "ip4:1.2.3.4/",
        "ip4:1.2.3.4//32",
        "ip4/1.2.3.4",
        "ip4:2001:db8::1",
        "ip6:192.0.2.1",
        "ip6:2001:db8::1%eth0",
        "ip6:2001:db8::/129",
        "ip6::1::2",
        "++all",
        "1a=b",
        "=all",
        "x=%(d)",
        "a:%{c}.example",
        "a\tmx",
        "a\rmx",
        "\x00",
        "é",
        "ip4:١.2.3.4",
        "a/٢",
    ],
)
def test_what_is_refused(terms: str) -> None:
    with pytest.raises(RecordError):
        parse(f"v=spf1 {terms}".encode())


def test_a_record_has_a_limit() -> None:
    with pytest.raises(RecordError):
        parse(b"v=spf1 " + b"a" * SPF_RECORD)
    with pytest.raises(RecordError):
        parse(b"not a record")


@pytest.mark.parametrize("filler", [b"a/", b"/1", b"a ", b"%%", b"%{d}", b"x.", b"a:" + b"1" * 50])
def test_long_records_are_read_in_linear_time(filler: bytes) -> None:
    text = b"v=spf1 " + (filler * SPF_RECORD)[: SPF_RECORD - 10]
    start = time.process_time()
    with contextlib.suppress(RecordError):
        parse(text)
    assert time.process_time() - start < 0.5


@given(st.binary(max_size=60))
def test_it_raises_nothing_else(data: bytes) -> None:
    try:
        record = parse(b"v=spf1 " + data)
    except RecordError:
        return
    assert parse(str(record).encode()) == record
