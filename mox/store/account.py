"""An account's data: its mailboxes, counters and settings; the door to everything below.

Laws  The event loop orders changes: between looking at state and staging a change set there is no
      await.  Nothing is told to others before it is synced.  No network write happens in here.
"""

import asyncio
from typing import TYPE_CHECKING

from mox.base.clock import Clock
from mox.base.ids import AccountId, MailboxId
from mox.base.log import get_logger
from mox.base.mailboxname import normalise_mailbox_name
from mox.junk.mailboxes import MailboxRules
from mox.junk.parameters import Parameters
from mox.store.changes import ChangeSet, Feed, ListChange
from mox.store.commit import Committer
from mox.store.engine.base import Batch, Family
from mox.store.errors import AccountMissing, MailboxMissing, MailboxNameInvalid, QuotaExceeded
from mox.store.layout import keys, rows
from mox.store.layout.rows import AccountRecord, MailboxRecord
from mox.store.mailbox import Mailbox
from mox.store.view import View

if TYPE_CHECKING:
    from mox.store.course import Course
    from mox.store.shard import Shard

log = get_logger("store")

_ALL_FLAGS = 0xFFFFFFFF


class Account:
    """Made by its shard."""

    def __init__(self, shard: "Shard", account_id: AccountId, record: AccountRecord) -> None:
        self.shard = shard
        self.id = account_id
        self.record = record
        self.clock: Clock = shard.clock
        self.committer: Committer = shard.committer
        self.mailboxes: dict[int, Mailbox] = {}
        self.by_name: dict[str, Mailbox] = {}
        self.subscriptions: set[str] = set()
        self.feeds: set[Feed] = set()
        # Set by whoever knows the configuration.
        self.quota_bytes = 0  # 0: unlimited
        self.rules = MailboxRules()  # junk flags that follow from the mailbox
        self._filter: Parameters | None = None
        self.synced_modseq = record.modseq
        self.ticket = 0  # of the last staged change set
        self.keeping_reject = asyncio.Lock()  # from looking for the same one to storing it
        self.making_key = asyncio.Lock()
        self.tidied_ms: int | None = None  # when what is only kept for a while was last looked at
        self.verdict_bytes: int | None = None  # kept; None before they were counted
        self.course: Course | None = None  # how far the learner is; its own
        self.erase_waits = False  # for the learner

    @property
    def name(self) -> str:
        """Name as in the configuration."""
        return self.record.name

    @property
    def filter(self) -> Parameters | None:
        """How its junk filter is set; None: it has none.    Set by whoever knows the configuration."""
        return self._filter

    @filter.setter
    def filter(self, parameters: Parameters | None) -> None:
        changed = parameters != self._filter
        self._filter = parameters
        if changed and self.course is not None:
            self.shard.learner.wake(self)

    @property
    def is_idle(self) -> bool:
        """No session is here, nobody holds messages, everything staged is on disk."""
        return (
            not self.feeds
            and self.committer.is_synced(self.ticket)
            and not any(mailbox.in_use for mailbox in self.mailboxes.values())
        )

    def mailbox(self, name: str) -> Mailbox:
        """The mailbox of a name.    Errors: MailboxMissing."""
        try:
            found = self.by_name.get(normalise_mailbox_name(name))
        except ValueError as error:
            raise MailboxMissing(cause=error) from error
        if found is None:
            raise MailboxMissing
        return found

    def normalise(self, name: str) -> str:
        """A valid name as kept.    Errors: MailboxNameInvalid."""
        try:
            return normalise_mailbox_name(name)
        except ValueError as error:
            raise MailboxNameInvalid(str(error), cause=error) from error

    async def settle(self) -> None:
        """Wait until all staged changes of this account are durable.

        Before a modseq or a new view leaves the process (decision 0007).
        """
        if self.ticket:
            await self.committer.synced(self.ticket)

    async def open_view(self, mailbox: Mailbox, *, read_only: bool) -> View:
        """A new view of a mailbox.    Errors: MailboxMissing when it was deleted meanwhile."""
        mailbox.check()
        with mailbox.pinned():
            columns = await mailbox.load()
            await self.settle()
        mailbox.check()
        return View(mailbox, columns, read_only=read_only)

    def claim_recent(self, view: View) -> None:
        """The first read-write session sees new messages as ``\\Recent`` (RFC 3501 §2.3.2)."""
        record, first = view.mailbox.record, view.mailbox.recent_view
        if view.read_only or view.mailbox.deleted or record.first_recent >= record.uidnext:
            return
        if first is not None and first is not view:
            # While that one is open what comes later is its own too: nothing is recent in two.
            return
        known = view.highest_uid() + 1
        if known > record.first_recent:
            view.mailbox.recent_view = view
            view.recent_from = (
                record.first_recent if view.recent_from > 0xFFFFFFFF else view.recent_from
            )
            record.first_recent = known
            batch = Batch()
            batch.put(Family.META, keys.mailbox(self.id, view.mailbox.id), rows.encode(record))
            self.ticket = self.committer.stage(batch)

    def register(self, feed: Feed) -> None:
        """A session wants to hear of changes."""
        self.feeds.add(feed)

    def unregister(self, feed: Feed) -> None:
        """It does not any more."""
        self.feeds.discard(feed)
        self.shard.released(self)

    def told(self, modseq: int, origin: Feed | None, list_changes: list[ListChange]) -> None:
        """A change set is durable: let sessions know.  Called in order of modseq."""
        self.synced_modseq = max(self.synced_modseq, modseq)
        for feed in list(self.feeds):
            if feed is not origin:
                for change in list_changes:
                    feed.push(change)
            try:
                feed.wake()
            except Exception as error:
                # A session that cannot be woken must not keep the others asleep.
                log.error("store.not_woken", error, account=self.name)

    def new_file(self) -> int:
        """The next content id; becomes durable with the next change set."""
        number = self.record.next_file
        self.record.next_file = number + 1
        return number

    def check_open(self) -> None:
        """May anything be changed?    Errors: StoreStopped, AccountMissing."""
        self.committer.check()
        if self.id in self.shard.removed:
            raise AccountMissing(f"no such account: {self.name}")

    def check_quota(self, size: int) -> None:
        """Errors: QuotaExceeded when so many more bytes do not fit."""
        if self.quota_bytes > 0 and self.record.used_bytes + size > self.quota_bytes:
            raise QuotaExceeded

    def flag_masks(self, mailbox: Mailbox) -> tuple[int, int]:
        """What becomes of the flags of a message that is put into a mailbox: ``& keep | add``."""
        name, roles = mailbox.name, mailbox.record.special_use
        return self.rules.apply(_ALL_FLAGS, name, roles), self.rules.apply(0, name, roles)

    def add_mailbox(
        self, change: ChangeSet, name: str, *, uidvalidity: int | None = None
    ) -> Mailbox:
        """A new mailbox in a change set; the name is free, its parents exist."""
        record = self.record
        if uidvalidity is None:
            uidvalidity = record.next_uidvalidity
            record.next_uidvalidity += 1
        mailbox_id = MailboxId(record.next_mailbox)
        record.next_mailbox += 1
        mailbox = Mailbox(
            self,
            mailbox_id,
            MailboxRecord(
                name=name, uidvalidity=uidvalidity, createseq=change.modseq, modseq=change.modseq
            ),
        )
        self.mailboxes[mailbox_id] = mailbox
        self.by_name[name] = mailbox
        change.touch(mailbox)
        change.log(mailbox, [], "created", name)
        return mailbox


def load_account(shard: "Shard", account_id: AccountId) -> Account:
    """Read an account's records.    Blocks: call it in a thread.    Errors: DataDamaged."""
    engine = shard.engine
    value = engine.get(Family.META, keys.account(account_id))
    assert value is not None
    account = Account(shard, account_id, rows.decode(AccountRecord, value))
    for key, stored in engine.scan(Family.META, *keys.mailboxes(account_id)):
        mailbox = Mailbox(
            account,
            MailboxId(int.from_bytes(key[5:13], "big")),
            rows.decode(MailboxRecord, stored),
        )
        account.mailboxes[mailbox.id] = mailbox
        account.by_name[mailbox.name] = mailbox
    for key, _ in engine.scan(Family.KV, *keys.settings(account_id, keys.SUBSCRIPTION)):
        account.subscriptions.add(key[5:].decode())
    return account
