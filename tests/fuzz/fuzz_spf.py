"""SPF: a record parses or raises RecordError; what parses reads back and is evaluated to a status.

The first line is the record, the second the explanation, the third the local part, the fourth the
HELO name.
"""

import ipaddress
from collections.abc import Coroutine
from typing import Any

from mox.dns.zones import Zones
from mox.mailauth.spf import (
    RecordError,
    Result,
    Sender,
    Status,
    evaluate,
    format_received_spf,
    parse,
)

TARGET_NAME: str = "spf"
SEEDS = (
    b"a mx/24//64 -include:b.example ptr exists:%{ir}.%{v}.%{l1r+-}.x.example ?all\nsorry %{c}\nx\ny",
    b"redirect=%{d2}.c.example exp=why.example x=%%%_%-\n%{S} %{p} %{t}\na.b\n[192.0.2.1]",
    b"ip4:192.0.2.0/24 ip6:2001:db8::/32 -all exp=why.a.example\n%{h}\n\xc3\xa9\nmx.example",
)
IPS = (ipaddress.ip_address("192.0.2.77"), ipaddress.ip_address("2001:db8::77"))


def drive(evaluation: Coroutine[Any, Any, Result]) -> Result:
    """Run it without an event loop: over Zones it never waits."""
    try:
        evaluation.send(None)
    except StopIteration as e:
        result: Result = e.value
        return result
    raise AssertionError("waits for something")


def run(data: bytes) -> None:
    """Parse, then evaluate for a client of each family."""
    terms, explanation, localpart, helo = (data.split(b"\n", 3) + [b""] * 3)[:4]
    text = b"v=spf1 " + terms
    is_bad = False
    try:
        record = parse(text)
        if parse(str(record).encode()) != record:
            raise AssertionError("does not read back")
    except RecordError:
        is_bad = True
    zones = Zones(
        {
            "a.example": {"TXT": [text], "A": ["192.0.2.1"], "MX": ["10 b.example", "0 ."]},
            "b.example": {"TXT": [b"v=spf1 a ?all"], "AAAA": ["2001:db8::1"]},
            "why.a.example": {"TXT": [explanation]},
            "192.0.2.77": {"PTR": ["a.example", "b.example"]},
        },
        temporary=["slow.example"],
    )
    for ip in IPS:
        sender = Sender(
            ip=ip,
            helo=helo.decode("utf-8", "replace"),
            localpart=localpart.decode("utf-8", "replace"),
            domain="a.example",
        )
        result = drive(evaluate(zones, sender))
        if is_bad and result.status is not Status.PERMERROR:
            raise AssertionError("a bad record was used")
        if not result.explanation.isascii():
            raise AssertionError("the explanation is not ASCII")
        field = format_received_spf(result, receiver="me.example")
        if any(line[:1] != b"\t" for line in field.split(b"\r\n")[1:-1]) or b"\n" in field.replace(
            b"\r\n", b""
        ):
            raise AssertionError("the field is broken")
