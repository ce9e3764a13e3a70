"""What attempts count.    spec/smtp-client-queue.md section 19."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.carrying import (
    ENFORCE,
    LEAF,
    STRANGER,
    Failing,
    Fixed,
    House,
    context_of,
    results,
    tlsa_text,
)
from support.smtpsink import Sink

from mox.base import metrics
from mox.base.limits import QUEUE_ATTEMPTS_COUNTED
from mox.config.transport import Route, SMTPRelay, Transport
from mox.outbound import counting
from mox.queue.carry import Result
from mox.smtp.reply import reply
from mox.smtpclient.errors import DeliveryError, LinkLost, NotReached
from mox.smtpclient.timing import Times
from mox.tlspolicy.choose import Demand, Plan
from mox.tlspolicy.mtasts import Mode, Policy
from mox.tlspolicy.observation import StsFinding

OTHERS = Policy(mode=Mode.ENFORCE, max_age_s=60, mx=("other.example",))
DELIVERED, TEMPORARY, PERMANENT = Result.DELIVERED, Result.TEMPORARY, Result.PERMANENT


@pytest.fixture
async def house() -> AsyncIterator[House]:
    house = House()
    yield house
    await house.pool.close()


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


@contextmanager
def grows(name: str, by: int = 1, **labels: str) -> Iterator[None]:
    before = value(name, **labels)
    yield
    assert value(name, **labels) == before + by, (name, labels)


@contextmanager
def try_counts(
    result: str, mode: str = "opportunistic", transport: str = "(direct)"
) -> Iterator[None]:
    """One try, at the first attempt."""
    labels = {"attempt": "1", "transport": transport, "tlsmode": mode, "result": result}
    with grows("mox_queue_delivery_duration_seconds_count", 1, **labels):
        yield


async def test_connections_and_tries(house: House) -> None:
    async with Sink().serve() as sink:
        house.port = sink.port
        with grows("mox_queue_connection_total", result="ok"), try_counts("ok"):
            await house.carry("a")
        # The connection is used again.
        with grows("mox_queue_connection_total", 0, result="ok"), try_counts("ok"):
            await house.carry("a")


async def test_nobody_answers(house: House) -> None:
    house.port = 1
    with grows("mox_queue_connection_total", result="error"), try_counts("temperror"):
        await house.carry("a")


@pytest.mark.parametrize(
    ("replies", "result"),
    [
        ({"RCPT a@example.net": "550 5.1.1 no"}, "okpartial"),
        ({"RCPT": "550 5.1.1 no"}, "permerror"),
        (
            {"RCPT a@example.net": "450 4.2.0 later", "RCPT b@example.net": "550 5.1.1 no"},
            "temperror",
        ),
        ({"MAIL": "550 5.7.1 no"}, "permerror"),
        ({"MAIL": "close"}, "temperror"),
    ],
    ids=["some", "nobody for good", "nobody", "refused", "hung up"],
)
async def test_results_of_tries(house: House, replies: dict[str, str], result: str) -> None:
    async with Sink(replies=replies).serve() as sink:
        house.port = sink.port
        with try_counts(result):
            await house.carry("a", "b")


async def test_a_try_that_is_cancelled(house: House) -> None:
    async with Sink(replies={"MAIL": "silence"}).serve() as sink:
        house.port = sink.port
        with try_counts("canceled"):
            task = asyncio.create_task(house.carry("a"))
            async with asyncio.timeout(60):
                while not any(command.startswith("MAIL") for command in sink.commands):
                    await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_a_relay_is_counted_by_its_name(house: House) -> None:
    async with Sink().serve() as sink:
        house.transports = {
            "smart": Transport(smtp=SMTPRelay(host="127.0.0.1", port=sink.port, no_starttls=True))
        }
        house.routes = (Route(transport="smart"),)
        with (
            grows("mox_queue_destinations_total", 0),
            try_counts("ok", "skip", "smart"),
            grows("mox_queue_requiretls_unsupported_total", reason="nopolicy"),
        ):
            await house.carry("a")
            assert results(await house.carry("a", require_tls=True)) == {"a": ("permanent", 554)}


@pytest.mark.parametrize(
    ("plan", "by_policy", "mode"),
    [
        (Plan(demand=Demand.IMMEDIATE, server_name="h", verify_pkix=True), False, "immediate"),
        (
            Plan(demand=Demand.REQUIRED, server_name="h", verify_pkix=True),
            False,
            "requiredstarttls",
        ),
        (
            Plan(demand=Demand.REQUIRED, server_name="h", verify_pkix=True),
            True,
            "requiredstarttls+mtasts",
        ),
        (Plan(demand=Demand.OPTIONAL, server_name="h"), True, "opportunistic"),
        (Plan(demand=Demand.NONE, server_name="h"), True, "skip"),
    ],
)
def test_modes(plan: Plan, by_policy: bool, mode: str) -> None:
    assert counting.mode_of(plan, by_policy=by_policy) == mode


@pytest.mark.parametrize(
    ("results_", "error", "expected"),
    [
        ([DELIVERED], None, "ok"),
        ([DELIVERED, PERMANENT], None, "okpartial"),
        ([TEMPORARY, PERMANENT], None, "temperror"),
        ([PERMANENT], None, "permerror"),
        ([], LinkLost(cause=TimeoutError()), "timeout"),
        ([], NotReached(cause=TimeoutError()), "timeout"),
        ([], LinkLost(), "temperror"),
        ([], DeliveryError(permanent=True), "permerror"),
        ([], asyncio.CancelledError(), "canceled"),
        ([], ZeroDivisionError(), "error"),
    ],
)
def test_words_for_results(
    results_: list[Result], error: BaseException | None, expected: str
) -> None:
    labels = {"attempt": "2", "transport": "words", "tlsmode": "skip", "result": expected}
    with grows("mox_queue_delivery_duration_seconds_count", 1, **labels):
        counting.tried(2, "words", "skip", results_, error, 1.0)


def test_later_attempts_are_counted_together() -> None:
    most = str(QUEUE_ATTEMPTS_COUNTED)
    labels = {"attempt": most, "transport": "late", "tlsmode": "skip", "result": "ok"}
    with grows("mox_queue_delivery_duration_seconds_count", 3, **labels):
        for attempt in (10, 11, 1000):
            counting.tried(attempt, "late", "skip", [DELIVERED], None, 1.0)


async def test_an_address_that_never_answers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> None:
        raise NotReached(cause=TimeoutError())

    monkeypatch.setattr("mox.outbound.session.dial", never)
    with grows("mox_queue_connection_total", result="timeout"), try_counts("timeout"):
        await house.carry("a")


# ------------------------------------------------------------------ TLS


async def test_in_clear_where_tls_fails(house: House) -> None:
    async with Sink(context=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).serve() as sink:
        house.port = sink.port
        fallbacks, badtls = (
            "mox_queue_plaintext_fallback_total",
            "mox_queue_tlsrequiredno_ignored_total",
        )
        with (
            grows(fallbacks),
            grows(badtls, 0, ignored="badtls"),
            try_counts("temperror"),
            try_counts("ok", "skip"),
        ):
            await house.carry("a")
        await house.pool.close()
        with grows(fallbacks), grows(badtls, ignored="badtls"):
            await house.carry("a", require_tls=False)


@pytest.mark.parametrize(
    ("record", "required", "unverified", "mode"),
    [
        (tlsa_text(3, STRANGER), 1, 0, "requiredstarttls+dane"),
        (tlsa_text(1, STRANGER), 1, 1, "requiredstarttls"),
        (None, 0, 0, "opportunistic"),
    ],
    ids=["records", "unusable", "none"],
)
async def test_hosts_and_what_dns_says_of_them(
    house: House, tmp_path: Path, record: str | None, required: int, unverified: int, mode: str
) -> None:
    house.authentic = True
    async with Sink(context=context_of(STRANGER, tmp_path)).serve() as sink:
        house.port = sink.port
        if record is not None:
            house.zones[f"_{sink.port}._tcp.mx.example.net"] = {"TLSA": [record]}
        with (
            grows("mox_queue_destinations_total"),
            grows("mox_queue_destinations_authentic_total"),
            grows("mox_queue_destination_dane_required_total", required),
            grows("mox_queue_destination_dane_starttlsunverified_total", unverified),
            grows("mox_queue_destination_dane_gathertlsa_errors_total", 0),
            try_counts("ok", mode),
        ):
            await house.carry("a")


async def test_tlsa_records_that_cannot_be_looked_up(house: House) -> None:
    house.authentic = True
    async with Sink().serve() as sink:
        house.port = sink.port
        house.temporary = (f"_{sink.port}._tcp.mx.example.net",)
        errors = "mox_queue_destination_dane_gathertlsa_errors_total"
        badtlsa = "mox_queue_tlsrequiredno_ignored_total"
        with grows(errors), grows(badtlsa, 0, ignored="badtlsa"):
            assert results(await house.carry("a")) == {"a": ("temporary", 0)}
        with grows(errors), grows(badtlsa, ignored="badtlsa"):
            assert results(await house.carry("a", require_tls=False)) == {"a": ("delivered", 250)}


@pytest.mark.parametrize(
    ("policies", "word"),
    [(Failing(), "mtastspolicy"), (Fixed(StsFinding(policy=OTHERS)), "mtastsmx")],
    ids=["not to be had", "another host"],
)
async def test_what_tls_required_no_passes_over(
    house: House, policies: Failing | Fixed, word: str
) -> None:
    house.policies = policies
    async with Sink().serve() as sink:
        house.port = sink.port
        ignored = "mox_queue_tlsrequiredno_ignored_total"
        with grows(ignored, 0, ignored=word):
            assert results(await house.carry("a")) == {"a": ("temporary", 0)}
        with grows(ignored, ignored=word):
            assert results(await house.carry("a", require_tls=False)) == {"a": ("delivered", 250)}


@pytest.mark.parametrize(("policy", "reason"), [(None, "nopolicy"), (ENFORCE, "norequiretls")])
async def test_hosts_that_requiretls_does_not_go_to(
    house: House, tmp_path: Path, policy: Policy | None, reason: str
) -> None:
    house.policies = Fixed(StsFinding(policy=policy))
    async with Sink(context=context_of(LEAF, tmp_path)).serve() as sink:
        house.port = sink.port
        with grows("mox_queue_requiretls_unsupported_total", reason=reason):
            await house.carry("a", require_tls=True)
        assert sink.taken == []


# ------------------------------------------------------------------ commands


async def test_commands_are_timed(house: House, tmp_path: Path) -> None:
    name = "mox_smtpclient_command_duration_seconds_count"
    async with Sink(context=context_of(STRANGER, tmp_path)).serve() as sink:
        house.port = sink.port
        with (
            grows(name, cmd="greeting", code="220", secode=""),
            grows(name, 2, cmd="ehlo", code="250", secode=""),
            grows(name, cmd="starttls", code="220", secode=""),
            grows(name, cmd="mail", code="250", secode="2.1.0"),
            grows(name, 2, cmd="rcpt", code="250", secode="2.1.5"),
            grows(name, cmd="data", code="354", secode=""),
            grows(name, cmd="enddata", code="250", secode="2.0.0"),
            grows(name, cmd="quit", code="221", secode="2.0.0"),
        ):
            await house.carry("a", "b")
            await house.pool.close()


def test_codes_that_are_made_up_do_not_make_series_without_end() -> None:
    times, name = Times(2), "mox_smtpclient_command_duration_seconds_count"
    others = {"cmd": "made-up", "code": "4xx", "secode": "(other)"}
    with grows(name, 3, **others), grows(name, cmd="made-up", code="450", secode="4.1.0"):
        for number in range(5):
            times.add("made-up", reply(450, f"4.{number}.0", "later"), 0.5)
    with grows(name, 0, **others), grows(name, cmd="made-up", code="450", secode="4.1.0"):
        times.add("made-up", reply(450, "4.1.0", "later"), 0.5)
