"""swaks and curl send; curl reads over IMAP, after STARTTLS and over IMAPS."""

from __future__ import annotations

import subprocess

import pytest
from support.counterparts import program
from support.messages import small_message
from support.ports import HOST
from support.servers import PASSWORD, USER, Mox, Server

pytestmark = pytest.mark.interop


def run(arguments: list[str], given: bytes = b"") -> bytes:
    done = subprocess.run(arguments, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, (arguments, done.stdout[-2000:], done.stderr[-2000:])
    return done.stdout


def curl_read(server: Server, way: str, path: str) -> bytes:
    scheme, service, options = {
        "plain": ("imap", "imap", []),
        "starttls": ("imap", "imap", ["--ssl-reqd", "--insecure"]),
        "imaps": ("imaps", "imaps", ["--insecure"]),
    }[way]
    url = f"{scheme}://{HOST}:{server.port(service)}/{path}"
    return run([program("curl"), "-sS", "--user", f"{USER}:{PASSWORD}", *options, url])


def swaks(server: Mox, service: str, token: str, *options: str) -> None:
    sender = "sender@example.org" if service == "smtp" else USER
    run(
        [
            program("swaks"),
            *("--server", f"{HOST}:{server.port(service)}", "--to", USER),
            *("--from", sender, "--header", f"Subject: {token}"),
            *("--body", f"text of {token}", "--timeout", "20", *options),
        ]
    )


def found_in_inbox(server: Server, token: str) -> bytes:
    """The one message with this subject."""
    with server.imap() as client:
        client.select("INBOX")
        uids = client.ok(f'UID SEARCH HEADER SUBJECT "{token}"'.encode()).search()
        assert len(uids) == 1
        items = client.ok(b"UID FETCH %d (BODY.PEEK[])" % uids[0]).fetched()
        (message,) = (value[b"BODY[]"] for value in items.values())
        assert isinstance(message, bytes)
        return message


@pytest.mark.parametrize("way", ["plain", "starttls", "imaps"])
def test_curl_reads_a_message(imap_server: Server, mailbox: str, way: str) -> None:
    message = small_message(f"for-curl-{way}", 3000)
    with imap_server.imap() as client:
        uid = client.append(mailbox, message)
    assert curl_read(imap_server, way, f"{mailbox};UID={uid}") == message
    assert curl_read(imap_server, way, f"{mailbox}?SUBJECT%20curl") == b"* SEARCH 1\r\n"


@pytest.mark.parametrize(
    ("service", "options"),
    [
        ("smtp", []),
        ("smtp", ["--tls"]),
        ("submission", ["--tls", "--auth", "PLAIN"]),
        ("submissions", ["--tls-on-connect", "--auth", "LOGIN"]),
        ("submission", ["--auth", "CRAM-MD5"]),
    ],
    ids=["smtp", "smtp-starttls", "submission-starttls", "submissions", "submission-crammd5"],
)
@pytest.mark.parametrize("way", ["plain", "starttls", "imaps"])
def test_what_swaks_sends_curl_reads(
    mox: Mox, service: str, options: list[str], way: str, request: pytest.FixtureRequest
) -> None:
    token = f"swaks-{request.node.callspec.id}-end"
    extra = list(options)
    if service != "smtp":
        extra += ["--auth-user", USER, "--auth-password", PASSWORD]
    swaks(mox, service, token, *extra)
    with mox.imap() as client:
        client.select("INBOX")
        (uid,) = client.ok(f'UID SEARCH SUBJECT "{token}"'.encode()).search()
    read = curl_read(mox, way, f"INBOX;UID={uid}")
    assert f"\r\nSubject: {token}\r\n".encode() in read
    assert read.rstrip().endswith(f"text of {token}".encode())
    assert read == found_in_inbox(mox, token)


def test_curl_sends_a_message_with_dots(mox: Mox) -> None:
    message = small_message("curl-dots") + b".\r\n..\r\n.text\r\nend\r\n"
    run(
        [
            *(program("curl"), "-sS", f"smtp://{HOST}:{mox.port('smtp')}/client.example"),
            *("--mail-from", "sender@example.org", "--mail-rcpt", USER, "--upload-file", "-"),
        ],
        message,
    )
    assert found_in_inbox(mox, "curl-dots").endswith(message)


def test_curl_submits_with_a_login(mox: Mox) -> None:
    url = f"smtps://{HOST}:{mox.port('submissions')}/client.example"
    common = [program("curl"), "-sS", "--insecure", "--user", f"{USER}:{PASSWORD}"]
    message = small_message("curl-submitted").replace(b"<sender@example.org>", b"<mox@localhost>")
    sent = ["--mail-from", USER, "--mail-rcpt", USER, "--upload-file", "-", url]
    run([*common, *sent], message)
    assert found_in_inbox(mox, "curl-submitted").endswith(message)


def test_every_address_of_any_domain_is_delivered_here(mox: Mox) -> None:
    with mox.smtp() as client:
        client.ehlo()
        recipients = [b"somebody@elsewhere.example", b'"a b"@localhost', b'""@localhost']
        client.deliver(b"x@example.org", recipients, small_message("any-address"))
    with mox.imap() as reader:
        reader.select("INBOX")
        assert len(reader.ok(b"UID SEARCH SUBJECT any-address").search()) >= 1


@pytest.mark.parametrize(
    ("stage", "sender", "recipient", "code"),
    [
        ("mail", b"mailfrom-temperror@x.example", b"mox@localhost", 451),
        ("rcpt", b"x@x.example", b"rcptto-421@x.example", 421),
        ("data", b"x@x.example", b"a-550@x.example", 550),
        ("data", b"x@x.example", b"permerror@x.example", 550),
    ],
)
def test_special_localparts_produce_their_errors(
    mox: Mox, stage: str, sender: bytes, recipient: bytes, code: int
) -> None:
    with mox.smtp() as client:
        client.ehlo()
        reply = client.command(b"MAIL FROM:<" + sender + b">")
        if stage != "mail":
            assert reply.code == 250
            reply = client.command(b"RCPT TO:<" + recipient + b">")
        if stage == "data":
            assert reply.code == 250
            client.command(b"DATA", 354)
            client.send(b"Subject: x\r\n\r\nx\r\n.\r\n")
            reply = client.read_reply()
        assert reply.code == code
