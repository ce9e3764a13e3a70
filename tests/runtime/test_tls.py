"""Certificates and TLS contexts, shaken hands with in memory."""

import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mox.base.clock import SystemClock
from mox.runtime.certificate import CertificateNames, make_self_signed
from mox.runtime.tls import CertificateFiles, CertificateUnusable, ServerTLS
from mox.sasl.binding import end_point_binding

Make = Callable[..., CertificateFiles]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    made: dict[tuple[str, ...], CertificateFiles] = {}

    def make(*names: str) -> CertificateFiles:
        if names not in made:
            folder = tmp_path_factory.mktemp("tls")
            files = CertificateFiles(cert_file=folder / "c.pem", key_file=folder / "k.pem")
            make_self_signed(
                files.cert_file,
                files.key_file,
                clock=SystemClock(),
                hostname=names[0],
                names=names[1:],
            )
            made[names] = files
        return made[names]

    return make


def certificate(files: CertificateFiles) -> x509.Certificate:
    return x509.load_pem_x509_certificate(files.cert_file.read_bytes())


def handshake(
    server: ServerTLS,
    trust: CertificateFiles,
    name: str | None,
    adjust: Callable[[ssl.SSLContext], None] | None = None,
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Client and server after the handshake.    Errors: those of the client's side."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(trust.cert_file)
    context.check_hostname = False
    if adjust:
        adjust(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    ours = server.context.wrap_bio(to_server, to_client, server_side=True)
    done = {client: False, ours: False}
    failed: ssl.SSLError | None = None
    for _ in range(10):
        for side in (client, ours):
            try:
                side.do_handshake()
                done[side] = True
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                failed = failed or error
                if side is client:
                    raise
        if all(done.values()):
            return client, ours
    raise failed or AssertionError("no handshake")


def test_self_signed(make: Make) -> None:
    files = make("localhost", "127.0.0.1", "::1")
    for path in (files.cert_file, files.key_file):
        assert path.stat().st_mode & 0o777 == 0o600
    made = certificate(files)
    assert isinstance(made.public_key(), ec.EllipticCurvePublicKey)
    assert 4 * 365 <= (made.not_valid_after_utc - made.not_valid_before_utc).days <= 4 * 366
    context = ssl.create_default_context(cafile=str(files.cert_file))
    server = ServerTLS([files], hostname="localhost", strict_names=True)
    for name in ("localhost", "127.0.0.1", "::1"):
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(to_client, to_server, server_hostname=name)
        ours = server.context.wrap_bio(to_server, to_client, server_side=True)
        for side in (client, ours, client, ours):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        assert client.version() == "TLSv1.3"


@pytest.mark.rfc("9525 §6.3")
def test_names_of_a_certificate(make: Make) -> None:
    names = CertificateNames(certificate(make("Mail.example.org", "*.wild.example", "192.0.2.1")))
    for name in ("mail.example.org", "MAIL.example.org.", "a.wild.example", "192.0.2.1"):
        assert names.match(name), name
    for name in ("example.org", "wild.example", "a.b.wild.example", ".wild.example", "192.0.2.2"):
        assert not names.match(name), name


def test_the_name_chooses_the_certificate(make: Make) -> None:
    one, other = make("one.example"), make("other.example", "*.other.example")
    server = ServerTLS([one, other], hostname="other.example", strict_names=True)
    for name, files in [
        ("one.example", one),
        ("other.example", other),
        ("x.other.example", other),
        (None, other),  # no name: the listener's own
        ("192.0.2.1", other),
    ]:
        client, _ = handshake(server, files, name)
        shown = client.getpeercert(binary_form=True)
        assert shown == certificate(files).public_bytes(serialization.Encoding.DER), name


def test_unknown_names(make: Make) -> None:
    """spec/smtp-server.md section 1: only incoming SMTP takes any name."""
    files = make("one.example")
    strict = ServerTLS([files], hostname="one.example", strict_names=True)
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        handshake(strict, files, "unknown.example")
    delivery = ServerTLS([files], hostname="one.example", strict_names=False, tickets=False)
    client, _ = handshake(delivery, files, "unknown.example")
    assert client.version() == "TLSv1.3"


def test_the_first_certificate_if_none_has_the_hostname(make: Make) -> None:
    one, other = make("one.example"), make("other.example", "*.other.example")
    server = ServerTLS([one, other], hostname="third.example", strict_names=False)
    client, _ = handshake(server, one, None)
    assert client.version() == "TLSv1.3"


def at_most(version: ssl.TLSVersion) -> Callable[[ssl.SSLContext], None]:
    def adjust(context: ssl.SSLContext) -> None:
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version

    return adjust


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    ("minimum", "offered", "works"),
    [
        ("TLSv1.2", ssl.TLSVersion.TLSv1_2, True),
        ("TLSv1.2", ssl.TLSVersion.TLSv1_1, False),
        ("TLSv1.3", ssl.TLSVersion.TLSv1_2, False),
        ("TLSv1.0", ssl.TLSVersion.TLSv1, True),
        ("TLSv1.1", ssl.TLSVersion.TLSv1, False),
    ],
)
def test_min_version(make: Make, minimum: str, offered: ssl.TLSVersion, works: bool) -> None:
    files = make("one.example")
    server = ServerTLS([files], hostname="one.example", min_version=minimum, strict_names=True)
    if works:
        _, ours = handshake(server, files, "one.example", at_most(offered))
        assert ours.version() == offered.name.replace("_", ".").replace("TLSv1", "TLSv1", 1)
    else:
        with pytest.raises(ssl.SSLError):
            handshake(server, files, "one.example", at_most(offered))


@pytest.mark.rfc("5929 §4.1")
def test_channel_binding(make: Make) -> None:
    one, other = make("one.example"), make("other.example", "*.other.example")
    server = ServerTLS([one, other], hostname="one.example", strict_names=True)
    client, ours = handshake(server, other, "other.example")
    shown = client.getpeercert(binary_form=True)
    assert shown is not None
    assert server.end_point_binding(ours) == hashlib.sha256(shown).digest()
    assert end_point_binding(certificate(one)) != end_point_binding(certificate(other))


def test_unusable_files(make: Make, tmp_path: Path) -> None:
    good, other = make("one.example"), make("other.example", "*.other.example")
    key = serialization.load_pem_private_key(good.key_file.read_bytes(), None)
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
    )
    junk = tmp_path / "junk.pem"
    junk.write_bytes(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    missing = tmp_path / "missing.pem"
    for cert_file, key_file, said in [
        (missing, good.key_file, f"cannot read {missing}: No such file"),
        (good.cert_file, missing, f"cannot read {missing}: No such file"),
        (junk, good.key_file, f"{junk} holds no certificate in PEM form"),
        (good.key_file, good.key_file, f"{good.key_file} holds no certificate in PEM form"),
        (good.cert_file, other.key_file, f"{other.key_file} is not the key of {good.cert_file}"),
        (good.cert_file, junk, f"{junk} holds no private key"),
        (good.cert_file, locked, f"{locked} is locked with a passphrase"),
        (tmp_path, good.key_file, f"cannot read {tmp_path}: Is a directory"),
    ]:
        files = CertificateFiles(cert_file=cert_file, key_file=key_file)
        with pytest.raises(CertificateUnusable) as caught:
            ServerTLS([files], hostname="x", strict_names=False)
        assert caught.value.public.startswith(said)
    with pytest.raises(CertificateUnusable, match="no certificate is configured"):
        ServerTLS([], hostname="x", strict_names=False)


def renewed(folder: Path, *names: str) -> CertificateFiles:
    """New files at the same place."""
    files = CertificateFiles(cert_file=folder / "c.pem", key_file=folder / "k.pem")
    make_self_signed(
        files.cert_file, files.key_file, clock=SystemClock(), hostname=names[0], names=names[1:]
    )
    return files


def shown(server: ServerTLS, name: str | None) -> bytes | None:
    """The certificate that a client sees; the channel binding must be of the same one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=name)
    ours = server.context.wrap_bio(to_server, to_client, server_side=True)
    for side in (client, ours, client, ours):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    seen = client.getpeercert(binary_form=True)
    assert seen is not None
    assert server.end_point_binding(ours) == hashlib.sha256(seen).digest()
    return seen


@pytest.mark.parametrize("name", ["one.example", None, "192.0.2.1"])
def test_changed_files_are_presented_to_new_connections(tmp_path: Path, name: str | None) -> None:
    files = renewed(tmp_path, "one.example")
    server = ServerTLS([files], hostname="one.example", strict_names=True)
    first, context = shown(server, name), server.context
    assert not server.poll()
    renewed(tmp_path, "one.example")
    assert server.poll()
    assert not server.poll()
    assert server.context is context  # implicit TLS listens with it
    second = shown(server, name)
    assert second == ssl.PEM_cert_to_DER_cert(files.cert_file.read_text())
    assert second != first


def test_new_files_may_have_other_names(tmp_path: Path) -> None:
    server = ServerTLS(
        [renewed(tmp_path, "one.example")], hostname="one.example", strict_names=True
    )
    renewed(tmp_path, "two.example")
    assert server.poll()
    assert shown(server, "two.example") == shown(server, None)
    with pytest.raises(ssl.SSLError, match="CALLBACK_FAILED"):
        shown(server, "one.example")


def test_unusable_files_change_nothing_and_are_told_once(tmp_path: Path) -> None:
    files = renewed(tmp_path, "one.example")
    server = ServerTLS([files], hostname="one.example", strict_names=True)
    first = shown(server, None)
    key = files.key_file.read_bytes()
    files.key_file.write_text("half a ke")
    with pytest.raises(CertificateUnusable, match=r"k\.pem holds no private key"):
        server.poll()
    assert not server.poll()
    files.key_file.unlink()
    with pytest.raises(CertificateUnusable, match=r"cannot read .*k\.pem: No such file"):
        server.poll()
    assert shown(server, None) == first
    files.key_file.write_bytes(key)
    assert server.poll()
    assert shown(server, None) == first


def test_files_may_have_other_names_in_messages(tmp_path: Path) -> None:
    nowhere = CertificateFiles(
        cert_file=tmp_path / "7",
        key_file=tmp_path / "8",
        cert_name="tls/c.pem",
        key_name="tls/k.pem",
    )
    with pytest.raises(CertificateUnusable, match=r"^cannot read tls/c\.pem: No such file"):
        ServerTLS([nowhere], hostname="one.example", strict_names=True)
