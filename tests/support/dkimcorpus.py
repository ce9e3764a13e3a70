"""Messages with DKIM signatures of every kind, right and wrong, and the keys in DNS for them.

What is signed here is canonicalised and signed by a few lines of its own, so that a fault of the
code under test is not in both.    RFC 6376.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from support.counterparts import program

PrivateKey: TypeAlias = RSAPrivateKey | Ed25519PrivateKey
DOMAIN = "example.org"
HEADER = (
    b"From: Ann <ann@example.org>\r\n"
    b"To: bob@example.net,\r\n\tcarl@example.net\r\n"
    b"Subject: One  two\t\r\n three \r\n"
    b"X-Empty:\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n"
    b"Message-ID: <corpus@example.org>\r\n"
)
TEXT = b"Dear  Bob,\r\n\r\n\tthis is  the text. \r\n.\r\n..dots\r\n\r\nAnn\r\n"
BODIES = {
    "text": TEXT,
    "empty": b"",
    "trailing empty lines": TEXT + b"\r\n\r\n\r\n",
    "white space": b" \t \r\nx \t y\t\r\n \r\n",
    "8 bit": "Grüße aus Köln\r\n".encode(),
    "long": b"0123456789 " * 80 + b"\r\n" + b"line\r\n" * 3000,
}
KEYS = ("rsa1024", "rsa2048", "rsa3072", "rsa768", "ed25519")


@functools.cache
def key(name: str) -> PrivateKey:
    """A private key by name: of KEYS."""
    if name == "ed25519":
        return Ed25519PrivateKey.generate()
    # The library makes none that are too short.
    command = [program("openssl"), "genrsa", "-traditional", name.removeprefix("rsa")]
    done = subprocess.run(command, capture_output=True, check=True)
    return cast(RSAPrivateKey, load_pem_private_key(done.stdout, None))


def pem(name: str) -> bytes:
    """A private key as opendkim and dkimpy read it."""
    kind = PrivateFormat.PKCS8 if name == "ed25519" else PrivateFormat.TraditionalOpenSSL
    return key(name).private_bytes(Encoding.PEM, kind, NoEncryption())


def seed(name: str) -> bytes:
    """A private Ed25519 key as dkimpy reads it."""
    octets = key(name).private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    return base64.b64encode(octets)


def public(name: str) -> str:
    """p= of its record."""
    if name == "ed25519":
        octets = key(name).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    else:
        octets = (
            key(name).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        )
    return base64.b64encode(octets).decode()


def _bare(name: str) -> str:
    """p= without the frame around it: an RSAPublicKey.    RFC 6376 §3.6.1."""
    octets = key(name).public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    return base64.b64encode(octets).decode()


def selectors() -> dict[str, list[str]]:
    """Selector → key records; what is not here does not exist."""
    rsa, short = public("rsa2048"), public("rsa768")
    found = {name: [f"v=DKIM1; k=rsa; p={public(name)}"] for name in KEYS if name != "ed25519"}
    found["ed25519"] = [f"v=DKIM1; k=ed25519; p={public('ed25519')}"]
    found["short"] = [f"v=DKIM1; p={short}"]
    found |= {
        "noversion": [f"p={rsa}"],
        "spaces": [f" v = DKIM1 ; k=rsa ;  p= {rsa[:50]} {rsa[50:]} "],
        "versionlater": [f"k=rsa; v=DKIM1; p={rsa}"],
        "versiontwo": [f"v=DKIM2; p={rsa}"],
        "revoked": ["v=DKIM1; k=rsa; p="],
        "nokey": ["v=DKIM1; k=rsa"],
        "badkey": ["v=DKIM1; k=rsa; p=AAAA"],
        "badbase64": ["v=DKIM1; k=rsa; p=$$$$"],
        "bare": [f"v=DKIM1; k=rsa; p={_bare('rsa2048')}"],
        "otherkey": [f"v=DKIM1; k=rsa; p={public('rsa1024')}"],
        "otherkind": [f"v=DKIM1; k=ed25519; p={rsa}"],
        "unknownkind": [f"v=DKIM1; k=dsa; p={rsa}"],
        "sha1only": [f"v=DKIM1; h=sha1; p={rsa}"],
        "bothhashes": [f"v=DKIM1; h=sha1:sha256; p={rsa}"],
        "email": [f"v=DKIM1; s=email; p={rsa}"],
        "anyservice": [f"v=DKIM1; s=foo:*; p={rsa}"],
        "otherservice": [f"v=DKIM1; s=tlsrpt; p={rsa}"],
        "testing": [f"v=DKIM1; t=y; p={rsa}"],
        "strict": [f"v=DKIM1; t=s; p={rsa}"],
        "unknowntag": [f"v=DKIM1; zz=1; n=a note; p={rsa}; g=*"],
        "garbage": ["what is this"],
        "spf": ["v=spf1 -all"],
        "twotags": [f"v=DKIM1; p={rsa}; p={rsa}"],
        # neither is the right one: who takes the one or the other says the same
        "tworecords": [f"v=DKIM1; p={public(name)}" for name in ("rsa1024", "rsa3072")],
        "beside": ["an unrelated text", f"v=DKIM1; p={rsa}"],
        "forged": [f"v=DKIM1; p={rsa}"],  # the zone's signature over it is spoilt
        "long": [f"v=DKIM1; k=rsa; n={'x' * 800}; p={rsa}"],
    }
    return found


def name_of(selector: str, domain: str = DOMAIN) -> str:
    """Where its record is."""
    return f"{selector}._domainkey.{domain}"


# --- a signer that signs whatever it is told ---


def relaxed_field(field: bytes) -> bytes:
    """RFC 6376 §3.4.2."""
    name, _, value = field.partition(b":")
    value = re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip(b" ")
    return name.strip(b" \t").lower() + b":" + value + b"\r\n"


def body_hash(body: bytes, canon: str, length: int | None = None, algorithm: str = "sha256") -> str:
    """bh=.    RFC 6376 §3.4.3, §3.4.4."""
    if canon == "relaxed":
        lines = body.split(b"\r\n")
        body = b"\r\n".join(re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in lines)
    body = re.sub(rb"(\r\n)+\Z", b"", body)
    if body or canon == "simple":
        body += b"\r\n"
    return base64.b64encode(hashlib.new(algorithm, body[:length]).digest()).decode()


def fields_of(message: bytes) -> list[bytes]:
    """The fields of the header section, from the top, with their line ends."""
    header = message.partition(b"\r\n\r\n")[0] + b"\r\n"
    return re.findall(rb"[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", header)


def chosen(message: bytes, names: Sequence[str]) -> list[bytes]:
    """The fields that h= names.    RFC 6376 §5.4.2."""
    left = fields_of(message)[::-1]
    found = []
    for name in names:
        for index, field in enumerate(left):
            if field.partition(b":")[0].strip().lower() == name.strip().lower().encode():
                found.append(left.pop(index))
                break
    return found


def signed(
    message: bytes,
    tags: Mapping[str, str | None] | None = None,
    *,
    by: str = "rsa2048",
    names: str = "from:to:subject:date",
    canon: str = "relaxed/relaxed",
    hash_name: str = "sha256",
    separator: str = "; ",
    ending: str = "",
    length: int | None = None,
) -> bytes:
    """The message, signed; ``tags`` replaces, adds or (None) removes tags, before signing."""
    header_canon, _, body_canon = canon.partition("/")
    body = message.partition(b"\r\n\r\n")[2]
    kind = "ed25519" if by == "ed25519" else "rsa"
    values: dict[str, str | None] = {
        "v": "1",
        "a": f"{kind}-{hash_name}",
        "c": canon,
        "d": DOMAIN,
        "s": by,
        "l": None if length is None else str(length),
        "h": names,
        "bh": body_hash(body, body_canon, length, hash_name),
    }
    values |= tags or {}
    value = separator.join(f"{tag}={text}" for tag, text in values.items() if text is not None)
    unsigned = f"DKIM-Signature: {value}{separator}b={ending}\r\n".encode()
    fields = chosen(message, (values["h"] or "").split(":"))
    if header_canon == "relaxed":
        data = b"".join(map(relaxed_field, [*fields, unsigned]))
    else:
        data = b"".join([*fields, unsigned])
    signature = signature_over(data.removesuffix(b"\r\n"), by, hash_name)
    if values.get("b") is not None:
        return unsigned + message  # b= among the tags already
    at = unsigned.rindex(b"b=") + 2
    return unsigned[:at] + signature.encode() + unsigned[at:] + message


def signature_over(data: bytes, by: str, hash_name: str = "sha256") -> str:
    """b= for what is signed."""
    private = key(by)
    if isinstance(private, Ed25519PrivateKey):
        octets = private.sign(hashlib.sha256(data).digest())  # RFC 8463 §3
    else:
        octets = private.sign(data, PKCS1v15(), SHA1() if hash_name == "sha1" else SHA256())
    return base64.b64encode(octets).decode()


# --- the corpus ---


def _message(body: bytes = TEXT, header: bytes = HEADER) -> bytes:
    return header + b"\r\n" + body


def right_messages() -> dict[str, bytes]:
    """To be signed by every signer."""
    return {name: _message(body) for name, body in BODIES.items()}


def _of_keys() -> dict[str, bytes]:
    message = _message()
    found = {f"key {name}": signed(message, by=name) for name in KEYS}
    for selector in selectors():
        if selector not in KEYS:
            by = "rsa768" if selector == "short" else "rsa2048"
            found[f"record {selector}"] = signed(message, {"s": selector}, by=by)
    found["record missing"] = signed(message, {"s": "missing"})
    found["record testing, broken"] = signed(message, {"s": "testing"}) + b"more\r\n"
    found["record strict, i= of the domain"] = signed(
        message, {"s": "strict", "i": f"ann@{DOMAIN}"}
    )
    found["record strict, i= below"] = signed(message, {"s": "strict", "i": f"@sub.{DOMAIN}"})
    found["record sha1only, rsa-sha1"] = signed(message, {"s": "sha1only"}, hash_name="sha1")
    return found


def _of_tags() -> dict[str, bytes]:
    now = int(time.time())
    message = _message()
    changes: dict[str, Mapping[str, str | None]] = {
        "v=2": {"v": "2"},
        "v= missing": {"v": None},
        "a= missing": {"a": None},
        "d= missing": {"d": None},
        "s= missing": {"s": None},
        "h= missing": {"h": None},
        "bh= missing": {"bh": None},
        "h= empty": {"h": ""},
        "a=rsa-md5": {"a": "rsa-md5"},
        "a= in capitals": {"a": "RSA-SHA256"},
        "c=bogus": {"c": "bogus"},
        "c= in capitals": {"c": "RELAXED/RELAXED"},
        "d= in capitals": {"d": DOMAIN.upper()},
        "d= of nobody": {"d": "example.nowhere"},
        "d= a public suffix": {"d": "org"},
        "q=dns/txt": {"q": "dns/txt"},
        "q=dns": {"q": "dns"},
        "q=other": {"q": "other/thing"},
        "q=other, then dns/txt": {"q": "other:dns/txt"},
        "i= of the domain": {"i": f"ann@{DOMAIN}"},
        "i= below the domain": {"i": f"@sub.{DOMAIN}"},
        "i= elsewhere": {"i": "ann@example.net"},
        "i= ends alike": {"i": "ann@notexample.org"},
        "i= encoded": {"i": f"a=20nn@{DOMAIN}"},
        "t= past": {"t": str(now - 100)},
        "t= in ten years": {"t": str(now + 315_000_000)},
        "t= no number": {"t": "now"},
        "x= past": {"x": str(now - 3600)},
        "x= to come": {"x": str(now + 3600)},
        "x= before t=": {"t": str(now), "x": str(now - 50)},
        "x= before t=, both to come": {"t": str(now + 7200), "x": str(now + 3600)},
        "x= no number": {"x": "soon"},
        "z= present": {"z": "From:ann@example.org|To:bob=40example.net"},
        "unknown tag": {"zz": "something"},
        "bh= of sha1's length": {"bh": "2jmj7l5rSw0yVb/vlWAYkK/YBwk="},
        "bh= wrong": {"bh": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
        "bh= no base64": {"bh": "!!!"},
        "b= empty": {"b": ""},
        "b= no base64": {"b": "$$$"},
        "b= wrong": {"b": base64.b64encode(b"x" * 256).decode()},
        "l= no number": {"l": "all"},
        "l= too large": {"l": "100000"},
        "l= zero": {"l": "0", "bh": body_hash(b"", "relaxed")},
    }
    found = {f"tag {name}": signed(message, change) for name, change in changes.items()}
    found["tag twice"] = signed(message, separator="; d=example.org; ")
    found["tag empty between"] = signed(message, separator=";; ")
    found["tag list ends with semicolon"] = signed(message, ending=";")
    found["tag list ends with semicolon and space"] = signed(message, ending="; ")
    found["tags folded"] = signed(message, separator=";\r\n\t")
    found["tags without spaces"] = signed(message, separator=";")
    found["tag spaced"] = signed(message, separator=" ; ")
    found["tag a=rsa-sha1"] = signed(message, hash_name="sha1")
    found["l= whole"] = signed(message, length=len(_relaxed(TEXT)))
    found["l= part"] = signed(message, length=10)
    found["l= part, more added"] = signed(message, length=10) + b"added by somebody\r\n"
    plain = signed(message)
    found["b= folded"] = re.sub(rb"b=(.{40})(.{40})", rb"b=\1\r\n\t\2\r\n  ", plain, count=1)
    found["not a tag list"] = b"DKIM-Signature: what\r\n" + message
    found["empty field"] = b"DKIM-Signature:\r\n" + message
    found["no signature"] = message
    return found


def _relaxed(body: bytes) -> bytes:
    return re.sub(rb" +\r\n", b"\r\n", re.sub(rb"[ \t]+", b" ", body))


def _of_headers() -> dict[str, bytes]:
    message = _message()
    subject = "from:subject"
    long = b"X-Long: " + b"word " * 2000 + b"\r\n"
    folded = b"X-Folded:\r\n " + b"\r\n ".join(b"line%d" % n for n in range(200)) + b"\r\n"
    twice = _message(header=b"Subject: upper\r\n" + HEADER)
    found = {
        "h= spaced and folded": signed(message, {"h": "From : To :\r\n Subject:Date"}),
        "h= in capitals": signed(message, names="FROM:SUBJECT"),
        "h= names what is not there": signed(message, names="from:subject:x-absent:list-id"),
        "h= without From": signed(message, names="to:subject:date"),
        "h= without Subject": signed(message, names="from:to:date"),
        "h= names an empty field": signed(message, names="from:subject:x-empty"),
        "h= names itself": signed(message, names="from:subject:dkim-signature"),
        "h= one of two Subjects": signed(twice, names=subject),
        "h= both of two Subjects": signed(twice, names="from:subject:subject"),
        "oversigned": signed(message, names="from:from:subject:subject"),
        "a long field": signed(_message(header=long + HEADER), names="from:subject:x-long"),
        "a field of many lines": signed(
            _message(header=folded + HEADER), names="from:subject:x-folded"
        ),
        "two spaces at the start, simple": signed(
            _message(header=HEADER.replace(b"Date: ", b"Date:  ")),
            names="from:date:subject",
            canon="simple/simple",
        ),
        "8 bit header": signed(
            _message(header="Subject: Grüße\r\nFrom: Ann <ann@example.org>\r\n".encode()),
            names=subject,
        ),
        "space before the colon": signed(
            _message(header=HEADER.replace(b"Subject:", b"Subject :")), names=subject
        ),
        "two From": signed(_message(header=b"From: eve@example.com\r\n" + HEADER), names=subject),
        "no From": signed(_message(header=HEADER.partition(b"\r\n")[2]), names=subject),
    }
    for canon in ("relaxed/relaxed", "simple/simple"):
        case = f", {canon.partition('/')[0]}"
        plain = signed(message, names="from:from:to:subject:date", canon=canon)
        found |= {
            f"Subject changed{case}": plain.replace(b"One", b"Two"),
            f"Subject in other case{case}": plain.replace(b"\nSubject:", b"\nSUBJECT:"),
            f"Subject folded anew{case}": plain.replace(b"two\t\r\n three", b"two\r\n\tthree"),
            f"Subject with one space less{case}": plain.replace(b"One  two", b"One two"),
            f"unsigned field added{case}": b"X-More: x\r\n" + plain,
            f"From added above, sealed{case}": b"From: eve@example.com\r\n" + plain,
            f"body changed{case}": plain.replace(b"Dear", b"Door"),
            f"body longer{case}": plain + b"P.S.\r\n",
            f"body with empty lines added{case}": plain + b"\r\n\r\n",
            f"body with space at line ends{case}": plain.replace(b"Ann\r\n", b"Ann \r\n"),
            f"body with other spaces{case}": plain.replace(b"Dear  Bob", b"Dear Bob"),
            f"fields in other order{case}": plain.replace(
                b"X-Empty:\r\nDate:", b"x-empty: \r\nDate:"
            ),
        }
    unsealed = signed(message, names=subject)
    found["Subject added above"] = b"Subject: another\r\n" + unsealed
    found["From added above"] = b"From: eve@example.com\r\n" + unsealed
    found["From added below"] = unsealed.replace(
        b"\r\n\r\n", b"\r\nFrom: eve@example.com\r\n\r\n", 1
    )
    return found


def _of_several() -> dict[str, bytes]:
    message = _message()
    right = signed(message)
    wrong = signed(message, {"s": "otherkey"})
    both = right.removesuffix(message)
    found = {
        "two signatures, both right": signed(message, by="ed25519").removesuffix(message) + right,
        "two signatures, the first wrong": wrong.removesuffix(message) + right,
        "two signatures, the second wrong": both + wrong,
        "two signatures, the first unreadable": b"DKIM-Signature: v=1; what\r\n" + right,
        "two signatures, the first of unknown kind": b"DKIM-Signature: v=9; a=b\r\n" + right,
        "two signatures, both wrong": wrong.removesuffix(message) + wrong,
        "two signatures, the second signs the first": signed(
            right, names="from:subject:dkim-signature"
        ),
        "the same signature twice": both + right,
        "five signatures, the last right": wrong.removesuffix(message) * 4 + right,
        "signature at the end of the header": message.replace(
            b"\r\n\r\n", b"\r\n" + both.removesuffix(b"\r\n") + b"\r\n\r\n", 1
        ),
    }
    return found


def cases() -> dict[str, bytes]:
    """Name → message, signed here."""
    found: dict[str, bytes] = {}
    for part in (_of_keys(), _of_tags(), _of_headers(), _of_several()):
        assert not found.keys() & part.keys()
        found |= part
    return found


def key_file(name: str, folder: Path) -> Path:
    """A private key as a file."""
    file = folder / f"{name}.pem"
    if not file.exists():
        file.write_bytes(pem(name))
        file.chmod(0o600)
    return file
