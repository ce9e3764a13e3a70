"""The state machine as a table: every command in every state.    spec/smtp-server.md section 12."""

from collections.abc import Awaitable, Callable

import pytest
from support.smtpsession import TLS13, BoundTLS, Client, House

LOGIN = "AUTH PLAIN AG1veEBleGFtcGxlLm9yZwBtb3htb3htb3g="

# Columns, each with a line that is well-formed.
COMMANDS = {
    "EHLO": "EHLO client.example",
    "HELO": "HELO client.example",
    "LHLO": "LHLO client.example",
    "STARTTLS": "STARTTLS",
    "AUTH": LOGIN,
    "MAIL": "MAIL FROM:<mox@example.org>",
    "RCPT": "RCPT TO:<mox@example.org>",
    "DATA": "DATA",
    "BDAT": "BDAT 2 LAST\r\n",
    "RSET": "RSET",
    "NOOP": "NOOP",
    "HELP": "HELP",
    "VRFY": "VRFY mox",
    "EXPN": "EXPN mox",
    "QUIT": "QUIT",
    "junk": "XYZZY",
}

ALWAYS = {"NOOP": 250, "RSET": 250, "HELP": 214, "VRFY": 252, "EXPN": 252, "QUIT": 221}

# Rows: what the commands give that are not the same everywhere.
SMTP: dict[str, dict[str, int]] = {
    "greeted": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 503, "AUTH": 503, "MAIL": 503, "RCPT": 503,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "ready": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 220, "AUTH": 503, "MAIL": 250, "RCPT": 503,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "mail": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 220, "AUTH": 503, "MAIL": 503, "RCPT": 250,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "rcpt": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 220, "AUTH": 503, "MAIL": 503, "RCPT": 250,
        "DATA": 354, "BDAT": 250, "junk": 500,
    },
    "within chunks": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 220, "AUTH": 503, "MAIL": 503, "RCPT": 503,
        "DATA": 503, "BDAT": 250, "junk": 500,
    },
}  # fmt: skip
# After these there is neither a transaction nor anything else than in the state named.
SAME = {
    "after RSET": "ready",
    "after EHLO": "ready",
    "after a message": "ready",
    "after a refused message": "ready",
    "after a failed MAIL": "ready",
    "after a refused chunk": "ready",
    "after STARTTLS": "greeted",
    "after a refused RCPT": "mail",
    "after a refused DATA": "rcpt",
}
SMTP |= {name: SMTP[state] for name, state in SAME.items()}

SUBMISSION: dict[str, dict[str, int]] = {
    "greeted": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 503, "AUTH": 503, "MAIL": 503, "RCPT": 503,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "hello": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 220, "AUTH": 235, "MAIL": 530, "RCPT": 530,
        "DATA": 530, "BDAT": 530, "junk": 500,
    },
    "logged in": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 503, "AUTH": 503, "MAIL": 250, "RCPT": 503,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "mail": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 503, "AUTH": 503, "MAIL": 503, "RCPT": 250,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "rcpt": {
        "EHLO": 250, "HELO": 250, "LHLO": 500, "STARTTLS": 503, "AUTH": 503, "MAIL": 503, "RCPT": 250,
        "DATA": 354, "BDAT": 550, "junk": 500,  # the message has no From field
    },
}  # fmt: skip

LMTP: dict[str, dict[str, int]] = {
    "greeted": {
        "EHLO": 500, "HELO": 500, "LHLO": 250, "STARTTLS": 500, "AUTH": 500, "MAIL": 503, "RCPT": 503,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "ready": {
        "EHLO": 500, "HELO": 500, "LHLO": 250, "STARTTLS": 500, "AUTH": 500, "MAIL": 250, "RCPT": 503,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "mail": {
        "EHLO": 500, "HELO": 500, "LHLO": 250, "STARTTLS": 500, "AUTH": 500, "MAIL": 503, "RCPT": 250,
        "DATA": 503, "BDAT": 503, "junk": 500,
    },
    "rcpt": {
        "EHLO": 500, "HELO": 500, "LHLO": 250, "STARTTLS": 500, "AUTH": 500, "MAIL": 503, "RCPT": 250,
        "DATA": 354, "BDAT": 250, "junk": 500,
    },
}  # fmt: skip


async def greeted(client: Client) -> None:
    # A first command that is unknown ends the connection; that is tested elsewhere.
    await client.say("NOOP", 250, "2.0.0")


async def ready(client: Client) -> None:
    await client.say("LHLO mx.example" if client.session.service.lmtp else "HELO x.example", 250)


async def login(client: Client) -> None:
    await ready(client)
    await client.say(LOGIN, 235, "2.7.0")


async def mail(client: Client) -> None:
    await (login if client.session.service.submission else ready)(client)
    await client.say("MAIL FROM:<mox@example.org>", 250, "2.1.0")


async def rcpt(client: Client) -> None:
    await mail(client)
    await client.say("RCPT TO:<mox@example.org>", 250, "2.1.0")


async def chunks(client: Client) -> None:
    await rcpt(client)
    await client.say("BDAT 2\r\n", 250, "2.0.0")


async def reset(client: Client) -> None:
    await chunks(client)
    await client.say("RSET", 250, "2.0.0")


async def hello(client: Client) -> None:
    await rcpt(client)
    await client.say("HELO x.example", 250)


async def delivered(client: Client) -> None:
    await rcpt(client)
    await client.data(b"Subject: x\r\n\r\n")


async def refused(client: Client) -> None:
    await rcpt(client)
    await client.data(b"Subject: x\r\n\r\na\rb\r\n", 500, "5.5.2")


async def failed_mail(client: Client) -> None:
    await ready(client)
    await client.say("MAIL FROM:<a@[192.0.2.7]>", 550, "5.7.0")


async def refused_chunk(client: Client) -> None:
    await rcpt(client)
    await client.send(b"BDAT 3000\r\n" + b"x" * 3000)
    assert (await client.reply()).code == 552


async def started_tls(client: Client) -> None:
    await mail(client)
    await client.say("STARTTLS", 220, "2.0.0")
    await client.say("NOOP", 250, "2.0.0")


async def refused_rcpt(client: Client) -> None:
    await mail(client)
    await client.say("RCPT TO:<x@elsewhere.example>", 550, "5.1.1")


async def refused_data(client: Client) -> None:
    await rcpt(client)
    await client.say("DATA now", 501, "5.5.2")


STATES: dict[str, Callable[[Client], Awaitable[None]]] = {
    "greeted": greeted,
    "hello": ready,
    "ready": ready,
    "logged in": login,
    "mail": mail,
    "rcpt": rcpt,
    "within chunks": chunks,
    "after RSET": reset,
    "after EHLO": hello,
    "after a message": delivered,
    "after a refused message": refused,
    "after a failed MAIL": failed_mail,
    "after a refused chunk": refused_chunk,
    "after STARTTLS": started_tls,
    "after a refused RCPT": refused_rcpt,
    "after a refused DATA": refused_data,
}


@pytest.mark.rfc("5321 §4.1.4; 3030 §2; 2033 §4.1")
@pytest.mark.parametrize(
    ("kind", "state"),
    [
        (kind, state)
        for kind, table in (("smtp", SMTP), ("submission", SUBMISSION), ("lmtp", LMTP))
        for state in table
    ],
)
async def test_every_command_in_every_state(house: House, kind: str, state: str) -> None:
    table = {"smtp": SMTP, "submission": SUBMISSION, "lmtp": LMTP}[kind][state]
    expected = {**ALWAYS, **table}
    assert expected.keys() == COMMANDS.keys()
    found = {}
    for name, line in COMMANDS.items():
        client = await house.connect(
            submission=kind == "submission", lmtp=kind == "lmtp", tls=BoundTLS(), max_size=2500
        )
        await STATES[state](client)
        await client.send(line.encode() + b"\r\n")
        found[name] = (await client.reply()).code
        if name == "DATA" and found[name] == 354:
            await client.send(b"From: mox@example.org\r\n\r\n.\r\n")
            assert (await client.reply()).code == 250
        if name == "QUIT":
            await client.expect_end()
        client.wire.vanish()
        await client.settle()
    assert found == expected


async def test_a_login_is_kept_over_ehlo_and_ends_nothing(house: House) -> None:
    client = await house.connect(submission=True, wire_tls=TLS13)
    await login(client)
    await client.say("RSET", 250, "2.0.0")
    await client.say("HELO again", 250)
    await client.say("MAIL FROM:<mox@example.org>", 250, "2.1.0")
