"""``moxsubmit.toml`` as a struct: how ``mox sendmail`` submits.    spec/cli.md section 7."""

from typing import Annotated, Literal

from msgspec import Meta

from mox.config.section import Section
from mox.config.transport import Mechanism, Port


class SendmailConfig(Section, frozen=True, kw_only=True):
    """How ``mox sendmail`` hands messages of cron and scripts to a mail server."""

    local_hostname: Annotated[
        str,
        Meta(description="Name of this machine, said to the server.", examples=["machine.local"]),
    ]
    host: Annotated[str, Meta(description="The server.", examples=["mail.example.org"])]
    port: Annotated[Port, Meta(description="Its port: 465 with tls, 587 with starttls.")] = 465
    tls: Annotated[bool, Meta(description="TLS from the first byte.")] = False
    starttls: Annotated[bool, Meta(description="TLS by STARTTLS.")] = False
    tls_insecure_skip_verify: Annotated[
        bool, Meta(description="Do not look at the server's certificate.")
    ] = False
    username: Annotated[str, Meta(description="Login name.", examples=["cron@example.org"])] = ""
    password: Annotated[str, Meta(description="Password.")] = ""
    auth_mechanisms: Annotated[
        tuple[Mechanism, ...],
        Meta(
            description="Login mechanisms, best first. Default: all that do not show the password."
        ),
    ] = ()
    from_address: Annotated[
        str,
        Meta(
            description="Sender of all messages; their own From is replaced.",
            examples=["cron@example.org"],
        ),
    ]
    default_destination: Annotated[
        str, Meta(description="Gets mail for names without @, such as root.")
    ] = ""
    require_tls: Annotated[
        Literal["", "yes", "no"],
        Meta(
            description="yes: only over servers with proven TLS all the way; no: also where TLS"
            " policies fail."
        ),
    ] = ""

    def __repr__(self) -> str:
        """Without the password: it must reach no log."""
        return f"SendmailConfig(host={self.host!r})"
