"""Messages with ARC chains of every kind, right and wrong.    RFC 8617.

Sealed by a few lines of its own, so that what is sealed can be wrong too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from support import dkimcorpus
from support.dkimcorpus import body_hash, chosen, fields_of, relaxed_field, signature_over

HANDS = tuple(f"hand{n}.example.org" for n in range(1, 60))
SELECTORS = ("rsa2048", "rsa1024", "rsa768", "ed25519", "revoked", "otherkey", "otherservice")
MESSAGE = (
    b"From: Ann <ann@example.org>\r\nTo: list@example.net\r\nSubject: One\r\n"
    b"Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <arc@example.org>\r\n"
    b"\r\nHello  there \r\n\r\n"
)
NAMES = "from:to:subject:date"
SET = ("arc-authentication-results", "arc-message-signature", "arc-seal")

Tags = Mapping[str, str | None]


def texts() -> dict[str, list[str]]:
    """The keys of all hands."""
    records = dkimcorpus.selectors()
    return {
        dkimcorpus.name_of(selector, hand): records[selector]
        for hand in HANDS
        for selector in SELECTORS
    }


def _field(name: str, values: Mapping[str, str | None]) -> bytes:
    text = "; ".join(f"{tag}={value}" for tag, value in values.items() if value is not None)
    return f"{name}: {text}; b=\r\n".encode()


def _with_signature(field: bytes, data: bytes, by: str, hash_name: str) -> bytes:
    value = signature_over(data + relaxed_field(field).removesuffix(b"\r\n"), by, hash_name)
    return field.removesuffix(b"\r\n") + value.encode() + b"\r\n"


def sealed(
    message: bytes,
    *,
    instance: int | None = None,
    status: str | None = None,
    results: str = "spf=pass smtp.mailfrom=example.org",
    signature: Tags | None = None,
    seal: Tags | None = None,
    by: str = "rsa2048",
    seal_hash: str = "sha256",
    length: int | None = None,
) -> bytes:
    """The message with one more set, by the next hand.

    ``signature`` and ``seal`` replace, add or (None) remove tags, before signing.
    """
    number = instance or _count(message) + 1
    hand = HANDS[number - 1]
    kind = "ed25519" if by == "ed25519" else "rsa"
    written = f"ARC-Authentication-Results: i={number}; {hand}; {results}\r\n".encode()
    values: dict[str, str | None] = {
        "i": str(number),
        "a": f"{kind}-sha256",
        "c": "relaxed/relaxed",
        "d": hand,
        "s": by,
        "l": None if length is None else str(length),
        "h": NAMES,
        "bh": body_hash(message.partition(b"\r\n\r\n")[2], "relaxed", length),
    }
    values |= signature or {}
    unsigned = _field("ARC-Message-Signature", values)
    data = b"".join(map(relaxed_field, chosen(message, (values["h"] or "").split(":"))))
    signed = _with_signature(unsigned, data, by, "sha256")
    sealing: dict[str, str | None] = {
        "i": str(number),
        "a": f"{kind}-{seal_hash}",
        "cv": status or ("none" if number == 1 else "pass"),
        "d": hand,
        "s": by,
    }
    sealing |= seal or {}
    before = b"".join(map(relaxed_field, [*_sets(message), written, signed]))
    last = _with_signature(_field("ARC-Seal", sealing), before, by, seal_hash)
    return last + signed + written + message


def _instance(field: bytes) -> int:
    found = re.search(rb"i=\s*(\d+)", field)
    return int(found[1]) if found else 0


def _name(field: bytes) -> str:
    return field.partition(b":")[0].strip().lower().decode()


def _sets(message: bytes) -> list[bytes]:
    """The ARC fields in the order in which they are sealed.    RFC 8617 §5.1.1."""
    found = [field for field in fields_of(message) if _name(field) in SET]
    return sorted(found, key=lambda field: (_instance(field), SET.index(_name(field))))


def _count(message: bytes) -> int:
    return sum(_name(field) == "arc-seal" for field in fields_of(message))


def chain(count: int, message: bytes = MESSAGE) -> bytes:
    """The message through so many hands."""
    for _ in range(count):
        message = sealed(message)
    return message


def _without(message: bytes, name: str, instance: int) -> bytes:
    kept = [f for f in fields_of(message) if (_name(f), _instance(f)) != (name, instance)]
    return b"".join(kept) + b"\r\n" + message.partition(b"\r\n\r\n")[2]


def _reordered(message: bytes, order: Sequence[int]) -> bytes:
    fields = fields_of(message)
    moved = [fields[index] for index in order] + fields[len(order) :]
    return b"".join(moved) + b"\r\n" + message.partition(b"\r\n\r\n")[2]


def cases() -> dict[str, bytes]:
    """Name → message."""
    found = {f"{count} hands": chain(count) for count in (0, 1, 2, 3, 10, 50)}
    found["51 hands"] = sealed(chain(50))
    two = chain(2)
    first = two.partition(b"\r\n")[0] + b"\r\n"
    found |= {
        "body changed": two.replace(b"Hello", b"Hallo"),
        "body with empty lines added": two + b"\r\n\r\n",
        "Subject changed": two.replace(b"Subject: One", b"Subject: Two"),
        "Subject added above": b"Subject: Two\r\n" + two,
        "unsigned field added": b"X-More: x\r\n" + two,
        "changed between hands": sealed(chain(1).replace(b"Hello", b"[list] Hello")),
        "changed between hands, then again": sealed(
            chain(1).replace(b"Hello", b"[list] Hello")
        ).replace(b"[list]", b"[spam]"),
        "results changed": two.replace(
            b"i=1; hand1.example.org; spf=pass", b"i=1; hand1.example.org; spf=fail"
        ),
        "first set removed": _without(_without(_without(two, SET[0], 1), SET[1], 1), SET[2], 1),
        "last set removed": _without(_without(_without(two, SET[0], 2), SET[1], 2), SET[2], 2),
        "a seal twice": first + two,
        "fields in other order": _reordered(two, (5, 4, 3, 2, 1, 0)),
        "fields mixed": _reordered(two, (0, 3, 1, 4, 2, 5)),
        "names in capitals": two.replace(b"ARC-Seal:", b"ARC-SEAL:"),
        "fields folded anew": two.replace(b"; cv=", b";\r\n\tcv="),
    }
    for name in SET:
        for instance in (1, 2):
            found[f"{name} {instance} missing"] = _without(two, name, instance)
    found |= _sealed_wrongly()
    return found


def _sealed_wrongly() -> dict[str, bytes]:
    one = chain(1)
    found = {
        "status fail": sealed(one, status="fail"),
        "status none in the second": sealed(one, status="none"),
        "status pass in the first": sealed(MESSAGE, status="pass"),
        "status unknown": sealed(one, status="good"),
        "status in capitals": sealed(one, status="PASS"),
        "failed, then passed": sealed(sealed(one, status="fail"), status="pass"),
        "after a broken seal": sealed(one.replace(b"spf=pass", b"spf=fail")),
        "instance skipped": sealed(one, instance=3),
        "instance zero": one.replace(b"i=1", b"i=0"),
        "instance with zeros": sealed(MESSAGE, signature={"i": "01"}, seal={"i": "01"}),
        "seal with h=": sealed(one, seal={"h": "from"}),
        "seal without cv=": sealed(one, seal={"cv": None}),
        "seal without d=": sealed(one, seal={"d": None}),
        "seal without a=": sealed(one, seal={"a": None}),
        "seal with unknown tag": sealed(one, seal={"zz": "1"}),
        "seal with t=": sealed(one, seal={"t": "1700000000"}),
        "seal by rsa-sha1": sealed(one, seal_hash="sha1"),
        "signature without h=": sealed(one, signature={"h": None}),
        "signature without From": sealed(one, signature={"h": "to:subject:date"}),
        "signature without Subject": sealed(one, signature={"h": "from:to:date"}),
        "signature over seals": sealed(one, signature={"h": f"{NAMES}:arc-seal"}),
        "signature over results": sealed(one, signature={"h": f"{NAMES}:{SET[0]}"}),
        "signature with v=": sealed(one, signature={"v": "1"}),
        "signature expired": sealed(one, signature={"t": "1600000000", "x": "1600000001"}),
        "signature with l=": sealed(one, length=5),
        "signature with l=, more added": sealed(one, length=5) + b"more\r\n",
        "signature of unknown kind": sealed(one, signature={"a": "rsa-md5"}),
        "results that say nothing": sealed(one, results="none"),
        "results not readable": sealed(one, results="what ((( is"),
        "by ed25519": sealed(one, by="ed25519"),
        "by a key of 1024 bits": sealed(one, by="rsa1024"),
        "by a key of 768 bits": sealed(one, by="rsa768"),
        "key missing": sealed(one, signature={"s": "missing"}, seal={"s": "missing"}),
        "key of the first missing": sealed(
            sealed(MESSAGE, signature={"s": "missing"}, seal={"s": "missing"})
        ),
        "key of the first signature missing": sealed(sealed(MESSAGE, signature={"s": "missing"})),
        "key revoked": sealed(one, signature={"s": "revoked"}, seal={"s": "revoked"}),
        "key of somebody else": sealed(one, signature={"s": "otherkey"}, seal={"s": "otherkey"}),
        "key for another service": sealed(
            one, signature={"s": "otherservice"}, seal={"s": "otherservice"}
        ),
        "signature and seal of different domains": sealed(
            one, signature={"d": HANDS[5]}, seal={"d": HANDS[6]}
        ),
    }
    return found
