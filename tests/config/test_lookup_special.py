"""Aliases, addresses for reports, domains that have only these.

Source  spec/config.md section 7, spec/smtp-server.md section 9.
"""

import pytest

from mox.config import load
from mox.config.live import AliasTarget, Config, Target
from mox.config.lookup import (
    Miss,
    canonical_address,
    find_login,
    find_recipient,
    has_from_id,
    is_disabled_domain,
    is_local_domain,
    may_send_as,
)

HOST_REPORTS = """
[host_tlsrpt]
account = "other"
mailbox = "TLSRPT"
localpart = "TLS-Reports"
"""

DOMAINS = """\
[domains."example.org"]
localpart_catchall_separators = ["+", "-"]
dmarc = { localpart = "dmarc-Reports", account = "me", mailbox = "dmarc" }
tlsrpt = { localpart = "tls", account = "me", mailbox = "Tls" }
[domains."example.org".aliases.Team]
addresses = ["me@example.org", "other@example.net"]
allow_msg_from = true
[domains."example.org".aliases.news]
addresses = ["me@example.org"]
post_public = true

[domains."example.net"]
localpart_case_sensitive = true
dmarc = { localpart = "Both", account = "other", mailbox = "Reports" }
tlsrpt = { localpart = "Both", account = "other", mailbox = "Reports" }

[domains."reports.example"] # no address of its own
dmarc = { localpart = "both", domain = "example.org", account = "me", mailbox = "dmarc" }
tlsrpt = { localpart = "dmarc-reports", domain = "example.org", account = "me", mailbox = "dmarc" }
[domains."own.example"] # only a report address
tlsrpt = { localpart = "tls", account = "me", mailbox = "Tls" }
[domains."alias.example"]
aliases.info.addresses = ["me@example.org"]
[domains."empty.example"]
disabled = true

[accounts.me]
domain = "example.org"
from_id_login_addresses = ["me@example.org"]
[accounts.me.destinations."me@example.org"]
[accounts.other]
domain = "example.net"
[accounts.other.destinations."other@example.net"]
mailbox = "Work"
[accounts.other.destinations."Postmaster@example.net"]
mailbox = "Errors"
"""


@pytest.fixture
def config(static_text: str) -> Config:
    start, end = static_text.split("[postmaster]")
    return load.load(f"{start}{HOST_REPORTS}[postmaster]{end}", DOMAINS)


@pytest.mark.parametrize(
    "address", ["team@example.org", "TEAM+x@example.org", "Team-x+y@EXAMPLE.org"]
)
def test_an_alias(config: Config, address: str) -> None:
    localpart, _, domain = address.rpartition("@")
    found = find_recipient(config, localpart, domain)
    assert isinstance(found, AliasTarget)
    assert found.address == "Team@example.org"
    assert [(one.account, one.mailbox) for one in found.members] == [
        ("me", "Inbox"),
        ("other", "Work"),
    ]
    assert found.alias.allow_msg_from
    assert not found.alias.post_public
    assert found.has_member("other")
    assert not found.has_member("nobody")


def test_an_alias_is_no_login(config: Config) -> None:
    assert find_login(config, "team@example.org") is None
    assert find_login(config, "me@example.org") is not None


def test_sending_as_an_alias(config: Config) -> None:
    assert may_send_as(config, "me", "Team", "example.org")
    assert may_send_as(config, "other", "team+x", "example.org")
    assert not may_send_as(config, "nobody", "team", "example.org")
    assert not may_send_as(config, "me", "news", "example.org")  # allow_msg_from is off


def test_an_alias_before_the_fallback_of_localserve(static_text: str) -> None:
    config = load.load(static_text, DOMAINS, fallback_account="other")
    assert isinstance(find_recipient(config, "team", "example.org"), AliasTarget)
    found = find_recipient(config, "any", "reports.example")
    assert isinstance(found, Target)
    assert found.account == "other"


@pytest.mark.parametrize(
    ("localpart", "domain", "account", "mailbox", "kinds"),
    [
        ("dmarc-reports", "example.org", "me", "dmarc", (True, True)),  # of two domains
        ("DMARC-Reports+x", "example.org", "me", "dmarc", (True, True)),
        ("dmarc-reports-x", "example.org", "me", "dmarc", (True, True)),
        ("tls", "example.org", "me", "Tls", (False, True)),
        ("tls-x", "example.org", "me", "Tls", (False, True)),
        ("both+", "example.org", "me", "dmarc", (True, False)),
        ("Both", "example.net", "other", "Reports", (True, True)),
        ("tls", "own.example", "me", "Tls", (False, True)),
        ("tls-reports", "mail.example.org", "other", "TLSRPT", (False, True)),
        ("TLS-REPORTS", "MAIL.example.org", "other", "TLSRPT", (False, True)),
        ("me", "example.org", "me", "Inbox", (False, False)),
        ("postmaster", "example.net", "other", "Errors", (False, False)),
        ("PostMaster", "example.net", "other", "Errors", (False, False)),  # RFC 5321 §4.5.1
    ],
)
def test_addresses_for_reports(
    config: Config,
    localpart: str,
    domain: str,
    account: str,
    mailbox: str,
    kinds: tuple[bool, bool],
) -> None:
    found = find_recipient(config, localpart, domain)
    assert isinstance(found, Target)
    assert (found.account, found.mailbox) == (account, mailbox)
    assert (found.dmarc_reports, found.tls_reports) == kinds


@pytest.mark.parametrize(
    ("localpart", "domain", "miss"),
    [
        ("dmarc", "example.org", Miss.ADDRESS_UNKNOWN),  # the separator is part of the name there
        ("dmarc-reportsx", "example.org", Miss.ADDRESS_UNKNOWN),
        ("both", "example.net", Miss.ADDRESS_UNKNOWN),  # case counts there
        ("tls-reports", "mx.example.org", Miss.DOMAIN_UNKNOWN),
        ("tls-reports+x", "mail.example.org", Miss.DOMAIN_UNKNOWN),
        ("me", "mail.example.org", Miss.DOMAIN_UNKNOWN),
        ("both", "reports.example", Miss.DOMAIN_UNKNOWN),
        ("postmaster", "reports.example", Miss.DOMAIN_UNKNOWN),
        ("me", "empty.example", Miss.DOMAIN_UNKNOWN),  # not: disabled for now
        ("me", "own.example", Miss.ADDRESS_UNKNOWN),
        ("me", "alias.example", Miss.ADDRESS_UNKNOWN),
    ],
)
def test_nobody(config: Config, localpart: str, domain: str, miss: Miss) -> None:
    assert find_recipient(config, localpart, domain) is miss


def test_domains_without_an_address_are_not_ours_for_mail(config: Config) -> None:
    assert config.reports_only == {"reports.example", "empty.example"}
    assert not is_local_domain(config, "reports.example")
    assert is_local_domain(config, "own.example")
    assert is_local_domain(config, "alias.example")
    assert is_disabled_domain(config, "empty.example")  # as the domain of a sender it is


@pytest.mark.parametrize(
    ("account", "login", "has"),
    [
        ("me", "ME+phone@example.org", True),
        ("me", "tls@example.org", False),
        ("other", "me@example.org", False),
        ("nobody", "me@example.org", False),
    ],
)
def test_a_sender_of_its_own_for_each_message(
    config: Config, account: str, login: str, has: bool
) -> None:
    assert has_from_id(config, account, login) is has


@pytest.mark.parametrize(
    ("localpart", "domain", "address"),
    [
        ("ME+x", "EXAMPLE.org", "me@example.org"),
        ("dmarc-Reports-x", "example.org", "dmarc-reports@example.org"),
        ("A B", "example.org", '"a b"@example.org'),
        ("Me", "example.net", "Me@example.net"),
        ("Some+x", "xn--bcher-kva.example", "Some+x@bücher.example"),
        ("x", "[192.0.2.1]", "x@[192.0.2.1]"),
    ],
)
def test_canonical_addresses(config: Config, localpart: str, domain: str, address: str) -> None:
    assert canonical_address(config, localpart, domain) == address
