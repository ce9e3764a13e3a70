"""EHLO, HELO and LHLO.    RFC 5321 §4.1.1.1, RFC 2033 §4.1; spec/smtp-server.md section 5."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mox.base.limits import SMTP_HOLD_MAX, SMTP_RECIPIENTS
from mox.sasl import MECHANISMS
from mox.smtp.address import ip_literal
from mox.smtp.command import XFORWARD_NAMES, Hello, parse_hello
from mox.smtp.keywords import Keyword, format_ehlo
from mox.smtp.reply import Reply
from mox.smtpserver import names
from mox.smtpserver.command import Command

if TYPE_CHECKING:
    from mox.smtpserver.session import Session


async def _ehlo(session: "Session", rest: bytes) -> Reply:
    await _greet(session, _hello(session, rest, extended=True), extended=True)
    return format_ehlo(session.service.hostname, keywords(session))


async def _helo(session: "Session", rest: bytes) -> Reply:
    hello = _hello(session, rest, extended=False)
    resolver = session.service.resolver
    if resolver is not None and not session.service.submission:
        # Of names in EHLO this is not asked; RFC 5321 §4.1.4 is against it.
        await names.check_hello(resolver, hello.name)
    await _greet(session, hello, extended=False)
    # RFC 5321 §3.2: never the extended reply to HELO.
    return Reply(code=250, lines=(session.service.hostname,))


def _hello(session: "Session", rest: bytes, *, extended: bool) -> Hello:
    if not session.service.submission:
        return parse_hello(rest, extended=extended)
    # Mail programs put anything there; we know them by their login.
    return Hello(ip_literal(session.wire.remote_ip))


async def _greet(session: "Session", hello: Hello, *, extended: bool) -> None:
    # RFC 5321 §4.1.4: as RSET.
    await session.forget()
    session.hello = hello
    session.extended = extended
    if session.evidence is not None and not session.service.lmtp:
        session.evidence.said_hello(hello, extended=extended)


def keywords(session: "Session") -> list[Keyword]:
    """The extensions as they are at this moment."""
    service = session.service
    found = [
        Keyword("PIPELINING"),  # RFC 2920
        Keyword("SIZE", (str(service.max_size),)),  # RFC 1870
    ]
    if service.tls is not None and session.wire.tls is None:
        found.append(Keyword("STARTTLS"))  # RFC 3207
    if offers_requiretls(session) and session.wire.tls is not None:
        found.append(Keyword("REQUIRETLS"))  # RFC 8689 §2: inside TLS only
    if service.submission:
        found.append(Keyword("AUTH", (" ".join(mechanisms(session)),)))  # RFC 4954
    if service.lmtp and service.judging is not None:
        found.append(Keyword("XFORWARD", tuple(name.decode() for name in XFORWARD_NAMES)))
    if offers_holding(session):
        latest = service.clock.now_ms() // 1000 + SMTP_HOLD_MAX
        text = datetime.fromtimestamp(latest, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        found.append(Keyword("FUTURERELEASE", (str(SMTP_HOLD_MAX), text)))  # RFC 4865 §3
    found += [
        Keyword("ENHANCEDSTATUSCODES"),  # RFC 2034
        Keyword("8BITMIME"),  # RFC 6152
        *(
            () if service.submission else (Keyword("BINARYMIME"),)
        ),  # RFC 3030 §3; few servers take it on
        Keyword("CHUNKING"),  # RFC 3030 §2
        # RFC 3461.  By LMTP it is left to the server before us: it tells of what we answer.
        *(() if service.lmtp else (Keyword("DSN"),)),
        Keyword("LIMITS", (f"RCPTMAX={SMTP_RECIPIENTS}",)),  # RFC 9422
        Keyword("SMTPUTF8"),  # RFC 6531
    ]
    return found


def offers_requiretls(session: "Session") -> bool:
    """REQUIRETLS is known here, if maybe not before STARTTLS."""
    service = session.service
    return service.requiretls and not service.lmtp


def offers_holding(session: "Session") -> bool:
    """Users may ask for a later release."""
    return session.service.submission and session.service.future_release


def mechanisms(session: "Session") -> list[str]:
    """What AUTH announces: nothing where TLS must come first."""
    tls = session.wire.tls
    if session.service.tls_required_auth and tls is None:
        return []
    # A -PLUS mechanism is a promise to have a channel binding.    RFC 5802 §6
    can_bind = tls is not None and bool(tls.bindings)
    return [each.name for _, each in MECHANISMS.items() if can_bind or not each.binds]


# RFC 2033 §4.1: LHLO is EHLO under another name, so that neither is taken for the other.
EHLO = Command(verb=b"EHLO", run=_ehlo, lmtp=False)
HELO = Command(verb=b"HELO", run=_helo, lmtp=False)
LHLO = Command(verb=b"LHLO", run=_ehlo, smtp=False)
