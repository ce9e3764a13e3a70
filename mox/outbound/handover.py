"""A message of a script on its way to a mail server: what ``sendmail`` does.    spec/cli.md section 7."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Sequence
from typing import Final

from mox.base.clock import Clock
from mox.base.errors import Malformed, Refused
from mox.config.sendmail import SendmailConfig
from mox.dns.name import IPAddress
from mox.message import address as header_address
from mox.message.header import end_of_header, fields
from mox.outbound.pool import Place, Pool
from mox.outbound.session import Opened, Sessions, Target
from mox.smtp.address import Address, parse_address
from mox.smtpclient.auth import DEFAULT_MECHANISMS, Login
from mox.smtpclient.content import BytesContent
from mox.smtpclient.dial import DirectDial
from mox.smtpclient.dialogue import Envelope, Recipient
from mox.smtpclient.errors import NotReached
from mox.tlspolicy.choose import Demand, Plan
from mox.tlspolicy.pkix import Authorities

TIMEOUT_S: Final = 3 * 60.0
_BARE_LF = re.compile(rb"(?<!\r)\n")
_FIELD = re.compile(rb"[!-9;-~]+:")


def prepare(config: SendmailConfig, message: bytes, recipients: Sequence[Address]) -> bytes:
    """The message as it is submitted: CRLF, From as configured, a To."""
    text = _BARE_LF.sub(b"\r\n", message)
    if not _FIELD.match(text):
        text = b"\r\n" + text  # a body without a header
    header = text[: end_of_header(text)]
    kept = [
        header[field.start : field.end]
        for field in fields(header)
        if field.name not in (b"from", b"bcc")
    ]
    names = {field.name for field in fields(header)}
    added = [f"From: <{config.from_address}>\r\n".encode()]
    if b"to" not in names:
        to = ", ".join(f"<{one.unicode()}>" for one in recipients)
        added.append(f"To: {to}\r\n".encode())
    if config.require_tls == "no":
        added.append(b"TLS-Required: No\r\n")
    body = text[len(header) :]
    if body and not body.endswith(b"\r\n"):
        body += b"\r\n"
    return b"".join((*added, *kept, b"\r\n", body))


def recipients_of(config: SendmailConfig, named: Sequence[str]) -> list[Address]:
    """The recipients given; a name without @ is the default destination.    Errors: Refused."""
    found = []
    for name in named:
        text = name if "@" in name else config.default_destination
        if not text:
            raise Refused(f"{name} has no @, and there is no default_destination")
        found.append(_address(text))
    return list(dict.fromkeys(found))


def recipients_in(message: bytes) -> list[str]:
    """Those of To, Cc and Bcc.    Errors: Refused."""
    header = message[: end_of_header(message)]
    found: list[str] = []
    for field in fields(header):
        if field.name in (b"to", b"cc", b"bcc"):
            try:
                parsed = header_address.parse_strict(field.value)
            except Malformed as error:
                name = field.name.decode().title()
                raise Refused(f"cannot read the {name} field: {error.public}") from error
            found += [
                one.spec.decode("utf-8", "replace") for one in header_address.mailboxes(parsed)
            ]
    return found


def _address(text: str) -> Address:
    try:
        return parse_address(text)
    except Malformed as error:
        raise Refused(f"{text!r} is no address") from error


async def hand_over(
    config: SendmailConfig,
    message: bytes,
    recipients: Sequence[Address],
    *,
    authorities: Authorities,
    clock: Clock,
) -> None:
    """Submit it.    Errors: DeliveryError, Refused; TimeoutError."""
    async with asyncio.timeout(TIMEOUT_S):
        pool = Pool()
        sessions = Sessions(clock, authorities, pool)
        kept = await sessions.open(await _target(config), Opened())
        try:
            outcomes = await kept.dialogue.send(
                Envelope(
                    sender=_address(config.from_address),
                    recipients=tuple(Recipient(address=one) for one in recipients),
                    has_8bit=not message.isascii(),
                    smtputf8=not message[: end_of_header(message)].isascii(),
                    require_tls=config.require_tls == "yes",
                ),
                BytesContent(message),
            )
        finally:
            sessions.give(kept)
            await pool.close()
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error


async def _target(config: SendmailConfig) -> Target:
    verify = not config.tls_insecure_skip_verify
    demand = Demand.NONE
    if config.tls:
        demand = Demand.IMMEDIATE
    elif config.starttls:
        demand = Demand.REQUIRED
    plan = Plan(
        demand=demand,
        server_name=config.host,
        verify_pkix=verify and demand is not Demand.NONE,
    )
    login = None
    if config.username:
        login = Login(
            username=config.username,
            password=config.password,
            mechanisms=config.auth_mechanisms or DEFAULT_MECHANISMS,
        )
    place = Place(
        host=config.host, port=config.port, way="", hello=config.local_hostname, plan=plan
    )
    return Target(place=place, ips=await _look_up(config), connect=DirectDial(), login=login)


async def _look_up(config: SendmailConfig) -> tuple[IPAddress, ...]:
    """By way of the system: it knows names of this machine's network, too."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NotReached(f"{config.host}: {error.strerror}", cause=error) from error
    return tuple(dict.fromkeys(ipaddress.ip_address(one[4][0]) for one in found))
