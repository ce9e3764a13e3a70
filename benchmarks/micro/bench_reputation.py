"""Reputation out of an index with a million flagged messages of one mailbox."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from mox.junk.reputation import Method, Sender, evaluate, identities
from mox.store.engine.base import Batch, Family
from mox.store.engine.rocks import RocksEngine
from mox.store.layout import keys
from mox.store.votes import StoredHistory

MESSAGES = 1_000_000
SENDERS = 5_000
NOW = 1_900_000_000_000
ACCOUNT, INBOX = 1, 1


def sender(number: int) -> Sender:
    domain = f"domain{number % 500}.example"
    return Sender(
        from_localpart=f"somebody{number}",
        from_domain=domain,
        from_org_domain=domain,
        from_validated=True,
        ip1=f"192.0.{number % 200}.{number % 250}",
        ip2=f"192.0.{number % 200}.0/26",
        ip3=f"192.0.{number % 20 * 8}.0/21",
    )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoredHistory]:
    folder: Path = tmp_path_factory.mktemp("reputation")
    engine = RocksEngine(folder / "db")
    batch = Batch()
    step = MESSAGES // SENDERS
    for number in range(SENDERS):
        for kind, value in identities(sender(number)):
            beginning = keys.votes(ACCOUNT, kind, value, INBOX)
            uids = range(number + 1, MESSAGES + 1, SENDERS)
            ages = (NOW - (MESSAGES - uid) * 1000 for uid in uids)
            found = [
                keys.vote(beginning, received_ms, INBOX, uid)
                for received_ms, uid in zip(ages, uids, strict=True)
            ]
            batch.put_all(Family.IDX, found, [b"\x01\x00somebody"] * step)
        if len(batch) > 20_000:
            engine.write(batch)
            batch = Batch()
    engine.write(batch)
    engine.sync()
    yield StoredHistory(engine, ACCOUNT, INBOX)
    engine.close()


@pytest.mark.parametrize(
    ("asked", "method"),
    [
        (sender(77), Method.FROM_ADDRESS),
        # Every level is asked before the last one answers.
        (
            Sender(
                from_localpart="new",
                from_domain="mail.new.example",
                from_org_domain="new.example",
                dkim_domains=("new.example", "esp.example", "other.example"),
                mail_from_localpart="bounce",
                mail_from_domain="esp.example",
                mail_from_validated=True,
                ehlo_domain="mx.esp.example",
                ehlo_validated=True,
                ip1="198.51.100.7",
                ip2="198.51.100.0/26",
                ip3="192.0.8.0/21",
            ),
            Method.IP3,
        ),
        (Sender(from_localpart="new", from_domain="domain7.example"), Method.FROM_DOMAIN),
    ],
    ids=["known", "network", "domain"],
)
def test_reputation(
    benchmark: BenchmarkFixture, history: StoredHistory, asked: Sender, method: Method
) -> None:
    def once() -> Method:
        return history.at_once(lambda asked_of: evaluate(asked_of, asked, NOW)).method

    assert benchmark(once) is method
