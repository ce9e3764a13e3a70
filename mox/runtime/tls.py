"""TLS contexts of a listener: which certificate for which name, and what an unknown name gets.

Source  spec/smtp-server.md section 1, spec/config.md section 4.1.
"""

import ssl
import warnings
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from msgspec import Struct

from mox.base.errors import Refused
from mox.base.limits import CERTIFICATE_FILE
from mox.runtime.certificate import CertificateNames, end_point_binding

_VERSIONS = {
    "TLSv1.0": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class CertificateUnusable(Refused):
    """A certificate or key file that TLS cannot use; ``public`` is for the operator."""

    default = "certificate unusable"


class CertificateFiles(Struct, frozen=True, kw_only=True):
    """A chain and its key, as files."""

    cert_file: Path
    key_file: Path


class _Identity:
    """A certificate, and the context that presents it."""

    __slots__ = ("binding", "context", "names")

    def __init__(self, files: CertificateFiles, min_version: str, *, tickets: bool) -> None:
        certificate = _read_certificate(files.cert_file)
        self.names = CertificateNames(certificate)
        self.binding = end_point_binding(certificate)
        self.context = _make_context(min_version, tickets=tickets)
        _load(self.context, files)


class ServerTLS:
    """The TLS of one kind of service on one listener.

    ``context`` is for the handshake; the client's server name may exchange it for another's.
    """

    __slots__ = ("_bindings", "_identities", "context")

    def __init__(
        self,
        files: Sequence[CertificateFiles],
        *,
        hostname: str,
        min_version: str = "TLSv1.2",
        strict_names: bool,
        tickets: bool = True,
    ) -> None:
        """Read the files.    Blocks.

        Input   hostname: its certificate is presented when the client names no server.
                strict_names: a server name that no certificate has ends the handshake; otherwise
                it gets the certificate of ``hostname``.  Incoming SMTP is not strict.
                tickets: session tickets; incoming SMTP has none, large senders stumble over them.
        Errors  CertificateUnusable.
        """
        if not files:
            raise CertificateUnusable("no certificate is configured")
        self._identities = [_Identity(one, min_version, tickets=tickets) for one in files]
        default = self._find(hostname) or self._identities[0]
        self._bindings = {one.context: one.binding for one in self._identities}
        self.context = default.context

        def choose(
            connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext
        ) -> int | None:
            # RFC 6066 §3: an address is no server name.  Clients send one nevertheless; it is
            # looked up like a name and never held against them.
            if name is None:
                return None
            found = self._find(name)
            if found is not None:
                connection.context = found.context
            elif strict_names and not _is_address(name):
                return int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
            return None

        self.context.sni_callback = choose

    def end_point_binding(self, connection: ssl.SSLObject | ssl.SSLSocket) -> bytes | None:
        """Channel binding tls-server-end-point (RFC 5929 §4.1) of a connection of ours."""
        return self._bindings.get(connection.context)

    def _find(self, name: str) -> _Identity | None:
        return next((one for one in self._identities if one.names.match(name)), None)


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _make_context(min_version: str, *, tickets: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if min_version in ("TLSv1.0", "TLSv1.1"):
        # OpenSSL's default security level has no cipher left for these; the operator asked for them.
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
    with warnings.catch_warnings():
        # Python warns about old versions; allowing them is the operator's decision.
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = _VERSIONS[min_version]
    # RFC 9325 §3.3, §3.4: no compression, no renegotiation asked for by a client.
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if not tickets:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


def _read_certificate(path: Path) -> x509.Certificate:
    try:
        with path.open("rb") as file:
            content = file.read(CERTIFICATE_FILE)
        return x509.load_pem_x509_certificates(content)[0]
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        text = f"{path} holds no certificate in PEM form"
        raise CertificateUnusable(text, cause=error) from error


def _unreadable(path: Path | str, error: OSError) -> CertificateUnusable:
    return CertificateUnusable(f"cannot read {path}: {error.strerror or error}", cause=error)


class _Passphrase(Exception):
    """A key that asks for a passphrase."""


def _refuse_passphrase() -> str:
    raise _Passphrase  # otherwise OpenSSL asks on the terminal


def _load(context: ssl.SSLContext, files: CertificateFiles) -> None:
    try:
        with files.key_file.open("rb"):
            pass  # OpenSSL does not say which of the two files it could not open
        context.load_cert_chain(files.cert_file, files.key_file, password=_refuse_passphrase)
    except _Passphrase as error:
        text = f"{files.key_file} is locked with a passphrase"
        raise CertificateUnusable(text, cause=error) from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{files.key_file} is not the key of {files.cert_file}"
        else:
            text = f"{files.key_file} holds no private key in PEM form that TLS can use"
        raise CertificateUnusable(text, cause=error) from error
    except OSError as error:
        raise _unreadable(error.filename or files.key_file, error) from error
