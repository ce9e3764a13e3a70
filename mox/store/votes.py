"""What the user said of earlier mail, and whom the account wrote to: rows to be read newest first.

The index holds flagged messages only, a row for each identity of their sender; and a row for each
address, domain and organization that a message in a Sent mailbox went to.  The learner writes them
(``lessons``).  A row is found by short range reads whatever the size of the account.
"""

from collections.abc import Callable, Iterable
from typing import TypeVar

from mox.dns.name import to_unicode
from mox.junk.recipients import Sent
from mox.junk.reputation import Identity, Kind, Vote, address, identities
from mox.store.account import Account
from mox.store.engine.base import Engine, Family, Ranges
from mox.store.errors import DataDamaged
from mox.store.layout import keys
from mox.store.layout.rows import Facts

T = TypeVar("T")

Organizational = Callable[[str], str]
"""The name somebody registered, of a domain in ASCII."""

_NOT_THERE = 0  # id of no mailbox
_WITH_LOCALPART = frozenset(
    [
        Kind.FROM_DOMAIN,
        Kind.FROM_DOMAIN_VALIDATED,
        Kind.FROM_ORG_DOMAIN,
        Kind.FROM_ORG_DOMAIN_VALIDATED,
    ]
)


def vote_rows(
    account_id: int, mailbox_id: int, uid: int, facts: Facts, received_ms: int, *, junk: bool
) -> Iterable[tuple[bytes, bytes]]:
    """Keys and values of IDX rows for a flagged message."""
    origin = facts.effective_origin(mailbox_id)
    said = b"\x01\x01" if junk else b"\x01\x00"
    localpart = facts.sender.from_localpart.encode()
    for kind, value in identities(facts.sender):
        beginning = keys.votes(account_id, kind, value, origin)
        key = keys.vote(beginning, received_ms, mailbox_id, uid)
        yield key, said + localpart if kind in _WITH_LOCALPART else said


def sent_rows(
    account_id: int,
    mailbox_id: int,
    uid: int,
    sent: Sent,
    received_ms: int,
    organizational: Organizational,
) -> Iterable[tuple[bytes, bytes]]:
    """Keys and (empty) values of IDX rows for a message in a Sent mailbox."""
    beginnings: dict[bytes, None] = {}
    for localpart, domain in sent.recipients:
        full = address(localpart, domain.unicode)
        organization = to_unicode(organizational(domain.ascii))
        beginnings[keys.sent_to(account_id, b"a", full)] = None
        beginnings[keys.sent_to(account_id, b"d", domain.unicode)] = None
        beginnings[keys.sent_to(account_id, b"o", organization)] = None
    sent_ms = received_ms if sent.date_ms is None else sent.date_ms
    for beginning in beginnings:
        yield keys.vote(beginning, sent_ms, mailbox_id, uid), b""


def read_history(account: Account, mailbox_name: str) -> "StoredHistory":
    """What is known for mail into a mailbox.    Its methods block: evaluate it in a thread.

    A mailbox that does not exist has no votes; whom the account wrote to counts all the same.
    """
    mailbox = account.by_name.get(account.normalise(mailbox_name))
    origin = _NOT_THERE if mailbox is None else mailbox.id
    return StoredHistory(account.shard.engine, account.id, origin)


class StoredHistory:
    """``reputation.History`` over the index.    Cost: each method one short range read."""

    def __init__(self, engine: Engine, account_id: int, origin: int) -> None:
        self._engine = engine
        self._account = account_id
        self._origin = origin
        self._ranges: Ranges | None = None

    def at_once(self, ask: Callable[["StoredHistory"], T]) -> T:
        """What this function asks is read with one iterator, which costs less than many."""
        self._ranges = self._open()
        try:
            return ask(self)
        finally:
            self._ranges = None

    def newest(self, identity: Identity, *, since_ms: int, limit: int) -> list[Vote]:
        """The newest votes received at ``since_ms`` or later, newest first, at most ``limit``."""
        beginning = keys.votes(self._account, identity.kind, identity.value, self._origin)
        return [_vote(key, value) for key, value in self._first(beginning, since_ms, limit)]

    def wrote_to_address(self, localpart: str, domain: str, *, since_ms: int) -> bool:
        """The account sent to the address at ``since_ms`` or later."""
        return self._wrote(b"a", address(localpart, domain), since_ms)

    def wrote_to_domain(self, domain: str, *, since_ms: int) -> bool:
        """The same for any address of the domain."""
        return self._wrote(b"d", domain, since_ms)

    def wrote_to_org_domain(self, domain: str, *, since_ms: int) -> bool:
        """The same for any address of the organizational domain."""
        return self._wrote(b"o", domain, since_ms)

    def _wrote(self, kind: bytes, value: str, since_ms: int) -> bool:
        return bool(self._first(keys.sent_to(self._account, kind, value), since_ms, 1))

    def _first(self, beginning: bytes, since_ms: int, limit: int) -> list[tuple[bytes, bytes]]:
        ranges = self._ranges or self._open()
        return ranges.first(*keys.votes_since(beginning, since_ms), limit)

    def _open(self) -> Ranges:
        # Votes are behind what was sent, and nothing else is asked for.
        return self._engine.ranges(Family.IDX, keys.votes_of(self._account)[1])


def _vote(key: bytes, value: bytes) -> Vote:
    if len(value) < 2 or value[0] != 1:
        raise DataDamaged("a vote is damaged")
    return Vote(keys.vote_received(key), bool(value[1]), value[2:].decode())
