"""Verifying DKIM signatures: what passes, what does not, and why."""

from collections.abc import Mapping, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from mox.base.limits import DKIM_SIGNATURES
from mox.dns.base import Kind
from mox.dns.zones import Zones
from mox.mailauth.dkim.canonical import Canon
from mox.mailauth.dkim.keyrecord import format_record, record_of
from mox.mailauth.dkim.report import methods
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.mailauth.dkim.verify import (
    Result,
    Status,
    Verification,
    passing_domains,
    verify,
)
from mox.mailauth.publicsuffix import listed
from mox.message.authresults import AuthResults, format_field

NOW = 1_700_000_000
RSA_RECORD = (
    "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
    "iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
    "DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
    "Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
)
RSA_P = RSA_RECORD.partition("p=")[2]
ED_RECORD = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
MESSAGE = (
    b"Received: by relay.example;\r\n\tThu, 1 Jan 2026 00:00:00 +0000\r\n"
    b"From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: One  two\r\n three\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"
    b"Hello  there \r\n\r\nBye\r\n\r\n\r\n"
)


def zones(record: str | Sequence[str] = RSA_RECORD, **more: Sequence[str]) -> Zones:
    records = [record] if isinstance(record, str) else list(record)
    return Zones({"sel._domainkey.example.com": {"TXT": records}}, **more)


async def judge(message: bytes, resolver: Zones | None = None, now_s: int = NOW) -> list[Result]:
    return await verify(resolver or zones(), message, now_s=now_s, suffixes=listed())


async def only(message: bytes, resolver: Zones | None = None, now_s: int = NOW) -> Result:
    (result,) = await judge(message, resolver, now_s)
    return result


@pytest.fixture
def key(rsa_key: RSAPrivateKey) -> SigningKey:
    return SigningKey(domain="example.com", selector="sel", private=rsa_key)


@pytest.fixture
def signed(key: SigningKey) -> bytes:
    return sign(MESSAGE, [key], now_s=NOW) + MESSAGE


def retagged(message: bytes, changes: Mapping[bytes, bytes]) -> bytes:
    """The message, other tags in its first signature."""
    for old, new in changes.items():
        assert old in message
        message = message.replace(old, new, 1)
    return message


@pytest.mark.rfc("8463 §A.3")
async def test_the_message_of_the_rfc_passes_twice(rfc_message: bytes) -> None:
    resolver = Zones(
        {
            "brisbane._domainkey.football.example.com": {"TXT": [ED_RECORD]},
            "test._domainkey.football.example.com": {"TXT": [RSA_RECORD]},
        },
        authentic=True,
    )
    first, second = await judge(rfc_message, resolver)
    assert (first.status, second.status) == (Status.PASS, Status.PASS)
    assert (first.key_bits, second.key_bits) == (None, 1024)
    assert first.authentic
    assert passing_domains([first, second]) == ("football.example.com",)
    field = format_field(AuthResults(host="mx.example", methods=methods([first, second])))
    assert b"dkim=pass (ed25519, with dnssec) header.d=football.example.com" in field
    assert b'header.b="/gCrinpcQOoI" header.i=@football.example.com' not in field  # i= is d=
    assert b"dkim=pass (1024 bit rsa, with dnssec)" in field


@pytest.mark.parametrize("header", [*Canon])
@pytest.mark.parametrize("body", [*Canon])
@pytest.mark.parametrize("seals", [False, True])
@pytest.mark.parametrize("text", [MESSAGE, MESSAGE.partition(b"Hello")[0]])
async def test_what_we_sign_verifies(
    rsa_key: RSAPrivateKey,
    ed25519_key: Ed25519PrivateKey,
    header: Canon,
    body: Canon,
    seals: bool,
    text: bytes,
) -> None:
    keys = [
        SigningKey(
            domain="example.com",
            selector=selector,
            private=private,
            header_canon=header,
            body_canon=body,
            seals=seals,
        )
        for selector, private in (("a", rsa_key), ("b", ed25519_key))
    ]
    resolver = Zones(
        {
            f"{one.selector}._domainkey.example.com": {
                "TXT": [format_record(record_of(one.private.public_key()))]
            }
            for one in keys
        }
    )
    message = sign(text, keys, now_s=NOW, local_part="ann") + text
    results = await judge(message, resolver)
    assert [one.status for one in results] == [Status.PASS, Status.PASS]
    assert [one.signature and one.signature.selector for one in results] == ["a", "b"]
    assert results[0].signature is not None
    assert results[0].signature.identity_local == "ann"


async def test_a_changed_body_fails(signed: bytes) -> None:
    result = await only(signed.replace(b"Bye", b"Buy"))
    assert (result.status, result.reason) == (Status.FAIL, "body hash does not match")


async def test_a_changed_subject_fails(signed: bytes) -> None:
    result = await only(signed.replace(b"One", b"Two"))
    assert (result.status, result.reason) == (Status.FAIL, "signature does not verify")


@pytest.mark.rfc("6376 §8.15")
@pytest.mark.parametrize("name", [b"Subject", b"From", b"SUBJECT ", b"Reply-To"])
async def test_a_field_added_to_a_sealed_message_fails(signed: bytes, name: bytes) -> None:
    for changed in (
        name + b": evil\r\n" + signed,
        signed.replace(b"Date:", name + b": evil\r\nDate:"),
    ):
        assert (await only(changed)).status is Status.FAIL


async def test_an_unsigned_field_may_be_added(signed: bytes) -> None:
    assert (await only(b"X-Other: y\r\n" + signed)).is_pass


@pytest.mark.rfc("6376 §5.4.2")
async def test_signed_is_the_last_one(key: SigningKey) -> None:
    unsealed = SigningKey(
        domain=key.domain, selector=key.selector, private=key.private, seals=False
    )
    message = sign(MESSAGE, [unsealed], now_s=NOW) + MESSAGE
    assert (await only(b"Subject: above\r\n" + message)).is_pass
    below = message.replace(b"Date:", b"Subject: below\r\nDate:")
    assert (await only(below)).status is Status.FAIL


@pytest.mark.rfc("6376 §5.4.2")
async def test_two_of_a_kind_signed_in_order(key: SigningKey) -> None:
    text = b"Comments: 1\r\nComments: 2\r\n" + MESSAGE
    both = SigningKey(
        domain=key.domain,
        selector=key.selector,
        private=key.private,
        names=(b"from", b"subject", b"comments"),
    )
    message = sign(text, [both], now_s=NOW) + text
    assert (await only(message)).is_pass
    swapped = message.replace(b"Comments: 1", b"Comments: x").replace(
        b"Comments: 2", b"Comments: 1"
    )
    assert (await only(swapped.replace(b"Comments: x", b"Comments: 2"))).status is Status.FAIL


@pytest.mark.rfc("6376 §3.5")
async def test_a_signature_may_sign_others_but_not_itself(key: SigningKey) -> None:
    second = SigningKey(
        domain=key.domain,
        selector=key.selector,
        private=key.private,
        names=(b"from", b"subject", b"dkim-signature"),
        seals=False,
    )
    once = sign(MESSAGE, [key], now_s=NOW) + MESSAGE
    twice = sign(once, [second], now_s=NOW) + once
    assert [one.status for one in await judge(twice)] == [Status.PASS, Status.PASS]
    first, other = await judge(twice.replace(b"s=sel;", b"s=SEL;").replace(b"s=SEL;", b"s=sel;", 1))
    assert (first.status, other.status) == (Status.FAIL, Status.FAIL)


@pytest.mark.parametrize(
    ("changes", "status", "reason"),
    [
        ({b"h=from: from:": b"h=to:"}, Status.PERMERROR, "From is not signed"),
        ({b"t=": b"l=5; t="}, Status.POLICY, "l= leaves part of the body unsigned"),
        ({b"t=": b"l=0; t="}, Status.POLICY, "l= leaves part of the body unsigned"),
        ({b"t=1700000000": b"t=1; x=1699999999"}, Status.PERMERROR, "signature expired"),
        ({b"d=example.com": b"d=com"}, Status.PERMERROR, "domain is a public suffix"),
        ({b"d=example.com": b"d=co.uk"}, Status.PERMERROR, "domain is a public suffix"),
        ({b"t=": b"q=other; t="}, Status.PERMERROR, "unknown query method"),
        ({b"rsa-sha256": b"rsa-md5"}, Status.PERMERROR, "algorithm not accepted"),
        ({b"t=": b"c=bogus; t="}, Status.PERMERROR, "unknown canonicalisation"),
        ({b"t=": b"c=relaxed/bogus; t="}, Status.PERMERROR, "unknown canonicalisation"),
        ({b"v=1": b"v=2"}, Status.PERMERROR, "unknown version"),
        ({b"t=": b"a=x; t="}, Status.PERMERROR, "duplicate tag"),
        ({b"t=": b"i=@example.org; t="}, Status.PERMERROR, "identity outside of the domain"),
        ({b"t=": b"i=@badexample.com; t="}, Status.PERMERROR, "identity outside of the domain"),
    ],
)
async def test_what_needs_no_key(
    signed: bytes, changes: dict[bytes, bytes], status: Status, reason: str
) -> None:
    resolver = zones()
    result = await only(retagged(signed, changes), resolver)
    assert (result.status, result.reason) == (status, reason)
    assert resolver.asked == []


async def test_a_message_signed_without_its_subject(key: SigningKey) -> None:
    bare = SigningKey(
        domain=key.domain, selector=key.selector, private=key.private, names=(b"from", b"to")
    )
    result = await only(sign(MESSAGE, [bare], now_s=NOW) + MESSAGE)
    assert (result.status, result.reason) == (Status.POLICY, "Subject is not signed")


@pytest.mark.rfc("8301 §3.1")
async def test_sha1_is_not_accepted(signed: bytes) -> None:
    bh = signed.partition(b"bh=")[2].partition(b";")[0]
    changed = retagged(signed, {b"rsa-sha256": b"rsa-sha1", bh: b"A" * 27 + b"="})
    result = await only(changed)
    assert (result.status, result.reason) == (Status.PERMERROR, "algorithm not accepted")


def short_key() -> str:
    """A key record with an RSA key of 512 bits."""
    import base64

    modulus = (b"\x00" + b"\xc1" * 64).hex()
    rsa = f"30480241{modulus}0203010001"
    spki = f"305c300d06092a864886f70d0101010500034b00{rsa}"
    return "v=DKIM1; p=" + base64.b64encode(bytes.fromhex(spki)).decode()


@pytest.mark.rfc("6376 §6.1.2")
@pytest.mark.parametrize(
    ("records", "status"),
    [
        (["v=DKIM1; bogus"], Status.PERMERROR),
        (["bogus"], Status.PERMERROR),
        ([RSA_RECORD, RSA_RECORD], Status.TEMPERROR),
        ([RSA_RECORD, "something else"], Status.PASS),
        (["v=DKIM1; p="], Status.PERMERROR),
        ([short_key()], Status.PERMERROR),
        ([f"v=DKIM1; h=sha1; p={RSA_P}"], Status.PERMERROR),
        ([f"v=DKIM1; h=sha1:sha256; p={RSA_P}"], Status.PASS),
        ([f"v=DKIM1; s=other; p={RSA_P}"], Status.PERMERROR),
        ([f"v=DKIM1; s=other:email; p={RSA_P}"], Status.PASS),
        ([f"p={RSA_P}"], Status.PASS),
        ([f"p={RSA_P}; v=DKIM1"], Status.PERMERROR),
        ([f"v=DKIM1; k=ed25519; p={RSA_P}"], Status.PERMERROR),
        ([f"v=DKIM1; k=dsa; p={RSA_P}"], Status.PERMERROR),
        ([ED_RECORD], Status.PERMERROR),
        ([f"v=DKIM1; t=s; p={RSA_P}"], Status.PASS),
        (["v=DKIM1; p=AAAA"], Status.PERMERROR),
        (["v=DKIM1; p=" + "A" * 70_000], Status.PERMERROR),
    ],
)
async def test_key_records(signed: bytes, records: list[str], status: Status) -> None:
    result = await only(signed, zones(records))
    assert result.status is status
    assert bool(result.reason) != result.is_pass


@pytest.mark.rfc("6376 §3.6.1")
@pytest.mark.parametrize(
    ("services", "for_mail", "for_reports"),
    [
        ("", True, True),
        ("s=*;", True, True),
        ("s=email;", True, False),
        ("s=tlsrpt;", False, True),
        ("s=email:tlsrpt;", True, True),
        ("s=other;", False, False),
    ],
)
async def test_what_a_key_is_for(
    signed: bytes, services: str, for_mail: bool, for_reports: bool
) -> None:
    result = await only(signed, zones([f"v=DKIM1; {services} p={RSA_P}"]))
    assert (result.is_pass, result.proves_for("email")) == (for_mail, for_mail)
    assert result.proves_for("tlsrpt") is for_reports
    assert result.status is (Status.PASS if for_mail else Status.PERMERROR)
    broken = await only(signed + b"more\r\n", zones([f"v=DKIM1; {services} p={RSA_P}"]))
    assert not broken.proves_for("tlsrpt")
    assert not broken.proves_for("email")


async def test_a_key_for_reports_that_has_another_fault(signed: bytes) -> None:
    for fault in (f"v=DKIM1; s=tlsrpt; h=sha1; p={RSA_P}", "v=DKIM1; s=tlsrpt; p="):
        assert not (await only(signed, zones([fault]))).proves_for("tlsrpt")


async def test_a_short_key_is_refused_whatever_it_signs(signed: bytes) -> None:
    result = await only(signed, zones(short_key()))
    assert result.status is Status.PERMERROR
    assert "short" in result.reason or "512" in result.reason


async def test_no_key_and_no_dns(signed: bytes) -> None:
    assert (await only(signed, Zones({}))).status is Status.PERMERROR
    broken = Zones({}, temporary=["sel._domainkey.example.com"])
    assert (await only(signed, broken)).status is Status.TEMPERROR
    bogus = Zones({}, bogus=["sel._domainkey.example.com"])
    assert (await only(signed, bogus)).status is Status.TEMPERROR


@pytest.mark.rfc("6376 §3.6.1")
async def test_a_key_that_is_tested_fails_nobody(signed: bytes) -> None:
    testing = zones(f"v=DKIM1; t=y; p={RSA_P}")
    assert (await only(signed, testing)).is_pass
    assert (await only(signed + b"x", testing)).status is Status.NONE
    assert (await only(signed, zones(f"v=DKIM1; t=y; s=web; p={RSA_P}"))).status is Status.NONE


@pytest.mark.rfc("6376 §3.6.1")
async def test_a_strict_key_signs_for_no_subdomain(signed: bytes) -> None:
    below = retagged(signed, {b"t=": b"i=@mail.example.com; t="})
    result = await only(below, zones(f"v=DKIM1; t=s; p={RSA_P}"))
    assert (result.status, result.reason) == (Status.PERMERROR, "key is not for subdomains")


async def test_the_bare_key_of_the_rfc_is_read(signed: bytes, rsa_key: RSAPrivateKey) -> None:
    import base64

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    octets = rsa_key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert (await only(signed, zones(f"p={base64.b64encode(octets).decode()}"))).is_pass


async def test_a_hundred_signatures_are_not_all_looked_at(signed: bytes, key: SigningKey) -> None:
    field = sign(MESSAGE, [key], now_s=NOW)
    other = field.replace(b"s=sel;", b"s=no%d;")
    flood = b"".join(other.replace(b"%d", b"%d" % n) for n in range(100))
    resolver = zones()
    results = await judge(flood + signed, resolver)
    assert len(results) == DKIM_SIGNATURES
    assert len(resolver.asked) == DKIM_SIGNATURES
    verification = Verification(flood + signed, now_s=NOW, suffixes=listed())
    assert verification.skipped == 101 - DKIM_SIGNATURES
    same = await judge(field * 15 + MESSAGE, resolver)
    assert [one.status for one in same] == [Status.PASS] * 15


async def test_one_name_is_looked_up_once(key: SigningKey) -> None:
    resolver = zones()
    await judge(sign(MESSAGE, [key], now_s=NOW) * 15 + MESSAGE, resolver)
    assert resolver.asked == [("sel._domainkey.example.com", Kind.TXT)]


@pytest.mark.parametrize(
    "header",
    [
        b"no colon here\r\n",
        b" leading: space\r\n",
        b": no name\r\n",
        b"na\xffme: x\r\n",
        b"na me: x\r\n",
        b"X: y\r\n" * 10_001,
        b"X: " + b"y" * (1 << 20) + b"\r\n",
    ],
    ids=lambda header: header[:12].decode(errors="replace"),
)
async def test_a_malformed_header_section_proves_nothing(signed: bytes, header: bytes) -> None:
    result = await only(header + signed)
    assert result.status is Status.NONE
    assert result.signature is None
    assert "malformed" in result.reason


async def test_without_signature_there_is_no_result() -> None:
    resolver = zones()
    assert await judge(MESSAGE, resolver) == []
    (method,) = methods([])
    assert (method.result, method.reason) == ("none", "no dkim signatures")
    verification = Verification(MESSAGE, now_s=NOW, suffixes=listed())
    assert not verification.needs_body


async def test_a_body_may_come_in_any_pieces(signed: bytes) -> None:
    for size in (1, 3, 7):
        verification = Verification(signed, now_s=NOW, suffixes=listed())
        body = signed[verification.body_offset :]
        for at in range(0, len(body), size):
            verification.feed_body(body[at : at + size])
        (result,) = await verification.results(zones())
        assert result.is_pass


@pytest.mark.parametrize(
    "forged",
    [
        b"h=from:" + b"from:" * 2000 + b"subject",
        b"h=from: :subject",
        b"h=from subject",
        b"h=",
        b"h=from:sub\xffject",
    ],
    ids=lambda value: value[:20].decode(errors="replace"),
)
async def test_forged_lists_of_names(signed: bytes, forged: bytes) -> None:
    names = signed.partition(b"h=")[2].partition(b";")[0]
    result = await only(retagged(signed, {b"h=" + names: forged}))
    assert result.status is Status.PERMERROR
    assert result.signature is None


async def test_many_mentions_of_few_fields_hash_each_once(signed: bytes) -> None:
    names = signed.partition(b"h=")[2].partition(b";")[0]
    forged = b"h=" + b"from:subject:" * 499 + b"to"
    result = await only(retagged(signed, {b"h=" + names: forged}))
    assert result.status is Status.FAIL


async def test_reasons_cannot_write_fields(signed: bytes) -> None:
    evil = signed.replace(b"DKIM-Signature:", b"DKIM-Signature: x\r\n\t=\r\n\t;", 1)
    field = format_field(AuthResults(host="mx", methods=methods(await judge(evil))))
    assert field.count(b"\r\n") == 2
    assert b"dkim=permerror" in field
