"""Certificates as TLS uses them: make a self-signed one, read names."""

from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mox.base.clock import Clock
from mox.base.files import write_atomic

SELF_SIGNED_DAYS = 4 * 365  # spec/cli.md section 6: four years
# RFC 5280 §4.2.1.3: a CA certificate says that it signs certificates.
_KEY_USAGE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)


def make_self_signed(
    cert_file: Path, key_file: Path, *, clock: Clock, names: tuple[str, ...] = (), hostname: str
) -> None:
    """Write an ECDSA P-256 key and a certificate for it, both readable by us only.    Blocks.

    Input   hostname: the common name; names: more names and IP addresses it is valid for.
    Errors  OSError.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # An hour back: a client's clock may be behind ours.
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=SELF_SIGNED_DAYS))
        .add_extension(_alternative_names((hostname, *names)), critical=False)
        # A CA for itself, so that it can be given to clients as the one they trust.
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_KEY_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    # The key first: a certificate without its key would be taken for complete.
    write_atomic(key_file, key_bytes)
    write_atomic(cert_file, certificate.public_bytes(serialization.Encoding.PEM))


def _alternative_names(names: tuple[str, ...]) -> x509.SubjectAlternativeName:
    found: list[x509.GeneralName] = []
    for name in dict.fromkeys(names):
        try:
            found.append(x509.IPAddress(ip_address(name)))
        except ValueError:
            found.append(x509.DNSName(name))
    return x509.SubjectAlternativeName(found)


class CertificateNames:
    """The names a certificate is valid for."""

    __slots__ = ("_addresses", "_exact", "_wildcards")

    def __init__(self, certificate: x509.Certificate) -> None:
        names: list[str] = []
        self._addresses: set[IPv4Address | IPv6Address] = set()
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            pass  # a certificate without names fits no client, but may still be the default one
        else:
            names = extension.value.get_values_for_type(x509.DNSName)
            for address in extension.value.get_values_for_type(x509.IPAddress):
                if isinstance(address, (IPv4Address, IPv6Address)):
                    self._addresses.add(address)
        lower = {name.lower().rstrip(".") for name in names}
        self._exact = {name for name in lower if not name.startswith("*.")}
        self._wildcards = {name[2:] for name in lower if name.startswith("*.")}

    def match(self, name: str) -> bool:
        """Is the certificate valid for this host name or IP address?    RFC 9525 §6.3."""
        lower = name.lower().rstrip(".")
        if lower in self._exact:
            return True
        # RFC 9525 §6.3: a wildcard stands for exactly one label, the leftmost.
        label, dot, parent = lower.partition(".")
        if label and dot and parent in self._wildcards:
            return True
        try:
            return ip_address(name) in self._addresses
        except ValueError:
            return False
