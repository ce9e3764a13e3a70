"""What the queue refuses."""

from typing import ClassVar

from mox.base.errors import Refused


class FromIdTaken(Refused):
    """The unique id in a sender is used by another message, queued or remembered."""

    default: ClassVar[str] = "fromid not unique"


class EntryMissing(Refused):
    """There is no message of that number in the queue (any more)."""

    default: ClassVar[str] = "no such message in the queue"


class RuleMissing(Refused):
    """There is no hold rule of that number."""

    default: ClassVar[str] = "no such hold rule"


class TooManyRules(Refused):
    """Each new message is compared with every rule."""

    default: ClassVar[str] = "too many hold rules"


class Suppressed(Refused):
    """The address is on the suppression list already."""

    default: ClassVar[str] = "address is on the suppression list already"


class NotSuppressed(Refused):
    """The address is not on the suppression list."""

    default: ClassVar[str] = "address is not on the suppression list"
