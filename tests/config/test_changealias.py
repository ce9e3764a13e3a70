"""Edits of aliases, and of addresses that are members."""

import tomllib
from collections.abc import Callable
from functools import partial

import pytest

from mox.config import change, changealias, load
from mox.config.edit import ChangeRefused
from mox.config.live import Config

Edit = Callable[[Config, str], str]

ALIASES = """
[domains."example.org".aliases.team] # who works here
addresses = ["ME@example.org", "other@example.org"]
[domains."bücher.example".aliases.Readers]
addresses = ["Me@bücher.example"]
allow_msg_from = true
"""


@pytest.fixture
def text(domains_text: str) -> str:
    return domains_text + ALIASES


@pytest.fixture
def config(static_text: str, text: str) -> Config:
    return load.load(static_text, text)


def test_the_first_and_another(static_text: str, domains_text: str) -> None:
    config = load.load(static_text, domains_text)
    text = changealias.add_alias(
        config, domains_text, alias="Team@EXAMPLE.org", addresses=["ME@example.org"]
    )
    aliases = tomllib.loads(text)["domains"]["example.org"]["aliases"]
    assert aliases == {"Team": {"addresses": ["me@example.org"], "post_public": True}}
    config = load.load(static_text, text)
    more = changealias.add_alias(
        config,
        text,
        alias='"a team"@example.org',
        addresses=["other@example.org", "me@example.org"],
    )
    config = load.load(static_text, more)
    assert [one.address for one in config.aliases.values()] == [
        "Team@example.org",
        '"a team"@example.org',
    ]
    back = changealias.remove_alias(config, more, alias='"A TEAM"@example.org')
    assert tomllib.loads(back) == tomllib.loads(text)


def test_the_last_one_goes(config: Config, static_text: str, text: str) -> None:
    edited = changealias.remove_alias(config, text, alias="Readers@bücher.example")
    config = load.load(static_text, edited)
    assert config.domains.domains["bücher.example"].aliases == {}
    assert [one.address for one in config.aliases.values()] == ["team@example.org"]


def test_update(config: Config, static_text: str, text: str) -> None:
    edited = changealias.update_alias(
        config, text, alias="TEAM@example.org", post_public=True, list_members=True
    )
    assert "# who works here" in edited
    config = load.load(static_text, edited)
    alias = config.domains.domains["example.org"].aliases["team"]
    assert (alias.post_public, alias.list_members, alias.allow_msg_from) == (True, True, False)
    edited = changealias.update_alias(config, edited, alias="team@example.org", post_public=False)
    alias = load.load(static_text, edited).domains.domains["example.org"].aliases["team"]
    assert (alias.post_public, alias.list_members) == (False, True)
    assert changealias.update_alias(config, edited, alias="team@example.org") == edited


def test_members(config: Config, static_text: str, text: str) -> None:
    edited = changealias.add_members(
        config, text, alias="team@example.org", addresses=["Me@bücher.example"]
    )
    config = load.load(static_text, edited)
    written = config.domains.domains["example.org"].aliases["team"].addresses
    assert written == ("ME@example.org", "other@example.org", "Me@bücher.example")
    edited = changealias.remove_members(
        config, edited, alias="team@example.org", addresses=["me@EXAMPLE.org", "other@example.org"]
    )
    config = load.load(static_text, edited)
    written = config.domains.domains["example.org"].aliases["team"].addresses
    assert written == ("Me@bücher.example",)


def test_an_address_that_goes_is_no_member_any_more(
    config: Config, static_text: str, text: str
) -> None:
    text = text.replace(
        "[accounts.other]", '[accounts.other]\nfrom_id_login_addresses = ["OTHER+x@example.org"]'
    )
    config = load.load(static_text, text)
    edited = change.remove_address(config, text, address="other@example.org")
    config = load.load(static_text, edited)
    assert config.domains.domains["example.org"].aliases["team"].addresses == ("ME@example.org",)
    assert config.domains.accounts["other"].from_id_login_addresses == ()
    assert "# who works here" in edited


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            partial(changealias.add_alias, alias="x@example.org", addresses=[]),
            "an alias has one member at least",
        ),
        (
            partial(changealias.add_alias, alias="@example.org", addresses=["me@example.org"]),
            "'@example.org' is every address of the domain",
        ),
        (
            partial(changealias.add_alias, alias="Team@example.org", addresses=["me@example.org"]),
            "Team@example.org is an alias",
        ),
        (
            partial(changealias.add_alias, alias="me@example.org", addresses=["me@example.org"]),
            "me@example.org is an address of account 'me'",
        ),
        (
            partial(changealias.add_alias, alias="x@example.net", addresses=["me@example.org"]),
            "there is no domain 'example.net'",
        ),
        (
            partial(changealias.add_alias, alias="x@example.org", addresses=["no@example.org"]),
            "no@example.org is not an address of an account",
        ),
        (
            partial(changealias.add_alias, alias="x@example.org", addresses=["team@example.org"]),
            "team@example.org is not an address of an account",
        ),
        (
            partial(
                changealias.add_alias,
                alias="x@example.org",
                addresses=["me@example.org", "ME@example.org"],
            ),
            "me@example.org is named twice",
        ),
        (
            partial(changealias.remove_alias, alias="me@example.org"),
            "there is no alias me@example.org",
        ),
        (partial(changealias.remove_alias, alias="x"), "'x' is not an address"),
        (partial(changealias.update_alias, alias="x@example.org"), "there is no alias"),
        (
            partial(
                changealias.add_members, alias="team@example.org", addresses=["me@example.org"]
            ),
            "me@example.org already is a member of team@example.org",
        ),
        (
            partial(
                changealias.remove_members,
                alias="team@example.org",
                addresses=["Me@bücher.example"],
            ),
            "Me@bücher.example is no member of team@example.org",
        ),
        (
            partial(
                changealias.remove_members,
                alias="team@example.org",
                addresses=["me@example.org", "other@example.org"],
            ),
            "team@example.org would have no member left; remove it with: mox config alias rm team@",
        ),
        (
            partial(change.remove_address, address="Me@bücher.example"),
            "Readers@bücher.example would have no member left",
        ),
        (
            partial(change.remove_address, address="TEAM@example.org"),
            "TEAM@example.org is an alias; remove it with: mox config alias rm TEAM@example.org",
        ),
        (
            partial(change.add_address, account="me", address="Team@example.org"),
            "Team@example.org is an alias",
        ),
    ],
)
def test_refused(config: Config, text: str, edit: Edit, said: str) -> None:
    with pytest.raises(ChangeRefused) as error:
        edit(config, text)
    assert error.value.public.startswith(said)


def test_report_addresses_stay(static_text: str, text: str) -> None:
    text = text.replace(
        '[domains."off.example"]',
        '[domains."off.example"]\n'
        'dmarc = { localpart = "reports", domain = "example.org", account = "me", mailbox = "R" }',
    )
    with pytest.raises(ChangeRefused, match="reports arrive at reports@example.org"):
        change.remove_address(load.load(static_text, text), text, address="reports@example.org")
