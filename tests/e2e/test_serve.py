"""``mox serve`` from outside: several domains and accounts, changed by files and by commands."""

from __future__ import annotations

import itertools
import json
import shutil
import socket
import ssl
import struct
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomlkit
from support.imapclient import ConnectionEnded, ImapClient, Literal
from support.imapresponse import ResponseError
from support.messages import small_message
from support.ports import HOST
from support.servers import tls_context
from support.serving import DOMAINS, Serve, wait_until
from support.smtpclient import SmtpRefused

_names = itertools.count(1)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def serve() -> Iterator[Serve]:
    """One server for the tests that only add to it."""
    # Not pytest's own folder: the worker is another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-serve-"))
    folder.chmod(0o755)
    with Serve(folder / "mox") as server:
        server.set_passwords("alice", "bob")
        yield server
        log = server.log.read_text()
    shutil.rmtree(folder)
    assert "unhandled" not in log
    assert "Traceback" not in log


@pytest.fixture
def account(serve: Serve) -> str:
    """A new account of its own domain, with a password; its address is NAME@NAME.example."""
    name = f"user{next(_names)}"
    serve.mox(f"config domain add {name}.example {name} {name}")
    serve.set_passwords(name)
    return name


def address_of(account: str) -> str:
    return f"{account}@{account}.example"


def deliver(serve: Serve, recipients: list[str], message: bytes) -> None:
    with serve.smtp() as client:
        client.ehlo()
        client.deliver(b"somebody@far.example", [one.encode() for one in recipients], message)


def edit(serve: Serve, text: str) -> None:
    """Change domains.toml by hand, to something valid; returns when it is in force."""

    def reloads() -> int:
        return serve.log.read_text().count("event=config.reloaded")

    before = reloads()
    serve.domains.write_text(text)
    wait_until(lambda: reloads() > before)


def everything(client: ImapClient) -> bytes:
    """All that an account can read: every message of every mailbox."""
    found = b""
    for response in client.ok(b'LIST "" *').of(b"LIST"):
        name = bytes(response.tokens[-1])  # type: ignore[arg-type]
        if client.select(name.decode()).exists:
            for response in client.ok(b"FETCH 1:* (ENVELOPE BODY.PEEK[])").untagged:
                found += response.raw
    return found


def test_mail_arrives_in_the_right_accounts_and_only_there(serve: Serve) -> None:
    sent = {
        "for-alice": ["alice@example.org"],
        "for-alice-plus": ["alice+shop@example.org"],
        "for-bob-net": ["bob@example.net"],
        "for-bob-org": ["bob@example.org"],
        "for-both": ["bob@example.org", "ALICE@EXAMPLE.ORG"],
        "for-postmaster": ["postmaster"],
    }
    for token, recipients in sent.items():
        deliver(serve, recipients, small_message(token))
    with serve.login("alice@example.org") as client:
        alices = everything(client)
    with serve.login("bob@example.net") as client:
        bobs = everything(client)
    for marker, theirs, others in [
        (b"for-alice@", alices, bobs),
        (b"for-alice-plus@", alices, bobs),
        (b"for-postmaster@", alices, bobs),
        (b"for-bob-net@", bobs, alices),
        (b"for-bob-org@", bobs, alices),
    ]:
        assert theirs.count(b"<" + marker) == 2, marker  # ENVELOPE and header
        assert marker not in others, marker
    assert alices.count(b"<for-both@") == bobs.count(b"<for-both@") == 2
    # Of a message for both, no copy names the other.
    assert b"bob@" not in alices
    assert b"alice" not in bobs.lower()


def test_recipients_that_are_not_here(serve: Serve) -> None:
    with serve.smtp() as client:
        client.ehlo()
        client.command(b"MAIL FROM:<x@far.example>", 250)
        reply = client.command(b"RCPT TO:<x@elsewhere.example>", 550)
        assert b"not accepting email for this domain" in reply.lines[0]
        # Who has an address is told after the message only.
        client.command(b"RCPT TO:<alice@example.net>", 250)
        client.command(b"DATA", 354)
        reply = client.command(b"Subject: for nobody\r\n\r\ntext\r\n.", 550)
        assert b"no such user" in reply.lines[0]


def test_submission_to_local_accounts(serve: Serve, account: str) -> None:
    ours = address_of(account)
    message = small_message("inside").replace(b"sender@example.org", ours.encode())
    with serve.submit_as(ours) as client:
        client.command(b"MAIL FROM:<" + ours.encode() + b">", 250)
        client.command(b"RCPT TO:<nobody@example.org>", 550)
        client.command(b"RCPT TO:<" + ours.encode() + b">", 250)
        client.command(b"RSET", 250)
        client.command(b"MAIL FROM:<alice@example.org>", 550)  # not this account's
        client.deliver(ours.encode(), [ours.encode()], message)
    with serve.login(ours) as imap:
        assert imap.select("INBOX").exists == 1


def test_passwords_need_tls_and_mail_needs_a_login(serve: Serve) -> None:
    with serve.smtp("submission") as client:
        assert not any(line.startswith(b"AUTH") and b"PLAIN" in line for line in client.ehlo())
        client.command(b"AUTH PLAIN AGFsaWNlAHg=", 538)
        client.command(b"MAIL FROM:<alice@example.org>", 530)
        client.starttls(tls_context())
        client.ehlo()
        client.command(b"MAIL FROM:<alice@example.org>", 530)
        client.auth_plain("alice@example.org", "secret of alice")
    with serve.imap(login=False) as plain:
        assert b"LOGINDISABLED" in plain.capabilities()
        result = plain.command(b'LOGIN "alice@example.org" "secret of alice"')
        assert result.status == b"NO"
        assert result.tagged.code_name == b"PRIVACYREQUIRED"
        plain.starttls(tls_context())
        plain.login("alice@example.org", "secret of alice")


def test_a_disabled_login_still_receives(serve: Serve, account: str) -> None:
    with serve.login(address_of(account)) as before:
        serve.mox("config account disable", account, "moved to another house")
        with pytest.raises(ResponseError, match="moved to another house"):
            serve.login(address_of(account))
        with serve.smtp("submissions") as client:
            client.ehlo()
            with pytest.raises(SmtpRefused, match=r"525 .*moved to another house"):
                client.auth_plain(address_of(account), f"secret of {account}")
        deliver(serve, [address_of(account)], small_message("meanwhile"))
        assert before.select("INBOX").exists == 1  # sessions there are go on
    assert f"{account}\t(disabled)" in serve.mox("config account list")[0].splitlines()
    serve.mox("config account enable", account)
    serve.login(address_of(account)).close()


def test_a_disabled_domain_takes_no_mail_for_now(serve: Serve, account: str) -> None:
    serve.mox(f"config domain disable {account}.example")
    ours = address_of(account).encode()
    with serve.smtp() as client:
        client.ehlo()
        client.command(b"MAIL FROM:<x@far.example>", 250)
        reply = client.command(b"RCPT TO:<" + ours + b">", 450)
        assert reply.lines[0].startswith(b"4.2.1 ")
    with serve.submit_as(ours.decode()) as client:  # logins go on
        reply = client.command(b"MAIL FROM:<" + ours + b">", 451)
    assert serve.mox("deliver", ours.decode(), stdin=small_message("x"), code=1)[1].startswith(
        "mox: "
    )
    found = json.loads(serve.mox("config domain list --json")[0])
    assert {"domain": f"{account}.example", "disabled": True} in found
    serve.mox(f"config domain enable {account}.example")
    deliver(serve, [ours.decode()], small_message("again"))


def test_the_quota_holds_and_follows_the_file(serve: Serve, account: str) -> None:
    text = serve.domains.read_text()
    limited = text.replace(
        f"[accounts.{account}]\n", f"[accounts.{account}]\nquota_message_size = 5000\n"
    )
    assert limited != text
    edit(serve, limited)
    ours = address_of(account)
    large = small_message("large", 6000)
    with serve.smtp() as client:
        client.ehlo()
        with pytest.raises(SmtpRefused, match=r"452 .*4\.2\.2 mailbox full"):
            client.deliver(b"x@far.example", [ours.encode()], large)
    with serve.login(ours) as imap:
        with pytest.raises(ResponseError, match="OVERQUOTA"):
            imap.append("INBOX", large)
        imap.append("INBOX", small_message("small"))
    edit(serve, text)
    deliver(serve, [ours], large)


def test_a_valid_edit_is_taken_up(serve: Serve) -> None:
    name = f"edited{next(_names)}"
    edit(
        serve,
        serve.domains.read_text()
        + f'\n[domains."{name}.example"]\n[accounts.{name}]\ndomain = "{name}.example"\n'
        + f'[accounts.{name}.destinations."{address_of(name)}"]\nmailbox = "New/Mail"\n',
    )
    assert name in serve.mox("config account list")[0].split()
    deliver(serve, [address_of(name)], small_message("first"))
    serve.set_passwords(name)
    with serve.login(address_of(name)) as client:
        assert client.select("New/Mail").exists == 1


def test_an_invalid_edit_is_told_and_changes_nothing(serve: Serve, account: str) -> None:
    good = serve.domains.read_text()
    lines = len(good.splitlines())
    serve.domains.write_text(good + f"[accounts.{account}x]\nnonsense = 1\n")
    try:
        serve.wait_for_log(rf"config\.reload_refused .*domains\.toml:{lines + 2}: .*nonsense")
        deliver(serve, [address_of(account)], small_message("as-before"))
        _, said = serve.mox("config account add other other@example.org", code=1)
        assert "was edited and is not valid" in said
        assert serve.mox("config test", code=1)[1].count("nonsense: unknown key") == 1
    finally:
        serve.domains.write_text(good)
    serve.mox(f"config address add more@{account}.example {account}")


def test_accounts_domains_and_addresses_by_command(serve: Serve) -> None:
    name = f"made{next(_names)}"
    domain, other = f"{name}.example", f"{name}-other.example"
    assert serve.mox(f"config domain add {domain} {name} me")[0] == "domain added\n"
    assert domain in serve.mox("config domain list")[0].split()
    assert serve.mox(f"config domain add --disabled {other} {name}")[0] == "domain added\n"
    assert f"{other}\t(disabled)" in serve.mox("config domain list")[0].splitlines()
    assert serve.mox(f"config address list --json {name}")[0] == (
        json.dumps([f"me@{domain}", f"postmaster@{other}"], indent=2) + "\n"
    )
    assert serve.mox(f"config address add @{domain} {name}")[0] == "address added\n"
    assert serve.mox(f"config address account any@{domain}")[0] == f"{name}\n"
    found = json.loads(serve.mox(f"config address account --json me@{domain}")[0])
    assert found == {"account": name, "mailbox": "Inbox"}
    deliver(serve, [f"any@{domain}"], small_message("catch-all"))
    assert serve.mox(f"config address rm @{domain}")[0] == "address removed\n"
    assert "address not found" in serve.mox(f"config address account any@{domain}", code=1)[1]
    second = f"{name}-2"
    out, _ = serve.mox(f"config account add {second} two@{domain}")
    assert out == f"account added; set a password with: mox setaccountpassword {second}\n"
    assert serve.mox(f"config account addresses {second}")[0] == f"two@{domain}\n"
    accounts = json.loads(serve.mox("config account list --json")[0])
    assert {"account": second, "login_disabled": ""} in accounts
    _, said = serve.mox(f"config domain rm {domain}", code=1)
    assert said == f"mox: domain '{domain}' is used by: {name}, {second}\n"
    assert serve.mox(f"config account rm {second}")[0] == "account removed\n"
    serve.mox(f"config account rm {name}")
    assert serve.mox(f"config domain rm {domain}")[0] == "domain removed\n"
    # What people wrote is still there.
    assert serve.domains.read_text().startswith(DOMAINS.splitlines()[0])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("config account add bob x@example.org", "there already is an account 'bob'"),
        ("config account add new bob@example.org", "is an address of account 'bob'"),
        ("config account add new x@nowhere.example", "there is no domain 'nowhere.example'"),
        ("config account add ../new x@example.org", "account"),
        ("config account rm nobody", "there is no account 'nobody'"),
        ("config account rm alice", "is the account of the postmaster"),
        ("config account disable nobody x", "there is no account 'nobody'"),
        ("config address rm x@nowhere.example", "domain not found"),
        ("config address add nonsense bob", "'nonsense' is not an address"),
        ("config domain add example.org bob", "there already is a domain 'example.org'"),
        ("config domain rm nowhere.example", "there is no domain 'nowhere.example'"),
        ("setaccountpassword nobody", "no such account: nobody"),
        ("deliver x@nowhere.example", "domain not found"),
        ("deliver nonsense", "'nonsense' is not an address"),
        ("loglevels loud", "unknown level loud"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(serve: Serve, line: str, said: str) -> None:
    before = serve.domains.read_text()
    out, err = serve.mox(line, stdin=b"a good password\n", code=1)
    assert out == ""
    assert err.startswith("mox: ")
    assert err.count("\n") == 1
    assert said in err
    assert serve.domains.read_text() == before


def test_passwords_are_set_from_a_pipe(serve: Serve, account: str) -> None:
    _, said = serve.mox("setaccountpassword", account, stdin=b"short\n", code=1)
    assert said == "mox: password must have at least 8 bytes\n"
    serve.login(address_of(account)).close()  # the old one holds
    serve.mox("setaccountpassword", account, stdin="näw password\n".encode())
    with pytest.raises(ResponseError, match="AUTHENTICATIONFAILED"):
        serve.login(address_of(account))
    with serve.imap(tls=True, login=False) as client:
        client.ok(f"LOGIN {address_of(account)} ".encode(), Literal("näw password".encode()))


def test_deliver(serve: Serve, account: str) -> None:
    message = b"Subject: by command\n\nline\n"
    out, _ = serve.mox("deliver", address_of(account), stdin=message)
    assert out == f"delivered to mailbox Inbox of account {account}\n"
    out, _ = serve.mox("deliver --json", address_of(account), stdin=b"x" * 300_000)
    assert json.loads(out) == {"account": account, "mailbox": "Inbox"}
    with serve.login(address_of(account)) as client:
        assert client.select("INBOX").exists == 2
        body = client.ok(b"FETCH 1 BODY[]").fetched()[1][b"BODY[]"]
    delivered_to = f"Delivered-To: {address_of(account)}\r\n".encode()
    assert body == delivered_to + b"Subject: by command\r\n\r\nline\r\n"


def test_log_levels_change_while_it_runs(serve: Serve, account: str) -> None:
    assert serve.mox("loglevels")[0] == "(default): info\n"
    serve.mox("loglevels debug imapserver")
    assert json.loads(serve.mox("loglevels --json")[0]) == {
        "(default)": "info",
        "imapserver": "debug",
    }
    with serve.login(address_of(account)) as client:
        client.ok(b"NAMESPACE")
    serve.wait_for_log(r"level=debug event=imap\.command .*cmd=namespace")
    serve.mox("loglevels", "", "imapserver")
    assert serve.mox("loglevels")[0] == "(default): info\n"
    assert "the default level cannot be removed" in serve.mox("loglevels", "", code=1)[1]


def test_the_running_configuration_is_valid(serve: Serve) -> None:
    assert serve.mox("config test") == ("config OK\n", "")


def test_removing_an_account_ends_its_sessions(serve: Serve, account: str) -> None:
    ours = address_of(account)
    deliver(serve, [ours], small_message("old-mail"))
    idling, quiet, submitting = serve.login(ours), serve.login(ours), serve.submit_as(ours)
    with idling, quiet, submitting, serve.login("alice@example.org") as other:
        idling.select("INBOX")
        idling.idle()
        assert serve.mox(f"config account rm {account}")[0] == "account removed\n"
        for client in (idling, quiet):
            bye = client.read_response()
            assert (bye.kind, b"account removed" in bye.raw) == (b"BYE", True)
            with pytest.raises(ConnectionEnded):
                client.read_response()
        assert submitting.read_reply().code == 421
        other.ok(b"NOOP")
    with pytest.raises(ResponseError, match="AUTHENTICATIONFAILED"):
        serve.login(ours)
    serve.mox("deliver", ours, stdin=small_message("late"), code=1)
    # Of the same name, but somebody else.
    serve.mox(f"config account add {account} {ours}")
    with pytest.raises(ResponseError, match="AUTHENTICATIONFAILED"):
        serve.login(ours)
    serve.set_passwords(account)
    with serve.login(ours) as client:
        assert client.select("INBOX").exists == 0


def test_an_account_taken_out_of_the_file_keeps_its_mail(serve: Serve, account: str) -> None:
    ours = address_of(account)
    deliver(serve, [ours], small_message("kept"))
    with_it = serve.domains.read_text()
    document = tomlkit.parse(with_it)
    del document["accounts"][account]
    domain = document["domains"][ours.partition("@")[2]]
    for reports in ("dmarc", "tlsrpt"):
        del domain[reports]
    without = tomlkit.dumps(document)
    with serve.login(ours) as client:
        client.select("INBOX")
        client.idle()
        serve.domains.write_text(without)
        assert client.read_response().kind == b"BYE"
    _, said = serve.mox(f"config account add {account} {ours}", code=1)
    assert "the mail of an earlier account" in said
    edit(serve, with_it)
    with serve.login(ours) as client:
        assert client.select("INBOX").exists == 1
    edit(serve, without)
    serve.mox(f"config account rm {account}")  # now its mail as well
    serve.mox(f"config account add {account} {ours}")


def test_strangers_on_tls_ports(serve: Serve) -> None:
    """No handshake that fails is an error of ours."""
    before = serve.log.read_text()
    for service in ("imaps", "submissions"):
        for data in (b"GET / HTTP/1.0\r\n\r\n", b"", b"\x16\x03\x01\x02\x00\x01" + b"\0" * 40):
            with socket.create_connection((HOST, serve.port(service)), timeout=10) as client:
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                while client.recv(1000):
                    pass
        with socket.create_connection((HOST, serve.port(service)), timeout=10) as client:
            client.sendall(b"\x16\x03\x01\x02\x00")
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with (
            socket.create_connection((HOST, serve.port(service)), timeout=10) as client,
            pytest.raises(ssl.SSLError),
        ):
            tls_context().wrap_socket(client, server_hostname="elsewhere.example")
    serve.login("alice@example.org").close()
    said = serve.log.read_text().removeprefix(before)
    assert "level=error" not in said
    assert "level=warn" not in said
    with urllib.request.urlopen(f"http://{HOST}:{81 + serve.offset}/metrics", timeout=10) as answer:
        panics = [
            line for line in answer.read().splitlines() if line.startswith(b"mox_panic_total")
        ]
    assert panics
    assert all(line.endswith(b" 0.0") for line in panics), panics
