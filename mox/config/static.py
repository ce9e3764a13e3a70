"""``mox.toml`` as structs: what is read once, at start.

Source  spec/config.md sections 2 and 4.  Each field carries its description and, where the default
does not show it, an example; ``describe`` makes the annotated file from them.  Ranges and choices
stand with the types; what must fit together is in ``check``.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from mox.base.limits import MESSAGE_SIZE

Level = Literal["error", "warn", "info", "debug"]
Port = Annotated[int, Meta(ge=1, le=65535)]
Size = Annotated[int, Meta(ge=0)]


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Service(_Section, frozen=True, kw_only=True):
    """Something that listens on a port."""

    enabled: bool = False
    port: Port = 0


class SMTPService(Service, frozen=True, kw_only=True):
    """Mail from other servers."""

    enabled: Annotated[bool, Meta(description="Receive mail from other servers here.")] = False
    port: Annotated[Port, Meta(description="TCP port.")] = 25
    no_starttls: Annotated[bool, Meta(description="Do not offer STARTTLS.")] = False
    require_starttls: Annotated[
        bool, Meta(description="Refuse mail on connections without TLS.")
    ] = False


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


class KeyCert(_Section, frozen=True, kw_only=True):
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


class ListenerTLS(_Section, frozen=True, kw_only=True):
    """TLS of a listener."""

    key_certs: Annotated[
        tuple[KeyCert, ...],
        Meta(description="Certificates; the client's server name chooses. Relative to this file."),
    ] = ()
    min_version: Annotated[
        Literal["TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"],
        Meta(description="Oldest version a client may use."),
    ] = "TLSv1.2"


class Listener(_Section, frozen=True, kw_only=True):
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
    submission: SubmissionService = SubmissionService()
    submissions: SubmissionsService = SubmissionsService()
    imap: IMAPService = IMAPService()
    imaps: IMAPSService = IMAPSService()
    metrics_http: MetricsService = MetricsService()


class Postmaster(_Section, frozen=True, kw_only=True):
    """Where mail for the postmaster goes."""

    account: Annotated[str, Meta(description="Account of domains.toml.", examples=["me"])]
    mailbox: Annotated[str, Meta(description="Mailbox of that account.", examples=["Postmaster"])]


class SpecialUseMailboxes(_Section, frozen=True, kw_only=True):
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


class InitialMailboxes(_Section, frozen=True, kw_only=True):
    """Mailboxes of a new account, besides Inbox. Without this table: Sent, Archive, Trash, Drafts, Junk."""

    special_use: SpecialUseMailboxes = SpecialUseMailboxes()
    regular: Annotated[tuple[str, ...], Meta(description="More mailboxes, without a role.")] = ()


DEFAULT_MAILBOXES = InitialMailboxes(
    special_use=SpecialUseMailboxes(
        sent="Sent", archive="Archive", trash="Trash", draft="Drafts", junk="Junk"
    )
)


class StaticConfig(_Section, frozen=True, kw_only=True):
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
    postmaster: Postmaster
    initial_mailboxes: InitialMailboxes = DEFAULT_MAILBOXES
    listeners: Annotated[
        dict[str, Listener],
        Meta(description="Listeners by a name of your choice.", examples=["public"]),
    ]
