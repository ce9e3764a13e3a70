"""Zones for name servers under test, described as for ``mox.dns.zones.Zones``, signed in Python.

    Zone("example.org", {"example.org": {"MX": ["10 mx.example.org"], "TXT": ["v=spf1 mx -all"]},
                         "mx.example.org": {"A": ["192.0.2.1"]}})

A text is one record, unquoted; a name that is an IP address stands for its reverse name.  Above all
zones there is a root zone with a signed delegation to each, so that a resolver needs one anchor.
"""

from __future__ import annotations

import functools
import ipaddress
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import dns.dnssec
import dns.name
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.RRSIG
import dns.rrset
import dns.transaction
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

Records = Mapping[str, Mapping[str, Sequence[str | bytes]]]
TTL = 300  # seconds
NEGATIVE_TTL = 60  # seconds
_DAY = 86_400  # seconds
_STRING = 255  # bytes of one string of a TXT record


class Spoilt(Enum):
    """What is wrong with the signature of a record set."""

    FORGED = "forged"  # it is over something else
    EXPIRED = "expired"
    MISSING = "missing"


@dataclass(frozen=True)
class Zone:
    """One zone."""

    apex: str
    records: Records
    signed: bool = True
    spoilt: Mapping[str, Spoilt] | None = None  # "www.example.org A" → what is wrong


@functools.cache
def _key() -> tuple[ec.EllipticCurvePrivateKey, dns.rdtypes.ANY.DNSKEY.DNSKEY]:
    private = ec.generate_private_key(ec.SECP256R1())
    return private, dns.dnssec.make_dnskey(private.public_key(), "ECDSAP256SHA256", flags=257)


def trust_anchor() -> str:
    """The DS record of the root."""
    return _ds(".").to_text()


def zone_files(zones: Collection[Zone]) -> dict[str, str]:
    """Apex → zone file, for these zones and the root above them."""
    apexes = {zone.apex for zone in zones}
    files = {}
    for zone in [Zone(".", {}), *zones]:
        below = [
            one for one in zones if one.apex != zone.apex and _parent(one, apexes) == zone.apex
        ]
        files[zone.apex] = _zone_file(zone, below)
    return files


def _parent(zone: Zone, apexes: Collection[str]) -> str:
    labels = zone.apex.split(".")
    for start in range(1, len(labels)):
        name = ".".join(labels[start:])
        if name in apexes:
            return name
    return "."


def _zone_file(zone: Zone, below: Sequence[Zone]) -> str:
    origin = _name(zone.apex)
    made = dns.zone.Zone(origin, relativize=False)
    with made.writer() as txn:
        soa = f"ns.invalid. admin.invalid. 1 3600 600 86400 {NEGATIVE_TTL}"
        _add(txn, origin, "SOA", [soa])
        _add(txn, origin, "NS", ["ns.invalid."])
        for name, kinds in zone.records.items():
            for kind, records in kinds.items():
                _add(txn, _name(owner_of(name)), kind, [_text(kind, one) for one in records])
        for child in below:
            _add(txn, _name(child.apex), "NS", ["ns.invalid."])
            if child.signed:
                _add(txn, _name(child.apex), "DS", [_ds(child.apex).to_text()])
        if zone.signed:
            signer = functools.partial(_sign, zone=zone, origin=origin)
            dns.dnssec.sign_zone(made, txn, [_key()], rrset_signer=signer)
    return made.to_text(relativize=False)


def _ds(apex: str) -> dns.rdtypes.ANY.DS.DS:
    return dns.dnssec.make_ds(_name(apex), _key()[1], "SHA256")


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text.removesuffix(".") + ".")


def owner_of(written: str) -> str:
    """The name that records written under a name or an address have."""
    try:
        return ipaddress.ip_address(written).reverse_pointer
    except ValueError:
        return written


def _text(kind: str, record: str | bytes) -> str:
    """One record as a zone file has it."""
    if kind == "TXT":
        data = record if isinstance(record, bytes) else record.encode()
        pieces = [data[at : at + _STRING] for at in range(0, len(data), _STRING)] or [b""]
        return " ".join('"' + "".join(f"\\{byte:03d}" for byte in piece) + '"' for piece in pieces)
    text = record if isinstance(record, str) else record.decode("ascii")
    if kind in ("MX", "SRV", "CNAME", "PTR", "NS"):
        return text.removesuffix(".") + "."
    return text


def _add(
    txn: dns.transaction.Transaction, owner: dns.name.Name, kind: str, records: list[str]
) -> None:
    txn.add(dns.rrset.from_text_list(owner, TTL, "IN", kind, records))


def _sign(
    txn: dns.transaction.Transaction, rrset: dns.rrset.RRset, *, zone: Zone, origin: dns.name.Name
) -> None:
    """Sign one record set, or spoil its signature.    RFC 4034 §3.1."""
    wanted = f"{rrset.name.to_text(omit_final_dot=True)} {dns.rdatatype.to_text(rrset.rdtype)}"
    spoilt = (zone.spoilt or {}).get(wanted)
    if spoilt is Spoilt.MISSING:
        return
    now = time.time()
    start, end = now - _DAY, now + 30 * _DAY
    if spoilt is Spoilt.EXPIRED:
        start, end = now - 60 * _DAY, now - 30 * _DAY
    private, key = _key()
    signed = dns.dnssec.sign(
        rrset, private, signer=origin, dnskey=key, inception=start, expiration=end
    )
    if spoilt is Spoilt.FORGED:
        changed = bytes([signed.signature[0] ^ 1]) + signed.signature[1:]
        replaced = signed.replace(signature=changed)
        assert isinstance(replaced, dns.rdtypes.ANY.RRSIG.RRSIG)
        signed = replaced
    txn.add(rrset.name, rrset.ttl, signed)
