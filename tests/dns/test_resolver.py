"""The real resolver against a name server on loopback."""

import asyncio
import ipaddress

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
import uvloop
from support.nameserver import NameServer

from mox.base.clock import FrozenClock
from mox.base.limits import DNS_QUEUE, DNS_RECORDS
from mox.dns.base import BadName, Bogus, Kind, Mx, NotFound, Resolver, Srv, Temporary, Tlsa
from mox.dns.resolvconf import ResolverSettings
from mox.dns.resolver import DnsResolver

IP = ipaddress.ip_address


async def test_every_kind_of_record(server: NameServer, resolver: DnsResolver) -> None:
    server.zone = {
        ("a.example", "A"): ["192.0.2.1", "192.0.2.2"],
        ("a.example", "AAAA"): ["2001:db8::1"],
        ("a.example", "MX"): ["10 MX.a.example.", "0 ."],
        ("a.example", "TXT"): ['"v=spf1 " "-all"'],
        ("1.2.0.192.in-addr.arpa", "PTR"): ["a.example."],
        ("w.example", "CNAME"): ["a.example."],
        ("a.example", "NS"): ["ns.example."],
        ("_imap._tcp.a.example", "SRV"): ["1 2 143 a.example."],
        ("_25._tcp.a.example", "TLSA"): ["3 1 1 " + "ab" * 32],
    }
    typed: Resolver = resolver
    assert set((await typed.a("a.example")).records) == {IP("192.0.2.1"), IP("192.0.2.2")}
    assert (await typed.aaaa("a.example.")).records == (IP("2001:db8::1"),)
    assert len((await typed.addresses("a.example")).records) == 3
    assert sorted((await typed.mx("a.example")).records) == [Mx(0, ""), Mx(10, "mx.a.example")]
    assert (await typed.txt("A.example")).records == (b"v=spf1 -all",)
    assert (await typed.ptr(IP("192.0.2.1"))).records == ("a.example",)
    assert (await typed.cname("w.example")).records == ("a.example",)
    assert (await typed.ns("a.example")).records == ("ns.example",)
    assert (await typed.srv("_imap._tcp.a.example")).records == (Srv(1, 2, 143, "a.example"),)
    assert (await typed.tlsa("_25._tcp.a.example")).records == (
        Tlsa(3, 1, 1, bytes.fromhex("ab" * 32)),
    )
    assert (await typed.a("w.example")).name == "a.example"


@pytest.mark.rfc("1035 §7.4")
async def test_an_answer_is_kept_for_its_ttl(
    server: NameServer, resolver: DnsResolver, clock: FrozenClock
) -> None:
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    assert (await resolver.a("a.example")).ttl == 300
    clock.advance(100)
    assert (await resolver.a("A.EXAMPLE.")).ttl == 200
    assert len(server.questions) == 1
    clock.advance(200)
    await resolver.a("a.example")
    assert len(server.questions) == 2


@pytest.mark.rfc("2308 §5")
async def test_an_absence_is_kept_as_its_soa_says(
    server: NameServer, resolver: DnsResolver, clock: FrozenClock
) -> None:
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    for _ in range(2):
        with pytest.raises(NotFound) as gone:
            await resolver.txt("none.example")
        assert gone.value.is_nxdomain
        with pytest.raises(NotFound) as empty:
            await resolver.txt("a.example")
        assert not empty.value.is_nxdomain
        assert empty.value.ttl == 60
    assert len(server.questions) == 2
    clock.advance(61)
    with pytest.raises(NotFound):
        await resolver.txt("none.example")
    assert len(server.questions) == 3


async def test_a_failure_is_not_kept(server: NameServer, resolver: DnsResolver) -> None:
    def refuse(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        response.set_rcode(dns.rcode.Rcode.SERVFAIL)
        return [response.to_wire()]

    server.handler = refuse
    with pytest.raises(Temporary) as failed:
        await resolver.a("a.example")
    assert not isinstance(failed.value, Bogus)
    server.handler = server.answer
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    assert (await resolver.a("a.example")).records == (IP("192.0.2.1"),)


@pytest.mark.rfc("8914 §4")
async def test_dnssec_trouble_is_told_apart(server: NameServer, resolver: DnsResolver) -> None:
    def bogus(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        response.set_rcode(dns.rcode.Rcode.SERVFAIL)
        option = dns.edns.EDEOption(dns.edns.EDECode.SIGNATURE_EXPIRED, "signature\r\nexpired")
        response.use_edns(0, options=[option])
        return [response.to_wire()]

    server.handler = bogus
    with pytest.raises(Bogus) as failed:
        await resolver.a("a.example")
    assert failed.value.code == 7
    assert failed.value.text == "signature??expired"


@pytest.mark.rfc("6840 §5.7")
@pytest.mark.parametrize(
    ("trust_ad", "says_ad", "wanted"), [(True, True, True), (True, False, False)]
)
async def test_authentic_is_what_the_trusted_server_says(
    server: NameServer, resolver: DnsResolver, trust_ad: bool, says_ad: bool, wanted: bool
) -> None:
    server.flags = dns.flags.Flag.AD if says_ad else dns.flags.Flag(0)
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    assert (await resolver.a("a.example")).authentic is wanted
    with pytest.raises(NotFound) as missing:
        await resolver.a("none.example")
    assert missing.value.authentic is wanted
    assert server.received[0].flags & dns.flags.Flag.AD


async def test_a_server_that_is_not_trusted_authenticates_nothing(
    server: NameServer, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On loopback only a server elsewhere is not trusted: say so.
    monkeypatch.setattr(ResolverSettings, "is_trusted", property(lambda _: False))
    resolver = DnsResolver(ResolverSettings(port=server.port), clock=clock)
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    assert not (await resolver.a("a.example")).authentic
    await resolver.close()


async def test_the_same_question_is_asked_once(server: NameServer, resolver: DnsResolver) -> None:
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(resolver.a("a.example")) for _ in range(20)]
    while not server.questions:
        await asyncio.sleep(0.001)
    tasks[0].cancel()  # whoever stops waiting does not disturb the others
    server.hold.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert all(not isinstance(one, BaseException) for one in done[1:])
    assert len(server.questions) == 1


async def test_prefetch_begins_a_lookup(server: NameServer, resolver: DnsResolver) -> None:
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    resolver.prefetch("a.example", Kind.A)
    resolver.prefetch("a..example", Kind.A)  # no name: nothing happens
    while not server.questions:
        await asyncio.sleep(0.001)
    assert (await resolver.a("a.example")).records == (IP("192.0.2.1"),)
    resolver.prefetch("a.example", Kind.A)
    await asyncio.sleep(0)
    assert server.questions == [("a.example", "A")]


async def test_a_late_answer_is_temporary(server: NameServer, clock: FrozenClock) -> None:
    words: list[tuple[Kind, str]] = []
    resolver = DnsResolver(
        ResolverSettings(port=server.port),
        clock=clock,
        timeout_s=0.03,
        try_timeout_s=0.02,
        observe=lambda kind, word, _: words.append((kind, word)),
    )
    server.handler = lambda _: []
    with pytest.raises(Temporary):
        await resolver.a("a.example")
    assert words == [(Kind.A, "timeout")]
    await resolver.close()


@pytest.mark.rfc("1035 §4.2.1")
async def test_a_cut_answer_is_asked_for_by_tcp(server: NameServer, resolver: DnsResolver) -> None:
    def cut(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        response.flags |= dns.flags.Flag.TC
        return [response.to_wire()]

    server.zone[("a.example", "TXT")] = ['"' + "x" * 250 + '"'] * 1
    server.handler = cut
    assert len((await resolver.txt("a.example")).records[0]) == 250
    assert server.tcp_questions == 1


async def test_a_huge_answer_is_cut_to_what_is_useful(
    server: NameServer, resolver: DnsResolver
) -> None:
    def cut(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        response.flags |= dns.flags.Flag.TC
        return [response.to_wire()]

    server.handler = cut
    server.zone[("a.example", "A")] = [f"10.0.{i // 256}.{i % 256}" for i in range(DNS_RECORDS + 9)]
    assert len((await resolver.a("a.example")).records) == DNS_RECORDS


@pytest.mark.rfc("5452 §9.1")
async def test_answers_to_other_questions_are_dropped(
    server: NameServer, resolver: DnsResolver
) -> None:
    server.zone = {
        ("a.example", "A"): ["192.0.2.1"],
        ("b.example", "A"): ["203.0.113.66"],
    }

    def poisoned(question: dns.message.Message) -> list[bytes]:
        other_id = server.response(question)
        other_id.answer = [dns.rrset.from_text("a.example.", 9, "IN", "A", "203.0.113.66")]
        other_id.id = question.id ^ 1
        other_name = dns.message.make_query("b.example", "A", id=question.id)
        return [
            b"",
            b"\xff" * 40,
            other_id.to_wire(),
            server.response(other_name).to_wire(),
            *server.answer(question),
        ]

    server.handler = poisoned
    assert (await resolver.a("a.example")).records == (IP("192.0.2.1"),)


async def test_records_of_other_names_in_an_answer_are_not_believed(
    server: NameServer, resolver: DnsResolver
) -> None:
    def more(question: dns.message.Message) -> list[bytes]:
        response = server.response(question)
        response.answer.append(dns.rrset.from_text("bank.example.", 9, "IN", "A", "203.0.113.66"))
        response.additional.append(
            dns.rrset.from_text("bank.example.", 9, "IN", "A", "203.0.113.66")
        )
        return [response.to_wire()]

    server.handler = more
    server.zone[("a.example", "A")] = ["192.0.2.1"]
    assert (await resolver.a("a.example")).records == (IP("192.0.2.1"),)
    server.handler = server.answer
    with pytest.raises(NotFound):
        await resolver.a("bank.example")


async def test_a_loop_of_aliases_is_temporary(server: NameServer, resolver: DnsResolver) -> None:
    def loop(question: dns.message.Message) -> list[bytes]:
        response = dns.message.make_response(question)
        for name, target in (("a", "b"), ("b", "a")):
            response.answer.append(
                dns.rrset.from_text(f"{name}.example.", 9, "IN", "CNAME", f"{target}.example.")
            )
        return [response.to_wire()]

    server.handler = loop
    with pytest.raises(Temporary):
        await resolver.a("a.example")


async def test_names_that_text_cannot_hold_are_left_out(
    server: NameServer, resolver: DnsResolver
) -> None:
    server.zone[("1.2.0.192.in-addr.arpa", "PTR")] = [
        "evil\\.example.org.",
        "two\\010lines.example.org.",
        "good.example.org.",
    ]
    server.zone[("a.example", "MX")] = ["10 a\\.b.example."]
    assert (await resolver.ptr(IP("192.0.2.1"))).records == ("good.example.org",)
    with pytest.raises(Temporary):
        await resolver.mx("a.example")


@pytest.mark.parametrize("name", ["", "a..b", ".a", "x" * 64 + ".example", "é.example", "a." * 130])
async def test_what_is_no_name_is_not_asked(
    server: NameServer, resolver: DnsResolver, name: str
) -> None:
    with pytest.raises(BadName):
        await resolver.a(name)
    assert server.questions == []


async def test_odd_names_are_asked_as_they_are(server: NameServer, resolver: DnsResolver) -> None:
    with pytest.raises(NotFound):
        await resolver.a("foo:bar/b az%.example")
    label = server.received[0].question[0].name.labels[0]
    assert label == b"foo:bar/b az%"


async def test_too_many_lookups_fail_at_once(
    server: NameServer, resolver: DnsResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DNS_QUEUE > 0
    monkeypatch.setattr("mox.dns.resolver.DNS_QUEUE", 2)
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(resolver.a(f"{i}.example")) for i in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Temporary) as full:
        await resolver.a("third.example")
    assert full.value.fields["reason"] == "too many lookups"
    server.hold.set()
    for task in tasks:
        with pytest.raises(NotFound):
            await task


async def test_closing_ends_what_is_under_way(server: NameServer, resolver: DnsResolver) -> None:
    server.hold = asyncio.Event()
    task = asyncio.create_task(resolver.a("a.example"))
    while not server.questions:
        await asyncio.sleep(0.001)
    await resolver.close()
    with pytest.raises(Temporary):
        await task
    with pytest.raises(Temporary):
        await resolver.a("b.example")
    resolver.prefetch("b.example", Kind.A)
    assert len(server.questions) == 1


def test_it_runs_under_uvloop() -> None:
    async def ask() -> None:
        # Nobody listens there: an answer is not needed to see that the sockets work.
        resolver = DnsResolver(ResolverSettings(port=9), timeout_s=0.05, try_timeout_s=0.02)
        with pytest.raises(Temporary):
            await resolver.a("a.example")
        await resolver.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(ask())
