"""Attempts against real sockets on loopback: hosts, TLS, recipients, connections that are kept."""

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from support.carrying import (
    ENFORCE,
    LEAF,
    MESSAGE,
    STRANGER,
    Failing,
    Fixed,
    House,
    context_of,
    results,
    tlsa_text,
)
from support.certificates import Made
from support.smtpsink import Sink

from mox.config.transport import Fail, RelayAuth, Route, SMTPRelay, SubmissionsRelay, Transport
from mox.queue.carry import Result
from mox.tlspolicy.mtasts import Mode, Policy
from mox.tlspolicy.observation import NO_STS, Session, StsFinding


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.pool.close()


async def test_a_message_is_delivered(house: House) -> None:
    async with Sink().serve() as sink:
        house.port = sink.port
        outcomes = await house.carry("a")
    assert results(outcomes) == {"a": ("delivered", 250)}
    assert outcomes["a"].lines == ("250 2.0.0 taken",)
    (taken,) = sink.taken
    assert (taken.sender, taken.recipients, taken.content) == (
        "me@example.org",
        ["a@example.net"],
        MESSAGE,
    )
    (tried,) = house.last.tries
    assert (tried.host, tried.ip, tried.policy) == ("mx.example.net", "127.0.0.1", "opportunistic")
    assert tried.outcome == "delivered"
    assert house.last.dialed == {"mx.example.net": ("127.0.0.1",)}


async def test_recipients_share_a_transaction(house: House) -> None:
    async with Sink(replies={"RCPT b@example.net": "550 5.1.1 no b"}).serve() as sink:
        house.port = sink.port
        outcomes = await house.carry("a", "b", "c")
    assert results(outcomes) == {
        "a": ("delivered", 250),
        "b": ("permanent", 550),
        "c": ("delivered", 250),
    }
    assert [taken.recipients for taken in sink.taken] == [["a@example.net", "c@example.net"]]


async def test_the_limit_of_recipients_makes_more_transactions(house: House) -> None:
    async with Sink(keywords=("PIPELINING", "LIMITS RCPTMAX=1")).serve() as sink:
        house.port = sink.port
        await house.carry("a", "b", "c")
    assert [taken.recipients for taken in sink.taken] == [
        ["a@example.net"],
        ["b@example.net"],
        ["c@example.net"],
    ]
    assert sink.connections == 1
    # Each transaction was settled before the next began.
    assert [len(each.outcomes) for each in house.settled] == [1, 1, 1]


async def test_552_to_a_further_recipient_makes_another_transaction(house: House) -> None:
    replies = {"RCPT b@example.net": ["552 5.5.3 too many", "250 2.1.5 ok"]}
    async with Sink(replies=replies).serve() as sink:
        house.port = sink.port
        outcomes = await house.carry("a", "b")
    assert {name: one.result.value for name, one in outcomes.items()} == {
        "a": "delivered",
        "b": "delivered",
    }
    assert [taken.recipients for taken in sink.taken] == [["a@example.net"], ["b@example.net"]]


async def test_a_connection_is_used_again(house: House) -> None:
    async with Sink().serve() as sink:
        house.port = sink.port
        for _ in range(3):
            assert results(await house.carry("a")) == {"a": ("delivered", 250)}
        assert (sink.connections, len(sink.taken)) == (1, 3)
        await house.pool.close()
        assert sink.commands[-1] == "QUIT"


async def test_a_kept_connection_that_is_gone_costs_nothing(house: House) -> None:
    async with Sink(replies={"MAIL": ["250 ok", "close", "250 ok"]}).serve() as sink:
        house.port = sink.port
        await house.carry("a")
        assert results(await house.carry("a")) == {"a": ("delivered", 250)}
    assert (sink.connections, len(sink.taken)) == (2, 2)


async def test_a_new_connection_that_is_lost_is_a_failure(house: House) -> None:
    async with Sink(replies={"MAIL": "close"}).serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": ("temporary", 0)}
    assert sink.connections == 1


async def test_the_next_host_after_one_that_fails(house: House) -> None:
    house.zones["example.net"] = {"MX": ["10 bad.example.net", "20 mx.example.net"]}
    house.zones["bad.example.net"] = {"A": ["127.0.0.2"]}
    async with AsyncExitStack() as stack:
        sink = await stack.enter_async_context(Sink().serve())
        bad = Sink(greeting="451 4.3.2 busy")
        await stack.enter_async_context(bad.serve("127.0.0.2", sink.port))
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": ("delivered", 250)}
        assert [one.host for one in house.last.tries] == ["bad.example.net", "mx.example.net"]
        assert house.last.tries[0].outcome == "greeting: 451 4.3.2 busy"
        # A refusal for good is everybody's.
        bad.greeting = "554 5.3.2 never"
        outcomes = await house.carry("a")
        assert results(outcomes) == {"a": ("permanent", 554)}
        assert (outcomes["a"].remote_host, outcomes["a"].remote_ip) == (
            "bad.example.net",
            "127.0.0.2",
        )


async def test_nobody_answers(house: House) -> None:
    house.port = 1
    outcomes = await house.carry("a")
    assert results(outcomes) == {"a": ("temporary", 0)}
    assert "127.0.0.1: connection refused" in outcomes["a"].error
    assert not house.last.reached


@pytest.mark.parametrize(
    ("zone", "expected", "enhanced"),
    [
        ({"MX": ["0 ."]}, ("permanent", 556), "5.1.10"),
        ({"TXT": ["nothing"]}, ("permanent", 550), "5.1.2"),
        ({"MX": ["10 nowhere.example.net"]}, ("temporary", 0), ""),
    ],
)
async def test_domains_without_hosts(
    house: House, zone: dict[str, Sequence[str]], expected: tuple[str, int], enhanced: str
) -> None:
    house.zones["example.net"] = zone
    outcomes = await house.carry("a")
    assert results(outcomes) == {"a": expected}
    assert outcomes["a"].enhanced == enhanced


async def test_an_address_literal(house: House) -> None:
    async with Sink().serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a@[127.0.0.1]")) == {"a": ("delivered", 250)}
    assert sink.taken[0].recipients == ["a@[127.0.0.1]"]


# ------------------------------------------------------------------ TLS


async def test_tls_where_it_is_offered(house: House, tmp_path: Path) -> None:
    async with Sink(context=context_of(STRANGER, tmp_path)).serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": ("delivered", 250)}
    assert sink.taken[0].tls
    (seen,) = house.observer.seen
    assert (seen.session, seen.failures) == (Session.SUCCEEDED, ())
    assert house.last.tries[0].tls.startswith("TLSv1.3 ")
    assert "candidates" in house.last.tries[0].certificate


async def test_in_clear_where_tls_fails_and_nothing_demands_it(house: House) -> None:
    # A context without a certificate: every handshake fails.
    async with Sink(context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": ("delivered", 250)}
        assert not sink.taken[0].tls
        first, second = house.last.tries
        assert first.outcome.startswith("TLS handshake")
        assert "in clear" in second.policy_why
        (seen,) = house.observer.seen
        assert seen.session is Session.FAILED
        assert [one.result_type for one in seen.failures] == ["validation-failure"]
        # Except for reports about others' mail.
        assert results(await house.carry("a", is_dmarc_report=True)) == {"a": ("temporary", 0)}
    assert len(sink.taken) == 1


@pytest.mark.rfc("8461 §5")
@pytest.mark.parametrize(
    ("made", "expected", "failures"),
    [
        (LEAF, ("delivered", 250), []),
        (STRANGER, ("temporary", 0), ["certificate-not-trusted"]),
        (None, ("temporary", 0), ["starttls-not-supported"]),
    ],
    ids=["good", "not trusted", "no TLS"],
)
async def test_an_enforced_mtasts_policy(
    house: House,
    tmp_path: Path,
    made: Made | None,
    expected: tuple[str, int],
    failures: list[str],
) -> None:
    house.policies = Fixed(StsFinding(policy=ENFORCE))
    async with Sink(context=context_of(made, tmp_path) if made else None).serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": expected}
        (seen,) = house.observer.seen
        assert [one.result_type for one in seen.failures] == failures
        # RFC 8689 §5: "TLS-Required: No" delivers all the same.
        assert results(await house.carry("a", require_tls=False)) == {"a": ("delivered", 250)}


async def test_a_host_the_policy_does_not_name(house: House, tmp_path: Path) -> None:
    async with Sink(context=context_of(LEAF, tmp_path)).serve() as sink:
        house.port = sink.port
        others = Policy(mode=Mode.ENFORCE, max_age_s=60, mx=("other.example",))
        house.policies = Fixed(StsFinding(policy=others))
        assert results(await house.carry("a")) == {"a": ("temporary", 0)}
        assert sink.connections == 0
        testing = Policy(mode=Mode.TESTING, max_age_s=60, mx=("other.example",))
        house.policies = Fixed(StsFinding(policy=testing))
        assert results(await house.carry("a")) == {"a": ("delivered", 250)}
    refused, tested = house.observer.seen
    assert refused.session is Session.NONE
    assert [one.reason for one in refused.failures] == ["mtasts-policy-mx-mismatch"]
    assert [one.reason for one in tested.failures] == ["mtasts-policy-mx-mismatch"]


async def test_a_policy_that_cannot_be_asked_for(house: House) -> None:
    house.policies = Failing()
    async with Sink().serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": ("temporary", 0)}
        assert results(await house.carry("a", require_tls=False)) == {"a": ("delivered", 250)}
    assert sink.connections == 1


@pytest.mark.rfc("7672 §2.2")
@pytest.mark.parametrize(
    ("record", "expected", "certificate"),
    [
        (tlsa_text(3, STRANGER), ("delivered", 250), "DANE verified"),
        (tlsa_text(3, LEAF), ("temporary", 0), "DANE mismatch"),
        (tlsa_text(1, STRANGER), ("delivered", 250), ""),
    ],
    ids=["fits", "does not", "unusable"],
)
async def test_dane(
    house: House, tmp_path: Path, record: str, expected: tuple[str, int], certificate: str
) -> None:
    house.authentic = True
    async with Sink(context=context_of(STRANGER, tmp_path)).serve() as sink:
        house.port = sink.port
        house.zones[f"_{sink.port}._tcp.mx.example.net"] = {"TLSA": [record]}
        assert results(await house.carry("a")) == {"a": expected}
        assert certificate in house.last.tries[0].certificate
        assert house.last.tries[0].policy == "required"
        assert results(await house.carry("a", require_tls=False)) == {"a": ("delivered", 250)}


async def test_dane_without_tls(house: House) -> None:
    house.authentic = True
    async with Sink().serve() as sink:
        house.port = sink.port
        house.zones[f"_{sink.port}._tcp.mx.example.net"] = {"TLSA": [tlsa_text(1, LEAF)]}
        assert results(await house.carry("a")) == {"a": ("temporary", 0)}
    assert sink.taken == []


@pytest.mark.rfc("8689 §4.2.1")
async def test_requiretls(house: House, tmp_path: Path) -> None:
    plain = Sink(context=context_of(LEAF, tmp_path))
    async with plain.serve() as sink:
        house.port = sink.port
        outcomes = await house.carry("a", require_tls=True)
        assert results(outcomes) == {"a": ("permanent", 554)}
        assert outcomes["a"].enhanced == "5.7.30"
        assert sink.connections == 0
        house.policies = Fixed(StsFinding(policy=ENFORCE))
        # Proven, but it would not pass the demand on.
        assert results(await house.carry("a", require_tls=True)) == {"a": ("temporary", 0)}
    able = Sink(context=context_of(LEAF, tmp_path), keywords=("PIPELINING", "REQUIRETLS"))
    async with able.serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a", require_tls=True)) == {"a": ("delivered", 250)}
        assert "MAIL FROM:<me@example.org> REQUIRETLS" in sink.commands


async def test_no_connection_of_a_weaker_plan_is_used_again(house: House, tmp_path: Path) -> None:
    async with Sink(context=context_of(LEAF, tmp_path)).serve() as sink:
        house.port = sink.port
        await house.carry("a")
        house.policies = Fixed(StsFinding(policy=ENFORCE))
        await house.carry("a")
        assert sink.connections == 2
        await house.carry("a")
        assert sink.connections == 2


# ------------------------------------------------------------------ transports


async def test_a_relay_with_login(house: House, tmp_path: Path) -> None:
    sink = Sink(
        context=context_of(LEAF, tmp_path),
        implicit_tls=True,
        keywords=("PIPELINING", "8BITMIME", "AUTH PLAIN"),
        replies={"AUTH": "235 2.7.0 welcome"},
    )
    async with sink.serve():
        house.zones["localhost"] = {"A": ["127.0.0.1"]}
        auth = RelayAuth(username="u", password="secret word", mechanisms=("PLAIN",))
        relay = SubmissionsRelay(host="localhost", port=sink.port, auth=auth)
        house.transports = {"relay": Transport(submissions=relay)}
        house.routes = (Route(transport="relay", minimum_attempts=1),)
        house.port = 1
        # The first attempt goes straight, and finds nobody.
        assert results(await house.carry("a")) == {"a": ("temporary", 0)}
        assert results(await house.carry("a", attempts=2)) == {"a": ("delivered", 250)}
        assert house.last.tries[-1].host == "localhost"
        assert any(command.startswith("AUTH PLAIN AHU") for command in sink.commands)


async def test_a_relay_that_is_not_who_it_should_be(house: House, tmp_path: Path) -> None:
    async with Sink(context=context_of(STRANGER, tmp_path)).serve() as sink:
        house.zones["relay.example"] = {"A": ["127.0.0.1"]}
        relay = SMTPRelay(host="relay.example", port=sink.port)
        house.transports = {"relay": Transport(smtp=relay)}
        assert results(await house.carry("a", transport="relay")) == {"a": ("temporary", 0)}
        assert sink.taken == []
        unlooked = SMTPRelay(
            host="relay.example", port=sink.port, starttls_insecure_skip_verify=True
        )
        house.transports = {"relay": Transport(smtp=unlooked)}
        assert results(await house.carry("a", transport="relay")) == {"a": ("delivered", 250)}
        outcomes = await house.carry("a", transport="relay", require_tls=True)
        assert results(outcomes) == {"a": ("permanent", 554)}


@pytest.mark.parametrize(("code", "result"), [(550, "permanent"), (450, "temporary")])
async def test_a_transport_that_fails(house: House, code: int, result: str) -> None:
    house.transports = {"no": Transport(fail=Fail(smtp_code=code, smtp_message="not now"))}
    outcomes = await house.carry("a", transport="no")
    assert results(outcomes) == {"a": (result, code)}
    assert outcomes["a"].error == "not now"


async def test_a_transport_that_is_not_configured(house: House) -> None:
    outcomes = await house.carry("a", transport="gone")
    assert results(outcomes) == {"a": ("temporary", 0)}
    assert outcomes["a"].error == "transport 'gone' is not configured"


async def test_a_host_with_two_families_may_mind_one_of_our_addresses(house: House) -> None:
    house.zones["mx.example.net"] = {"A": ["127.0.0.1"], "AAAA": ["::1"]}
    async with Sink(replies={"RCPT": "550 5.7.1 listed"}).serve() as sink:
        house.port = sink.port
        assert results(await house.carry("a")) == {"a": ("temporary", 550)}
        dialed = {"mx.example.net": ("127.0.0.1",)}
        assert results(await house.carry("a", dialed=dialed)) == {"a": ("permanent", 550)}


def test_the_fixture_of_no_policy() -> None:
    assert NO_STS.policy is None
    assert Result("delivered") is Result.DELIVERED
