"""``domains.toml`` as structs: what may change while the server runs.

Source  spec/config.md sections 6, 7 and 8.
"""

from typing import Annotated, Literal

from msgspec import Meta

from mox.config.duration import Duration
from mox.config.filtering import AutomaticJunkFlags, JunkFilter, Ruleset, SubjectPass
from mox.config.section import Section
from mox.config.signing import DKIM
from mox.config.transport import Route


class ReportAddress(Section, frozen=True, kw_only=True):
    """Where reports about the domain arrive."""

    localpart: Annotated[
        str, Meta(description="Local part of the address, ASCII.", examples=["dmarcreports"])
    ]
    domain: Annotated[
        str, Meta(description="Domain of the address, one of ours; default: the domain itself.")
    ] = ""
    account: Annotated[str, Meta(description="Account that gets the reports.", examples=["me"])]
    mailbox: Annotated[str, Meta(description="Mailbox of that account.", examples=["DMARC"])]


class DMARC(ReportAddress, frozen=True, kw_only=True):
    """Where others' DMARC reports about the domain arrive."""


class TLSRPT(ReportAddress, frozen=True, kw_only=True):
    """Where others' TLS reports about the domain arrive."""

    localpart: Annotated[
        str, Meta(description="Local part of the address, ASCII.", examples=["tlsreports"])
    ]
    mailbox: Annotated[str, Meta(description="Mailbox of that account.", examples=["TLSRPT"])]


class MTASTS(Section, frozen=True, kw_only=True):
    """The policy by which others send to the domain with verified TLS only. RFC 8461."""

    policy_id: Annotated[
        str,
        Meta(
            description="Changes with every change of the policy; letters and digits.",
            examples=["20261129T120000"],
        ),
    ]
    mode: Annotated[
        Literal["enforce", "testing", "none"],
        Meta(description="What senders shall do when they cannot.", examples=["enforce"]),
    ]
    max_age: Annotated[Duration, Meta(description="How long senders keep the policy.")] = Duration(
        "24h"
    )
    mx: Annotated[
        tuple[str, ...],
        Meta(description="Names of the mail servers; default: the hostname of mox.toml."),
    ] = ()


class Alias(Section, frozen=True, kw_only=True):
    """An address that stands for several."""

    addresses: Annotated[
        tuple[str, ...],
        Meta(description="The members: addresses of accounts.", examples=[["you@example.org"]]),
    ]
    post_public: Annotated[
        bool, Meta(description="Anybody may send to it; otherwise only members.")
    ] = False
    list_members: Annotated[bool, Meta(description="Members may see who the others are.")] = False
    allow_msg_from: Annotated[
        bool, Meta(description="Members may send with its address as From.")
    ] = False


class Domain(Section, frozen=True, kw_only=True):
    """A domain we receive mail for."""

    disabled: Annotated[
        bool,
        Meta(description="Refuse mail to and from the domain for now. Logins go on."),
    ] = False
    description: Annotated[str, Meta(description="For people.")] = ""
    client_settings_domain: Annotated[
        str,
        Meta(description="Name of the server as users write it; default: the global hostname."),
    ] = ""
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
    dkim: DKIM = DKIM()
    dmarc: DMARC | None = None
    tlsrpt: TLSRPT | None = None
    mtasts: MTASTS | None = None
    aliases: Annotated[
        dict[str, Alias],
        Meta(description="Addresses that stand for several, by local part.", examples=["team"]),
    ] = {}
    routes: Annotated[
        tuple[Route, ...],
        Meta(description="Routes for mail from the domain, after those of the account."),
    ] = ()

    @property
    def separators(self) -> tuple[str, ...]:
        """All separators, in the order they are applied; no empty one, which would cut nothing.

        Tables with an empty one are refused, but other checks look at the same tables before.
        """
        if self.localpart_catchall_separator:
            return (self.localpart_catchall_separator,)
        return tuple(one for one in self.localpart_catchall_separators if one)


class Destination(Section, frozen=True, kw_only=True):
    """What happens to mail for an address."""

    mailbox: Annotated[str, Meta(description="Mailbox for delivery; default: Inbox.")] = ""
    smtp_error: Annotated[
        str,
        Meta(
            description="Refuse mail instead: 421 or 550, then a text."
            " 421 is a temporary error, 550 says there is no such address."
        ),
    ] = ""
    message_auth_required_smtp_error: Annotated[
        str,
        Meta(
            description="When set, messages whose From neither SPF nor DKIM proves are refused with"
            " this text."
        ),
    ] = ""
    full_name: Annotated[str, Meta(description="Name beside the address in mail sent from it.")] = (
        ""
    )
    rulesets: Annotated[
        tuple[Ruleset, ...],
        Meta(
            description="Messages that go elsewhere; the first that fits. All its conditions must be"
            " met; one at least is set."
        ),
    ] = ()


class Account(Section, frozen=True, kw_only=True):
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
    from_id_login_addresses: Annotated[
        tuple[str, ...],
        Meta(
            description="Whoever logs in with one of these addresses sends each message with a MAIL"
            " FROM of its own, so that a bounce tells which message it is about. Their domains need"
            " a separator."
        ),
    ] = ()
    keep_retired_message_period: Annotated[
        Duration, Meta(description="Remember what became of sent messages for so long.")
    ] = Duration("0s")
    rejects_mailbox: Annotated[
        str,
        Meta(
            description="Mailbox for copies of refused messages, so that you can find them; default:"
            " none are kept."
        ),
    ] = ""
    keep_rejects: Annotated[
        bool, Meta(description="Keep them for good, not only the last 1000 of two weeks.")
    ] = False
    introbox: Annotated[
        str,
        Meta(description="Mailbox for messages of first-time senders, instead of their own."),
    ] = ""
    max_outgoing_messages_per_day: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(description="Recipients of sent messages in 24 hours."),
    ] = 1000
    max_first_time_recipients_per_day: Annotated[
        Annotated[int, Meta(ge=1)],
        Meta(description="Recipients in 24 hours to whom the account never wrote before."),
    ] = 200
    no_first_time_sender_delay: Annotated[
        bool, Meta(description="Accept mail of first-time senders without a pause.")
    ] = False
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
    subject_pass: SubjectPass = SubjectPass()
    automatic_junk_flags: AutomaticJunkFlags = AutomaticJunkFlags()
    junk_filter: JunkFilter | None = None
    routes: Annotated[
        tuple[Route, ...],
        Meta(description="Routes for mail from the account; looked at first."),
    ] = ()


class DomainsConfig(Section, frozen=True, kw_only=True):
    """The domains and accounts, ``domains.toml``. Changes are taken up while the server runs."""

    domains: Annotated[
        dict[str, Domain],
        Meta(description="Domains by name, in Unicode.", examples=["example.org"]),
    ]
    accounts: Annotated[
        dict[str, Account],
        Meta(description="Accounts by name. A name is not an address.", examples=["me"]),
    ]
    routes: Annotated[
        tuple[Route, ...],
        Meta(description="Routes for all mail; looked at last. The first that fits is used."),
    ] = ()
