"""Received reports on the command line."""

import asyncio
import gzip
import io
import json
import sys
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from mox.base.clock import SystemClock
from mox.cli.main import run
from mox.ctl.server import ControlServer, Handlers
from mox.mailauth.dmarc.feedbackxml import parse
from mox.reports.keeper import Reports, open_reports
from mox.runtime.reportcontrol import ReportControl
from mox.store.serverdata import memory_server_data
from mox.tlspolicy.tlsreport import Failure, Policy, Report, Result, parse_report

Capture = pytest.CaptureFixture[str]
SAMPLES = Path(__file__).parents[1] / "data" / "reports"
DAY_MS = 86_400_000


def message(name: str, kind: str) -> bytes:
    content = (SAMPLES / name).read_bytes()
    made = EmailMessage(SMTP)
    maintype, subtype = kind.split("/")
    made.set_content(gzip.compress(content) if "gzip" in kind else content, maintype, subtype)
    return bytes(made)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "dmarc1").write_bytes(message("plain.xml", "application/gzip"))
    (tmp_path / "dmarc2").write_bytes(message("namespace.xml", "text/xml"))
    (tmp_path / "tls").write_bytes(message("plain.json", "application/tlsrpt+gzip"))
    (tmp_path / "mail").write_bytes(b"Subject: x\r\n\r\nhello\r\n")
    return tmp_path


def test_a_dmarc_report_in_a_file(files: Path, capsys: Capture) -> None:
    assert run(["dmarc", "parsereportmsg", str(files / "dmarc1"), str(files / "dmarc2")]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[:9] == [
        "report 16211123087430721234 of mail.example",
        "  contact  noreply-dmarc@mail.example https://mail.example/dmarc",
        "  period   2026-11-28 00:00 to 2026-11-28 23:59 UTC",
        "  policy   example.org p=reject sp=reject adkim=r aspf=r pct=100",
        "  12 x 192.0.2.7 from example.org: none, dkim pass, spf fail",
        "    dkim pass example.org 2026a",
        "    spf pass lists.example.net ",
        "",
        "report c9d3c2@gateway.example of Gateway & Sons",
    ]
    assert "because of mailing_list (lists.example.net), sampled_out" in out
    assert "  error    no address in rua took the last report" in out
    assert "    envelope lists.example.net to gateway.example" in out


def test_a_dmarc_report_as_json(files: Path, capsys: Capture) -> None:
    assert run(["dmarc", "parsereportmsg", "--json", str(files / "dmarc1")]) == 0
    (report,) = json.loads(capsys.readouterr().out)
    assert report["policy"]["domain"] == "example.org"
    assert report["records"][0]["count"] == 12


def test_a_tls_report_on_standard_input(
    files: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    stdin = io.TextIOWrapper(io.BytesIO((files / "tls").read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert run(["tlsrpt", "parsereportmsg", "-"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:6] == [
        "report 5065427c-23d3-47ca-b6e0-946ea0e8c4be of Company-X",
        "  contact  sts-reporting@company-x.example",
        "  period   2026-11-28 00:00 to 2026-11-28 23:59 UTC",
        "  sts company-y.example: 5326 sessions good, 303 failed",
        "    version: STSv1",
        "    mode: testing",
    ]
    assert "    100 x certificate-expired mx1.mail.company-y.example" in out


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["dmarc", "parsereportmsg", "mail"], "mail: message without a DMARC report"),
        (["tlsrpt", "parsereportmsg", "tls", "mail"], "mail: message without a TLS report"),
        (["tlsrpt", "parsereportmsg", "gone"], "gone: No such file"),
    ],
)
def test_what_is_no_report(
    files: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, words: list[str], problem: str
) -> None:
    monkeypatch.chdir(files)
    assert run(words) == 1
    out, err = capsys.readouterr()
    assert (out, problem in err) == ("", True)


def test_a_strangers_text_does_nothing_to_a_terminal(files: Path, capsys: Capture) -> None:
    report = (SAMPLES / "plain.xml").read_bytes()
    odd = report.replace(b"<org_name>mail.example", "<org_name>\u009b31m\u202e".encode())
    (files / "odd").write_bytes(b"Content-Type: text/xml\r\n\r\n" + odd)
    assert run(["dmarc", "parsereportmsg", str(files / "odd")]) == 0
    assert "of ?31m?" in capsys.readouterr().out


# The server's


@pytest.fixture
def kept(folder: Path) -> Iterator[Callable[[Any], Any]]:
    """A control server over reports in memory; call it to have a coroutine run with them."""
    started, end = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    reports: list[Reports] = []

    async def serve() -> None:
        data = memory_server_data()
        reports.append(await open_reports(data))
        handlers = Handlers()
        ReportControl(reports[0]).add_to(handlers)
        server = ControlServer(folder / "config" / "data", handlers)
        await server.start()
        started.set()
        await end.wait()
        await server.stop()
        await reports[0].close()
        await data.close()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(30)
    try:
        yield lambda work: asyncio.run_coroutine_threadsafe(work(reports[0]), loop).result(30)
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(30)
        loop.close()


async def fill(reports: Reports) -> None:
    now = SystemClock().now_ms()
    for number, (name, domain, days) in enumerate(
        [("plain.xml", "example.org", 40), ("namespace.xml", "bücher.example", 1)], 1
    ):
        await reports.dmarc.keep(
            parse([(SAMPLES / name).read_bytes()]),
            domain=domain,
            from_domain=f"s{number}.example",
            mail_from="",
            now_ms=now - days * DAY_MS,
        )
    await reports.tls.keep(
        parse_report((SAMPLES / "plain.json").read_bytes()),
        domains=["example.org"],
        hosts=["mail.example.org"],
        from_domain="s.example",
        mail_from="",
        now_ms=now,
    )


def test_lists(kept: Callable[[Any], Any], capsys: Capture) -> None:
    kept(fill)
    assert run(["dmarc", "reports"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "bücher.example: 3 messages, 0 passed, 3 did not",
        "  2  2026-11-28 01:00 to 2026-11-28 01:59 UTC  s2.example  3 messages, 0 passed"
        " (dkim 0, spf 0), 3 with a reason",
        "example.org: 12 messages, 12 passed, 0 did not",
        "  1  2026-11-28 00:00 to 2026-11-28 23:59 UTC  s1.example  12 messages, 12 passed"
        " (dkim 12, spf 0)",
    ]
    assert run(["tlsrpt", "reports", "--domain", "EXAMPLE.org", "--since", "1h"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "example.org: 5333 sessions good, 303 failed"
    assert out[1].endswith(
        "s.example  5333 good, 303 failed"
        " (100 certificate-expired, 200 starttls-not-supported, 3 validation-failure)"
    )


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        ([], [2, 1]),
        (["--since", "30d"], [2]),
        (["--since", "1m"], []),
        (["--domain", "xn--bcher-kva.example"], [2]),
        (["--domain", "example.org"], [1]),
        (["--domain", "example.org", "--since", "2w"], []),
        (["--domain", "none.example"], []),
    ],
)
def test_lists_as_json(
    kept: Callable[[Any], Any], capsys: Capture, options: list[str], numbers: list[int]
) -> None:
    kept(fill)
    assert run(["dmarc", "reports", "--json", *options]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["number"] for one in found] == numbers
    assert all(one["report"]["summary"]["messages"] for one in found)


def test_one_report(kept: Callable[[Any], Any], capsys: Capture) -> None:
    kept(fill)
    assert run(["dmarc", "report", "1"]) == 0
    assert capsys.readouterr().out.startswith("report 16211123087430721234 of mail.example\n")
    assert run(["dmarc", "report", "--json", "2"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["head"]["domains"] == ["bücher.example"]
    assert found["feedback"]["records"][0]["source_ip"] == "2001:db8::25"
    assert run(["tlsrpt", "report", "1"]) == 0
    assert "sts company-y.example: 5326 sessions good" in capsys.readouterr().out


def test_a_report_longer_than_a_line_of_the_control_socket(
    kept: Callable[[Any], Any], capsys: Capture
) -> None:
    failures = tuple(
        Failure(result_type="validation-failure", failure_reason_code="ü" * 400 + str(number))
        for number in range(5000)
    )
    report = Report(
        begin_s=0,
        end_s=1,
        report_id="long",
        results=(Result(policy=Policy(type="sts"), failures=failures),),
    )

    async def keep(reports: Reports) -> None:
        await reports.tls.keep(
            report,
            domains=["example.org"],
            hosts=[],
            from_domain="s.example",
            mail_from="",
            now_ms=SystemClock().now_ms(),
        )

    kept(keep)
    assert run(["tlsrpt", "report", "--json", "1"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert len(found["report"]["results"][0]["failures"]) == 5000


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["dmarc", "report", "7"], 1, "there is no report 7"),
        (["tlsrpt", "report", "7"], 1, "there is no report 7"),
        (["dmarc", "reports", "--domain", "a b"], 1, "is not a domain"),
        (["dmarc", "reports", "--since", "yesterday"], 2, "is not a time like"),
    ],
)
def test_problems(
    kept: Callable[[Any], Any], capsys: Capture, words: list[str], code: int, problem: str
) -> None:
    assert run(words) == code
    out, err = capsys.readouterr()
    assert (out, problem in err) == ("", True)


def test_no_server(folder: Path, capsys: Capture) -> None:
    assert run(["dmarc", "reports"]) == 1
    assert "no server is running" in capsys.readouterr().err
