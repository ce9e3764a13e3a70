"""``mox retrain`` and ``mox junk``."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mox.base.errors import Refused
from mox.cli.main import run
from mox.ctl import commands as ctl
from mox.ctl.judged import junk_checked
from mox.ctl.server import Call, Handlers
from mox.junk.classify import Classification, ScoredWord

Capture = pytest.CaptureFixture[str]
Answering = Callable[[Any], Any]

FOUND = Classification(
    probability=0.25,
    significant=False,
    ham=(ScoredWord(b"meeting", 0.01, 30, 1),),
    spam=(ScoredWord("billige pillen für".encode(), 0.99, 0, 40),),
)


class Server:
    """The server's side."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def handlers(self) -> Handlers:
        handlers = Handlers()
        handlers.on(ctl.RETRAIN, self.retrain)
        handlers.on(ctl.JUNK_CHECK, self.check)
        return handlers

    async def retrain(self, wanted: ctl.Retrain, call: Call) -> ctl.Retrained:
        if wanted.account == "nobody":
            raise Refused("there is no account 'nobody'")
        for done in (0, 1000):
            await call.progress(ctl.Retraining(account="me", done=done, total=1500))
        others = () if wanted.account else ("plain",)
        return ctl.Retrained(trained=("me",), without_filter=others)

    async def check(self, wanted: ctl.AccountName, call: Call) -> ctl.JunkChecked:
        self.bodies.append(b"".join([piece async for piece in call.body()]))
        return junk_checked(FOUND)


def test_retrain_tells_how_far_it_is(folder: Path, answering: Answering, capsys: Capture) -> None:
    with answering(Server()):
        assert run(["retrain", "me"]) == 0
        shown = capsys.readouterr()
        assert shown.out == "me: trained\n"
        assert shown.err == "me: 0 of 1500 messages\nme: 1000 of 1500 messages\n"
        assert run(["retrain"]) == 0
        assert capsys.readouterr().out == "me: trained\nplain: no junk filter\n"
        assert run(["retrain", "--json"]) == 0
        printed = json.loads(capsys.readouterr().out)
        assert printed == {"trained": ["me"], "without_filter": ["plain"]}
        assert run(["retrain", "nobody"]) == 1
        assert "no account 'nobody'" in capsys.readouterr().err


def test_a_message_is_checked_by_the_filter_of_an_account(
    folder: Path, answering: Answering, capsys: Capture
) -> None:
    Path("message").write_bytes(b"Subject: x\r\n\r\n" + b"text " * 40_000)
    server = Server()
    with answering(server):
        assert run(["junk", "check", "--account", "me", "message"]) == 0
    assert capsys.readouterr().out == (
        "probability 0.250000, of a filter that knows too little\n"
        "ham\t0.010\t30 ham, 1 spam\tmeeting\n"
        "spam\t0.990\t0 ham, 40 spam\tbillige pillen für\n"
    )
    assert server.bodies == [Path("message").read_bytes()]


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders of ham, spam and sent messages; days later their kinds are as before."""
    monkeypatch.chdir(tmp_path)
    texts = {
        "ham": "agenda of our meeting on monday",
        "spam": "cheap pills for you, buy them now",
        "sent": "thanks for the agenda",
    }
    for kind, text in texts.items():
        box = tmp_path / kind / "cur" if kind == "spam" else tmp_path / kind
        box.mkdir(parents=True)
        for n in range(8):
            head = f"Subject: {kind} {n}\nDate: {n + 1} Mar 2022 10:00:00 +0000\n"
            (box / str(n)).write_text(f"{head}\n{text} number{n}\n")
    (tmp_path / "ham" / "folder").mkdir()
    return tmp_path


def test_a_filter_is_trained_and_tested(mail: Path, capsys: Capture) -> None:
    assert run(["junk", "train", "--sent-dir", "sent", "ham", "spam"]) == 0
    assert capsys.readouterr().out == "trained: 16 ham, 8 spam\n"
    assert run(["junk", "test", "ham", "spam"]) == 0
    assert capsys.readouterr().out == (
        "ham: 8 right, 0 wrong\nspam: 8 right, 0 wrong\n"
        "specificity: 1.0000\nsensitivity: 1.0000\naccuracy: 1.0000\n"
    )
    assert run(["junk", "test", "spam", "ham", "--debug"]) == 0
    shown = capsys.readouterr()
    assert "ham: 0 right, 8 wrong" in shown.out
    assert f"{Path('spam/cur/0')}: ham, judged spam\n" in shown.err
    assert run(["junk", "check", "spam/cur/0", "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["probability"] > 0.95
    assert not checked["significant"]
    assert any(one["word"] == "cheap pills" for one in checked["spam"])
    # It goes on from what was trained before.
    assert run(["junk", "train", "--json", "ham", "spam"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ham": 24, "spam": 16, "unreadable": 0}


def test_faults_are_told(mail: Path, capsys: Capture) -> None:
    assert run(["junk", "test", "ham", "spam"]) == 1
    assert "filter.db: No such file or directory" in capsys.readouterr().err
    assert run(["junk", "train", "ham", "nowhere"]) == 2
    assert run(["junk", "train", "--no-twograms", "ham", "spam"]) == 2
    assert "needs onegrams, twograms or threegrams" in capsys.readouterr().err
    assert run(["junk", "train", "ham", "spam"]) == 0
    assert run(["junk", "test", "--onegrams", "ham", "spam"]) == 1
    assert "other runs of words" in capsys.readouterr().err
    Path("filter.bloom").unlink()
    assert run(["junk", "train", "ham", "spam"]) == 1
    assert "only one is there" in capsys.readouterr().err


def test_an_unreadable_file_is_passed_over(
    mail: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Path.read_bytes

    def read_bytes(path: Path) -> bytes:
        if path == Path("ham/3"):
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert run(["junk", "train", "ham", "spam"]) == 0
    shown = capsys.readouterr()
    assert shown.out == "trained: 7 ham, 8 spam\n"
    assert "ham/3: Permission denied" in shown.err
    assert "files that cannot be read: 1" in shown.err


def test_analyze_trains_with_a_part(mail: Path, capsys: Capture) -> None:
    arguments = ["junk", "analyze", "--json", "--seed", "7", "ham", "spam"]
    assert run(arguments) == 0
    first = json.loads(capsys.readouterr().out)
    counted = [first[name] for name in ("ham_right", "ham_wrong", "spam_right", "spam_wrong")]
    assert sum(counted) == 8
    assert first["accuracy"] == 1
    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert run(["junk", "analyze", "--train-ratio", "0", "--sent-dir", "sent", "ham", "spam"]) == 0
    assert "spam: 0 right, 8 wrong" in capsys.readouterr().out


def test_play_judges_before_it_learns(mail: Path, capsys: Capture) -> None:
    for path in Path("ham").iterdir():
        if path.is_file():  # without a date the file's own counts
            path.write_text(path.read_text().replace("Date:", "X-Date:"))
            os.utime(path, (1_646_000_000, 1_646_000_000))
    assert run(["junk", "play", "--sent-dir", "sent", "--json", "--debug", "ham", "spam"]) == 0
    shown = capsys.readouterr()
    score = json.loads(shown.out)
    assert (score["ham_right"], score["ham_wrong"]) == (8, 0)
    assert score["spam_wrong"] == 1  # the first one, which nobody had seen before
    lines = shown.err.splitlines()
    assert len(lines) == 16
    assert lines[0].startswith("ham/0: ham")
