"""DKIM and ARC: any message and any key record give results; canonical forms are those of the twins."""

import asyncio
import contextlib

from mox._speedups import BodyCanonicalizer, relax_header
from mox._speedups.reference import canonical as plain
from mox.dns.zones import Zones
from mox.mailauth.arc import verify as arc
from mox.mailauth.dkim import report
from mox.mailauth.dkim.keyrecord import BadKey, BadRecord, format_record, load_key, parse_record
from mox.mailauth.dkim.signature import parse_signature
from mox.mailauth.dkim.taglist import BadTags
from mox.mailauth.dkim.verify import Status, verify
from mox.mailauth.publicsuffix import ListedSuffixes
from mox.message.authresults import AuthResults, format_field

TARGET_NAME: str = "dkim"
_SIGNATURE = (
    b"v=1; a=rsa-sha256; c=relaxed; d=x.example; s=s; h=from:subject;\r\n"
    b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=; b=YWJj"
)
_CHAIN = (
    b"ARC-Seal: i=1; cv=none; a=rsa-sha256; d=x.example; s=s; b=YWJj\r\nARC-Message-Signature: i=1;"
    + _SIGNATURE
    + b"\r\nARC-Authentication-Results: i=1; h; spf=pass smtp.mailfrom=a@b\r\nFrom: a@b\r\n\r\nx\r\n"
)
SEEDS = (
    _CHAIN,
    b"DKIM-Signature: " + _SIGNATURE + b"\r\nFrom: a@x.example\r\nSubject: x\r\n\r\n a  b \r\n\r\n",
    _SIGNATURE + b"; t=1; x=2; i=@x.example; q=dns/txt; l=3",
    b"v=DKIM1; k=ed25519; h=sha256; t=y:s; s=email; n=x; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
)
_SUFFIXES = ListedSuffixes(["example"])


def run(data: bytes) -> None:
    """As a message, as a field's value, as a key record, as a body in two pieces."""
    resolver = Zones({"s._domainkey.x.example": {"TXT": [data]}})
    results = asyncio.run(verify(resolver, data, now_s=0, suffixes=_SUFFIXES))
    chain = asyncio.run(arc.verify(resolver, data, now_s=0))
    if chain.status is arc.Status.PASS or any(one.status is Status.PASS for one in results):
        raise AssertionError("a signature was forged")
    methods = (*report.methods(results), arc.method(chain))
    field = format_field(AuthResults(host="h", methods=methods))
    if field.count(b"\n") != field.count(b"\r\n\t") + 1:
        raise AssertionError("a line of the field belongs to nobody")
    _values(data)
    for relaxed in (False, True):
        if _body(BodyCanonicalizer, data, relaxed) != _body(plain.BodyCanonicalizer, data, relaxed):
            raise AssertionError("compiled and plain differ")
    if relax_header(data) != plain.relax_header(data):
        raise AssertionError("compiled and plain differ")


def _values(data: bytes) -> None:
    with contextlib.suppress(BadTags):
        parse_signature(data, is_utf8=True)
    try:
        record = parse_record(data)
    except BadRecord:
        return
    again = parse_record(format_record(record).encode())
    if (again.key, again.kind, again.flags) != (record.key, record.kind, record.flags):
        raise AssertionError("a record is written otherwise than it was read")
    try:
        load_key(record)
    except BadKey:
        return


def _body(kind: type, data: bytes, relaxed: bool) -> bytes:
    out: list[bytes] = []
    body = kind(relaxed, out.append)
    body.feed(data[: len(data) // 2])
    body.feed(data[len(data) // 2 :])
    body.finish()
    return b"".join(out)
