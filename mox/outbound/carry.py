"""One attempt to deliver: the way, its hosts, TLS as each asks for it, the recipients.

Source  RFC 5321 §5.1; spec/smtp-client-queue.md sections 2 to 7, section 0 binding.
"""

import ipaddress
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from mox.base.clock import Clock
from mox.base.limits import SMTP_RECIPIENTS
from mox.base.log import get_logger
from mox.config.live import Live
from mox.config.transport import Relay, StartTLSRelay, SubmissionsRelay, Transport
from mox.dns.base import Answer, DnsError, NotFound, Resolver
from mox.dns.name import BadName, IPAddress, parse_domain
from mox.outbound import counting
from mox.outbound.hosts import Destination, find_hosts, in_time
from mox.outbound.pool import Place
from mox.outbound.session import Opened, Sessions, Target
from mox.outbound.tlsa import find_tlsa
from mox.outbound.tlsreport import Seen, observe
from mox.outbound.transaction import failed, send_all
from mox.outbound.way import Way, choose_way
from mox.queue.carry import Carried, Delivery, Outcome, Result
from mox.queue.entry import Entry, HostTry
from mox.smtp.reply import Reply, reply
from mox.smtpclient.auth import Login
from mox.smtpclient.dial import Dial, DirectDial, SocksDial, in_order
from mox.smtpclient.errors import (
    DeliveryError,
    LinkLost,
    NotReached,
    TlsUnavailable,
)
from mox.smtpclient.secure import Secured
from mox.smtpclient.socks import parse_proxy
from mox.tlspolicy.choose import NO_DANE, DaneFinding, Demand, Plan, choose
from mox.tlspolicy.observation import NO_STS, Observer, StsFinding

log = get_logger("outbound")

Observed = Callable[[Opened, DeliveryError | None], None]

NO_SUCH_DOMAIN = reply(550, "5.1.2", "no such domain")
REQUIRETLS_IMPOSSIBLE = reply(554, "5.7.30", "no host supports REQUIRETLS with a proven identity")


class Policies(Protocol):
    """Who knows the MTA-STS policies of domains."""

    async def get(self, domain: str) -> StsFinding:
        """What is known of the policy of a domain, A-labels.    Errors: DnsError: ask later."""
        ...


class NoPolicies:
    """Knows none."""

    async def get(self, domain: str) -> StsFinding:
        """None."""
        return NO_STS


class Refusal(DeliveryError):
    """A policy forbids sending; nothing was said to the host."""

    default = "forbidden by policy"


class Equipment(msgspec.Struct, frozen=True, kw_only=True):
    """What carrying needs."""

    live: Live
    clock: Clock
    resolver: Resolver
    sessions: Sessions
    policies: Policies
    observer: Observer
    shuffle: Callable[[list[str]], None]
    direct: Dial = DirectDial()
    port: int = 25  # of the hosts of others
    only_host: tuple[str, int] | None = None  # localserve: everything goes to this place


class Carrier:
    """``queue.Carry``."""

    def __init__(self, equipment: Equipment) -> None:
        self._equipment = equipment

    async def carry(self, delivery: Delivery) -> Carried:
        """One attempt.    Errors: none on purpose; what fails is an outcome."""
        attempt = _Attempt(self._equipment, delivery)
        try:
            await attempt.run()
        except DeliveryError as error:
            attempt.fail(error)
        return attempt.carried()


class _Attempt:
    def __init__(self, equipment: Equipment, delivery: Delivery) -> None:
        self._with = equipment
        self._delivery = delivery
        self._left: dict[int, Entry] = {entry.id: entry for entry in delivery.entries}
        self._entry = delivery.entries[0]
        self._outcomes: list[Outcome] = []
        self._tries: list[HostTry] = []
        self._dialed: dict[str, list[str]] = {}
        self._reached = False
        self._at: tuple[str, str] = ("", "")  # host and address of the last try
        # Of the try that is going on.
        self._opened = Opened()
        self._results: list[Result] = []
        self._target_now: Target
        self._try_began_ms = 0
        self._is_lenient = False

    def carried(self) -> Carried:
        """What was not settled yet."""
        return Carried(
            outcomes=tuple(self._outcomes),
            tries=tuple(self._tries),
            dialed={host: tuple(ips) for host, ips in self._dialed.items()},
            reached=self._reached,
        )

    def fail(self, error: DeliveryError) -> None:
        """Nobody who is left gets it now."""
        self._outcomes += [failed(entry, error, *self._at) for entry in self._left.values()]
        self._left.clear()

    async def run(self) -> None:
        """Errors: DeliveryError, for all who are left."""
        config = self._with.live.config
        way = choose_way(config, self._entry, self._entry.attempts - 1)
        transport = way.transport
        if transport.fail is not None:
            code = transport.fail.smtp_code
            text = transport.fail.smtp_message or "delivery failed by configuration"
            said = reply(code, f"{code // 100}.7.0", text)
            raise Refusal(text, permanent=code >= 500, reply=said)
        relay = transport.submissions or transport.submission or transport.smtp
        if relay is not None:
            await self._by_relay(way, relay)
        elif self._with.only_host is not None:
            await self._to_only_host(way, *self._with.only_host)
        else:
            await self._direct(way)

    # -------------------------------------------------------------- ways

    async def _direct(self, way: Way) -> None:
        domain = self._delivery.domain
        if domain.startswith("["):
            ip = _literal(domain)
            await self._one(way, domain, _one_address(ip), self._plan(str(ip), NO_STS, NO_DANE))
            return
        sts = await self._policy(domain)
        destination = await find_hosts(self._with.resolver, domain, self._with.shuffle)
        errors: list[DeliveryError] = []
        for host in destination.hosts:
            error = await self._host(way, destination, host, sts)
            if error is None:
                if not self._left:
                    return
                continue
            errors.append(error)
            if error.permanent:
                break
        if not self._left:
            return
        if errors and all(isinstance(error, Refusal) for error in errors):
            raise errors[-1] if self._entry.require_tls is not True else _no_requiretls(errors[-1])
        raise errors[-1] if errors else LinkLost("no host took the message")

    async def _policy(self, domain: str) -> StsFinding:
        try:
            return await self._with.policies.get(domain)
        except DnsError as error:
            if self._entry.require_tls is False:
                counting.ignored("mtastspolicy")
                return NO_STS
            # RFC 8461 §3.1: without an answer nobody knows that there is no policy.
            raise LinkLost(f"MTA-STS policy of {domain}: {error.public}", cause=error) from error

    async def _host(
        self, way: Way, destination: Destination, host: str, sts: StsFinding
    ) -> DeliveryError | None:
        """Errors are returned: another host may do better."""
        try:
            addresses = await in_time(self._with.resolver.addresses(host))
        except (DnsError, BadName) as error:
            return _unknown_host(host, error, implicit=destination.implicit)
        found = await find_tlsa(self._with.resolver, destination, host, addresses, self._with.port)
        counting.destination(destination, found)
        plan = self._plan(host, sts, found)
        counting.planned(host, plan, sts, found, self._entry.require_tls)
        seen = Seen(
            domain=destination.domain,
            host=host,
            sts=sts,
            dane=found,
            is_implicit_host=destination.implicit,
            entry=self._entry,
        )

        def observed(opened: Opened, problem: DeliveryError | None) -> None:
            observation = observe(seen, plan, opened, problem, self._with.clock.now_ms())
            self._with.observer.observe(observation)

        if plan.refusal:
            refusal = Refusal(plan.refusal)
            observed(Opened(), refusal)
            now_ms = self._with.clock.now_ms()
            self._tries.append(
                HostTry(
                    host=host,
                    start_ms=now_ms,
                    policy=plan.demand.value,
                    policy_why="; ".join(plan.why),
                    outcome=plan.refusal,
                )
            )
            return refusal
        try:
            await self._one(way, host, addresses, plan, observed)
        except TlsUnavailable as error:
            if not plan.may_fall_back:
                return error
            counting.fell_back(self._entry.require_tls)
            # RFC 7435 §4: mail that would have gone in clear to a host without TLS still goes.
            clear = msgspec.structs.replace(
                plan,
                demand=Demand.NONE,
                why=(*plan.why, f"in clear, since TLS failed: {error.public}"),
            )
            try:
                await self._one(way, host, addresses, clear)
            except DeliveryError as second:
                return second
        except DeliveryError as error:
            return error
        return None

    async def _by_relay(self, way: Way, relay: Relay) -> None:
        plan = _relay_plan(relay)
        if self._entry.require_tls and not plan.verify_pkix:
            counting.without_policy()
            raise _no_requiretls(None)
        host = relay.host
        try:
            ip = ipaddress.ip_address(host)
        except ValueError:
            try:
                addresses = await in_time(self._with.resolver.addresses(host))
            except (DnsError, BadName) as error:
                raise NotReached(f"{host}: {error.public}", cause=error) from error
        else:
            addresses = _one_address(ip)
        login = None
        if relay.auth is not None:
            login = Login(
                username=relay.auth.username,
                password=relay.auth.password,
                mechanisms=relay.auth.wanted,
            )
        await self._one(
            way, host, addresses, plan, port=relay.port, login=login, needs_8bitmime=True
        )

    async def _to_only_host(self, way: Way, host: str, port: int) -> None:
        plan = Plan(demand=Demand.NONE, server_name=host, why=("everything goes to this server",))
        await self._one(way, host, _one_address(ipaddress.ip_address(host)), plan, port=port)

    def _plan(self, host: str, sts: StsFinding, found: DaneFinding) -> Plan:
        return choose(
            host,
            policy=sts.policy,
            found=found,
            require_tls=self._entry.require_tls,
            # A report about domains' mail must not be read by the way.
            may_fall_back=not self._entry.is_dmarc_report,
        )

    # -------------------------------------------------------------- one host

    async def _one(
        self,
        way: Way,
        host: str,
        addresses: Answer[IPAddress],
        plan: Plan,
        observed: "Observed | None" = None,
        *,
        port: int = 0,
        login: Login | None = None,
        needs_8bitmime: bool = False,
    ) -> None:
        """One host under one plan.    Errors: DeliveryError, for all who are left."""
        target = self._target(way, host, addresses, plan, port or self._with.port, login)
        # spec section 5: a host with both families may mind only one of our addresses.
        self._is_lenient = (
            host not in self._entry.dialed and len({ip.version for ip in target.ips}) == 2
        )
        self._opened, self._try_began_ms = Opened(), self._with.clock.now_ms()
        self._target_now = target
        self._results = []
        problem: DeliveryError | None = None
        failure: BaseException | None = None
        began_s = self._with.clock.monotonic_s()
        try:
            await self._speak(target, self._opened, needs_8bitmime=needs_8bitmime)
        except DeliveryError as error:
            if self._is_lenient and _is_policy_reply(error.reply):
                error.permanent = False
            problem = failure = error
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            counting.tried(
                self._entry.attempts,
                way.name,
                counting.mode_of(plan, by_policy=observed is not None),
                self._results,
                failure,
                self._with.clock.monotonic_s() - began_s,
            )
            opened = self._opened
            if opened.ip:
                self._dialed.setdefault(host, []).append(opened.ip)
                self._at = (host, opened.ip)
            self._reached = self._reached or bool(opened.replies)
            if observed is not None:
                observed(opened, problem)
            self._tries.append(self._try("delivered" if problem is None else problem.public, plan))

    def _target(
        self,
        way: Way,
        host: str,
        addresses: Answer[IPAddress],
        plan: Plan,
        port: int,
        login: Login | None,
    ) -> Target:
        transport = way.transport
        ips = [ip for ip in addresses.records if _family_allowed(transport, ip)]
        if not ips:
            raise NotReached(f"{host} has no address of a family that is in use")
        earlier = [ipaddress.ip_address(ip) for ip in self._entry.dialed.get(host, ())]
        hello = self._with.live.config.static.hostname
        connect = self._with.direct
        if transport.socks is not None:
            proxy_host, proxy_port = parse_proxy(transport.socks.address)
            connect = SocksDial(host=proxy_host, port=proxy_port)
            hello = transport.socks.remote_hostname
        place = Place(
            host=host, port=port, way=way.name, hello=parse_domain(hello).ascii, plan=plan
        )
        return Target(place=place, ips=tuple(in_order(ips, earlier)), connect=connect, login=login)

    async def _speak(self, target: Target, opened: Opened, *, needs_8bitmime: bool) -> None:
        """Errors: DeliveryError, for all who are left."""
        sessions = self._with.sessions
        kept = await sessions.open(target, opened)
        while self._left:
            used, before = kept.is_used, kept.dialogue.replies
            opened.replies = kept.dialogue.heard
            some = list(self._left.values())[:SMTP_RECIPIENTS]
            try:
                await send_all(
                    kept, self._delivery, some, self._settle, needs_8bitmime=needs_8bitmime
                )
            except DeliveryError as error:
                if used and isinstance(error, LinkLost) and kept.dialogue.replies == before:
                    # The server left while the connection was idle; it never saw this message.
                    sessions.end(kept)
                    kept = await sessions.renew(target, opened)
                    continue
                sessions.give(kept)
                raise
            except BaseException:
                kept.link.abort()
                raise
        sessions.give(kept)

    async def _settle(self, outcomes: Sequence[Outcome]) -> None:
        """Make results durable before anything more is said."""
        some = tuple(self._soften(outcome) for outcome in outcomes)
        plan = self._target_now.place.plan
        await self._delivery.settle(
            Carried(
                outcomes=some,
                tries=(*self._tries, self._try(_said(some), plan)),
                dialed={self._target_now.place.host: (self._opened.ip,)},
                reached=True,
            )
        )
        self._results += [one.result for one in some]
        for outcome in some:
            self._left.pop(outcome.entry_id, None)

    def _soften(self, outcome: Outcome) -> Outcome:
        if (
            self._is_lenient
            and outcome.result is Result.PERMANENT
            and outcome.enhanced.startswith("5.7.")
        ):
            return msgspec.structs.replace(outcome, result=Result.TEMPORARY)
        return outcome

    def _try(self, outcome: str, plan: Plan) -> HostTry:
        opened = self._opened
        secured = opened.secured
        return HostTry(
            host=self._target_now.place.host,
            ip=opened.ip,
            start_ms=self._try_began_ms,
            duration_ms=self._with.clock.now_ms() - self._try_began_ms,
            policy=plan.demand.value,
            policy_why="; ".join(plan.why),
            tls="" if secured is None else f"{secured.state.version} {secured.state.cipher}",
            certificate="" if secured is None else certificate_verdict(secured),
            replies=tuple(opened.replies),
            outcome=outcome,
        )


def _literal(domain: str) -> IPAddress:
    """The address of a literal in canonical form, as entries have it."""
    return ipaddress.ip_address(domain[1:-1].removeprefix("IPv6:"))


def _one_address(ip: IPAddress) -> Answer[IPAddress]:
    return Answer(records=(ip,), name=str(ip), authentic=False, ttl=0)


def _family_allowed(transport: Transport, ip: IPAddress) -> bool:
    if transport.direct is None:
        return True
    return not (transport.direct.disable_ipv4 if ip.version == 4 else transport.direct.disable_ipv6)


def _relay_plan(relay: Relay) -> Plan:
    """TLS towards a server of ours: proven, unless the configuration says otherwise."""
    if isinstance(relay, SubmissionsRelay):
        return Plan(
            demand=Demand.IMMEDIATE,
            server_name=relay.host,
            verify_pkix=True,
            why=("relay with TLS from the first byte",),
        )
    assert isinstance(relay, StartTLSRelay)
    if relay.no_starttls:
        return Plan(
            demand=Demand.NONE, server_name=relay.host, why=("relay in clear, as configured",)
        )
    verify = not relay.starttls_insecure_skip_verify
    return Plan(
        demand=Demand.REQUIRED,
        server_name=relay.host,
        verify_pkix=verify,
        why=("relay with STARTTLS" + ("" if verify else ", its certificate not looked at"),),
    )


def _unknown_host(host: str, error: Exception, *, implicit: bool) -> DeliveryError:
    public = error.public if isinstance(error, DnsError | BadName) else str(error)
    if implicit and isinstance(error, NotFound):
        # RFC 5321 §5.1: neither MX nor address: an error for good.
        return Refusal(
            f"{host} has no mail hosts and no address", permanent=True, reply=NO_SUCH_DOMAIN
        )
    return NotReached(f"{host}: {public}", cause=error)


def _no_requiretls(cause: DeliveryError | None) -> DeliveryError:
    why = f": {cause.public}" if cause is not None else ""
    return Refusal(f"REQUIRETLS{why}", permanent=True, reply=REQUIRETLS_IMPOSSIBLE)


def _is_policy_reply(said: Reply | None) -> bool:
    return said is not None and said.enhanced.startswith("5.7.")


def _said(outcomes: Sequence[Outcome]) -> str:
    errors = list(dict.fromkeys(one.error for one in outcomes if one.error))
    if not errors:
        return "delivered"
    return "; ".join(errors[:3])


def certificate_verdict(secured: Secured) -> str:
    """What the server's certificates are worth, for people."""
    pkix = "valid for the host" if secured.pkix.is_good else secured.pkix.text
    if secured.dane is None:
        return pkix
    return f"DANE {secured.dane.status}; by web authorities: {pkix}"
