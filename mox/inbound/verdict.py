"""The record of what was decided about a message for one account, and why.

It is kept with the account, whether the message was accepted, put aside or refused: some hundred
bytes, at most a few KB.  Texts of strangers in it are cut and made printable.
New fields go to the end, with a default: the order is stored.
"""

import msgspec

from mox.base.errors import Malformed
from mox.base.limits import VERDICT_TEXT
from mox.inbound.whatif import Change

VERSION = 1


class Line(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What one check was asked and what it found."""

    check: str  # "spf", "reputation"
    asked: str = ""
    result: str = ""
    note: str = ""
    took_ms: int = 0


class SignalLine(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The votes that were looked at for one identity."""

    kind: str
    value: str
    messages: int
    junk: int


class History(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What history said of the sender."""

    method: str
    junk: bool | None
    conclusive: bool
    signals: tuple[SignalLine, ...] = ()


class Word(msgspec.Struct, frozen=True, array_like=True):
    """A word that mattered: 0 for ham to 1 for spam."""

    word: str
    score: float


class Content(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """What the junk filter said."""

    probability: float
    threshold: float  # as it was used
    strict: bool  # the lower threshold was used
    significant: bool  # the filter has seen enough
    ham: tuple[Word, ...] = ()
    spam: tuple[Word, ...] = ()


class Verdict(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """One decision."""

    version: int = VERSION
    at_ms: int
    took_ms: int = 0
    # The connection
    connection: str = ""  # the id in replies, the log and the Received field
    remote_ip: str = ""
    remote_name: str = ""  # that leads back to the address
    hello: str = ""
    tls: str = ""
    # The envelope, and the message
    mail_from: str = ""
    rcpt_to: str = ""
    account: str = ""
    member: str = ""  # the address of the account, where rcpt_to is an alias
    message_id: str = ""
    author: str = ""
    size: int = 0
    # The outcome
    accepted: bool = False
    reason: str = ""  # the rule that decided
    code: int = 0  # as the client was told, where it was judged so and could be stored
    enhanced: str = ""
    mailbox: str = ""  # where it is kept; empty where it is not
    destined: str = ""  # where it would have gone to
    is_reject: bool = False  # it is in a mailbox although it was refused, or would have been
    error: str = ""  # why it could not be stored after all
    # How it came about
    checks: tuple[Line, ...] = ()
    history: History | None = None
    content: Content | None = None
    changes: tuple[Change, ...] = ()  # what would have led elsewhere
    delayed_s: float = 0.0  # before mail of first-time senders is accepted


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Verdict)


class BadVerdict(Malformed):
    """Bytes that are no verdict of a version we know."""

    default = "unreadable verdict"


def encode(verdict: Verdict) -> bytes:
    """As it is kept."""
    return _encoder.encode(verdict)


def decode(data: bytes) -> Verdict:
    """Errors: BadVerdict."""
    try:
        found = _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise BadVerdict(cause=error) from error
    if found.version != VERSION:
        raise BadVerdict(f"a verdict of version {found.version}")
    return found


def plain(text: str) -> str:
    """A stranger's text for a record: printable, and not long."""
    cut = text[:VERDICT_TEXT]
    return cut if cut.isprintable() else "".join(c if c.isprintable() else "?" for c in cut)
