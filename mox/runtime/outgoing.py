"""Outgoing mail of a worker: the queue, its scheduler, and everything that carries it away."""

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from mox.base import metrics
from mox.base.clock import Clock
from mox.base.fetch import Fetcher
from mox.base.limits import MTASTS_REFRESH
from mox.base.log import get_logger
from mox.config.live import Live
from mox.config.static import Queue as QueueConfig
from mox.dns.base import Resolver
from mox.dns.name import IPAddress, parse_domain
from mox.dns.zones import Zones
from mox.outbound.carry import Carrier, Equipment, NoPolicies, Policies
from mox.outbound.local import LocalCarrier
from mox.outbound.observing import ReportingObserver
from mox.outbound.pool import Pool
from mox.outbound.session import Sessions
from mox.outbound.submit import Submitter
from mox.queue.carry import Carry
from mox.queue.database import Database, open_queue
from mox.queue.schedule import Schedule
from mox.queue.scheduler import Scheduler
from mox.reports.keeper import Reports
from mox.reports.mtastscache import MtaStsCache
from mox.runtime.accounts import Accounts
from mox.runtime.authorities import make_client_context, read_authorities
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.delivery import StoreDeliverer
from mox.runtime.reportsending import ReportSending
from mox.runtime.returning import Returning
from mox.runtime.signingkeys import SigningKeys
from mox.store.outgoing import Outgoing
from mox.store.serverdata import ServerData
from mox.store.shard import Shard
from mox.tlspolicy.observation import Observer
from mox.tlspolicy.pkix import Authorities

log = get_logger("outbound")

QUEUE_FOLDER = Path("queue")
_REFRESH_SPREAD_S = 3 * 3600.0  # over which policies are asked for again


class Outside:
    """What leads beyond this machine; without it (localserve) mail goes to one place here."""

    def __init__(
        self, resolver: Resolver, server_data: ServerData, reports: Reports, fetcher: Fetcher
    ) -> None:
        self.resolver = resolver
        self.policies = MtaStsCache(server_data, resolver, fetcher)
        self.reports = reports


class OutgoingMail:
    """Made by ``open_outgoing``; ``start`` when everything else is there; closed with the worker."""

    def __init__(
        self,
        queue: Database,
        scheduler: Scheduler,
        submitter: Submitter,
        returning: Returning,
        pool: Pool,
        reporting: ReportSending | None,
    ) -> None:
        self.queue = queue
        self.scheduler = scheduler
        self.submitter = submitter
        self.returning = returning
        self._pool = pool
        self._reporting = reporting
        self._refreshing: asyncio.Task[None] | None = None

    def start(self, policies: MtaStsCache | None) -> None:
        """Begin to deliver."""
        self.scheduler.start()
        if policies is not None:
            self._refreshing = asyncio.create_task(_refresh(policies), name="mtasts")
        if self._reporting is not None:
            self._reporting.start()

    async def close(self) -> None:
        """End deliveries, leave other servers, make everything durable."""
        if self._reporting is not None:
            await self._reporting.close()
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)
        await self.scheduler.stop()
        await self._pool.close()
        await self.queue.close()


async def open_fetcher(files: ConfigFiles, resolver: Resolver) -> Fetcher:
    """For MTA-STS policies.    Errors: Unavailable."""
    pem = await asyncio.to_thread(read_authorities, files.live.config.static, files.relative)

    async def lookup(host: str) -> Sequence[IPAddress]:
        return (await resolver.addresses(host)).records

    return Fetcher(lookup, make_client_context(pem))


async def open_outgoing(
    files: ConfigFiles,
    shard: Shard,
    accounts: Accounts,
    data: Path,
    clock: Clock,
    *,
    outside: Outside | None,
    only_host: tuple[str, int] | None = None,
) -> OutgoingMail:
    """Open the queue.    Errors: MoxError."""
    live = files.live
    static = live.config.static
    pem = await asyncio.to_thread(read_authorities, static, files.relative)
    authorities = await asyncio.to_thread(Authorities.from_pem, pem)
    keys = await asyncio.to_thread(SigningKeys, live, files.path.parent)
    # On the loop: its tasks belong there.
    queue = open_queue(data / QUEUE_FOLDER, clock=clock, keep=partial(_keep_ms, live))
    deliverer = StoreDeliverer(accounts)
    returning = Returning(live, clock, deliverer, queue, keys)
    pool = Pool()
    policies: Policies = NoPolicies() if outside is None else outside.policies
    collects = outside is not None and not static.no_outgoing_tls_reports
    observer = (
        ReportingObserver(outside.reports.results)
        if outside is not None and collects
        else Observer()
    )
    equipment = Equipment(
        live=live,
        clock=clock,
        resolver=Zones({}) if outside is None else outside.resolver,
        sessions=Sessions(clock, authorities, pool),
        policies=policies,
        observer=observer,
        shuffle=random.shuffle,
        only_host=only_host,
    )
    carrier: Carry = Carrier(equipment)
    if only_host is None:
        carrier = LocalCarrier(live, clock, deliverer, returning, shard.spool_folder, carrier)
    scheduler = Scheduler(
        queue,
        carrier,
        returning,
        parse_domain(static.hostname).ascii,
        schedule=_schedule(static.queue),
    )
    submitter = Submitter(
        live=live,
        clock=clock,
        accounts=accounts,
        outgoing=Outgoing(),
        keys=keys,
        queue=queue,
        deliverer=deliverer,
        returned=returning,
        spool_folder=shard.spool_folder,
    )
    reporting = (
        None
        if outside is None
        else ReportSending(outside.reports, outside.resolver, live, clock, keys, queue)
    )
    return OutgoingMail(queue, scheduler, submitter, returning, pool, reporting)


def _schedule(config: QueueConfig) -> Schedule:
    return Schedule(
        after_s=tuple(pause.seconds for pause in config.retry_after),
        every_s=config.retry_every.seconds,
        give_up_s=config.give_up_after.seconds,
    )


def _keep_ms(live: Live, account: str) -> int:
    """For how long it is remembered what became of an account's messages."""
    found = live.config.domains.accounts.get(account)
    seconds = _WEEK_S if found is None else found.keep_retired_message_period.seconds
    return round(seconds * 1000)


_WEEK_S = 7 * 24 * 3600.0  # of accounts that are no more


async def _refresh(policies: MtaStsCache) -> None:
    """Ask for policies again in time."""
    while True:
        try:
            await policies.refresh(lambda count: _REFRESH_SPREAD_S / count)
        except Exception as error:
            metrics.unhandled("mtasts")
            log.error("mtasts.unhandled", error)
        await asyncio.sleep(MTASTS_REFRESH)
