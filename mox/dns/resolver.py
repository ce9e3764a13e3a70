"""The Resolver of the server: asks the configured servers; the only door to dnspython.

Notes
- We are a stub (RFC 4033 §4.9): the configured server resolves and validates.  Its AD bit is asked
  for in every question (RFC 6840 §5.7) and believed only where the settings say so.
- A question that is under way is asked once, for everybody who wants its answer; whoever stops
  waiting does not disturb the others.  What it found is kept in the cache.
- dnspython sends each question from a fresh random port with a random id, drops datagrams that do
  not answer it, asks again by TCP where the answer was cut, and follows only aliases that start at
  the name asked; other records of an answer are not looked at.
"""

import asyncio
import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype
import dns.resolver
from dns.rdtypes.ANY.CNAME import CNAME
from dns.rdtypes.ANY.MX import MX
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.PTR import PTR
from dns.rdtypes.ANY.TLSA import TLSA
from dns.rdtypes.ANY.TXT import TXT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.rdtypes.IN.SRV import SRV

from mox.base.clock import Clock, SystemClock
from mox.base.limits import (
    DNS_ERROR_TEXT,
    DNS_LOOKUP_TIMEOUT,
    DNS_QUERIES,
    DNS_QUEUE,
    DNS_RECORDS,
    DNS_TRY_TIMEOUT,
)
from mox.dns.base import (
    Answer,
    Bogus,
    DnsError,
    Kind,
    Lookups,
    Mx,
    NotFound,
    Record,
    Srv,
    Temporary,
    Tlsa,
)
from mox.dns.cache import Cache, Key
from mox.dns.name import BadName, canonical, check_name
from mox.dns.resolvconf import ResolverSettings, parse_resolv_conf

Observer = Callable[[Kind, str, float], None]
"""Told of every question: its kind, a result word, seconds.    See ``result_word``."""

_PAYLOAD: Final = 1232  # bytes of a datagram that no network cuts; the DNS flag day of 2020
_SYSTEM_FILE: Final = Path("/etc/resolv.conf")
# RFC 8914 §4: the extended errors that mean trouble with DNSSEC.
_DNSSEC_ERRORS: Final = frozenset({1, 2, 5, 6, 7, 8, 9, 10, 11, 12})


def result_word(outcome: Answer[Record] | DnsError) -> str:
    """How a question ended: ok, nxdomain, temporary or timeout."""
    if isinstance(outcome, Answer):
        return "ok"
    if isinstance(outcome, NotFound):
        return "nxdomain"
    return "timeout" if outcome.fields.get("reason") == "timeout" else "temporary"


def system_settings(path: Path = _SYSTEM_FILE) -> ResolverSettings:
    """What the system uses; its default where there is no such file.    Errors: OSError."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        text = ""
    return parse_resolv_conf(text)


class DnsResolver(Lookups):
    """A ``Resolver`` with a cache.    Close it; it belongs to the event loop it is used in."""

    def __init__(
        self,
        settings: ResolverSettings,
        *,
        clock: Clock | None = None,
        cache: Cache | None = None,
        timeout_s: float = DNS_LOOKUP_TIMEOUT,
        try_timeout_s: float = DNS_TRY_TIMEOUT,
        observe: Observer | None = None,
    ) -> None:
        """Input: timeout_s: for a look-up with all its tries; try_timeout_s: for one of them."""
        stub = dns.asyncresolver.Resolver(configure=False)
        stub.nameservers = list(settings.servers)
        stub.port = settings.port
        stub.nameserver_ports = dict(settings.ports)
        stub.timeout = try_timeout_s
        stub.lifetime = timeout_s
        stub.search = []
        stub.cache = None
        stub.use_edns(0, 0, _PAYLOAD)  # with EDNS extended errors come back; RFC 8914 §3
        stub.flags = dns.flags.Flag.RD | dns.flags.Flag.AD
        self._stub = stub
        self._backend = dns.asyncbackend.get_backend("asyncio")
        self._is_trusted = settings.is_trusted
        self._clock = clock or SystemClock()
        self._timeout_s = timeout_s
        self._observe = observe
        self._slots = asyncio.Semaphore(DNS_QUERIES)
        self._running: dict[Key, asyncio.Task[Answer[Record] | DnsError]] = {}
        self._is_closed = False
        self.cache = cache if cache is not None else Cache()

    async def close(self) -> None:
        """End the questions under way; later ones fail as Temporary."""
        self._is_closed = True
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def query(self, name: str, kind: Kind) -> Answer[Record]:
        """Records of one kind, from the cache or from the servers."""
        labels = check_name(name)
        key = (canonical(name), kind)
        known = self.cache.get(key, self._clock.monotonic_s())
        outcome = known if known is not None else await self._shared(key, labels)
        if isinstance(outcome, Answer):
            return outcome
        # It may have been raised for somebody else already.
        raise outcome.with_traceback(None)

    def prefetch(self, name: str, kind: Kind) -> None:
        """Begin a look-up unless its answer is known; nothing while there is much to do."""
        try:
            labels = check_name(name)
        except BadName:
            return
        key = (canonical(name), kind)
        busy = self._is_closed or len(self._running) >= DNS_QUERIES
        if not busy and not self.cache.has(key, self._clock.monotonic_s()):
            self._start(key, labels)

    async def _shared(self, key: Key, labels: tuple[str, ...]) -> Answer[Record] | DnsError:
        if self._is_closed:
            return Temporary(name=key[0], reason="closed")
        if key not in self._running and len(self._running) >= DNS_QUEUE:
            return Temporary(name=key[0], reason="too many lookups")
        self._start(key, labels)
        task = self._running[key]
        await asyncio.wait({task})  # does not cancel it when we are cancelled
        if task.cancelled():
            return Temporary(name=key[0], reason="closed")
        return task.result()

    def _start(self, key: Key, labels: tuple[str, ...]) -> None:
        if key in self._running:
            return
        task = asyncio.create_task(self._run(key, labels))
        self._running[key] = task
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _run(self, key: Key, labels: tuple[str, ...]) -> Answer[Record] | DnsError:
        """Ask, within the limits, and remember."""
        start = self._clock.monotonic_s()
        outcome: Answer[Record] | DnsError
        try:
            async with asyncio.timeout(self._timeout_s), self._slots:
                outcome = await self._ask(key, labels)
        except TimeoutError as e:
            outcome = Temporary(cause=e, name=key[0], reason="timeout")
        now = self._clock.monotonic_s()
        if isinstance(outcome, Answer | NotFound):
            self.cache.put(key, outcome, now)
        if self._observe is not None:
            self._observe(key[1], result_word(outcome), now - start)
        return outcome

    async def _ask(self, key: Key, labels: tuple[str, ...]) -> Answer[Record] | DnsError:
        name, kind = key
        qname = dns.name.Name([*(label.encode("ascii") for label in labels), b""])
        try:
            found = await self._stub.resolve(
                qname, dns.rdatatype.RdataType[kind.value], search=False, backend=self._backend
            )
        except dns.resolver.NXDOMAIN as e:
            responses = list(e.kwargs["responses"].values())
            return self._missing(name, responses[0], is_nxdomain=True)
        except dns.resolver.NoAnswer as e:
            return self._missing(name, e.kwargs["response"], is_nxdomain=False)
        except dns.resolver.LifetimeTimeout as e:
            return Temporary(cause=e, name=name, reason="timeout")
        except dns.resolver.NoNameservers as e:
            return _failure(name, e)
        except (dns.exception.DNSException, OSError) as e:
            return Temporary(cause=e, name=name)
        records = _records(found)
        owner = _text(found.canonical_name)
        if not records or owner is None:
            return Temporary(name=name, reason="no usable record")
        return Answer(
            records=records,
            name=owner,
            authentic=self._authentic(found.response),
            ttl=found.chaining_result.minimum_ttl,
        )

    def _authentic(self, response: dns.message.Message) -> bool:
        return self._is_trusted and bool(response.flags & dns.flags.Flag.AD)

    def _missing(
        self, name: str, response: dns.message.QueryMessage, *, is_nxdomain: bool
    ) -> NotFound:
        # RFC 2308 §5: the lesser of the TTL of the SOA record and of its MINIMUM field.
        return NotFound(
            is_nxdomain=is_nxdomain,
            authentic=self._authentic(response),
            ttl=response.resolve_chaining().minimum_ttl,
            name=name,
        )


def _failure(name: str, error: dns.resolver.NoNameservers) -> Temporary:
    """Every server failed; whether one of them gave DNSSEC as its reason."""
    for _, _, _, _, response in error.kwargs["errors"]:
        for extended in response.extended_errors() if response is not None else ():
            if extended.code in _DNSSEC_ERRORS:
                text = "".join(c if c.isprintable() else "?" for c in extended.text or "")
                text = text[:DNS_ERROR_TEXT]
                return Bogus(cause=error, code=int(extended.code), text=text, name=name)
    return Temporary(cause=error, name=name)


def _text(name: dns.name.Name) -> str | None:
    """A name in lower case; None for one that text cannot hold: a dot or worse within a label."""
    labels = [label for label in name.labels if label]
    for label in labels:
        if not all(0x20 < byte < 0x7F and byte not in b".\\" for byte in label):
            return None
    return b".".join(labels).decode("ascii").lower()


def _records(rdatas: Iterable[dns.rdata.Rdata]) -> tuple[Record, ...]:
    """Our form of them; those that name nothing usable are left out."""
    found: list[Record] = []
    for rdata in rdatas:
        record = _record(rdata)
        if record is not None and len(found) < DNS_RECORDS:
            found.append(record)
    return tuple(found)


def _record(rdata: dns.rdata.Rdata) -> Record | None:
    match rdata:
        case A():
            return ipaddress.IPv4Address(rdata.address)
        case AAAA():
            return ipaddress.IPv6Address(rdata.address)
        case TXT():
            return b"".join(rdata.strings)
        case TLSA():
            return Tlsa(rdata.usage, rdata.selector, rdata.mtype, rdata.cert)
        case MX():
            host = _text(rdata.exchange)
            return None if host is None else Mx(rdata.preference, host)
        case SRV():
            target = _text(rdata.target)
            if target is None:
                return None
            return Srv(rdata.priority, rdata.weight, rdata.port, target)
        case PTR() | CNAME() | NS():
            return _text(rdata.target) or None
        case _:
            return None
