"""User names and passwords in the form in which they are compared.    RFC 8265 §4.2, RFC 4422 §3.1."""

import unicodedata

from precis_i18n import get_profile

from mox.base.errors import Malformed
from mox.base.limits import PASSWORD_MAX, USERNAME_MAX

_OPAQUE_STRING = get_profile("OpaqueString")


def prepare_password(password: str) -> str:
    """The password in PRECIS OpaqueString form.

    Errors  Malformed: empty, too long, or with characters that no password may have.
    """
    if len(password.encode("utf-8", "replace")) > PASSWORD_MAX:
        raise Malformed("password too long")
    try:
        prepared = _OPAQUE_STRING.enforce(password)
    except UnicodeError as e:
        raise Malformed("password has characters that are not allowed", cause=e) from e
    return str(prepared)


def decode_username(raw: bytes) -> str:
    """A user name from the wire in NFC.    Errors: Malformed: empty, too long, not UTF-8, NUL."""
    if not raw or len(raw) > USERNAME_MAX or b"\0" in raw:
        raise Malformed("bad user name")
    try:
        return unicodedata.normalize("NFC", raw.decode("utf-8"))
    except UnicodeDecodeError as e:
        raise Malformed("user name is not valid utf-8", cause=e) from e
