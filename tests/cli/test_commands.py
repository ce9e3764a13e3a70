"""What each command asks of the server, and prints."""

import io
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.cli.main import run
from mox.config import load
from mox.ctl import commands
from mox.ctl.commands import Nothing

Capture = pytest.CaptureFixture[str]


def feed(monkeypatch: pytest.MonkeyPatch, data: bytes, *, terminal: bool = False) -> None:
    text = io.TextIOWrapper(io.BytesIO(data))
    monkeypatch.setattr(text, "isatty", lambda: terminal)
    monkeypatch.setattr(sys, "stdin", text)


@pytest.mark.parametrize(
    ("line", "asked", "printed"),
    [
        ("stop", Nothing(), "mox stopped\n"),
        ("loglevels", Nothing(), "(default): info\nstore: debug\n"),
        ("loglevels debug", commands.LogLevel(level="debug"), ""),
        ("loglevels warn smtpserver", commands.LogLevel(level="warn", area="smtpserver"), ""),
        ("config account list", Nothing(), "me\nold\t(disabled)\n"),
        ("config account addresses me", commands.AccountName(account="me"), "a@b.c\n@b.c\n"),
        (
            "config account add x x@b.c",
            commands.AccountAddress(account="x", address="x@b.c"),
            "account added; set a password with: mox setaccountpassword x\n",
        ),
        ("config account rm x", commands.AccountName(account="x"), "account removed\n"),
        (
            "config account disable x away",
            commands.AccountDisable(account="x", message="away"),
            "account disabled\n",
        ),
        ("config account enable x", commands.AccountName(account="x"), "account enabled\n"),
        (
            "config address add @b.c x",
            commands.AccountAddress(account="x", address="@b.c"),
            "address added\n",
        ),
        ("config address account a@b.c", commands.Address(address="a@b.c"), "me\n"),
        ("config address list x", commands.AccountName(account="x"), "a@b.c\n@b.c\n"),
        ("config domain list", Nothing(), "b.c\nü.c\t(disabled)\n"),
        (
            "config domain add b.c x",
            commands.DomainAdd(domain="b.c", account="x"),
            "domain added\n",
        ),
        (
            "config domain add --disabled b.c x y",
            commands.DomainAdd(domain="b.c", account="x", localpart="y", disabled=True),
            "domain added\n",
        ),
        ("config domain rm b.c", commands.DomainName(domain="b.c"), "domain removed\n"),
        ("config domain disable b.c", commands.DomainName(domain="b.c"), "domain disabled\n"),
        ("config domain enable b.c", commands.DomainName(domain="b.c"), "domain enabled\n"),
        ("config alias list b.c", commands.DomainName(domain="b.c"), "all@b.c\n"),
        (
            "config alias print all@b.c",
            commands.Address(address="all@b.c"),
            "# post_public true\n# list_members false\n# allow_msg_from false\na@b.c\nx@b.c\n",
        ),
        (
            "config alias add all@b.c a@b.c x@b.c",
            commands.AliasMembers(alias="all@b.c", addresses=("a@b.c", "x@b.c")),
            "alias added\n",
        ),
        ("config alias update all@b.c", commands.AliasUpdate(alias="all@b.c"), "alias updated\n"),
        (
            "config alias update all@b.c --postpublic false --listmembers true --allowmsgfrom=true",
            commands.AliasUpdate(
                alias="all@b.c", post_public=False, list_members=True, allow_msg_from=True
            ),
            "alias updated\n",
        ),
        ("config alias rm all@b.c", commands.Address(address="all@b.c"), "alias removed\n"),
        (
            "config alias addaddr all@b.c y@b.c",
            commands.AliasMembers(alias="all@b.c", addresses=("y@b.c",)),
            "addresses added\n",
        ),
        (
            "config alias rmaddr all@b.c a@b.c x@b.c",
            commands.AliasMembers(alias="all@b.c", addresses=("a@b.c", "x@b.c")),
            "addresses removed\n",
        ),
    ],
)
def test_command(server: Any, capsys: Capture, line: str, asked: Any, printed: str) -> None:
    assert run(line.split()) == 0
    out, err = capsys.readouterr()
    assert (out, err) == (printed, "")
    assert server.asked == [asked]


def test_an_empty_level_clears(server: Any) -> None:
    assert run(["loglevels", "", "store"]) == 0
    assert server.asked == [commands.LogLevel(level="", area="store")]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("loglevels --json", {"(default)": "info", "store": "debug"}),
        (
            "config account list --json",
            [
                {"account": "me", "login_disabled": ""},
                {"account": "old", "login_disabled": "gone"},
            ],
        ),
        ("config account addresses --json me", ["a@b.c", "@b.c"]),
        ("config address list --json me", ["a@b.c", "@b.c"]),
        ("config address account --json a@b.c", {"account": "me", "mailbox": "Inbox"}),
        (
            "config alias print --json all@b.c",
            {
                "alias": "all@b.c",
                "addresses": ["a@b.c", "x@b.c"],
                "post_public": True,
                "list_members": False,
                "allow_msg_from": False,
            },
        ),
        (
            "config domain list --json",
            [{"domain": "b.c", "disabled": False}, {"domain": "ü.c", "disabled": True}],
        ),
    ],
)
def test_json(server: Any, capsys: Capture, line: str, value: object) -> None:
    assert run(line.split()) == 0
    assert json.loads(capsys.readouterr().out) == value


def test_a_refusal_is_one_line(server: Any, capsys: Capture) -> None:
    assert run(["config", "address", "rm", "x@b.c"]) == 1
    assert capsys.readouterr() == ("", "mox: x@b.c: address not found\n")


@pytest.mark.parametrize(
    "line",
    ["stop", "loglevels", "setaccountpassword me", "deliver me@b.c", "config account list"],
)
def test_no_server(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    feed(monkeypatch, b"secret\n")
    assert run(line.split()) == 1
    assert capsys.readouterr() == (
        "",
        "mox: no server is running: nothing answers on the control socket config/data/ctl\n",
    )


def test_where_the_configuration_is(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(["--config", "else/mox.toml", "stop"]) == 1
    assert "there is no else/mox.toml; name" in capsys.readouterr().err
    monkeypatch.setenv("MOX_CONFIG", "other/mox.toml")
    assert run(["stop"]) == 1
    assert "there is no other/mox.toml; name" in capsys.readouterr().err
    (folder / "bad.toml").write_bytes(b"\xff")
    assert run(["--config", "bad.toml", "stop"]) == 1
    assert capsys.readouterr().err == "mox: bad.toml is not UTF-8 text\n"
    assert run(["--config", ".", "stop"]) == 1
    assert capsys.readouterr().err == "mox: cannot read .: Is a directory\n"


def test_a_broken_domains_file_does_not_keep_from_stopping(
    server: Any, folder: Path, capsys: Capture
) -> None:
    (folder / "config" / "domains.toml").write_text("[")
    assert run(["stop"]) == 0
    assert capsys.readouterr().out == "mox stopped\n"


def test_password_from_a_pipe(
    server: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(monkeypatch, "pässword 1 \r\nnot this\n".encode())
    assert run(["setaccountpassword", "me"]) == 0
    assert capsys.readouterr() == ("", "password of me set\n")
    (asked,) = server.asked
    assert (asked.account, asked.password) == ("me", "pässword 1 ")


@pytest.mark.parametrize(
    ("data", "said"),
    [(b"", "no password on standard input"), (b"\n", "no password"), (b"\xff\n", "not UTF-8")],
)
def test_no_password(
    server: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch, data: bytes, said: str
) -> None:
    feed(monkeypatch, data)
    assert run(["setaccountpassword", "me"]) == 1
    assert said in capsys.readouterr().err
    assert server.asked == []


def test_password_on_a_terminal(
    server: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for without echo, twice, until both are the same."""
    feed(monkeypatch, b"", terminal=True)
    typed = iter(["one", "two", "three", "three"])
    monkeypatch.setattr(click.termui, "hidden_prompt_func", lambda _prompt: next(typed))
    assert run(["setaccountpassword", "me"]) == 0
    (asked,) = server.asked
    assert asked.password == "three"
    out, err = capsys.readouterr()
    assert out == ""
    assert "three" not in err
    assert "do not match" in err


def test_deliver(server: Any, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    message = b"Subject: x\r\n\r\n" + b"\xff\x00" * 100_000
    feed(monkeypatch, message)
    assert run(["deliver", "me@example.org"]) == 0
    assert capsys.readouterr().out == "delivered to mailbox Inbox of account me\n"
    ((arguments, body),) = server.asked
    assert arguments == commands.Deliver(address="me@example.org")
    assert body == message


def test_config_test(folder: Path, capsys: Capture) -> None:
    assert run(["config", "test"]) == 0
    assert capsys.readouterr() == ("config OK\n", "")


def test_config_test_tells_everything(folder: Path, capsys: Capture) -> None:
    static = folder / "config" / "mox.toml"
    static.write_text(static.read_text().replace("imap]", "imapp]"))
    (folder / "config" / "domains.toml").write_text("[domains]\n[accounts.me]\nx = 1\n")
    assert run(["config", "test"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert sorted(err.splitlines()) == [
        "mox: config/domains.toml:2: accounts.me.domain: required, but missing",
        "mox: config/domains.toml:3: accounts.me.x: unknown key",
        "mox: config/mox.toml:9: listeners.local.imapp: unknown key",
    ]


def test_config_test_reads_the_certificates(folder: Path, capsys: Capture) -> None:
    static = folder / "config" / "mox.toml"
    pair = '[[listeners.local.tls.key_certs]]\ncert_file = "{0}.crt"\nkey_file = "{0}.key"\n'
    static.write_text(static.read_text() + pair.format("a") + pair.format("b"))
    assert run(["config", "test"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        f"mox: config/mox.toml: listeners.local.tls: cannot read config/{name}.crt: No such file"
        " or directory"
        for name in "ab"
    ]


def test_config_test_reads_authorities(folder: Path, capsys: Capture) -> None:
    static = folder / "config" / "mox.toml"
    static.write_text(static.read_text() + '[tls.ca]\ncert_files = ["ca.pem"]\n')
    assert run(["config", "test"]) == 1
    assert capsys.readouterr().err == (
        "mox: config/mox.toml: tls.ca: cannot read the certificates of authorities config/ca.pem:"
        " No such file or directory\n"
    )
    for content in ("", "-----BEGIN CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n"):
        (folder / "config" / "ca.pem").write_text(content)
        assert run(["config", "test"]) == 1
        assert "mox: config/mox.toml: tls.ca" in capsys.readouterr().err


def test_config_test_reads_dkim_keys(folder: Path, capsys: Capture) -> None:
    def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    domains = folder / "config" / "domains.toml"
    selectors = "".join(
        f'[domains."example.org".dkim.selectors.{name}]\nprivate_key_file = "{name}.pem"\n'
        for name in ("good", "curve", "none", "odd")
    )
    domains.write_text(domains.read_text() + selectors)
    (folder / "config" / "good.pem").write_bytes(
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    )
    (folder / "config" / "curve.pem").write_bytes(pem(ec.generate_private_key(ec.SECP256R1())))
    (folder / "config" / "odd.pem").write_text("x")
    assert run(["config", "test"]) == 1
    out, err = capsys.readouterr()
    start = 'mox: config/domains.toml: domains."example.org".dkim.selectors.'
    curve, none, odd = err.splitlines()
    assert out == ""
    assert curve == f"{start}curve: config/curve.pem: the private key is neither RSA nor Ed25519"
    assert none == f"{start}none: cannot read config/none.pem: No such file or directory"
    assert odd == f"{start}odd: config/odd.pem: no private key in PEM"


def test_describe(capsys: Capture) -> None:
    assert run(["config", "describe-static"]) == 0
    static = capsys.readouterr().out
    assert run(["config", "describe-domains"]) == 0
    assert load.load(static, capsys.readouterr().out).static.hostname == "mail.example.org"


def module(monkeypatch: pytest.MonkeyPatch, name: str, **functions: Any) -> None:
    made = ModuleType(name)
    for function, value in functions.items():
        setattr(made, function, value)
    monkeypatch.setitem(sys.modules, name, made)


def test_serve(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run_serve(path: Path) -> int:
        asked.append(path)
        return 7

    module(monkeypatch, "mox.runtime.serve", run_serve=run_serve)
    assert run(["--config", "x/mox.toml", "serve"]) == 7
    assert asked == [Path("x/mox.toml")]


def test_localserve(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def run_localserve(*arguments: object) -> int:
        asked.append(arguments)
        return 0

    module(monkeypatch, "mox.runtime.localserve", run_localserve=run_localserve)
    assert run(["localserve"]) == 0
    line = "localserve --dir /x --ip ::1 --port-offset 2000 --initonly"
    assert run(line.split()) == 0
    assert asked == [(None, None, None, False), (Path("/x"), "::1", 2000, True)]


class Found:
    where = "account me"
    text = "a message is missing"


@pytest.mark.parametrize(
    ("found", "options", "code", "printed"),
    [
        ([], [], 0, "{} is consistent\n"),
        ([Found()], [], 1, "account me: a message is missing\n"),
    ],
)
def test_verifydata(
    tmp_path: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
    found: list[Found],
    options: list[str],
    code: int,
    printed: str,
) -> None:
    module(monkeypatch, "mox.store.verify", verify_folder=lambda _folder, **_: found)
    assert run(["verifydata", str(tmp_path), *options]) == code
    assert capsys.readouterr() == (printed.format(tmp_path), "")


def test_verifydata_as_json(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    module(monkeypatch, "mox.store.verify", verify_folder=lambda _folder, **_: [Found()])
    assert run(["verifydata", "--json", str(tmp_path)]) == 1
    assert json.loads(capsys.readouterr().out) == [
        {"where": "account me", "text": "a message is missing"}
    ]
