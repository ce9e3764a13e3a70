"""IMAP and SMTP servers of the listeners, with what they share."""

import asyncio
import os
import socket
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from mox.base.clock import Clock
from mox.base.limits import LISTEN_BACKLOG, TLS_HANDSHAKE_TIMEOUT
from mox.base.log import get_logger
from mox.base.ratelimit import OpenCounter, RateLimiter
from mox.config.live import Config
from mox.config.static import KeyCert, Listener, LMTPService
from mox.imapserver import service as imap
from mox.imapserver.server import ImapServer
from mox.inbound.recipients import ConfigDirectory
from mox.outbound.submit import Submitter
from mox.runtime.accounts import Accounts
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.delivery import StoreDeliverer
from mox.runtime.judging import Judges
from mox.runtime.listeners import Place
from mox.runtime.rights import find_uid
from mox.runtime.tls import CertificateFiles, CertificateUnusable, ServerTLS
from mox.sasl.mechanism import Verify
from mox.smtp.address import parse_domain
from mox.smtpserver import service as smtp
from mox.smtpserver.server import SmtpServer
from mox.store.shard import Shard

log = get_logger("worker")

STOP_GRACE_S = 3.0  # for commands in progress; spec/cli.md section 9


class Shared(Struct, frozen=True, kw_only=True):
    """What every service of a worker uses."""

    shard: Shard
    accounts: Accounts
    clock: Clock
    server_secret: bytes
    connections: RateLimiter
    open_connections: OpenCounter
    login_failures: RateLimiter
    next_number: Callable[[], int]
    make_id: Callable[[int], str]
    delays: bool
    special_localparts: bool
    strict_names: bool
    judges: Judges | None  # None: nobody is judged, and no name is looked up
    submitter: Submitter  # of mail of users


class ImapUsers:
    """Logins as the IMAP server asks for them."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def lookup(self, username: str) -> imap.Login | None:
        """A user by the full address, None when there is none."""
        found = await self._accounts.login(username)
        if found is None:
            return None
        return imap.Login(
            account_name=found.account,
            credentials=found.credentials,
            disabled_text=found.disabled,
            capabilities_disabled=frozenset(
                name.upper().encode() for name in found.capabilities_disabled
            ),
        )

    def identity(self, username: str) -> str:
        """One name for all spellings of a user name."""
        return self._accounts.identity(username)

    async def verify(self, step: Verify) -> bool:
        """Check a password."""
        return await self._accounts.verify(step)


def lmtp_peers(service: LMTPService) -> frozenset[int] | None:
    """Whose programs may connect to the socket; None where there is none.    Errors: Refused."""
    if not service.socket:
        return None
    users = {find_uid(name) for name in service.users} or {os.geteuid()}
    return frozenset({0, *users})


class Services:
    """Starts and stops the servers."""

    def __init__(
        self, shared: Shared, files: ConfigFiles, file_at: Callable[[str], Path | None]
    ) -> None:
        """Nothing listens yet.

        Input  file_at: where a file named in ``mox.toml`` is, if not at its own path.
        """
        self._shared = shared
        self._files = files
        self._file_at = file_at
        self._tls: dict[tuple[str, bool], ServerTLS] = {}
        self._listening: list[asyncio.Server] = []
        self._imap: dict[str, ImapServer] = {}  # by listener
        self._smtp: list[SmtpServer] = []
        self._ending: set[asyncio.Task[None]] = set()
        files.live.listen(self._reconfigured)

    async def start(self, place: Place, bound: socket.socket) -> None:
        """Answer on a bound socket once it listens.    Errors: CertificateUnusable."""
        listener = self._files.live.config.static.listeners[place.listener]
        tls = await self._server_tls(place, listener)
        implicit = place.service in {"imaps", "submissions"}
        factory = (
            self._imap_protocol(place, listener, tls, implicit=implicit)
            if place.service.startswith("imap")
            else self._smtp_protocol(place, listener, tls, implicit=implicit)
        )
        encrypted = implicit and tls is not None
        loop = asyncio.get_running_loop()
        if bound.family == socket.AF_UNIX:
            self._listening.append(
                await loop.create_unix_server(
                    factory, sock=bound, backlog=LISTEN_BACKLOG, start_serving=False
                )
            )
            return
        server = await loop.create_server(
            factory,
            sock=bound,
            ssl=tls.context if encrypted and tls is not None else None,
            ssl_handshake_timeout=TLS_HANDSHAKE_TIMEOUT if encrypted else None,
            backlog=LISTEN_BACKLOG,
            start_serving=False,
        )
        self._listening.append(server)

    async def serve(self) -> None:
        """Let connections come."""
        for server in self._listening:
            await server.start_serving()

    async def stop(self) -> None:
        """No new connections; BYE and 421 to those there are."""
        for server in self._listening:
            server.close()
        await asyncio.gather(*(server.stop(STOP_GRACE_S) for server in self._servers()))
        await asyncio.gather(*self._ending, return_exceptions=True)

    async def end_account(self, name: str) -> None:
        """End the sessions of an account with BYE and 421; returns once they are gone."""
        await asyncio.gather(
            *(server.end_account(name, STOP_GRACE_S) for server in self._servers())
        )

    async def poll_certificates(self) -> None:
        """Take up certificate files that changed; what cannot be used is logged, the old stays."""
        for (listener, _), tls in self._tls.items():
            try:
                if await asyncio.to_thread(tls.poll):
                    log.info("certificate.reloaded", listener=listener)
            except CertificateUnusable as error:
                log.error("certificate.refused", listener=listener, problem=error.public)

    def _servers(self) -> list[ImapServer | SmtpServer]:
        return [*self._imap.values(), *self._smtp]

    def _reconfigured(self, old: Config, new: Config) -> None:
        for name in old.domains.accounts.keys() - new.domains.accounts.keys():
            task = asyncio.get_running_loop().create_task(self.end_account(name))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def _server_tls(self, place: Place, listener: Listener) -> ServerTLS | None:
        if listener.tls is None or not listener.tls.key_certs or place.service == "lmtp":
            return None
        incoming = place.service == "smtp"
        key = place.listener, incoming
        if key not in self._tls:
            files = [self._certificate(pair) for pair in listener.tls.key_certs]
            minimum = listener.tls.min_version
            self._tls[key] = await asyncio.to_thread(
                lambda: ServerTLS(
                    files,
                    hostname=self._hostname(listener),
                    min_version=minimum,
                    # Spec/smtp-server.md section 1: other servers get a certificate in any case.
                    strict_names=self._shared.strict_names and not incoming,
                    tickets=not (incoming and listener.smtp.tls_session_tickets_disabled),
                )
            )
        return self._tls[key]

    def _certificate(self, pair: KeyCert) -> CertificateFiles:
        cert, key = self._files.relative(pair.cert_file), self._files.relative(pair.key_file)
        return CertificateFiles(
            cert_file=self._file_at(pair.cert_file) or cert,
            key_file=self._file_at(pair.key_file) or key,
            cert_name=str(cert),
            key_name=str(key),
        )

    def _hostname(self, listener: Listener) -> str:
        """As protocols want it: with A-labels."""
        return parse_domain(listener.hostname or self._files.live.config.static.hostname)

    def _imap_protocol(
        self, place: Place, listener: Listener, tls: ServerTLS | None, *, implicit: bool
    ) -> Callable[[], asyncio.BaseProtocol]:
        server = self._imap.get(place.listener)
        if server is None:
            shared = self._shared
            server = ImapServer(
                imap.ImapService(
                    accounts=shared.accounts,
                    authenticator=ImapUsers(shared.accounts),
                    clock=shared.clock,
                    limiter=imap.Limiter(
                        connections=shared.connections,
                        open=shared.open_connections,
                        failures=shared.login_failures,
                    ),
                    hostname=self._hostname(listener),
                    server_secret=shared.server_secret,
                    delays=imap.Delays() if shared.delays else imap.NO_DELAYS,
                    append_limit=listener.smtp_max_message_size,
                    next_cid=shared.next_number,
                    sync_flags_at_once=(
                        self._files.live.config.static.imap_flag_sync == "immediate"
                    ),
                )
            )
            self._imap[place.listener] = server
        return server.protocol(
            imap.Listener(
                name=place.listener,
                service=place.service,
                tls=None if tls is None else lambda: tls,
                implicit_tls=implicit,
                plaintext_auth_allowed=listener.imap.no_require_starttls,
            )
        )

    def _smtp_protocol(
        self, place: Place, listener: Listener, tls: ServerTLS | None, *, implicit: bool
    ) -> Callable[[], asyncio.BaseProtocol]:
        shared = self._shared
        lmtp = place.service == "lmtp"
        submission = place.service not in {"smtp", "lmtp"}
        plain_login = place.service == "submission" and listener.submission.no_require_starttls
        offered = None if place.service == "smtp" and listener.smtp.no_starttls else tls
        judges = None if submission or (lmtp and listener.lmtp.trusted) else shared.judges
        hostname = self._hostname(listener)
        first_time_s = listener.smtp.first_time_sender_delay.seconds
        server = SmtpServer(
            smtp.SmtpService(
                hostname=hostname,
                submission=submission,
                lmtp=lmtp,
                peers=lmtp_peers(listener.lmtp) if lmtp else None,
                clock=shared.clock,
                directory=ConfigDirectory(self._files.live),
                deliverer=StoreDeliverer(shared.accounts),
                authenticator=shared.accounts,
                connections=shared.connections,
                open_connections=shared.open_connections,
                login_failures=shared.login_failures,
                spool_folder=shared.shard.spool_folder,
                server_secret=shared.server_secret,
                next_number=shared.next_number,
                make_id=shared.make_id,
                listener=place.listener,
                tls=offered,
                tls_required_auth=submission and not plain_login,
                tls_required_mail=(
                    not plain_login if submission else listener.smtp.require_starttls and not lmtp
                ),
                requiretls=submission or not listener.smtp.no_require_tls,
                max_size=listener.smtp_max_message_size,
                delays=(
                    smtp.Delays(first_time_sender_s=first_time_s)
                    if shared.delays and not lmtp
                    else smtp.NO_DELAYS
                ),
                judging=None if judges is None else judges.of_listener(listener, hostname),
                resolver=None if judges is None else judges.resolver,
                submitter=shared.submitter if submission else None,
                future_release=submission,  # the queue holds
                special_localparts=shared.special_localparts,
            )
        )
        self._smtp.append(server)
        return server.protocol(implicit_tls=implicit)
