"""A DKIM-Signature field: parse, format.    RFC 6376 §3.5."""

import base64
import re
from collections.abc import Sequence

import msgspec

from mox.base.limits import DKIM_FIELD, DKIM_SIGNED_NAMES
from mox.mailauth.dkim.taglist import (
    BadTags,
    base64_value,
    number,
    parse_tags,
    required,
    text,
    words,
)
from mox.message.headerwriter import HeaderWriter

DIGEST_SIZES = {"sha1": 20, "sha256": 32}  # octets

_LABEL = r"(?!-)[a-z0-9-]{1,63}+(?<!-)"
_DOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*+")
_SELECTOR = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}+(?:\.[a-z0-9_-]{1,63}+)*+")
_FIELD_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]++")
_PLAIN_LOCAL = re.compile(rb"[\x21-\x3a\x3c\x3e-\x7e]")  # dkim-safe-char; RFC 6376 §2.11
_QUOTED_OCTET = re.compile(rb"=([0-9A-F]{2})")


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """What a signature says of itself; an algorithm or canonicalisation may be unknown to us."""

    algorithm: str  # "rsa-sha256"
    header_canon: str = "simple"
    body_canon: str = "simple"
    domain: str  # d=, in lower case, A-labels
    selector: str  # s=, in lower case
    names: tuple[bytes, ...]  # h=, in lower case
    body_hash: bytes
    value: bytes  # b=
    identity_local: str | None = None  # local part of i=
    identity_domain: str  # domain of i=, in lower case; equal to d= or below
    body_length: int | None = None  # l=: canonical octets that are hashed
    queries: tuple[str, ...] = ("dns/txt",)
    signed_at: int | None = None  # t=, seconds since 1970
    expires_at: int | None = None  # x=

    @property
    def key_kind(self) -> str:
        """The part of the algorithm before the dash: "rsa", "ed25519"."""
        return self.algorithm.partition("-")[0]

    @property
    def hash_name(self) -> str:
        """The part of the algorithm behind the dash: "sha256"."""
        return self.algorithm.partition("-")[2]

    @property
    def record_name(self) -> str:
        """Where its key is, without final dot.    RFC 6376 §3.6.2.1."""
        return f"{self.selector}._domainkey.{self.domain}"


def parse_signature(value: bytes, *, is_utf8: bool = False) -> Signature:
    """A signature from the raw value of its field, folded or not.

    ``is_utf8``: the message came with SMTPUTF8, so i= may have a local part in UTF-8 (RFC 8616 §3).
    Errors  BadTags.
    """
    tags = parse_tags(value.removesuffix(b"\n").removesuffix(b"\r"))
    if required(tags, b"v") != b"1":  # RFC 6376 §3.5
        raise BadTags("unknown version")
    domain = domain_value(required(tags, b"d"))
    local, identity_domain = _identity(tags, domain, is_utf8)
    common = signed_part(tags)
    return msgspec.structs.replace(common, identity_local=local, identity_domain=identity_domain)


def signed_part(tags: dict[bytes, bytes]) -> Signature:
    """The tags that DKIM and ARC signatures have in common (not v, not i).    Errors  BadTags."""
    domain = domain_value(required(tags, b"d"))
    algorithm = text(required(tags, b"a")).lower()
    header_canon, _, body_canon = text(tags.get(b"c", b"simple")).lower().partition("/")
    body_hash = base64_value(required(tags, b"bh"))
    size = DIGEST_SIZES.get(algorithm.partition("-")[2])
    if size is not None and len(body_hash) != size:
        raise BadTags("body hash of wrong length")
    signed_at = number(tags[b"t"], 12) if b"t" in tags else None
    expires_at = number(tags[b"x"], 12) if b"x" in tags else None
    if signed_at is not None and expires_at is not None and expires_at <= signed_at:
        raise BadTags("expires before it was signed")  # RFC 6376 §3.5, x=
    return Signature(
        algorithm=algorithm,
        header_canon=header_canon,
        body_canon=body_canon or "simple",  # RFC 6376 §3.5: c=relaxed is relaxed/simple
        domain=domain,
        selector=selector_value(required(tags, b"s")),
        names=_names(required(tags, b"h")),
        body_hash=body_hash,
        value=base64_value(required(tags, b"b")),
        identity_domain=domain,
        body_length=number(tags[b"l"], 76) if b"l" in tags else None,
        queries=words(tags[b"q"]) if b"q" in tags else ("dns/txt",),
        signed_at=signed_at,
        expires_at=expires_at,
    )


def domain_value(value: bytes) -> str:
    """d=: a host name in A-labels, in lower case.    Errors  BadTags."""
    domain = text(value).lower()
    if not _DOMAIN.fullmatch(domain):
        raise BadTags("malformed domain")
    return domain


def selector_value(value: bytes) -> str:
    """s=: labels, in lower case.    Errors  BadTags."""
    selector = text(value).lower()
    if not _SELECTOR.fullmatch(selector):
        raise BadTags("malformed selector")
    return selector


def _names(value: bytes) -> tuple[bytes, ...]:
    names = value.lower().split(b":", DKIM_SIGNED_NAMES)
    if len(names) > DKIM_SIGNED_NAMES or len(value) > DKIM_FIELD:
        raise BadTags("too many signed fields")
    found = tuple(name.strip(b" \t") for name in names)
    if not all(_FIELD_NAME.fullmatch(name) for name in found):
        raise BadTags("malformed field name")
    return found


def _identity(tags: dict[bytes, bytes], domain: str, is_utf8: bool) -> tuple[str | None, str]:
    """i=: a local part or none, and a domain at or below d=.    RFC 6376 §3.5."""
    if b"i" not in tags:
        return None, domain
    value = tags[b"i"].replace(b" ", b"").replace(b"\t", b"")
    value = _QUOTED_OCTET.sub(lambda match: bytes.fromhex(match[1].decode()), value)
    local, at, host = value.rpartition(b"@")
    if not at:
        raise BadTags("malformed identity")
    if not is_utf8 and not local.isascii():
        raise BadTags("identity in UTF-8")
    identity_domain = domain_value(host)
    if identity_domain != domain and not identity_domain.endswith("." + domain):
        raise BadTags("identity outside of the domain")
    return (text(local) or None), identity_domain


def without_value(field: bytes) -> bytes:
    """A signature field as it is hashed: nothing after the "=" of b=, no line end.

    Source  RFC 6376 §3.5, b=; §3.7.
    """
    name, colon, value = field.partition(b":")
    pieces = value.split(b";")
    for index, piece in enumerate(pieces):
        tag, equals, _ = piece.partition(b"=")
        if equals and tag.strip(b" \t\r\n") == b"b":
            pieces[index] = tag + equals
            break
    rest = b";".join(pieces)
    return name + colon + rest.removesuffix(b"\n").removesuffix(b"\r")


def format_unsigned(signature: Signature) -> bytes:
    """The field up to "b=", folded; ``with_value`` appends what is then computed."""
    out = HeaderWriter("DKIM-Signature:")
    out.add("v=1;")
    out.add(f"d={signature.domain};")
    out.add(f"s={signature.selector};")
    if signature.identity_local is not None or signature.identity_domain != signature.domain:
        local = _quote((signature.identity_local or "").encode())
        out.add(f"i={local}@{signature.identity_domain};")
    out.add(f"a={signature.algorithm};")
    if (signature.header_canon, signature.body_canon) != ("simple", "simple"):
        out.add(f"c={signature.header_canon}/{signature.body_canon};")
    if signature.queries != ("dns/txt",):
        out.add(f"q={':'.join(signature.queries)};")
    if signature.signed_at is not None:
        out.add(f"t={signature.signed_at};")
    if signature.expires_at is not None:
        out.add(f"x={signature.expires_at};")
    for token in _name_tokens(signature.names):
        out.add(token)
    out.add(f"bh={_base64(signature.body_hash)};")
    return out.finish() + b"\tb="


def with_value(unsigned: bytes, value: bytes) -> bytes:
    """The finished field with its line end."""
    encoded = _base64(value)
    lines = [encoded[at : at + 72] for at in range(0, len(encoded), 72)]
    return unsigned + "\r\n\t".join(lines).encode() + b"\r\n"


def _name_tokens(names: Sequence[bytes]) -> list[str]:
    tokens = [name.decode("ascii") + ":" for name in names]
    tokens[0] = "h=" + tokens[0]
    tokens[-1] = tokens[-1].removesuffix(":") + ";"
    return tokens


def _quote(octets: bytes) -> str:
    """dkim-quoted-printable.    RFC 6376 §2.11; RFC 8616 §3 leaves UTF-8 as it is."""
    pieces = [octets[at : at + 1] for at in range(len(octets))]
    return b"".join(
        piece if piece >= b"\x80" or _PLAIN_LOCAL.fullmatch(piece) else b"=%02X" % ord(piece)
        for piece in pieces
    ).decode()


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()
