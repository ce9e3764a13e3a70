"""Deliveries to Debian's Postfix and OpenSMTPD under every TLS policy, with signed zones.

For each: what became of the message, what the sender is told, and the rows of the TLS report.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.certificates import Made
from support.dnszones import Zone
from support.mailservers import MailServer
from support.messages import small_message
from support.nameservers import Names
from support.opensmtpd import OpenSmtpd
from support.postfix import Postfix
from support.serving import wait_until

from mox.base.clock import SystemClock
from mox.base.fetch import Fetcher, IPAddress
from mox.config.domains import Account, Domain, DomainsConfig
from mox.config.live import Live, make_config
from mox.config.static import Postmaster, StaticConfig
from mox.dns.resolver import DnsResolver
from mox.outbound.carry import Carrier, Equipment
from mox.outbound.observing import ReportingObserver
from mox.outbound.pool import Pool
from mox.outbound.session import Sessions
from mox.queue.adding import NewRecipient, Submission, add
from mox.queue.database import memory_queue
from mox.queue.entry import Notice
from mox.queue.explain import explain
from mox.queue.keeping import retired
from mox.queue.listing import EVERY, page
from mox.queue.scheduler import Scheduler
from mox.reports.keeper import open_reports
from mox.reports.mtastscache import MtaStsCache
from mox.smtp.address import Address
from mox.store.serverdata import memory_server_data
from mox.tlspolicy.dane import suggest
from mox.tlspolicy.pkix import Authorities

pytestmark = [pytest.mark.interop, pytest.mark.slow]

LONG = datetime(2100, 1, 1, tzinfo=UTC)
ROOT = Made("root", is_ca=True, until=LONG)
HOSTS = tuple(
    f"mx.{name}.example"
    for name in ("opportunistic", "testing", "mismatch", "enforce", "notlisted", "daneee", "daneta")
)
LEAF = Made("leaf", ROOT, names=(*HOSTS, "mx.danebad.example", "mx.requiretls.example"), until=LONG)
POLICIES = Made(
    "policies",
    ROOT,
    names=tuple(
        f"mta-sts.{name}.example"
        for name in ("testing", "mismatch", "enforce", "notlisted", "badcert", "striptls")
    ),
    until=LONG,
)


class Expected(NamedTuple):
    """Of one domain: outcome, words of the explanation, rows by whose policy it was."""

    outcome: str  # delivered, delivered in clear, later, failed
    said: tuple[str, ...]
    rows: dict[str, tuple[str, int, int, tuple[str, ...]]]


OK = ("no-policy-found", 1, 0, ())
PLAIN = ("no-policy-found", 0, 0, ("starttls-not-supported",))
EXPECTED = {
    "plain": Expected("delivered in clear", ("no policy",), {"domain": PLAIN, "host": PLAIN}),
    "opportunistic": Expected("delivered", ("no policy",), {"domain": OK, "host": OK}),
    "testing": Expected(
        "delivered", ("MTA-STS testing",), {"domain": ("sts", 1, 0, ()), "host": OK}
    ),
    "mismatch": Expected(
        "delivered",
        ("MTA-STS testing, which does not name mx.mismatch.example",),
        {"domain": ("sts", 0, 1, ("mtasts-policy-mx-mismatch",)), "host": OK},
    ),
    "enforce": Expected(
        "delivered", ("MTA-STS enforce",), {"domain": ("sts", 1, 0, ()), "host": OK}
    ),
    "notlisted": Expected(
        "later",
        ("the MTA-STS policy does not name mx.notlisted.example",),
        {"domain": ("sts", 0, 0, ("mtasts-policy-mx-mismatch",))},
    ),
    "badcert": Expected(
        "later",
        ("certificate: leaf certificate has no matching subjectAltName",),
        {"domain": ("sts", 0, 1, ("certificate-host-mismatch",)), "host": OK},
    ),
    "striptls": Expected(
        "later",
        ("does not offer STARTTLS",),
        {"domain": ("sts", 0, 0, ("starttls-not-supported",)), "host": PLAIN},
    ),
    "daneee": Expected("delivered", ("DANE verified",), {"domain": OK, "host": ("tlsa", 1, 0, ())}),
    "daneta": Expected("delivered", ("DANE verified",), {"domain": OK, "host": ("tlsa", 1, 0, ())}),
    "danebad": Expected(
        "later",
        ("the certificate is not the one in DNS",),
        {"domain": OK, "host": ("tlsa", 0, 1, ("dane-no-match",))},
    ),
    "requiretls": Expected("failed", ("REQUIRETLS needs DANE or an enforced MTA-STS policy",), {}),
}
MODES = {
    "testing": ("testing", "mx.testing.example"),
    "mismatch": ("testing", "other.example"),
    "enforce": ("enforce", "mx.enforce.example"),
    "notlisted": ("enforce", "other.example"),
    "badcert": ("enforce", "mx.badcert.example"),
    "striptls": ("enforce", "mx.striptls.example"),
}
IN_CLEAR = ("plain", "striptls")  # those whose host is OpenSMTPD without TLS


def pem_of(made: Made, *above: Made) -> tuple[bytes, bytes]:
    """Chain and key."""
    chain = b"".join(
        x509.load_der_x509_certificate(one.der).public_bytes(Encoding.PEM) for one in (made, *above)
    )
    return chain, made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Postfix, OpenSmtpd]]:
    folder = tmp_path_factory.mktemp("matrix")
    chain, key = pem_of(LEAF, ROOT)
    (folder / "chain.pem").write_bytes(chain)
    (folder / "key.pem").write_bytes(key)
    domains = ", ".join(f"{name}.example" for name in EXPECTED)
    with (
        Postfix(
            "postfix.example",
            certificate=(folder / "chain.pem", folder / "key.pem"),
            settings={
                "virtual_mailbox_domains": domains,
                "virtual_mailbox_maps": "static:bob/",
                "smtpd_tls_received_header": "yes",
            },
        ) as postfix,
        OpenSmtpd("plain.example") as clear,
    ):
        yield postfix, clear


@pytest.fixture(scope="module")
def names(servers: tuple[Postfix, OpenSmtpd]) -> Iterator[Names]:
    port = servers[0].port
    records = {
        f"_{port}._tcp.mx.daneee.example": f"3 1 1 {suggest(LEAF.spki).data.hex()}",
        f"_{port}._tcp.mx.daneta.example": f"2 1 1 {suggest(ROOT.spki).data.hex()}",
        f"_{port}._tcp.mx.danebad.example": f"3 1 1 {'00' * 32}",
    }
    zones = []
    for name in EXPECTED:
        zone: dict[str, dict[str, Sequence[str | bytes]]] = {
            f"{name}.example": {"MX": [f"10 mx.{name}.example"]},
            f"mx.{name}.example": {"A": ["127.0.0.1"]},
        }
        if name in MODES:
            zone[f"_mta-sts.{name}.example"] = {"TXT": ["v=STSv1; id=1;"]}
            zone[f"mta-sts.{name}.example"] = {"A": ["127.0.0.1"]}
        for owner, record in records.items():
            if owner.endswith(f".mx.{name}.example"):
                zone[owner] = {"TLSA": [record]}
        zones.append(Zone(f"{name}.example", zone))
    with Names(zones) as both:
        yield both


@asynccontextmanager
async def policy_server(folder: Path) -> AsyncIterator[int]:
    """Serves the policies over HTTPS."""
    chain, key = pem_of(POLICIES, ROOT)
    (folder / "policies.pem").write_bytes(key + chain)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "policies.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            name = request.lower().partition("\r\nhost: mta-sts.")[2].partition(".")[0]
            mode, host = MODES[name]
            body = f"version: STSv1\r\nmode: {mode}\r\nmx: {host}\r\nmax_age: 86400\r\n"
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client left
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def wait_for(server: MailServer, text: bytes) -> list[bytes]:
    """The messages with this text, once there is one."""

    def found() -> list[bytes]:
        return [one for one in server.messages("bob") if text in one]

    wait_until(lambda: bool(found()), 60.0, server.said)
    return found()


class Returned:
    """Notifications, as the sender would get them."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []

    async def deliver(self, notice: Notice, message: bytes) -> None:
        self.messages.append(message)


@pytest.mark.parametrize("name", EXPECTED)
async def test_matrix(
    servers: tuple[Postfix, OpenSmtpd], names: Names, tmp_path: Path, name: str
) -> None:
    expected = EXPECTED[name]
    postfix, clear = servers
    server = clear if name in IN_CLEAR else postfix
    clock = SystemClock()
    data = memory_server_data(clock=clock)
    reports = await open_reports(data)
    queue = memory_queue(tmp_path, clock=clock)
    resolver = DnsResolver(names.settings, clock=clock)
    pool, returned = Pool(), Returned()
    trusted = x509.load_der_x509_certificate(ROOT.der)
    static = StaticConfig(
        data_dir="data",
        log_level="info",
        hostname="us.example",
        postmaster=Postmaster(account="me", mailbox="Postmaster"),
        listeners={},
    )
    domains = DomainsConfig(
        domains={"us.example": Domain()}, accounts={"me": Account(domain="us.example")}
    )

    async def lookup(host: str) -> Sequence[IPAddress]:
        return (await resolver.addresses(host)).records

    async with policy_server(tmp_path) as policies:
        context = ssl.create_default_context(cadata=pem_of(ROOT)[0].decode())
        fetcher = Fetcher(
            lookup,
            context,
            allow_private=True,
            ports={f"mta-sts.{one}.example": policies for one in MODES},
        )
        equipment = Equipment(
            live=Live(make_config(static, domains)),
            clock=clock,
            resolver=resolver,
            sessions=Sessions(clock, Authorities([trusted]), pool),
            policies=MtaStsCache(data, resolver, fetcher),
            observer=ReportingObserver(reports.results),
            shuffle=lambda hosts: None,
            port=server.port,
        )
        scheduler = Scheduler(queue, Carrier(equipment), returned, "us.example")
        token = f"to-{name}"
        (entry,) = await add(
            queue,
            Submission(
                account="me",
                sender=Address("me", "us.example"),
                recipients=(NewRecipient(address=Address("bob", f"{name}.example")),),
                content=small_message(token),
                require_tls=True if name == "requiretls" else None,
                subject=token,
            ),
        )
        await scheduler.step()
        await scheduler.idle()
        await scheduler.notices.step()
        attempts = await queue.attempts_of(entry.id)
        left = (await page(queue, EVERY, limit=10)).entries
        found = left[0] if left else await retired(queue, entry.id)
        told = "\n".join(explain(found, attempts, clock.now_ms(), scheduler.schedule))
        rows = await reports.results.of(1 << 31)
    await pool.close()
    await queue.close()
    await reports.close()
    await data.close()
    await resolver.close()

    assert {
        "delivered": not left and not returned.messages,
        "delivered in clear": not left and not returned.messages,
        "later": bool(left) and not returned.messages,
        "failed": not left and len(returned.messages) == 1,
    }[expected.outcome], told
    for words in expected.said:
        assert words in " ".join(told.split()), told
    if expected.outcome.startswith("delivered"):
        (mine,) = wait_for(server, f"Subject: {token}".encode())
        assert (b"TLSv1.3" in mine) == (expected.outcome == "delivered")
    if expected.outcome == "failed":
        (message,) = returned.messages
        assert b"Status: 5.7.30" in message
        assert b"Action: failed" in message
    tallied = {
        "host" if row.is_host else "domain": (
            row.results[0].policy.type,
            row.results[0].success_count,
            row.results[0].failure_count,
            tuple(one.failure_reason_code or one.result_type for one in row.results[0].failures),
        )
        for row in rows
    }
    assert tallied == expected.rows
