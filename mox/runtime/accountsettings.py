"""What the configuration says of an account, in the words of the store and the junk filter."""

from msgspec import structs

from mox.base.mailboxname import normalise_mailbox_name
from mox.base.regexp import Regexp
from mox.config.domains import Account as Configured
from mox.config.live import Config
from mox.junk.mailboxes import MailboxRules
from mox.junk.parameters import Parameters
from mox.store.account import Account


def apply_settings(config: Config, account: Account) -> None:
    """Set an open account as it is configured now; one that no longer is keeps its settings."""
    configured = config.domains.accounts.get(account.name)
    account.quota_bytes = quota_of(config, account.name)
    if configured is not None:
        account.rules = rules_of(configured)
        account.filter = filter_of(configured)


def quota_of(config: Config, name: str) -> int:
    """Bytes an account may hold, 0 for no limit."""
    account = config.domains.accounts.get(name)
    own = account.quota_message_size if account is not None else 0
    return max(0, own or config.static.quota_message_size)


def rules_of(configured: Configured) -> MailboxRules:
    """Junk flags that follow from the mailbox."""
    flags = configured.automatic_junk_flags
    return MailboxRules(
        enabled=flags.enabled,
        junk=_regexp(flags.junk_mailbox_regexp),
        neutral=_regexp(flags.neutral_mailbox_regexp),
        notjunk=_regexp(flags.notjunk_mailbox_regexp),
        rejects_mailbox=_mailbox(configured.rejects_mailbox),
        introbox=_mailbox(configured.introbox),
    )


def filter_of(configured: Configured) -> Parameters | None:
    """How its junk filter is set; None: it has none."""
    junk = configured.junk_filter
    return None if junk is None else Parameters(**structs.asdict(junk))


def _regexp(text: str) -> Regexp | None:
    return Regexp(text) if text else None


def _mailbox(name: str) -> str:
    return normalise_mailbox_name(name) if name else ""
