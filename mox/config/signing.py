"""DKIM of a domain.    spec/config.md section 7."""

from typing import Annotated, Literal

from msgspec import Meta

from mox.config.duration import Duration
from mox.config.section import Section

DEFAULT_HEADERS = (
    "From",
    "To",
    "Cc",
    "Bcc",
    "Reply-To",
    "References",
    "In-Reply-To",
    "Subject",
    "Date",
    "Message-Id",
    "Content-Type",
)


class Canonicalization(Section, frozen=True, kw_only=True):
    """Changes on the way that a signature survives."""

    header_relaxed: Annotated[
        bool, Meta(description="Changes of white space and case in signed header fields.")
    ] = False
    body_relaxed: Annotated[bool, Meta(description="Changes of white space in the body.")] = False


class Selector(Section, frozen=True, kw_only=True):
    """A key and how to sign with it."""

    hash: Annotated[
        Literal["sha256"],
        Meta(description="Hash. RFC 8301 forbids sha1."),
    ] = "sha256"
    canonicalization: Canonicalization = Canonicalization()
    headers: Annotated[
        tuple[str, ...],
        Meta(
            description="Header fields that are signed; From must be one of them. Default: From, To,"
            " Cc, Bcc, Reply-To, References, In-Reply-To, Subject, Date, Message-Id, Content-Type."
        ),
    ] = ()
    dont_seal_headers: Annotated[
        bool,
        Meta(description="Do not guard against fields of these names that are added later."),
    ] = False
    expiration: Annotated[
        Duration, Meta(description="A signature is valid for so long; 0s for no end.")
    ] = Duration("0s")
    private_key_file: Annotated[
        str,
        Meta(
            description="Private key, PKCS#8 PEM: RSA of at least 1024 bits, or Ed25519. Relative"
            " to this file.",
            examples=["dkim/2026a._domainkey.example.org.privatekey.pkcs8.pem"],
        ),
    ]

    @property
    def signed(self) -> tuple[str, ...]:
        """Names of the fields that are signed."""
        return self.headers or DEFAULT_HEADERS


class DKIM(Section, frozen=True, kw_only=True):
    """Signatures of outgoing mail."""

    selectors: Annotated[
        dict[str, Selector],
        Meta(description="Keys by selector, the name in DNS.", examples=["2026a"]),
    ] = {}
    sign: Annotated[
        tuple[str, ...], Meta(description="Selectors that sign; none for no DKIM.")
    ] = ()
