"""How a message reached us, and the header fields that say so.

Source  RFC 5321 §4.4, RFC 8601 §2.7.4 (Authentication-Results), RFC 3848 (with-types);
        spec/smtp-server.md sections 8.2 and 10.
"""

import msgspec

from mox.message.headerwriter import HeaderWriter
from mox.message.trace import (
    Received,
    format_delivered_to,
    format_received,
    format_return_path,
    protocol,
    safe_path,
)
from mox.smtp.address import Address, domain_to_unicode


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """How a message reached us."""

    hostname: str
    id: str
    hello: str  # domain or address literal
    remote_ip: str
    local_ip: str
    extended: bool  # EHLO
    tls: str  # "TLS1.3 TLS_AES_256_GCM_SHA384", empty without TLS
    authenticated: bool
    smtputf8: bool  # the message needs it: header fields may be in UTF-8
    received_ms: int
    reverse_name: str = ""  # that leads back to the client
    requires_tls: bool = False  # REQUIRETLS was said
    lmtp: bool = False  # from a mail server of this machine

    @property
    def protocol(self) -> str:
        """The with-type."""
        if not self.extended:
            return "SMTP"  # RFC 3848 registers no other form of it
        return protocol(
            is_esmtp=True,
            is_tls=bool(self.tls),
            is_authenticated=self.authenticated,
            is_utf8=self.smtputf8,
            is_lmtp=self.lmtp,
        )


def received(arrival: Arrival, recipient: Address | None) -> bytes:
    """The Received field.    Input  recipient: None when there are several."""
    # Where a user is at the moment is nobody's business.
    hidden = arrival.authenticated
    by_name, by_ascii = _names(arrival.hostname, arrival)
    from_name, from_ascii = (by_name, by_ascii) if hidden else _names(arrival.hello, arrival)
    return format_received(
        Received(
            from_name=from_name,
            from_ascii=from_ascii,
            from_ip=None if hidden else arrival.remote_ip,
            from_reverse=None if hidden else arrival.reverse_name or None,
            by_name=by_name,
            by_ascii=by_ascii,
            by_ip=arrival.local_ip,
            protocol=arrival.protocol,
            is_requiretls=arrival.requires_tls,
            is_local=arrival.lmtp,
            id=arrival.id,
            tls=arrival.tls or None,
            recipient=None if recipient is None else written(recipient, arrival),
            utc_ms=arrival.received_ms,
        )
    )


def _names(name: str, arrival: Arrival) -> tuple[str, str | None]:
    """A host as it is shown, and its A-labels where that differs.    RFC 6531 §3.7.3."""
    shown = domain_to_unicode(name) if arrival.smtputf8 else name
    return (name, None) if shown == name else (shown, name)


def return_path(arrival: Arrival, sender: Address) -> bytes:
    """The Return-Path field."""
    return format_return_path(written(sender, arrival))


def delivered_to(arrival: Arrival, recipient: Address) -> bytes:
    """The Delivered-To field."""
    return format_delivered_to(written(recipient, arrival))


def submitted_by(arrival: Arrival, sender: Address) -> bytes:
    """Authentication-Results of a message from a logged-in user."""
    out = HeaderWriter("Authentication-Results:")
    out.add(f"{arrival.hostname};")
    out.add("auth=pass")
    if not sender.is_null:
        out.add(f"smtp.mailfrom={safe_path(written(sender, arrival))}")
    return out.finish()


def written(address: Address, arrival: Arrival) -> str:
    """An address as it stands in a header: with U-labels in a message that may have UTF-8."""
    return address.unicode() if arrival.smtputf8 else str(address)
