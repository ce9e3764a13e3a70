"""Mailboxes are created, renamed, deleted, subscribed to.

Source  RFC 9051 §6.3.4-6.3.7; spec of the account store sections 4 and 19.  A child never exists
without its parents.  Every call returns once the change is durable.
"""

from mox.base.mailboxname import INBOX
from mox.store.account import Account
from mox.store.changes import ChangeSet, Feed, ListChange
from mox.store.engine.base import Batch, Family
from mox.store.errors import (
    MailboxExists,
    MailboxHasChildren,
    MailboxMissing,
    MailboxNameInvalid,
    SpecialUseUnknown,
)
from mox.store.layout import keys
from mox.store.mailbox import Mailbox
from mox.store.messages import check_copy, copy_in, expunge_all_in

SPECIAL_USES = ("Archive", "Drafts", "Junk", "Sent", "Trash")


async def create(
    account: Account,
    name: str,
    *,
    special_use: tuple[str, ...] = (),
    subscribe: bool = False,
    origin: Feed | None = None,
) -> list[Mailbox]:
    """Create a mailbox and its missing parents; the new ones, parents first.

    Special uses are taken away from other mailboxes.
    Errors  MailboxNameInvalid, MailboxExists, SpecialUseUnknown.
    """
    name = account.normalise(name)
    if name == INBOX and INBOX in account.by_name:
        raise MailboxNameInvalid("Inbox exists and cannot be created")
    if name in account.by_name:
        raise MailboxExists
    unknown = [use for use in special_use if use not in SPECIAL_USES]
    if unknown:
        raise SpecialUseUnknown(f"unknown special use {unknown[0]}")
    change = ChangeSet(account, origin)
    made = _add_with_parents(account, change, name)
    if special_use:
        for other in account.mailboxes.values():
            kept = tuple(use for use in other.record.special_use if use not in special_use)
            if kept != other.record.special_use:
                other.record.special_use = kept
                change.touch(other)
                change.log(other, [], "role", " ".join(kept))
        made[-1].record.special_use = special_use
    for mailbox in made:
        if subscribe:
            _subscribe_in(account, change.batch, mailbox.name)
        change.tell(ListChange(kind="added", name=mailbox.name))
    await account.committer.synced(change.stage())
    return made


async def ensure(account: Account, name: str) -> Mailbox:
    """The mailbox of a name, created and subscribed when it is missing (delivery)."""
    found = account.by_name.get(account.normalise(name))
    if found is not None:
        return found
    try:
        return (await create(account, name, subscribe=True))[-1]
    except MailboxExists:
        return account.mailbox(name)


async def delete(account: Account, name: str, *, origin: Feed | None = None) -> None:
    """Delete a mailbox and its messages; the subscription stays.

    Errors  MailboxMissing, MailboxHasChildren, MailboxNameInvalid for Inbox.
    """
    mailbox = account.mailbox(name)
    if mailbox.name == INBOX:
        raise MailboxNameInvalid("Inbox cannot be deleted")
    with mailbox.pinned():
        await mailbox.load()
        if account.mailbox(name) is not mailbox:
            raise MailboxMissing  # renamed or deleted meanwhile
        if _children(account, mailbox.name):
            raise MailboxHasChildren
        change = ChangeSet(account, origin)
        expunge_all_in(change, mailbox, "expunged")
        mailbox.deleted = True
        del account.mailboxes[mailbox.id]
        del account.by_name[mailbox.name]
        change.touch(mailbox)
        change.log(mailbox, [], "deleted", mailbox.name)
        # Nobody can ask for its history any more.
        history = keys.vanished_range(account.id, mailbox.id)
        change.batch.delete_range(Family.VANISHED, *history)
        change.tell(ListChange(kind="removed", name=mailbox.name))
        account.shard.deleted(mailbox)
        ticket = change.stage()
    await account.committer.synced(ticket)
    mailbox.compact()
    account.shard.eraser.wake(mailbox)


async def rename(
    account: Account, old: str, new: str, *, origin: Feed | None = None
) -> list[tuple[str, str]]:
    """Rename a mailbox with its children; what was renamed as (old, new), the mailbox itself first.

    UIDVALIDITY stays.  Renaming Inbox moves its messages to a new mailbox (RFC 9051 §6.3.6).
    Errors  MailboxMissing, MailboxExists, MailboxNameInvalid.
    """
    mailbox = account.mailbox(old)
    new = account.normalise(new)
    if new == INBOX:
        raise MailboxNameInvalid("Inbox cannot be the new name")
    if new in account.by_name:
        raise MailboxExists
    if mailbox.name == INBOX:
        return await _rename_inbox(account, mailbox, new, origin)
    old = mailbox.name
    moved = [mailbox, *_children(account, old)]
    targets = {item.id: new + item.name[len(old) :] for item in moved}
    for target in targets.values():
        account.normalise(target)  # deeper or longer names may break a limit
        if target in account.by_name and account.by_name[target] not in moved:
            raise MailboxExists
    change = ChangeSet(account, origin)
    renamed = []
    for item in moved:
        del account.by_name[item.name]
    for item in moved:
        before, item.record.name = item.record.name, targets[item.id]
        account.by_name[item.name] = item
        change.touch(item)
        change.log(item, [], "renamed", before)
        change.tell(ListChange(kind="renamed", name=item.name, old_name=before))
        renamed.append((before, item.name))
    # Parents of the new name, which are the old name itself where it moves below itself.
    for parent in _missing_parents(account, new):
        account.add_mailbox(change, parent)
        change.tell(ListChange(kind="added", name=parent))
    await account.committer.synced(change.stage())
    return renamed


async def subscribe(account: Account, name: str, *, origin: Feed | None = None) -> None:
    """Subscribe to a name that need not exist.    Errors: MailboxNameInvalid."""
    name = account.normalise(name)
    if name in account.subscriptions:
        await account.settle()  # another session may have made it just now
        return
    account.check_open()
    batch = Batch()
    _subscribe_in(account, batch, name)
    await _tell_after(account, batch, ListChange(kind="subscribed", name=name), origin)


async def unsubscribe(account: Account, name: str, *, origin: Feed | None = None) -> None:
    """End a subscription.    Errors: MailboxMissing when there is neither one nor a mailbox."""
    name = account.normalise(name)
    if name not in account.subscriptions:
        await account.settle()  # another session may have ended it just now
        account.mailbox(name)
        return
    account.check_open()
    account.subscriptions.discard(name)
    batch = Batch()
    batch.delete(Family.KV, keys.setting(account.id, keys.SUBSCRIPTION, name.encode()))
    await _tell_after(account, batch, ListChange(kind="unsubscribed", name=name), origin)


async def _rename_inbox(
    account: Account, inbox: Mailbox, new: str, origin: Feed | None
) -> list[tuple[str, str]]:
    with inbox.pinned():
        columns = await inbox.load()
        if new in account.by_name:
            raise MailboxExists
        change = ChangeSet(account, origin)
        made = _add_with_parents(account, change, new)
        for mailbox in made:
            change.tell(ListChange(kind="added", name=mailbox.name))
        slots = columns.visible_slots(len(columns), change.modseq)
        if slots:
            # As many keywords as Inbox has fit, and as many UIDs.
            check_copy(inbox, slots, made[-1])
            copy_in(change, inbox, slots, made[-1], move=True)
        ticket = change.stage()
    await account.committer.synced(ticket)
    return [(INBOX, new)]


async def _tell_after(
    account: Account, batch: Batch, change: ListChange, origin: Feed | None
) -> None:
    modseq = account.record.modseq

    def after_sync() -> None:
        account.told(min(modseq, account.synced_modseq), origin, [change])

    account.ticket = account.committer.stage(batch, after_sync)
    await account.committer.synced(account.ticket)


def _add_with_parents(account: Account, change: ChangeSet, name: str) -> list[Mailbox]:
    made = [account.add_mailbox(change, parent) for parent in _missing_parents(account, name)]
    made.append(account.add_mailbox(change, name))
    return made


def _missing_parents(account: Account, name: str) -> list[str]:
    parts = name.split("/")
    parents = ["/".join(parts[:length]) for length in range(1, len(parts))]
    return [parent for parent in parents if parent not in account.by_name]


def _children(account: Account, name: str) -> list[Mailbox]:
    return [box for box in account.mailboxes.values() if box.name.startswith(name + "/")]


def _subscribe_in(account: Account, batch: Batch, name: str) -> None:
    account.subscriptions.add(name)
    batch.put(Family.KV, keys.setting(account.id, keys.SUBSCRIPTION, name.encode()), b"")
