"""spf, dkim, dmarc, dnsbl and dns on the command line, against a name server on loopback."""

import asyncio
import io
import json
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_elliptic
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from support.nameserver import NameServer

from mox.cli.main import run
from mox.dns.resolvconf import ResolverSettings
from mox.dns.zones import Zones

Capture = pytest.CaptureFixture[str]
MESSAGE = b"From: Me <me@a.example>\nTo: you@b.example\nSubject: hello\n\nbody\n"


@pytest.fixture
def names() -> Iterator[NameServer]:
    """A name server in a thread of its own, since the command line blocks."""
    server = NameServer()
    started = threading.Event()
    loop = asyncio.new_event_loop()
    end = asyncio.Event()
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    server.port = sock.getsockname()[1]

    async def serve() -> None:
        transport, _ = await loop.create_datagram_endpoint(lambda: server, sock=sock)
        started.set()
        await end.wait()
        transport.close()
        await asyncio.sleep(0)  # the transport closes its socket in the next round

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert started.wait(5)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(end.set)
        thread.join(5)
        loop.close()


class Command:
    """Runs commands that ask the name server."""

    def __init__(
        self, server: NameServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.zone = server.zone
        self.server = server
        self._option = ["--resolver", f"127.0.0.1:{server.port}"]
        self._capsys = capsys
        self._monkeypatch = monkeypatch

    def __call__(self, *words: str, stdin: bytes = b"") -> tuple[int, str, str]:
        """The exit code, what was printed, and the problems."""
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            code = run([*words[:2], *self._option, *words[2:]])
        out, err = self._capsys.readouterr()
        return code, out, err

    def lines(self, *words: str, stdin: bytes = b"") -> list[str]:
        """What was printed, where all went well."""
        code, out, err = self(*words, stdin=stdin)
        assert (code, err) == (0, "")
        return out.splitlines()

    def json(self, *words: str, stdin: bytes = b"") -> Any:
        """The same as JSON."""
        return json.loads("\n".join(self.lines(*words, "--json", stdin=stdin)))


@pytest.fixture
def command(names: NameServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> Command:
    return Command(names, capsys, monkeypatch)


@pytest.mark.parametrize(
    ("kind", "name", "records", "text", "plain"),
    [
        ("a", "a.example", ["192.0.2.1"], "192.0.2.1", "192.0.2.1"),
        ("mx", "a.example", ["0 ."], "0 .", {"preference": 0, "host": ""}),
        ("ns", "A.example.", ["ns.example."], "ns.example", "ns.example"),
        ("txt", "_x.bücher.example", [r'"\"\007ü" "b"'], r'"\"\007\195\188b"', '"\x07üb'),
        ("ptr", "192.0.2.1", ["h.example."], "h.example", "h.example"),
        (
            "srv",
            "_imap._tcp.a.example",
            ["1 2 143 h.example."],
            "1 2 143 h.example",
            {"priority": 1, "weight": 2, "port": 143, "target": "h.example"},
        ),
        (
            "TLSA",
            "_25._tcp.a.example",
            ["3 1 1 " + "ab" * 32],
            "3 1 1 " + "ab" * 32,
            {"usage": 3, "selector": 1, "matching": 1, "data": "ab" * 32},
        ),
    ],
)
def test_dns_lookup(
    command: Command, kind: str, name: str, records: list[str], text: str, plain: object
) -> None:
    asked = {"192.0.2.1": "1.2.0.192.in-addr.arpa", "_x.bücher.example": "_x.xn--bcher-kva.example"}
    at = asked.get(name, name.lower().rstrip("."))
    command.zone[(at, kind.upper())] = records
    assert command.lines("dns", "lookup", kind, name) == [
        text,
        f"({at}, ttl 300 seconds, with dnssec)",
    ]
    found = command.json("dns", "lookup", kind, name)
    assert found == {"name": at, "authentic": True, "ttl": 300, "records": [plain]}


def test_dns_lookup_of_both_families_behind_an_alias(command: Command) -> None:
    command.zone[("w.example", "CNAME")] = ["a.example."]
    command.zone[("a.example", "A")] = ["192.0.2.1"]
    command.zone[("a.example", "AAAA")] = ["2001:db8::1"]
    command.server.flags = dns.flags.Flag(0)
    *addresses, last = command.lines("dns", "lookup", "ips", "w.example")
    assert addresses == ["192.0.2.1", "2001:db8::1"]
    assert last.startswith("(a.example, ttl ")
    assert last.endswith(" seconds, without dnssec)")
    assert command.lines("dns", "lookup", "cname", "w.example")[0] == "a.example"


def test_dns_lookup_of_nothing(command: Command) -> None:
    found = command("dns", "lookup", "a", "no.example")
    assert found == (1, "", "mox: no.example: no such dns record (with dnssec)\n")


def _servfail(question: dns.message.Message) -> list[bytes]:
    response = dns.message.make_response(question)
    response.set_rcode(dns.rcode.Rcode.SERVFAIL)
    response.use_edns(
        0, 0, 1232, options=[dns.edns.EDEOption(dns.edns.EDECode.DNSSEC_BOGUS, "no\x1bgood")]
    )
    return [response.to_wire()]


def test_dns_lookup_of_a_forged_answer(command: Command) -> None:
    command.server.handler = _servfail
    code, out, err = command("dns", "lookup", "a", "a.example")
    assert (code, out) == (1, "")
    assert err == "mox: a.example: dns answer could not be authenticated: no?good\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["dns", "lookup", "any", "a.example"], "'TYPE': 'any' is not one of"),
        (["dns", "lookup", "a", "a..example"], "'NAME': 'a..example' is not a name: label"),
        (["dns", "lookup", "a", "ü-.example"], "is not a name: bad internationalised"),
        (["dns", "lookup", "ptr", "a.example"], "'NAME': 'a.example' is not an IP address"),
        (["spf", "check", "a.example", "1.2.3"], "'IP': '1.2.3' is not an IP address"),
        (["spf", "check", "a b", "192.0.2.1"], "'DOMAIN': 'a b' is not a domain: bad domain"),
        (["dkim", "lookup", "s;", "a.example"], "'SELECTOR': 's;' is not a selector"),
        (["dkim", "verify", "/nowhere"], "'/nowhere': No such file"),
        (["dmarc", "verify", "192.0.2.1", "me", "h"], "'MAILFROM': 'me': bad syntax: expected '@'"),
        (["dmarc", "verify", "192.0.2.1", "", "h\n"], r"'HELO': 'h\n' is not a host"),
    ],
)
def test_not_understood(command: Command, words: list[str], said: str) -> None:
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith(f"Usage: mox {words[0]} {words[1]}")
    assert said in err.splitlines()[-1]
    assert command.server.questions == []


@pytest.mark.parametrize(
    "text", ["here", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "[::1]:²"]
)
def test_no_resolver(capsys: Capture, text: str) -> None:
    assert run(["dns", "lookup", "--resolver", text, "a", "a.example"]) == 2
    assert f"{text!r} is not IP or IP:PORT" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "server", "port"),
    [
        ("192.0.2.1", "192.0.2.1", 53),
        ("192.0.2.1:5353", "192.0.2.1", 5353),
        ("2001:db8::1", "2001:db8::1", 53),
        ("[2001:db8::1]", "2001:db8::1", 53),
        ("[2001:db8::1]:5353", "2001:db8::1", 5353),
    ],
)
def test_whom_to_ask(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch, text: str, server: str, port: int
) -> None:
    seen: list[ResolverSettings] = []

    class Recorder(Zones):
        def __init__(self, settings: ResolverSettings) -> None:
            seen.append(settings)
            super().__init__({"a.example": {"A": ["192.0.2.9"]}})

        async def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("mox.dns.resolver.DnsResolver", Recorder)
    assert run(["dns", "lookup", "--resolver", text, "a", "a.example"]) == 0
    assert seen == [ResolverSettings(servers=(server,), port=port)]
    assert capsys.readouterr().out.startswith("192.0.2.9\n")


def test_the_resolver_of_the_system_is_asked(
    names: NameServer, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = ResolverSettings(servers=("127.0.0.1",), port=names.port)
    monkeypatch.setattr("mox.dns.resolver.system_settings", lambda: settings)
    names.zone[("a.example", "A")] = ["192.0.2.1"]
    assert run(["dns", "lookup", "a", "a.example"]) == 0
    assert capsys.readouterr().out.startswith("192.0.2.1\n")


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("192.0.2.1", ["status: pass", "mechanism: ip4:192.0.2.1"]),
        ("192.0.2.2", ["status: fail", "mechanism: -all", "explanation: go away 192.0.2.2"]),
    ],
)
def test_spf_check(command: Command, ip: str, expected: list[str]) -> None:
    command.zone[("a.example", "TXT")] = ['"v=spf1 ip4:192.0.2.1 -all exp=why.a.example"']
    command.zone[("why.a.example", "TXT")] = ['"go away %{i}"']
    assert command.lines("spf", "check", "a.example", ip) == [
        *expected,
        "lookups: 0",
        "answers: with dnssec",
    ]
    found = command.json("spf", "check", "a.example", ip)
    assert f"status: {found['status']}" == expected[0]
    assert found["sender"]["ip"] == ip


def test_spf_lookup(command: Command) -> None:
    command.zone[("a.example", "TXT")] = ['"other"', '"v=spf1 mx " "?all"']
    assert command.lines("spf", "lookup", "a.example") == ["v=spf1 mx ?all", "(with dnssec)"]
    assert command.json("spf", "lookup", "a.example") == {
        "record": "v=spf1 mx ?all",
        "mechanisms": [
            {"text": "mx", "result": "pass"},
            {"text": "?all", "result": "neutral"},
        ],
        "redirect": "",
        "explanation": "",
        "authentic": True,
    }
    assert command("spf", "lookup", "b.example") == (1, "", "mox: b.example: no spf record\n")
    command.zone[("a.example", "TXT")] = ['"v=spf1 -all"', '"v=spf1 ?all"']
    assert command("spf", "lookup", "a.example")[2] == "mox: a.example: several spf records\n"


def test_spf_parse(capsys: Capture) -> None:
    assert run(["spf", "parse", "v=spf1 a -ip4:192.0.2.0/24 redirect=b.example"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "pass: a",
        "fail: -ip4:192.0.2.0/24",
        "redirect: b.example",
    ]
    assert run(["spf", "parse", "--json", "v=spf1 ~all"]) == 0
    assert json.loads(capsys.readouterr().out)["mechanisms"][0]["result"] == "softfail"
    assert run(["spf", "parse", "v=spf1 nonsense"]) == 1
    assert capsys.readouterr().err == ("mox: not a valid record: unknown mechanism in spf record\n")


def made(capsys: Capture, kind: str) -> bytes:
    """A new private key."""
    assert run(["dkim", kind]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out.encode()


@pytest.mark.parametrize(("kind", "bits"), [("genrsa", " (2048 bits,"), ("gened25519", " (")])
def test_a_key_from_making_to_verifying(
    command: Command, capsys: Capture, tmp_path: Path, kind: str, bits: str
) -> None:
    """Make a key, publish what txt prints, sign with it, and have the signature verified."""
    pem = made(capsys, kind)
    (tmp_path / "key").write_bytes(pem)
    (tmp_path / "plain").write_bytes(MESSAGE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pem)))
        assert run(["dkim", "txt"]) == 0
    text = capsys.readouterr().out
    assert text.startswith('TXT "v=DKIM1;h=sha256;')
    command.zone[("s1._domainkey.a.example", "TXT")] = [text.removeprefix("TXT ").rstrip()]

    options = ["--domain", "A.example", "--selector", "S1", "--key", str(tmp_path / "key")]
    assert run(["dkim", "sign", *options, "--relaxed", str(tmp_path / "plain")]) == 0
    signed = capsys.readouterr().out.encode()
    assert signed.startswith(b"DKIM-Signature: v=1; d=a.example; s=s1;")
    assert signed.endswith(MESSAGE.replace(b"\n", b"\r\n"))

    (line,) = command.lines("dkim", "verify", "-", stdin=signed.replace(b"\r\n", b"\n"))
    assert line.startswith("pass d=a.example s=s1 a=")
    assert line.endswith("with dnssec)")
    assert bits in line
    (found,) = command.json("dkim", "verify", "-", stdin=signed + b"more")
    assert (found["status"], found["reason"]) == ("fail", "body hash does not match")

    record = command.json("dkim", "lookup", "s1", "a.example")
    assert (record["problem"], record["authentic"]) == ("", True)
    assert f"record: {record['record']}" == command.lines("dkim", "lookup", "s1", "a.example")[0]


def test_dkim_verify_without_a_signature(command: Command) -> None:
    assert command.lines("dkim", "verify", "-", stdin=MESSAGE) == ["none: no dkim signatures"]
    assert command.json("dkim", "verify", "-", stdin=MESSAGE) == []


def test_dkim_verify_of_a_signature_that_cannot_be_read(command: Command) -> None:
    (line,) = command.lines("dkim", "verify", "-", stdin=b"DKIM-Signature: v=2\n" + MESSAGE)
    assert line == "permerror: unknown version"


def test_what_a_stranger_wrote_does_nothing_to_a_terminal(command: Command) -> None:
    field = b"DKIM-Signature: v=1; d=a.example; s=s; a=x\x1b[2J; h=from; bh=eHg=; b=eHg=\n"
    (line,) = command.lines("dkim", "verify", "-", stdin=field + MESSAGE)
    assert line.startswith("permerror")
    assert line.isprintable()


def test_dkim_verify_names_no_dnssec_without_a_key(command: Command) -> None:
    field = (
        b"DKIM-Signature: v=1; d=a.example; s=s; a=rsa-sha256; l=1; h=from:subject;"
        b" bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=eHg=\n"
    )
    (line,) = command.lines("dkim", "verify", "-", stdin=field + MESSAGE)
    assert line == ("policy d=a.example s=s a=rsa-sha256: l= leaves part of the body unsigned")


def test_dkim_lookup_problems(command: Command) -> None:
    name = "s._domainkey.a.example"
    assert command("dkim", "lookup", "s", "a.example") == (
        1,
        "",
        f"mox: {name}: no key for signature (without dnssec)\n",
    )
    command.zone[(name, "TXT")] = ['"v=DKIM1; p="']
    assert command.lines("dkim", "lookup", "s", "a.example") == [
        "record: v=DKIM1;p=",
        "kind: rsa",
        "problem: key revoked",
        "answer: with dnssec",
    ]


def _pem(bits: int, password: bytes = b"") -> bytes:
    key = generate_private_key(public_exponent=65537, key_size=bits)
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection)


def _elliptic() -> bytes:
    key = generate_elliptic(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize(
    ("pem", "said"),
    [
        (b"", "no private key in PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "no private key"),
        (_pem(1024, b"secret"), "the private key is protected by a password"),
        (_elliptic(), "the private key is neither RSA nor Ed25519"),
    ],
    ids=["empty", "no key", "password", "elliptic"],
)
def test_no_key_to_sign_with(capsys: Capture, tmp_path: Path, pem: bytes, said: str) -> None:
    key, message = tmp_path / "key", tmp_path / "message"
    key.write_bytes(pem)
    message.write_bytes(MESSAGE)
    options = ["--domain", "a.example", "--selector", "s", "--key", str(key)]
    assert run(["dkim", "sign", *options, str(message)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"mox: {key}: {said}")
    assert err.count("\n") == 1


def test_not_signed(capsys: Capture, tmp_path: Path) -> None:
    key, message = tmp_path / "key", tmp_path / "message"
    key.write_bytes(made(capsys, "gened25519"))
    message.write_bytes(b"Subject: nobody\n\n")
    options = ["--domain", "a.example", "--selector", "s", "--key", str(key)]
    assert run(["dkim", "sign", *options, str(message)]) == 1
    assert capsys.readouterr() == ("", "mox: message needs one From header\n")


def test_dmarc_lookup(command: Command) -> None:
    command.zone[("_dmarc.a.example", "TXT")] = [
        '"v=DMARC1; p=reject; sp=none; pct=50; adkim=s; rua=mailto:r@a.example!1k,mailto:s@b.example"'
    ]
    assert command.lines("dmarc", "lookup", "sub.a.example") == [
        "domain: a.example",
        "policy: reject",
        "subdomain policy: none",
        "percent: 50",
        "spf alignment: relaxed",
        "dkim alignment: strict",
        "aggregate reports: mailto:r@a.example (up to 1024 bytes), mailto:s@b.example",
        "answer: with dnssec",
    ]
    found = command.json("dmarc", "lookup", "a.example")
    assert (found["domain"], found["record"]["percent"]) == ("a.example", 50)
    code, out, err = command("dmarc", "lookup", "b.example")
    assert (code, out) == (1, "")
    assert err == "mox: b.example: no DMARC record (with dnssec)\n"


def test_dmarc_verify(command: Command) -> None:
    command.zone[("_dmarc.a.example", "TXT")] = ['"v=DMARC1; p=reject"']
    command.zone[("b.a.example", "TXT")] = ['"v=spf1 ip4:192.0.2.1 -all"']
    words = ["me@b.a.example", "h.example"]
    good = command.lines("dmarc", "verify", "192.0.2.1", *words, stdin=MESSAGE)
    assert good == [
        "status: pass",
        "from domain: a.example",
        "rejects: no",
        "policy: reject",
        "policy of: a.example",
        "percent: 100",
        "answers: with dnssec",
        "spf: pass b.a.example, aligned",
        "dkim: none: no dkim signatures",
    ]
    bad = command.json("dmarc", "verify", "192.0.2.2", *words, stdin=MESSAGE)
    assert (bad["status"], bad["rejects"], bad["spf"]) == ("fail", True, "fail")
    null = command.json("dmarc", "verify", "192.0.2.1", "<>", "[192.0.2.1]", stdin=MESSAGE)
    assert (null["status"], null["spf"]) == ("fail", "none")
    code, _, err = command("dmarc", "verify", "192.0.2.1", *words, stdin=b"Subject: x\n\n")
    assert code == 1
    assert err == "mox: message needs one From header with one address\n"


def test_dmarc_verify_without_a_policy(command: Command) -> None:
    lines = command.lines("dmarc", "verify", "192.0.2.1", "", "h.example", stdin=MESSAGE)
    assert lines[:4] == [
        "status: none",
        "from domain: a.example",
        "rejects: no",
        "reason: no DMARC record",
    ]


@pytest.mark.rfc("5782 §2.1")
def test_dnsbl_check(command: Command) -> None:
    command.zone[("2.2.0.192.list.example", "A")] = ["127.0.0.4"]
    command.zone[("2.2.0.192.list.example", "TXT")] = ['"sent \\027 spam"']
    assert command.lines("dnsbl", "check", "list.example", "192.0.2.1") == ["status: pass"]
    assert command.lines("dnsbl", "check", "list.example", "192.0.2.2") == [
        "status: fail",
        "codes: 127.0.0.4",
        "explanation: sent ? spam",
    ]
    found = command.json("dnsbl", "check", "list.example", "192.0.2.2")
    assert (found["status"], found["codes"]) == ("fail", ["127.0.0.4"])


@pytest.mark.rfc("5782 §5")
def test_dnsbl_checkhealth(command: Command) -> None:
    code, out, err = command("dnsbl", "checkhealth", "list.example")
    assert (code, out) == (1, "")
    assert err == "mox: list.example: 127.0.0.2 is not listed: the list may be gone\n"
    code, out, err = command("dnsbl", "checkhealth", "list.example", "--json")
    assert (code, json.loads(out)["is_healthy"], err) == (1, False, "")
    command.zone[("2.0.0.127.list.example", "A")] = ["127.0.0.2"]
    assert command.lines("dnsbl", "checkhealth", "list.example") == ["healthy"]
    assert command.json("dnsbl", "checkhealth", "list.example")["is_healthy"] is True


def test_tlsrpt_lookup(command: Command) -> None:
    for name, text in (
        ("a", '"v=TLSRPTv1; rua=mailto:t@a.example,https://a.example/t"'),
        ("b", '"v=TLSRPTv1; rua=nobody"'),
        ("c", '"other"'),
    ):
        command.zone[(f"_smtp._tls.{name}.example", "TXT")] = [text]
    assert command.lines("tlsrpt", "lookup", "A.example") == [
        "reports to: mailto:t@a.example, https://a.example/t",
        "answer: with dnssec",
    ]
    assert command.json("tlsrpt", "lookup", "a.example") == {
        "addresses": ["mailto:t@a.example", "https://a.example/t"],
        "authentic": True,
    }
    for domain, problem in (
        ("b.example", "b.example: TLSRPT record with a malformed address"),
        ("c.example", "c.example: no TLSRPT record (with dnssec)"),
        ("d.example", "_smtp._tls.d.example: no such dns record (with dnssec)"),
    ):
        assert command("tlsrpt", "lookup", domain) == (1, "", f"mox: {problem}\n")


def test_dmarc_checkreportaddrs(command: Command) -> None:
    rua = "mailto:r@a.example!1k,mailto:r@b.example,mailto:r@c.example,https://a.example/"
    command.zone[("_dmarc.a.example", "TXT")] = [f'"v=DMARC1; p=none; rua={rua}"']
    command.zone[("a.example._report._dmarc.b.example", "TXT")] = ['"v=DMARC1"']
    code, out, err = command("dmarc", "checkreportaddrs", "x.a.example")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "domain: a.example",
        "reports to: r@a.example (up to 1024 bytes)",
        "reports to: r@b.example",
        "problem: c.example does not take reports about a.example",
    ]
    command.zone[("a.example._report._dmarc.c.example", "TXT")] = ['"v=DMARC1"']
    found = command.json("dmarc", "checkreportaddrs", "a.example")
    assert [one["address"] for one in found["accepted"]] == [
        "r@a.example",
        "r@b.example",
        "r@c.example",
    ]
    assert found["problems"] == []
    code, out, err = command("dmarc", "checkreportaddrs", "d.example")
    assert (code, out) == (1, "")
    assert "no DMARC record" in err
