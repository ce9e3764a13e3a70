"""Debian's knot, authoritative for zones described in Python, and its unbound, validating, in front.

with Names([Zone("example.org", {...})]) as names:
    resolver = DnsResolver(names.settings)
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Self

import dns.exception
import dns.message
import dns.query
import dns.rcode

from mox.dns.resolvconf import ResolverSettings
from support.counterparts import program
from support.daemon import Daemon, free_port
from support.dnszones import Zone, trust_anchor, zone_files
from support.ports import HOST

KNOT_CONFIG = """\
server:
    listen: {host}@{port}
    rundir: {folder}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {folder}
log:
  - target: stderr
    any: info
control:
    listen: {folder}/control
template:
  - id: default
    storage: {folder}/zones
    zonefile-sync: -1
    zonefile-load: whole
    journal-content: none
    semantic-checks: soft
zone:
"""
UNBOUND_CONFIG = """\
server:
    interface: {host}@{port}
    directory: {folder}
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    verbosity: 1
    val-log-level: 2
    val-bogus-ttl: 0
    do-daemonize: no
    num-threads: 1
    do-ip6: no
    do-not-query-localhost: no
    ede: yes
    module-config: "validator iterator"
    trust-anchor: ". DS {anchor}"
    qname-minimisation: no
    target-fetch-policy: "0 0 0 0 0"
    unblock-lan-zones: yes
    max-udp-size: 4096
    rrset-roundrobin: no
    infra-host-ttl: 1
    outbound-msg-retry: 2
remote-control:
    control-enable: no
"""
STUB = """\
stub-zone:
    name: "{name}"
    stub-addr: {host}@{port}
"""


def _answers(port: int, name: str = ".") -> bool:
    """Whether a name server answers there with success, by UDP and by TCP."""
    question = dns.message.make_query(name, "SOA")
    try:
        # TCP first: it is told at once that nobody listens.
        first = dns.query.tcp(question, HOST, port=port, timeout=5)
        other = dns.query.udp(question, HOST, port=port, timeout=5)
    except (dns.exception.DNSException, OSError, EOFError):
        return False
    return all(answer.rcode() == dns.rcode.Rcode.NOERROR for answer in (first, other))


def free_udp_port() -> int:
    """A port that is free for UDP and TCP."""
    while True:
        port = free_port()
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
        ):
            sock.bind((HOST, port))
            return port


class Knot(Daemon):
    """The authoritative server."""

    name = "knot"

    def __init__(self, zones: Sequence[Zone]) -> None:
        self.executable = program("knotd", "knot")
        super().__init__()
        self.port = free_udp_port()
        config = KNOT_CONFIG.format(host=HOST, port=self.port, folder=self.folder)
        (self.folder / "zones").mkdir()
        self._apexes = [".", *(zone.apex for zone in zones)]
        for number, (apex, text) in enumerate(zone_files(zones).items()):
            (self.folder / "zones" / f"{number}.zone").write_text(text)
            config += f'  - domain: "{apex}"\n    file: "{number}.zone"\n'
        (self.folder / "knot.conf").write_text(config)

    def arguments(self) -> list[str]:
        """The command."""
        return [self.executable, "-c", str(self.folder / "knot.conf")]

    def is_ready(self) -> bool:
        """Whether it answers for all zones.    Errors: RuntimeError for one it cannot read."""
        if "zone loader, error" in self.said():
            raise RuntimeError(f"knot: {self.said()}")
        return all(_answers(self.port, apex) for apex in self._apexes)


class Unbound(Daemon):
    """The resolver; ``elsewhere``: other servers by the zone they answer for."""

    name = "unbound"

    def __init__(
        self, port: int, zones: Sequence[Zone], elsewhere: Mapping[str, int], own_port: int = 0
    ) -> None:
        self.executable = program("unbound")
        super().__init__()
        self.port = own_port or free_udp_port()
        config = UNBOUND_CONFIG.format(
            host=HOST, port=self.port, folder=self.folder, anchor=trust_anchor()
        )
        for zone in zones:
            # Some names, of loopback among them, are otherwise answered by itself.
            config = config.replace(
                "remote-control:", f'    local-zone: "{zone.apex}." nodefault\nremote-control:'
            )
        # One per zone: a zone's NS records cannot say at which port its server is.
        stubs = {zone.apex: port for zone in zones}
        for name, other in {".": port, **stubs, **elsewhere}.items():
            config += STUB.format(name=name, host=HOST, port=other)
        (self.folder / "unbound.conf").write_text(config)

    def arguments(self) -> list[str]:
        """The command."""
        return [self.executable, "-d", "-p", "-c", str(self.folder / "unbound.conf")]

    def is_ready(self) -> bool:
        """Whether it answers for the root, which it has validated."""
        return _answers(self.port)


class Names:
    """Both, one asking the other."""

    def __init__(
        self,
        zones: Sequence[Zone],
        elsewhere: Mapping[str, int] | None = None,
        *,
        port: int = 0,
    ) -> None:
        """Input   elsewhere: as for Unbound.  port: of the resolver; 0: any that is free."""
        self.knot = Knot(zones)
        try:
            self.unbound = Unbound(self.knot.port, zones, elsewhere or {}, port)
        except BaseException:
            self.knot.end()
            raise

    def __enter__(self) -> Self:
        try:
            self.knot.start()
            self.unbound.start()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def end(self) -> None:
        """Stop both."""
        self.unbound.end()
        self.knot.end()

    @property
    def settings(self) -> ResolverSettings:
        """For our resolver."""
        return ResolverSettings(servers=(HOST,), port=self.unbound.port)
