"""What judging mail needs, made from the configuration and shared by the listeners of a worker."""

import random

from mox.base import metrics
from mox.base.clock import Clock
from mox.config.checktext import split_port
from mox.config.live import Live
from mox.config.static import DNS, Listener, StaticConfig
from mox.dns.base import Kind, Resolver
from mox.dns.name import parse_domain
from mox.dns.resolvconf import ResolverSettings
from mox.dns.resolver import DnsResolver, system_settings
from mox.inbound.context import Asking
from mox.inbound.hooks import Bouncer
from mox.inbound.judge import Judging
from mox.inbound.judged import Desk
from mox.inbound.keeping import Keeper
from mox.inbound.storeknowledge import StoreKnowledge
from mox.mailauth.dnsbl import HealthBook
from mox.mailauth.publicsuffix import listed
from mox.reports.keeper import Reports
from mox.reports.taker import Taker
from mox.runtime.accounts import Accounts
from mox.store.rates import Limits
from mox.store.shard import Shard

_PORT = 53


def resolver_settings(dns: DNS) -> ResolverSettings:
    """Whom to ask; the system's resolvers where none are named.    Errors: OSError."""
    if not dns.resolvers:
        found = system_settings()
        return ResolverSettings(
            servers=found.servers, port=found.port, trust_ad=found.trust_ad or dns.trusted
        )
    servers = [split_port(text) for text in dns.resolvers]
    return ResolverSettings(
        servers=tuple(host for host, _ in servers),
        ports={host: int(port or _PORT) for host, port in servers},
        trust_ad=dns.trusted,
    )


def make_resolver(dns: DNS, clock: Clock) -> DnsResolver:
    """The resolver of a worker.    Errors: OSError."""
    return DnsResolver(resolver_settings(dns), clock=clock, observe=_asked)


def _asked(kind: Kind, result: str, seconds: float) -> None:
    metrics.DNS_SECONDS.labels("inbound", kind.value, result).observe(seconds)


def rate_limits(static: StaticConfig) -> Limits:
    """What an account takes from one network."""
    limits = static.rate_limits
    return Limits(
        messages_per_minute=limits.messages_per_minute,
        messages_per_day=limits.messages_per_day,
        bytes_per_minute=limits.bytes_per_minute,
        bytes_per_day=limits.bytes_per_day,
    )


class Judges:
    """Judging for the listeners of a worker.    Close it."""

    def __init__(
        self,
        live: Live,
        accounts: Accounts,
        shard: Shard,
        clock: Clock,
        reports: Reports,
        resolver: Resolver,
        *,
        bouncer: Bouncer | None = None,
    ) -> None:
        """Input  bouncer: None: a message that some cannot get is refused to all."""
        static = live.config.static
        shard.tidier.verdict_days = static.verdicts.keep_days
        shard.tidier.verdict_bytes = static.verdicts.keep_bytes
        self.reports = reports
        self._clock = clock
        self._resolver = resolver
        self._health = HealthBook()
        self._desk = Desk(
            accounts=accounts,
            live=live,
            knowledge=StoreKnowledge(rate_limits(static)),
            keeper=Keeper(remembers=static.verdicts.keep_days > 0),
            clock=clock,
            random=random.random,
            reports=Taker(reports.dmarc, reports.tls, live, listed),
            evaluations=None if static.no_outgoing_dmarc_reports else reports.evaluations,
            bouncer=bouncer,
        )

    @property
    def resolver(self) -> Resolver:
        """For other look-ups of names."""
        return self._resolver

    def of_listener(self, listener: Listener, hostname: str) -> Judging:
        """Who judges the mail of strangers there.    Input: hostname: with A-labels."""
        asking = Asking(
            resolver=self._resolver,
            clock=self._clock,
            suffixes=listed(),
            hostname=hostname,
            dnsbls=tuple(parse_domain(zone, lax=True).ascii for zone in listener.smtp.dnsbls),
            health=self._health,
        )
        return Judging(asking, self._desk)
