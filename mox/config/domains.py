"""``domains.toml`` as structs: what may change while the server runs.

Source  spec/config.md sections 6, 7 and 8.
"""

from typing import Annotated

from msgspec import Meta, Struct


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file."""


class Domain(_Section, frozen=True, kw_only=True):
    """A domain we receive mail for."""

    disabled: Annotated[
        bool,
        Meta(description="Refuse mail to and from the domain for now. Logins go on."),
    ] = False
    description: Annotated[str, Meta(description="For people.")] = ""
    localpart_catchall_separator: Annotated[
        str,
        Meta(description="Ignore a local part from here on: with +, you+shop@ is you@."),
    ] = ""
    localpart_catchall_separators: Annotated[
        tuple[str, ...], Meta(description="Several separators, instead of the one.")
    ] = ()
    localpart_case_sensitive: Annotated[
        bool, Meta(description="Treat You@ and you@ as different addresses.")
    ] = False

    @property
    def separators(self) -> tuple[str, ...]:
        """All separators, in the order they are applied."""
        if self.localpart_catchall_separator:
            return (self.localpart_catchall_separator,)
        return self.localpart_catchall_separators


class Destination(_Section, frozen=True, kw_only=True):
    """What happens to mail for an address."""

    mailbox: Annotated[str, Meta(description="Mailbox for delivery; default: Inbox.")] = ""
    smtp_error: Annotated[
        str,
        Meta(
            description="Refuse mail instead: 421 or 550, then a text."
            " 421 is a temporary error, 550 says there is no such address."
        ),
    ] = ""
    full_name: Annotated[str, Meta(description="Name beside the address in mail sent from it.")] = (
        ""
    )


class Account(_Section, frozen=True, kw_only=True):
    """Mailboxes, their owner's addresses, and a login."""

    domain: Annotated[
        str, Meta(description="Domain the account belongs to.", examples=["example.org"])
    ]
    description: Annotated[str, Meta(description="For people.")] = ""
    full_name: Annotated[str, Meta(description="Name of the owner.")] = ""
    login_disabled: Annotated[
        str, Meta(description="When set, no login is possible and this text says why.")
    ] = ""
    quota_message_size: Annotated[
        int,
        Meta(description="Bytes of messages: 0 for the global limit, negative for no limit."),
    ] = 0
    imap_capabilities_disabled: Annotated[
        tuple[str, ...],
        Meta(description="IMAP capabilities that are not offered, for clients that fail on them."),
    ] = ()
    destinations: Annotated[
        dict[str, Destination],
        Meta(
            description="Addresses. @example.org is every address of the domain that is no other's.",
            examples=["you@example.org"],
        ),
    ] = {}


class DomainsConfig(_Section, frozen=True, kw_only=True):
    """The domains and accounts, ``domains.toml``. Changes are taken up while the server runs."""

    domains: Annotated[
        dict[str, Domain],
        Meta(description="Domains by name, in Unicode.", examples=["example.org"]),
    ]
    accounts: Annotated[
        dict[str, Account],
        Meta(description="Accounts by name. A name is not an address.", examples=["me"]),
    ]
