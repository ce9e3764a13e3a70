"""One worker: everything built from the configuration, run on one uvloop, stopped gracefully.

Stop  new connections are refused, idle ones get BYE or 421, commands in progress finish within a few
      seconds, then the store makes everything durable and the process ends with 0.
"""

import asyncio
import gc
import resource
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import uvloop
from msgspec import Struct

from mox._speedups import IMPLEMENTATION
from mox.base import log as logging
from mox.base import metrics
from mox.base.clock import SystemClock
from mox.base.errors import Unavailable
from mox.base.limits import (
    FILES_OPEN,
)
from mox.base.log import get_logger
from mox.base.version import mox_version
from mox.config.live import Config
from mox.ctl.server import ControlServer
from mox.imapserver.derive import derive
from mox.reports.keeper import open_reports
from mox.runtime.accounts import Accounts
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.control import Control
from mox.runtime.installation import (
    SERVER_SECRET_FILE,
    connection_ids,
    read_or_make,
    read_or_make_trace_ids,
)
from mox.runtime.judging import Judges, make_resolver
from mox.runtime.listeners import Bound, bind_places, places
from mox.runtime.metricshttp import MetricsServer
from mox.runtime.outgoing import OutgoingMail, Outside, open_fetcher, open_outgoing
from mox.runtime.rates import RateFile, Rates
from mox.runtime.services import Services, Shared
from mox.runtime.sockets import listen
from mox.store.serverdata import open_server_data
from mox.store.shard import Shard, open_shard

log = get_logger("worker")

# Threads scanning the index hold the GIL row by row; with Python's default of 5 ms the event loop
# stalled up to 14 ms (engine.md section 2.2).  A message that is judged has two turns with a thread: half
# of this cost a tenth of the messages, twice this won nothing (measured).
SWITCH_INTERVAL_S = 0.001
# Containers made before the youngest are looked at; with Python's default of 700 a message that is
# submitted and sent took 5 % more of the processor (measured), for hardly anything to collect.
COLLECT_AFTER = 20_000
CONFIG_POLL_S = 1.0  # spec/config.md section 10
SHARD_FOLDER = Path("shards") / "0"
SERVER_FOLDER = Path("server")


def _no_file(_name: str) -> Path | None:
    return None


class WorkerOptions(Struct, frozen=True, kw_only=True):
    """What differs between ``serve`` and ``localserve``."""

    delays: bool = True  # slow down guessing and probing
    local: bool = False  # everybody is on this machine: connections are not rationed
    special_localparts: bool = False  # addresses that make errors
    new_accounts: dict[str, str] = {}  # passwords set where an account has none yet
    ready: Callable[[], None] | None = None  # called once everything listens
    handed_file: Callable[[str], Path | None] = _no_file  # a file of mox.toml, from the supervisor
    supervised: bool = False


def run_worker(files: ConfigFiles, options: WorkerOptions, bound: Bound | None = None) -> int:
    """Serve until stopped; the exit code.    Errors: MoxError when it cannot start.

    Input  bound: sockets that a parent bound; otherwise they are bound here.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    # What is loaded by now stays: no collection need look at it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    _allow_many_files()
    static = files.live.config.static
    logging.configure(static.log_level, dict(static.package_log_levels))
    logging.count_lines(metrics.log_line)
    if bound is None:
        bound = bind_places(places(static.listeners, files.relative))
    try:
        return uvloop.run(Worker(files, options, bound).run())
    finally:
        for _, one in bound:
            one.close()


class Worker:
    """Made and run once per process."""

    def __init__(self, files: ConfigFiles, options: WorkerOptions, bound: Bound) -> None:
        self._files = files
        self._options = options
        self._bound = bound
        self._stop = asyncio.Event()

    async def run(self) -> int:
        """Start, wait for the end, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.set_exception_handler(_unhandled)
        data = self._files.data_dir
        await asyncio.to_thread(_make_folder, data)
        # On the loop: its tasks belong there, and nothing else runs yet.
        async with AsyncExitStack() as open_things:
            shard = open_shard(data / SHARD_FOLDER, derive)
            open_things.push_async_callback(shard.close)
            await self._serve(shard, data, open_things)
        log.info("worker.stopped")
        return 0

    async def _serve(self, shard: Shard, data: Path, open_things: AsyncExitStack) -> None:
        accounts = Accounts(shard, self._files.live)
        for name, password in self._options.new_accounts.items():
            if not await accounts.has_password(name):
                await accounts.set_password(name, password)
        rates = await self._rates(data, open_things)
        outside = None if self._options.local else await self._outside(data, open_things)
        outgoing = await open_outgoing(
            self._files,
            shard,
            accounts,
            data,
            SystemClock(),
            outside=outside,
            only_host=self._own_place() if self._options.local else None,
        )
        open_things.push_async_callback(outgoing.close)
        judges = None
        if outside is not None:
            judges = Judges(
                self._files.live,
                accounts,
                shard,
                SystemClock(),
                outside.reports,
                outside.resolver,
                bouncer=outgoing.returning,
            )
        shared = await self._shared(shard, accounts, data, rates, judges, outgoing)
        services = Services(shared, self._files, self._options.handed_file)
        metrics_server = MetricsServer()
        handlers = Control(
            self._files,
            shard,
            accounts,
            self._stop.set,
            services.end_account,
            supervised=self._options.supervised,
            reports=None if outside is None else outside.reports,
            outgoing=outgoing,
        ).handlers()
        control = ControlServer(data, handlers)
        polling = asyncio.create_task(self._poll_files(services), name="config")
        try:
            for place, bound in self._bound:
                if place.service != "metrics":
                    await services.start(place, bound)
            # All of them before anybody is answered: another process may have been faster.
            listen([bound for _, bound in self._bound])
            await metrics_server.start(
                [bound for place, bound in self._bound if place.service == "metrics"]
            )
            await services.serve()
            outgoing.start(None if outside is None else outside.policies)
            # Last, so that a second server that cannot start leaves the first one's socket alone.
            await control.start()
            self._announce()
            await self._stop.wait()
            log.info("worker.stopping")
        finally:
            polling.cancel()
            await asyncio.gather(polling, return_exceptions=True)
            await control.stop()
            await services.stop()
            await metrics_server.stop()
            accounts.close()

    async def _rates(self, data: Path, open_things: AsyncExitStack) -> Rates:
        """What one address may do; the counts are kept over a restart where that is wanted."""
        static, clock = self._files.live.config.static, SystemClock()
        rates = Rates(clock, static.rate_limits, limited=not self._options.local)
        if static.keep_rate_state:
            file = RateFile(rates, data, clock)
            await file.load()
            await open_things.enter_async_context(file.keeping())
        return rates

    async def _outside(self, data: Path, open_things: AsyncExitStack) -> Outside:
        """What leads beyond this machine; closed with the worker.    Errors: MoxError."""
        server_data = open_server_data(data / SERVER_FOLDER)
        open_things.push_async_callback(server_data.close)
        reports = await open_reports(server_data)
        open_things.push_async_callback(reports.close)
        try:
            resolver = make_resolver(self._files.live.config.static.dns, SystemClock())
        except OSError as error:
            text = f"cannot read the resolvers of this system: {error.strerror}"
            raise Unavailable(text, cause=error) from error
        open_things.push_async_callback(resolver.close)
        fetcher = await open_fetcher(self._files, resolver)
        return Outside(resolver, server_data, reports, fetcher)

    def _own_place(self) -> tuple[str, int]:
        """Where localserve delivers what it queued: to itself."""
        listener = next(iter(self._files.live.config.static.listeners.values()))
        return listener.ips[0], listener.smtp.port

    async def _shared(
        self,
        shard: Shard,
        accounts: Accounts,
        data: Path,
        rates: Rates,
        judges: Judges | None,
        outgoing: OutgoingMail,
    ) -> Shared:
        clock = SystemClock()
        trace_ids = await asyncio.to_thread(read_or_make_trace_ids, data)
        secret = await asyncio.to_thread(read_or_make, data / SERVER_SECRET_FILE, 32)
        numbers = connection_ids(clock.now_ms())
        return Shared(
            shard=shard,
            accounts=accounts,
            clock=clock,
            server_secret=secret,
            connections=rates.connections,
            open_connections=rates.open_connections,
            login_failures=rates.login_failures,
            next_number=partial(next, numbers),
            make_id=trace_ids.make,
            delays=self._options.delays,
            special_localparts=self._options.special_localparts,
            strict_names=not self._options.local,
            judges=judges,
            submitter=outgoing.submitter,
        )

    def _announce(self) -> None:
        metrics.set_speedups(IMPLEMENTATION)
        log.info("worker.ready", version=mox_version(), speedups=IMPLEMENTATION)
        for place, _ in self._bound:
            log.info("worker.listening", service=place.service, on=str(place.endpoint))
        if self._options.ready is not None:
            self._options.ready()

    async def _poll_files(self, services: Services) -> None:
        self._files.live.listen(_log_change)
        while True:
            await asyncio.sleep(CONFIG_POLL_S)
            try:
                # A look at the files' times; they are read only when these changed.
                await self._files.poll()
                await services.poll_certificates()
            except Exception as error:
                # Of whoever was told of the change; the next one is to be seen all the same.
                metrics.unhandled("serve")
                log.error("config.unhandled", error)


def _allow_many_files() -> None:
    """Each connection is a descriptor, and so is each file of the store."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_OPEN if hard == resource.RLIM_INFINITY else min(hard, FILES_OPEN)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise Unavailable(
            f"cannot make the data folder {data}: {error.strerror}", cause=error
        ) from error


def _unhandled(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An error that no task or callback took: a fault of ours."""
    metrics.unhandled("serve")
    log.error("worker.unhandled", context.get("exception"), message=context.get("message"))


def _log_change(old: Config, new: Config) -> None:
    log.info(
        "config.changed",
        accounts=len(new.domains.accounts),
        domains=len(new.domains.domains),
        accounts_before=len(old.domains.accounts),
    )
