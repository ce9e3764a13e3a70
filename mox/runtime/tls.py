"""TLS contexts of a listener: which certificate for which name, and what an unknown name gets.

Source  spec/smtp-server.md section 1, spec/config.md section 4.1.
"""

import ssl
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from cryptography import x509
from msgspec import Struct

from mox.base.errors import Refused
from mox.base.limits import CERTIFICATE_FILE
from mox.runtime.certificate import CertificateNames
from mox.runtime.configfiles import Stamp, stamp_of
from mox.sasl.binding import end_point_binding

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
    """A chain and its key, as files.    The names are for messages, where they are not the paths."""

    cert_file: Path
    key_file: Path
    cert_name: str = ""
    key_name: str = ""

    @property
    def cert(self) -> str:
        """The certificate's name for messages."""
        return self.cert_name or str(self.cert_file)

    @property
    def key(self) -> str:
        """The key's name for messages."""
        return self.key_name or str(self.key_file)


class _Context(ssl.SSLContext):
    """Knows the channel binding of the certificate it presents."""

    binding: bytes = b""


class _Identity:
    """A certificate, and the context that presents it."""

    __slots__ = ("context", "names")

    def __init__(self, files: CertificateFiles, min_version: str, *, tickets: bool) -> None:
        certificate = _read_certificate(files)
        self.names = CertificateNames(certificate)
        self.context = _make_context(min_version, tickets=tickets)
        self.context.binding = end_point_binding(certificate)
        _load(self.context, files)


class _Identities:
    """All certificates as they were at one time.    Errors: CertificateUnusable."""

    __slots__ = ("_all", "default")

    def __init__(
        self, files: Sequence[CertificateFiles], hostname: str, min_version: str, *, tickets: bool
    ) -> None:
        self._all = [_Identity(one, min_version, tickets=tickets) for one in files]
        self.default = self.find(hostname) or self._all[0]

    def find(self, name: str) -> _Identity | None:
        return next((one for one in self._all if one.names.match(name)), None)


class ServerTLS:
    """The TLS of one kind of service on one listener.

    ``context`` is for every handshake, and stays the same: the client's server name, and newer files,
    exchange it for another's within the handshake.
    """

    __slots__ = ("_files", "_now", "_read", "_stamps", "context")

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
        self._files = tuple(files)
        self._read: Callable[[], _Identities] = partial(
            _Identities, self._files, hostname, min_version, tickets=tickets
        )
        self._stamps = self._stamps_now()
        self._now = self._read()
        self.context: ssl.SSLContext = self._now.default.context

        def choose(
            connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _context: ssl.SSLContext
        ) -> int | None:
            now = self._now
            found = now.find(name) if name is not None else None
            # RFC 6066 §3: an address is no server name.  Clients send one nevertheless; it is
            # looked up like a name and never held against them.
            if found is None and strict_names and name is not None and not _is_address(name):
                return int(ssl.AlertDescription.ALERT_DESCRIPTION_UNRECOGNIZED_NAME)
            # Also without a name: the certificate may be another than when we began to listen.
            connection.context = (found or now.default).context
            return None

        self.context.sni_callback = choose

    def poll(self) -> bool:
        """Take up files that changed; True when there were any.    Blocks; for one thread at a time.

        Handshakes from now on present the new certificates.
        Errors  CertificateUnusable: all stays as it was, and is tried again when a file changes.
        """
        # Before reading: what is written while we read shows as a change next time.
        stamps = self._stamps_now()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        self._now = self._read()
        return True

    def end_point_binding(self, connection: ssl.SSLObject | ssl.SSLSocket) -> bytes | None:
        """Channel binding tls-server-end-point (RFC 5929 §4.1) of a connection of ours."""
        context = connection.context
        return context.binding if isinstance(context, _Context) else None

    def _stamps_now(self) -> list[Stamp | None]:
        return [stamp_of(path) for one in self._files for path in (one.cert_file, one.key_file)]


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()


def _make_context(min_version: str, *, tickets: bool) -> _Context:
    context = _Context(ssl.PROTOCOL_TLS_SERVER)
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


def _read_certificate(files: CertificateFiles) -> x509.Certificate:
    try:
        with files.cert_file.open("rb") as file:
            content = file.read(CERTIFICATE_FILE)
        return x509.load_pem_x509_certificates(content)[0]
    except OSError as error:
        raise _unreadable(files.cert, error) from error
    except ValueError as error:
        text = f"{files.cert} holds no certificate in PEM form"
        raise CertificateUnusable(text, cause=error) from error


def _unreadable(name: str, error: OSError) -> CertificateUnusable:
    return CertificateUnusable(f"cannot read {name}: {error.strerror or error}", cause=error)


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
        text = f"{files.key} is locked with a passphrase"
        raise CertificateUnusable(text, cause=error) from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            text = f"{files.key} is not the key of {files.cert}"
        else:
            text = f"{files.key} holds no private key in PEM form that TLS can use"
        raise CertificateUnusable(text, cause=error) from error
    except OSError as error:
        raise _unreadable(files.key, error) from error
