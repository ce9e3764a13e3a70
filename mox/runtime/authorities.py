"""Whom we trust as to other servers' certificates: the system's authorities, or those configured."""

import ssl
from collections.abc import Callable
from pathlib import Path

from mox.base.errors import Unavailable
from mox.config.static import StaticConfig

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def read_authorities(static: StaticConfig, relative: Callable[[str], Path]) -> bytes:
    """Certificates, PEM.    Blocks.    Errors: Unavailable for a configured file without any."""
    ca = static.tls.ca
    pieces = []
    if ca is None or ca.additional_to_system:
        pieces.append(system_authorities())
    for name in ca.cert_files if ca is not None else ():
        path = relative(name)
        try:
            piece = path.read_bytes()
        except OSError as error:
            text = f"cannot read the certificates of authorities {path}: {error.strerror}"
            raise Unavailable(text, cause=error) from error
        # Without any, the system's would be trusted instead.
        if b"-----BEGIN CERTIFICATE-----" not in piece:
            raise Unavailable(f"there is no certificate in PEM in {path}")
        pieces.append(piece)
    return b"\n".join(pieces)


def system_authorities() -> bytes:
    """Empty where the system has none: then nothing is trusted, and opportunistic TLS goes on."""
    paths = ssl.get_default_verify_paths()
    for name in (paths.cafile, paths.openssl_cafile, *_BUNDLES):
        if name and Path(name).is_file():
            return Path(name).read_bytes()
    return b""


def make_client_context(pem: bytes) -> ssl.SSLContext:
    """For HTTPS requests: certificates are verified."""
    text = pem.decode("ascii", "replace").strip()
    context = ssl.create_default_context(cadata=text) if text else ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
