"""What must fit together.    One row per rule of spec/config.md."""

import pytest

from mox.config import load
from mox.config.problems import ConfigInvalid


def problems(static: str, domains: str) -> list[str]:
    try:
        load.load(static, domains)
    except ConfigInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('hostname = "mail.', 'hostname = "Mail.', "hostname: write the domain in Unicode and low"),
        ('"mail.example.org"', '"xn--bcher-kva.example"', "lower case: bücher.example"),
        ('"mail.example.org"', '"-x-"', "hostname: '-x-' is not a domain name"),
        ('"mail.example.org"', '""', "hostname: '' is not a domain name"),
        ('"mx.example.org"', '"mx..org"', "listeners.public.hostname: "),
        ('"../data"', '""', "data_dir: must not be empty"),
        ('"Postmaster"', '"#x"', "postmaster.mailbox: "),
        ('"Postmaster"', '"e\u0301"', "form NFC"),
        ('account = "me"', 'account = "nobody"', "postmaster.account: there is no account"),
        ('ips = ["127.0.0.1"]', "ips = []", "listeners.internal.ips: at least one address"),
        ('"127.0.0.1"', '"127.0.0.1", "host"', "listeners.internal.ips[1]: 'host' is not an IP"),
        ("[[listeners.public.tls.key_certs]]", "[listeners.public.tls]\n#", "unknown key"),
    ],
)
def test_static(static_text: str, domains_text: str, old: str, new: str, said: str) -> None:
    told = problems(static_text.replace(old, new, 1), domains_text)
    assert (said in told[0]) if said else (told == [])


def without_tls(static_text: str) -> str:
    start = static_text.index("[[listeners.public.tls")
    return static_text[:start] + static_text[static_text.index("[listeners.public.smtp]") :]


def test_tls_is_needed(static_text: str, domains_text: str) -> None:
    """spec/config.md section 4; also IMAP with STARTTLS, which the reference forgets."""
    static = without_tls(static_text) + (
        "[listeners.public.imap]\nenabled = true\n[listeners.public.submission]\nenabled = true\n"
    )
    (told,) = problems(static, domains_text)
    assert told.endswith(
        "listeners.public: a tls table is needed for imaps, imap (or imap.no_require_starttls),"
        " smtp (or smtp.no_starttls), submissions, submission (or submission.no_require_starttls)"
    )


def test_tls_is_not_needed(static_text: str, domains_text: str) -> None:
    static = (
        without_tls(static_text)
        .replace("[listeners.public.submissions]\nenabled = true\n", "")
        .replace("[listeners.public.imaps]\nenabled = true\n", "")
        .replace("[listeners.public.smtp]", "[listeners.public.smtp]\nno_starttls = true")
    )
    static += "[listeners.internal.imap]\nenabled = true\nno_require_starttls = true\n"
    static += "[listeners.internal.submission]\nenabled = true\nno_require_starttls = true\n"
    assert problems(static, domains_text) == []


def test_tls_without_certificate(static_text: str, domains_text: str) -> None:
    told = problems(static_text + "[listeners.internal.tls]\n", domains_text)
    assert "listeners.internal.tls.key_certs: at least one certificate is needed" in told[0]


def test_starttls_required_and_refused(static_text: str, domains_text: str) -> None:
    static = static_text.replace(
        "[listeners.public.smtp]",
        "[listeners.public.smtp]\nno_starttls = true\nrequire_starttls = true",
    )
    assert (
        "listeners.public.smtp: no_starttls and require_starttls"
        in problems(static, domains_text)[0]
    )


def test_two_services_on_one_port(static_text: str, domains_text: str) -> None:
    static = static_text.replace('"127.0.0.1"', '"127.0.0.1", "192.0.2.1"').replace(
        "[listeners.internal.metrics_http]", "[listeners.internal.metrics_http]\nport = 993"
    )
    (told,) = problems(static, domains_text)
    assert told.endswith(
        "listeners.internal.metrics_http: port 993 on 192.0.2.1 is already that of"
        " listeners.public.imaps"
    )


def test_no_listeners(static_text: str, domains_text: str) -> None:
    static = static_text[: static_text.index("[listeners.public]")] + "[listeners]\n"
    assert "listeners: at least one listener is needed" in problems(static, domains_text)[0]


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ('regular = ["a/b"]', "'a/b' would be a mailbox in another"),
        ('regular = ["INBOX"]', "Inbox is always made"),
        ('regular = ["#x"]', "must not start with #"),
        ('regular = ["x"]\nspecial_use = { sent = "x" }', "'x' is named twice"),
        ('regular = ["x"]\nspecial_use = { sent = "Sent", junk = "Spam" }', ""),
    ],
)
def test_initial_mailboxes(static_text: str, domains_text: str, section: str, said: str) -> None:
    told = problems(f"{static_text}[initial_mailboxes]\n{section}\n", domains_text)
    assert (said in told[0]) if said else (told == [])


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ('[domains."xn--bcher-kva.example"]', "lower case: bücher.example"),
        ('[domains."EXAMPLE.net"]', "lower case: example.net"),
        ('[domains."x y"]', "'x y' is not a domain name"),
        (
            '[domains."x.y"]\nlocalpart_catchall_separator = "+"\n'
            'localpart_catchall_separators = ["-"]',
            "give either",
        ),
        ('[domains."x.y"]\nlocalpart_catchall_separators = ["-", "-"]', "named twice"),
        ('[domains."x.y"]\nlocalpart_catchall_separators = [""]', "a separator is empty"),
        (
            '[domains."x.y"]\nlocalpart_catchall_separators = [""]\n'
            'aliases.all = {addresses = ["me@example.org"]}',
            "a separator is empty",
        ),
        ('[domains."x.y"]\nlocalpart_catchall_separator = "@"', "a separator has an @"),
        ('[accounts.x]\ndomain = "nowhere.example"', "accounts.x.domain: there is no domain"),
        ('[accounts."x/y"]\ndomain = "example.org"', "the name of an account has no control"),
        ('[accounts.""]\ndomain = "example.org"', "the name of an account has 1 to 256"),
        ('[accounts.x]\ndomain = "example.org"\nlogin_disabled = "é"', "printable ASCII"),
        (
            f'[accounts.x]\ndomain = "example.org"\nlogin_disabled = "{"x" * 257}"',
            "at most 256",
        ),
        (
            '[accounts.x]\ndomain = "example.org"\nimap_capabilities_disabled = ["IDLE", "a b"]',
            "imap_capabilities_disabled[1]: 'a b' cannot be the name",
        ),
        ('[accounts.other.destinations."a+b@example.org"]', "the local part has the separator '+'"),
        ('[accounts.other.destinations."a--b@bücher.example"]', "has the separator '--'"),
        ('[accounts.other.destinations."ME@example.org"]', "the same address as accounts.me"),
        ('[accounts.me.destinations."@bücher.example"]', "the same address as accounts."),
        ('[accounts.me.destinations."x@nowhere.example"]', "there is no domain 'nowhere.example'"),
        ('[accounts.me.destinations."x@xn--bcher-kva.example"]', "in Unicode and lower case: büch"),
        ('[accounts.me.destinations."me"]', "not an address; write"),
        ('[accounts.me.destinations."a..b@example.org"]', "not an address"),
        ('[accounts.me.destinations."x@example.org"]\nmailbox = "a//b"', "empty component"),
        ('[accounts.me.destinations."x@example.org"]\nsmtp_error = "500 x"', "begin with 421 or"),
        ('[accounts.me.destinations."x@example.org"]\nsmtp_error = "5500"', "begin with 421 or"),
        ('[accounts.me.destinations."x@example.org"]\nsmtp_error = "550 é"', "printable ASCII"),
        (
            '[accounts.me.destinations."x@example.org"]\nmailbox = "a"\nsmtp_error = "421"',
            "exclude each other",
        ),
        ('[accounts.me.destinations."ME@bücher.example"]', ""),  # the domain is case sensitive
        ('[accounts.me.destinations."x@example.org"]\nsmtp_error = "421"', ""),
        ('[accounts.x]\ndomain = "example.org"\nquota_message_size = -1', ""),
    ],
)
def test_domains(static_text: str, domains_text: str, add: str, said: str) -> None:
    if add.startswith("[accounts.other.destinations"):
        domains_text = (
            domains_text.replace("[accounts.other.destinations]\n", "")
            .replace('"other@', 'destinations."other@')
            .replace('"@b', 'destinations."@b')
            .replace('"gone@', 'destinations."gone@')
        )
        add = add.replace("[accounts.other.destinations.", "destinations.").replace("]", " = {}", 1)
    told = problems(static_text, f"{domains_text}\n{add}\n")
    assert (len(told) == 1 and said in told[0]) if said else (told == []), told
