"""What we know of a sender, from what the user said of earlier mail.

Every flagged message is a vote for each identity it came with, within the mailbox it was first
delivered to.  The levels go from the most to the least specific identity, and the first that finds
anything answers; an inconclusive answer leaves the rest to the content filter.

History is read through the protocol ``History``: short range reads, newest first, of an ordered index
that holds flagged messages only.  ``identities`` says which rows a message has there, so that the
answer is that of a query over all messages.
"""

from collections.abc import Iterator, Sequence
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple, Protocol

import msgspec

from mox.base.limits import REPUTATION_DKIM_DOMAINS

DAY_MS: Final = 24 * 60 * 60 * 1000
YEAR_MS: Final = 365 * DAY_MS
ADDRESS_AGE_MS: Final = 3 * YEAR_MS
DOMAIN_AGE_MS: Final = 2 * YEAR_MS
SIGNAL_AGE_MS: Final = YEAR_MS // 2
IP_AGE_MS: Final = YEAR_MS // 4

ADDRESS_VOTES: Final = 2
DOMAIN_VOTES: Final = 20
SIGNAL_VOTES: Final = 50
IP_VOTES: Final = 50
_DOMAIN_LOCALPARTS = 3  # different senders, all junk: so is their domain


class Kind(IntEnum):
    """What an identity is; stored in keys, so numbers never change."""

    FROM_ADDRESS = 1  # of the From header, not validated
    FROM_ADDRESS_VALIDATED = 2
    FROM_DOMAIN = 3
    FROM_DOMAIN_VALIDATED = 4
    FROM_ORG_DOMAIN = 5
    FROM_ORG_DOMAIN_VALIDATED = 6
    DKIM_DOMAIN = 7
    MAIL_FROM_ADDRESS = 8  # validated by SPF, like the next two
    MAIL_FROM_DOMAIN = 9
    EHLO_DOMAIN = 10
    IP1 = 11  # /32, of IPv6 /64
    IP2 = 12  # /26, /48
    IP3 = 13  # /21, /32


class Identity(NamedTuple):
    """One thing a message came with; ``value`` is never empty."""

    kind: Kind
    value: str


class Sender(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """Where a message came from, as it is stored with it; empty where not known.

    Domains in Unicode form.  Of a forwarded message what belongs to the forwarder is left empty; of
    one that did not come by SMTP everything is.  New fields go to the end: the order is stored.
    """

    from_localpart: str = ""
    from_domain: str = ""
    from_org_domain: str = ""
    from_validated: bool = False  # aligned DKIM or SPF pass
    dkim_domains: tuple[str, ...] = ()  # of passing signatures
    mail_from_localpart: str = ""
    mail_from_domain: str = ""
    mail_from_validated: bool = False  # SPF pass
    ehlo_domain: str = ""
    ehlo_validated: bool = False
    ip1: str = ""
    ip2: str = ""
    ip3: str = ""


class Vote(NamedTuple):
    """What the user said of one message: an entry of the index."""

    received_ms: int
    junk: bool
    localpart: str  # of From; needed in the rows of From domains only


class History(Protocol):
    """The votes in one mailbox of one account, and whom the account wrote to."""

    def newest(self, identity: Identity, *, since_ms: int, limit: int) -> Sequence[Vote]:
        """The newest votes received at ``since_ms`` or later, newest first, at most ``limit``."""
        ...

    def wrote_to_address(self, localpart: str, domain: str, *, since_ms: int) -> bool:
        """The account sent to the address at ``since_ms`` or later."""
        ...

    def wrote_to_domain(self, domain: str, *, since_ms: int) -> bool:
        """The same for any address of the domain."""
        ...

    def wrote_to_org_domain(self, domain: str, *, since_ms: int) -> bool:
        """The same for any address of the organizational domain."""
        ...


class Method(StrEnum):
    """The level that answered; also the reason word of a verdict."""

    FROM_ADDRESS = "msgfromfull"
    TO_ADDRESS = "msgtofull"
    FROM_DOMAIN = "msgfromdomain"
    TO_DOMAIN = "msgtodomain"
    FROM_ORG_DOMAIN = "msgfromorgdomain"
    TO_ORG_DOMAIN = "msgtoorgdomain"
    DKIM_SPF = "dkimspf"
    IP1 = "ip1"
    IP2 = "ip2"
    IP3 = "ip3"
    NONE = "none"


WEAK_METHODS: Final = frozenset({Method.DKIM_SPF, Method.IP1, Method.IP2, Method.IP3, Method.NONE})
"""Those that know nothing of the From address and its domains."""


class Signal(NamedTuple):
    """The votes that were looked at for one identity."""

    identity: Identity
    messages: int
    junk: int


class Reputation(msgspec.Struct, frozen=True, kw_only=True):
    """What history says of a message."""

    junk: bool | None  # None for unknown; then never conclusive
    conclusive: bool
    method: Method
    signals: tuple[Signal, ...] = ()  # what the answer rests on


_UNKNOWN = Reputation(junk=None, conclusive=False, method=Method.NONE)


def address(localpart: str, domain: str) -> str:
    """An address as the value of an identity: the last "@" divides."""
    return f"{localpart}@{domain}"


def identities(sender: Sender) -> tuple[Identity, ...]:
    """The rows that a flagged message with this sender has in the index, each once."""
    found: list[Identity] = []
    validated = int(sender.from_validated)  # the validated kind follows the other
    if sender.from_domain:
        full = address(sender.from_localpart, sender.from_domain)
        found.append(Identity(Kind(Kind.FROM_ADDRESS + validated), full))
        found.append(Identity(Kind(Kind.FROM_DOMAIN + validated), sender.from_domain))
    if sender.from_org_domain:
        found.append(Identity(Kind(Kind.FROM_ORG_DOMAIN + validated), sender.from_org_domain))
    found += _dkim(sender)
    found += _mail_from(sender)
    found += _ehlo(sender)
    found += [identity for identity, _ in _ip_classes(sender)]
    return tuple(found)


def _dkim(sender: Sender) -> list[Identity]:
    domains = [domain for domain in dict.fromkeys(sender.dkim_domains) if domain]
    return [Identity(Kind.DKIM_DOMAIN, domain) for domain in domains[:REPUTATION_DKIM_DOMAINS]]


def _mail_from(sender: Sender) -> list[Identity]:
    if not (sender.mail_from_validated and sender.mail_from_domain):
        return []
    full = address(sender.mail_from_localpart, sender.mail_from_domain)
    return [
        Identity(Kind.MAIL_FROM_ADDRESS, full),
        Identity(Kind.MAIL_FROM_DOMAIN, sender.mail_from_domain),
    ]


def _ehlo(sender: Sender) -> list[Identity]:
    if sender.ehlo_validated and sender.ehlo_domain:
        return [Identity(Kind.EHLO_DOMAIN, sender.ehlo_domain)]
    return []


def _ip_classes(sender: Sender) -> Iterator[tuple[Identity, int]]:
    """Each with the number of messages a conclusive answer needs."""
    if sender.ip1:
        yield Identity(Kind.IP1, sender.ip1), 2
    if sender.ip2:
        yield Identity(Kind.IP2, sender.ip2), 5
    if sender.ip3:
        yield Identity(Kind.IP3, sender.ip3), 10


def evaluate(history: History, sender: Sender, now_ms: int) -> Reputation:
    """What history says of a new message.

    Input  ``history``: of the mailbox that rules choose for it, before the Introbox.
    Cost   at most 15 short reads and one for each DKIM domain, whatever the size of the account.
    """
    return (
        _by_address(history, sender, now_ms)
        or _by_domain(history, sender, now_ms)
        or _by_org_domain(history, sender, now_ms)
        or _by_dkim_spf(history, sender, now_ms)
        or _by_ip(history, sender, now_ms)
        or _UNKNOWN
    )


def _signal(identity: Identity, votes: Sequence[Vote]) -> Signal:
    return Signal(identity, len(votes), sum(vote.junk for vote in votes))


def _is_junk(votes: Sequence[Vote]) -> bool:
    """The newest is junk, and so is the second if there is one: one mistake is forgiven."""
    return all(vote.junk for vote in votes[:2])


def _by_address(history: History, sender: Sender, now_ms: int) -> Reputation | None:
    """Level A: the exact From address."""
    if not sender.from_domain:
        return None
    value = address(sender.from_localpart, sender.from_domain)
    since_ms = now_ms - ADDRESS_AGE_MS
    same = Identity(Kind(Kind.FROM_ADDRESS + sender.from_validated), value)
    votes = history.newest(same, since_ms=since_ms, limit=ADDRESS_VOTES)
    if votes:
        return Reputation(
            junk=_is_junk(votes),
            conclusive=sender.from_validated,
            method=Method.FROM_ADDRESS,
            signals=(_signal(same, votes),),
        )
    if not sender.from_validated:
        known = Identity(Kind.FROM_ADDRESS_VALIDATED, value)
        found = _impostor(history, known, since_ms, Method.FROM_ADDRESS)
        if found is not None:
            return found
    if history.wrote_to_address(sender.from_localpart, sender.from_domain, since_ms=since_ms):
        return Reputation(junk=False, conclusive=True, method=Method.TO_ADDRESS)
    return None


def _impostor(
    history: History, known: Identity, since_ms: int, method: Method
) -> Reputation | None:
    """A sender that was always validated suddenly is not: likely forged, not enough alone."""
    votes = history.newest(known, since_ms=since_ms, limit=ADDRESS_VOTES)
    if not votes:
        return None
    return Reputation(
        junk=True, conclusive=_is_junk(votes), method=method, signals=(_signal(known, votes),)
    )


def _by_domain(history: History, sender: Sender, now_ms: int) -> Reputation | None:
    """Level B: the exact From domain."""
    since_ms = now_ms - DOMAIN_AGE_MS
    found = _by_from_domain(
        history, sender, sender.from_domain, Kind.FROM_DOMAIN, since_ms, Method.FROM_DOMAIN
    )
    if found is not None or not sender.from_domain:
        return found
    if history.wrote_to_domain(sender.from_domain, since_ms=since_ms):
        return Reputation(junk=False, conclusive=True, method=Method.TO_DOMAIN)
    return None


def _by_org_domain(history: History, sender: Sender, now_ms: int) -> Reputation | None:
    """Level C: the organizational From domain."""
    domain, since_ms = sender.from_org_domain, now_ms - DOMAIN_AGE_MS
    found = _by_from_domain(
        history, sender, domain, Kind.FROM_ORG_DOMAIN, since_ms, Method.FROM_ORG_DOMAIN
    )
    if found is not None or not domain:
        return found
    if history.wrote_to_org_domain(domain, since_ms=since_ms):
        return Reputation(junk=False, conclusive=True, method=Method.TO_ORG_DOMAIN)
    return None


def _by_from_domain(
    history: History, sender: Sender, domain: str, kind: Kind, since_ms: int, method: Method
) -> Reputation | None:
    """``kind``: the one of mail that is not validated."""
    if not domain:
        return None
    same = Identity(Kind(kind + sender.from_validated), domain)
    votes = history.newest(same, since_ms=since_ms, limit=DOMAIN_VOTES)
    if votes:
        return _weigh_domain(same, votes, method)
    if sender.from_validated:
        return None
    return _impostor(history, Identity(Kind(kind + 1), domain), since_ms, method)


def _weigh_domain(identity: Identity, votes: Sequence[Vote], method: Method) -> Reputation:
    signal = _signal(identity, votes)
    good = signal.messages - signal.junk
    junk: bool | None = None
    conclusive = False
    if 100 * good // signal.messages > 80:
        junk, conclusive = False, True
    elif good == 0:
        junk = True
        conclusive = len({vote.localpart for vote in votes}) >= _DOMAIN_LOCALPARTS
    return Reputation(junk=junk, conclusive=conclusive, method=method, signals=(signal,))


def _by_dkim_spf(history: History, sender: Sender, now_ms: int) -> Reputation | None:
    """Level D: who signed it and who sent it."""
    since_ms = now_ms - SIGNAL_AGE_MS
    signals: list[Signal] = []
    for identity in _dkim(sender):
        votes = history.newest(identity, since_ms=since_ms, limit=SIGNAL_VOTES)
        if votes:
            signals.append(_signal(identity, votes))
    for identity in (*_mail_from(sender), *_ehlo(sender)):
        votes = history.newest(identity, since_ms=since_ms, limit=SIGNAL_VOTES)
        if votes:
            signals.append(_signal(identity, votes))
            break  # the first of them that is known speaks
    if not signals:
        return None
    is_ham = any(10 * signal.junk < signal.messages for signal in signals)
    is_spam = any(10 * signal.junk > 9 * signal.messages for signal in signals)
    most = max(signal.messages for signal in signals)
    return Reputation(
        junk=is_spam if is_ham is not is_spam else None,
        conclusive=is_ham is not is_spam and (is_ham or most > 1),
        method=Method.DKIM_SPF,
        signals=tuple(signals),
    )


_IP_METHODS: Final = {Kind.IP1: Method.IP1, Kind.IP2: Method.IP2, Kind.IP3: Method.IP3}


def _by_ip(history: History, sender: Sender, now_ms: int) -> Reputation | None:
    """Level E: the smallest network with any history."""
    for identity, needed in _ip_classes(sender):
        votes = history.newest(identity, since_ms=now_ms - IP_AGE_MS, limit=IP_VOTES)
        if not votes:
            continue
        signal = _signal(identity, votes)
        junk: bool | None = None
        if 4 * signal.junk < signal.messages:
            junk = False
        elif 4 * signal.junk > 3 * signal.messages:
            junk = True
        is_clear = 10 * signal.junk <= signal.messages or 10 * signal.junk >= 9 * signal.messages
        return Reputation(
            junk=junk,
            conclusive=is_clear and signal.messages >= needed,
            method=_IP_METHODS[identity.kind],
            signals=(signal,),
        )
    return None
