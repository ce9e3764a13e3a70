"""What a new account and a new domain are set to.    spec/config.md sections 8 and 11.

They are written out, so that the owner sees and can change them.
"""

from collections.abc import Mapping
from typing import Any

from mox.config.names import Address


def new_account(address: Address) -> dict[str, Any]:
    """The table of an account with one address."""
    return {
        "domain": address.domain,
        "rejects_mailbox": "Rejects",
        "destinations": {str(address): {}},
        "subject_pass": {"period": "12h"},
        "automatic_junk_flags": {
            "enabled": True,
            "junk_mailbox_regexp": "^(junk|spam)",
            "neutral_mailbox_regexp": ("^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)"),
        },
        "junk_filter": {
            "threshold": 0.95,
            "onegrams": True,
            "max_power": 0.01,
            "top_words": 10,
            "ignore_words": 0.1,
            "rare_words": 2,
        },
    }


def new_domain(
    domain: str, account: str, *, disabled: bool, key_files: Mapping[str, str]
) -> dict[str, Any]:
    """The table of a domain whose reports an account gets.

    Input   key_files: of DKIM, by selector; the first signs.
    """
    section: dict[str, Any] = {"disabled": True} if disabled else {}
    section["client_settings_domain"] = f"mail.{domain}"
    section["localpart_catchall_separator"] = "+"
    if key_files:
        section["dkim"] = {
            "sign": list(key_files)[:1],
            "selectors": {
                selector: {"expiration": "72h", "private_key_file": file}
                for selector, file in key_files.items()
            },
        }
    section["dmarc"] = {"localpart": "dmarcreports", "account": account, "mailbox": "DMARC"}
    section["tlsrpt"] = {"localpart": "tlsreports", "account": account, "mailbox": "TLSRPT"}
    return section
