"""Which ruleset fits: all conditions, the first ruleset, nothing for a header nobody can read."""

import pytest

from mox.config.filtering import Ruleset
from mox.inbound.heading import Heading
from mox.inbound.rulesets import Traits, choose, comes_from_list, without_forwarder
from mox.junk.reputation import Sender
from mox.smtp.address import Address

HEADER = (
    b"From: Ann <ann@author.example>\r\nList-Id:  Some LIST <list.lists.example> \r\n"
    b"X-Spam: no\r\n\r\n"
)
SENDER = Sender(
    from_localpart="ann",
    from_domain="author.example",
    dkim_domains=("lists.example", "bücher.example"),
    mail_from_localpart="bounces",
    mail_from_domain="out.lists.example",
    mail_from_validated=True,
    ehlo_domain="mx.lists.example",
    ip1="192.0.2.1",
    ip2="192.0.2.0",
    ip3="192.0.0.0",
)


def traits(header: bytes = HEADER, sender: Sender = SENDER) -> Traits:
    return Traits(
        mail_from=Address("bounces", "out.lists.example"), sender=sender, heading=Heading(header)
    )


@pytest.mark.parametrize(
    ("conditions", "fits"),
    [
        ({"smtp_mail_from_regexp": r"^bounces@out\.lists\.example$"}, True),
        ({"smtp_mail_from_regexp": "unces@"}, True),  # not anchored
        ({"smtp_mail_from_regexp": "^ounces"}, False),
        ({"msg_from_regexp": r"^ann@author\.example$"}, True),
        ({"msg_from_regexp": "Ann"}, False),  # the address, not the name
        ({"verified_domain": "lists.example"}, True),
        ({"verified_domain": "out.lists.example"}, True),  # by SPF
        ({"verified_domain": "bücher.example"}, True),
        ({"verified_domain": "author.example"}, False),
        ({"verified_domain": "mx.lists.example"}, False),  # EHLO is not validated
        ({"verified_domain": "ists.example"}, False),
        ({"headers_regexp": {"^list-id$": r"<list\.lists\.example>$"}}, True),
        ({"headers_regexp": {"list": "some list"}}, True),  # lower case, trimmed
        ({"headers_regexp": {"list": "Some LIST"}}, False),
        ({"headers_regexp": {"^list-id$": "list", "^x-spam$": "yes"}}, False),
        ({"headers_regexp": {"^list-id$": "list", "^x-spam$": "^no$"}}, True),
        ({"verified_domain": "lists.example", "msg_from_regexp": "^bob@"}, False),
    ],
)
def test_conditions(conditions: dict[str, object], fits: bool) -> None:
    ruleset = Ruleset(mailbox="Lists", **conditions)  # type: ignore[arg-type]
    assert (choose([ruleset], traits()) is ruleset) is fits


def test_the_first_that_fits() -> None:
    rules = [
        Ruleset(mailbox="A", msg_from_regexp="^bob@"),
        Ruleset(mailbox="B", msg_from_regexp="^ann@"),
        Ruleset(mailbox="C", verified_domain="lists.example"),
    ]
    found = choose(rules, traits())
    assert found is not None
    assert found.mailbox == "B"


@pytest.mark.parametrize("header", [b"no field\r\n" + HEADER, b" folded\r\n" + HEADER])
def test_a_header_that_cannot_be_read_fits_nothing(header: bytes) -> None:
    assert choose([Ruleset(mailbox="A", verified_domain="lists.example")], traits(header)) is None


def test_without_an_author_no_author_is_found() -> None:
    header = b"From: a@b.example, c@d.example\r\n\r\n"
    assert choose([Ruleset(mailbox="A", msg_from_regexp=".")], traits(header)) is None


def test_a_list_is_known_by_its_own_domain() -> None:
    def known(domain: str) -> bool:
        rule = Ruleset(mailbox="L", verified_domain="x", list_allow_domain=domain)
        return comes_from_list(rule, SENDER)

    assert known("lists.example")
    assert known("out.lists.example")
    assert not known("example")  # equal, not below
    assert not known("")


def test_a_forwarder_is_taken_away() -> None:
    rule = Ruleset(
        mailbox="F", smtp_mail_from_regexp=".", verified_domain="lists.example", is_forward=True
    )
    left = without_forwarder(SENDER, rule)
    assert left == Sender(
        from_localpart="ann", from_domain="author.example", dkim_domains=("bücher.example",)
    )


def test_long_headers_are_looked_at_up_to_a_limit() -> None:
    header = b"".join(b"X-%d: y\r\n" % number for number in range(5000)) + HEADER
    rule = Ruleset(mailbox="A", headers_regexp={"^list-id$": "list"})
    assert choose([rule], traits(header)) is None
    assert choose([rule], traits(HEADER[:-2] + header)) is rule
