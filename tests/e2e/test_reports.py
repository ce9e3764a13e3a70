"""``mox serve`` receives reports about its domains: by SMTP, judged, kept over a restart, shown."""

from __future__ import annotations

import gzip
import json
import shutil
import socketserver
import tempfile
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import dns.message
import dns.rrset
import pytest
from support import localnames
from support.ports import HOST
from support.reporting import OneKey
from support.serving import DOMAINS, Serve
from support.smtpclient import SmtpClient

from mox.base.clock import SystemClock
from mox.mailauth.dkim.sign import sign
from mox.mailauth.dmarc.feedback import Feedback, PolicyPublished, Record
from mox.mailauth.dmarc.feedbackxml import write
from mox.tlspolicy.tlsreport import Policy, Report, Result, format_report

pytestmark = pytest.mark.slow

ADDRESSES = """\
[domains."example.org".dmarc]
localpart = "dmarc"
account = "alice"
mailbox = "DMARC"
[domains."example.org".tlsrpt]
localpart = "tls"
account = "alice"
mailbox = "TLSRPT"
[domains."example.net"]
"""
KEY = OneKey("reporter.example")
TEXTS = {
    "_dmarc.reporter.example.": "v=DMARC1; p=reject",
    "sel._domainkey.reporter.example.": KEY.record["sel._domainkey.reporter.example"]["TXT"][0],
}


class _Names(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        data, sock = self.request
        question = dns.message.from_wire(data)
        name = question.question[0].name.to_text().lower()
        answer = localnames.answer(data)
        if name in TEXTS:
            response = dns.message.make_response(question, recursion_available=True)
            text = f'"{TEXTS[name]}"'
            response.answer.append(dns.rrset.from_text(name, 300, "IN", "TXT", text))
            answer = response.to_wire()
        sock.sendto(answer, self.client_address)


@pytest.fixture(scope="module")
def names() -> Iterator[str]:
    """A name server that knows the reporter's policy and key."""
    with socketserver.UDPServer((HOST, 0), _Names) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"{HOST}:{server.server_address[1]}"
        server.shutdown()
        thread.join(30)


@pytest.fixture(scope="module")
def serve(names: str) -> Iterator[Serve]:
    # Not pytest's own folder: the worker is another user, who may not enter that.
    folder = Path(tempfile.mkdtemp(prefix="mox-reports-"))
    folder.chmod(0o755)
    server = Serve(folder / "mox")
    server.domains.write_text(DOMAINS.replace('[domains."example.net"]\n', ADDRESSES))
    static = server.config / "mox.toml"
    static.write_text(static.read_text().replace(localnames.local_names(), names))
    with server:
        server.set_passwords("alice")
        yield server
        log = server.log.read_text()
    shutil.rmtree(folder)
    assert "unhandled" not in log
    assert "Traceback" not in log


def send(serve: Serve, to: bytes, content: bytes, subtype: str) -> None:
    made = EmailMessage(SMTP)
    made["From"] = "Reports <reports@reporter.example>"
    made["To"] = to.decode()
    made["Subject"] = "Report Domain: example.org Submitter: reporter.example Report-ID: <1>"
    made["Message-ID"] = f"<{subtype}@reporter.example>"
    made.set_content(content, "application", subtype)
    raw = bytes(made)
    now_s = SystemClock().now_ms() // 1000
    raw = sign(raw, KEY.of("reporter.example"), now_s=now_s) + raw
    with SmtpClient(HOST, serve.port("smtp"), timeout=60) as client:
        client.ehlo()
        client.deliver(b"reports@reporter.example", [to], raw)


def listed(serve: Serve, command: str) -> list[dict[str, Any]]:
    out, _ = serve.mox(f"{command} --json")
    found: list[dict[str, Any]] = json.loads(out)
    return found


def test_reports_are_received_kept_and_shown(serve: Serve) -> None:
    now_s = SystemClock().now_ms() // 1000
    feedback = Feedback(
        org_name="Reporter",
        report_id="1",
        begin_s=now_s - 86_400,
        end_s=now_s - 1,
        policy=PolicyPublished(domain="example.org", p="none"),
        records=(
            Record(source_ip="192.0.2.1", count=41, disposition="none", dkim="pass"),
            Record(source_ip="192.0.2.2", count=1, disposition="none", dkim="fail"),
        ),
    )
    report = Report(
        organization="Reporter",
        begin_s=now_s - 86_400,
        end_s=now_s - 1,
        report_id="2",
        results=(
            Result(policy=Policy(type="sts", domain="example.org"), success_count=7),
            Result(policy=Policy(type="tlsa", domain="mail.example.org"), success_count=1),
        ),
    )
    for _ in range(2):  # the second one is known
        send(serve, b"dmarc+x@example.org", gzip.compress(write(feedback)), "gzip")
    send(serve, b"tls@example.org", format_report(report), "tlsrpt+json")

    def check() -> None:
        (found,) = listed(serve, "dmarc reports --domain example.org --since 1h")
        assert found["report"]["from_domain"] == "reporter.example"
        assert found["report"]["summary"]["messages"] == 42
        assert found["report"]["summary"]["passed"] == 41
        (found,) = listed(serve, "tlsrpt reports")
        assert found["report"]["domains"] == ["example.org", "mail.example.org"]
        assert found["report"]["hosts"] == ["mail.example.org"]
        out, _ = serve.mox("dmarc report 1")
        assert "41 x 192.0.2.1 from ?: none, dkim pass, spf ?" in out

    check()
    with serve.login("alice@example.org") as alice:
        for mailbox, count in (("DMARC", 2), ("TLSRPT", 1)):
            alice.select(mailbox)
            assert len(alice.ok(b"SEARCH SEEN").search()) == count
    assert serve.stop() == 0
    out, _ = serve.mox("verifydata", str(serve.folder / "data"))
    assert "is consistent" in out
    serve.start()
    check()
