"""What can be refused by the store.    It knows no protocol: faces translate these."""

from typing import ClassVar

from mox.base.errors import Broken, Refused, Unavailable


class AccountMissing(Refused):
    """There is no account of that name."""

    default: ClassVar[str] = "no such account"


class AccountExists(Refused):
    """An account of that name is there already."""

    default: ClassVar[str] = "account already exists"


class MailboxMissing(Refused):
    """There is no mailbox of that name (any more)."""

    default: ClassVar[str] = "no such mailbox"


class MailboxExists(Refused):
    """A mailbox of that name is there already."""

    default: ClassVar[str] = "mailbox already exists"


class MailboxHasChildren(Refused):
    """A mailbox with children cannot be deleted."""

    default: ClassVar[str] = "mailbox has children"


class MailboxNameInvalid(Refused):
    """The name breaks a rule of mailbox names, or names Inbox where that cannot be."""

    default: ClassVar[str] = "invalid mailbox name"


class SpecialUseUnknown(Refused):
    """Not one of the special uses we keep."""

    default: ClassVar[str] = "unknown special use"


class ReadOnly(Refused):
    """The mailbox was opened without permission to change it."""

    default: ClassVar[str] = "mailbox is open read-only"


class QuotaExceeded(Refused):
    """The account would hold more bytes than allowed."""

    default: ClassVar[str] = "over quota"


class KeywordLimit(Refused):
    """The mailbox cannot take another keyword."""

    default: ClassVar[str] = "too many keywords in this mailbox"


class MessageGone(Refused):
    """The message was expunged and its content is no longer kept."""

    default: ClassVar[str] = "message is gone"


class UidExhausted(Refused):
    """The mailbox has given out all UIDs of 32 bits."""

    default: ClassVar[str] = "mailbox has no UIDs left"


class MessageUnfit(Refused):
    """A size, time or zone of the message is beyond what is kept."""

    default: ClassVar[str] = "the message has a size or time that cannot be stored"


class RetrainImpossible(Refused):
    """There is no filter to train, or it is being done."""

    default: ClassVar[str] = "the junk filter cannot be trained anew"


class DiskFull(Unavailable):
    """No space for another message; nothing was changed."""

    default: ClassVar[str] = "no disk space left"


class StoreStopped(Unavailable):
    """A write failed earlier, so memory and disk may differ: nothing is changed any more."""

    default: ClassVar[str] = "the store stopped after a failed write"


class DataLocked(Unavailable):
    """Another process has the data folder open."""

    default: ClassVar[str] = "the data folder is in use by another process"


class DataUnreadable(Broken):
    """The data folder cannot be opened or read."""

    default: ClassVar[str] = "the data folder cannot be read"


class DataDamaged(Broken):
    """A stored value does not have the form it must have."""

    default: ClassVar[str] = "stored data is damaged"
