"""What must fit together in ``mox.toml``, for mail that is judged and mail that is sent."""

import pytest

from mox.config import load
from mox.config.duration import Duration
from mox.config.problems import ConfigInvalid


def problems(static: str, domains: str) -> list[str]:
    try:
        load.load(static, domains)
    except ConfigInvalid as error:
        return [str(problem) for problem in error.problems]
    return []


RELAY = '[transports.relay.submission]\nhost = "smtp.example.net"\n'
AUTH = RELAY + '[transports.relay.submission.auth]\nusername = "u"\npassword = "p"\n'
SOCKS = (
    '[transports.proxy.socks]\naddress = "127.0.0.1:1080"\nremote_ips = ["192.0.2.7"]\n'
    'remote_hostname = "proxy.example.org"\n'
)
HOST = '[host_tlsrpt]\naccount = "me"\nmailbox = "TLS"\nlocalpart = "tls"\n'


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (HOST, ""),
        (HOST.replace('"me"', '"x"'), "host_tlsrpt.account: there is no account 'x' in domains"),
        (HOST.replace('"TLS"', '"a//b"'), "host_tlsrpt.mailbox: "),
        (HOST.replace('"tls"', '"tlß"'), "host_tlsrpt.localpart: 'tlß' is not a local part of AS"),
        (HOST.replace('"tls"', '""'), "host_tlsrpt.localpart: '' is not a local part"),
        ("[tls.ca]", "tls.ca: no certificate would be trusted"),
        ("[tls.ca]\nadditional_to_system = true", ""),
        ('[tls.ca]\ncert_files = ["ca.pem"]', ""),
        (
            '[dns]\nresolvers = ["192.0.2.1", "192.0.2.1:5353", "::1", "[::1]", "[::1]:53"]'
            "\ntrusted = true",
            "",
        ),
        (
            '[dns]\nresolvers = ["ns.example.org"]',
            "dns.resolvers[0]: 'ns.example.org' is not an IP",
        ),
        ('[dns]\nresolvers = ["192.0.2.1:0"]', "is not an IP address, or not one with a port"),
        ('[dns]\nresolvers = ["192.0.2.1:99999"]', "is not an IP address, or not one with a"),
        ('[dns]\nresolvers = ["192.0.2.1:"]', "is not an IP address, or not one with a"),
        ('[dns]\nresolvers = ["[::1]53"]', "is not an IP address, or not one with a"),
        ('[dns]\nresolvers = ["[::1"]', "is not an IP address, or not one with a"),
        ('[dns]\nresolvers = ["[::1]:"]', "is not an IP address, or not one with a"),
        (RELAY, ""),
        ("[transports.plain]", ""),
        (
            RELAY + "[transports.relay.direct]\n",
            "transports.relay: submission, direct exclude each other",
        ),
        (RELAY.replace("smtp.", "SMTP."), "submission.host: write the domain in Unicode and lower"),
        (RELAY.replace("smtp.example.net", "192.0.2.1"), ""),
        (RELAY.replace("submission", "submissions"), ""),
        (
            RELAY.replace("submission", "submissions") + "no_starttls = true\n",
            "transports.relay.submissions.no_starttls: unknown key",
        ),
        (RELAY + "no_starttls = true\nstarttls_insecure_skip_verify = true\n", ""),
        (RELAY + "port = 0\n", "transports.relay.submission.port: "),
        (AUTH, ""),
        (AUTH + 'mechanisms = ["PLAIN", "CRAM-MD5"]', ""),
        (AUTH + 'mechanisms = ["PLAIN", "PLAIN"]', "auth.mechanisms[1]: 'PLAIN' is named twice"),
        (AUTH + 'mechanisms = ["LOGIN"]', "auth.mechanisms[0]: must be one of SCRAM-SHA-256-PLUS,"),
        (AUTH.replace('"u"', '""'), "auth.username: must not be empty"),
        (AUTH.replace('password = "p"\n', ""), "auth.password: required, but missing"),
        (SOCKS, ""),
        (SOCKS.replace("127.0.0.1:1080", "[::1]:1080"), ""),
        (SOCKS.replace(":1080", ""), "socks.address: '127.0.0.1' is not a host and a port"),
        (SOCKS.replace("127.0.0.1", "?"), "socks.address: '?:1080' is not a host and a port"),
        (SOCKS.replace('"192.0.2.7"', '"x"'), "socks.remote_ips[0]: 'x' is not an IP address"),
        (SOCKS.replace('"proxy.example.org"', '""'), "socks.remote_hostname: '' is not a domain"),
        ("[transports.x.direct]\ndisable_ipv4 = true", ""),
        (
            "[transports.x.direct]\ndisable_ipv4 = true\ndisable_ipv6 = true",
            "transports.x.direct: disable_ipv4 and disable_ipv6 exclude each other",
        ),
        ("[transports.x.fail]\nsmtp_code = 450", ""),
        ("[transports.x.fail]\nsmtp_code = 250", "transports.x.fail.smtp_code: "),
        ('[transports.x.fail]\nsmtp_message = "é"', "smtp_message: must be printable ASCII"),
        ('[queue]\nretry_after = []\nretry_every = "1h"', ""),
        (
            '[queue]\nretry_after = ["1m", "1s"]',
            "queue.retry_after[1]: must be 10 seconds at least",
        ),
        (f"[queue]\nretry_after = {['1m'] * 101}", "queue.retry_after: at most 100 pauses"),
        ('[queue]\nretry_every = "0s"', "queue.retry_every: must be 10 seconds at least"),
        ('[queue]\ngive_up_after = "0s"', "queue.give_up_after: must be more than 0s"),
        (
            "[queue]\nretry_every = 60",
            'queue.retry_every: expected a duration such as "1h30m", got',
        ),
        ('[queue]\nretry_every = "1d"', "queue.retry_every: not a duration: '1d'; write it like"),
        ("[rate_limits]\nmessages_per_day = [1, 2, 3]", ""),
        ("[rate_limits]\nmessages_per_day = [1, 2]", "messages_per_day: expected 3 values, got 2"),
        ("[rate_limits]\nmessages_per_day = [0, 2, 3]", "rate_limits.messages_per_day[0]: "),
        ("[rate_limits]\nmessages_per_day = 5", "rate_limits.messages_per_day: "),
        ("[verdicts]\nkeep_days = 0\nkeep_bytes = 0", ""),
        ("[verdicts]\nkeep_days = -1", "verdicts.keep_days: "),
    ],
)
def test_options(static_text: str, domains_text: str, add: str, said: str) -> None:
    told = problems(f"{static_text}\n{add}\n", domains_text)
    assert (len(told) == 1 and said in told[0]) if said else told == [], told


@pytest.mark.parametrize(
    ("add", "said"),
    [
        ('dnsbls = ["sbl.example.org", "bl.example.net"]', ""),
        (
            'dnsbls = ["sbl.example.org", "sbl.example.org"]',
            "smtp.dnsbls[1]: 'sbl.example.org' is n",
        ),
        ('dnsbls = ["SBL.example.org"]', "smtp.dnsbls[0]: write the domain in Unicode and lower"),
        ('first_time_sender_delay = "0s"', ""),
        ('first_time_sender_delay = "5m"', ""),
        ('first_time_sender_delay = "301s"', "senders do not wait longer than 300 seconds"),
        ("no_require_tls = true\ntls_session_tickets_disabled = false", ""),
    ],
)
def test_smtp(static_text: str, domains_text: str, add: str, said: str) -> None:
    static = static_text.replace("[listeners.public.smtp]", f"[listeners.public.smtp]\n{add}")
    told = problems(static, domains_text)
    assert (len(told) == 1 and said in told[0]) if said else told == [], told


LMTP = "[listeners.{0}.lmtp]\nenabled = true\n"


@pytest.mark.parametrize(
    ("add", "said"),
    [
        (LMTP.format("internal"), ""),
        (LMTP.format("internal") + "port = 8010\n", "listeners.internal.lmtp"),
        (LMTP.format("internal") + 'port = 8010\nsocket = "lmtp"\nusers = ["postfix", "0"]', ""),
        (LMTP.format("internal") + 'users = ["x"]', "lmtp.users: who connects is only known of"),
        (LMTP.format("public"), "listeners.public.lmtp: a socket is needed, or a listener with"),
        (LMTP.format("public") + 'socket = "lmtp"', ""),
    ],
)
def test_lmtp(static_text: str, domains_text: str, add: str, said: str) -> None:
    """Nobody on another machine can deliver without being judged."""
    told = problems(f"{static_text}\n{add}\n", domains_text)
    assert (len(told) == 1 and said in told[0]) if said else told == [], told


def test_defaults(static_text: str) -> None:
    """The numbers of spec/smtp-server.md sections 1, 2 and 8.1, spec/smtp-client-queue.md section 2."""
    static = load.parse_static(static_text)
    smtp = static.listeners["public"].smtp
    assert (smtp.first_time_sender_delay, smtp.tls_session_tickets_disabled) == (
        Duration("15s"),
        True,
    )
    limits = static.rate_limits
    assert limits.connections_per_minute == (300, 900, 2700)
    assert limits.connections_open == (30, 90, 270)
    assert limits.login_failures_per_minute == (10, 30, 90)
    assert limits.login_failures_per_day == (50, 150, 450)
    assert limits.messages_per_minute == (500, 1500, 4500)
    assert limits.messages_per_day == (10_000, 30_000, 90_000)
    assert limits.bytes_per_minute == tuple(n << 20 for n in (1000, 3000, 9000))
    assert limits.bytes_per_day == tuple(n << 20 for n in (3000, 9000, 27_000))
    assert [pause.seconds for pause in static.queue.retry_after] == [450 << n for n in range(7)]
    assert static.queue.retry_every == Duration("12h")
    assert static.queue.give_up_after.seconds == 4 * 86_400


def test_a_password_is_not_shown(static_text: str) -> None:
    static = load.parse_static(static_text + AUTH.replace('"p"', '"hush"'))
    auth = static.transports["relay"].submission
    assert auth is not None
    assert auth.auth is not None
    assert auth.auth.password == "hush"
    assert "hush" not in repr(static)
    assert auth.auth.wanted[0] == "SCRAM-SHA-256-PLUS"
    assert "PLAIN" not in auth.auth.wanted
