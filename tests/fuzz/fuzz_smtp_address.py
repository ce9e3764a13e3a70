"""SMTP addresses: CommandError or an address whose written form reads back as the same."""

import contextlib

from mox.smtp.address import parse_address, read_path
from mox.smtp.cursor import Cursor
from mox.smtp.errors import CommandError

TARGET_NAME: str = "smtp_address"
SEEDS = (
    b'<@a.example,@b.example:"q\\"x"@c.example>',
    "mo\u0301x@bücher。example".encode(),
    b"x@xn--bcher-kva.example",
    b"x@[IPv6:2001:db8::1]",
)


def run(data: bytes) -> None:
    """As a path of a command, and as text."""
    with contextlib.suppress(CommandError):
        read_path(Cursor(data), null=True, postmaster=True)
    try:
        address = parse_address(data.decode("utf-8", "surrogateescape"))
    except CommandError:
        return
    if parse_address(str(address)) != address:
        raise AssertionError("does not read back")
    if parse_address(address.unicode()).domain != address.domain:
        raise AssertionError("the unicode form is another domain")
