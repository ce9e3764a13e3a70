"""A place that writes reports: a clock that jumps, zones, keys, and a queue that takes or refuses."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mox.base.clock import FrozenClock
from mox.config.domains import DomainsConfig
from mox.config.live import Live, make_config
from mox.config.static import Postmaster, StaticConfig
from mox.dns.base import Resolver
from mox.dns.zones import Zones
from mox.mailauth.dkim.keyrecord import format_record, record_of
from mox.mailauth.dkim.sign import SigningKey
from mox.mailauth.publicsuffix import ListedSuffixes
from mox.outbound.reporting import Office, ReportMail
from mox.reports.keeper import Reports, open_reports
from mox.reports.verify import verify_reports
from mox.store.serverdata import ServerData, memory_server_data

NOW_MS = 1_795_910_400_000  # 2026-11-29 00:00 UTC
HOUR_MS = 3_600_000
HOSTNAME = "mx.here.example"
SUFFIXES = ListedSuffixes(["example"])
PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def live(hostname: str = HOSTNAME) -> Live:
    static = StaticConfig(
        data_dir="data",
        log_level="info",
        hostname=hostname,
        postmaster=Postmaster(account="boss", mailbox="Postmaster"),
        listeners={},
    )
    return Live(make_config(static, DomainsConfig(domains={}, accounts={})))


class OneKey:
    """A domain signs, or none does."""

    def __init__(self, domain: str) -> None:
        self.domain = domain
        self.record = {
            f"sel._domainkey.{domain}": {"TXT": [format_record(record_of(PRIVATE.public_key()))]}
        }

    def of(self, domain: str) -> Sequence[SigningKey]:
        if domain != self.domain:
            return ()
        return (SigningKey(domain=domain, selector="sel", private=PRIVATE),)


class Outbox:
    """Takes reports; refuses as often as it is told to."""

    def __init__(self) -> None:
        self.taken: list[ReportMail] = []
        self.failures: list[Exception] = []

    async def submit(self, mail: ReportMail) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(mail)

    @property
    def to(self) -> list[list[str]]:
        """The recipients of each."""
        return [[str(one) for one in mail.recipients] for mail in self.taken]


class Place:
    """All of it."""

    def __init__(self, data: ServerData, reports: Reports, clock: FrozenClock) -> None:
        self.data = data
        self.reports = reports
        self.clock = clock
        self.outbox = Outbox()
        self.keys = OneKey("here.example")
        self.resolver: Resolver = Zones({})
        self.hostname = HOSTNAME

    @property
    def office(self) -> Office:
        return Office(live=live(self.hostname), clock=self.clock, keys=self.keys)


@asynccontextmanager
async def place() -> AsyncIterator[Place]:
    clock = FrozenClock(NOW_MS)
    data = memory_server_data(clock=clock)
    reports = await open_reports(data, suffixes=lambda: SUFFIXES)
    yield Place(data, reports, clock)
    await reports.close()
    await data.close()
    assert verify_reports(data.engine) == []


class Ended(BaseException):
    """The clock has reached its end."""


class EndingClock(FrozenClock):
    """Ends whoever sleeps beyond a time."""

    def __init__(self, now_ms: int, end_ms: int) -> None:
        super().__init__(now_ms)
        self.end_ms = end_ms

    async def sleep(self, seconds: float) -> None:
        if self.now_ms() + seconds * 1000 >= self.end_ms:
            raise Ended
        await super().sleep(seconds)
