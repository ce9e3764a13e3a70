"""Judged mail reaches its mailboxes, or Rejects; what the client is told.    Sections 8.2 and 8.3."""

import asyncio
from typing import Any

import pytest
from support.judging import DOMAINS, GOOD_ZONES, IP, Court, message

from mox.base.errors import Unavailable
from mox.base.flags import SEEN
from mox.base.limits import MESSAGE_IN_MEMORY
from mox.dns.zones import Zones
from mox.inbound.hooks import Bounce, Evaluated
from mox.junk.reputation import DAY_MS, Sender
from mox.smtp.params import Notify
from mox.store.errors import DataDamaged

FRIEND = Sender(
    from_localpart="friend",
    from_domain="sender.example",
    from_org_domain="sender.example",
    from_validated=True,
)
STRANGER: dict[str, Any] = {"ip": "203.0.113.9", "hello": "[203.0.113.9]"}
"""Arguments of a sender whom SPF does not allow to be sender.example."""


def dislike(court: Court, account: str = "me", *, junk: bool = True) -> None:
    court.memory.mark(account, FRIEND, court.clock.now_ms(), junk=junk)
    court.clock.advance(1)


# --- what goes before the content


@pytest.mark.rfc("8601 §2.2")
async def test_the_fields_before_the_content(make_court: Any) -> None:
    """The text as a whole: their order, and each of them."""
    names = {
        **GOOD_ZONES,
        "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]},
        IP: {"PTR": ["other-name.sender.example"]},
        "other-name.sender.example": {"A": [IP]},
        "mx.sender.example": {"A": [IP]},
    }
    court = make_court(resolver=Zones(names, authentic=True))
    await court.one(message())
    assert (await court.messages())[0].raw == (
        b"X-Mox-Reason: no-bad-signals; dmarc ok; reputation unknown, inconclusive,\r\n"
        b"\tbased on nothing; content ok, no junk filter configured; accepted;\r\n"
        b"Delivered-To: me@example.org\r\n"
        b"Return-Path: <friend@sender.example>\r\n"
        b"Authentication-Results: mail.example.org;\r\n"
        b"\tiprev=pass (with dnssec) policy.iprev=198.51.100.7;\r\n"
        b'\tdkim=none reason="no dkim signatures";\r\n'
        b"\tspf=pass (with dnssec) smtp.mailfrom=friend@sender.example;\r\n"
        b"\tdmarc=pass (with dnssec) header.from=sender.example;\r\n"
        b"\tarc=none\r\n"
        b"Received-SPF: pass (domain sender.example) client-ip=198.51.100.7;\r\n"
        b'\tenvelope-from="friend@sender.example"; helo=mx.sender.example;\r\n'
        b'\tmechanism="a:mx.sender.example"; receiver=mail.example.org;\r\n'
        b"\tidentity=mailfrom\r\n"
        b"Received: from mx.sender.example (other-name.sender.example [198.51.100.7])\r\n"
        b"\tby mail.example.org ([192.0.2.1]) via tcp with ESMTPS id id1\r\n"
        b"\t(TLS1.3 TLS_AES_256_GCM_SHA384) for <me@example.org>;\r\n"
        b"\t14 Nov 2023 22:13:20 +0000\r\n"
    ) + message()


async def test_a_null_sender_is_known_by_its_name(make_court: Any) -> None:
    names = {**GOOD_ZONES, "mx.sender.example": {"A": [IP], "TXT": ["v=spf1 a -all"]}}
    court = make_court(resolver=Zones(names))
    await court.one(message(), sender="")
    kept = (await court.messages())[0]
    assert "spf=pass (without dnssec) smtp.helo=mx.sender.example" in kept.header
    assert kept.facts.sender.ehlo_validated
    assert not kept.facts.sender.mail_from_validated
    assert "from ehlo because mailfrom is empty" in kept.field("Received-SPF")


async def test_what_has_no_header_gets_an_empty_line_before_it(court: Court) -> None:
    await court.one(b"just text\r\n")
    kept = (await court.messages())[0]
    assert kept.raw.endswith(b"+0000\r\n\r\njust text\r\n")


async def test_a_stranger_cannot_write_fields(court: Court) -> None:
    """Whatever they say comes out on lines of ours."""
    await court.one(
        message("Message-ID: <x\x0b\x85y@z>", author='"a\\\rX-Evil: 1"@sender.example'),
        sender='"x: \\" y"@sender.example',
    )
    header = (await court.messages())[0].raw.partition(b"Message-ID:")[0]
    for line in header.replace(b"\r\n\t", b" ").split(b"\r\n")[:-1]:
        assert line.partition(b":")[0] in (
            b"X-Mox-Reason", b"Delivered-To", b"Return-Path", b"Authentication-Results",
            b"Received-SPF", b"Received",
        )  # fmt: skip


# --- Rejects


async def test_the_same_spam_twice_is_kept_once_until_it_is_wanted(court: Court) -> None:
    """Section 15 idea 20."""
    dislike(court)
    for _ in range(2):
        assert (await court.one(message())).reply.code == 451
    # Known again by what it says, if not by its id.
    await court.one(message("Message-ID: <2@sender.example>"))
    await court.one(message("Message-ID: <2@sender.example>", body="other\r\n"))
    rejects = await court.messages("Rejects")
    assert len(rejects) == 2
    assert all(one.flags & SEEN and one.facts.is_reject for one in rejects)
    assert all(len(one.facts.content_hash) == 32 for one in rejects)
    assert [one.mailbox for one in await court.verdicts()] == ["", "Rejects", "", "Rejects"]
    dislike(court, junk=False)
    assert (await court.one(message())).reply.code == 250
    assert len(await court.messages()) == 1
    assert [one.facts.message_id for one in await court.messages("Rejects")] == ["2@sender.example"]


async def test_without_a_rejects_mailbox_only_the_verdict_is_kept(make_court: Any) -> None:
    court = make_court(domains=DOMAINS.replace('rejects_mailbox = "Rejects"\n', ""))
    dislike(court)
    assert (await court.one(message())).reply.code == 451
    owner = await court.accounts.account("me")
    assert "Rejects" not in owner.by_name
    assert (await court.verdict()).reason == "msgfromfull"


@pytest.mark.parametrize("size", [100, 2 * MESSAGE_IN_MEMORY])
async def test_a_full_account(make_court: Any, size: int) -> None:
    """Section 15 idea 32."""
    court = make_court(
        domains=DOMAINS.replace("[accounts.me]", "[accounts.me]\nquota_message_size = 50")
    )
    outcome = await court.one(message(body="x" * size + "\r\n"))
    assert (outcome.reply.code, outcome.reply.enhanced) == (452, "4.2.2")
    assert not outcome.refused
    assert await court.messages() == []
    verdict = await court.verdict()
    assert (verdict.accepted, verdict.mailbox, verdict.error) == (True, "", "over quota")
    # ``Court.close`` looks for files that were left.


async def test_a_large_message_for_many(court: Court) -> None:
    raw = message(body="0123456789" * (MESSAGE_IN_MEMORY // 5) + "\r\n")
    dislike(court, "you")
    outcomes = await court.send(raw, "me@example.org", "you@example.org")
    assert [one.reply.code for one in outcomes] == [250, 451]
    assert (await court.messages())[0].raw.endswith(raw)
    assert (await court.messages("Rejects", "you"))[0].raw.endswith(raw)


# --- several recipients


async def test_each_account_judges_for_itself(court: Court) -> None:
    dislike(court, "you")
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=False)
    outcomes = await court.send(message(), "me@example.org", "you@example.org")
    assert [(one.reply.code, one.refused) for one in outcomes] == [(250, False), (451, True)]
    kept = (await court.messages())[0]
    assert " for <" not in kept.field("Received")
    assert (await court.verdict("me")).accepted
    assert not (await court.verdict("you")).accepted


async def test_a_known_and_an_unknown_recipient(court: Court) -> None:
    """Section 15 idea 12, until somebody can send notifications."""
    outcomes = await court.send(message(), "me@example.org", "nobody@example.org")
    assert [(one.reply.code, one.reply.enhanced) for one in outcomes] == [
        (250, "2.2.0"),
        (550, "5.1.1"),
    ]
    assert len(await court.messages()) == 1


class Bounces:
    def __init__(self, *, fails: bool = False) -> None:
        self.fails = fails
        self.sent: list[Bounce] = []

    async def bounce(self, bounce: Bounce) -> None:
        if self.fails:
            raise Unavailable
        self.sent.append(bounce)


async def test_who_got_nothing_is_told_to_the_sender(make_court: Any) -> None:
    bounces = Bounces()
    court = make_court(bouncer=bounces)
    dislike(court, "you")
    outcomes = await court.send(
        message(), "me@example.org", "nobody@example.org", "you@example.org"
    )
    assert [one.reply.code for one in outcomes] == [250, 250, 250]
    assert [one.refused for one in outcomes] == [False, False, True]
    bounce = bounces.sent[0]
    assert [(str(one.address), one.reply.code) for one in bounce.failed] == [
        ("nobody@example.org", 550),
        ("you@example.org", 451),
    ]
    assert bounce.message_id == "1@sender.example"
    assert bounce.header == message().partition(b"hello")[0]


NEVER = frozenset({Notify.NEVER})
SUCCESS = frozenset({Notify.SUCCESS})
BOTH = frozenset({Notify.SUCCESS, Notify.FAILURE})


@pytest.mark.rfc("3461 §4.1; §5.2.3")
@pytest.mark.parametrize(
    ("me", "nobody", "arrived", "failed"),
    [
        (frozenset(), frozenset(), [], ["nobody"]),
        (SUCCESS, NEVER, ["me"], []),
        (BOTH, BOTH, ["me"], ["nobody"]),
        (NEVER, NEVER, [], []),
        (NEVER, SUCCESS, [], []),
    ],
)
async def test_notifications_are_those_asked_for(
    make_court: Any,
    me: frozenset[Notify],
    nobody: frozenset[Notify],
    arrived: list[str],
    failed: list[str],
) -> None:
    bounces = Bounces()
    court = make_court(bouncer=bounces)
    outcomes = await court.send(
        message(),
        "me@example.org",
        "nobody@example.org",
        notify={"me@example.org": me, "nobody@example.org": nobody},
    )
    # Whoever does not want to hear of failures hears of none.
    assert [one.reply.code for one in outcomes] == [250, 250]
    told = [
        (
            [one.address.localpart for one in bounce.arrived],
            [one.address.localpart for one in bounce.failed],
        )
        for bounce in bounces.sent
    ]
    assert told == ([(arrived, failed)] if arrived or failed else [])


@pytest.mark.parametrize(
    ("sender", "count"), [("friend@sender.example", 1), ("victim@elsewhere.example", 0)]
)
async def test_success_is_told_to_proven_senders_only(
    make_court: Any, sender: str, count: int
) -> None:
    bounces = Bounces()
    court = make_court(bouncer=bounces)
    outcomes = await court.send(
        message(), "me@example.org", sender=sender, notify={"me@example.org": SUCCESS}
    )
    assert len(outcomes) == 1
    assert len(bounces.sent) == (count if outcomes[0].reply.code == 250 else 0)


@pytest.mark.parametrize(
    ("sender", "fails", "recipients", "codes"),
    [
        ("friend@sender.example", True, ("me", "nobody"), [250, 550]),
        ("", False, ("me", "nobody"), [250, 550]),  # RFC 5321 §4.5.5: never to the null path
        ("friend@sender.example", False, ("nobody", "none"), [550, 550]),
        ("victim@elsewhere.example", False, ("me", "nobody"), [250, 550]),
    ],
)
async def test_no_backscatter(
    make_court: Any, sender: str, fails: bool, recipients: tuple[str, ...], codes: list[int]
) -> None:
    bounces = Bounces(fails=fails)
    court = make_court(bouncer=bounces)
    outcomes = await court.send(
        message(), *(f"{one}@example.org" for one in recipients), sender=sender
    )
    assert [one.reply.code for one in outcomes] == codes
    assert bounces.sent == []


async def test_an_account_that_cannot_be_had(court: Court, monkeypatch: Any) -> None:
    real = court.accounts.account

    async def account(name: str) -> Any:
        if name == "you":
            raise DataDamaged
        return await real(name)

    monkeypatch.setattr(court.accounts, "account", account)
    outcomes = await court.send(message(), "you@example.org", "me@example.org")
    assert [one.reply.code for one in outcomes] == [451, 250]


async def test_accounts_are_worked_on_side_by_side(court: Court, monkeypatch: Any) -> None:
    """A slow account does not hold up another one; both wait for each other here."""
    met = asyncio.Barrier(2)
    real = court.memory.by_history

    async def by_history(*arguments: Any) -> Any:
        async with asyncio.timeout(30):
            await met.wait()
        return await real(*arguments)

    monkeypatch.setattr(court.memory, "by_history", by_history)
    outcomes = await court.send(message(), "me@example.org", "you@example.org")
    assert [one.reply.code for one in outcomes] == [250, 250]


# --- strangers wait


async def test_strangers_wait_once_for_the_whole_message(make_court: Any) -> None:
    court = make_court(delay_s=15)
    court.memory.mark("you", FRIEND, court.clock.now_ms(), junk=False)
    waiting: list[list[int]] = []
    real = court._pause

    async def pause(seconds: float) -> None:
        waiting.append([len(await court.messages("Inbox", one)) for one in ("me", "you")])
        await real(seconds)

    court._pause = pause
    await court.send(message(), "me@example.org", "me+x@example.org", "you@example.org")
    assert court.pauses == [15]
    assert waiting == [[0, 1]], "who knows the sender need not wait"
    assert len(await court.messages()) == 2
    assert (await court.verdict()).delayed_s == 15


@pytest.mark.rfc("5321 §4.2.5")
async def test_who_does_not_wait_comes_again(make_court: Any) -> None:
    """Nobody gets it twice, and nobody is told of a message that is still to come."""
    bounces = Bounces()
    court = make_court(delay_s=15, bouncer=bounces)
    court.memory.mark("you", FRIEND, court.clock.now_ms(), junk=False)
    real = court._pause

    async def pause(seconds: float) -> None:
        await real(seconds)
        court.client.over = True

    court._pause = pause
    outcomes = await court.send(message(), "me@example.org", "you@example.org")
    # Also of the one who had it before the pause: the client heard of nothing.
    assert [(one.reply.code, one.reply.enhanced) for one in outcomes] == [(451, "4.4.2")] * 2
    assert await court.messages() == []
    assert bounces.sent == []
    court._pause, court.client.over = real, False
    assert (await court.one(message())).reply.code == 250
    assert len(await court.messages()) == 1


async def test_who_is_gone_before_anything_is_stored_comes_again(make_court: Any) -> None:
    court = make_court()
    court.client.lost = court.client.over = True
    assert (await court.one(message())).reply.code == 451
    assert await court.messages() == []


async def test_who_only_sends_nothing_more_may_still_listen(make_court: Any) -> None:
    court = make_court()
    court.client.over = True
    assert (await court.one(message())).reply.code == 250
    assert len(await court.messages()) == 1


async def test_an_account_may_do_without_the_pause(make_court: Any) -> None:
    options = "[accounts.me]\nno_first_time_sender_delay = true"
    court = make_court(delay_s=15, domains=DOMAINS.replace("[accounts.me]", options))
    await court.one(message())
    assert court.pauses == []


async def test_who_is_refused_waits_for_nothing(make_court: Any) -> None:
    court = make_court(delay_s=15)
    dislike(court)
    await court.one(message())
    assert court.pauses == []


# --- aliases

ALIASES = """\
[domains."example.org".aliases.team]
addresses = ["me@example.org", "you@example.org", "third@example.org"]
[domains."example.org".aliases.open]
addresses = ["me@example.org", "you@example.org"]
post_public = true
[domains."example.org".aliases.voice]
addresses = ["me@example.org", "you@example.org"]
allow_msg_from = true
[accounts.third]
domain = "example.org"
[accounts.third.destinations."third@example.org"]
"""
OWN: dict[str, Any] = {
    **GOOD_ZONES,
    "example.org": {"TXT": ["v=spf1 a:mx.sender.example -all"]},
}


@pytest.fixture
async def house(make_court: Any) -> Court:
    court = make_court(domains=DOMAINS + ALIASES, resolver=Zones(OWN))
    assert isinstance(court, Court)
    return court


@pytest.mark.parametrize(
    ("alias", "author", "allowed"),
    [
        ("team", "stranger@sender.example", False),
        ("team", "me@example.org", True),
        ("team", "Me@example.org", False),  # exactly
        ("team", "me+list@example.org", False),
        ("team", "team@example.org", False),
        ("open", "stranger@sender.example", True),
        ("voice", "voice@example.org", True),
        ("voice", "stranger@sender.example", False),
        ("open", "a@sender.example, me@example.org", False),
    ],
)
async def test_who_may_send_to_an_alias(
    house: Court, alias: str, author: str, allowed: bool
) -> None:
    """Section 15 idea 23."""
    sender = author if author.count("@") == 1 else "a@sender.example"
    outcome = await house.one(message(author=author), f"{alias}@example.org", sender=sender)
    if allowed:
        assert outcome.reply.code == 250
        assert len(await house.messages("Inbox", "you")) == 1
    else:
        expected = (550, "5.6.0") if alias == "open" else (550, "5.7.2")
        assert (outcome.reply.code, outcome.reply.enhanced) == expected
        assert await house.messages("Inbox", "you") == []


async def test_the_author_gets_no_copy_and_everybody_else_one(house: Court) -> None:
    outcomes = await house.send(
        message(author="me@example.org"),
        "team@example.org",
        "you@example.org",
        "voice@example.org",
        sender="me@example.org",
    )
    assert [one.reply.code for one in outcomes] == [250, 250, 250]
    assert await house.messages("Inbox", "me") == []
    for account in ("you", "third"):
        kept = await house.messages("Inbox", account)
        assert len(kept) == 1
        assert kept[0].field("Delivered-To") == f"{account}@example.org"
    assert (await house.messages("Inbox", "you"))[0].facts.rcpt_to == "you@example.org"
    assert (await house.messages("Inbox", "third"))[0].facts.rcpt_to == "team@example.org"
    assert (await house.verdict("third")).member == "third@example.org"


async def test_one_member_who_wants_it_is_enough(house: Court) -> None:
    """Who does not want it has it in Rejects, marked as such; without one, not at all."""
    for account in ("me", "third"):
        dislike(house, account)
    outcome = await house.one(message(), "open@example.org")
    assert outcome.reply.code == 250
    assert not outcome.refused
    assert len(await house.messages("Inbox", "you")) == 1
    rejected = (await house.messages("Rejects", "me"))[0]
    assert rejected.flags & SEEN
    assert rejected.facts.is_reject
    owner = await house.accounts.account("me")
    assert rejected.facts.destined == owner.by_name["Inbox"].id
    await house.one(message(), "open@example.org")
    assert len(await house.messages("Rejects", "me")) == 1


async def test_nobody_wants_it(house: Court) -> None:
    for account in ("me", "you"):
        dislike(house, account)
    outcome = await house.one(message(), "open@example.org")
    assert (outcome.reply.code, outcome.reply.enhanced, outcome.refused) == (451, "4.3.0", True)
    for account in ("me", "you"):
        assert len(await house.messages("Rejects", account)) == 1
        assert not (await house.verdict(account)).accepted


async def test_one_full_member_is_no_failure(house: Court) -> None:
    full = await house.accounts.account("me")
    full.quota_bytes = 10
    house.configure(
        (DOMAINS + ALIASES).replace("[accounts.me]", "[accounts.me]\nquota_message_size = 10")
    )
    assert (await house.one(message(), "open@example.org")).reply.code == 250
    assert await house.messages("Inbox", "me") == []
    assert len(await house.messages("Inbox", "you")) == 1
    house.configure((DOMAINS + ALIASES).replace("]\ndomain", "]\nquota_message_size = 10\ndomain"))
    outcome = await house.one(message(), "open@example.org")
    assert (outcome.reply.code, outcome.reply.enhanced) == (452, "4.2.2")


# --- look-alikes


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("me", True),
        ("m\u0435", False),  # Cyrillic e
        ("\uff4d\uff45", False),  # wide letters
    ],
)
async def test_letters_that_look_alike_are_others(court: Court, written: str, found: bool) -> None:
    outcome = await court.one(message(), f"{written}@example.org", smtputf8=True)
    assert outcome.reply.code == (250 if found else 550)


async def test_an_author_who_looks_like_a_friend_is_another(court: Court) -> None:
    dislike(court)
    await court.one(message(author="fri\u0435nd@sender.example"), smtputf8=True)  # Cyrillic e
    verdict = await court.verdict()
    assert verdict.history is not None
    assert verdict.history.method == "msgfromdomain"


# --- what domains are told


class Evaluations:
    def __init__(self) -> None:
        self.added: list[Evaluated] = []

    async def add(self, evaluated: Evaluated) -> None:
        self.added.append(evaluated)


RUA = "v=DMARC1; p=reject; rua=mailto:d@sender.example"


async def test_evaluations_are_collected(make_court: Any) -> None:
    """Section 15 idea 19, and what is optional."""
    evaluations = Evaluations()
    names = {**GOOD_ZONES, "_dmarc.sender.example": {"TXT": [RUA]}}
    court = make_court(resolver=Zones(names), evaluations=evaluations)
    await court.one(message())
    (first,) = evaluations.added
    assert (first.rejected, first.optional, first.overrides) == (False, False, ())
    assert (first.envelope_to, first.envelope_from) == ("example.org", "sender.example")
    # Forged, of a domain this account never had to do with; then of one it wrote to.
    await court.one(message(), sender="x@elsewhere.example", **STRANGER)
    court.memory.wrote("me", "other@sender.example", court.clock.now_ms() - 3000 * DAY_MS)
    await court.one(message(), sender="x@elsewhere.example", **STRANGER)
    assert [(one.rejected, one.optional) for one in evaluations.added[1:]] == [
        (True, True),
        (True, False),
    ]
    # What is refused as spam is nobody's business.
    dislike(court)
    await court.one(message())
    assert len(evaluations.added) == 3


async def test_without_addresses_nothing_is_collected(make_court: Any) -> None:
    evaluations = Evaluations()
    names = {**GOOD_ZONES, "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=none"]}}
    court = make_court(resolver=Zones(names), evaluations=evaluations)
    await court.one(message())
    assert evaluations.added == []


async def test_nothing_is_left_when_the_session_is_cut_off(court: Court, monkeypatch: Any) -> None:
    reached = asyncio.Event()

    async def stuck(*_: Any) -> Any:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(court.memory, "by_history", stuck)
    raw = message(body="0123456789" * (MESSAGE_IN_MEMORY // 5) + "\r\n")
    task = asyncio.create_task(court.send(raw, "me@example.org", "you@example.org"))
    async with asyncio.timeout(30):
        await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(court.folder.iterdir()) == []
