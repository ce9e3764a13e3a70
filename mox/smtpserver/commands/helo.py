"""EHLO and HELO.    RFC 5321 §4.1.1.1; spec/smtp-server.md section 5."""

from typing import TYPE_CHECKING

from mox.base.limits import SMTP_RECIPIENTS
from mox.sasl import MECHANISMS
from mox.smtp.command import Hello, parse_hello
from mox.smtp.keywords import Keyword, format_ehlo
from mox.smtp.reply import Reply
from mox.smtpserver.command import Command

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _ehlo(session: "Session", rest: bytes) -> Reply:
    _greet(session, rest, extended=True)
    return format_ehlo(session.service.hostname, keywords(session))


async def _helo(session: "Session", rest: bytes) -> Reply:
    _greet(session, rest, extended=False)
    # RFC 5321 §3.2: never the extended reply to HELO.
    return Reply(code=250, lines=(session.service.hostname,))


def _greet(session: "Session", rest: bytes, *, extended: bool) -> None:
    if session.service.submission:
        # Mail programs put anything there; we know them by their login.
        ip = session.wire.remote_ip
        session.hello = Hello(f"[IPv6:{ip}]" if ":" in ip else f"[{ip}]")
    else:
        session.hello = parse_hello(rest, extended=extended)
    session.extended = extended
    # RFC 5321 §4.1.4: as RSET.
    session.transaction = None


def keywords(session: "Session") -> list[Keyword]:
    """The extensions as they are at this moment."""
    service = session.service
    found = [
        Keyword("PIPELINING"),  # RFC 2920
        Keyword("SIZE", (str(service.max_size),)),  # RFC 1870
    ]
    if service.tls is not None and session.wire.tls is None:
        found.append(Keyword("STARTTLS"))  # RFC 3207
    if service.submission:
        found.append(Keyword("AUTH", (" ".join(mechanisms(session)),)))  # RFC 4954
    found += [
        Keyword("ENHANCEDSTATUSCODES"),  # RFC 2034
        Keyword("8BITMIME"),  # RFC 6152
        Keyword("LIMITS", (f"RCPTMAX={SMTP_RECIPIENTS}",)),  # RFC 9422
        Keyword("SMTPUTF8"),  # RFC 6531
    ]
    return found


def mechanisms(session: "Session") -> list[str]:
    """What AUTH announces: nothing where TLS must come first."""
    tls = session.wire.tls
    if session.service.tls_required_auth and tls is None:
        return []
    # A -PLUS mechanism is a promise to have a channel binding.    RFC 5802 §6
    can_bind = tls is not None and bool(tls.bindings)
    return [each.name for _, each in MECHANISMS.items() if can_bind or not each.binds]


EHLO = Command(verb=b"EHLO", run=_ehlo)
HELO = Command(verb=b"HELO", run=_helo)
