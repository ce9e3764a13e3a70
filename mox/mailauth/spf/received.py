"""The Received-SPF header field.    RFC 7208 §9.1."""

import re
from typing import Final

from mox.dns.name import unmapped
from mox.mailauth.spf.result import Identity, Result, Status
from mox.message.headerwriter import HeaderWriter

_DOT_ATOM: Final = re.compile(
    r"[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+(?:\.[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~]+)*"
)
_UNSAFE: Final = re.compile(r"[^\x20-\x7e\xa0-\U0010ffff]|[\ud800-\udfff\u2028\u2029]")
_PROBLEM: Final = 60  # characters that are kept; the line stays near 78 (RFC 5322 §2.1.1)
_VALUE: Final = 400  # bytes; the longest address fits, and a line of escapes ends before 998


def format_received_spf(result: Result, *, receiver: str) -> bytes:
    """The field with its line end, folded; values of strangers are quoted where need be.

    Input   receiver: our host name.
    """
    comment = f"domain {_comment(result.domain)}"
    if result.identity is Identity.HELO:
        comment += ", from ehlo because mailfrom is empty"
    sender = result.sender
    pairs = [("client-ip", str(unmapped(sender.ip)))]
    if result.identity is Identity.MAILFROM:
        # RFC 7208 §9.1: "if the MAIL FROM identity was checked, envelope-from"
        pairs.append(("envelope-from", f"{sender.localpart}@{sender.domain}"))
    pairs.append(("helo", sender.helo))
    if result.status in (Status.TEMPERROR, Status.PERMERROR) and result.problem:
        pairs.append(("problem", result.problem[:_PROBLEM]))
    if result.mechanism:
        pairs.append(("mechanism", result.mechanism))
    pairs += [("receiver", receiver), ("identity", result.identity)]
    tokens = [f"{key}={_quote(value)};" for key, value in pairs]
    tokens[-1] = tokens[-1].removesuffix(";")
    out = HeaderWriter("Received-SPF:")
    out.add(result.status, *f"({comment})".split(" "), *tokens)
    return out.finish()


def _comment(text: str) -> str:
    return text if _is_plain(text) else re.sub(r"[()\\ ]", "?", _safe(text))


def _is_plain(text: str) -> bool:
    """A dot-atom, as nearly all are."""
    return len(text) <= _VALUE and _DOT_ATOM.fullmatch(text) is not None


def _safe(text: str) -> str:
    text = _UNSAFE.sub("?", text[:_VALUE])
    return text.encode()[:_VALUE].decode("utf-8", "ignore")


def _quote(value: str) -> str:
    """A dot-atom as it is, else a quoted string; characters that could end the field are replaced."""
    if _is_plain(value):
        return value
    value = _safe(value)
    if _DOT_ATOM.fullmatch(value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
