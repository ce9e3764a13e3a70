"""From what the user did with earlier mail to the verdict on new mail, through the real store.

Source  spec/reputation.md sections 8 and 10; the numbers in names are those of its ideas.
"""

from collections.abc import Callable
from typing import Any

import pytest
from support.judging import DOMAINS, GOOD_ZONES, IP, Court, message

from mox.base.flags import JUNK, NOTJUNK, SEEN
from mox.dns.zones import Zones
from mox.inbound.storeknowledge import StoreKnowledge
from mox.junk.reputation import Sender
from mox.store.content import NewMessage
from mox.store.messages import append, expunge
from mox.store.rates import Limits

N, J, NEUTRAL = False, True, None


def by(
    localpart: str = "friend",
    domain: str = "sender.example",
    *,
    validated: bool = True,
    org: str = "",
    **more: Any,
) -> Sender:
    """An earlier sender, known by From."""
    return Sender(
        from_localpart=localpart,
        from_domain=domain,
        from_org_domain=org or domain,
        from_validated=validated,
        **more,
    )


def network(ip: str = IP) -> Sender:
    """An earlier sender of whom only the address is known."""
    first, second, third, _ = ip.split(".")
    return Sender(
        ip1=ip,
        ip2=f"{first}.{second}.{third}.0",
        ip3=f"{first}.{second}.{int(third) & 0xF8}.0",
    )


U: dict[str, Any] = {"sender": "x@elsewhere.example"}
"""Arguments of a message whose From nothing stands for."""


@pytest.fixture
async def court(make_court: Callable[..., Court]) -> Court:
    return make_court(knowledge=StoreKnowledge(Limits()))


async def found(court: Court, raw: bytes = b"", **arguments: Any) -> tuple[str, object, bool, str]:
    """Send; the method, what history says, whether that decides, the rule that decided."""
    await court.learnt()
    await court.one(raw or message(), **arguments)
    verdict = await court.verdict()
    assert verdict.history is not None
    return verdict.history.method, verdict.history.junk, verdict.history.conclusive, verdict.reason


HISTORIES: list[tuple[str, list[tuple[Sender, bool | None, float]], dict[str, Any], str, Any, bool]]
HISTORIES = [
    ("1", [(by(), N, 4), (by(), J, 3), (by(), N, 2), (by(), J, 1)], {}, "msgfromfull", N, True),
    ("2", [(by(), N, 3), (by(), J, 2), (by(), J, 1)], {}, "msgfromfull", J, True),
    ("3", [(by(), J, 3), (by(), J, 2), (by("other"), N, 1)], {}, "msgfromfull", J, True),
    ("4", [(by(validated=False), J, 2), (by(validated=False), J, 1)], U, "msgfromfull", J, False),
    ("5 two good", [(by(), N, 2), (by(), N, 1)], U, "msgfromfull", J, False),
    ("5 one good", [(by(), N, 1)], U, "msgfromfull", J, False),
    ("5 one bad", [(by(), J, 1)], U, "msgfromfull", J, True),
    ("7", [*[(by("a"), N, n) for n in range(1, 6)], *[(by("a"), J, n) for n in range(6, 11)]],
     {}, "msgfromdomain", None, False),
    ("8 ninety", [*[(by("a"), N, n) for n in range(1, 10)], (by("a"), J, 11)],
     {}, "msgfromdomain", N, True),
    ("8 eighty", [*[(by("a"), N, n) for n in range(1, 9)], (by("a"), J, 11), (by("a"), J, 12)],
     {}, "msgfromdomain", None, False),
    ("9 three", [(by(name), J, 1) for name in "abc"], {}, "msgfromdomain", J, True),
    ("9 one", [(by("a"), J, 1), (by("a"), J, 2)], {}, "msgfromdomain", J, False),
    ("10 three", [(by(name, f"{name}.sender.example", org="sender.example"), J, 1) for name in "abc"],
     {}, "msgfromorgdomain", J, True),
    ("10 two", [(by(name, f"{name}.sender.example", org="sender.example"), J, 1) for name in "ab"],
     {}, "msgfromorgdomain", J, False),
    ("12 old", [(network(), J, 1), (network(), J, 92)], {}, "ip1", J, False),
    ("12 ham", [(network(), N, n) for n in range(1, 4)], {}, "ip1", N, True),
    ("12 junk", [(network(), J, n) for n in range(1, 4)], {}, "ip1", J, True),
    ("12 seven months", [(network(), N, 210)], {}, "none", None, False),
    ("13 five", [(network("198.51.100.60"), J, n) for n in range(1, 6)], {}, "ip2", J, True),
    ("13 ten", [(network("198.51.103.9"), J, n) for n in range(1, 11)], {}, "ip3", J, True),
    ("13 four", [*[(network("198.51.100.60"), J, n) for n in range(1, 5)],
                 *[(network("198.51.103.9"), J, n) for n in range(1, 11)]], {}, "ip2", J, False),
    ("13 elsewhere", [(network("198.51.105.9"), J, n) for n in range(1, 20)], {}, "none", None, False),
    ("27 newest", [*[(by("a"), N, n) for n in range(1, 21)], *[(by("a"), J, 30) for _ in range(30)]],
     {}, "msgfromdomain", N, True),
    ("27 17 of 20", [*[(by("a"), N, n) for n in range(1, 18)], *[(by("a"), J, 18) for _ in range(3)]],
     {}, "msgfromdomain", N, True),
    ("27 16 of 20", [*[(by("a"), N, n) for n in range(1, 17)], *[(by("a"), J, 18) for _ in range(4)]],
     {}, "msgfromdomain", None, False),
    ("28", [(by(), N, 9), (by(), J, 8), *[(by(), NEUTRAL, n) for n in range(1, 7)]],
     {}, "msgfromfull", N, True),
    ("too old", [(by(), J, 3 * 365 + 1), (by("a"), J, 2 * 365 + 1)], {}, "none", None, False),
]  # fmt: skip


@pytest.mark.parametrize(
    ("history", "arguments", "method", "junk", "conclusive"),
    [one[1:] for one in HISTORIES],
    ids=[one[0] for one in HISTORIES],
)
async def test_votes(
    court: Court,
    history: list[tuple[Sender, bool | None, float]],
    arguments: dict[str, Any],
    method: str,
    junk: bool | None,
    conclusive: bool,
) -> None:
    for sender, marked, days_ago in history:
        await court.remember(sender, junk=marked, days_ago=days_ago)
    answer = await found(court, **arguments)
    assert answer[:3] == (method, junk, conclusive)
    if conclusive:
        assert answer[3] == method
        assert (await court.verdict()).accepted is (junk is False)


async def test_6_whom_the_user_wrote_to(court: Court) -> None:
    for name in "abc":
        await court.remember(by(name, validated=False), junk=J)
    await court.wrote("Friend <friend@sender.example>")
    assert await found(court, **U) == ("msgtofull", False, True, "msgtofull")
    assert (await found(court, message(author="a@sender.example"), **U))[0] == "msgfromfull"


async def test_23_whom_the_user_wrote_to_long_ago(court: Court) -> None:
    await court.wrote("friend@sender.example", days_ago=3 * 365 + 1)
    assert (await found(court))[0] == "none"
    await court.wrote("other@sender.example", days_ago=2 * 365 + 1)
    assert (await found(court))[0] == "none"
    await court.wrote("other@sender.example", days_ago=2 * 365 - 1)
    assert (await found(court))[:3] == ("msgtodomain", False, True)
    await court.wrote("friend@sender.example", days_ago=3 * 365 - 1)
    assert (await found(court))[:3] == ("msgtofull", False, True)


BULK = "From: news@unknown.example"


@pytest.mark.parametrize(
    ("votes", "junk", "conclusive"),
    [
        ([N] * 4, False, True),
        ([J] * 4, True, True),
        ([N, N, J, J], None, False),
        ([N], False, True),
        ([J], True, False),
    ],
)
async def test_11_bulk_mail_is_known_by_who_sends_it(
    court: Court, votes: list[bool], junk: bool | None, conclusive: bool
) -> None:
    earlier = by(
        "news",
        "other.example",
        validated=False,
        mail_from_localpart="bounce",
        mail_from_domain="sender.example",
        mail_from_validated=True,
    )
    for number, vote in enumerate(votes):
        await court.remember(earlier, junk=vote, days_ago=number + 1)
    answer = await found(court, message(BULK), sender="bounce@sender.example")
    assert answer[:3] == ("dkimspf", junk, conclusive)


async def test_26_mail_from_by_address_then_domain_then_name(
    make_court: Callable[..., Court],
) -> None:
    names = {**GOOD_ZONES, "mx.sender.example": {"A": [IP], "TXT": ["v=spf1 a -all"]}}
    court = make_court(knowledge=StoreKnowledge(Limits()), resolver=Zones(names))
    known = Sender(
        mail_from_localpart="other", mail_from_domain="sender.example", mail_from_validated=True
    )
    named = Sender(ehlo_domain="mx.sender.example", ehlo_validated=True)
    for _ in range(2):
        await court.remember(named, junk=J)
    assert (await found(court, message(BULK), sender="bounce@sender.example"))[0] == "none"
    assert (await found(court, message(BULK), sender=""))[:3] == ("dkimspf", True, True)
    for _ in range(2):
        await court.remember(known, junk=N)
    answer = await found(court, message(BULK), sender="bounce@sender.example")
    assert answer[:3] == ("dkimspf", False, True)


async def test_14_networks_of_ipv6(court: Court) -> None:
    earlier = Sender(ip1="2001:db8:1:2::", ip2="2001:db8:1::", ip3="2001:db8::")
    for _ in range(2):
        await court.remember(earlier, junk=J)
    answer = await found(court, message(BULK), ip="2001:db8:1:2:aaaa::5", sender="")
    assert answer[:3] == ("ip1", True, True)
    answer = await found(court, message(BULK), ip="2001:db8:1:3::5", sender="")
    assert answer[:3] == ("ip2", True, False)


async def test_16_30_other_mailboxes_and_accounts(court: Court) -> None:
    await court.remember(by(), junk=J, mailbox="Archive")
    await court.remember(by(), junk=J, account="you")
    await court.learnt("you")
    assert (await found(court))[0] == "none"


async def test_17_a_message_rescued_from_rejects(court: Court) -> None:
    await court.remember(by(), junk=J, days_ago=2)
    assert (await found(court))[3] == "msgfromfull"
    rejected = (await court.messages("Rejects"))[0]
    assert rejected.flags & SEEN
    await court.move("Rejects", 0, "Inbox")
    # In Inbox it says nothing yet; marked it is the newest vote.
    assert (await found(court))[1:3] == (True, True)
    index = len(await court.messages()) - 1
    await court.mark(index, junk=False)
    assert await found(court) == ("msgfromfull", False, True, "msgfromfull")


JUNK_RULES = """\
introbox = "Introbox"
[accounts.me.automatic_junk_flags]
enabled = true
junk_mailbox_regexp = "^junk"
neutral_mailbox_regexp = "^(inbox|introbox|rejects)"
"""


async def test_18_the_introbox(make_court: Callable[..., Court]) -> None:
    domains = DOMAINS.replace(
        '[accounts.me.destinations."me@example.org"]',
        JUNK_RULES + '[accounts.me.destinations."me@example.org"]',
    )
    court = make_court(domains=domains, knowledge=StoreKnowledge(Limits()))
    await court.one(message())
    assert len(await court.messages("Introbox")) == 1
    await court.move("Introbox", 0, "Inbox")
    moved = (await court.messages())[0]
    assert moved.flags & NOTJUNK
    assert await found(court) == ("msgfromfull", False, True, "msgfromfull")
    assert len(await court.messages()) == 2
    # Somebody else's goes from the introbox to Junk: their next one is refused.
    stranger = message(author="spam@sender.example")
    await court.one(stranger)
    await court.move("Introbox", 0, "Junk")
    assert (await court.messages("Junk"))[0].flags & JUNK
    assert (await found(court, stranger))[1:] == (True, True, "msgfromfull")


async def test_29_what_was_appended_says_nothing_of_others(court: Court) -> None:
    owner = await court.accounts.account("me")
    appended = NewMessage(content=message(), flags=JUNK, received_ms=court.clock.now_ms())
    await append(owner, owner.by_name["Inbox"], [appended])
    assert (await found(court))[0] == "none"


async def test_marks_of_real_mail_count(court: Court) -> None:
    """Section 6: spam is let in once more after a good one, then refused; expunging destroys votes."""
    await court.one(message())
    await court.mark(0, junk=False)
    court.clock.advance(60)
    assert (await found(court))[3] == "msgfromfull"
    await court.mark(1, junk=True)
    court.clock.advance(60)
    assert await found(court) == ("msgfromfull", False, True, "msgfromfull")
    await court.mark(2, junk=True)
    court.clock.advance(60)
    assert await found(court) == ("msgfromfull", True, True, "msgfromfull")
    owner = await court.accounts.account("me")
    box = owner.by_name["Inbox"]
    view = await owner.open_view(box, read_only=False)
    columns = await box.load()
    await expunge(owner, box, columns.visible_slots(len(columns), owner.record.modseq))
    view.close()
    assert (await found(court))[0] == "none"


async def test_after_three_marks_the_next_one_is_judged_accordingly(court: Court) -> None:
    """The issue's own example, with different senders of one domain."""
    for number in range(3):
        await court.one(message(author=f"spam{number}@sender.example"))
    assert len(await court.messages()) == 3
    for number in range(3):
        await court.mark(number, junk=True)
    answer = await found(court, message(author="spam4@sender.example"))
    assert answer == ("msgfromdomain", True, True, "msgfromdomain")
    verdict = await court.verdict()
    assert ("the author being in your sent mail", "accepted (msgtofull)") in [
        (one.what, one.then) for one in verdict.changes
    ]


# --- section 8: worked examples


async def test_a_friend_changes_provider(court: Court) -> None:
    old = by("friend", "old.example")
    for days in range(1, 11):
        await court.remember(old, junk=N, days_ago=days)
        await court.remember(network("198.51.103.9"), junk=N, days_ago=days)
    assert await found(court) == ("ip3", False, True, "ip3")
    await court.wrote("friend@sender.example")
    assert (await found(court))[0] == "msgtofull"


async def test_a_phisher_imitates_a_bank(court: Court) -> None:
    for days in (1, 2):
        await court.remember(by("bank", "bank.example"), junk=N, days_ago=days)
    answer = await found(court, message(author="bank@bank.example"), ip="203.0.113.9", sender="")
    # Leaning to junk; neither SPF nor the missing name decides, and there is no filter.
    assert answer == ("msgfromfull", True, False, "no-bad-signals")


async def test_a_newsletter_marked_as_junk(court: Court) -> None:
    await court.one(message(author="news@sender.example"))
    await court.mark(0, junk=True)
    court.clock.advance(60)
    news = message("Message-ID: <2@x>", author="news@sender.example")
    assert (await found(court, news))[1:] == (True, True, "msgfromfull")
    await court.move("Rejects", 0, "Inbox")
    await court.mark(1, junk=False)
    court.clock.advance(60)
    assert (await found(court, news))[1:] == (False, True, "msgfromfull")


async def test_a_fresh_spammer_on_a_bad_network(court: Court) -> None:
    for _ in range(6):
        await court.remember(network("198.51.100.60"), junk=J)
    assert await found(court) == ("ip2", True, True, "ip2")


async def test_a_fresh_spammer_on_an_address_with_one_mark(court: Court) -> None:
    await court.remember(network("203.0.113.9"), junk=J)
    answer = await found(court, message(author="x@new.example"), ip="203.0.113.9", sender="")
    assert answer == ("ip1", True, False, "iprev")


async def test_a_mailing_list_without_a_rule(court: Court) -> None:
    """The author is known and proven; on the list nothing stands for them."""
    author = by("ann", "author.example")
    listed = by(
        "bob", "others.example", validated=False, dkim_domains=("sender.example",),
        mail_from_domain="sender.example", mail_from_localpart="list", mail_from_validated=True,
    )  # fmt: skip
    await court.remember(author, junk=N)
    for days in (1, 2):
        await court.remember(listed, junk=N, days_ago=days)
    on_list = message(author="ann@author.example")
    answer = await found(court, on_list, sender="list@sender.example")
    assert answer[:3] == ("msgfromfull", True, False)
    # An author nobody knows: the list speaks.
    answer = await found(court, message(author="eve@new.example"), sender="list@sender.example")
    assert answer == ("dkimspf", False, True, "dkimspf")


async def test_words_are_learnt_from_marks(make_court: Callable[..., Court]) -> None:
    """Content decides about strangers once enough was marked."""
    domains = DOMAINS.replace(
        '[accounts.me.destinations."me@example.org"]',
        '[accounts.me.junk_filter]\n[accounts.me.destinations."me@example.org"]',
    )
    court = make_court(domains=domains, knowledge=StoreKnowledge(Limits()))
    owner = await court.accounts.account("me")
    spam = b"Subject: .\r\n\r\nmiracle pills cheap viagra\r\n"
    ham = b"Subject: .\r\n\r\nmeeting agenda minutes budget\r\n"
    now = court.clock.now_ms()
    for flag, content in ((JUNK, spam), (NOTJUNK, ham)):
        one = NewMessage(content=content, flags=flag, received_ms=now)
        await append(owner, owner.by_name["Inbox"], [one] * 50)
    await court.learnt()
    bad = await court.one(message("Subject: .", body="miracle pills cheap viagra\r\n"))
    assert bad.reply.code == 451
    verdict = await court.verdict()
    assert verdict.reason == "junk-content"
    assert verdict.content is not None
    assert verdict.content.probability > 0.95
    assert {word.word for word in verdict.content.spam} >= {"viagra", "miracle"}
    good = await court.one(message("Subject: .", body="meeting agenda minutes budget\r\n"))
    assert good.reply.code == 250
