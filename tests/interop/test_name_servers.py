"""Our resolver asks Debian's unbound, which validates what Debian's knot serves of signed zones."""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
import socket
from collections.abc import AsyncIterator, Iterator

import dns.flags
import dns.message
import dns.query
import pytest
from support.dnszones import NEGATIVE_TTL, TTL, Spoilt, Zone
from support.nameserver import NameServer
from support.nameservers import Names
from support.ports import HOST

from mox.base.clock import FrozenClock
from mox.dns.base import Answer, Bogus, Kind, NotFound, Record, Temporary
from mox.dns.resolver import DnsResolver

pytestmark = [pytest.mark.interop, pytest.mark.slow]

LONG = "long " * 600  # one text of 3,000 bytes: more than a datagram holds
TEXTS = [f"{n:02} " + "text " * 600 for n in range(20)]  # one answer of 60,000 bytes
CHAIN = 8  # aliases one after the other; unbound follows not many more

SIGNED = Zone(
    "example.org",
    {
        "example.org": {"MX": ["20 mx2.example.org", "10 mx.example.org"], "TXT": ["v=spf1 -all"]},
        "mx.example.org": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
        "_25._tcp.mx.example.org": {"TLSA": ["3 1 1 " + "ab" * 32]},
        "_imaps._tcp.example.org": {"SRV": ["0 1 993 mx.example.org"]},
        "mx2.example.org": {"A": ["192.0.2.2"]},
        "alias.example.org": {"CNAME": ["mx.example.org"]},
        "abroad.example.org": {"CNAME": ["host.plain.example"]},
        "dangling.example.org": {"CNAME": ["nowhere.example.org"]},
        "loop1.example.org": {"CNAME": ["loop2.example.org"]},
        "loop2.example.org": {"CNAME": ["loop1.example.org"]},
        **{f"chain{n}.example.org": {"CNAME": [f"chain{n + 1}.example.org"]} for n in range(CHAIN)},
        f"chain{CHAIN}.example.org": {"A": ["192.0.2.8"]},
        "long.example.org": {"TXT": [LONG]},
        "huge.example.org": {"TXT": TEXTS},
        "many.example.org": {"A": [f"198.51.{n // 200}.{n % 200}" for n in range(1000)]},
        "forged.example.org": {"A": ["192.0.2.3"]},
        "expired.example.org": {"A": ["192.0.2.3"]},
        "unsigned.example.org": {"A": ["192.0.2.3"]},
        "toforged.example.org": {"CNAME": ["forged.example.org"]},
        "mixed.example.org": {"A": ["192.0.2.4"], "TXT": ["fine"]},
    },
    spoilt={
        "forged.example.org A": Spoilt.FORGED,
        "expired.example.org A": Spoilt.EXPIRED,
        "unsigned.example.org A": Spoilt.MISSING,
        "mixed.example.org A": Spoilt.FORGED,
    },
)
ZONES = [
    SIGNED,
    Zone("plain.example", {"host.plain.example": {"A": ["192.0.2.9"]}}, signed=False),
    Zone("deep.example.org", {"deep.example.org": {"TXT": ["below"]}}),
    Zone("2.0.192.in-addr.arpa", {"192.0.2.1": {"PTR": ["mx.example.org"]}}),
    Zone("8.b.d.0.1.0.0.2.ip6.arpa", {"2001:db8::1": {"PTR": ["mx.example.org"]}}),
    Zone("slow.example", {}, signed=False),  # who answers for it is in the tests
]
_numbers = itertools.count(1)
# What RFC 8914 calls each of these.
BOGUS = {"forged": 6, "expired": 7, "unsigned": 10}


class Questions(list[tuple[Kind, str]]):
    """What was really asked, with how it ended."""

    def note(self, kind: Kind, word: str, _: float) -> None:
        self.append((kind, word))


@pytest.fixture(scope="module")
def slow_socket() -> Iterator[socket.socket]:
    """Where the server of slow.example will listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, 0))
        sock.setblocking(False)
        yield sock


@pytest.fixture(scope="module")
def names(slow_socket: socket.socket) -> Iterator[Names]:
    with Names(ZONES, {"slow.example": slow_socket.getsockname()[1]}) as found:
        yield found


@pytest.fixture
def asked() -> Questions:
    return Questions()


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def resolver(
    names: Names, clock: FrozenClock, asked: Questions
) -> AsyncIterator[DnsResolver]:
    found = DnsResolver(
        names.settings, clock=clock, timeout_s=60, try_timeout_s=30, observe=asked.note
    )
    yield found
    await found.close()


def is_fresh(ttl: int, whole: int) -> bool:
    """A TTL as it was set, but for the time since unbound first heard of it."""
    return 0 < ttl <= whole


async def test_signed_records_of_every_kind_are_authentic(resolver: DnsResolver) -> None:
    wanted = {
        ("mx.example.org", Kind.A): ["192.0.2.1"],
        ("mx.example.org", Kind.AAAA): ["2001:db8::1"],
        ("example.org", Kind.TXT): [b"v=spf1 -all"],
        ("deep.example.org", Kind.TXT): [b"below"],
    }
    for (name, kind), records in wanted.items():
        answer = await resolver.query(name, kind)
        assert [r if isinstance(r, bytes) else str(r) for r in answer.records] == records
        assert answer.authentic, (name, kind)
        assert is_fresh(answer.ttl, TTL)
    mx = await resolver.mx("example.org")
    assert sorted((one.preference, one.host) for one in mx.records) == [
        (10, "mx.example.org"),
        (20, "mx2.example.org"),
    ]
    (tlsa,) = (await resolver.tlsa("_25._tcp.mx.example.org")).records
    assert (tlsa.usage, tlsa.selector, tlsa.matching, tlsa.data) == (3, 1, 1, b"\xab" * 32)
    (srv,) = (await resolver.srv("_imaps._tcp.example.org")).records
    assert (srv.port, srv.target) == (993, "mx.example.org")
    for address in ("192.0.2.1", "2001:db8::1"):
        ptr = await resolver.ptr(ipaddress.ip_address(address))
        assert (ptr.records, ptr.authentic) == (("mx.example.org",), True)
    both = await resolver.addresses("mx.example.org")
    assert [str(ip) for ip in both.records] == ["192.0.2.1", "2001:db8::1"]


async def test_an_unsigned_zone_is_believed_but_not_authentic(resolver: DnsResolver) -> None:
    answer = await resolver.a("host.plain.example")
    assert ([str(ip) for ip in answer.records], answer.authentic) == (["192.0.2.9"], False)
    with pytest.raises(NotFound) as caught:
        await resolver.a("nobody.plain.example")
    assert (caught.value.is_nxdomain, caught.value.authentic) == (True, False)


@pytest.mark.rfc("8914 §4")
@pytest.mark.parametrize("name", BOGUS)
async def test_a_broken_signature_is_bogus(
    resolver: DnsResolver, asked: Questions, name: str
) -> None:
    for _ in range(2):  # the failure is not kept: who mends the zone is heard
        with pytest.raises(Bogus) as caught:
            await resolver.a(f"{name}.example.org")
        assert isinstance(caught.value, Temporary)
        assert caught.value.code == BOGUS[name]
        assert f"{name}.example.org" in caught.value.text
    assert asked == [(Kind.A, "temporary")] * 2


async def test_other_records_of_the_same_name_are_not_harmed(resolver: DnsResolver) -> None:
    assert (await resolver.txt("mixed.example.org")).authentic
    with pytest.raises(Bogus):
        await resolver.a("mixed.example.org")
    with pytest.raises(Bogus):
        await resolver.a("toforged.example.org")


@pytest.mark.rfc("2308 §5")
@pytest.mark.parametrize(
    ("name", "kind", "is_nxdomain"),
    [
        ("nowhere.example.org", Kind.A, True),
        ("dangling.example.org", Kind.A, True),
        ("mx.example.org", Kind.MX, False),
        ("alias.example.org", Kind.TXT, False),
    ],
)
async def test_an_absence_is_proven_and_kept(
    resolver: DnsResolver,
    clock: FrozenClock,
    asked: Questions,
    name: str,
    kind: Kind,
    is_nxdomain: bool,
) -> None:
    for _ in range(2):  # the second time from the cache
        with pytest.raises(NotFound) as caught:
            await resolver.query(name, kind)
        assert (caught.value.is_nxdomain, caught.value.authentic) == (is_nxdomain, True)
        assert is_fresh(caught.value.ttl, NEGATIVE_TTL)
    assert asked == [(kind, "nxdomain")]
    clock.advance(NEGATIVE_TTL)
    with pytest.raises(NotFound):
        await resolver.query(name, kind)
    assert asked == [(kind, "nxdomain")] * 2


async def test_an_answer_is_kept_until_its_time(
    resolver: DnsResolver, clock: FrozenClock, asked: Questions
) -> None:
    first = await resolver.a("mx.example.org")
    clock.advance(first.ttl - 1)
    again = await resolver.a("MX.Example.ORG")
    assert (again.records, again.authentic, again.ttl) == (first.records, True, 1)
    assert len(asked) == 1
    clock.advance(1)
    await resolver.a("mx.example.org")
    assert len(asked) == 2


async def test_aliases_are_followed(resolver: DnsResolver) -> None:
    near = await resolver.a("alias.example.org")
    assert (near.name, near.authentic) == ("mx.example.org", True)
    far = await resolver.a("chain0.example.org")
    assert (far.name, far.authentic) == (f"chain{CHAIN}.example.org", True)
    abroad = await resolver.a("abroad.example.org")
    assert (abroad.name, [str(ip) for ip in abroad.records]) == (
        "host.plain.example",
        ["192.0.2.9"],
    )
    assert not abroad.authentic  # every link of the chain has to be
    assert (await resolver.cname("abroad.example.org")).authentic
    with pytest.raises(Temporary):
        await resolver.a("loop1.example.org")


@pytest.mark.rfc("7766 §5")
async def test_what_no_datagram_holds_comes_by_tcp(names: Names, resolver: DnsResolver) -> None:
    question = dns.message.make_query("long.example.org", "TXT", payload=1232)
    cut = dns.query.udp(question, HOST, port=names.unbound.port, timeout=30)
    assert cut.flags & dns.flags.Flag.TC
    answer = await resolver.txt("long.example.org")
    assert (answer.records, answer.authentic) == ((LONG.encode(),), True)
    huge = await resolver.txt("huge.example.org")
    assert sorted(huge.records) == [text.encode() for text in TEXTS]
    many = await resolver.a("many.example.org")
    assert len(set(many.records)) == 500  # limits.DNS_RECORDS


@pytest.fixture
async def slow_server(slow_socket: socket.socket) -> AsyncIterator[NameServer]:
    """Answers for slow.example when the test lets it."""
    server = NameServer()
    server.flags = dns.flags.Flag.AA
    server.hold = asyncio.Event()
    loop = asyncio.get_running_loop()
    copy = socket.socket(fileno=slow_socket.dup().detach())
    transport, _ = await loop.create_datagram_endpoint(lambda: server, sock=copy)
    yield server
    for task in list(server.held):
        task.cancel()
    transport.close()


async def test_a_late_answer_is_temporary_and_then_used(
    names: Names, resolver: DnsResolver, slow_server: NameServer
) -> None:
    name = f"late{next(_numbers)}.slow.example"  # unbound remembers others
    slow_server.zone[name, "A"] = ["192.0.2.77"]
    impatient = DnsResolver(names.settings, timeout_s=1.0, try_timeout_s=0.5)
    with pytest.raises(Temporary) as caught:
        await impatient.a(name)
    assert caught.value.fields["reason"] == "timeout"
    await impatient.close()
    assert (name, "A") in slow_server.questions
    assert slow_server.hold is not None
    slow_server.hold.set()
    answer = await resolver.a(name)
    assert ([str(ip) for ip in answer.records], answer.authentic) == (["192.0.2.77"], False)


async def test_a_server_that_fails_is_temporary(
    resolver: DnsResolver, slow_server: NameServer
) -> None:
    def fails(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        response.set_rcode(dns.rcode.Rcode.SERVFAIL)
        return [response.to_wire()]

    assert slow_server.hold is not None
    slow_server.hold.set()
    slow_server.handler = fails
    with pytest.raises(Temporary) as caught:
        await resolver.a("fails.slow.example")
    assert not isinstance(caught.value, Bogus)


async def test_many_lookups_side_by_side(resolver: DnsResolver, asked: Questions) -> None:
    async def ask(n: int) -> Answer[Record] | None:
        try:
            return await resolver.query(f"chain{n % (CHAIN + 2)}.example.org", Kind.A)
        except NotFound:
            return None

    found = await asyncio.gather(*(ask(n) for n in range(300)))
    assert {str(one.records[0]) for one in found if one is not None} == {"192.0.2.8"}
    assert sum(one is None for one in found) == 30
    assert len(asked) == CHAIN + 2
