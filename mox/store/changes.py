"""Change sets and what sessions are told of them.

A change set takes one modseq, collects its rows in one batch, and is staged without an await in
between: the event loop orders the changes of an account.  After the sync the account's
``synced_modseq`` moves and every feed is woken; a feed's owner then compares its view with the
columns (``view.py``), so flags and messages need no queue.  Only changes to the list of mailboxes
are queued.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from mox._speedups import encode_ranges
from mox.base.limits import IMAP_IDLE_CHANGES
from mox.store.engine.base import Batch, Family
from mox.store.layout import keys, rows
from mox.store.layout.rows import LogChange, LogRow

if TYPE_CHECKING:
    from mox.store.account import Account
    from mox.store.mailbox import Mailbox

Ranges = list[tuple[int, int]]


class ListChange(msgspec.Struct, frozen=True, kw_only=True):
    """A change to the list of mailboxes, for other sessions."""

    kind: str  # added, removed, renamed, subscribed, unsubscribed
    name: str
    old_name: str = ""


class Feed:
    """One session's registration with an account.

    ``wake`` is called on the event loop after every synced change set and must only set an event.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.list_changes: deque[ListChange] = deque()
        self.overflowed = False

    def push(self, change: ListChange) -> None:
        """Queue a change; past the limit the queue is dropped and ``overflowed`` set."""
        if self.overflowed:
            return
        if len(self.list_changes) >= IMAP_IDLE_CHANGES:
            self.list_changes.clear()
            self.overflowed = True
            return
        self.list_changes.append(change)


class ChangeSet:
    """One atomic change of an account under one modseq.

    Use: make it before anything changes in memory, put rows, ``touch`` the mailboxes whose record
    changed, ``stage``.  No await between making and staging, and nothing that can fail.
    Many rows go into several batches (decision 0012): those put ``earlier`` have no meaning without
    the batch of the change itself, those that come ``later`` follow from it and are made up for
    after a crash.
    Errors  of making: StoreStopped, AccountMissing.
    """

    def __init__(self, account: "Account", origin: Feed | None = None) -> None:
        account.check_open()
        self.account = account
        self.origin = origin
        self.modseq = account.record.modseq + 1
        account.record.modseq = self.modseq
        self.batch = Batch()
        self.teaches = True  # False: nothing in it is to be learnt (mox.store.learn)
        self._later: list[tuple[Mailbox, list[Batch]]] = []
        self._changes: list[LogChange] = []
        self._touched: dict[int, Mailbox] = {}
        self._list_changes: list[ListChange] = []

    def touch(self, mailbox: "Mailbox") -> None:
        """The mailbox changed with this set's modseq: its record is written."""
        mailbox.record.modseq = self.modseq
        self._touched[mailbox.id] = mailbox

    def log(self, mailbox: "Mailbox", uids: Ranges, what: str, detail: str = "") -> None:
        """A line of the change log."""
        self._changes.append(LogChange(mailbox.id, encode_ranges(uids), what, detail))

    def tell(self, change: ListChange) -> None:
        """A change to the list of mailboxes."""
        self._list_changes.append(change)

    def begin_slices(self, mailbox: "Mailbox") -> None:
        """Rows of this mailbox go before the change: after a crash between, recovery is needed."""
        mailbox.record.dirty = True
        number = self.account.id
        self.batch.put(Family.META, keys.account(number), rows.encode(self.account.record))
        self.batch.put(Family.META, keys.mailbox(number, mailbox.id), rows.encode(mailbox.record))

    def end_slice(self) -> None:
        """What was put so far goes before the change."""
        self.account.ticket = self.account.committer.stage(self.batch)
        self.batch = Batch()

    def put_later(self, mailbox: "Mailbox", batches: list[Batch]) -> None:
        """Removals of rows that follow from the change: after a crash recovery does them again."""
        self._later.append((mailbox, batches))

    def stage(self) -> int:
        """Hand everything to the committer; the ticket of the last batch."""
        account = self.account
        number = account.id
        batch = self.batch
        for mailbox, _ in self._later:
            mailbox.record.dirty = True
        batch.put(Family.META, keys.account(number), rows.encode(account.record))
        for mailbox in self._touched.values():
            self._put_record(batch, mailbox)
        row = LogRow(account.clock.now_ms(), tuple(self._changes))
        batch.put(Family.LOG, keys.log(number, self.modseq), rows.encode(row))
        for mailbox, batches in self._later:
            for following in batches:
                account.committer.stage(batch)
                batch = following
            mailbox.record.dirty = False
            self._put_record(batch, mailbox)
        modseq, origin, list_changes = self.modseq, self.origin, self._list_changes
        teaches = self.teaches

        def after_sync() -> None:
            account.told(modseq, origin, list_changes)
            account.shard.learner.told(account, modseq, teaches=teaches)

        ticket = account.committer.stage(batch, after_sync)
        account.ticket = ticket
        if any(feed is not origin for feed in account.feeds):
            # Somebody else is watching: do not let them wait for the lazy sync.
            account.committer.want_sync(ticket)
        return ticket

    def _put_record(self, batch: Batch, mailbox: "Mailbox") -> None:
        key = keys.mailbox(self.account.id, mailbox.id)
        if mailbox.deleted:
            batch.delete(Family.META, key)
        else:
            batch.put(Family.META, key, rows.encode(mailbox.record))
