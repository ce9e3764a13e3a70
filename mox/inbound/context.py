"""What a connection and its transaction have said so far.    It grows by stage; checks read it."""

from collections.abc import Sequence

import msgspec

from mox.base.clock import Clock
from mox.base.limits import CHECK_DNSBL_S, CHECK_S
from mox.dns.base import Resolver
from mox.dns.name import IPAddress
from mox.inbound.heading import Heading
from mox.mailauth.arc.verify import Verification as ArcVerification
from mox.mailauth.dkim.verify import Verification
from mox.mailauth.dnsbl import HealthBook
from mox.mailauth.publicsuffix import PublicSuffixes
from mox.smtp.address import Address


class TimeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds that a question about a message may take.    spec/smtp-server.md section 11."""

    check_s: float = CHECK_S  # iprev, SPF, DKIM, DMARC: each
    dnsbl_s: float = CHECK_DNSBL_S  # each list, its health included


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """Whom the checks of a listener ask, and in whose name."""

    resolver: Resolver
    clock: Clock
    suffixes: PublicSuffixes
    hostname: str  # ours, A-labels
    dnsbls: Sequence[str] = ()  # zones, in the order their answers count
    health: HealthBook
    limits: TimeLimits = TimeLimits()


class Context:
    """One connection.    The transaction's part is taken away when it ends."""

    __slots__ = (
        "asking",
        "chain",
        "encrypted",
        "extended",
        "heading",
        "hello",
        "remote_ip",
        "sender",
        "smtputf8",
        "verification",
    )

    def __init__(self, asking: Asking, remote_ip: IPAddress, *, encrypted: bool) -> None:
        self.asking = asking
        self.remote_ip = remote_ip
        self.encrypted = encrypted
        # EHLO
        self.hello = ""  # a name with A-labels, or an address literal
        self.extended = False
        # MAIL
        self.sender: Address | None = None
        self.smtputf8 = False
        # DATA
        self.heading: Heading | None = None
        self.verification: Verification | None = None
        self.chain: ArcVerification | None = None  # None without fields of ARC

    @property
    def clock(self) -> Clock:
        """The server's."""
        return self.asking.clock

    @property
    def now_s(self) -> int:
        """Seconds since 1970, as signatures count."""
        return self.asking.clock.now_ms() // 1000

    def forget_transaction(self) -> None:
        """MAIL, and what came after it."""
        self.sender = None
        self.smtputf8 = False
        self.heading = None
        self.verification = None
        self.chain = None
