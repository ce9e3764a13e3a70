"""Address lists: never an error, bounded, and what is read strictly is read back the same."""

from mox.base.limits import ADDRESSES
from mox.message.address import BadAddress, format_list, parse, parse_strict

TARGET_NAME: str = "addresses"
SEEDS = (
    b'"A, B" <a@b>, g: c@d, (x) "e f"@[1.2.3.4];, <@r,@s:t@u>',
    b"<user (c)@ (c) domain>, root, John Doe x@y z",
    '""@x, Jörg <j@ö.example>, =?utf-8?q?=C3=B6?= <k@l>'.encode(),
)


def run(data: bytes) -> None:
    """As the value of a field."""
    found = parse(data)
    if len(found) > ADDRESSES:
        raise AssertionError("more than the limit")
    depth = 0
    for address in found:
        depth += address.is_group_start - address.is_group_end
        if depth not in (0, 1):
            raise AssertionError("groups do not nest")
        if not address.is_group_end and address.mailbox is None:
            raise AssertionError("an element without mailbox")
    try:
        strict = parse_strict(data)
    except BadAddress:
        return
    if strict != found:
        raise AssertionError("strict and lenient differ")
    if parse_strict(format_list(found)) != found:
        raise AssertionError("does not read back")
