"""Base subjects.    RFC 5256 §2.1."""

import time

import pytest

from mox.message.subject import base_subject


@pytest.mark.rfc("5256 §2.1")
@pytest.mark.parametrize(
    ("subject", "base", "is_reply"),
    [
        ("test", "test", False),
        (" a  b\tc\r\n d\t", "a b c d", False),
        ("Re: test", "test", True),
        ("FW: test", "test", True),
        ("Fwd: test", "test", True),
        ("re : test", "test", True),
        ("re[2]: test", "test", True),
        ("test (fwd) (fwd) ", "test", True),
        ("fwd [tag] Test", "fwd [tag] test", False),
        ("[list] Re: a b c", "a b c", True),
        ("[t1][t2] [t3]\t re: a b c", "a b c", True),
        ("[list] re: [list] fwd: a b c", "a b c", True),
        ("[fwd: [fwd: a b c]]", "a b c", True),
        ("[fwd: [list] re: a b c]", "a b c", True),
        ("[fwd: a (fwd)]", "a", True),
        ("[nonlist]", "[nonlist]", False),
        ("[a][b]", "[b]", False),
        ("[a] b", "b", False),
        ("fwd [list]:", "", True),
        ("re: a\0b", "", True),
        ("re", "re", False),
        ("report: x", "report: x", False),
        ("[open re: x", "[open re: x", False),
        ("RE: ÄÖ", "äö", True),
        ("", "", False),
        ("(fwd)", "", True),
        ("[fwd:]", "", True),
    ],
)
def test_base(subject: str, base: str, is_reply: bool) -> None:
    assert base_subject(subject) == (base, is_reply)


@pytest.mark.parametrize(
    "unit", ["re:", "[a]", "[", "(fwd)", "[fwd:", "re[", "[a]re:", " ", "re [a]"]
)
def test_hostile_subjects_take_linear_time(unit: str) -> None:
    start = time.process_time()
    base, _ = base_subject(unit * 100_000 + "x" + "]" * 10)
    assert len(base) <= 1_000_000
    assert time.process_time() - start < 1
