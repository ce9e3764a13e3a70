"""Address → account and destination.    spec/config.md section 7, spec/smtp-server.md section 9."""

import pytest

from mox.config import load
from mox.config.live import Config, Target
from mox.config.lookup import (
    Miss,
    find_login,
    find_recipient,
    is_disabled_domain,
    is_local_domain,
    login_identity,
    may_send_as,
)


@pytest.fixture
def config(static_text: str, domains_text: str) -> Config:
    return load.load(static_text, domains_text)


@pytest.mark.parametrize(
    ("localpart", "domain", "account", "mailbox"),
    [
        ("me", "example.org", "me", "Inbox"),
        ("Me+shop", "EXAMPLE.org", "me", "Inbox"),
        ("me+", "example.org", "me", "Inbox"),
        ("a b", "example.org", "me", "Inbox"),
        ("A B+x y", "example.org", "me", "Inbox"),
        ("", "example.org", "me", "Inbox/empty"),
        ("+shop", "example.org", "me", "Inbox/empty"),
        ("Me", "bücher.example", "me", "Books"),
        ("Me--x+y", "xn--bcher-kva.example", "me", "Books"),
        ("Me+y--x", "XN--BCHER-KVA.example", "me", "Books"),
        ("me", "bücher.example", "other", "Rest"),  # case counts there; the catch-all takes it
        ("any", "BÜCHER.example", "other", "Rest"),
        ("postmaster", "bücher.example", "other", "Rest"),  # the catch-all goes first
        ("postmaster", "", "me", "Postmaster"),
        ("PostMaster", "mail.example.org", "me", "Postmaster"),
        ("postmaster", "MX.example.org", "me", "Postmaster"),
        ("PostMaster", "example.org", "me", "Postmaster"),
        ("postmaster+x", "example.org", "me", "Postmaster"),
    ],
)
@pytest.mark.rfc("5321 §4.5.1")
def test_recipient(config: Config, localpart: str, domain: str, account: str, mailbox: str) -> None:
    found = find_recipient(config, localpart, domain)
    assert isinstance(found, Target)
    assert (found.account, found.mailbox) == (account, mailbox)


@pytest.mark.parametrize(
    ("localpart", "domain", "miss"),
    [
        ("nobody", "example.org", Miss.ADDRESS_UNKNOWN),
        ("me", "example.net", Miss.DOMAIN_UNKNOWN),
        ("me", "mail.example.org", Miss.DOMAIN_UNKNOWN),
        ("postmaster", "localhost", Miss.DOMAIN_UNKNOWN),  # that listener receives no mail
        ("me", "", Miss.DOMAIN_UNKNOWN),
        ("me", "[192.0.2.1]", Miss.DOMAIN_UNKNOWN),
        ("postmaster", "[192.0.2.1]", Miss.DOMAIN_UNKNOWN),
        ("me", "off.example", Miss.DOMAIN_DISABLED),
        ("nobody", "off.example", Miss.DOMAIN_DISABLED),
    ],
)
def test_no_recipient(config: Config, localpart: str, domain: str, miss: Miss) -> None:
    assert find_recipient(config, localpart, domain) is miss


def test_the_address_found_is_the_one_of_the_file(config: Config) -> None:
    found = find_recipient(config, "ME+x", "example.org")
    assert isinstance(found, Target)
    assert found.address == "me@example.org"
    refused = find_recipient(config, "gone", "example.org")
    assert isinstance(refused, Target)
    assert refused.destination.smtp_error == "550 gone"


@pytest.mark.parametrize(
    ("localpart", "domain", "address"),
    [
        ("nobody", "example.org", "nobody@example.org"),
        ("a b", "elsewhere.example", '"a b"@elsewhere.example'),
        ("me", "off.example", "me@off.example"),
        ("x", "[192.0.2.1]", "x@[192.0.2.1]"),
    ],
)
def test_everybody_elses_mail_in_localserve(
    static_text: str, domains_text: str, localpart: str, domain: str, address: str
) -> None:
    config = load.load(static_text, domains_text, fallback_account="other")
    found = find_recipient(config, localpart, domain)
    assert isinstance(found, Target)
    assert (found.account, found.mailbox, found.address) == ("other", "Inbox", address)
    known = find_recipient(config, "me", "example.org")
    assert isinstance(known, Target)
    assert known.account == "me"
    assert find_login(config, "nobody@elsewhere.example") is None


@pytest.mark.parametrize(
    ("address", "account"),
    [
        ("me@example.org", "me"),
        ("ME+phone@Example.Org", "me"),
        ('"a b"@example.org', "me"),
        ('""@example.org', "me"),
        ("me@off.example", "me"),  # logins go on
        ("whoever@bücher.example", "other"),
        ("postmaster@example.org", "me"),
        ("nobody@example.org", None),
        ("@bücher.example", None),
        ("me", None),
        ("", None),
        ("me@", None),
        ("\x00@example.org", None),
    ],
)
def test_login(config: Config, address: str, account: str | None) -> None:
    found = find_login(config, address)
    assert (found[0] if found else None) == account
    if found:
        assert found[1] is config.domains.accounts[found[0]]


def test_whose_address_is_it(config: Config) -> None:
    assert may_send_as(config, "me", "me+x", "example.org")
    assert may_send_as(config, "other", "any", "bücher.example")
    assert not may_send_as(config, "other", "me", "example.org")
    assert not may_send_as(config, "me", "me", "elsewhere.example")


def test_domains(config: Config) -> None:
    assert is_local_domain(config, "EXAMPLE.org")
    assert is_local_domain(config, "xn--bcher-kva.example")
    assert is_local_domain(config, "off.example")
    assert not is_local_domain(config, "sub.example.org")
    assert not is_local_domain(config, "")
    assert is_disabled_domain(config, "OFF.example")
    assert not is_disabled_domain(config, "example.org")
    assert not is_disabled_domain(config, "elsewhere.example")


@pytest.mark.parametrize(
    ("spellings", "same"),
    [
        (("nobody@example.org", "NoBody@Example.ORG", "nobody+x@example.org"), True),
        (("me@example.org", "ME+tag@example.org", '"me"@example.org'), True),
        (("b@bücher.example", "b@xn--bcher-kva.example", "b--x@bücher.example"), True),
        (("b@bücher.example", "B@bücher.example"), False),  # case counts there
        (("nobody@far.example", "nobody@FAR.example"), True),
        (("nobody@example.org", "nobody2@example.org"), False),
        (("no address", "another"), False),
        (("@example.org", "@example.net"), False),
    ],
)
def test_spellings_of_a_login(config: Config, spellings: tuple[str, ...], same: bool) -> None:
    assert (len({login_identity(config, each) for each in spellings}) == 1) is same
