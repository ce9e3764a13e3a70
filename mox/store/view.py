"""One client's view of a mailbox: which messages it was told of, and what is news to it.

A view is three numbers: ``limit`` (slots it was told of), ``told`` (modseq up to which expunges were
told) and ``seen`` (modseq up to which flags were told).  Sequence numbers are ranks among visible
slots, so an idle view of a million messages is a few words.  Source  RFC 9051 §2.3.1, §7.5.
"""

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

import msgspec

from mox._speedups import Columns, first_gone, live_slots, ranges_of, without_modseqs

if TYPE_CHECKING:
    from mox.store.mailbox import Mailbox

MODSEQ_MAX = (1 << 63) - 1  # RFC 7162 §7
Ranges = list[tuple[int, int]]


class News(msgspec.Struct, kw_only=True):
    """What a session has to write, in this order; slots are those after the expunges."""

    expunged_seqs: "array[int]" = msgspec.field(
        default_factory=lambda: array("I")
    )  # before any of them
    vanished: Ranges = []  # the same messages as UIDs
    changed: "array[int]" = msgspec.field(default_factory=lambda: array("I"))  # flags changed
    exists: int | None = None  # new number of messages, when it grew
    added: "array[int]" = msgspec.field(
        default_factory=lambda: array("I")
    )  # new messages to describe

    def __bool__(self) -> bool:
        return bool(self.expunged_seqs or self.changed or self.added or self.exists is not None)


class View:
    """Made by ``Account.open_view``; closed by its session."""

    def __init__(self, mailbox: "Mailbox", columns: Columns, *, read_only: bool) -> None:
        account = mailbox.account
        self.mailbox = mailbox
        self.columns = columns
        self.read_only = read_only
        self.limit = columns.created_upto(0, account.synced_modseq)
        self.told = account.synced_modseq
        self.seen = account.synced_modseq
        self.recent_from = 1 << 32  # UIDs from here on are \Recent in this session
        self._own: set[int] = set()  # modseqs of this session's own changes, not yet polled past
        mailbox.views.add(self)

    @property
    def exists(self) -> int:
        """Number of messages, as told."""
        return self.columns.visible(self.limit, self.told)

    @property
    def modseq(self) -> int:
        """HIGHESTMODSEQ this client may be told: never above what it knows.

        It is the mailbox's own (RFC 7162 §3.1.2.1), as STATUS has it: changes to other mailboxes
        do not raise it.
        """
        known = self.seen
        if self.told < known:
            pending = self.columns.gone_between(self.limit, self.told, known)
            known = first_gone(self.columns, pending) - 1 if pending else known
        return min(known, self.mailbox.record.modseq)

    def own(self, modseq: int) -> None:
        """The session made this change set and tells its client itself."""
        self._own.add(modseq)

    def changed_by_others(self) -> "array[int]":
        """Slots whose newest change was made elsewhere and not polled yet, durable or not."""
        return self._without_own(self.columns.changed(self.limit, self.seen, MODSEQ_MAX))

    def seq(self, slot: int) -> int:
        """Sequence number of a visible slot."""
        return self.columns.seq(slot, self.limit, self.told)

    def seqs(self, slots: "array[int]") -> "array[int]":
        """Sequence numbers of ascending visible slots."""
        return self.columns.seqs(slots, self.limit, self.told)

    def slots_by_seq(self, ranges: Ranges) -> "array[int]":
        """Slots of sequence numbers; numbers beyond ``exists`` match nothing."""
        return self.columns.slots_by_seq(ranges, self.limit, self.told)

    def slots_by_uid(self, ranges: Ranges) -> "array[int]":
        """Slots of UIDs this client knows; others match nothing."""
        return self.columns.slots_by_uid(ranges, self.limit, self.told)

    def recent_slots(self) -> "array[int]":
        """Messages that are ``\\Recent`` in this session."""
        if self.recent_from > 0xFFFFFFFF:
            return array("I")
        return self.slots_by_uid([(self.recent_from, 0xFFFFFFFF)])

    def highest_uid(self) -> int:
        """UID of the last visible message, 0 when there is none."""
        count = self.exists
        if not count:
            return 0
        return self.columns.uid(self.columns.slot_of_seq(count, self.limit, self.told))

    def is_gone(self, slot: int) -> bool:
        """Expunged, though this client was not told yet."""
        return self.columns.gone(slot) != 0

    def split_gone(self, slots: "array[int]") -> tuple["array[int]", bool]:
        """Those not expunged, and whether any was."""
        if not self.columns.gone_count:
            return slots, False
        live = live_slots(self.columns, slots)
        return live, len(live) != len(slots)

    def poll(self, *, expunge: bool) -> News:
        """What is new since the last poll, as far as it is durable; the view moves on.

        With ``expunge`` False expunges are held back (RFC 9051 §7.5.1).
        """
        columns = self.columns
        upto = self.mailbox.account.synced_modseq
        news = News()
        if upto == self.seen and (not expunge or self.told == upto):
            return news
        if self.mailbox.record.modseq <= min(self.seen, self.told):
            self.seen = upto
            self.told = upto if expunge else self.told
            self._forget_own()
            return news
        if expunge and self.told < upto:
            gone = columns.gone_between(self.limit, self.told, upto)
            if gone:
                news.expunged_seqs = self.seqs(gone)
                news.vanished = columns.uid_ranges(gone)
            self.told = upto
        if upto > self.seen:
            news.changed = self._without_own(columns.changed(self.limit, self.seen, upto))
            limit = columns.created_upto(self.limit, upto)
            if limit > self.limit:
                first, self.limit = self.limit, limit
                shown = columns.visible_slots(limit, self.told)
                added = shown[bisect_left(shown, first) :]
                if added:
                    news.exists = self.exists
                    news.added = self._without_own(added)
            self.seen = upto
            self._forget_own()
        return news

    def _forget_own(self) -> None:
        if self._own:
            self._own = {modseq for modseq in self._own if modseq > self.seen}

    def shift(self, removed: "array[int]") -> None:
        """The columns dropped these slots."""
        self.limit -= bisect_left(removed, self.limit)

    def close(self) -> None:
        """The session goes elsewhere."""
        self.mailbox.views.discard(self)
        if self.mailbox.recent_view is self:
            self.mailbox.recent_view = None
        self.mailbox.compact()

    def uid_ranges(self, slots: "array[int]") -> Ranges:
        """UIDs of ascending slots as ranges."""
        return self.columns.uid_ranges(slots)

    def _without_own(self, slots: "array[int]") -> "array[int]":
        if not self._own:
            return slots
        return without_modseqs(self.columns, slots, array("Q", sorted(self._own)))


def ranges_of_numbers(numbers: "array[int]") -> Ranges:
    """Ascending numbers as ranges."""
    return ranges_of(numbers)
