"""Commands about the queue of outgoing mail."""

from msgspec import Struct

from mox.ctl.commands import Nothing
from mox.ctl.protocol import Command
from mox.queue.entry import Entry, HoldRule, Retired, Suppression
from mox.queue.filter import Filter, Sort
from mox.queue.schedule import Schedule


class QueueWanted(Struct, frozen=True, kw_only=True):
    """Messages to be listed.    ``limit`` 0: all of them."""

    filter: Filter
    sort: Sort
    ascending: bool = True
    limit: int = 0


class QueueShown(Struct, frozen=True, kw_only=True):
    """Each was sent on the way."""

    count: int


class QueueMeant(Struct, frozen=True, kw_only=True):
    """Messages to be changed; with a limit, the first so many in order of queueing."""

    filter: Filter
    limit: int = 0


class QueueHold(QueueMeant, frozen=True, kw_only=True):
    """Hold them, or release them."""

    on: bool


class QueueSchedule(QueueMeant, frozen=True, kw_only=True):
    """Shift their next attempt, or set it relative to now."""

    delay_ms: int
    from_now: bool


class QueueTransport(QueueMeant, frozen=True, kw_only=True):
    """Send them by this transport; empty: as routes say."""

    transport: str


class QueueRequireTls(QueueMeant, frozen=True, kw_only=True):
    """True: verified TLS only; False: whatever there is; None: as policies say."""

    require_tls: bool | None


class QueueChanged(Struct, frozen=True, kw_only=True):
    """How many messages were meant."""

    count: int


class QueueNumber(Struct, frozen=True, kw_only=True):
    """A message, or a hold rule."""

    number: int


class QueuePieceWanted(Struct, frozen=True, kw_only=True):
    """Bytes of a message from here on."""

    number: int
    start: int


class QueuePiece(Struct, frozen=True, kw_only=True):
    """Some bytes; ``size`` of the whole."""

    data: bytes
    size: int


class QueueExplained(Struct, frozen=True, kw_only=True):
    """A message; its attempts were sent on the way.    One of the two is there."""

    entry: Entry | None
    retired: Retired | None
    now_ms: int
    schedule: Schedule


class HoldRules(Struct, frozen=True, kw_only=True):
    """All hold rules."""

    rules: tuple[HoldRule, ...]


class HoldRuleAdd(Struct, frozen=True, kw_only=True):
    """Hold what matches all that is given."""

    account: str = ""
    sender_domain: str = ""
    recipient_domain: str = ""


class HoldRuleAdded(Struct, frozen=True, kw_only=True):
    """The rule, and how many messages it met."""

    rule: HoldRule
    count: int


class SuppressionsWanted(Struct, frozen=True, kw_only=True):
    """Of an account; empty: of all."""

    account: str = ""


class SuppressedAddress(Struct, frozen=True, kw_only=True):
    """An address and whose list is meant; a reason where it is added."""

    account: str
    address: str
    reason: str = ""


class Suppressions(Struct, frozen=True, kw_only=True):
    """What is known of an address."""

    suppressions: tuple[Suppression, ...]


QUEUE_LIST = Command("queue_list", QueueWanted, QueueShown)
QUEUE_HOLD = Command("queue_hold", QueueHold, QueueChanged)
QUEUE_SCHEDULE = Command("queue_schedule", QueueSchedule, QueueChanged)
QUEUE_TRANSPORT = Command("queue_transport", QueueTransport, QueueChanged)
QUEUE_REQUIRETLS = Command("queue_requiretls", QueueRequireTls, QueueChanged)
QUEUE_FAIL = Command("queue_fail", QueueMeant, QueueChanged)
QUEUE_DROP = Command("queue_drop", QueueMeant, QueueChanged)
QUEUE_DUMP = Command("queue_dump", QueuePieceWanted, QueuePiece)
QUEUE_EXPLAIN = Command("queue_explain", QueueNumber, QueueExplained)
QUEUE_HOLDRULES = Command("queue_holdrules", Nothing, HoldRules)
QUEUE_HOLDRULE_ADD = Command("queue_holdrule_add", HoldRuleAdd, HoldRuleAdded)
QUEUE_HOLDRULE_REMOVE = Command("queue_holdrule_remove", QueueNumber, Nothing)
QUEUE_RETIRED = Command("queue_retired", QueueWanted, QueueShown)
QUEUE_SUPPRESSIONS = Command("queue_suppressions", SuppressionsWanted, QueueShown)
QUEUE_SUPPRESS = Command("queue_suppress", SuppressedAddress, Nothing)
QUEUE_RELEASE = Command("queue_release", SuppressedAddress, Nothing)
QUEUE_SUPPRESSED = Command("queue_suppressed", SuppressedAddress, Suppressions)
