"""``mox verdict``: what is asked for, and how a decision reads."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mox.base.clock import SystemClock
from mox.cli.main import run
from mox.ctl import commands
from mox.ctl.server import Call, Handlers
from mox.inbound.verdict import Content, History, Line, SignalLine, Verdict, Word
from mox.inbound.whatif import Change

Capture = pytest.CaptureFixture[str]

REFUSED = Verdict(
    at_ms=1_700_000_000_000,
    connection="id1",
    remote_ip="198.51.100.7",
    remote_name="mx.sender.example",
    hello="mx.sender.example",
    mail_from="bounce@sender.example",
    rcpt_to="team@example.org",
    account="me",
    member="me@example.org",
    message_id="1@sender.example",
    author="friend@sender.example",
    size=1234,
    reason="junk-content-strict",
    code=451,
    enhanced="4.3.0",
    mailbox="Rejects",
    destined="Inbox",
    is_reject=True,
    checks=(
        Line(check="iprev", asked="198.51.100.7", result="pass", note="mx.sender.example"),
        Line(check="spf", asked="mailfrom sender.example", result="none", took_ms=12),
    ),
    history=History(
        method="ip1",
        junk=None,
        conclusive=False,
        signals=(SignalLine(kind="ip1", value="198.51.100.7", messages=4, junk=2),),
    ),
    content=Content(
        probability=0.4,
        threshold=0.25,
        strict=True,
        significant=True,
        ham=(Word("meeting", 0.01),),
        spam=(Word("pills", 0.99), Word("viagra", 0.98)),
    ),
    changes=(Change("TLS", "accepted (no-bad-signals)"), Change("a", "b")),
)
TEXT = """\
2023-11-14 22:13:20 UTC  REFUSED  451 4.3.0  junk-content-strict
  from      friend@sender.example (envelope: bounce@sender.example)
  to        team@example.org for me@example.org, account me
  message   <1@sender.example>, 1234 bytes
  client    198.51.100.7 mx.sender.example EHLO mx.sender.example, no TLS, connection id1
  kept      in Rejects, meant for Inbox
  checks    iprev       pass 198.51.100.7 (mx.sender.example)
            spf         none mailfrom sender.example 12 ms
  history   ip1: unknown, inconclusive
            ip1 198.51.100.7: 2 of 4 messages junk
  content   junk probability 0.40, limit 0.25, the strict threshold
            words for junk: pills 0.99, viagra 0.98
            words for not junk: meeting 0.01
  otherwise TLS: accepted (no-bad-signals)
            a: b
"""
ACCEPTED = msgspec.structs.replace(
    REFUSED, accepted=True, code=250, enhanced="2.2.0", reason="msgfromfull", mailbox="Inbox",
    destined="", is_reject=False, delayed_s=15.0, mail_from="", author="", message_id="",
    history=None, content=None, changes=(), checks=(), tls="TLS1.3 X", member="",
)  # fmt: skip


class Kept:
    """The server's side."""

    def __init__(self, *verdicts: Verdict) -> None:
        self.verdicts = verdicts
        self.asked: list[commands.VerdictsWanted] = []

    def handlers(self) -> Handlers:
        handlers = Handlers()
        handlers.on(commands.VERDICTS, self.answer)
        return handlers

    async def answer(self, wanted: commands.VerdictsWanted, call: Call) -> commands.VerdictsShown:
        self.asked.append(wanted)
        for one in self.verdicts:
            await call.progress(one)
        return commands.VerdictsShown(count=len(self.verdicts))


def test_a_refusal_reads_at_a_glance(
    folder: Path, answering: Callable[[Any], Any], capsys: Capture
) -> None:
    kept = Kept(REFUSED)
    with answering(kept):
        assert run(["verdict", "<1@Sender.example>"]) == 0
    assert capsys.readouterr().out == TEXT
    assert kept.asked == [commands.VerdictsWanted(message_id="1@sender.example", limit=20)]


def test_other_outcomes(folder: Path, answering: Callable[[Any], Any], capsys: Capture) -> None:
    aside = msgspec.structs.replace(REFUSED, code=250, mailbox="Suspects")
    lost = msgspec.structs.replace(ACCEPTED, error="over quota", mailbox="")
    with answering(Kept(ACCEPTED, aside, lost)):
        assert run(["verdict", "--account", "me"]) == 0
    printed = capsys.readouterr().out
    first, second, third = printed.split("\n\n")
    assert first.startswith("2023-11-14 22:13:20 UTC  ACCEPTED  msgfromfull\n  from      nobody")
    assert "(envelope: <>)" not in first
    assert "TLS1.3 X, connection" in first
    assert "kept      in Inbox, after 15 seconds" in first
    assert "UTC  PUT ASIDE  junk-content-strict" in second
    assert "UTC  NOT STORED  over quota (judged: msgfromfull)" in third
    assert "kept      nowhere" in third


def test_json_has_names(folder: Path, answering: Callable[[Any], Any], capsys: Capture) -> None:
    with answering(Kept(REFUSED)):
        assert run(["verdict", "--since", "1d", "--json"]) == 0
    (shown,) = msgspec.json.decode(capsys.readouterr().out)
    assert shown["reason"] == "junk-content-strict"
    assert shown["checks"][1] == {
        "check": "spf", "asked": "mailfrom sender.example", "result": "none", "note": "",
        "took_ms": 12,
    }  # fmt: skip
    assert shown["content"]["spam"][0] == {"word": "pills", "score": 0.99}
    assert shown["changes"][0]["what"] == "TLS"


@pytest.mark.parametrize(("text", "seconds"), [("30m", 1800), ("12h", 43_200), ("2w", 1_209_600)])
def test_since(folder: Path, answering: Callable[[Any], Any], text: str, seconds: int) -> None:
    kept = Kept()
    before = SystemClock().now_ms()
    with answering(kept):
        assert run(["verdict", "--since", text, "--limit", "7"]) == 1
    after = SystemClock().now_ms()
    (asked,) = kept.asked
    assert before - seconds * 1000 <= asked.since_ms <= after - seconds * 1000
    assert asked.limit == 7


@pytest.mark.parametrize(
    "arguments",
    [[], ["--since", "1 day"], ["--since", "d"], ["<>"], ["--account", "me", "--limit", "0"]],
)
def test_what_is_not_understood(folder: Path, capsys: Capture, arguments: list[str]) -> None:
    assert run(["verdict", *arguments]) == 2
    assert capsys.readouterr().err
