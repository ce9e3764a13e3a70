"""mtasts and dane on the command line."""

import asyncio
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from support.certificates import Made
from support.smtpsink import Sink, in_thread

from mox.cli.main import run
from mox.cli.mtasts import _look_up
from mox.dns.zones import Zones
from mox.tlspolicy.dane import suggest

Capture = pytest.CaptureFixture[str]
LEAF = Made("leaf", names=("mx.example.org",))


def test_records_of_certificates_and_keys(tmp_path: Path, capsys: Capture) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(LEAF.pem.partition(b"-----END PRIVATE KEY-----\n")[2])
    key.write_bytes(LEAF.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    expected = f"TLSA 3 1 1 {suggest(LEAF.spki).data.hex()}\n"
    for file in (certificate, key):
        assert run(["dane", "makerecord", "3", "1", "1", str(file)]) == 0
        assert capsys.readouterr().out == expected
    assert run(["dane", "makerecord", "2", "0", "2", str(certificate)]) == 0
    assert capsys.readouterr().out == f"TLSA 2 0 2 {hashlib.sha512(LEAF.der).hexdigest()}\n"
    assert run(["dane", "makerecord", "3", "0", "0", str(certificate)]) == 0
    assert capsys.readouterr().out == f"TLSA 3 0 0 {LEAF.der.hex()}\n"
    assert run(["dane", "makerecord", "3", "0", "1", str(key)]) == 2
    assert "selector 0 needs a certificate" in capsys.readouterr().err


def test_dialling(tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "leaf.pem"
    path.write_bytes(LEAF.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    sink = Sink(context=context)
    with in_thread(sink):
        zones = {
            "example.org": {"MX": ["1 mx.example.org"]},
            "mx.example.org": {"A": ["127.0.0.1"]},
            f"_{sink.port}._tcp.mx.example.org": {
                "TLSA": [f"3 1 1 {suggest(LEAF.spki).data.hex()}"]
            },
        }
        resolver = Zones(zones, authentic=True)
        monkeypatch.setattr("mox.cli.dane.ask", lambda server, work: asyncio.run(work(resolver)))
        assert run(["dane", "dialmx", "--port", str(sink.port), "example.org"]) == 0
        said = capsys.readouterr().out
        assert "host: mx.example.org" in said
        assert "dane: verified" in said
        zones[f"_{sink.port}._tcp.mx.example.org"] = {"TLSA": ["3 1 1 " + "00" * 32]}
        resolver = Zones(zones, authentic=True)
        assert run(["dane", "dialmx", "--port", str(sink.port), "example.org"]) == 1
        out, err = capsys.readouterr()
        assert "dane: mismatch" in out
        assert "no host is verified by DANE" in err
    assert sink.taken == []


async def test_a_domain_without_a_policy() -> None:
    with pytest.raises(Exception, match=r"example\.org has no MTA-STS record"):
        await _look_up(Zones({"_mta-sts.example.org": {"TXT": ["x"]}}), "example.org")
