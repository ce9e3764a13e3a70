"""Which address an address is, and when sending to it ends."""

import pytest

from mox.queue.suppress import base_address, suppresses
from mox.smtp.address import Address, parse_address


@pytest.mark.parametrize(
    ("address", "base"),
    [
        ("ab@d.example", "ab@d.example"),
        ("A.b+x@d.example", "ab@d.example"),
        ("a.b-x+y@d.example", "ab@d.example"),
        ("ab+x-y@d.example", "ab@d.example"),
        ("+x@d.example", "+x@d.example"),
        ("-x@d.example", "-x@d.example"),
        ('"a b"@d.example', '"a b"@d.example'),
        ("ab@[192.0.2.1]", "ab@[192.0.2.1]"),
        ("Ä.b@d.example", "äb@d.example"),
    ],
)
def test_base_addresses(address: str, base: str) -> None:
    assert base_address(parse_address(address)) == base


def test_a_base_has_no_controls() -> None:
    assert base_address(Address("a\0b\r", "d.example")) == "a?b?@d.example"


@pytest.mark.parametrize(
    ("code", "enhanced", "earlier", "ends"),
    [
        (550, "", [], True),
        (521, "", [], True),
        (551, "", [], True),
        (553, "", [], True),
        (556, "", [], True),
        (554, "5.1.1", [], True),
        (554, "5.1.6", [], True),
        (554, "5.2.1", [], True),
        (554, "5.7.1", [], True),
        (554, "5.2.2", [], False),
        (554, "", [False], False),
        (554, "", [False, False], True),
        (554, "", [False, True], False),
        (554, "", [True, False, False], False),
        (554, "", [False, False, True], True),
        (0, "5.1.1", [False, False], False),
        (450, "4.1.1", [False, False], False),
    ],
)
def test_when_it_ends(code: int, enhanced: str, earlier: list[bool], ends: bool) -> None:
    assert suppresses(code, enhanced, earlier) is ends
