"""Edits keep comments and order, and change nothing else."""

import tomllib
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from mox.config import change, load
from mox.config.duration import Duration
from mox.config.edit import ChangeRefused
from mox.config.filtering import JunkFilter
from mox.config.live import Config

Edit = Callable[[Config, str], str]


@pytest.fixture
def config(static_text: str, domains_text: str) -> Config:
    return load.load(static_text, domains_text)


def without(values: dict[str, Any], *path: str) -> dict[str, Any]:
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    del inner[path[-1]]
    return values


def test_add_and_remove_an_account(config: Config, static_text: str, domains_text: str) -> None:
    text = change.add_account(config, domains_text, account="new one", address="New@example.org")
    assert text.startswith(domains_text)
    more = tomllib.loads(text)["accounts"]["new one"]
    assert more["domain"] == "example.org"
    assert more["destinations"] == {"New@example.org": {}}
    after = load.load(static_text, text)
    new = after.domains.accounts["new one"]
    assert new.rejects_mailbox == "Rejects"
    assert new.subject_pass.period == Duration("12h")
    assert new.automatic_junk_flags.enabled
    assert new.automatic_junk_flags.notjunk_mailbox_regexp == ""
    assert new.junk_filter == JunkFilter()
    assert change.remove_account(after, text, account="new one").strip() == domains_text.strip()


def test_report_addresses_go_with_their_account(
    config: Config, static_text: str, domains_text: str
) -> None:
    text = change.add_domain(config, domains_text, domain="new.example", account="x", localpart="x")
    after = load.load(static_text, text)
    domain = after.domains.domains["new.example"]
    assert domain.dmarc is not None
    assert domain.dmarc.account == "x"
    left = load.load(static_text, change.remove_account(after, text, account="x"))
    domain = left.domains.domains["new.example"]
    assert domain.dmarc is None
    assert domain.tlsrpt is None


def test_remove_an_account_in_the_middle(config: Config, domains_text: str) -> None:
    text = change.add_account(config, domains_text, account="x", address="x@example.org")
    text = change.remove_account(config, text, account="other")
    assert "# how to reach me" in text
    assert list(tomllib.loads(text)["accounts"]) == ["me", "x"]


@pytest.mark.parametrize(
    ("account", "address", "key"),
    [
        ("me", "more@example.org", "more@example.org"),
        ("me", "@example.org", "@example.org"),
        ("me", '"c d"@example.org', '"c d"@example.org'),
        ("other", "more@EXAMPLE.org", "more@example.org"),
        ("other", "x@xn--bcher-kva.example", "x@bücher.example"),
    ],
)
def test_add_and_remove_an_address(
    config: Config, static_text: str, domains_text: str, account: str, address: str, key: str
) -> None:
    text = change.add_address(config, domains_text, account=account, address=address)
    values = tomllib.loads(text)
    assert values["accounts"][account]["destinations"][key] == {}
    assert without(values, "accounts", account, "destinations", key) == tomllib.loads(domains_text)
    for comment in ("# our domains", "# the first", "# how to reach me"):
        assert comment in text
    after = load.load(static_text, text)
    again = change.remove_address(after, text, address=address)
    assert tomllib.loads(again) == tomllib.loads(domains_text)
    assert "# how to reach me" in again


def test_the_first_address_of_an_account(static_text: str, domains_text: str) -> None:
    text = domains_text + '[accounts.empty]\ndomain = "example.org" # none yet\n'
    after = change.add_address(
        load.load(static_text, text), text, account="empty", address="e@example.org"
    )
    assert tomllib.loads(after)["accounts"]["empty"]["destinations"] == {"e@example.org": {}}
    assert "# none yet" in after
    load.load(static_text, after)


def test_remove_the_last_address_of_an_account(static_text: str, domains_text: str) -> None:
    for last in (
        '[accounts.third.destinations."t@example.org"]\nmailbox = "x"\n',
        'destinations."t@example.org" = {}\n',
        '[accounts.third.destinations]\n"t@example.org" = {}\n',
        'destinations = { "t@example.org" = {} }\n',
    ):
        text = f'{domains_text}[accounts.third]\ndomain = "example.org" # here\n{last}'
        config = load.load(static_text, text)
        after = load.load(static_text, change.remove_address(config, text, address="t@example.org"))
        assert after.domains.accounts["third"].destinations == {}
        assert after.domains.accounts["me"] == config.domains.accounts["me"]


def test_remove_an_address_however_it_is_written(config: Config, domains_text: str) -> None:
    text = change.remove_address(config, domains_text, address="ME@Example.org")
    assert "me@example.org" not in tomllib.loads(text)["accounts"]["me"]["destinations"]
    text = change.remove_address(config, domains_text, address="@xn--bcher-kva.example")
    assert "@bücher.example" not in tomllib.loads(text)["accounts"]["other"]["destinations"]


def test_disable_and_enable_logins(config: Config, static_text: str, domains_text: str) -> None:
    text = change.set_login_disabled(config, domains_text, account="me", message="on leave")
    after = load.load(static_text, text)
    assert after.domains.accounts["me"].login_disabled == "on leave"
    text = change.set_login_disabled(after, text, account="me", message="")
    assert tomllib.loads(text) == tomllib.loads(domains_text)
    assert change.set_login_disabled(config, text, account="me", message="") == text


def test_add_a_domain_for_an_account(config: Config, static_text: str, domains_text: str) -> None:
    text = change.add_domain(config, domains_text, domain="new.example", account="other")
    values = tomllib.loads(text)
    assert values["domains"]["new.example"]["localpart_catchall_separator"] == "+"
    assert "postmaster@new.example" in values["accounts"]["other"]["destinations"]
    new = load.load(static_text, text).domains.domains["new.example"]
    assert new.client_settings_domain == "mail.new.example"
    assert new.dmarc is not None
    assert (new.dmarc.localpart, new.dmarc.account) == ("dmarcreports", "other")
    assert new.tlsrpt is not None
    assert (new.tlsrpt.localpart, new.tlsrpt.mailbox) == ("tlsreports", "TLSRPT")
    assert not new.dkim.selectors


def test_a_new_domain_signs(config: Config, static_text: str, domains_text: str) -> None:
    text = change.add_domain(
        config,
        domains_text,
        domain="new.example",
        account="other",
        key_files={"2026a": "dkim/a.pem", "2026b": "dkim/b.pem"},
    )
    dkim = load.load(static_text, text).domains.domains["new.example"].dkim
    assert dkim.sign == ("2026a",)
    assert list(dkim.selectors) == ["2026a", "2026b"]
    assert dkim.selectors["2026b"].private_key_file == "dkim/b.pem"
    assert dkim.selectors["2026b"].expiration == Duration("72h")


def test_add_a_domain_for_the_postmaster(
    config: Config, static_text: str, domains_text: str
) -> None:
    text = change.add_domain(
        config, domains_text, domain="new.example", account="me", disabled=True
    )
    values = tomllib.loads(text)
    assert values["domains"]["new.example"]["disabled"] is True
    assert values["accounts"] == tomllib.loads(domains_text)["accounts"]
    after = load.load(static_text, text)
    text = change.set_domain_disabled(after, text, domain="new.example", disabled=False)
    assert not load.load(static_text, text).domains.domains["new.example"].disabled
    assert tomllib.loads(change.remove_domain(after, text, domain="new.example")) == tomllib.loads(
        domains_text
    )


def test_add_a_domain_with_a_new_account(
    config: Config, static_text: str, domains_text: str
) -> None:
    text = change.add_domain(
        config, domains_text, domain="new.example", account="she", localpart="hello"
    )
    after = load.load(static_text, text)
    assert after.domains.accounts["she"].domain == "new.example"
    assert list(after.domains.accounts["she"].destinations) == ["hello@new.example"]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (partial(change.add_account, account="me", address="x@example.org"), "already is an acc"),
        (partial(change.add_account, account="a/b", address="x@example.org"), "no /"),
        (partial(change.add_account, account="x", address="ME@example.org"), "of account 'me'"),
        (partial(change.add_account, account="x", address="x@nowhere.example"), "no domain"),
        (partial(change.add_account, account="x", address="x"), "'x' is not an address"),
        (partial(change.remove_account, account="x"), "no account 'x'"),
        (partial(change.remove_account, account="me"), "of the postmaster"),
        (partial(change.set_login_disabled, account="x", message="y"), "no account 'x'"),
        (partial(change.add_address, account="x", address="x@example.org"), "no account 'x'"),
        (partial(change.add_address, account="me", address="@bücher.example"), "'other'"),
        (partial(change.remove_address, address="x@example.org"), "address not found"),
        (partial(change.remove_address, address="x@x.example"), "domain not found"),
        (partial(change.remove_address, address="any@bücher.example"), "address not found"),
        (partial(change.add_domain, domain="example.org", account="me"), "already is a domain"),
        (partial(change.add_domain, domain="Example.net", account="me"), "lower case"),
        (partial(change.add_domain, domain="a.example", account="x"), "give a local part"),
        (
            partial(change.add_domain, domain="a.example", account="me", localpart="x"),
            "give no local part",
        ),
        (
            partial(change.add_domain, domain="a.example", account="x", localpart="a..b"),
            "not an address",
        ),
        (partial(change.remove_domain, domain="a.example"), "no domain"),
        (partial(change.remove_domain, domain="bücher.example"), "is used by: me, other"),
        (partial(change.set_domain_disabled, domain="a.example", disabled=True), "no domain"),
    ],
)
def test_refused(config: Config, domains_text: str, edit: Edit, said: str) -> None:
    with pytest.raises(ChangeRefused) as caught:
        edit(config, domains_text)
    assert said in caught.value.public


@pytest.mark.parametrize(
    "layout",
    [
        '[domains]\n"example.org" = {}\n[accounts]\nme = { domain = "example.org" }\n',
        'domains = { "example.org" = {} }\naccounts = { me = { domain = "example.org" } }\n',
        'domains."example.org" = {}\naccounts.me.domain = "example.org"\n',
        '[accounts.me]\ndomain = "example.org"\n[domains."example.org"]\n[accounts.b]\n'
        'domain = "example.org"\n',
        '[accounts.me]\ndomain = "example.org"\ndestinations = {}\n[domains."example.org"]\n',
        '[accounts.me]\ndomain = "example.org"\ndestinations."x@example.org".mailbox = "y"\n'
        '[domains."example.org"]\n',
        '[accounts]\n  [accounts.me]\n  domain = "example.org"\n\n[domains]\n  '
        '[domains."example.org"]\n',
    ],
)
def test_every_layout_is_edited_or_refused_but_never_broken(static_text: str, layout: str) -> None:
    config = load.load(static_text, layout)
    edits: list[Edit] = [
        partial(change.add_account, account="new", address="n@example.org"),
        partial(change.add_address, account="me", address="n@example.org"),
        partial(change.add_domain, domain="n.example", account="me"),
        partial(change.set_login_disabled, account="me", message="m"),
    ]
    edited = 0
    for edit in edits:
        try:
            text = edit(config, layout)
        except ChangeRefused as error:
            assert "edit it by hand" in error.public  # noqa: PT017
            continue
        assert load.load(static_text, text) != config
        edited += 1
    assert edited >= 2, layout
