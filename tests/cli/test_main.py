"""Exit codes, help, and how problems are told."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mox.cli import main as main_module
from mox.cli.main import run

Capture = pytest.CaptureFixture[str]


def test_no_arguments(capsys: Capture) -> None:
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert "mox serve" in lines
    assert "mox config account add ACCOUNT ADDRESS" in lines
    assert (
        "mox localserve [--dir FOLDER] [--ip ADDRESS] [--port-offset NUMBER] [--initonly]" in lines
    )


def test_first_words_of_commands(capsys: Capture) -> None:
    assert run(["config", "domain"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 5
    assert all(line.startswith("mox config domain ") for line in lines)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["config", "account", "add", "x"], "Missing argument 'ADDRESS'"),
        (["nonsense"], "No such command 'nonsense'"),
        (["version", "--loud"], "No such option"),
        (["verifydata", "/nowhere"], "'/nowhere' does not exist"),
        (["localserve", "--port-offset", "65000"], "0<=x<=64000"),
        (["localserve", "--ip", "here"], "'here' is not an IP address"),
        (["loglevels", "a", "b", "c"], "unexpected extra argument"),
    ],
)
def test_not_understood(capsys: Capture, arguments: list[str], said: str) -> None:
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: mox")
    assert said in err.splitlines()[-1]


def test_help(capsys: Capture) -> None:
    assert run(["help"]) == 0
    assert "mox verifydata [--junk] [--json] DATADIR" in capsys.readouterr().out.splitlines()
    assert run(["help", "loglevels"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mox loglevels [--json] [LEVEL] [AREA]\n")
    assert "restart forgets" in " ".join(out.split())
    assert run(["help", "config", "address"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "mox config address add ADDRESS ACCOUNT"
    assert lines[1].startswith("    Give an account one more ADDRESS")
    assert run(["help", "set"]) == 0
    assert capsys.readouterr().out.startswith("mox setaccountpassword ACCOUNT\n    Set the pass")
    assert run(["help", "config", "describe"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 6


@pytest.mark.parametrize("words", [["zz"], ["serve", "x"], ["config", "zz"], ["stop", "stop"]])
def test_help_for_nothing(capsys: Capture, words: list[str]) -> None:
    assert run(["help", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"mox: unknown command: {' '.join(words)}; mox help lists all\n")


def test_version(capsys: Capture) -> None:
    assert run(["version"]) == 0
    assert capsys.readouterr().out.startswith("mox 0.")
    assert run(["version", "--json"]) == 0
    assert '"speedups": "' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError(2, "No such file or directory", "x.toml"), "x.toml: No such file or di"),
        (OSError("odd"), "odd"),
        (KeyboardInterrupt(), "interrupted"),
        (KeyError("k"), "internal error: KeyError: 'k' (MOX_TRACEBACK=1 shows the trace)"),
    ],
)
def test_never_a_trace(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, error: BaseException, said: str
) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise error

    monkeypatch.delenv("MOX_TRACEBACK", raising=False)
    monkeypatch.setattr(main_module.mox, "main", fail)
    assert run(["version"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mox: {said}")
    assert err.count("\n") == 1


def test_a_trace_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: object, **_named: object) -> None:
        raise KeyError("k")

    monkeypatch.setenv("MOX_TRACEBACK", "1")
    monkeypatch.setattr(main_module.mox, "main", fail)
    with pytest.raises(KeyError):
        run(["version"])


def test_as_a_program(folder: Path) -> None:
    """The exit code reaches the shell; a reader that goes away is no error to talk about."""
    command = [sys.executable, "-m", "mox.cli.main"]
    done = subprocess.run([*command, "stop"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "mox: no server is running: nothing answers on the control socket config/data/ctl\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*command, "config", "describe-static"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_command_imports_no_server() -> None:
    code = (
        "import sys; from mox.cli.main import run; run(['version']);"
        "print([m for m in ('asyncio', 'aiohttp', 'uvloop', 'rocksdict') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
