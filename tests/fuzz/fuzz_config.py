"""``domains.toml``: any text is refused with every problem told, or gives tables that fit together."""

from mox.config.describe import describe_domains, describe_static
from mox.config.live import AliasTarget, Config, Target
from mox.config.load import load_domains, parse_static
from mox.config.lookup import find_recipient
from mox.config.names import parse_address
from mox.config.problems import ConfigInvalid

TARGET_NAME: str = "config"
_STATIC = parse_static(describe_static().replace("# [transports.relay]", "[transports.relay]"))
SEEDS = (
    describe_domains().encode(),
    b"""[domains."a.b"]
localpart_catchall_separators=["+"]
aliases.all={addresses=["x@a.b"],allow_msg_from=true}
dmarc={localpart="r+",account="me",mailbox="R"}
tlsrpt={localpart="r+",account="me",mailbox="R",domain="a.b"}
[domains."a.b".dkim]
sign=["s"]
selectors.s={private_key_file="k",expiration="1h30m"}
[accounts.me]
domain="a.b"
from_id_login_addresses=["x@a.b"]
routes=[{transport="relay",to_domain=[".c"]}]
[accounts.me.destinations."x@a.b"]
rulesets=[{mailbox="L",headers_regexp={"list-id"="<x[a-z]+>$"}}]
""",
)


def run(data: bytes) -> None:
    """As the text of the file."""
    text = data.decode("utf-8", "replace")
    try:
        config = load_domains(_STATIC, text)
    except ConfigInvalid as error:
        if not error.problems or any("\n" in str(problem) for problem in error.problems):
            raise AssertionError("a problem that is none, or of several lines") from error
        return
    _check(config)


def _check(config: Config) -> None:
    for name, account in config.domains.accounts.items():
        for written, destination in account.destinations.items():
            address = parse_address(written)
            if address is None or address.localpart is None:
                continue
            if config.domains.domains[address.domain].disabled:
                continue
            found = find_recipient(config, address.localpart, address.domain)
            if not isinstance(found, Target) or found.account != name:
                raise AssertionError("an address of an account leads elsewhere")
            if found.destination is not destination and not found.tls_reports:
                raise AssertionError("another destination")
    for alias in config.aliases.values():
        address = parse_address(alias.address)
        assert address is not None
        found = find_recipient(config, address.localpart or "", address.domain)
        disabled = config.domains.domains[address.domain].disabled
        if not disabled and not isinstance(found, AliasTarget):
            raise AssertionError("an alias that is not found")
