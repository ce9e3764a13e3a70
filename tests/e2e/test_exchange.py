"""Two of our servers and Debian's Postfix exchange mail, among zones that are signed.

ours.org and yours.org are ours; theirs.org is a Postfix whose mail opendkim signs; an Exim and an
OpenSMTPD take mail.  Each finds the others by their MX, and takes mail at port 25 of an address of
its own, in a network that is ours alone.  Names come from Debian's knot through its unbound, which
validates.  A spammer speaks by swaks from another address.
"""

from __future__ import annotations

import contextlib
import email
import email.policy
import itertools
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support import opendkim
from support.counterparts import program
from support.dnszones import Spoilt, Zone
from support.exim import Exim
from support.mailservers import MailServer
from support.nameservers import Names
from support.network import Network
from support.opensmtpd import OpenSmtpd
from support.ports import HOST
from support.postfix import Postfix
from support.serving import DOMAINS, Serve, wait_until
from support.smtpclient import stuffed

from mox.mailauth.dkim.keyrecord import format_record, record_of

pytestmark = [pytest.mark.interop, pytest.mark.slow]

OURS, YOURS = "127.0.0.11", "127.0.0.12"
SOURCE = HOST  # what the kernel gives both to send from
THEIRS = "127.0.0.3"
EXIM, OPENSMTPD = "127.0.0.4", "127.0.0.5"
SPAMMER = "127.0.0.66"
SMTP_PORT, DNS_PORT = 25, 53
PLAIN = "plain.org"  # whose OpenSMTPD speaks no TLS
WAIT_S = 90.0
PATIENCE_S = 120  # a slowed-down reply takes a second for each of its bytes
ACCOUNT = """\
[domains."{domain}"]
[domains."{domain}".dkim]
sign = ["s1"]
[domains."{domain}".dkim.selectors.s1]
private_key_file = "s1.pem"
[accounts.ann]
domain = "{domain}"
rejects_mailbox = "Rejects"
[accounts.ann.destinations."ann@{domain}"]
[accounts.ann.junk_filter]
[accounts.postmaster]
domain = "{domain}"
[accounts.postmaster.destinations."postmaster@{domain}"]
"""
# Where others send to; the other listener is for the users.
LISTENER = """
[listeners.mx]
ips = ["{address}"]
[listeners.mx.tls]
[[listeners.mx.tls.key_certs]]
cert_file = "../tls/cert.pem"
key_file = "../tls/key.pem"
[listeners.mx.smtp]
enabled = true
first_time_sender_delay = "0s"
"""
_numbers = itertools.count(1)


def new_key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def pem(key: RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class House(Serve):
    """mox serve for one domain with the account ann."""

    def __init__(self, folder: Path, domain: str, address: str, key: RSAPrivateKey) -> None:
        super().__init__(folder)
        self.domain = domain
        self.address = address
        self.key = key
        (self.config / "s1.pem").write_bytes(pem(key))
        static = self.config / "mox.toml"
        text = static.read_text()
        before = next(line for line in text.splitlines() if line.startswith("resolvers = "))
        text = text.replace(before, f'resolvers = ["{HOST}:{DNS_PORT}"]')
        text = text.replace('hostname = "mail.example.org"', f'hostname = "mx.{domain}"')
        text = text.replace('account = "alice"', 'account = "postmaster"')
        static.write_text(text + LISTENER.format(address=address))
        assert DOMAINS in self.domains.read_text()
        self.domains.write_text(ACCOUNT.format(domain=domain))

    def inbox(self, mailbox: str = "INBOX") -> list[EmailMessage]:
        """ann's messages."""
        with self.login(f"ann@{self.domain}") as imap:
            if imap.select(mailbox).exists == 0:
                return []
            items = imap.ok(b"FETCH 1:* (BODY.PEEK[])").fetched()
        # One that arrives meanwhile is told of by its flags alone.
        bodies = [value[b"BODY[]"] for _, value in sorted(items.items()) if b"BODY[]" in value]
        return [parsed(body) for body in bodies]

    def wait_for(self, token: str) -> EmailMessage:
        """The one message with this subject, once it is there."""
        wait_until(
            lambda: any(one["Subject"] == token for one in self.inbox()),
            WAIT_S,
            lambda: f"{token} is not at {self.domain}: {self.said()}",
        )
        (found,) = (one for one in self.inbox() if one["Subject"] == token)
        return found

    def verdict(self, token: str) -> dict[str, Any]:
        """The newest one of a message."""
        found = json.loads(self.mox(f"verdict {message_id(token)} --json")[0])[0]
        assert isinstance(found, dict)
        return found

    def submit(self, to: str, message: bytes) -> None:
        sender = f"ann@{self.domain}"
        with self.submit_as(sender) as client:
            client.deliver(sender.encode(), [to.encode()], message)


def parsed(message: Any) -> EmailMessage:
    assert isinstance(message, bytes)
    found = email.message_from_bytes(message, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def message_id(token: str) -> str:
    return f"{token}@mail.test"


def new_message(sender: str, to: str, text: str = "Hello") -> tuple[str, bytes]:
    """Its subject, which is nobody else's, and the message."""
    token = f"exchange-{next(_numbers)}"
    message = (
        f"From: <{sender}>\r\nTo: <{to}>\r\nSubject: {token}\r\n"
        f"Date: Sun, 29 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{message_id(token)}>\r\n"
        f"\r\n{text}\r\n"
    )
    return token, message.encode()


class World:
    """All of it, running."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        """Input   stack: ends what was started, also where something after it cannot be."""
        self.folder = folder
        self.stack = stack
        self.ours = House(folder / "ours", "ours.org", OURS, new_key())
        self.yours = House(folder / "yours", "yours.org", YOURS, new_key())
        self.their_key = new_key()
        (folder / "theirs.pem").write_bytes(pem(self.their_key))
        key = opendkim.Key("theirs.org", "mail", folder / "theirs.pem")
        self.signer = self.stack.enter_context(opendkim.Signer(key))
        self.theirs = Postfix(
            "theirs.org",
            ["pat"],
            address=THEIRS,
            port=SMTP_PORT,
            sends_to=[house.domain for house in self.houses],
            resolver=HOST,
            settings={"smtpd_milters": self.signer.milter, "milter_default_action": "tempfail"},
        )
        self.names = self.stack.enter_context(Names(self._zones(), port=DNS_PORT))
        self.exim = self.stack.enter_context(
            Exim("exim.org", ["pat"], address=EXIM, port=SMTP_PORT)
        )
        self.opensmtpd = self.stack.enter_context(
            OpenSmtpd(PLAIN, ["pat"], address=OPENSMTPD, port=SMTP_PORT)
        )

    @property
    def houses(self) -> tuple[House, House]:
        return self.ours, self.yours

    def _zones(self) -> list[Zone]:
        def zone(domain: str, address: str, source: str, selector: str, key: RSAPrivateKey) -> Zone:
            return Zone(
                domain,
                {
                    domain: {"MX": [f"10 mx.{domain}"], "TXT": [f"v=spf1 ip4:{source} -all"]},
                    f"mx.{domain}": {"A": [address]},
                    f"out.{domain}": {"A": [source]},
                    f"_dmarc.{domain}": {"TXT": ["v=DMARC1; p=reject"]},
                    f"{selector}._domainkey.{domain}": {
                        "TXT": [format_record(record_of(key.public_key()))]
                    },
                },
            )

        def takes_mail(domain: str, address: str) -> Zone:
            host = f"mx.{domain}"
            return Zone(domain, {domain: {"MX": [f"10 {host}"]}, host: {"A": [address]}})

        spam = "spam.net"
        return [
            *(zone(house.domain, house.address, SOURCE, "s1", house.key) for house in self.houses),
            zone("theirs.org", THEIRS, THEIRS, "mail", self.their_key),
            takes_mail("exim.org", EXIM),
            takes_mail(PLAIN, OPENSMTPD),
            Zone(
                spam,
                {
                    spam: {"MX": [f"10 mx.{spam}"], "TXT": [f"v=spf1 ip4:{SPAMMER} -all"]},
                    f"mx.{spam}": {"A": [SPAMMER]},
                },
                signed=False,
            ),
            Zone(
                "broken.net",
                {
                    "broken.net": {"MX": ["10 mx.broken.net"], "TXT": ["v=spf1 +all"]},
                    "mx.broken.net": {"A": [SPAMMER]},
                },
                spoilt={"broken.net TXT": Spoilt.FORGED},
            ),
            Zone(
                "127.in-addr.arpa",
                {
                    SOURCE: {"PTR": ["out.ours.org", "out.yours.org"]},
                    THEIRS: {"PTR": ["mx.theirs.org"]},
                    SPAMMER: {"PTR": ["mx.spam.net"]},
                },
            ),
        ]

    def start(self) -> None:
        self.stack.enter_context(self.theirs)
        for house in self.houses:
            self.stack.enter_context(house)
            house.set_passwords("ann")

    def by_postfix(self, to: str, message: bytes) -> None:
        """pat@theirs.org sends."""
        with self.theirs.smtp() as client:
            client.ehlo()
            client.deliver(b"pat@theirs.org", [to.encode()], message)

    def by_swaks(
        self, house: House, sender: str, message: bytes, helo: str = "mx.spam.net"
    ) -> tuple[int, str]:
        """The exit code of swaks, and the dialogue."""
        file = self.folder / "swaks.eml"
        file.write_bytes(message)
        done = subprocess.run(
            [
                *(program("swaks"), "--server", f"{house.address}:{SMTP_PORT}"),
                *("--local-interface", SPAMMER, "--ehlo", helo, "--timeout", str(PATIENCE_S)),
                *("--from", sender, "--to", f"ann@{house.domain}", "--data", f"@{file}"),
            ],
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE_S,
            check=False,
        )
        return done.returncode, done.stdout


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as found:
        yield found


@pytest.fixture(scope="module")
def running(network: Network) -> Iterator[World]:
    # Not pytest's own folder: the workers are another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-exchange-"))
    folder.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        with network.inside():
            found = World(folder, stack)
            found.start()
        yield found
        logs = [house.log.read_text() for house in found.houses]
    for log in logs:
        assert "unhandled" not in log
        assert "Traceback" not in log


@pytest.fixture
def world(network: Network, running: World) -> Iterator[World]:
    with network.inside():
        yield running


def results(message: EmailMessage) -> str:
    """The field of the last hand, unfolded."""
    return " ".join(str(message.get_all("Authentication-Results", [""])[0]).split())


def test_ours_to_ours(world: World) -> None:
    token, message = new_message("ann@ours.org", "ann@yours.org")
    world.ours.submit("ann@yours.org", message)
    found = world.yours.wait_for(token)
    said = results(found)
    assert said.startswith("mx.yours.org;")
    for part in (
        *("iprev=pass", "spf=pass", "smtp.mailfrom=ann@ours.org"),
        *("dkim=pass", "header.d=ours.org", "header.s=s1", "with dnssec"),
        *("dmarc=pass", "header.from=ours.org"),
    ):
        assert part in said, part
    assert found["Return-Path"] == "<ann@ours.org>"
    near, far = found.get_all("Received", [])
    assert "by mx.yours.org" in near
    assert "ESMTPS" in near.upper()
    # Where the user sat is nobody's business.
    assert far.startswith("from mx.ours.org by mx.ours.org ")
    verdict = world.yours.verdict(token)
    assert (verdict["accepted"], verdict["account"]) == (True, "ann")
    out, _ = world.yours.mox(f"verdict {message_id(token)}")
    assert "ACCEPTED" in out.splitlines()[0]


@pytest.mark.rfc("4865 §4")
def test_what_was_held_for_one_of_us_comes_in_unjudged(world: World) -> None:
    token, message = new_message("ann@ours.org", "ann@ours.org")
    with world.ours.submit_as("ann@ours.org") as client:
        client.command(b"MAIL FROM:<ann@ours.org> HOLDFOR=2", 250)
        client.command(b"RCPT TO:<ann@ours.org>", 250)
        client.command(b"DATA", 354)
        client.send(stuffed(message))
        client.expect(client.read_reply(), 250)
    assert all(one["Subject"] != token for one in world.ours.inbox())
    found = world.ours.wait_for(token)
    assert results(found) == "mx.ours.org; auth=pass smtp.mailfrom=ann@ours.org"
    (received,) = found.get_all("Received", [])
    assert "by mx.ours.org" in received
    assert found["DKIM-Signature"] is not None
    wait_until(lambda: json.loads(world.ours.mox("queue list --json")[0]) == [], WAIT_S)


@pytest.mark.parametrize("domain", ["theirs.org", "exim.org", PLAIN])
def test_others_take_ours_and_opendkim_verifies_it(
    world: World, tmp_path: Path, domain: str
) -> None:
    servers: list[MailServer] = [world.theirs, world.exim, world.opensmtpd]
    (server,) = (one for one in servers if one.domain == domain)
    token, message = new_message("ann@ours.org", f"pat@{domain}")
    world.ours.submit(f"pat@{domain}", message)
    subject = f"\nSubject: {token}\n".encode()
    wait_until(lambda: any(subject in one for one in server.messages("pat")), WAIT_S, server.said)
    (taken,) = (one for one in server.messages("pat") if subject in one)
    as_sent = taken[taken.index(b"DKIM-Signature:") :].replace(b"\n", b"\r\n")
    assert opendkim.judge(as_sent, world.names.unbound.port, tmp_path) == ["pass"]
    changed = as_sent.replace(b"Hello", b"Hullo")
    assert opendkim.judge(changed, world.names.unbound.port, tmp_path) == ["fail"]


@pytest.mark.parametrize("domain", ["ours.org", "yours.org"])
def test_postfix_with_opendkim_to_ours(world: World, domain: str) -> None:
    house = world.ours if domain == "ours.org" else world.yours
    token, message = new_message("pat@theirs.org", f"ann@{domain}")
    world.by_postfix(f"ann@{domain}", message)
    found = house.wait_for(token)
    said = results(found)
    for part in (
        *("iprev=pass", "policy.iprev=127.0.0.3", "spf=pass", "smtp.mailfrom=pat@theirs.org"),
        *("dkim=pass", "header.d=theirs.org", "header.s=mail", "2048 bit rsa, with dnssec"),
        *("dmarc=pass (with dnssec", "header.from=theirs.org"),
    ):
        assert part in said, (part, said)
    (spf,) = found.get_all("Received-SPF", [])
    assert spf.startswith("pass ")
    assert "client-ip=127.0.0.3" in spf
    verdict = house.verdict(token)
    assert verdict["accepted"], verdict


def test_who_forges_ours_is_refused_and_told_why(world: World) -> None:
    token, message = new_message("ann@ours.org", "ann@yours.org", "send money")
    reply, pieces = slowly_sent(world.yours, "crook@spam.net", message)
    assert reply.startswith("550 5.7.26")
    assert pieces > 5, "whoever forges is not slowed down"
    verdict = world.yours.verdict(token)
    assert (verdict["accepted"], verdict["reason"]) == (False, "dmarc-policy")
    out, _ = world.yours.mox(f"verdict {message_id(token)}")
    assert "REFUSED" in out.splitlines()[0]
    assert all(one["Subject"] != token for one in world.yours.inbox())


def test_names_that_dnssec_shows_to_be_forged_prove_nothing(world: World) -> None:
    token, message = new_message("a@broken.net", "ann@yours.org")
    code, dialogue = world.by_swaks(world.yours, "a@broken.net", message)
    assert code == 0, dialogue
    said = results(world.yours.wait_for(token))
    assert "spf=temperror" in said
    assert "spf=pass" not in said


def slowly_sent(house: House, sender: str, message: bytes) -> tuple[str, int]:
    """The spammer sends: how the reply to its message begins, and in how many pieces it came.

    A refusal comes one byte after the other; nobody waits for all of it.
    """
    client = socket.create_connection(
        (house.address, SMTP_PORT), timeout=PATIENCE_S, source_address=(SPAMMER, 0)
    )
    with client, client.makefile("rb") as replies:
        replies.readline()
        for line in (
            "HELO mx.spam.net",
            f"MAIL FROM:<{sender}>",
            f"RCPT TO:<ann@{house.domain}>",
            "DATA",
        ):
            client.sendall(line.encode() + b"\r\n")
            assert replies.readline()[:1] in (b"2", b"3"), line
        client.sendall(stuffed(message))
        reply, pieces = b"", 0
        while len(reply) < len("550 5.7.26"):
            piece = client.recv(4096)
            assert piece, reply
            reply, pieces = reply + piece, pieces + 1
    return reply.decode(), pieces


def spam(number: int) -> tuple[str, bytes]:
    return new_message("offers@spam.net", "ann@ours.org", f"buy {number}")


def test_marks_of_the_user_decide_and_the_spammer_is_slowed_down(world: World) -> None:
    taken = []
    for number in range(3):
        token, message = spam(number)
        code, dialogue = world.by_swaks(world.ours, "offers@spam.net", message)
        assert code == 0, dialogue
        taken.append(token)
        assert world.ours.verdict(token)["accepted"]
    # Somebody else's mail is judged alike before and after.
    before, message = new_message("pat@theirs.org", "ann@ours.org")
    world.by_postfix("ann@ours.org", message)
    world.ours.wait_for(before)
    with world.ours.login("ann@ours.org") as imap:
        imap.select("INBOX")
        uids = [imap.ok(f"UID SEARCH SUBJECT {one}".encode()).search() for one in taken]
        assert all(len(one) == 1 for one in uids)
        numbers = ",".join(str(one[0]) for one in uids)
        imap.ok(f"UID STORE {numbers} +FLAGS ($Junk)".encode())
    # Learning follows the flags at once, but beside them.
    until = time.monotonic() + WAIT_S
    while True:
        assert time.monotonic() < until, "marks were not learnt"
        token, message = spam(4)
        reply, pieces = slowly_sent(world.ours, "offers@spam.net", message)
        if not reply.startswith("250"):
            break
        assert pieces < 5
    assert reply.startswith("451 4.3.0 "), reply  # a stranger is not told why
    assert pieces > 5, "whoever sends spam is not slowed down"
    verdict = world.ours.verdict(token)
    assert (verdict["accepted"], verdict["code"]) == (False, 451)
    assert verdict["mailbox"] == "Rejects"
    assert verdict["reason"].startswith("msgfrom")
    out, _ = world.ours.mox(f"verdict {message_id(token)}")
    assert "REFUSED" in out.splitlines()[0]
    assert "spam.net" in out
    assert [one["Subject"] for one in world.ours.inbox("Rejects")] == [token]
    after, message = new_message("pat@theirs.org", "ann@ours.org")
    world.by_postfix("ann@ours.org", message)
    world.ours.wait_for(after)
