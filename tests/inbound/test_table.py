"""The order of the rules, row by row, from connection to mailbox.    spec/smtp-server.md section 8.1."""

import base64
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.judging import DOMAINS, GOOD_ZONES, IP, Court, message

from mox.base.flags import SEEN
from mox.dns.zones import Zones
from mox.inbound.hooks import Content, Report
from mox.junk.classify import classify
from mox.junk.model import Count
from mox.junk.parameters import Parameters
from mox.junk.reputation import DAY_MS, Sender
from mox.mailauth.dkim.sign import SigningKey, sign
from mox.reports.taker import NotAReport
from mox.store.rates import Limits

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
SIGNED: dict[str, Any] = {
    "s._domainkey.sender.example": {"TXT": [f"v=DKIM1; k=ed25519; p={PUBLIC}"]}
}
FRIEND = Sender(
    from_localpart="friend",
    from_domain="sender.example",
    from_org_domain="sender.example",
    from_validated=True,
)
HAM = {b"meeting": Count(40, 0), b"agenda": Count(40, 0)}
SPAM = {b"viagra": Count(0, 40), b"pills": Count(0, 40)}


def signed(raw: bytes, domain: str = "sender.example") -> bytes:
    key = SigningKey(domain=domain, selector="s", private=KEY)
    return sign(raw, [key], now_s=1_700_000_000) + raw


def account(options: str = "", destination: str = "") -> str:
    """DOMAINS with more options of the account ``me`` and of its destination."""
    head, mark, rest = DOMAINS.partition('[accounts.me.destinations."me@example.org"]\n')
    return head + options + mark + destination + rest


FILTER = "[accounts.me.junk_filter]\nthreshold = 0.95\n"
SUBJECTPASS = '[accounts.me.subject_pass]\nperiod = "12h"\n'


def teach(court: Court, *, ham: int = 100, spam: int = 100) -> None:
    court.memory.teach("me", {**HAM, **SPAM}, ham=ham, spam=spam)


class Reports:
    """A taker of reports that says what a test wants."""

    def __init__(self, answer: str) -> None:
        self.answer = answer  # empty: it is a report
        self.kept: list[Report] = []

    @property
    def summary(self) -> str:
        return "a report by somebody"

    async def read_dmarc(self, content: Content, **_: object) -> Report | NotAReport:
        assert content
        return NotAReport(self.answer) if self.answer else self

    async def read_tls(self, content: Content, **_: object) -> Report | NotAReport:
        return NotAReport(self.answer) if self.answer else self

    async def keep(self, report: Report) -> None:
        self.kept.append(report)


# --- 1


async def test_1_rates(court: Court) -> None:
    court.memory.limits = Limits(messages_per_minute=(1, 5, 5))
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=False)
    await court.one(message())
    outcome = await court.one(message())
    assert (outcome.reply.code, outcome.reply.enhanced) == (452, "4.2.2")
    assert outcome.refused
    assert len(await court.messages()) == 1
    assert await court.messages("Rejects") == []
    verdict = await court.verdict()
    assert verdict.reason == "high-rate"
    assert ("less mail from that network", "judged further") in [
        (one.what, "judged further") for one in verdict.changes
    ]
    court.clock.advance(60)
    assert (await court.one(message())).reply.code == 250


@pytest.mark.parametrize(("spare", "code"), [(0, 250), (-1, 452)])
async def test_1_bytes_are_those_stored_and_those_that_come(
    court: Court, spare: int, code: int
) -> None:
    """Section 15 idea 18: what is stored counts with what we put before it, the new one without."""
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=False)
    await court.one(message())
    limit = len((await court.messages())[0].raw) + len(message()) + spare
    court.memory.limits = Limits(bytes_per_day=(limit, 1 << 40, 1 << 40))
    assert (await court.one(message())).reply.code == code


# --- 2


async def test_2_rulesets_choose_the_mailbox(make_court: Any) -> None:
    rules = """
[[accounts.me.destinations."me@example.org".rulesets]]
headers_regexp = {"^list-id$" = "<a\\\\.example>"}
mailbox = "Lists/A"
[[accounts.me.destinations."me@example.org".rulesets]]
msg_from_regexp = "^friend@"
mailbox = "Friends"
"""
    court = make_court(domains=account(destination='mailbox = "Mine"\n' + rules))
    await court.one(message("List-Id: A <a.example>"))
    await court.one(message())
    await court.one(message(author="other@sender.example"))
    for mailbox in ("Lists/A", "Friends", "Mine"):
        assert len(await court.messages(mailbox)) == 1
    assert await court.messages() == []


# --- 3, 4, 5

LIST_RULE = """
[[accounts.me.destinations."me@example.org".rulesets]]
verified_domain = "sender.example"
list_allow_domain = "sender.example"
mailbox = "List"
"""
FORWARD_RULE = """
[[accounts.me.destinations."me@example.org".rulesets]]
smtp_mail_from_regexp = "@sender\\\\.example$"
verified_domain = "sender.example"
is_forward = true
mailbox = "Forwarded"
"""
REJECT: dict[str, Any] = {
    "_dmarc.author.example": {"TXT": ["v=DMARC1; p=reject; rua=mailto:d@author.example"]}
}


async def test_3_a_proven_list_skips_everything(make_court: Any) -> None:
    court = make_court(
        domains=account(FILTER, LIST_RULE), resolver=Zones({**GOOD_ZONES, **REJECT}), delay_s=15
    )
    outcome = await court.one(message(author="ann@author.example", body="viagra pills\r\n"))
    assert outcome.reply.code == 250
    kept = (await court.messages("List"))[0]
    assert kept.facts.is_list
    assert kept.field("X-Mox-Reason").startswith("list-allow; ")
    assert "override mailing_list" in kept.field("Authentication-Results")
    assert court.pauses == []
    # Not proven: its SPF does not pass from elsewhere.
    outcome = await court.one(message(author="ann@author.example"), ip="203.0.113.9")
    assert (outcome.reply.code, outcome.reply.enhanced) == (550, "5.7.26")


async def test_4_a_forward_leaves_no_trace_of_the_forwarder(make_court: Any) -> None:
    court = make_court(
        domains=account(destination=FORWARD_RULE), resolver=Zones({**GOOD_ZONES, **REJECT})
    )
    outcome = await court.one(message(author="ann@author.example"))
    assert outcome.reply.code == 250
    kept = (await court.messages("Forwarded"))[0]
    assert kept.facts.is_forward
    assert kept.facts.sender == Sender(
        from_localpart="ann", from_domain="author.example", from_org_domain="author.example"
    )
    assert "override forwarded" in kept.field("Authentication-Results")
    assert "not using any dmarc result" in kept.field("X-Mox-Reason")


async def test_4_votes_on_forwarded_mail_touch_its_author_only(make_court: Any) -> None:
    """Section 15 idea 21."""
    court = make_court(domains=account(destination=FORWARD_RULE.replace("@sender", "fwd@sender")))
    forwarded = message(author="spam@author.example")
    await court.one(forwarded, sender="fwd@sender.example")
    kept = (await court.messages("Forwarded"))[0]
    for mailbox in ("Forwarded", "Inbox"):
        court.memory.mark("me", kept.facts.sender, court.clock.now_ms(), junk=True, mailbox=mailbox)
    # The forwarder's own mail is judged as if nothing had happened.
    assert (await court.one(message())).reply.code == 250
    assert (await court.verdict()).reason == "no-bad-signals"
    # The author is known for it: unvalidated, so its content decides.
    await court.one(forwarded, sender="fwd@sender.example")
    verdict = await court.verdict()
    assert verdict.history is not None
    assert (verdict.history.method, verdict.history.junk) == ("msgfromfull", True)


async def test_5_the_policy_of_the_author(make_court: Any) -> None:
    court = make_court(resolver=Zones({**GOOD_ZONES, **REJECT}))
    outcome = await court.one(message(author="ann@author.example"))
    assert (outcome.reply.code, outcome.reply.enhanced) == (550, "5.7.26")
    assert outcome.refused
    assert len(await court.messages("Rejects")) == 1
    verdict = await court.verdict()
    assert (verdict.reason, verdict.mailbox, verdict.destined) == (
        "dmarc-policy",
        "Rejects",
        "Inbox",
    )
    assert "a DMARC pass" in [change.what for change in verdict.changes]


@pytest.mark.parametrize(
    ("policy", "zones_failing", "rejected"),
    [
        ("v=DMARC1; p=quarantine", [], True),
        ("v=DMARC1; p=none", [], False),
        ("v=DMARC1; p=reject; pct=50", [], False),  # chance is 0.5
        ("v=DMARC1; p=reject; pct=51", [], True),
        ("v=DMARC1; p=reject", ["sender.example TXT"], True),  # not the author's domain
        ("v=DMARC1; p=reject", ["_dmarc.author.example"], False),
    ],
)
async def test_5_policies(
    make_court: Any, policy: str, zones_failing: list[str], rejected: bool
) -> None:
    names = {**GOOD_ZONES, "_dmarc.author.example": {"TXT": [policy]}}
    court = make_court(resolver=Zones(names, temporary=zones_failing))
    outcome = await court.one(message(author="ann@author.example"))
    assert (outcome.reply.enhanced == "5.7.26") is rejected


@pytest.mark.rfc("7489 §6.6.1")
@pytest.mark.parametrize(
    "fields",
    [
        ("From: a@sender.example", "From: b@author.example"),
        ("From: a@sender.example, b@author.example",),
        ("From: g: a@sender.example, b@author.example;",),
    ],
)
async def test_5_several_authors_are_refused(court: Court, fields: tuple[str, ...]) -> None:
    """Whoever may choose among them is nobody's author."""
    outcome = await court.one(message(*fields))
    assert (outcome.reply.code, outcome.reply.enhanced) == (550, "5.6.0")
    assert (await court.verdict()).reason == "several-authors"


@pytest.mark.parametrize("field", ["From:", "From: undisclosed:;", "From: <broken", "X-No: from"])
async def test_without_an_author_the_rest_decides(court: Court, field: str) -> None:
    """Reputation idea 24: levels A to C are passed over."""
    fields = (field,) if field.startswith("From") else (field, "From :x")
    raw = message(*fields).replace(b"From :x\r\n", b"").replace(b"From: friend", b"Y-From: friend")
    network = Sender(ip1=IP, ip2="198.51.100.0", ip3="198.51.96.0")
    for _ in range(2):
        court.memory.mark("me", network, court.clock.now_ms(), junk=True)
    outcome = await court.one(raw)
    assert outcome.reply.code == 451
    verdict = await court.verdict()
    assert verdict.reason == "ip1"
    assert verdict.author == ""


async def test_5_a_temporary_error_is_no_reason_to_refuse_for_good(make_court: Any) -> None:
    names = {**GOOD_ZONES, "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]}}
    court = make_court(resolver=Zones(names, temporary=["sender.example TXT"]))
    assert (await court.one(message())).reply.enhanced != "5.7.26"
    dmarc = next(line for line in (await court.verdict()).checks if line.check == "dmarc")
    assert dmarc.result == "temperror"


# --- 6, 7, 11

REPORT_DOMAINS = DOMAINS.replace(
    "[accounts.me]",
    """[domains."example.org".dmarc]
localpart = "dmarc"
account = "me"
mailbox = "DMARC"
[domains."example.org".tlsrpt]
localpart = "tls"
account = "me"
mailbox = "TLSRPT"
[accounts.me]""",
)


@pytest.mark.parametrize(("localpart", "mailbox"), [("dmarc", "DMARC"), ("tls", "TLSRPT")])
async def test_11_a_report_is_taken(make_court: Any, localpart: str, mailbox: str) -> None:
    """Reputation idea 22: from nobody we know, with a bad reverse name."""
    reports = Reports("")
    court = make_court(domains=REPORT_DOMAINS, reports=reports, delay_s=15, resolver=Zones({}))
    outcome = await court.one(message(), f"{localpart}@example.org")
    assert outcome.reply.code == 250
    assert reports.kept == [reports]
    kept = (await court.messages(mailbox))[0]
    assert kept.flags & SEEN
    assert kept.field("X-Mox-Reason").startswith("reporting; ")
    assert court.pauses == []


async def test_11_reports_of_known_spammers_are_refused(make_court: Any) -> None:
    reports = Reports("")
    court = make_court(domains=REPORT_DOMAINS, reports=reports)
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=True, mailbox="DMARC")
    outcome = await court.one(message(), "dmarc@example.org")
    assert outcome.reply.code == 451
    assert reports.kept == []


@pytest.mark.parametrize(
    ("localpart", "field"),
    [("dmarc", "X-Mox-DMARCReport-Error"), ("tls", "X-Mox-TLSReport-Error")],
)
async def test_6_what_is_no_report_is_mail_with_a_note(
    make_court: Any, localpart: str, field: str
) -> None:
    court = make_court(domains=REPORT_DOMAINS, reports=Reports("could not parse report"))
    assert (await court.one(message(), f"{localpart}@example.org")).reply.code == 250
    kept = (await court.messages("DMARC" if localpart == "dmarc" else "TLSRPT"))[0]
    assert kept.field(field) == "could not parse report"
    assert not kept.flags & SEEN
    # Behind the reason, before everything else.
    assert kept.header.split("\r\n")[1].startswith(field)


# --- 8


@pytest.mark.parametrize(
    ("failing", "code", "enhanced"), [([], 550, "5.7.26"), (["author.example"], 451, "4.7.26")]
)
async def test_8_proven_authors_only(
    make_court: Any, failing: list[str], code: int, enhanced: str
) -> None:
    names = {**GOOD_ZONES, "author.example": {"TXT": ["v=spf1 -all"]}}
    text = 'message_auth_required_smtp_error = "prove who you are"\n'
    court = make_court(
        domains=account(destination=text),
        resolver=Zones(names, temporary=[f"_dmarc.{one}" for one in failing]),
    )
    assert (await court.one(message())).reply.code == 250
    outcome = await court.one(message(author="ann@author.example"))
    assert (outcome.reply.code, outcome.reply.enhanced) == (code, enhanced)
    assert outcome.reply.text == "prove who you are"


# --- 9


async def test_9_reputation_decides(court: Court) -> None:
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=True)
    outcome = await court.one(message())
    assert (outcome.reply.code, outcome.reply.text) == (451, "error processing")
    assert (await court.verdict()).reason == "msgfromfull"
    court.memory.mark("me", FRIEND, court.clock.now_ms() + 1, junk=False)
    assert (await court.one(message())).reply.code == 250


@pytest.mark.parametrize(
    ("method", "reason", "options"),
    [
        ("by_history", "reputation-error", ""),
        ("counts", "junk-classify-error", FILTER),
        ("pass_key", "subjectpass-error", SUBJECTPASS),
    ],
)
async def test_9_what_cannot_be_known_is_refused_for_now(
    make_court: Any, method: str, reason: str, options: str
) -> None:
    court = make_court(domains=account(options))
    court.memory.fails.add(method)
    outcome = await court.one(message("Subject: x (pass:AAAAAAAAAAAAAAAAAAAAAA)"))
    assert (outcome.reply.code, outcome.reply.enhanced) == (451, "4.3.0")
    assert (await court.verdict()).reason == reason


async def test_9_other_mailboxes_and_accounts_say_nothing(make_court: Any) -> None:
    """Reputation ideas 16 and 30."""
    rule = """
[[accounts.me.destinations."me@example.org".rulesets]]
msg_from_regexp = "^friend@"
mailbox = "Friends"
"""
    court = make_court(domains=account(destination=rule))
    now = court.clock.now_ms()
    court.memory.mark("me", FRIEND, now, junk=True)
    court.memory.mark("you", FRIEND, now, junk=True, mailbox="Friends")
    assert (await court.one(message())).reply.code == 250
    assert len(await court.messages("Friends")) == 1
    # A mailbox that is not there has no votes; whom the account wrote to counts for all.
    court.memory.wrote("me", "friend@sender.example", now - DAY_MS)
    await court.one(message())
    assert (await court.verdict()).reason == "msgtofull"


# --- 10


async def test_10_the_introbox(make_court: Any) -> None:
    court = make_court(domains=account('introbox = "Introbox"\n'))
    await court.one(message())
    kept = (await court.messages("Introbox"))[0]
    assert (kept.facts.destined, kept.facts.origin) == (
        court_mailbox(court, "Inbox"),
        court_mailbox(court, "Introbox"),
    )
    assert (await court.verdict()).destined == "Inbox"
    # Known by domain only: accepted at once, and still not an acquaintance.
    other = Sender(
        from_localpart="other",
        from_domain="sender.example",
        from_org_domain="sender.example",
        from_validated=True,
    )
    court.memory.mark("me", other, court.clock.now_ms(), junk=False)
    await court.one(message())
    assert (await court.verdict()).reason == "msgfromdomain"
    assert len(await court.messages("Introbox")) == 2
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=False)
    await court.one(message())
    assert len(await court.messages("Inbox")) == 1
    # Refused: it would have gone to Inbox.
    await court.one(message(author="x@stranger.example"), ip="203.0.113.9")
    rejected = (await court.messages("Rejects"))[0]
    assert rejected.facts.destined == court_mailbox(court, "Inbox")


def court_mailbox(court: Court, name: str) -> int:
    return int(court.shard.open_accounts()[0].by_name[name].id)


# --- 12, 13


@pytest.mark.parametrize("record", ["v=spf1 -all", "v=spf1 ~all"])
async def test_12_spf_of_strangers(make_court: Any, record: str) -> None:
    """Reputation idea 15."""
    court = make_court(resolver=Zones({**GOOD_ZONES, "sender.example": {"TXT": [record]}}))
    outcome = await court.one(message())
    assert (outcome.reply.code, outcome.reply.enhanced) == (451, "4.3.0")
    verdict = await court.verdict()
    assert verdict.reason == "spf-policy"
    assert ("SPF not failing", "accepted (no-bad-signals)") in [
        (one.what, one.then) for one in verdict.changes
    ]
    # Not for those we know.
    known = Sender(from_localpart="friend", from_domain="sender.example", from_validated=False)
    court.memory.mark("me", known, court.clock.now_ms(), junk=False)
    assert (await court.one(message())).reply.code == 250


async def test_13_no_reverse_name_and_a_lean_to_junk(make_court: Any) -> None:
    """Reputation section 8: a fresh spammer on one known bad address with one vote."""
    network = Sender(ip1=IP, ip2="198.51.100.0", ip3="198.51.96.0")
    nameless = {name: records for name, records in GOOD_ZONES.items() if name != IP}
    for resolver, reason in ((Zones(nameless), "iprev"), (Zones(GOOD_ZONES), "no-bad-signals")):
        court = make_court(resolver=resolver)
        court.memory.mark("me", network, court.clock.now_ms(), junk=True)
        await court.one(message())
        verdict = await court.verdict()
        assert verdict.reason == reason
        assert verdict.history is not None
        assert (verdict.history.method, verdict.history.conclusive) == ("ip1", False)


# --- 14 to 19


@pytest.mark.parametrize(
    ("body", "arguments", "reason"),
    [
        ("meeting agenda", {}, "no-bad-signals"),
        ("viagra pills", {}, "junk-content"),
        ("viagra pills", {"tls": False}, "junk-content-strict"),
        ("viagra meeting", {}, "no-bad-signals"),  # 0.5
        ("viagra meeting", {"tls": False}, "junk-content-strict"),
        ("viagra meeting", {"ip": "203.0.113.9", "sender": ""}, "junk-content-strict"),
        ("nothing known", {}, "no-bad-signals"),
    ],
)
async def test_15_content(
    make_court: Any, body: str, arguments: dict[str, Any], reason: str
) -> None:
    court = make_court(domains=account(FILTER))
    teach(court)
    outcome = await court.one(message("Subject: .", body=body + "\r\n"), **arguments)
    assert (await court.verdict()).reason == reason
    assert outcome.reply.code == (250 if reason == "no-bad-signals" else 451)


async def test_15_to_whom_it_is_addressed(make_court: Any) -> None:
    """Reputation idea 21."""
    court = make_court(domains=account(FILTER))
    teach(court)
    for to, reason in (
        ("others@elsewhere.example", "junk-content-strict"),
        ("Me <me@example.org>", "no-bad-signals"),
        ("x@y.example\r\nCc: me@EXAMPLE.org", "no-bad-signals"),
    ):
        await court.one(message("Subject: .", to=to, body="viagra meeting\r\n"))
        assert (await court.verdict()).reason == reason, to


async def test_15_a_filter_that_knows_too_little(make_court: Any) -> None:
    """Reputation idea 20."""
    court = make_court(domains=account(FILTER))
    spam = message("Subject: .", body="viagra pills\r\n")
    teach(court, ham=49)
    assert (await court.one(spam)).reply.code == 250
    teach(court, ham=50)
    assert (await court.one(spam)).reply.code == 451
    verdict = await court.verdict()
    assert verdict.content is not None
    assert [word.word for word in verdict.content.spam] == ["viagra", "pills"]
    # Suspicious: also what proves little counts.
    teach(court, ham=49)
    assert (await court.one(spam, ip="203.0.113.9", sender="")).reply.code == 451


async def test_15_the_threshold_is_no_oracle(make_court: Any) -> None:
    court = make_court(domains=account(FILTER.replace("0.95", "0.45")))
    teach(court)
    mild = message("Subject: .", body="viagra meeting\r\n")
    counts = court.memory.words["me"]
    found = classify({b"viagra", b"meeting"}, counts, Parameters())
    assert found.probability == pytest.approx(0.5)
    for chance, code in ((0.0, 451), (0.4, 451), (0.999999, 451)):
        court.chance = chance
        assert (await court.one(mild)).reply.code == code
    court = make_court(domains=account(FILTER.replace("0.95", "0.5")))
    teach(court)
    for chance, code in ((0.0, 451), (0.49, 451), (0.51, 250), (0.999999, 250)):
        court.chance = chance
        assert (await court.one(mild)).reply.code == code, chance


LISTED: dict[str, Any] = {
    "2.0.0.127.bl.example": {"A": ["127.0.0.2"]},
    "7.100.51.198.bl.example": {"A": ["127.0.0.4"]},
}


async def test_16_a_listed_stranger(make_court: Any) -> None:
    court = make_court(resolver=Zones({**GOOD_ZONES, **LISTED}), dnsbls=("bl.example",))
    outcome = await court.one(message())
    assert (outcome.reply.code, outcome.reply.enhanced) == (451, "4.3.0")
    verdict = await court.verdict()
    assert verdict.reason == "dns-blocklisted"
    assert "not being listed in bl.example" in [change.what for change in verdict.changes]
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=False)
    assert (await court.one(message())).reply.code == 250


async def test_16_a_list_that_is_not_well_is_not_believed(make_court: Any) -> None:
    """Reputation idea 19."""
    everything = {**LISTED, "1.0.0.127.bl.example": {"A": ["127.0.0.2"]}}
    nothing = {name: records for name, records in LISTED.items() if not name.startswith("2.")}
    for sick in (everything, nothing):
        court = make_court(resolver=Zones({**GOOD_ZONES, **sick}), dnsbls=("bl.example",))
        assert (await court.one(message())).reply.code == 250


DMARC_PASS: dict[str, Any] = {"_dmarc.sender.example": {"TXT": ["v=DMARC1; p=none"]}}


async def test_18_a_word_for_the_subject(make_court: Any) -> None:
    """Section 15 idea 22."""
    court = make_court(
        domains=account(SUBJECTPASS),
        resolver=Zones({**GOOD_ZONES, **LISTED, **DMARC_PASS}),
        dnsbls=("bl.example",),
    )
    outcome = await court.one(message())
    assert (outcome.reply.code, outcome.reply.enhanced) == (550, "5.7.1")
    assert (await court.verdict()).reason == "give-subjectpass"
    token = outcome.reply.text.rpartition(" ")[2]
    assert token.startswith("(pass:")
    assert (await court.one(message(f"Subject: hi {token}"))).reply.code == 250
    assert (await court.verdict()).reason == "subjectpass"
    # It is for that author, that address, and for a while.
    for author, to, seconds in (
        ("other@sender.example", "me@example.org", 0),
        ("friend@sender.example", "me@example.org", 13 * 3600),
    ):
        court.clock.advance(seconds)
        await court.one(message(f"Subject: hi {token}", author=author), to)
        assert (await court.verdict()).reason == "give-subjectpass"


async def test_18_no_word_without_a_dmarc_pass(make_court: Any) -> None:
    court = make_court(
        domains=account(SUBJECTPASS),
        resolver=Zones({**GOOD_ZONES, **LISTED}),
        dnsbls=("bl.example",),
    )
    assert (await court.one(message())).reply.code == 451


# --- and then


async def test_rejects_that_a_rule_wants(make_court: Any) -> None:
    rule = """
[[accounts.me.destinations."me@example.org".rulesets]]
smtp_mail_from_regexp = "@sender\\\\.example$"
accept_rejects_to_mailbox = "Suspects"
mailbox = "Inbox"
"""
    court = make_court(domains=account(destination=rule))
    court.memory.mark("me", FRIEND, court.clock.now_ms(), junk=True)
    outcome = await court.one(message())
    assert outcome.reply.code == 250
    assert not outcome.refused
    kept = (await court.messages("Suspects"))[0]
    assert kept.flags & SEEN
    assert kept.facts.is_reject
    assert kept.facts.destined == court_mailbox(court, "Inbox")
    assert await court.messages("Rejects") == []
    verdict = await court.verdict()
    assert (verdict.accepted, verdict.is_reject, verdict.mailbox) == (False, True, "Suspects")


async def test_dkim_stands_for_an_author_that_spf_does_not(make_court: Any) -> None:
    court = make_court(
        resolver=Zones(
            {**GOOD_ZONES, **SIGNED, "_dmarc.sender.example": {"TXT": ["v=DMARC1; p=reject"]}}
        )
    )
    raw = signed(message())
    assert (await court.one(raw, sender="x@elsewhere.example")).reply.code == 250
    kept = (await court.messages())[0]
    assert kept.facts.sender.dkim_domains == ("sender.example",)
    assert kept.facts.sender.from_validated
    assert kept.raw.endswith(raw)
    assert (await court.one(message(), sender="x@elsewhere.example")).reply.code == 550
