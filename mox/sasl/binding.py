"""The channel binding ``tls-server-end-point``.    RFC 5929 §4.1."""

import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mox.base.errors import Malformed

TLS_SERVER_END_POINT = "tls-server-end-point"
TLS_UNIQUE = "tls-unique"


def server_end_point(certificate_der: bytes) -> bytes | None:
    """The hash of the server's certificate; None where the RFC defines none (Ed25519).

    Errors  Malformed: not a certificate.
    """
    try:
        algorithm = x509.load_der_x509_certificate(certificate_der).signature_hash_algorithm
    except ValueError as e:
        raise Malformed("not a certificate", cause=e) from e
    except UnsupportedAlgorithm:
        return None
    if algorithm is None:
        return None
    # RFC 5929 §4.1: SHA-256 in place of MD5 and SHA-1.
    name = "sha256" if algorithm.name in {"md5", "sha1"} else algorithm.name
    return hashlib.new(name, certificate_der).digest()
