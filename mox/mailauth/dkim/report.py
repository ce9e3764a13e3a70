"""DKIM results as Authentication-Results methods.    RFC 8601 §2.7.1, RFC 6008 (header.b)."""

import base64
from collections.abc import Sequence

from mox.mailauth.dkim.signature import Signature
from mox.mailauth.dkim.verify import Result
from mox.message.authresults import Method, Property

_SIGNATURE_CHARACTERS = 12  # RFC 6008 §4 wants at least eight


def methods(results: Sequence[Result]) -> tuple[Method, ...]:
    """One method per result; without results, that there is no signature."""
    if not results:
        return (Method(method="dkim", result="none", reason="no dkim signatures"),)
    return tuple(_method(result) for result in results)


def _method(result: Result) -> Method:
    comments: list[str] = []
    if result.key_bits is not None:
        comments.append(f"{result.key_bits} bit rsa")
    elif result.record is not None and result.record.kind == "ed25519":
        comments.append("ed25519")
    if result.record is not None:
        comments.append("with dnssec" if result.authentic else "without dnssec")
    return Method(
        method="dkim",
        result=result.status,
        comment=", ".join(comments),
        reason=result.reason,
        properties=() if result.signature is None else _properties(result.signature),
    )


def _properties(signature: Signature) -> tuple[Property, ...]:
    beginning = base64.b64encode(signature.value).decode()[:_SIGNATURE_CHARACTERS]
    found = [
        Property(type="header", name="d", value=signature.domain),
        Property(type="header", name="s", value=signature.selector),
        Property(type="header", name="a", value=signature.algorithm),
        Property(type="header", name="b", value=beginning),
    ]
    if signature.identity_local is not None or signature.identity_domain != signature.domain:
        identity = f"{signature.identity_local or ''}@{signature.identity_domain}"
        found.append(Property(type="header", name="i", value=identity, is_address=True))
    return tuple(found)
