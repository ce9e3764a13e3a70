"""Trace fields put before a message on its way: Received, Return-Path, Delivered-To.

Source  RFC 5321 §4.4, RFC 3848, RFC 6531 §3.7.3, RFC 8314 §4.3, RFC 9228.

What strangers said (names, addresses) comes in as text; a character that could end the field or
open a comment is replaced, so that nobody writes our trace for us.
"""

import re

import msgspec

from mox.message.date import format_date
from mox.message.headerwriter import HeaderWriter

# C1 controls (NEL is one) and Unicode's separators are line ends for some who read headers as text.
_UNSAFE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028\u2029()<>;\\]")
_UNSAFE_PATH = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What a Received field tells of one hop."""

    from_name: str  # what EHLO said; our own name for submissions, which hide the client
    from_ascii: str | None = None  # A-label form, where from_name is Unicode
    from_ip: str | None = None  # None where it is to be hidden
    from_reverse: str | None = None  # the name the address leads to
    by_name: str
    by_ascii: str | None = None
    by_ip: str | None = None
    protocol: str
    is_requiretls: bool = False
    is_local: bool = False  # from this machine: there was no network in between
    id: str
    tls: str | None = None  # "TLS1.3 TLS_AES_128_GCM_SHA256"
    recipient: str | None = None  # None where there are several, or they must not be told
    utc_ms: int
    zone_minutes: int = 0


def protocol(
    *,
    is_esmtp: bool,
    is_tls: bool,
    is_authenticated: bool,
    is_utf8: bool,
    is_lmtp: bool = False,
) -> str:
    """The "with" keyword.    RFC 3848; RFC 6531 §4.3."""
    if is_lmtp:
        word = "UTF8LMTP" if is_utf8 else "LMTP"
    else:
        word = "UTF8SMTP" if is_utf8 else "ESMTP" if is_esmtp else "SMTP"
    return word + "S" * is_tls + "A" * is_authenticated


def address_literal(ip: str) -> str:
    """An IP address as in SMTP.    RFC 5321 §4.1.3."""
    return f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]"


def _safe(text: str) -> str:
    return _UNSAFE.sub("?", text)


def safe_path(address: str) -> str:
    """An address as it may stand in a header: it cannot end its line."""
    return _UNSAFE_PATH.sub("?", address)


def format_received(hop: Received) -> bytes:
    """The field with its line end, folded at 76 characters; UTF-8 only where names are.

    Source  RFC 5321 §4.4: Time-stamp-line.
    """
    out = HeaderWriter("Received:")
    out.add("from " + _safe(hop.from_name))
    seen = [_safe(name) for name in _other_names(hop)]
    if hop.from_ip:
        seen.append(address_literal(_safe(hop.from_ip)))
    if seen:
        out.add(f"({' '.join(seen)})")
    if hop.from_ascii:
        out.add(f"({_safe(hop.from_ascii)})")
    out.add("by " + _safe(hop.by_name))
    if hop.by_ip:
        out.add(f"({address_literal(_safe(hop.by_ip))})")
    if hop.by_ascii:
        out.add(f"({_safe(hop.by_ascii)})")
    if not hop.is_local:
        out.add("via tcp")
    out.add(f"with {hop.protocol}")
    if hop.is_requiretls:
        out.add("(requiretls)")  # RFC 8689 §5 leaves the note to us
    out.add(f"id {_safe(hop.id)}")
    if hop.tls:
        out.add(f"({' '.join(_safe(word) for word in hop.tls.split())})")
    if hop.recipient is not None:
        out.add(f"for <{safe_path(hop.recipient)}>")
    out.end_token(";")
    out.add(format_date(hop.utc_ms, hop.zone_minutes))
    return out.finish()


def _other_names(hop: Received) -> list[str]:
    """The reverse name, where it says more than the name the client gave."""
    name = hop.from_reverse or ""
    same = name.rstrip(".").lower() == hop.from_name.rstrip(".").lower()
    return [] if same or not name else [name]


def format_return_path(path: str) -> bytes:
    """The field with its line end; the empty path is ``<>``.    RFC 5321 §4.4."""
    return f"Return-Path: <{safe_path(path)}>\r\n".encode()


def format_delivered_to(address: str) -> bytes:
    """The field with its line end.    RFC 9228 §3."""
    return f"Delivered-To: {safe_path(address)}\r\n".encode()
