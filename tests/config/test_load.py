"""TOML text → structs: what is wrong is told with file, line and key, and all of it."""

import pytest

from mox.config import load
from mox.config.problems import ConfigInvalid
from mox.config.static import DEFAULT_MAILBOXES


def problems(static: str, domains: str) -> list[str]:
    try:
        load.load(static, domains)
    except ConfigInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_a_right_configuration(static_text: str, domains_text: str) -> None:
    config = load.load(static_text, domains_text)
    static = config.static
    assert static.hostname == "mail.example.org"
    assert static.user == "mox"
    assert static.initial_mailboxes == DEFAULT_MAILBOXES
    public = static.listeners["public"]
    assert public.ips == ("192.0.2.1", "2001:db8::1")
    assert (public.smtp.enabled, public.smtp.port) == (True, 25)
    assert (public.submission.enabled, public.submission.port) == (False, 587)
    assert public.smtp_max_message_size == 100 * 1024 * 1024
    assert public.tls is not None
    assert public.tls.key_certs[0].cert_file == "tls/a.crt"
    assert public.tls.min_version == "TLSv1.2"
    assert set(config.domains.accounts) == {"me", "other"}


@pytest.mark.parametrize(
    ("add", "key", "text"),
    [
        ("[listeners.internal.imapp]", "listeners.internal.imapp", "unknown key"),
        ("[listeners.internal.imap]\nenabld = true", "listeners.internal.imap.enabld", "unknown"),
        ('[listeners."a b"]\nips = ["::1"]\nx = 1', 'listeners."a b".x', "unknown key"),
        ("[listeners.x]\nips = 7", "listeners.x.ips", "expected an array, got a whole number"),
        ('[listeners.x]\nips = [\n"::1",\n8]', "listeners.x.ips[1]", "expected a text"),
        ('[listeners.x]\nhostname = "x"', "listeners.x.ips", "required, but missing"),
        ('[listeners]\nx = "::1"', "listeners.x", "expected a table, got a text"),
        (
            '[listeners.x]\nips = ["::1"]\nimap = { enabled = 1 }',
            "listeners.x.imap.enabled",
            "expected true or false, got a whole number",
        ),
        (
            '[listeners.x]\nips = ["::1"]\n[listeners.x.imap]\nport = 65536',
            "listeners.x.imap.port",
            "<= 65535",
        ),
        (
            '[listeners.x]\nips = ["::1"]\n[listeners.x.tls]\nmin_version = "TLSv1.4"',
            "listeners.x.tls.min_version",
            "must be one of TLSv1.0, TLSv1.1, TLSv1.2, TLSv1.3; it is 'TLSv1.4'",
        ),
        (
            '[[listeners.internal.tls.key_certs]]\ncert_file = "c"',
            "listeners.internal.tls.key_certs[0].key_file",
            "required, but missing",
        ),
        ("[initial_mailboxes.special_use]\nsent = 1979-05-27", "initial_mailboxes", "got a date"),
    ],
)
def test_a_wrong_key_or_type(
    static_text: str, domains_text: str, add: str, key: str, text: str
) -> None:
    told = problems(f"{static_text}\n{add}\n", domains_text)
    assert len(told) == 1, told
    where, found_key, said = told[0].split(": ", 2)
    assert found_key.startswith(key)
    assert text in said
    file, line = where.split(":")
    assert file == "mox.toml"
    assert int(line) > static_text.count("\n") + 1


def test_the_line_is_that_of_the_key(static_text: str, domains_text: str) -> None:
    broken = static_text.replace("[listeners.public.imaps]\nenabled", "[listeners.public.imaps]\nx")
    line = line_of(broken, "x = true")
    assert problems(broken, domains_text) == [
        f"mox.toml:{line}: listeners.public.imaps.x: unknown key"
    ]


def test_missing_hostname(static_text: str, domains_text: str) -> None:
    told = problems(static_text.replace('hostname = "mail.example.org"\n', ""), domains_text)
    assert told == ["mox.toml: hostname: required, but missing"]


def test_log_level(static_text: str, domains_text: str) -> None:
    told = problems(static_text.replace('"info"', '"loud"'), domains_text)
    assert told == ["mox.toml:3: log_level: must be one of error, warn, info, debug; it is 'loud'"]
    told = problems(static_text + '[package_log_levels]\nsmtpserver = "loud"\n', domains_text)
    assert ": package_log_levels.smtpserver: must be one of" in told[0]


def test_every_problem_of_both_files_is_told(static_text: str, domains_text: str) -> None:
    static = static_text.replace('hostname = "mail', 'hostnam = "mail').replace(
        "log_level", "loglevel"
    )
    domains = domains_text.replace('mailbox = "Books"', "mailbox = 5\nx = 1")
    told = problems(static, domains)
    assert {one.split(": ", 2)[1] for one in told} == {
        "log_level",
        "hostname",
        "loglevel",
        "hostnam",
        'accounts.me.destinations."Me@bücher.example".mailbox',
        'accounts.me.destinations."Me@bücher.example".x',
    }
    assert len(told) == 6
    assert {one.split(":")[0] for one in told} == {"mox.toml", "domains.toml"}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("a = 1\nb = = 2\n", 2, "Invalid value"),
        ("a = 1\na = 2\n", 2, "Cannot overwrite"),
        ('a = "open', 1, ""),
        ("a = " + "[" * 100_000, 0, "nested too deeply"),
    ],
)
def test_not_toml(static_text: str, text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load.load(static_text, text)
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("domains.toml", line)
    assert said in problem.text


def test_too_large(static_text: str, domains_text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "CONFIG_FILE", 100)
    assert "larger than 100" in problems(static_text, domains_text)[0]


def test_file_names_are_those_given(static_text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"^etc/d\.toml: accounts: required, but missing$"):
        load.load(static_text, "[domains]", domains_file="etc/d.toml")


def test_reload_tells_what_does_not_fit_the_static_file(static_text: str) -> None:
    static = load.parse_static(static_text)
    with pytest.raises(ConfigInvalid) as caught:
        load.load_domains(static, "[domains]\n[accounts]\n")
    assert str(caught.value) == (
        "domains.toml: there is no account 'me' in domains.toml (postmaster.account of mox.toml)"
    )


def test_static_alone(static_text: str) -> None:
    with pytest.raises(ConfigInvalid, match=r"mox\.toml:4: hostname: .*bücher\.example"):
        load.parse_static(static_text.replace('"mail.example.org"', '"xn--bcher-kva.example"'))
    with pytest.raises(ConfigInvalid, match="hostname: required"):
        load.parse_static("")
