"""Everything that carrying a message out needs, and an attempt in one call."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography import x509

from mox.base.clock import FrozenClock
from mox.config.domains import Account, Domain, DomainsConfig
from mox.config.live import Live, make_config
from mox.config.static import Postmaster, StaticConfig
from mox.config.transport import Route, Transport
from mox.dns.base import Temporary
from mox.dns.zones import Zones
from mox.outbound.carry import Carrier, Equipment, NoPolicies, Policies
from mox.outbound.pool import Pool
from mox.outbound.session import Sessions
from mox.queue.carry import Carried, Delivery, Outcome
from mox.queue.entry import Entry
from mox.smtpclient.content import BytesContent
from mox.tlspolicy import dane
from mox.tlspolicy.mtasts import Mode, Policy
from mox.tlspolicy.observation import Observation, Observer, StsFinding
from mox.tlspolicy.pkix import Authorities
from support.certificates import NOW, Made

ROOT = Made("root", is_ca=True)
LEAF = Made("leaf", ROOT, names=("mx.example.net", "localhost"))
STRANGER = Made("mx.example.net", names=("mx.example.net",))
AUTHORITIES = Authorities([x509.load_der_x509_certificate(ROOT.der)])
MESSAGE = b"Subject: hello\r\n\r\nhi\r\n"
ENFORCE = Policy(mode=Mode.ENFORCE, max_age_s=60, mx=("mx.example.net",))


def context_of(made: Made, folder: Path) -> ssl.SSLContext:
    path = folder / f"{made.subject}.pem"
    path.write_bytes(made.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


class Watching(Observer):
    def __init__(self) -> None:
        self.seen: list[Observation] = []

    def observe(self, observation: Observation) -> None:
        self.seen.append(observation)


class Fixed:
    def __init__(self, finding: StsFinding) -> None:
        self.finding = finding

    async def get(self, domain: str) -> StsFinding:
        return self.finding


class Failing:
    async def get(self, domain: str) -> StsFinding:
        raise Temporary


class House:
    """Everything that carrying needs, and an attempt in one call."""

    def __init__(self) -> None:
        self.zones: dict[str, dict[str, Sequence[str]]] = {
            "example.net": {"MX": ["10 mx.example.net"]},
            "mx.example.net": {"A": ["127.0.0.1"]},
        }
        self.authentic = False
        self.temporary: tuple[str, ...] = ()  # look-ups that fail
        self.clock = FrozenClock(int(NOW.timestamp() * 1000))
        self.pool = Pool()
        self.sessions = Sessions(self.clock, AUTHORITIES, self.pool)
        self.observer = Watching()
        self.policies: Policies = NoPolicies()
        self.transports: dict[str, Transport] = {}
        self.routes: tuple[Route, ...] = ()
        self.settled: list[Carried] = []
        self.port = 0

    def equipment(self) -> Equipment:
        static = StaticConfig(
            data_dir="data",
            log_level="info",
            hostname="us.example",
            postmaster=Postmaster(account="me", mailbox="Postmaster"),
            listeners={},
            transports=self.transports,
        )
        domains = DomainsConfig(
            domains={"example.org": Domain()},
            accounts={"me": Account(domain="example.org")},
            routes=self.routes,
        )
        return Equipment(
            live=Live(make_config(static, domains)),
            clock=self.clock,
            resolver=Zones(self.zones, authentic=self.authentic, temporary=self.temporary),
            sessions=self.sessions,
            policies=self.policies,
            observer=self.observer,
            shuffle=lambda names: None,
            port=self.port,
        )

    async def carry(self, *names: str, attempts: int = 1, **more: Any) -> dict[str, Outcome]:
        """One attempt for recipients of a domain; what became of each, settled or not."""
        entries = tuple(
            Entry(
                id=number,
                content=1,
                size=len(MESSAGE),
                queued_ms=0,
                account="me",
                sender_localpart="me",
                sender_domain="example.org",
                recipient_localpart=name.partition("@")[0],
                recipient_domain=name.partition("@")[2] or "example.net",
                attempts=attempts,
                next_ms=0,
                **more,
            )
            for number, name in enumerate(names or ("a",), 1)
        )

        async def settle(carried: Carried) -> None:
            self.settled.append(carried)

        delivery = Delivery(
            entries=entries, content=BytesContent(MESSAGE), content_utf8=None, settle=settle
        )
        self.settled.clear()
        self.last = await Carrier(self.equipment()).carry(delivery)
        by_id = {entry.id: entry.recipient_localpart for entry in entries}
        carried = [*self.settled, self.last]
        outcomes = {by_id[one.entry_id]: one for each in carried for one in each.outcomes}
        assert len(outcomes) == len(entries) == sum(len(each.outcomes) for each in carried)
        return outcomes


def results(outcomes: dict[str, Outcome]) -> dict[str, tuple[str, int]]:
    return {name: (one.result.value, one.code) for name, one in outcomes.items()}


def tlsa_text(usage: int, made: Made) -> str:
    return f"{usage} 1 1 {dane.suggest(made.spki).data.hex()}"
