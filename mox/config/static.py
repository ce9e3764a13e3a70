"""``mox.toml`` as structs: what is read once, at start.

Source  spec/config.md sections 2 and 4.  Each field carries its description and, where the default
does not show it, an example; ``describe`` makes the annotated file from them.  Ranges and choices
stand with the types; what must fit together is in ``check``.
"""

from typing import Annotated, Literal

from msgspec import Meta

from mox.base.limits import (
    CONNECTION_RATE,
    CONNECTIONS_OPEN,
    DELIVERED_BYTES_DAY,
    DELIVERED_BYTES_MINUTE,
    DELIVERED_MESSAGES_DAY,
    DELIVERED_MESSAGES_MINUTE,
    LOGIN_FAILURES_DAY,
    LOGIN_FAILURES_MINUTE,
    MESSAGE_SIZE,
    VERDICT_BYTES,
    VERDICT_DAYS,
)
from mox.config.duration import Duration
from mox.config.section import Section
from mox.config.transport import Port, Transport

Level = Literal["error", "warn", "info", "debug"]
Size = Annotated[int, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


class Service(Section, frozen=True, kw_only=True):
    """Something that listens on a port."""

    enabled: bool = False
    port: Port = 0


class SMTPService(Service, frozen=True, kw_only=True):
    """Mail from other servers."""

    enabled: Annotated[bool, Meta(description="Receive mail from other servers here.")] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 25
    no_starttls: Annotated[bool, Meta(description="Do not offer STARTTLS.")] = False
    require_starttls: Annotated[
        bool,
        Meta(description="Refuse mail on connections without TLS, but for TLS reports."),
    ] = False
    no_require_tls: Annotated[bool, Meta(description="Do not offer REQUIRETLS.")] = False
    tls_session_tickets_disabled: Annotated[
        bool,
        Meta(description="No TLS session tickets; some large senders have trouble with them."),
    ] = True
    dnsbls: Annotated[
        tuple[str, ...],
        Meta(
            description="DNS block lists, by zone; asked only about senders that nothing else is"
            " known about."
        ),
    ] = ()
    first_time_sender_delay: Annotated[
        Duration, Meta(description="Pause before mail of first-time senders is accepted.")
    ] = Duration("15s")


class LMTPService(Service, frozen=True, kw_only=True):
    """Mail from a mail server on this machine, by LMTP (RFC 2033). No login; mail to our addresses only."""

    enabled: Annotated[bool, Meta(description="Accept such mail here.")] = False
    socket: Annotated[
        str,
        Meta(
            description="Path of a Unix socket, instead of address and port. Relative to this file."
        ),
    ] = ""
    users: Annotated[
        tuple[str, ...],
        Meta(
            description="System users, by name or number, whose programs may connect to the socket;"
            " none named: root and the user of the server."
        ),
    ] = ()
    port: Annotated[
        Port, Meta(description="TCP port, where there is no socket; loopback addresses only.")
    ] = 24
    trusted: Annotated[
        bool,
        Meta(
            description="Deliver without judging the sender: the other server has done that. Rulesets"
            " are applied."
        ),
    ] = True


class SubmissionService(Service, frozen=True, kw_only=True):
    """Mail from users, TLS by STARTTLS."""

    enabled: Annotated[bool, Meta(description="Accept mail from users here.")] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 587
    no_require_starttls: Annotated[
        bool, Meta(description="Allow login without TLS. Only for trusted networks.")
    ] = False


class SubmissionsService(Service, frozen=True, kw_only=True):
    """Mail from users, TLS from the first byte."""

    enabled: Annotated[bool, Meta(description="Accept mail from users here.")] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 465


class IMAPService(Service, frozen=True, kw_only=True):
    """Reading mail, TLS by STARTTLS."""

    enabled: Annotated[bool, Meta(description="Let users read their mail here.")] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 143
    no_require_starttls: Annotated[
        bool, Meta(description="Allow login without TLS. Only for trusted networks.")
    ] = False


class IMAPSService(Service, frozen=True, kw_only=True):
    """Reading mail, TLS from the first byte."""

    enabled: Annotated[bool, Meta(description="Let users read their mail here.")] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 993


class MetricsService(Service, frozen=True, kw_only=True):
    """Metrics for Prometheus."""

    enabled: Annotated[
        bool, Meta(description="Serve /metrics here, over plain HTTP and without login.")
    ] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 8010


class KeyCert(Section, frozen=True, kw_only=True):
    """A certificate chain and its private key."""

    cert_file: Annotated[
        str, Meta(description="Certificate chain, PEM.", examples=["tls/mail.example.org.crt"])
    ]
    key_file: Annotated[
        str,
        Meta(
            description="Private key, PEM, without passphrase.",
            examples=["tls/mail.example.org.key"],
        ),
    ]


class ListenerTLS(Section, frozen=True, kw_only=True):
    """TLS of a listener."""

    key_certs: Annotated[
        tuple[KeyCert, ...],
        Meta(description="Certificates; the client's server name chooses. Relative to this file."),
    ] = ()
    min_version: Annotated[
        Literal["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
        Meta(description="Oldest version a client may use."),
    ] = "TLSv1.2"


class Listener(Section, frozen=True, kw_only=True):
    """Addresses and the services on them."""

    ips: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses to listen on; 0.0.0.0 and :: for all of this machine.",
            examples=[["192.0.2.1", "2001:db8::1"]],
        ),
    ]
    hostname: Annotated[
        str, Meta(description="Name used on this listener; default: the global hostname.")
    ] = ""
    smtp_max_message_size: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(description="Bytes of the largest message, incoming and outgoing."),
    ] = MESSAGE_SIZE
    tls: Annotated[
        ListenerTLS | None, Meta(description="Needed by every service that offers TLS.")
    ] = None
    smtp: SMTPService = SMTPService()
    lmtp: LMTPService = LMTPService()
    submission: SubmissionService = SubmissionService()
    submissions: SubmissionsService = SubmissionsService()
    imap: IMAPService = IMAPService()
    imaps: IMAPSService = IMAPSService()
    metrics_http: MetricsService = MetricsService()


class Postmaster(Section, frozen=True, kw_only=True):
    """Where mail for the postmaster goes."""

    account: Annotated[str, Meta(description="Account of domains.toml.", examples=["me"])]
    mailbox: Annotated[str, Meta(description="Mailbox of that account.", examples=["Postmaster"])]


class HostTLSRPT(Section, frozen=True, kw_only=True):
    """Where others' TLS reports about this host arrive, at its hostname."""

    account: Annotated[str, Meta(description="Account of domains.toml.", examples=["me"])]
    mailbox: Annotated[str, Meta(description="Mailbox of that account.", examples=["TLSRPT"])]
    localpart: Annotated[
        str,
        Meta(description="Local part of the address, ASCII.", examples=["tlsreports"]),
    ]


class DNS(Section, frozen=True, kw_only=True):
    """Whom we ask for names."""

    resolvers: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses of resolvers, with port where it is not 53, as in 192.0.2.1:5353"
            " and [2001:db8::1]:5353; default: those of /etc/resolv.conf."
        ),
    ] = ()
    trusted: Annotated[
        bool,
        Meta(
            description="Believe what they say of DNSSEC: they verify, and nobody is on the way to"
            " them. Of resolvers on loopback addresses it is always believed."
        ),
    ] = False


class CA(Section, frozen=True, kw_only=True):
    """Certificate authorities, for mail we send and HTTPS requests we make. Default: the system's."""

    additional_to_system: Annotated[
        bool, Meta(description="Trust these and the system's, not only these.")
    ] = False
    cert_files: Annotated[
        tuple[str, ...],
        Meta(description="Certificates of authorities, PEM. Relative to this file."),
    ] = ()


class TLS(Section, frozen=True, kw_only=True):
    """TLS of outgoing connections."""

    ca: CA | None = None


class Queue(Section, frozen=True, kw_only=True):
    """When outgoing mail is tried again."""

    retry_after: Annotated[
        tuple[Duration, ...],
        Meta(description="Pauses after the first attempts that failed."),
    ] = (
        Duration("7m30s"),
        Duration("15m"),
        Duration("30m"),
        Duration("1h"),
        Duration("2h"),
        Duration("4h"),
        Duration("8h"),
    )
    retry_every: Annotated[Duration, Meta(description="Pause after each later one.")] = Duration(
        "12h"
    )
    give_up_after: Annotated[
        Duration,
        Meta(description="So long after it was sent, a message that cannot be delivered fails."),
    ] = Duration("96h")


Three = tuple[Count, Count, Count]


class RateLimits(Section, frozen=True, kw_only=True):
    """What others may do, each as three numbers: one address (IPv4 /32, IPv6 /64), its network (/26, /48), its region (/21, /32)."""

    connections_open: Annotated[Three, Meta(description="Connections at one time.")] = (
        CONNECTIONS_OPEN
    )
    connections_per_minute: Annotated[Three, Meta(description="New connections.")] = CONNECTION_RATE
    login_failures_per_minute: Annotated[Three, Meta(description="Failed logins.")] = (
        LOGIN_FAILURES_MINUTE
    )
    login_failures_per_day: Annotated[Three, Meta(description="Failed logins.")] = (
        LOGIN_FAILURES_DAY
    )
    messages_per_minute: Annotated[Three, Meta(description="Messages to one account.")] = (
        DELIVERED_MESSAGES_MINUTE
    )
    messages_per_day: Annotated[Three, Meta(description="Messages to one account.")] = (
        DELIVERED_MESSAGES_DAY
    )
    bytes_per_minute: Annotated[Three, Meta(description="Bytes of messages to one account.")] = (
        DELIVERED_BYTES_MINUTE
    )
    bytes_per_day: Annotated[Three, Meta(description="Bytes of messages to one account.")] = (
        DELIVERED_BYTES_DAY
    )


class Verdicts(Section, frozen=True, kw_only=True):
    """How long it is remembered why a message was accepted, put aside or refused."""

    keep_days: Annotated[
        Annotated[int, Meta(ge=0, le=3650)], Meta(description="Days; 0 to remember nothing.")
    ] = VERDICT_DAYS
    keep_bytes: Annotated[
        Size, Meta(description="Bytes for each account; the oldest go first.")
    ] = VERDICT_BYTES


class SpecialUseMailboxes(Section, frozen=True, kw_only=True):
    """Mailboxes with a role. With an empty name none is made."""

    sent: Annotated[str, Meta(description="Copies of sent messages.")] = ""
    archive: Annotated[str, Meta(description="Messages put away.")] = ""
    trash: Annotated[str, Meta(description="Messages thrown away.")] = ""
    draft: Annotated[str, Meta(description="Messages being written.")] = ""
    junk: Annotated[str, Meta(description="Unwanted messages.")] = ""

    def by_role(self) -> dict[str, str]:
        """Role, as in ``\\Sent`` without the backslash, to mailbox name; only those that are set."""
        names = {
            "Sent": self.sent,
            "Archive": self.archive,
            "Trash": self.trash,
            "Drafts": self.draft,
            "Junk": self.junk,
        }
        return {role: name for role, name in names.items() if name}


class InitialMailboxes(Section, frozen=True, kw_only=True):
    """Mailboxes of a new account, besides Inbox. Without this table: Sent, Archive, Trash, Drafts, Junk."""

    special_use: SpecialUseMailboxes = SpecialUseMailboxes()
    regular: Annotated[tuple[str, ...], Meta(description="More mailboxes, without a role.")] = ()


DEFAULT_MAILBOXES = InitialMailboxes(
    special_use=SpecialUseMailboxes(
        sent="Sent", archive="Archive", trash="Trash", draft="Drafts", junk="Junk"
    )
)


class StaticConfig(Section, frozen=True, kw_only=True):
    """The static configuration, ``mox.toml``. It is read at start; a change needs a restart."""

    data_dir: Annotated[
        str,
        Meta(
            description="Folder of accounts, queue and control socket. Relative to this file.",
            examples=["../data"],
        ),
    ]
    log_level: Annotated[Level, Meta(description="What is logged.", examples=["info"])]
    package_log_levels: Annotated[
        dict[str, Level], Meta(description="Other levels for parts of the server, by name.")
    ] = {}
    user: Annotated[
        str, Meta(description="User, or numeric user id, to become after binding ports as root.")
    ] = "mox"
    no_fix_permissions: Annotated[
        bool,
        Meta(
            description="At a start as root, do not make that user the owner of the folders of"
            " configuration and data."
        ),
    ] = False
    hostname: Annotated[
        str,
        Meta(
            description="Full name of this machine, as others see it, in Unicode.",
            examples=["mail.example.org"],
        ),
    ]
    quota_message_size: Annotated[
        Size, Meta(description="Bytes of messages an account may hold; 0 for no limit.")
    ] = 0
    imap_flag_sync: Annotated[
        Literal["delayed", "immediate"],
        Meta(
            description="When a change of flags alone is on disk: within a second after the reply,"
            " or before it. Messages always are before it."
        ),
    ] = "delayed"
    no_outgoing_dmarc_reports: Annotated[
        bool, Meta(description="Send no DMARC reports to domains whose mail we receive.")
    ] = False
    no_outgoing_tls_reports: Annotated[
        bool, Meta(description="Send no TLS reports to domains we send mail to.")
    ] = False
    outgoing_tls_reports_for_all_success: Annotated[
        bool, Meta(description="Send TLS reports also where nothing failed.")
    ] = False
    keep_rate_state: Annotated[
        bool, Meta(description="Keep the counts of rate limits over a restart.")
    ] = False
    postmaster: Postmaster
    host_tlsrpt: HostTLSRPT | None = None
    initial_mailboxes: InitialMailboxes = DEFAULT_MAILBOXES
    listeners: Annotated[
        dict[str, Listener],
        Meta(description="Listeners by a name of your choice.", examples=["public"]),
    ]
    tls: TLS = TLS()
    dns: DNS = DNS()
    transports: Annotated[
        dict[str, Transport],
        Meta(
            description="Ways for outgoing mail, by a name of your choice, for use in routes. At most"
            " one of the tables each; with none, mail goes straight out.",
            examples=["relay"],
        ),
    ] = {}
    queue: Queue = Queue()
    rate_limits: RateLimits = RateLimits()
    verdicts: Verdicts = Verdicts()
