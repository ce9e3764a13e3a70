"""Load for a server that will be killed, a ledger of what it promised, and the judge of what is left.

The load gives every message a token of its own and changes one message per command, so in a
correct server no UID and no modseq ever belongs to two messages (RFC 9051 §2.3.1.1, RFC 7162 §3.1).
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from support.imapclient import ConnectionEnded, ImapClient, Literal
from support.imapresponse import Response, atom, number, sequence
from support.messages import small_message
from support.servers import USER, Server

MAILBOX = "INBOX"
SIZES = (
    300,
    1200,
    4000,
    12_000,
    40_000,
)  # bytes; ours keeps the last one in a pack, others as rows
LARGE = 1_200_000  # bytes; larger than what a server may keep in a common file
TOKEN = re.compile(rb"^Message-ID: <([^@>]+)@small\.example>", re.MULTILINE)

Flags = frozenset[bytes]


@dataclass
class Sent:
    """A message on its way, or there."""

    token: str
    size: int
    exact: bool  # APPEND: these octets and no others; SMTP: a header may be put before them
    acknowledged: bool = False
    uid: int = 0  # 0: not told

    def octets(self) -> bytes:
        """The message."""
        return small_message(self.token, self.size)


@dataclass
class Ledger:
    """Everything the server said before it was killed, over all rounds."""

    sent: dict[str, Sent] = field(default_factory=dict)
    modseqs: dict[int, dict[int, Flags]] = field(default_factory=dict)  # uid → modseq → flags
    promised: dict[int, set[bytes]] = field(default_factory=dict)  # uid → flags that were OKed
    validity: int = 0
    highest: int = 0  # largest modseq anybody was told
    largest_uid: int = 0
    unexpected: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self) -> int:
        """How many messages were acknowledged."""
        with self.lock:
            return sum(sent.acknowledged for sent in self.sent.values())

    def begin(self, sent: Sent) -> None:
        """It goes out now."""
        with self.lock:
            self.sent[sent.token] = sent

    def end(self, sent: Sent, uid: int = 0) -> None:
        """It was acknowledged."""
        with self.lock:
            sent.acknowledged = True
            sent.uid = uid
            self.largest_uid = max(self.largest_uid, uid)

    def saw(self, response: Response) -> None:
        """A FETCH with UID, FLAGS and MODSEQ, as told to some session."""
        items = response.pairs()
        if not {b"UID", b"FLAGS", b"MODSEQ"} <= items.keys():
            return
        uid = number(items[b"UID"])
        modseq = number(sequence(items[b"MODSEQ"])[0])
        flags = frozenset(atom(f) for f in sequence(items[b"FLAGS"])) - {rb"\Recent"}
        with self.lock:
            self.modseqs.setdefault(uid, {})[modseq] = flags
            self.highest = max(self.highest, modseq)
            self.largest_uid = max(self.largest_uid, uid)


@dataclass(frozen=True)
class Found:
    """One message as it is after the restart.   octets is None where only the token was read."""

    token: str
    modseq: int
    flags: Flags
    octets: bytes | None


@dataclass(frozen=True)
class Remains:
    """The mailbox after the restart."""

    validity: int
    uidnext: int
    highest: int
    messages: dict[int, Found]


# the judge


def reconcile(ledger: Ledger, remains: Remains) -> list[str]:
    """What the server promised and does not hold; an empty list is a pass."""
    faults = list(ledger.unexpected)
    if ledger.validity and remains.validity != ledger.validity:
        faults.append(f"UIDVALIDITY was {ledger.validity}, is {remains.validity}")
    if remains.uidnext <= ledger.largest_uid:
        faults.append(f"UIDNEXT {remains.uidnext}, but UID {ledger.largest_uid} was given out")
    if remains.highest < ledger.highest:
        faults.append(f"HIGHESTMODSEQ {remains.highest}, but {ledger.highest} was told")
    faults += _messages(ledger, remains)
    faults += _modseqs(ledger, remains)
    return faults


def _messages(ledger: Ledger, remains: Remains) -> list[str]:
    faults = []
    uids: dict[str, list[int]] = {}
    for uid, found in remains.messages.items():
        uids.setdefault(found.token, []).append(uid)
        sent = ledger.sent.get(found.token)
        if sent is None:
            faults.append(f"UID {uid}: nobody sent {found.token!r}")
        elif found.octets is not None and not _same(sent, found.octets):
            faults.append(f"UID {uid}: {found.token} has other octets than were sent")
    for token, sent in ledger.sent.items():
        there = uids.get(token, [])
        if len(there) > 1:
            faults.append(f"{token} is there more than once: UIDs {there}")
        if sent.acknowledged and not there:
            faults.append(f"{token} was acknowledged and is lost")
        elif sent.uid and there != [sent.uid]:
            faults.append(f"{token} was given UID {sent.uid} and has {there}")
    return faults


def _same(sent: Sent, octets: bytes) -> bool:
    expected = sent.octets()
    if sent.exact or octets == expected:
        return octets == expected
    added = octets[: len(octets) - len(expected)]
    return octets.endswith(expected) and added.endswith(b"\r\n") and b"\r\n\r\n" not in added


def _modseqs(ledger: Ledger, remains: Remains) -> list[str]:
    faults = []
    owners: dict[int, int] = {}
    told = [(modseq, uid) for uid, seen in ledger.modseqs.items() for modseq in seen]
    for modseq, uid in told + [(found.modseq, uid) for uid, found in remains.messages.items()]:
        if owners.setdefault(modseq, uid) != uid:
            faults.append(f"modseq {modseq} was used for UIDs {owners[modseq]} and {uid}")
    for uid, seen in ledger.modseqs.items():
        now = remains.messages.get(uid)
        if now is None:
            faults.append(f"UID {uid} was told and is lost")
        elif now.modseq < max(seen):
            faults.append(f"UID {uid}: modseq {max(seen)} was told, is {now.modseq}")
        elif seen.get(now.modseq, now.flags) != now.flags:
            faults.append(f"UID {uid}: other flags under the same modseq {now.modseq}")
    for uid, flags in ledger.promised.items():
        now = remains.messages.get(uid)
        if now is not None and not flags <= now.flags:
            faults.append(f"UID {uid}: {flags - now.flags} was acknowledged and is lost")
    return faults


# reading what is left


def look(client: ImapClient, known: dict[int, Found], ledger: Ledger) -> Remains:
    """Read the mailbox: octets of messages not in known, and the state of all."""
    selected = client.select(MAILBOX, b"(CONDSTORE)")
    first = max(known, default=0) + 1
    messages: dict[int, Found] = {}
    octets: dict[int, bytes] = {}
    for items in client.ok(b"UID FETCH %d:* (UID BODY.PEEK[])" % first).fetched().values():
        octets[number(items[b"UID"])] = atom(items[b"BODY[]"])
    for items in client.ok(b"UID FETCH 1:* (FLAGS MODSEQ)").fetched().values():
        uid = number(items[b"UID"])
        body = octets.get(uid)
        match = TOKEN.search(body) if body is not None else None
        token = match[1].decode() if match else known[uid].token if uid in known else ""
        flags = frozenset(atom(f) for f in sequence(items[b"FLAGS"])) - {rb"\Recent"}
        messages[uid] = Found(token, number(sequence(items[b"MODSEQ"])[0]), flags, body)
    validity = selected.code_number(b"UIDVALIDITY")
    if not ledger.validity:
        ledger.validity = validity
    return Remains(
        validity=validity,
        uidnext=selected.code_number(b"UIDNEXT"),
        highest=selected.code_number(b"HIGHESTMODSEQ"),
        messages=messages,
    )


# the load


class Load:
    """Connections that send, append and flag until the server is gone."""

    def __init__(self, server: Server, ledger: Ledger, round_number: int) -> None:
        self.server = server
        self.ledger = ledger
        self.round = round_number
        self._threads: list[threading.Thread] = []

    def start(self, smtp: int, append: int, flag: int) -> None:
        """So many connections of each kind."""
        kinds = [(self._smtp, smtp), (self._append, append), (self._flag, flag)]
        for work, count in kinds:
            for n in range(count):
                thread = threading.Thread(target=self._guard, args=(work, n), daemon=True)
                self._threads.append(thread)
                thread.start()

    def join(self) -> None:
        """Wait until every connection noticed the end."""
        for thread in self._threads:
            thread.join(60)
            if thread.is_alive():
                raise TimeoutError("a connection did not notice that the server was killed")

    def wait_for(self, acknowledged: int, seconds: float) -> None:
        """Until so many messages of this and earlier rounds were acknowledged."""
        until = time.monotonic() + seconds
        while self.ledger.acknowledged() < acknowledged:
            if time.monotonic() > until:
                raise TimeoutError(
                    f"no {acknowledged} messages in {seconds} s: {self.ledger.unexpected}"
                )
            time.sleep(0.01)

    def _guard(self, work: Callable[[int], None], n: int) -> None:
        try:
            work(n)
        except (ConnectionEnded, ConnectionError, BrokenPipeError):
            return  # killed
        except (OSError, AssertionError) as e:
            with self.ledger.lock:
                self.ledger.unexpected.append(f"{work.__name__} {n}: {type(e).__name__} {e}")

    def _next(self, kind: str, n: int, count: int, rng: random.Random, exact: bool) -> Sent:
        size = LARGE if rng.random() < 0.01 else rng.choice(SIZES)
        sent = Sent(f"{kind}-{self.round}-{n}-{count}", size, exact)
        self.ledger.begin(sent)
        return sent

    def _smtp(self, n: int) -> None:
        rng = random.Random(n)
        with self.server.smtp() as client:
            client.ehlo()
            for count in range(1_000_000):
                sent = self._next("s", n, count, rng, exact=False)
                client.deliver(b"sender@example.org", [USER.encode()], sent.octets())
                self.ledger.end(sent)

    def _append(self, n: int) -> None:
        rng = random.Random(1000 + n)
        with self.server.imap() as client:
            for count in range(1_000_000):
                sent = self._next("a", n, count, rng, exact=True)
                self.ledger.end(sent, client.append(MAILBOX, sent.octets()))

    def _flag(self, n: int) -> None:
        """Set and clear flags of messages that no other connection touches."""
        rng = random.Random(2000 + n)
        with self.server.imap() as client:
            client.select(MAILBOX, b"(CONDSTORE)")
            for _ in range(1_000_000):
                result = client.ok(b"NOOP")
                for response in result.of(b"FETCH"):
                    self.ledger.saw(response)
                with self.ledger.lock:
                    uids = [s.uid for s in list(self.ledger.sent.values())[-500:] if s.uid]
                mine = [uid for uid in uids if uid % 4 == n]
                if mine:
                    self._store(client, rng.choice(mine), rng)

    def _store(self, client: ImapClient, uid: int, rng: random.Random) -> None:
        flag = rng.choice((rb"\Seen", rb"\Flagged", b"$one", b"$two"))
        result = client.ok(b"UID STORE %d +FLAGS (%s)" % (uid, flag))
        own = False
        for response in result.of(b"FETCH"):
            self.ledger.saw(response)
            items = response.pairs()
            set_now = {atom(found) for found in sequence(items[b"FLAGS"])}
            own = own or (number(items[b"UID"]) == uid and flag in set_now)
        if not own:
            # This session was not told of the message before the command; its FETCH lines are news.
            return
        with self.ledger.lock:
            self.ledger.promised.setdefault(uid, set()).add(flag)


def append_one(client: ImapClient, ledger: Ledger, token: str) -> None:
    """One quiet APPEND, entered in the ledger."""
    sent = Sent(token, 300, exact=True)
    ledger.begin(sent)
    client.ok(f"APPEND {MAILBOX} ".encode(), Literal(sent.octets()))
    ledger.end(sent)
