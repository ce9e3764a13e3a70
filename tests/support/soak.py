"""Sessions that send random commands to one mailbox, each with a model of what it may know."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable

from support.imapclient import ConnectionEnded, ImapClient, Literal, Result
from support.imapresponse import ResponseError, atom, number
from support.messages import small_message
from support.servers import Server
from support.sessionmodel import Flags, Model, Shared, flags_of, parse_set

SETTABLE = (rb"\Seen", rb"\Flagged", rb"\Answered", rb"\Draft", b"$k1", b"$k2")
NO_IS_FINE = (b"EXPUNGEISSUED", b"NONEXISTENT", b"MODIFIED", b"")
MODES = ("rev1", "rev1", "rev2", "condstore", "condstore", "qresync", "qresync", "qresync")


class Session:
    """One connection that does this and that."""

    def __init__(self, server: Server, mailbox: str, n: int, shared: Shared, seed: int) -> None:
        mode = MODES[n % len(MODES)]
        self.mailbox = mailbox
        self.rng = random.Random(seed * 100 + n)
        self.counts: Counter[str] = Counter()
        self.number = n
        self.client: ImapClient = server.imap(timeout=30)
        self.model = Model(
            f"{mode}-{n}",
            shared,
            condstore=mode in ("condstore", "qresync"),
            qresync=mode == "qresync",
        )
        if mode == "qresync":
            self.client.ok(b"ENABLE QRESYNC")
        elif mode == "rev2" and b"IMAP4rev2" in self.client.capabilities():
            self.client.ok(b"ENABLE IMAP4rev2")
        self._select()
        self._actions: list[tuple[Callable[[], None], int]] = [
            (self.noop, 10),
            (self.fetch, 10),
            (self.uid_fetch, 10),
            (self.store, 14),
            (self.store_unchangedsince, 6),
            (self.append, 12),
            (self.delete, 8),
            (self.expunge, 5),
            (self.uid_expunge, 4),
            (self.copy, 2),
            (self.move, 3),
            (self.search, 6),
            (self.idle, 3),
            (self.check, 2),
            (self.status, 2),
            (self.changedsince, 3),
            (self.select_again, 2),
        ]

    # sending

    def send(self, *parts: bytes, solicited: bool = False, fine: bool = False) -> Result:
        """One command; everything told goes to the model."""
        line = b"".join(parts)
        words = line.split(b" ", 2)
        name = (b" ".join(words[:2]) if words[0] == b"UID" else words[0]).decode()
        self.model.transcript.append(f"> {line[:160]!r}")
        self.model.modified = set()
        result = self.client.command(*parts)
        self.model.take(result.untagged, name, solicited=solicited)
        self.model.transcript.append(repr(result.tagged.raw[:160]))
        self.model.codes(result.tagged)
        self.counts[f"{name} {result.status.decode()}"] += 1
        refused = result.status == b"NO" and result.tagged.code_name in NO_IS_FINE
        if result.status != b"OK" and not (refused or fine):
            self.model.fault(f"{line[:100]!r}: {result.tagged.raw!r}")
        return result

    def step(self) -> None:
        """One random command, and what a client asks next when there are new messages."""
        actions, weights = zip(*self._actions, strict=True)
        self.rng.choices(actions, weights)[0]()
        if self.model.unknown():
            self.learn()

    def learn(self) -> None:
        """Ask for what was announced and is not known."""
        items = b"(UID FLAGS MODSEQ)" if self.model.condstore else b"(UID FLAGS)"
        first = self.model.unknown()
        # By sequence number: in this command nothing is expunged, so all get known.
        self.send(b"FETCH %d:%d " % (first, len(self.model.uids)), items, solicited=True)

    def settle(self) -> None:
        """After this the session knows everything, if nobody changes anything any more."""
        for _ in range(2):
            self.send(b"NOOP")
            if self.model.unknown():
                self.learn()
        self.model.settled()

    def _select(self) -> None:
        parameters = b" (CONDSTORE)" if self.model.condstore and not self.model.qresync else b""
        result = self.client.ok(b"SELECT " + self.mailbox.encode() + parameters)
        self.model.uids = [None] * result.exists
        self.model.known.clear()
        self.model.highest = 0
        self.model.validity = result.code_number(b"UIDVALIDITY")
        for response in result.untagged:
            self.model.codes(response)
        if result.exists:
            self.learn()

    # choosing

    def _numbers(self) -> list[int]:
        """Some sequence numbers that exist."""
        count = len(self.model.uids)
        if not count:
            return []
        low = self.rng.randint(1, count)
        high = min(count, low + self.rng.choice((0, 0, 1, 3, 10)))
        return list(range(low, high + 1))

    def _uids(self) -> list[int]:
        """Some UIDs, of which some may be gone."""
        known = [uid for uid in self.model.uids if uid is not None]
        if not known:
            return [1]
        return sorted(self.rng.sample(known, min(len(known), self.rng.randint(1, 5))))

    @staticmethod
    def _set(numbers: list[int]) -> bytes:
        return b",".join(b"%d" % n for n in numbers)

    # doing

    def noop(self) -> None:
        """NOOP."""
        self.send(b"NOOP")

    def check(self) -> None:
        """CHECK; no part of IMAP4rev2, but no harm."""
        self.send(b"CHECK", fine=True)

    def fetch(self) -> None:
        """FETCH by sequence number."""
        numbers = self._numbers()
        items = self.rng.choice(
            (b"(UID FLAGS)", b"(UID RFC822.SIZE)", b"(FLAGS)", b"(UID ENVELOPE)")
        )
        if numbers:
            self.send(b"FETCH %d:%d " % (numbers[0], numbers[-1]), items, solicited=True)

    def uid_fetch(self) -> None:
        """UID FETCH, also of UIDs that are gone."""
        uids = [*self._uids(), self.rng.randint(1, 500)]
        items = b"(FLAGS MODSEQ)" if self.model.condstore else b"(FLAGS RFC822.SIZE)"
        self.send(b"UID FETCH ", self._set(sorted(set(uids))), b" ", items, solicited=True)

    def store(self) -> None:
        """STORE or UID STORE, plain or silent."""
        operation = self.rng.choice((b"+", b"-", b""))
        self._store(operation, frozenset(self.rng.sample(SETTABLE, self.rng.randint(1, 2))))

    def delete(self) -> None:
        """Mark as deleted."""
        if len(self.model.uids) > 15:
            self._store(b"+", frozenset({rb"\Deleted"}))

    def _store(self, operation: bytes, flags: Flags, condition: bytes = b"") -> None:
        silent = self.rng.random() < 0.4
        numbers = self._numbers()
        if not numbers:
            return
        before = list(self.model.uids)
        uids = [uid for uid in (before[n - 1] for n in numbers) if uid is not None]
        item = operation + b"FLAGS" + (b".SILENT" if silent else b"")
        text = b" (" + b" ".join(sorted(flags)) + b")"
        uid_form = self.rng.random() < 0.5 and bool(uids)
        chosen = (b"UID STORE ", self._set(uids)) if uid_form else (b"STORE ", self._set(numbers))
        result = self.send(*chosen, b" ", condition, item, text)
        if silent and result.status == b"OK":
            failed = self.model.modified
            done = uids if uid_form else numbers
            passed = [n for n in done if n not in failed]
            self._silently(passed if uid_form else self._uids_of(before, passed), operation, flags)

    @staticmethod
    def _uids_of(uids: list[int | None], numbers: list[int]) -> list[int]:
        return [uid for uid in (uids[n - 1] for n in numbers) if uid is not None]

    def _silently(self, uids: list[int], operation: bytes, flags: Flags) -> None:
        """Our own idea of the flags, unless this very answer told them."""
        self.model.stored([uid for uid in uids if uid not in self.model.told], operation, flags)

    def store_unchangedsince(self) -> None:
        """STORE (UNCHANGEDSINCE)."""
        if self.model.condstore:
            since = max(1, self.model.highest - self.rng.choice((0, 0, 5, 50)))
            condition = b"(UNCHANGEDSINCE %d) " % since
            self._store(b"+", frozenset({self.rng.choice(SETTABLE)}), condition)

    def append(self) -> None:
        """APPEND of a message whose size is its own."""
        if len(self.model.uids) < 80:
            self.counts["appended"] += 1
            token = f"r{self.number}-{self.counts['appended']}"
            message = small_message(token) + b"x" * self.rng.randint(0, 20_000) + b"\r\n"
            flags = self.rng.choice((b"", rb"(\Seen) ", b"($k1) "))
            self.send(b"APPEND ", self.mailbox.encode(), b" ", flags, Literal(message))

    def expunge(self) -> None:
        """EXPUNGE."""
        self.send(b"EXPUNGE")

    def uid_expunge(self) -> None:
        """UID EXPUNGE of some."""
        self.send(b"UID EXPUNGE ", self._set(self._uids()))

    def copy(self) -> None:
        """COPY into the same mailbox."""
        if self.model.uids and len(self.model.uids) < 60:
            n = self.rng.randint(1, len(self.model.uids))
            self.send(b"COPY %d " % n, self.mailbox.encode())

    def move(self) -> None:
        """MOVE out of the mailbox."""
        if len(self.model.uids) > 15:
            self.send(
                b"UID MOVE ", self._set(self._uids()[:2]), b" ", self.mailbox.encode() + b"-out"
            )

    def search(self) -> None:
        """SEARCH or UID SEARCH."""
        uid_form = self.rng.random() < 0.5
        key = self.rng.choice((b"ALL", b"SEEN", b"UNDELETED", b"KEYWORD $k1", b"OR FLAGGED DRAFT"))
        gone = set(self.model.gone)
        result = self.send(b"UID " if uid_form else b"", b"SEARCH ", key)
        found = result.search()
        for response in result.of(b"ESEARCH"):
            if b"ALL" in response.tokens:
                at = response.tokens.index(b"ALL")
                found += parse_set(atom(response.tokens[at + 1]))
        self.model.search(found, uid_form, gone)

    def idle(self) -> None:
        """IDLE for a moment."""
        tag = self.client.idle()
        responses = list(self.client.pending(self.rng.uniform(0.005, 0.05)))
        self.model.transcript.append("> IDLE")
        self.model.take(responses, "IDLE")
        result = self.client.done(tag)
        self.model.take(result.untagged, "IDLE")
        self.counts[f"IDLE {result.status.decode()}"] += 1

    def status(self) -> None:
        """STATUS of the other mailbox."""
        self.send(b"STATUS ", self.mailbox.encode(), b"-out (MESSAGES UIDNEXT)")

    def changedsince(self) -> None:
        """What changed since; with VANISHED where it is on."""
        if self.model.condstore and self.model.highest:
            since = max(1, self.model.highest - self.rng.randint(0, 20))
            vanished = b" VANISHED" if self.model.qresync else b""
            self.send(
                b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d%s)" % (since, vanished), solicited=True
            )

    def select_again(self) -> None:
        """Leave, and come back: with QRESYNC only the news is told."""
        if not self.model.qresync:
            self.client.ok(b"UNSELECT")
            self._select()
            return
        if self.model.unknown() or not self.model.uids:
            return
        since = self.model.highest
        self.send(b"UNSELECT")
        time.sleep(self.rng.uniform(0, 0.02))
        line = b"SELECT %s (QRESYNC (%d %d))" % (self.mailbox.encode(), self.model.validity, since)
        self.model.transcript.append(f"> {line!r}")
        result = self.client.ok(line)
        self.counts["SELECT (QRESYNC)"] += 1
        self.model.highest = 0
        self.model.reselected(result.untagged, result.exists)
        self._compare_with_all(result.code_number(b"HIGHESTMODSEQ"))

    def _compare_with_all(self, highest: int) -> None:
        """Nothing up to this modseq was left out of the news."""
        believed = self.model.state()
        result = self.client.ok(b"FETCH 1:* (UID FLAGS MODSEQ)") if believed else None
        for items in result.fetched().values() if result else ():
            uid, modseq = number(items[b"UID"]), number(items[b"MODSEQ"][0])  # type: ignore[index,arg-type]
            flags = flags_of(items[b"FLAGS"])
            if modseq <= highest and believed.get(uid) != flags:
                self.model.fault(
                    f"QRESYNC left out UID {uid} at modseq {modseq}: {believed.get(uid)} is {flags}",
                    "highestmodseq-ahead",
                )
        if result:
            self.model.take(result.untagged, "FETCH", solicited=True)


class Soak:
    """All sessions together."""

    def __init__(
        self,
        server: Server,
        mailbox: str,
        sessions: int,
        seed: int,
        tolerated: frozenset[str] = frozenset(),
    ) -> None:
        self.server = server
        self.mailbox = mailbox
        self.shared = Shared(tolerated=tolerated)
        with server.imap() as client:
            for name in (mailbox, f"{mailbox}-out"):
                client.ok(f"CREATE {name}".encode())
            client.select(mailbox, b"(CONDSTORE)")
            for n in range(20):
                client.append(mailbox, small_message(f"start{n}", 300 + 100 * n))
        self.sessions = [Session(server, mailbox, n, self.shared, seed) for n in range(sessions)]

    def run(self, seconds: float, phases: int) -> Counter[str]:
        """Random commands for so long; after each phase all must agree."""
        for _ in range(phases):
            until = time.monotonic() + seconds / phases
            threads = [
                threading.Thread(target=self._work, args=(session, until), daemon=True)
                for session in self.sessions
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(seconds + 60)
            if self.shared.faults:
                break
            self._agree()
        counts: Counter[str] = Counter()
        for session in self.sessions:
            counts += session.counts
            session.client.close()
        return counts

    def _work(self, session: Session, until: float) -> None:
        try:
            while time.monotonic() < until and not self.shared.faults:
                session.step()
        except (ConnectionEnded, OSError, ResponseError) as e:
            session.model.fault(f"{type(e).__name__}: {e}")

    def _agree(self) -> None:
        for session in self.sessions:
            session.settle()
        with self.server.imap() as client:
            client.ok(b"EXAMINE " + self.mailbox.encode())
            fetched = client.ok(b"FETCH 1:* (UID FLAGS)").fetched()
        uids = [number(fetched[n][b"UID"]) for n in sorted(fetched)]
        flags = {number(items[b"UID"]): flags_of(items[b"FLAGS"]) for items in fetched.values()}
        for session in self.sessions:
            if session.model.uids != uids:
                session.model.fault(f"after NOOP the UIDs are {session.model.uids}, not {uids}")
            elif session.model.state() != flags:
                state = session.model.state()
                wrong = {
                    uid: (state.get(uid), flags[uid])
                    for uid in uids
                    if state.get(uid) != flags[uid]
                }
                session.model.fault(f"after NOOP the flags (believed, real) differ: {wrong}")
