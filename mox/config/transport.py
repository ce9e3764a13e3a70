"""Ways for outgoing mail other than straight to the recipient's servers, and who goes which.

Source  spec/config.md section 5 (transports) and section 6 (routes).
"""

from typing import Annotated, Literal

from msgspec import Meta

from mox.config.section import Section

Port = Annotated[int, Meta(ge=1, le=65535)]
Mechanism = Literal[
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
    "PLAIN",
]
DEFAULT_MECHANISMS: tuple[Mechanism, ...] = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
)


class RelayAuth(Section, frozen=True, kw_only=True):
    """Login at that server."""

    username: Annotated[str, Meta(description="User name.", examples=["you@example.org"])]
    password: Annotated[str, Meta(description="Password.", examples=["secret"])]
    mechanisms: Annotated[
        tuple[Mechanism, ...],
        Meta(
            description="Mechanisms, best first; the first that the server offers is used. Default:"
            " SCRAM-SHA-256-PLUS, SCRAM-SHA-256, SCRAM-SHA-1-PLUS, SCRAM-SHA-1, CRAM-MD5. PLAIN,"
            " which shows the server the password, is used only where it is named."
        ),
    ] = ()

    @property
    def wanted(self) -> tuple[Mechanism, ...]:
        """The mechanisms, best first."""
        return self.mechanisms or DEFAULT_MECHANISMS

    def __repr__(self) -> str:
        """Without the password: it must reach no log."""
        return f"RelayAuth(username={self.username!r})"


class Relay(Section, frozen=True, kw_only=True):
    """Another server that delivers for us."""

    host: Annotated[
        str, Meta(description="Name or IP address of the server.", examples=["smtp.example.net"])
    ]
    port: Annotated[Port, Meta(description="TCP port.")]
    auth: RelayAuth | None = None


class SubmissionsRelay(Relay, frozen=True, kw_only=True):
    """Through a server with TLS from the first byte."""

    port: Annotated[Port, Meta(description="TCP port.")] = 465


class StartTLSRelay(Relay, frozen=True, kw_only=True):
    """A server with TLS by STARTTLS."""

    starttls_insecure_skip_verify: Annotated[
        bool, Meta(description="Do not look at the server's certificate.")
    ] = False
    no_starttls: Annotated[bool, Meta(description="Send in the clear.")] = False


class SubmissionRelay(StartTLSRelay, frozen=True, kw_only=True):
    """Through a server for users, with STARTTLS."""

    port: Annotated[Port, Meta(description="TCP port.")] = 587


class SMTPRelay(StartTLSRelay, frozen=True, kw_only=True):
    """Through a server that relays for us, normally without login, with STARTTLS."""

    port: Annotated[Port, Meta(description="TCP port.")] = 25


class Socks(Section, frozen=True, kw_only=True):
    """Straight to the recipient's servers, through a SOCKS5 proxy."""

    address: Annotated[
        str, Meta(description="Host and port of the proxy.", examples=["127.0.0.1:1080"])
    ]
    remote_ips: Annotated[
        tuple[str, ...],
        Meta(
            description="Addresses the proxy sends from, for advice on SPF records.",
            examples=[["192.0.2.7"]],
        ),
    ]
    remote_hostname: Annotated[
        str,
        Meta(
            description="Name that belongs to these addresses; used in EHLO.",
            examples=["proxy.example.org"],
        ),
    ]


class Direct(Section, frozen=True, kw_only=True):
    """Straight to the recipient's servers, by one family of addresses only."""

    disable_ipv4: Annotated[bool, Meta(description="Use IPv6 only.")] = False
    disable_ipv6: Annotated[bool, Meta(description="Use IPv4 only.")] = False


class Fail(Section, frozen=True, kw_only=True):
    """Nowhere: delivery fails at once."""

    smtp_code: Annotated[
        Annotated[int, Meta(ge=400, le=599)],
        Meta(description="Code of the failure: 4xx is tried again, 5xx is not."),
    ] = 554
    smtp_message: Annotated[
        str,
        Meta(description="Its text, printable ASCII; default: delivery failed by configuration."),
    ] = ""


class Transport(Section, frozen=True, kw_only=True):
    """A way for outgoing mail. At most one of the tables; with none, mail goes straight out."""

    submissions: SubmissionsRelay | None = None
    submission: SubmissionRelay | None = None
    smtp: SMTPRelay | None = None
    socks: Socks | None = None
    direct: Direct | None = None
    fail: Fail | None = None


class Route(Section, frozen=True, kw_only=True):
    """Which mail goes by which transport."""

    from_domain: Annotated[
        tuple[str, ...],
        Meta(
            description="Domains of the sender; none for all. With a dot before it, a domain and"
            " those in it; a dot alone is every domain."
        ),
    ] = ()
    to_domain: Annotated[
        tuple[str, ...], Meta(description="Domains of the recipient, written likewise.")
    ] = ()
    minimum_attempts: Annotated[
        Annotated[int, Meta(ge=0)],
        Meta(description="Only after so many attempts that failed."),
    ] = 0
    transport: Annotated[
        str, Meta(description="Name of a transport of mox.toml.", examples=["relay"])
    ]
