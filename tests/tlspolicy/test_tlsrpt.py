"""TLSRPT records."""

import pytest

from mox.base.limits import TLSRPT_RECORD, TLSRPT_URIS
from mox.dns.base import NotFound, Temporary
from mox.dns.zones import Zones
from mox.tlspolicy.tlsrpt import BadRecord, choose_record, look_up, parse_record


@pytest.mark.parametrize(
    ("text", "rua"),
    [
        ("v=TLSRPTv1; rua=mailto:a@b.example", ("mailto:a@b.example",)),
        ("v=TLSRPTv1;rua=mailto:a@b.example;", ("mailto:a@b.example",)),
        ("v=TLSRPTv1 ; rua=mailto:a@b , https://c/d?e=f ;", ("mailto:a@b", "https://c/d?e=f")),
        ("v=TLSRPTv1; rua=mailto:a; x-1=other thing; rua=mailto:b;", ("mailto:a", "mailto:b")),
        ("v=TLSRPTv1; rua=mailto:a%2Cb%21@c.example", ("mailto:a%2Cb%21@c.example",)),
    ],
)
@pytest.mark.rfc("8460 §3")
def test_records(text: str, rua: tuple[str, ...]) -> None:
    assert parse_record(text.encode()).rua == rua


@pytest.mark.parametrize(
    "text",
    [
        "v=TLSRPTv1",
        "v=TLSRPTv1;",
        "v=tlsrptv1; rua=mailto:a",
        "V=TLSRPTv1; rua=mailto:a",
        "v=TLSRPTv1; rua=",
        "v=TLSRPTv1; rua=a@b.example",
        "v=TLSRPTv1; rua=mailto:a,,mailto:b",
        "v=TLSRPTv1; rua=mailto:a b",
        "v=TLSRPTv1; rua=mailto:a!10m",
        "v=TLSRPTv1; rua",
        "v=TLSRPTv1;; rua=mailto:a",
        "v=TLSRPTv1; rua=mailto:ä@b.example",
        "rua=mailto:a; v=TLSRPTv1;",
        "v=TLSRPTv1; " + "x" * 33 + "=y; rua=mailto:a",
        "v=TLSRPTv1; rua=" + ",".join(["mailto:a"] * (TLSRPT_URIS + 1)),
        "v=TLSRPTv1; rua=mailto:a;" + "x" * TLSRPT_RECORD,
    ],
)
def test_what_is_no_record(text: str) -> None:
    with pytest.raises(BadRecord):
        parse_record(text.encode())


def test_addresses_are_those_of_mailto() -> None:
    record = parse_record(b"v=TLSRPTv1; rua=https://x/,MAILTO:a@b.example,mailto:a@b.example")
    assert record.mail_addresses == ("a@b.example",)


async def test_look_up() -> None:
    zones = Zones(
        {
            "_smtp._tls.a.example": {"TXT": ["v=spf1 -all", "v=TLSRPTv1; rua=mailto:x@a.example"]},
            "_smtp._tls.b.example": {"TXT": ["v=TLSRPTv1; rua=mailto:x"] * 2},
            "_smtp._tls.c.example": {"TXT": ["something else"]},
        },
        temporary=["_smtp._tls.d.example"],
        authentic=["_smtp._tls.a.example"],
    )
    record, authentic = await look_up(zones, "a.example")
    assert record is not None
    assert record.mail_addresses == ("x@a.example",)
    assert authentic
    with pytest.raises(BadRecord, match="several"):
        await look_up(zones, "b.example")
    assert await look_up(zones, "c.example") == (None, False)
    with pytest.raises(Temporary):
        await look_up(zones, "d.example")
    with pytest.raises(NotFound):
        await look_up(zones, "e.example")


def test_none_among_others() -> None:
    assert choose_record([b"", b"v=TLSRPTv2; rua=mailto:a"]) is None
