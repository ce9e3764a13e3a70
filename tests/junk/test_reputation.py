"""The levels of reputation: thresholds, ages, caps, and the examples of the specification."""

import pytest

from mox.base.limits import REPUTATION_DKIM_DOMAINS
from mox.junk.memory import MemoryVotes
from mox.junk.reputation import (
    DAY_MS,
    YEAR_MS,
    Identity,
    Kind,
    Reputation,
    Sender,
    Signal,
    evaluate,
    identities,
)

NOW = 2_000_000_000_000
INBOX, LIST = 1, 2
HOUR_MS = DAY_MS // 24


def author(localpart: str = "a", domain: str = "x.example", *, v: bool = True) -> Sender:
    """A sender known by its From only; without a dot before the example its own organisation."""
    org = ".".join(domain.split(".")[-2:])
    return Sender(
        from_localpart=localpart, from_domain=domain, from_org_domain=org, from_validated=v
    )


def signed(*domains: str) -> Sender:
    return Sender(dkim_domains=domains)


def at_ip(ip1: str, ip2: str = "", ip3: str = "") -> Sender:
    return Sender(ip1=ip1, ip2=ip2, ip3=ip3)


class Past:
    """History in the order it happened, an hour between messages unless a time is given."""

    def __init__(self) -> None:
        self.votes = MemoryVotes()
        self.count = 0

    def had(self, sender: Sender, flags: str, *, age_ms: int | None = None) -> "Past":
        """Flags: J junk, N not junk, newest last."""
        for flag in flags:
            self.count += 1
            received = NOW - YEAR_MS // 10 + self.count * HOUR_MS
            if age_ms is not None:
                received = NOW - age_ms
            self.votes.add(INBOX, self.count, sender, received, junk=flag == "J")
        return self

    def wrote(self, localpart: str, domain: str, *, age_ms: int = DAY_MS) -> "Past":
        org = ".".join(domain.split(".")[-2:])
        self.votes.wrote(localpart, domain, org, NOW - age_ms)
        return self

    def of(self, sender: Sender, mailbox: int = INBOX) -> tuple[bool | None, bool, str]:
        found = evaluate(self.votes.of(mailbox), sender, NOW)
        return found.junk, found.conclusive, found.method.value


NOTHING = (None, False, "none")


@pytest.mark.parametrize(
    ("flags", "was_v", "is_v", "expected"),
    [
        ("NJNJ", True, True, (False, True)),  # the second newest was good
        ("NJJ", True, True, (True, True)),
        ("J", True, True, (True, True)),
        ("JN", True, True, (False, True)),
        ("JJ", False, False, (True, False)),
        ("N", False, False, (False, False)),
        ("NN", True, False, (True, False)),  # suddenly not validated
        ("N", True, False, (True, False)),
        ("J", True, False, (True, True)),
        ("NJ", True, False, (True, False)),
    ],
)
def test_exact_address(flags: str, was_v: bool, is_v: bool, expected: tuple[bool, bool]) -> None:
    past = Past().had(author(v=was_v), flags)
    assert past.of(author(v=is_v)) == (*expected, "msgfromfull")


def test_unvalidated_history_says_nothing_of_a_validated_sender() -> None:
    assert Past().had(author(v=False), "JJ").of(author()) == NOTHING


def test_other_local_parts_do_not_change_the_address() -> None:
    past = Past().had(author(), "JJ").had(author("b"), "N")
    assert past.of(author()) == (True, True, "msgfromfull")


def test_an_empty_local_part_is_one_of_its_own() -> None:
    past = Past().had(author("b"), "NN")
    assert past.of(author("")) == (False, True, "msgfromdomain")


def test_writing_to_an_address_speaks_for_it() -> None:
    past = Past().had(author("b"), "JJJ").wrote("a", "x.example")
    assert past.of(author(v=False)) == (False, True, "msgtofull")
    # known as validated, it is looked at before
    past.had(author(), "N")
    assert past.of(author(v=False)) == (True, False, "msgfromfull")


def test_writing_to_a_domain_speaks_for_it() -> None:
    past = Past().wrote("b", "x.example")
    assert past.of(author()) == (False, True, "msgtodomain")
    assert past.of(author(domain="other.x.example")) == (False, True, "msgtoorgdomain")
    assert past.of(author(domain="y.example")) == NOTHING
    # history of the domain goes first
    past.had(author("c"), "J")
    assert past.of(author()) == (True, False, "msgfromdomain")


def test_writing_long_ago_is_forgotten() -> None:
    past = Past().wrote("a", "x.example", age_ms=3 * YEAR_MS)
    assert past.of(author()) == (False, True, "msgtofull")
    past = Past().wrote("a", "x.example", age_ms=3 * YEAR_MS + 1)
    assert past.of(author()) == NOTHING
    past = Past().wrote("b", "x.example", age_ms=2 * YEAR_MS + 1)
    assert past.of(author()) == NOTHING


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("NNNNNJJJJJ", (None, False)),
        ("NNNNNNNNNJ", (False, True)),
        ("NNNNNNNNJJ", (None, False)),  # 80 is not above 80
        ("J" * 100 + "N" * 20, (False, True)),  # the newest twenty
        ("JJJ" + "N" * 17, (False, True)),
        ("JJJJ" + "N" * 16, (None, False)),
        ("N" + "J" * 20, (True, False)),
    ],
)
def test_domain(flags: str, expected: tuple[bool | None, bool]) -> None:
    past = Past().had(author("b"), flags)
    assert past.of(author()) == (*expected, "msgfromdomain")


def test_a_domain_is_junk_when_three_of_its_senders_are() -> None:
    past = Past().had(author("b"), "JJJJ").had(author("c"), "J")
    assert past.of(author()) == (True, False, "msgfromdomain")
    past.had(author("d"), "J")
    assert past.of(author()) == (True, True, "msgfromdomain")


@pytest.mark.parametrize(("flags", "conclusive"), [("J", True), ("NJ", False), ("N", False)])
def test_a_validated_domain_suddenly_is_not(flags: str, conclusive: bool) -> None:
    past = Past().had(author("b"), flags)
    assert past.of(author(v=False)) == (True, conclusive, "msgfromdomain")
    assert past.of(author(domain="y.x.example", v=False)) == (True, conclusive, "msgfromorgdomain")


def test_unvalidated_mail_of_a_good_unvalidated_domain_is_good() -> None:
    assert Past().had(author("b", v=False), "N").of(author(v=False)) == (
        False,
        True,
        "msgfromdomain",
    )


def test_organizational_domain() -> None:
    past = Past().had(author("a", "a.x.example"), "J").had(author("b", "b.x.example"), "J")
    assert past.of(author()) == (True, False, "msgfromorgdomain")
    past.had(author("c", "c.x.example"), "J")
    assert past.of(author()) == (True, True, "msgfromorgdomain")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("NNNN", (False, True)),
        ("JJJJ", (True, True)),
        ("NNJJ", (None, False)),
        ("N", (False, True)),
        ("J", (True, False)),
        ("JNNNNNNNNN", (None, False)),  # a tenth is not below a tenth
        ("JNNNNNNNNNN", (False, True)),
        ("NJJJJJJJJJ", (None, False)),
        ("NJJJJJJJJJJ", (True, True)),
        ("J" * 50 + "N" * 50, (False, True)),
    ],
)
def test_signer(flags: str, expected: tuple[bool | None, bool]) -> None:
    past = Past().had(signed("esp.example"), flags)
    assert past.of(signed("esp.example")) == (*expected, "dkimspf")
    assert past.of(signed("other.example")) == NOTHING


def test_signers_that_disagree() -> None:
    past = Past().had(signed("good.example"), "N" * 20).had(signed("bad.example"), "JJ")
    past.had(signed("mixed.example"), "NJ")
    assert past.of(signed("good.example", "bad.example")) == (None, False, "dkimspf")
    assert past.of(signed("good.example", "mixed.example")) == (False, True, "dkimspf")
    assert past.of(signed("mixed.example")) == (None, False, "dkimspf")


def test_the_best_known_signer_makes_it_conclusive_whatever_the_order() -> None:
    past = Past().had(signed("often.example"), "JJ").had(signed("once.example"), "J")
    for domains in (("often.example", "once.example"), ("once.example", "often.example")):
        assert past.of(signed(*domains)) == (True, True, "dkimspf")


def by_spf(localpart: str, domain: str, ehlo: str = "", *, v: bool = True) -> Sender:
    return Sender(
        mail_from_localpart=localpart,
        mail_from_domain=domain,
        mail_from_validated=v,
        ehlo_domain=ehlo,
        ehlo_validated=bool(ehlo),
    )


def test_mail_from_then_its_domain_then_ehlo() -> None:
    past = Past().had(by_spf("b", "m.example", "e.example"), "JJ")
    assert past.of(by_spf("a", "m.example")) == (True, True, "dkimspf")
    assert past.of(by_spf("a", "n.example", "e.example")) == (True, True, "dkimspf")
    assert past.of(by_spf("", "", "e.example")) == (True, True, "dkimspf")
    past.had(by_spf("a", "m.example"), "N")
    assert past.of(by_spf("a", "m.example", "e.example")) == (False, True, "dkimspf")
    # without a pass it is only a claim, in either message
    assert past.of(by_spf("a", "m.example", v=False)) == NOTHING
    claims = Past().had(by_spf("a", "m.example", v=False), "JJ")
    assert claims.of(by_spf("a", "m.example")) == NOTHING


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("NNN", (False, True)),
        ("JJJ", (True, True)),
        ("J", (True, False)),
        ("N", (False, False)),
        ("NNNJ", (None, False)),  # a quarter is not below a quarter
        ("NNNNJ", (False, False)),
        ("JJJN", (None, False)),
        ("JJJJN", (True, False)),
        ("N" * 9 + "J", (False, True)),  # a tenth
        ("J" * 9 + "N", (True, True)),
    ],
)
def test_single_address(flags: str, expected: tuple[bool | None, bool]) -> None:
    past = Past().had(at_ip("1.2.3.4"), flags)
    assert past.of(at_ip("1.2.3.4")) == (*expected, "ip1")


def test_networks_need_more_messages() -> None:
    for flags, expected in (("JJJJ", (True, False, "ip2")), ("JJJJJ", (True, True, "ip2"))):
        past = Past().had(at_ip("1.2.3.5", "1.2.3.0", "1.2.0.0"), flags)
        # the region is not asked where the network is known
        past.had(at_ip("1.2.9.5", "1.2.9.0", "1.2.0.0"), "N" * 20)
        assert past.of(at_ip("1.2.3.4", "1.2.3.0", "1.2.0.0")) == expected
    region = Past()
    for flags, conclusive in (("N" * 9, False), ("N" * 10, True)):
        region = Past().had(at_ip("1.2.3.5", "1.2.3.0", "1.2.0.0"), flags)
        assert region.of(at_ip("1.2.9.9", "1.2.9.0", "1.2.0.0")) == (False, conclusive, "ip3")
    assert region.of(at_ip("9.9.9.9", "9.9.9.0", "9.9.0.0")) == NOTHING


def test_old_votes_of_addresses_do_not_count() -> None:
    past = Past().had(at_ip("i"), "J", age_ms=YEAR_MS // 4 + 1).had(at_ip("i"), "J", age_ms=DAY_MS)
    assert past.of(at_ip("i")) == (True, False, "ip1")
    past.had(at_ip("i"), "J", age_ms=YEAR_MS // 4)
    assert past.of(at_ip("i")) == (True, True, "ip1")
    assert Past().had(at_ip("i"), "N", age_ms=7 * 30 * DAY_MS).of(at_ip("i")) == NOTHING


@pytest.mark.parametrize(
    ("sender", "asked", "age_ms"),
    [
        (author(), author(), 3 * YEAR_MS),
        (author("b"), author(), 2 * YEAR_MS),
        (author("b", "b.x.example"), author(), 2 * YEAR_MS),
        (signed("d"), signed("d"), YEAR_MS // 2),
        (at_ip("i"), at_ip("i"), YEAR_MS // 4),
    ],
)
def test_ages_of_levels(sender: Sender, asked: Sender, age_ms: int) -> None:
    assert Past().had(sender, "N", age_ms=age_ms).of(asked) != NOTHING
    assert Past().had(sender, "N", age_ms=age_ms + 1).of(asked) == NOTHING


def test_without_from_the_address_and_domain_levels_are_skipped() -> None:
    past = Past().had(author(), "JJ").had(at_ip("i"), "NN").wrote("", "")
    assert past.of(at_ip("i")) == (False, True, "ip1")


def test_each_mailbox_has_its_own_history() -> None:
    past = Past().had(author(), "JJ").wrote("b", "y.example")
    assert past.of(author(), LIST) == NOTHING
    # whom the account wrote to counts in all of them
    assert past.of(author(domain="y.example"), LIST) == (False, True, "msgtodomain")


def test_what_was_unflagged_does_not_count() -> None:
    past = Past().had(author(), "J")
    past.votes.remove(INBOX, 1, author())
    assert past.of(author()) == NOTHING


def test_a_message_without_identities_has_no_rows() -> None:
    assert identities(Sender()) == ()
    assert identities(Sender(mail_from_domain="m", ehlo_domain="e", dkim_domains=("",))) == ()


def test_rows_of_a_message() -> None:
    sender = Sender(
        from_localpart="l",
        from_domain="f",
        from_org_domain="o",
        dkim_domains=("d", "e", "d"),
        mail_from_localpart="m",
        mail_from_domain="n",
        mail_from_validated=True,
        ehlo_domain="h",
        ehlo_validated=True,
        ip1="1",
        ip2="2",
        ip3="3",
    )
    assert [(kind.name, value) for kind, value in identities(sender)] == [
        ("FROM_ADDRESS", "l@f"),
        ("FROM_DOMAIN", "f"),
        ("FROM_ORG_DOMAIN", "o"),
        ("DKIM_DOMAIN", "d"),
        ("DKIM_DOMAIN", "e"),
        ("MAIL_FROM_ADDRESS", "m@n"),
        ("MAIL_FROM_DOMAIN", "n"),
        ("EHLO_DOMAIN", "h"),
        ("IP1", "1"),
        ("IP2", "2"),
        ("IP3", "3"),
    ]
    assert identities(author())[0] == Identity(Kind.FROM_ADDRESS_VALIDATED, "a@x.example")


def test_signers_are_bounded() -> None:
    many = signed(*[f"d{number}" for number in range(100)])
    assert len(identities(many)) == REPUTATION_DKIM_DOMAINS


def test_the_answer_says_what_it_rests_on() -> None:
    past = Past().had(author("b"), "NNNNJ")
    found = evaluate(past.votes.of(INBOX), author(), NOW)
    domain = Identity(Kind.FROM_DOMAIN_VALIDATED, "x.example")
    assert found.signals == (Signal(domain, 5, 1),)
    assert isinstance(found, Reputation)


def test_friend_changes_provider() -> None:
    past = Past().had(author("friend", "old.example"), "NNN")
    crowd = at_ip("9.8.7.6", "9.8.7.0", "9.8.0.0")
    past.had(crowd, "N" * 30)
    new = Sender(
        from_localpart="friend",
        from_domain="new.example",
        from_org_domain="new.example",
        from_validated=True,
        dkim_domains=("new.example",),
        ip1="9.8.1.1",
        ip2="9.8.1.0",
        ip3="9.8.0.0",
    )
    assert past.of(new) == (False, True, "ip3")
    assert past.wrote("friend", "new.example").of(new) == (False, True, "msgtofull")


def test_phisher_imitates_bank() -> None:
    past = Past().had(author("bank", "bank.example"), "NN")
    assert past.of(author("bank", "bank.example", v=False)) == (True, False, "msgfromfull")


def test_newsletter_flagged_junk_and_rescued() -> None:
    news = author("news", "shop.example")
    past = Past().had(news, "J")
    assert past.of(news) == (True, True, "msgfromfull")
    assert past.had(news, "N").of(news) == (False, True, "msgfromfull")


def test_fresh_spammer_on_a_bad_network() -> None:
    past = Past().had(at_ip("1.2.3.5", "1.2.3.0", "1.2.0.0"), "JJJJJJ")
    assert past.of(at_ip("1.2.3.4", "1.2.3.0", "1.2.0.0")) == (True, True, "ip2")
    # one bad message of the very address only makes it lean
    past.had(at_ip("1.2.3.4", "1.2.3.0", "1.2.0.0"), "J")
    assert past.of(at_ip("1.2.3.4", "1.2.3.0", "1.2.0.0")) == (True, False, "ip1")


def test_mailing_list_without_rule() -> None:
    listed = Sender(from_localpart="a", from_domain="x.example", from_org_domain="x.example",
                    dkim_domains=("list.example",))  # fmt: skip
    past = Past().had(signed("list.example"), "NNN")
    assert past.of(listed) == (False, True, "dkimspf")
    past.had(author(), "N")  # known as validated: the list breaks that
    assert past.of(listed) == (True, False, "msgfromfull")
