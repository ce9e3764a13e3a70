"""Counts and history in memory: for tests, and for trying a filter out."""

from bisect import insort
from collections import defaultdict
from collections.abc import Sequence
from operator import itemgetter

from mox.junk.model import TOTALS, Count, Delta, add
from mox.junk.reputation import Identity, Sender, Vote, identities


class MemoryCounts:
    """``Counts`` over a dict."""

    def __init__(self) -> None:
        self.rows: dict[bytes, Count] = {}

    def totals(self) -> Count:
        """Messages trained."""
        return self.rows.get(TOTALS, Count())

    def get_many(self, words: Sequence[bytes]) -> Sequence[Count | None]:
        """The count of each word; None for unknown words."""
        return list(map(self.rows.get, words))

    def apply(self, delta: Delta) -> int:
        """Change the rows; the number of counts of which more was taken than there was."""
        short = 0
        for key in delta.keys:
            added = add(self.rows.get(key), delta)
            short += added.fell_short
            if added.is_empty:
                self.rows.pop(key, None)
            else:
                self.rows[key] = added.after
        return short


class MemoryVotes:
    """The index of one account: rows for flagged messages, by mailbox, and whom it wrote to."""

    def __init__(self) -> None:
        # ascending by negative time, then by negative id of the message: newest first
        self._rows: defaultdict[tuple[int, Identity], list[tuple[int, int, Vote]]]
        self._rows = defaultdict(list)
        self._sent: list[tuple[str, str, str, int]] = []

    def add(
        self, mailbox: int, message: int, sender: Sender, received_ms: int, *, junk: bool
    ) -> None:
        """A message was flagged; ``message`` is any number of its own, later ones being newer."""
        vote = Vote(received_ms, junk, sender.from_localpart)
        for identity in identities(sender):
            insort(self._rows[mailbox, identity], (-received_ms, -message, vote))

    def remove(self, mailbox: int, message: int, sender: Sender) -> None:
        """A message lost its flag, or is gone."""
        for identity in identities(sender):
            rows = self._rows[mailbox, identity]
            rows[:] = [row for row in rows if row[1] != -message]

    def wrote(self, localpart: str, domain: str, org_domain: str, sent_ms: int) -> None:
        """The account sent a message to this address."""
        self._sent.append((localpart, domain, org_domain, sent_ms))

    def of(self, mailbox: int) -> "MemoryHistory":
        """``History`` as messages for this mailbox see it."""
        return MemoryHistory(self._rows, self._sent, mailbox)


class MemoryHistory:
    """``History`` of one mailbox."""

    def __init__(
        self,
        rows: defaultdict[tuple[int, Identity], list[tuple[int, int, Vote]]],
        sent: list[tuple[str, str, str, int]],
        mailbox: int,
    ) -> None:
        self._rows = rows
        self._sent = sent
        self._mailbox = mailbox

    def newest(self, identity: Identity, *, since_ms: int, limit: int) -> Sequence[Vote]:
        """The newest votes."""
        rows = self._rows.get((self._mailbox, identity), [])[:limit]
        return [vote for vote in map(itemgetter(2), rows) if vote.received_ms >= since_ms]

    def wrote_to_address(self, localpart: str, domain: str, *, since_ms: int) -> bool:
        """To the address."""
        return any(row[:2] == (localpart, domain) and row[3] >= since_ms for row in self._sent)

    def wrote_to_domain(self, domain: str, *, since_ms: int) -> bool:
        """To the domain."""
        return any(row[1] == domain and row[3] >= since_ms for row in self._sent)

    def wrote_to_org_domain(self, domain: str, *, since_ms: int) -> bool:
        """To the organizational domain."""
        return any(row[2] == domain and row[3] >= since_ms for row in self._sent)
