"""What is announced, and when.    RFC 9051 §6.1.1, §7.2.2; spec/imap.md section 1.

One line per capability; a test shows that each is answered.
"""

from typing import TYPE_CHECKING, Final

from mox.sasl import MECHANISMS
from mox.sasl.mechanism import Mechanism

if TYPE_CHECKING:
    from mox.imapserver.session import Session

BASE: Final[tuple[bytes, ...]] = (
    b"IMAP4rev2",
    b"IMAP4rev1",
    b"ENABLE",  # RFC 5161
    b"LITERAL+",  # RFC 7888
    b"IDLE",  # RFC 2177
    b"SASL-IR",  # RFC 4959
    b"BINARY",  # RFC 3516
    b"UNSELECT",  # RFC 3691
    b"UIDPLUS",  # RFC 4315
    b"ESEARCH",  # RFC 4731
    b"SEARCHRES",  # RFC 5182
    b"MOVE",  # RFC 6851
    b"UTF8=ACCEPT",  # RFC 6855
    b"LIST-EXTENDED",  # RFC 5258
    b"SPECIAL-USE",  # RFC 6154
    b"CREATE-SPECIAL-USE",  # RFC 6154
    b"LIST-STATUS",  # RFC 5819
    b"ID",  # RFC 2971
    b"CONDSTORE",  # RFC 7162
    b"QRESYNC",  # RFC 7162
    b"STATUS=SIZE",  # RFC 8438
    b"NAMESPACE",  # RFC 2342
)

# Names that change something when they are enabled: RFC 5161 §3.1, RFC 9051 §6.3.1.
ENABLED: Final = frozenset((b"IMAP4REV2", b"UTF8=ACCEPT", b"CONDSTORE", b"QRESYNC"))


def announced(session: "Session") -> bytes:
    """The capabilities of the moment, separated by spaces."""
    words = [word for word in BASE if word.upper() not in session.capabilities_disabled]
    # RFC 7889 §3
    words.append(b"APPENDLIMIT=%d" % session.service.append_limit)
    words.extend(b"AUTH=" + name for name in _mechanisms(session))
    if session.listener.tls is not None and not session.wire.encrypted:
        words.append(b"STARTTLS")
    if not session.plaintext_auth_allowed:
        words.append(b"LOGINDISABLED")
    return b" ".join(words)


def mechanism_of(name: bytes) -> Mechanism | None:
    """A SASL mechanism that IMAP has.    LOGIN is a command of its own here."""
    return MECHANISMS.get(name) if name != b"LOGIN" else None


def _mechanisms(session: "Session") -> list[bytes]:
    """Strongest first; what binds a channel only where there is one (RFC 5802 §6)."""
    bound = bool(session.wire.bindings())
    return [
        name
        for name, mechanism in MECHANISMS.items()
        if name != b"LOGIN"
        and (bound or not mechanism.binds)
        and (session.plaintext_auth_allowed or not mechanism.plaintext)
    ]
