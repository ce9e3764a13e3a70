"""Trace fields."""

import re

import pytest

from mox.message import trace
from mox.message.headerwriter import FOLD_AT
from mox.message.trace import Received
from mox.message.traceid import BadTraceId, TraceIds

HOP = Received(
    from_name="client.example",
    from_ip="192.0.2.1",
    by_name="mx.example",
    by_ip="2001:db8::1",
    protocol="ESMTPS",
    id="4xmoVLI_RQ4H9NiBdWGM_A",
    tls="TLS1.3 TLS_AES_128_GCM_SHA256",
    recipient="mox@example.org",
    utc_ms=1_751_364_000_000,
)


def unfolded(hop: Received) -> str:
    return trace.format_received(hop).decode().replace("\r\n\t", " ")


@pytest.mark.rfc("5321 §4.4")
def test_received() -> None:
    assert unfolded(HOP) == (
        "Received: from client.example ([192.0.2.1]) by mx.example ([IPv6:2001:db8::1]) via tcp"
        " with ESMTPS id 4xmoVLI_RQ4H9NiBdWGM_A (TLS1.3 TLS_AES_128_GCM_SHA256)"
        " for <mox@example.org>; 1 Jul 2025 10:00:00 +0000\r\n"
    )
    for line in trace.format_received(HOP).split(b"\r\n"):
        assert len(line) <= FOLD_AT


def test_received_with_less_and_more() -> None:
    submission = Received(
        from_name="mx.example", by_name="mx.example", protocol="ESMTPSA", id="x", utc_ms=0
    )
    assert unfolded(submission) == (
        "Received: from mx.example by mx.example via tcp with ESMTPSA id x;"
        " 1 Jan 1970 00:00:00 +0000\r\n"
    )
    full = Received(
        from_name="exämple",
        from_ascii="xn--exmple-cua",
        from_ip="192.0.2.1",
        from_reverse="other.example.",
        by_name="ö.example",
        by_ascii="xn--nda.example",
        protocol="UTF8SMTPS",
        is_requiretls=True,
        id="x",
        utc_ms=0,
        zone_minutes=60,
    )
    assert unfolded(full) == (
        "Received: from exämple (other.example. [192.0.2.1]) (xn--exmple-cua) by ö.example"
        " (xn--nda.example) via tcp with UTF8SMTPS (requiretls) id x; 1 Jan 1970 01:00:00 +0100\r\n"
    )


def test_a_reverse_name_that_says_nothing_new_is_left_out() -> None:
    import msgspec

    hop = msgspec.structs.replace(HOP, from_reverse="CLIENT.example.")
    assert unfolded(hop) == unfolded(HOP)


def test_strangers_do_not_write_our_trace() -> None:
    import msgspec

    bad = "x\r\n(y);<z> \0"
    hop = msgspec.structs.replace(
        HOP, from_name=bad, from_reverse=bad + "r", recipient="a\r\nX: y@b"
    )
    text = trace.format_received(hop)
    assert all(line.startswith(b"\t") for line in text.split(b"\r\n")[1:-1])
    assert b"from x???y???z???" in text
    assert text.count(b";") == 1
    assert trace.format_return_path("a\r\nb@c") == b"Return-Path: <a??b@c>\r\n"


@pytest.mark.rfc("3848")
@pytest.mark.parametrize(
    ("flags", "word"),
    [
        ((False, False, False, False), "SMTP"),
        ((True, False, False, False), "ESMTP"),
        ((True, True, False, False), "ESMTPS"),
        ((True, False, True, False), "ESMTPA"),
        ((True, True, True, False), "ESMTPSA"),
        ((True, True, True, True), "UTF8SMTPSA"),
        ((True, False, False, True), "UTF8SMTP"),
    ],
)
def test_protocol(flags: tuple[bool, bool, bool, bool], word: str) -> None:
    esmtp, tls, authenticated, utf8 = flags
    assert (
        trace.protocol(is_esmtp=esmtp, is_tls=tls, is_authenticated=authenticated, is_utf8=utf8)
        == word
    )


@pytest.mark.rfc("3848; 6531 §4.3")
def test_local_mail() -> None:
    def word(*, utf8: bool, tls: bool) -> str:
        return trace.protocol(
            is_esmtp=True, is_tls=tls, is_authenticated=False, is_utf8=utf8, is_lmtp=True
        )

    assert [word(utf8=False, tls=False), word(utf8=True, tls=True)] == ["LMTP", "UTF8LMTPS"]
    hop = trace.Received(
        from_name="mx.example",
        by_name="b.example",
        protocol="LMTP",
        id="i",
        utc_ms=0,
        is_local=True,
    )
    assert trace.format_received(hop).replace(b"\r\n\t", b" ") == (
        b"Received: from mx.example by b.example with LMTP id i; 1 Jan 1970 00:00:00 +0000\r\n"
    )


@pytest.mark.rfc("5321 §4.4; 9228 §3")
def test_the_other_fields() -> None:
    assert trace.format_return_path("") == b"Return-Path: <>\r\n"
    assert trace.format_return_path('"a b"@c') == b'Return-Path: <"a b"@c>\r\n'
    assert trace.format_delivered_to("ö@c") == "Delivered-To: ö@c\r\n".encode()


@pytest.mark.parametrize(
    "end", ["\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029"]
)
def test_no_line_of_a_stranger_in_any_field(end: str) -> None:
    text = f'"x{end}Subject: y"@c'
    hop = trace.Received(
        from_name=f"x{end}Subject:y",
        from_reverse=f"r{end}Subject:y",
        by_name="h",
        protocol="SMTP",
        id="1",
        recipient=text,
        utc_ms=0,
    )
    made = [
        trace.format_return_path(text),
        trace.format_delivered_to(text),
        trace.format_received(hop),
    ]
    for field in made:
        lines = field.decode().splitlines()
        assert not [line for line in lines[1:] if not line.startswith("\t")], field


def test_trace_ids() -> None:
    ids = TraceIds(bytes(range(16)), b"abcdefgh")
    assert ids.make(12345) == "4xmoVLI_RQ4H9NiBdWGM_A"
    assert ids.read("4xmoVLI_RQ4H9NiBdWGM_A") == 12345
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", ids.make(2**64 - 1))
    with pytest.raises(BadTraceId):
        TraceIds(bytes(range(16)), b"ABCDEFGH").read("4xmoVLI_RQ4H9NiBdWGM_A")
    for wrong in ("", "x", "4xmoVLI_RQ4H9NiBdWGM_AA", "öööööööööööööööööööööö", "é"):
        with pytest.raises(BadTraceId):
            ids.read(wrong)
    with pytest.raises(ValueError, match="16 bytes"):
        TraceIds(b"short", b"abcdefgh")
