"""Channel bindings.    RFC 5929."""

from cryptography import x509
from cryptography.hazmat.primitives import hashes


def end_point_binding(certificate: x509.Certificate) -> bytes:
    """Channel binding data of type tls-server-end-point.    RFC 5929 §4.1."""
    algorithm = certificate.signature_hash_algorithm
    # MD5 and SHA-1 are replaced by SHA-256; so is "no single hash function" (Ed25519), for which
    # RFC 5929 defines nothing and implementations agree on SHA-256.
    if algorithm is None or isinstance(algorithm, (hashes.MD5, hashes.SHA1)):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)
