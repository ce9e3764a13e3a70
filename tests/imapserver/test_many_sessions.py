"""Several sessions change one mailbox at once; each is checked against what it was told.

Numbers, UIDs, flags and modseqs never contradict what a session knows; expunges come only where they
may; after a NOOP all agree.    RFC 9051 §7.5.1, RFC 7162 §3.1, §3.2.10.
"""

import random
import re

import pytest
from support.imaphouse import Client, House

ROUNDS = 60
MESSAGE = b"Subject: x\r\n\r\nx\r\n"
_FETCH = re.compile(rb"\* ([0-9]+) FETCH \((?:UID ([0-9]+) ?)?(.*)\)", re.DOTALL)
_FLAGS = re.compile(rb"FLAGS \(([^)]*)\)")
_MODSEQ = re.compile(rb"MODSEQ \(([0-9]+)\)")
_HOLDS = (b"FETCH", b"STORE", b"SEARCH")


def numbers(uids: bytes) -> list[int]:
    found: list[int] = []
    for part in uids.split(b","):
        first, _, last = part.partition(b":")
        found.extend(range(int(first), int(last or first) + 1))
    return found


class Known:
    """What one client knows of the mailbox, from what it was told."""

    def __init__(self, client: Client, name: str, *, qresync: bool) -> None:
        self.client = client
        self.name = name
        self.qresync = qresync
        self.uids: list[int | None] = []
        self.flags: dict[int, frozenset[bytes]] = {}
        self.modseqs: dict[int, int] = {}
        self.highest = 0
        self.keywords: set[bytes] = set()
        self.count = 0
        self.sent = b""
        self.idling = False

    async def start(self) -> None:
        if self.qresync:
            await self.do(b"ENABLE QRESYNC")
        await self.do(b"SELECT Inbox")
        await self.do(b"FETCH 1:* (UID FLAGS)")

    async def send(self, line: bytes) -> None:
        if self.idling:
            self.idling = False
            await self.client.send(b"DONE\r\n")
            return
        self.idling = line == b"IDLE"
        self.count += 1
        self.sent = line
        await self.client.send(b"%b%d %b\r\n" % (self.name.encode(), self.count, line))

    async def do(self, line: bytes) -> bytes:
        await self.send(line)
        return await self.read()

    async def read(self) -> bytes:
        """Take in all that came; the tagged reply."""
        tag = b"%b%d " % (self.name.encode(), self.count)
        tagged = b""
        while (response := await self.client.response()) is not None:
            assert not tagged, (self.sent, response)
            if response.startswith(tag):
                tagged = response
            else:
                self.take(response)
        assert tagged or self.idling, self.sent
        assert b"SERVERBUG" not in tagged
        return tagged

    def take(self, response: bytes) -> None:
        words = response.split(b" ")
        if words[1] == b"VANISHED":
            self.may_lose()
            assert self.qresync
            for uid in numbers(words[2]):
                self.lose(uid)
        elif len(words) > 2 and words[2] == b"EXPUNGE":
            self.may_lose()
            assert not self.qresync
            del self.uids[int(words[1]) - 1]
        elif len(words) > 2 and words[2] == b"EXISTS":
            count = int(words[1])
            assert count >= len(self.uids), (self.sent, response, len(self.uids))
            self.uids.extend([None] * (count - len(self.uids)))
        elif words[1] == b"FLAGS":
            self.keywords = set(response[len(b"* FLAGS (") : -1].split())
        elif match := _FETCH.fullmatch(response):
            self.fetched(match)
        elif b"[HIGHESTMODSEQ " in response:
            self.highest = int(response.split(b"HIGHESTMODSEQ ")[1].split(b"]")[0])

    def lose(self, uid: int) -> None:
        """Of a message that it added itself a client knows that it is there, not its UID."""
        if uid in self.uids:
            self.uids.remove(uid)
            return
        above = [at for at, other in enumerate(self.uids) if other is not None and other > uid]
        at = (above[0] if above else len(self.uids)) - 1
        assert self.uids[at] is None, (uid, self.uids)
        del self.uids[at]

    def may_lose(self) -> None:
        assert not self.sent.startswith(_HOLDS), self.sent

    def fetched(self, match: re.Match[bytes]) -> None:
        seq = int(match[1])
        assert 1 <= seq <= len(self.uids), (self.sent, match[0])
        known = self.uids[seq - 1]
        uid = int(match[2]) if match[2] else known
        assert uid is not None, (self.sent, match[0])
        assert known in (None, uid), (self.sent, match[0], known)
        before = [other for other in self.uids[: seq - 1] if other is not None]
        assert not before or before[-1] < uid
        self.uids[seq - 1] = uid
        if flags := _FLAGS.search(match[3]):
            self.flags[uid] = frozenset(flags[1].split())
            shown = {flag for flag in self.flags[uid] if flag != b"\\Recent"}
            assert shown <= self.keywords, (shown, self.keywords)
        if modseq := _MODSEQ.search(match[3]):
            value = int(modseq[1])
            assert value >= self.modseqs.get(uid, 0), (self.sent, match[0])
            self.modseqs[uid] = value

    def some(self, chance: random.Random) -> bytes:
        """A set of sequence numbers."""
        first = chance.randint(1, len(self.uids))
        last = min(len(self.uids), first + chance.randrange(3))
        return b"%d:%d" % (first, last)


def command(known: Known, chance: random.Random) -> bytes:
    if not known.uids:
        return b"APPEND Inbox {%d+}\r\n%b" % (len(MESSAGE), MESSAGE)
    some = known.some(chance)
    flags = chance.choice((b"\\Seen", b"\\Flagged", b"\\Deleted", b"word%d" % chance.randrange(9)))
    sign = chance.choice((b"+", b"-", b""))
    lines = [
        b"NOOP",
        b"IDLE",
        b"APPEND Inbox (\\Seen k%d) {%d+}\r\n%b" % (chance.randrange(9), len(MESSAGE), MESSAGE),
        b"STORE %b %bFLAGS (%b)" % (some, sign, flags),
        b"STORE %b %bFLAGS (%b)" % (some, sign, flags),
        b"FETCH %b (UID FLAGS)" % some,
        b"FETCH %b (UID BODY[TEXT])" % some,
        b"SEARCH UNSEEN",
        b"UID FETCH 1:* (FLAGS)",
        b"EXPUNGE",
        b"COPY %b Inbox" % some,
        b"MOVE %b Inbox" % some,
    ]
    if known.qresync:
        lines.append(b"STORE %b (UNCHANGEDSINCE %d) +FLAGS (x)" % (some, known.highest))
        lines.append(b"UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % max(1, known.highest - 5))
    return chance.choice(lines)


@pytest.mark.parametrize("seed", range(6))
async def test_what_each_session_is_told_holds_together(house: House, seed: int) -> None:
    chance = random.Random(seed)
    await house.put("Inbox", 8)
    sessions = [
        Known(await house.connect(), f"s{number}x", qresync=number % 2 == 1) for number in range(4)
    ]
    for known in sessions:
        await known.start()
    for _ in range(ROUNDS):
        busy = chance.sample(sessions, chance.randint(1, len(sessions)))
        for known in busy:
            await known.send(command(known, chance))
        for known in busy:
            await known.read()
    for known in sessions:
        await known.do(b"NOOP")  # or the end of IDLE
        await known.do(b"NOOP")
    for known in sessions:
        uids, flags = list(known.uids), dict(known.flags)
        known.flags = {}
        await known.do(b"FETCH 1:* (UID FLAGS)")
        assert len(known.uids) == len(uids)
        for uid, before in zip(known.uids, uids, strict=True):
            assert uid is not None
            assert before in (None, uid)
            if before is not None and uid in flags:
                assert known.flags[uid] - {b"\\Recent"} == flags[uid] - {b"\\Recent"}, uid
        assert known.uids == sessions[0].uids
