"""What must fit together in ``domains.toml``, for mail that is judged, forwarded and signed."""

import pytest

from mox.config import load
from mox.config.problems import ConfigInvalid

BASE = """\
[domains."example.org"]
localpart_catchall_separator = "+"
{domain}
[domains."example.net"]
[accounts.me]
domain = "example.org"
{account}
[accounts.me.destinations."me@example.org"]
{destination}
[accounts.other]
domain = "example.org"
[accounts.other.destinations."other@example.org"]
[accounts.other.destinations."@example.net"]
{end}
"""
STATIC_END = "\n[transports.relay]\n"


def check(static_text: str, said: str, **parts: str) -> None:
    """Exactly one problem that says so; empty: none."""
    text = BASE.format(**{"domain": "", "account": "", "destination": "", "end": "", **parts})
    told: list[str] = []
    try:
        load.load(static_text + STATIC_END, text)
    except ConfigInvalid as error:
        told = [str(problem) for problem in error.problems]
    assert (len(told) == 1 and said in told[0]) if said else told == [], told
    if said:
        assert told[0].startswith("domains.toml:")


DKIM = '[domains."example.org".dkim]\nsign = ["a"]\n[domains."example.org".dkim.selectors.a]\n'
KEY = 'private_key_file = "a.pem"\n'


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (DKIM + KEY, ""),
        (DKIM, "dkim.selectors.a.private_key_file: required, but missing"),
        (DKIM + 'private_key_file = ""', "dkim.selectors.a.private_key_file: must not be empty"),
        (
            DKIM.replace("[", "[", 1).replace('["a"]', '["b"]') + KEY,
            "sign[0]: there is no selector",
        ),
        (DKIM.replace('["a"]', '["a", "a"]') + KEY, "dkim.sign[1]: 'a' is named twice"),
        (
            DKIM.replace("selectors.a", 'selectors."A"').replace('["a"]', '["A"]') + KEY,
            "in Unicode",
        ),
        (DKIM.replace("selectors.a", 'selectors."a.b"').replace('["a"]', '["a.b"]') + KEY, ""),
        (DKIM + KEY + 'hash = "sha256"', ""),
        (DKIM + KEY + 'hash = "sha1"', "hash: must be one of sha256; it is 'sha1'"),  # RFC 8301
        (DKIM + KEY + 'hash = "md5"', "hash: must be one of sha256; it is 'md5'"),
        (DKIM + KEY + 'headers = ["FROM", "Subject"]', ""),
        (DKIM + KEY + 'headers = ["To"]', "dkim.selectors.a.headers: From must be one of them"),
        (DKIM + KEY + 'headers = ["From", "a b"]', "headers[1]: 'a b' is not a field name"),
        (DKIM + KEY + 'expiration = "72h"\ncanonicalization.header_relaxed = true', ""),
        ('client_settings_domain = "mail.example.org"', ""),
        ('client_settings_domain = "Mail.example.org"', "client_settings_domain: write the domain"),
    ],
)
def test_domain(static_text: str, add: str, said: str) -> None:
    check(static_text, said, domain=add)


REPORT = 'dmarc = {{ localpart = "{0}", account = "{1}", mailbox = "{2}", domain = "{3}" }}'


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("reports", "me", "DMARC", ""), ""),
        (("a+b", "me", "DMARC", ""), ""),  # old files have separators there
        (("reports", "me", "DMARC", "example.net"), ""),
        (
            ("reports", "me", "DMARC", "example.com"),
            "dmarc.domain: there is no domain 'example.com'",
        ),
        (("reports", "you", "DMARC", ""), "dmarc.account: there is no account 'you'"),
        (("reports", "me", "#", ""), "dmarc.mailbox: '#': "),
        (("repörts", "me", "DMARC", ""), "dmarc.localpart: 'repörts' is not a local part of ASCII"),
        (("", "me", "DMARC", ""), "dmarc.localpart: '' is not a local part of ASCII"),
        (("Me", "me", "DMARC", ""), 'the same address as domains."example.org".dmarc'),
    ],
)
def test_reports(static_text: str, values: tuple[str, ...], said: str) -> None:
    check(static_text, said, domain=REPORT.format(*values))


def test_one_address_for_several_reports(static_text: str) -> None:
    same = 'tlsrpt = { localpart = "Reports", account = "me", mailbox = "DMARC" }\n'
    dmarc = REPORT.format("reports", "me", "DMARC", "")
    check(static_text, "", domain=f"{dmarc}\n{same}")
    check(
        static_text,
        'tlsrpt: the same address as domains."example.org".dmarc, but for another mailbox',
        domain=dmarc + "\n" + same.replace('"DMARC"', '"TLS"'),
    )


MTASTS = 'mtasts = {{ policy_id = "{0}", mode = "{1}", max_age = "{2}", mx = {3} }}'


@pytest.mark.rfc("8461 §3")
@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("20261129T1", "enforce", "24h", '["mx.example.org", "*.example.net"]'), ""),
        (("1", "none", "8766h", "[]"), ""),
        (("1-1", "none", "24h", "[]"), "mtasts.policy_id: must be 1 to 32 letters and digits"),
        (("x" * 33, "none", "24h", "[]"), "mtasts.policy_id: must be 1 to 32 letters and digits"),
        (("1", "off", "24h", "[]"), "mtasts.mode: must be one of enforce, testing, none; it is"),
        (("1", "none", "0s", "[]"), "mtasts.max_age: must be at most"),
        (("1", "none", "8767h", "[]"), "mtasts.max_age: must be at most 31557600 seconds"),
        (("1", "none", "24h", '["*"]'), "mtasts.mx[0]: '*' is not a domain name"),
        (("1", "none", "24h", '["a.*.b"]'), "mtasts.mx[0]: 'a.*.b' is not a domain name"),
    ],
)
def test_mtasts(static_text: str, values: tuple[str, ...], said: str) -> None:
    check(static_text, said, domain=MTASTS.format(*values))


@pytest.mark.parametrize(
    ("localpart", "addresses", "said"),
    [
        ("team", '["me@example.org", "other@example.org"]', ""),
        ('"two words"', '["me@example.org"]', "not the local part of an address"),
        ("'\"two words\"'", '["me@example.org"]', ""),
        ('""', '["me@example.org"]', 'aliases."": not the local part of an address'),
        ("team", "[]", "aliases.team.addresses: at least one address is needed"),
        ("team", '["me@example.org", "ME@example.org"]', "[1]: 'ME@example.org' is named twice"),
        ("team", '["who@example.org"]', "[0]: 'who@example.org' is not an address of an account"),
        ("team", '["any@example.net"]', "'any@example.net' is not an address of an account"),
        ("team", '["@example.net"]', "[0]: '@example.net' is not an address of an account"),
        ("team", '["me"]', "[0]: 'me' is not an address of an account"),
        ("team", '["team@example.org"]', "'team@example.org' is not an address of an account"),
        ("team", '["x@gmail.example"]', "'x@gmail.example' is not an address of an account"),
        ('"a+b"', '["me@example.org"]', "aliases.\"a+b\": the local part has the separator '+'"),
        ("ME", '["me@example.org"]', "aliases.ME: the same address as accounts.me.destinations."),
    ],
)
def test_aliases(static_text: str, localpart: str, addresses: str, said: str) -> None:
    check(static_text, said, domain=f"aliases.{localpart}.addresses = {addresses}")


def test_two_aliases_of_one_name(static_text: str) -> None:
    two = 'aliases.a.addresses = ["me@example.org"]\naliases.A.addresses = ["me@example.org"]'
    check(static_text, 'the same address as domains."example.org".aliases.a', domain=two)


@pytest.mark.parametrize(
    ("route", "said"),
    [
        ('transport = "relay"', ""),
        (
            'from_domain = [".example.org", "."]\nto_domain = ["bücher.example"]\n'
            'minimum_attempts = 2\ntransport = "relay"',
            "",
        ),
        ('to_domain = ["example.org"]', "routes[0].transport: required, but missing"),
        ('transport = ""', "routes[0].transport: there is no transport '' in mox.toml"),
        ('transport = "smart"', "routes[0].transport: there is no transport 'smart' in mox.toml"),
        (
            'transport = "relay"\nto_domain = ["x.y", "..x"]',
            "routes[0].to_domain[1]: '.x' is not a",
        ),
        (
            'transport = "relay"\nfrom_domain = [".X.y"]',
            "routes[0].from_domain[0]: write the domain",
        ),
        ('transport = "relay"\nminimum_attempts = -1', "routes[0].minimum_attempts: "),
    ],
)
@pytest.mark.parametrize("place", ["", 'domains."example.org".', "accounts.me."])
def test_routes(static_text: str, place: str, route: str, said: str) -> None:
    check(static_text, place * bool(said) + said, end=f"[[{place}routes]]\n{route}")


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ('rejects_mailbox = "Rejects"\nkeep_rejects = true\nintrobox = "New"', ""),
        ('rejects_mailbox = "INBOX"', "accounts.me.rejects_mailbox: must not be Inbox"),
        ('rejects_mailbox = "Inbox/Rejects"', ""),
        ('rejects_mailbox = "a//b"', "accounts.me.rejects_mailbox: 'a//b': "),
        ('introbox = "inbox"', "accounts.me.introbox: must not be Inbox"),
        ('introbox = "R"\nrejects_mailbox = "R"', "introbox: must not be the rejects_mailbox"),
        ('automatic_junk_flags.junk_mailbox_regexp = "^(junk|spam)"', ""),
        ('automatic_junk_flags.junk_mailbox_regexp = "("', "junk_mailbox_regexp: not a regular ex"),
        (
            f'automatic_junk_flags.neutral_mailbox_regexp = "{"x" * 1001}"',
            "neutral_mailbox_regexp: a regular expression has at most 1000 characters",
        ),
        ('automatic_junk_flags.notjunk_mailbox_regexp = "*"', "notjunk_mailbox_regexp: not a reg"),
        ("junk_filter = {}", ""),
        ("junk_filter = { onegrams = false, threegrams = true }", ""),
        ("junk_filter = { onegrams = false }", "junk_filter: at least one of onegrams, twograms"),
        ("junk_filter = { threshold = 1.01 }", "junk_filter.threshold: "),
        ("junk_filter = { max_power = 0.5 }", "junk_filter.max_power: "),
        ("junk_filter = { top_words = 0 }", "junk_filter.top_words: "),
        ("junk_filter = { ignore_words = -0.1 }", "junk_filter.ignore_words: "),
        ("junk_filter = { rare_words = 11 }", "junk_filter.rare_words: "),
        ('subject_pass.period = "12h"', ""),
        ('subject_pass.period = "12"', "accounts.me.subject_pass.period: not a duration: '12'"),
        ("max_outgoing_messages_per_day = 0", "max_outgoing_messages_per_day: "),
        ("max_first_time_recipients_per_day = 0", "max_first_time_recipients_per_day: "),
        ('from_id_login_addresses = ["ME+x@example.org"]', ""),
        (
            'from_id_login_addresses = ["other@example.org"]',
            "[0]: 'other@example.org' is not an ad",
        ),
        ('from_id_login_addresses = ["nobody@example.org"]', "is not an address of the account"),
        ('from_id_login_addresses = ["@example.org"]', "is not an address of one of our domains"),
        (
            'from_id_login_addresses = ["me@gmail.example"]',
            "is not an address of one of our domains",
        ),
    ],
)
def test_account(static_text: str, add: str, said: str) -> None:
    check(static_text, said, account=add)


def test_a_login_with_a_sender_of_its_own_needs_a_separator(static_text: str) -> None:
    text = 'from_id_login_addresses = ["any@example.net"]'
    check(
        static_text,
        "[0]: domain 'example.net' needs a localpart_catchall_separator",
        end=f'[accounts.third]\ndomain = "example.org"\n{text}'
        '\n[accounts.third.destinations."any@example.net"]',
    )


MAILBOX = 'mailbox = "Lists"\n'


@pytest.mark.parametrize(
    ("ruleset", "said"),
    [
        (MAILBOX + 'smtp_mail_from_regexp = "^x@"', ""),
        (MAILBOX + 'msg_from_regexp = "^x@"', ""),
        (MAILBOX + 'verified_domain = "bücher.example"\ncomment = "x"', ""),
        (MAILBOX + 'headers_regexp = { "^list-id$" = "<x\\\\.example>" }', ""),
        ('verified_domain = "x.y"', "rulesets[0].mailbox: required, but missing"),
        ('verified_domain = "x.y"\nmailbox = ""', "rulesets[0].mailbox: "),
        (MAILBOX, "rulesets[0]: at least one condition is needed: smtp_mail_from_regexp, msg_from"),
        (MAILBOX + 'list_allow_domain = "x.y"', "rulesets[0]: at least one condition is needed"),
        (
            MAILBOX + 'msg_from_regexp = "["',
            "rulesets[0].msg_from_regexp: not a regular expression",
        ),
        (MAILBOX + 'smtp_mail_from_regexp = "("', "rulesets[0].smtp_mail_from_regexp: not a reg"),
        (
            MAILBOX + 'verified_domain = "X.y"',
            "verified_domain: write the domain in Unicode and low",
        ),
        (
            MAILBOX + 'verified_domain = "x.y"\nlist_allow_domain = "-"',
            "list_allow_domain: '-' is not a domain name",
        ),
        (MAILBOX + 'headers_regexp = { "List-Id" = "x" }', "'List-Id' must be in lower case"),
        (MAILBOX + 'headers_regexp = { "list-id" = "X" }', "'X' must be in lower case, as fields"),
        (
            MAILBOX + 'headers_regexp = { "(" = "x" }',
            'headers_regexp."(": not a regular expression',
        ),
        (
            MAILBOX + 'is_forward = true\nverified_domain = "x.y"\nsmtp_mail_from_regexp = "x"',
            "",
        ),
        (
            MAILBOX + 'is_forward = true\nverified_domain = "x.y"',
            "is_forward: needs smtp_mail_from",
        ),
        (
            MAILBOX + 'is_forward = true\nsmtp_mail_from_regexp = "x"',
            "is_forward: needs smtp_mail_",
        ),
        (
            MAILBOX + 'is_forward = true\nverified_domain = "x.y"\nsmtp_mail_from_regexp = "x"\n'
            'list_allow_domain = "x.y"',
            "rulesets[0]: is_forward and list_allow_domain exclude each other",
        ),
        (MAILBOX + 'verified_domain = "x.y"\naccept_rejects_to_mailbox = "Bad"', ""),
        (
            MAILBOX + 'verified_domain = "x.y"\naccept_rejects_to_mailbox = "inbox"',
            "accept_rejects_to_mailbox: must not be Inbox",
        ),
    ],
)
def test_rulesets(static_text: str, ruleset: str, said: str) -> None:
    place = 'accounts.me.destinations."me@example.org".rulesets'
    check(static_text, said, destination=f"[[{place}]]\n{ruleset}")


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ('message_auth_required_smtp_error = "prove it"', ""),
        (
            'message_auth_required_smtp_error = "é"',
            "smtp_error: must be printable ASCII of at most",
        ),
        (
            'smtp_error = "550 no"\nrulesets = [{ mailbox = "x", verified_domain = "x.y" }]',
            "smtp_error and rulesets exclude each other",
        ),
    ],
)
def test_destination(static_text: str, add: str, said: str) -> None:
    check(static_text, said, destination=add)


def test_what_is_said_of_both_files_names_the_right_one(static_text: str) -> None:
    static = load.parse_static(static_text + STATIC_END)
    text = BASE.format(domain="", account="", destination="", end="")
    load.load_domains(static, text)
    with pytest.raises(ConfigInvalid) as error:
        load.load_domains(static, text + '[[routes]]\ntransport = "x"\n')
    (problem,) = error.value.problems
    assert str(problem) == (
        "domains.toml:16: routes[0].transport: there is no transport 'x' in mox.toml"
    )
