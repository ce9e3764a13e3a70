"""The commands of the control socket, one declaration each.

A command is declared here, handled by ``runtime`` and called by ``cli``.
"""

from msgspec import Struct

from mox.ctl.protocol import Command


class Nothing(Struct, frozen=True):
    """No arguments, or no result."""


class Stopping(Struct, frozen=True, kw_only=True):
    """The server stops; it has when these processes are gone."""

    processes: tuple[int, ...] = ()


class LogLevel(Struct, frozen=True, kw_only=True):
    """Set a level.    ``area`` empty: the default one; ``level`` empty: the area has none of its own."""

    level: str
    area: str = ""


class LogLevels(Struct, frozen=True, kw_only=True):
    """Levels by area; the default one under ``(default)``."""

    levels: dict[str, str]


class SetPassword(Struct, frozen=True, kw_only=True):
    """A new password of an account."""

    account: str
    password: str

    def __repr__(self) -> str:
        return f"SetPassword(account={self.account!r})"


class Deliver(Struct, frozen=True, kw_only=True):
    """Deliver the message in the body to an address of ours."""

    address: str


class Delivered(Struct, frozen=True, kw_only=True):
    """Where the message is now."""

    account: str
    mailbox: str


class AccountName(Struct, frozen=True, kw_only=True):
    """An account."""

    account: str


class AccountAddress(Struct, frozen=True, kw_only=True):
    """An account and an address of it."""

    account: str
    address: str


class AccountDisable(Struct, frozen=True, kw_only=True):
    """Refuse logins to an account with this text."""

    account: str
    message: str


class AccountLine(Struct, frozen=True, kw_only=True):
    """An account in a list."""

    account: str
    login_disabled: str


class AccountList(Struct, frozen=True, kw_only=True):
    """All accounts, by name."""

    accounts: tuple[AccountLine, ...]


class Addresses(Struct, frozen=True, kw_only=True):
    """Addresses as they are configured."""

    addresses: tuple[str, ...]


class Address(Struct, frozen=True, kw_only=True):
    """An address, or ``@domain``."""

    address: str


class AddressTarget(Struct, frozen=True, kw_only=True):
    """Who receives mail for an address."""

    account: str
    mailbox: str


class DomainAdd(Struct, frozen=True, kw_only=True):
    """A new domain; with a local part, a new account as well."""

    domain: str
    account: str
    localpart: str = ""
    disabled: bool = False


class DomainName(Struct, frozen=True, kw_only=True):
    """A domain, in Unicode."""

    domain: str


class DomainLine(Struct, frozen=True, kw_only=True):
    """A domain in a list."""

    domain: str
    disabled: bool


class DomainList(Struct, frozen=True, kw_only=True):
    """All domains, by name."""

    domains: tuple[DomainLine, ...]


class AliasLine(Struct, frozen=True, kw_only=True):
    """An alias, its members and what they and others may do."""

    alias: str
    addresses: tuple[str, ...]
    post_public: bool
    list_members: bool
    allow_msg_from: bool


class AliasList(Struct, frozen=True, kw_only=True):
    """All aliases of a domain, by address."""

    aliases: tuple[AliasLine, ...]


class AliasMembers(Struct, frozen=True, kw_only=True):
    """An alias and addresses of accounts."""

    alias: str
    addresses: tuple[str, ...]


class AliasUpdate(Struct, frozen=True, kw_only=True):
    """What members of an alias and others may do; None: as it is."""

    alias: str
    post_public: bool | None = None
    list_members: bool | None = None
    allow_msg_from: bool | None = None


class VerdictsWanted(Struct, frozen=True, kw_only=True):
    """What was decided about incoming mail.    Empty and 0: of any message, account, time."""

    message_id: str = ""  # canonical
    account: str = ""
    since_ms: int = 0
    limit: int = 100


class VerdictsShown(Struct, frozen=True, kw_only=True):
    """Each was sent on the way, the newest first."""

    count: int


class Retrain(Struct, frozen=True, kw_only=True):
    """Train the junk filter of an account anew; of all accounts where it is empty."""

    account: str = ""


class Retraining(Struct, frozen=True, kw_only=True):
    """How far that is; sent on the way."""

    account: str
    done: int  # messages looked at
    total: int


class Retrained(Struct, frozen=True, kw_only=True):
    """Accounts by what was done."""

    trained: tuple[str, ...]
    without_filter: tuple[str, ...]


class WordLine(Struct, frozen=True, kw_only=True):
    """A word that mattered: from 0 for ham to 1 for spam, and the messages it was in."""

    word: str
    score: float
    ham: int
    spam: int


class JunkChecked(Struct, frozen=True, kw_only=True):
    """How likely a message is junk."""

    probability: float
    significant: bool
    ham: tuple[WordLine, ...]
    spam: tuple[WordLine, ...]


STOP = Command("stop", Nothing, Stopping)
LOG_LEVELS = Command("log_levels", Nothing, LogLevels)
LOG_LEVEL_SET = Command("log_level_set", LogLevel, Nothing)
PASSWORD_SET = Command("password_set", SetPassword, Nothing)
DELIVER = Command("deliver", Deliver, Delivered, takes_body=True)
ACCOUNT_LIST = Command("account_list", Nothing, AccountList)
ACCOUNT_ADDRESSES = Command("account_addresses", AccountName, Addresses)
ACCOUNT_ADD = Command("account_add", AccountAddress, Nothing)
ACCOUNT_RM = Command("account_rm", AccountName, Nothing)
ACCOUNT_DISABLE = Command("account_disable", AccountDisable, Nothing)
ACCOUNT_ENABLE = Command("account_enable", AccountName, Nothing)
ADDRESS_ADD = Command("address_add", AccountAddress, Nothing)
ADDRESS_RM = Command("address_rm", Address, Nothing)
ADDRESS_ACCOUNT = Command("address_account", Address, AddressTarget)
DOMAIN_LIST = Command("domain_list", Nothing, DomainList)
DOMAIN_ADD = Command("domain_add", DomainAdd, Nothing)
DOMAIN_RM = Command("domain_rm", DomainName, Nothing)
DOMAIN_DISABLE = Command("domain_disable", DomainName, Nothing)
DOMAIN_ENABLE = Command("domain_enable", DomainName, Nothing)
ALIAS_LIST = Command("alias_list", DomainName, AliasList)
ALIAS_PRINT = Command("alias_print", Address, AliasLine)
ALIAS_ADD = Command("alias_add", AliasMembers, Nothing)
ALIAS_UPDATE = Command("alias_update", AliasUpdate, Nothing)
ALIAS_RM = Command("alias_rm", Address, Nothing)
ALIAS_ADDADDR = Command("alias_addaddr", AliasMembers, Nothing)
ALIAS_RMADDR = Command("alias_rmaddr", AliasMembers, Nothing)
VERDICTS = Command("verdicts", VerdictsWanted, VerdictsShown)
RETRAIN = Command("retrain", Retrain, Retrained)
JUNK_CHECK = Command("junk_check", AccountName, JunkChecked, takes_body=True)
