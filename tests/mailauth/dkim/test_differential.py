"""dkimpy and we sign and verify each other's messages.

Where the two differ on purpose, DIFFERENCES says so.
"""

import re
import warnings
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mox.dns.zones import Zones
from mox.mailauth.dkim.canonical import Canon
from mox.mailauth.dkim.keyrecord import format_record, record_of
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.mailauth.dkim.verify import Status, verify
from mox.mailauth.publicsuffix import listed

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import dkim

NOW = 1_700_000_000
HEADER = (
    b"From: Ann <ann@example.com>\r\nTo: bob@example.org,\r\n\tcarl@example.org\r\n"
    b"Subject:  One  two\t\r\n three \r\nX-Empty:\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\n"
)
BODIES = [
    b"",
    b"\r\n",
    b"\r\n\r\n",
    b"x",
    b"x\r\n",
    b"x  y\t z \r\n\r\n\r\n",
    b" \r\n",
    b"\t\r\n \r\nx",
    b"x\ry\r\n",
    b"--\r\n" * 5000,
]
DIFFERENCES = {
    # what changes, dkimpy's answer, ours, why
    "l=": (True, Status.POLICY, "RFC 6376 §8.2: what is appended is not signed"),
    "no subject": (True, Status.POLICY, "RFC 6376 §8.15: what the reader sees first is not signed"),
    "rsa-sha1": (True, Status.PERMERROR, "RFC 8301 §3.1: verifiers must not accept it"),
    "space at the very end": (
        True,
        Status.FAIL,
        "RFC 6376 §3.4.4: white space at the end of lines, also of one without CRLF (never in SMTP)",
    ),
}
canons = pytest.mark.parametrize(
    ("header", "body"), [(header, body) for header in Canon for body in Canon]
)


def zones_of(key: RSAPrivateKey | Ed25519PrivateKey) -> Zones:
    record = format_record(record_of(key.public_key()))
    return Zones({"sel._domainkey.example.com": {"TXT": [record]}})


def theirs_says(message: bytes, key: RSAPrivateKey | Ed25519PrivateKey) -> bool:
    record = format_record(record_of(key.public_key())).encode()

    def txt(name: bytes, timeout: int = 5) -> bytes | None:
        return record if name == b"sel._domainkey.example.com." else None

    return bool(dkim.verify(message, dnsfunc=txt))


def theirs_signs(message: bytes, pem: bytes, header: Canon, body: Canon, **more: Any) -> bytes:
    field = dkim.sign(
        message,
        b"sel",
        b"example.com",
        pem,
        canonicalize=(header.value.encode(), body.value.encode()),
        **more,
    )
    return bytes(field) + message


async def ours_says(message: bytes, key: RSAPrivateKey | Ed25519PrivateKey) -> Status:
    (result,) = await verify(zones_of(key), message, now_s=NOW, suffixes=listed())
    return result.status


@canons
@pytest.mark.parametrize("text", BODIES, ids=lambda text: repr(text[:10]))
async def test_they_verify_ours(
    rsa_key: RSAPrivateKey,
    ed25519_key: Ed25519PrivateKey,
    header: Canon,
    body: Canon,
    text: bytes,
) -> None:
    for private in (rsa_key, ed25519_key):
        key = SigningKey(
            domain="example.com",
            selector="sel",
            private=private,
            header_canon=header,
            body_canon=body,
        )
        message = sign(HEADER + text, [key], now_s=NOW, local_part="ann") + HEADER + text
        assert theirs_says(message, private)
        assert await ours_says(message, private) is Status.PASS
        assert not theirs_says(message + b"x", private)
        assert await ours_says(message + b"x", private) is Status.FAIL


@canons
@pytest.mark.parametrize("text", BODIES, ids=lambda text: repr(text[:10]))
async def test_we_verify_theirs(
    rsa_key: RSAPrivateKey, rsa_pem: bytes, header: Canon, body: Canon, text: bytes
) -> None:
    message = theirs_signs(HEADER + text, rsa_pem, header, body)
    assert await ours_says(message, rsa_key) is Status.PASS


async def test_we_verify_their_ed25519(ed25519_key: Ed25519PrivateKey) -> None:
    message = theirs_signs(
        HEADER + b"x\r\n",
        b"nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=",
        Canon.RELAXED,
        Canon.RELAXED,
        signature_algorithm=b"ed25519-sha256",
    )
    assert await ours_says(message, ed25519_key) is Status.PASS


async def test_where_we_differ(rsa_key: RSAPrivateKey, rsa_pem: bytes) -> None:
    relaxed = (Canon.RELAXED, Canon.RELAXED)
    text = HEADER + b"x\r\n"
    messages = {
        "l=": theirs_signs(text, rsa_pem, *relaxed, length=True),
        "no subject": theirs_signs(text, rsa_pem, *relaxed, include_headers=[b"from"]),
        "rsa-sha1": theirs_signs(text, rsa_pem, *relaxed, signature_algorithm=b"rsa-sha1"),
        "space at the very end": theirs_signs(HEADER + b"x\r\ny ", rsa_pem, *relaxed),
    }
    assert messages.keys() == DIFFERENCES.keys()
    for name, message in messages.items():
        theirs, ours, reason = DIFFERENCES[name]
        assert theirs_says(message, rsa_key) == theirs, name
        assert await ours_says(message, rsa_key) is ours, name
        assert reason.startswith("RFC")


@given(
    st.lists(st.sampled_from([b"\r\n", b" ", b"\t", b"x", b"y z"]), max_size=12).map(b"".join),
    st.sampled_from([b"X-A: b\r\n", b"Subject: again\r\n", b""]),
    st.sampled_from([*Canon]),
    st.sampled_from([*Canon]),
)
async def test_changes_on_the_way(
    rsa_key: RSAPrivateKey, text: bytes, more: bytes, header: Canon, body: Canon
) -> None:
    """White space comes and goes: both see the same harm."""
    text += b"\r\n" if text[-1:] in (b" ", b"\t") else b""
    key = SigningKey(
        domain="example.com",
        selector="sel",
        private=rsa_key,
        header_canon=header,
        body_canon=body,
        seals=False,
    )
    message = sign(HEADER + text, [key], now_s=NOW) + more + HEADER + text
    changed = re.sub(rb"(?<=[xy])(?=\r\n)", b" ", message).replace(b"  ", b" ")
    for one in (message, changed):
        status = await ours_says(one, rsa_key)
        assert status in (Status.PASS, Status.FAIL)
        assert theirs_says(one, rsa_key) == (status is Status.PASS)
