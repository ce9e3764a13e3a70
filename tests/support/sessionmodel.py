"""What one IMAP session may know of its mailbox, kept up by what the server tells it.

Every untagged response is checked against what was told before: counts, sequence numbers, UIDs,
flags and modseqs never go backwards, and an expunge comes only where it may.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from support.imapresponse import Response, Token, atom, number, sequence

Flags = frozenset[bytes]

# RFC 9051 §7.5.1, RFC 7162 §3.2.10.2: no expunge while answering these; the UID forms may.
NO_EXPUNGE = frozenset({"FETCH", "STORE", "SEARCH"})


def parse_set(text: bytes) -> list[int]:
    """The numbers of a set without "*"."""
    found: list[int] = []
    for part in text.split(b","):
        low, _, high = part.partition(b":")
        first, last = int(low), int(high or low)
        found.extend(range(min(first, last), max(first, last) + 1))
    return found


def flags_of(token: Token) -> Flags:
    """The flags of a list, without Recent."""
    return frozenset(atom(flag) for flag in sequence(token)) - {rb"\Recent"}


@dataclass
class Shared:
    """What all sessions together know, and the faults of any of them."""

    truth: dict[tuple[int, int], Flags] = field(default_factory=dict)  # (uid, modseq) → flags
    sizes: dict[int, int] = field(default_factory=dict)  # uid → RFC822.SIZE
    faults: list[str] = field(default_factory=list)
    tolerated: frozenset[str] = frozenset()  # rules that the server is known not to keep
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Known:
    """Of one message."""

    flags: Flags
    modseq: int = 0  # 0: not told
    silent: bool = False  # the flags are what we asked for, not what we were told


class Model:
    """One session's knowledge of the selected mailbox."""

    def __init__(self, name: str, shared: Shared, *, condstore: bool, qresync: bool) -> None:
        self.name = name
        self.shared = shared
        self.condstore = condstore
        self.qresync = qresync
        self.uids: list[int | None] = []  # by sequence number - 1; None: not told yet
        self.known: dict[int, Known] = {}
        self.gone: set[int] = set()
        self.gone_earlier: set[int] = set()  # named by VANISHED (EARLIER)
        self.highest = 0  # HIGHESTMODSEQ as told
        self.validity = 0
        self.transcript: deque[str] = deque(maxlen=30)
        self.modified: set[int] = set()  # of the last STORE: numbers or UIDs as sent
        self.told: set[int] = set()  # UIDs whose flags the last answer told

    def fault(self, what: str, rule: str = "") -> None:
        """Note it with what was said before."""
        if rule in self.shared.tolerated:
            return
        with self.shared.lock:
            if len(self.shared.faults) < 5:
                self.shared.faults.append(f"{self.name}: {what}\n  " + "\n  ".join(self.transcript))

    # untagged responses

    def take(self, responses: Iterable[Response], command: str, *, solicited: bool = False) -> None:
        """All responses of one command.   solicited: it asked for FETCH data."""
        self.told = set()
        for response in responses:
            self.transcript.append(repr(response.raw[:160]))
            kind = response.kind
            if kind == b"EXISTS":
                self._exists(response.number)
            elif kind == b"EXPUNGE":
                self._expunge(response.number, command)
            elif kind == b"VANISHED":
                self._vanished(response, command)
            elif kind == b"FETCH":
                self._fetch(response, solicited)
            elif kind == b"BYE":
                self.fault("BYE")
            self.codes(response)

    def codes(self, response: Response) -> None:
        """HIGHESTMODSEQ and MODIFIED, tagged or not."""
        if response.code is None:
            return
        if response.code_name == b"HIGHESTMODSEQ":
            told = number(response.code[1])
            if told < self.highest:
                self.fault(f"HIGHESTMODSEQ went back from {self.highest} to {told}")
            self.highest = max(self.highest, told)
        elif response.code_name == b"MODIFIED":
            self.modified = set(parse_set(atom(response.code[1])))

    def _exists(self, count: int) -> None:
        if count < len(self.uids):
            self.fault(f"EXISTS {count} after {len(self.uids)}: only EXPUNGE may take away")
            return
        self.uids += [None] * (count - len(self.uids))

    def _may_expunge(self, command: str) -> None:
        if command in NO_EXPUNGE:
            self.fault(f"an expunge was told during {command}")

    def _expunge(self, seq: int, command: str) -> None:
        self._may_expunge(command)
        if self.qresync:
            self.fault("EXPUNGE where VANISHED is due (RFC 7162 §3.2.10)")
        if not 1 <= seq <= len(self.uids):
            self.fault(f"EXPUNGE {seq} of {len(self.uids)}")
            return
        self._forget(self.uids.pop(seq - 1))

    def _forget(self, uid: int | None) -> None:
        if uid is not None:
            self.known.pop(uid, None)
            self.gone.add(uid)

    def _vanished(self, response: Response, command: str) -> None:
        earlier = isinstance(response.tokens[1], list)
        vanished = parse_set(atom(response.tokens[-1]))
        if not self.qresync:
            self.fault("VANISHED in a session without QRESYNC")
        if earlier:
            # RFC 7162 §3.2.10.1: numbers do not move by it; the plain VANISHED may still be due.
            self.gone_earlier |= set(vanished)
            return
        self._may_expunge(command)
        for uid in vanished:
            if uid in self.uids:
                self.uids.remove(uid)
                self._forget(uid)
            elif (place := self._unknown_place(uid)) is not None:
                self.uids.pop(place)
                self.gone.add(uid)
            else:
                self.fault(f"VANISHED names UID {uid}, which is not there")

    def _unknown_place(self, uid: int) -> int | None:
        """A place whose UID was not told yet and may be this one; such neighbours are alike."""
        lower = 0
        place: int | None = None
        for n, known in enumerate(self.uids):
            if known is None:
                place = n
            elif known > uid:
                break
            else:
                lower, place = known, None
        return place if lower < uid else None

    def _fetch(self, response: Response, solicited: bool) -> None:
        seq = response.number
        items = response.pairs()
        if not 1 <= seq <= len(self.uids):
            self.fault(f"FETCH {seq} of {len(self.uids)}")
            return
        if self.condstore and not solicited:
            self._unasked(items.keys())
        if b"UID" in items:
            self._learn_uid(seq, number(items[b"UID"]))
        uid = self.uids[seq - 1]
        if uid is None:
            return
        if b"RFC822.SIZE" in items:
            self._size(uid, number(items[b"RFC822.SIZE"]))
        modseq = number(sequence(items[b"MODSEQ"])[0]) if b"MODSEQ" in items else 0
        flags = flags_of(items[b"FLAGS"]) if b"FLAGS" in items else None
        if flags is not None or modseq:
            self._learn_flags(uid, flags, modseq)

    def _unasked(self, items: Iterable[bytes]) -> None:
        """RFC 7162 §3.2.4: both UID and MODSEQ, once CONDSTORE is enabled."""
        if b"MODSEQ" not in items:
            self.fault("an unasked FETCH without MODSEQ")
        if b"UID" not in items:
            self.fault("an unasked FETCH without UID", "" if self.qresync else "uid-with-condstore")

    def _learn_uid(self, seq: int, uid: int) -> None:
        before = self.uids[seq - 1]
        if before == uid:
            return
        if before is not None:
            self.fault(f"message {seq} was UID {before} and is UID {uid}")
        elif uid in self.gone:
            self.fault(f"UID {uid} was told as gone and is message {seq}")
        else:
            lower = [u for u in self.uids[: seq - 1] if u is not None]
            higher = [u for u in self.uids[seq:] if u is not None]
            if (lower and lower[-1] >= uid) or (higher and higher[0] <= uid):
                self.fault(f"UID {uid} at {seq} is not in ascending order")
            self.uids[seq - 1] = uid

    def _size(self, uid: int, size: int) -> None:
        with self.shared.lock:
            known = self.shared.sizes.setdefault(uid, size)
        if known != size:
            self.fault(f"UID {uid} had {known} octets and has {size}")

    def _learn_flags(self, uid: int, flags: Flags | None, modseq: int) -> None:
        known = self.known.get(uid)
        if known is not None and modseq:
            self._check_modseq(uid, known, flags, modseq)
        if flags is not None and modseq:
            with self.shared.lock:
                truth = self.shared.truth.setdefault((uid, modseq), flags)
            if truth != flags:
                self.fault(
                    f"UID {uid} has {set(flags)} at modseq {modseq}; told before {set(truth)}"
                )
        if flags is None:
            if known is not None:
                known.modseq = max(known.modseq, modseq)
            return
        self.told.add(uid)
        kept = modseq or (known.modseq if known else 0)
        self.known[uid] = Known(flags, kept)

    def _check_modseq(self, uid: int, known: Known, flags: Flags | None, modseq: int) -> None:
        if modseq < known.modseq:
            self.fault(f"UID {uid}: modseq went back from {known.modseq} to {modseq}")
        changed = flags is not None and flags != known.flags and not known.silent
        if changed and known.modseq and known.modseq < modseq <= self.highest:
            # A client that stored this HIGHESTMODSEQ would never hear of the change.
            what = f"UID {uid}: {modseq} comes after HIGHESTMODSEQ {self.highest} was told"
            self.fault(what, "highestmodseq-ahead")

    # what we did ourselves

    def stored(self, uids: Iterable[int], operation: bytes, flags: Flags) -> None:
        """A STORE .SILENT was OKed for these: the client knows the flags without being told."""
        for uid in uids:
            known = self.known.get(uid)
            if known is None:
                continue
            if operation == b"+":
                known.flags |= flags
            elif operation == b"-":
                known.flags -= flags
            else:
                known.flags = flags
            known.silent = True

    def search(self, numbers: list[int], uid_form: bool, gone_before: set[int]) -> None:
        """The result of SEARCH or UID SEARCH; what was told as gone before the command."""
        if len(set(numbers)) != len(numbers):
            self.fault("a number twice in SEARCH")
        for n in numbers:
            if uid_form and n in gone_before:
                self.fault(f"UID SEARCH found UID {n}, which was told as gone")
            if not uid_form and not 1 <= n <= len(self.uids):
                self.fault(f"SEARCH found {n} of {len(self.uids)}")

    def unknown(self) -> int:
        """The first message whose UID or flags were not told yet; 0 if all were."""
        for seq, uid in enumerate(self.uids, 1):
            if uid is None or uid not in self.known:
                return seq
        return 0

    def settled(self) -> None:
        """Nothing changes any more, and NOOP was sent."""
        if self.unknown():
            self.fault("messages stay unknown after NOOP and FETCH")
        there = self.gone_earlier & {uid for uid in self.uids if uid is not None}
        if there:
            self.fault(f"VANISHED (EARLIER) named {there}, which are there")

    def state(self) -> dict[int, Flags]:
        """UID → flags of all messages, as this session believes."""
        return {
            uid: self.known[uid].flags for uid in self.uids if uid is not None and uid in self.known
        }

    # coming back

    def reselected(self, responses: list[Response], exists: int) -> None:
        """The answer to SELECT (QRESYNC …) brings the cache up to date.   RFC 7162 §3.2.5."""
        for response in responses:
            self.transcript.append(repr(response.raw[:160]))
        cached = {uid for uid in self.uids if uid is not None}
        news: dict[int, int] = {}
        for response in responses:
            if response.kind == b"VANISHED":
                cached -= set(parse_set(atom(response.tokens[-1])))
            elif response.kind == b"FETCH":
                news[response.number] = number(response.pairs()[b"UID"])
        now = sorted(cached | set(news.values()))
        if len(now) != exists:
            self.fault(f"after QRESYNC {len(now)} messages are known, EXISTS says {exists}")
        for uid in {u for u in self.uids if u is not None} - set(now):
            self._forget(uid)
        self.uids = list(now)
        self.known = {uid: known for uid, known in self.known.items() if uid in set(now)}
        # The HIGHESTMODSEQ among them stands before the news, and counts from their end on.
        for response in responses:
            if response.kind == b"FETCH":
                self._fetch(response, solicited=False)
        for response in responses:
            self.codes(response)
