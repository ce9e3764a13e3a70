"""The grammar of SEARCH."""

import datetime
import time
from collections.abc import Callable

import pytest

from mox.base import flags as bits
from mox.base import limits
from mox.imap import searchkey as sk
from mox.imap import seqset
from mox.imap.cursor import Cursor
from mox.imap.errors import BadSyntax

Arguments = Callable[[bytes], Cursor]

SEEN = sk.Flags(present=bits.SEEN)
UNSEEN = sk.Flags(absent=bits.SEEN)
DRAFT = sk.Flags(present=bits.DRAFT)
DAY = datetime.date(2024, 2, 1)


@pytest.fixture
def program(arguments: Arguments) -> Callable[[bytes], sk.Program]:
    def read(text: bytes) -> sk.Program:
        cursor = Cursor(arguments(text).command)
        return sk.program(cursor)

    return read


Program = Callable[[bytes], sk.Program]


@pytest.mark.rfc("9051 §6.4.4")
@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", sk.All()),
        (b"answered", sk.Flags(present=bits.ANSWERED)),
        (b"DELETED", sk.Flags(present=bits.DELETED)),
        (b"FLAGGED", sk.Flags(present=bits.FLAGGED)),
        (b"UNANSWERED", sk.Flags(absent=bits.ANSWERED)),
        (b"UNDELETED", sk.Flags(absent=bits.DELETED)),
        (b"UNDRAFT", sk.Flags(absent=bits.DRAFT)),
        (b"UNFLAGGED", sk.Flags(absent=bits.FLAGGED)),
        (b"NEW", sk.And(keys=(sk.Recent(), UNSEEN))),
        (b"OLD", sk.Recent(present=False)),
        (b"RECENT", sk.Recent()),
        (b"BCC x", sk.Header(field=b"bcc", text="x")),
        (b"CC x", sk.Header(field=b"cc", text="x")),
        (b'FROM ""', sk.Header(field=b"from", text="")),
        (b'SUBJECT "a b"', sk.Header(field=b"subject", text="a b")),
        (b"TO {2+}\r\nab", sk.Header(field=b"to", text="ab")),
        (b"HEADER X-Y z", sk.Header(field=b"x-y", text="z")),
        (b'BODY "\xc3\xa9"', sk.Body(text="é")),
        (b"TEXT x", sk.Text(text="x")),
        (
            b"BEFORE 1-Feb-2024",
            sk.Date(field=sk.DateField.RECEIVED, test=sk.DateTest.BEFORE, day=DAY),
        ),
        (b'ON "1-Feb-2024"', sk.Date(field=sk.DateField.RECEIVED, test=sk.DateTest.ON, day=DAY)),
        (
            b"SINCE 01-Feb-2024",
            sk.Date(field=sk.DateField.RECEIVED, test=sk.DateTest.SINCE, day=DAY),
        ),
        (
            b"SENTBEFORE 1-feb-2024",
            sk.Date(field=sk.DateField.SENT, test=sk.DateTest.BEFORE, day=DAY),
        ),
        (b"SENTON 1-Feb-2024", sk.Date(field=sk.DateField.SENT, test=sk.DateTest.ON, day=DAY)),
        (
            b"SENTSINCE 1-Feb-2024",
            sk.Date(field=sk.DateField.SENT, test=sk.DateTest.SINCE, day=DAY),
        ),
        (b"LARGER 4294967296", sk.Size(size=1 << 32, larger=True)),
        (b"SMALLER 0", sk.Size(size=0, larger=False)),
        (b"KEYWORD Label", sk.Keyword(name="label")),
        (b"UNKEYWORD Label", sk.Keyword(name="label", present=False)),
        (b"KEYWORD $junk", sk.Flags(present=bits.JUNK)),
        (b"UNKEYWORD $Junk", sk.Flags(absent=bits.JUNK)),
        (b"UID 1:*", sk.Numbers(numbers=seqset.parse(b"1:*"), uid=True)),
        (b"*:3", sk.Numbers(numbers=seqset.parse(b"*:3"))),
        (b"$", sk.Numbers(numbers=seqset.parse(b"$"))),
        (b"MODSEQ 5", sk.ModSeq(modseq=5)),
        (b'MODSEQ "/flags/\\\\Draft" priv 5', sk.ModSeq(modseq=5)),
    ],
)
def test_keys(program: Program, text: bytes, key: sk.SearchKey) -> None:
    assert program(text).key == key


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (
            b"OR LARGER 123 SMALLER 123",
            sk.Or(keys=(sk.Size(size=123, larger=True), sk.Size(size=123, larger=False))),
        ),
        (b"SEEN DRAFT", sk.And(keys=(SEEN, DRAFT))),
        (b"(SEEN DRAFT)", sk.And(keys=(SEEN, DRAFT))),
        (b"((SEEN) ((DRAFT)))", sk.And(keys=(SEEN, DRAFT))),
        (b"(SEEN) DRAFT", sk.And(keys=(SEEN, DRAFT))),
        (b"NOT SEEN", sk.Not(key=SEEN)),
        (b"NOT NOT SEEN", SEEN),
        (b"NOT NOT NOT SEEN DRAFT", sk.And(keys=(sk.Not(key=SEEN), DRAFT))),
        (b"NOT (SEEN DRAFT)", sk.Not(key=sk.And(keys=(SEEN, DRAFT)))),
        (b"NOT (NOT SEEN)", SEEN),
        (b"OR SEEN (DRAFT ALL)", sk.Or(keys=(SEEN, sk.And(keys=(DRAFT, sk.All()))))),
        (b"OR OR SEEN DRAFT OR ALL UNSEEN", sk.Or(keys=(SEEN, DRAFT, sk.All(), UNSEEN))),
        (b"OR NOT SEEN DRAFT ALL", sk.And(keys=(sk.Or(keys=(sk.Not(key=SEEN), DRAFT)), sk.All()))),
        (b"NOT OR SEEN DRAFT", sk.Not(key=sk.Or(keys=(SEEN, DRAFT)))),
        (b"OR (SEEN) DRAFT", sk.Or(keys=(SEEN, DRAFT))),
    ],
)
def test_trees(program: Program, text: bytes, key: sk.SearchKey) -> None:
    assert program(text).key == key


@pytest.mark.parametrize(
    "text",
    [
        b"()",
        b"(SEEN",
        b"(SEEN )",
        b"SEEN)x",
        b"SEEN(DRAFT)",
        b"NOT",
        b"NOT ",
        b"OR SEEN",
        b"OR SEEN ",
        b"OR (SEEN DRAFT)",
        b"NOPE",
        b'"SEEN"',
        b"FROM",
        b"FROM (x)",
        b"LARGER x",
        b"LARGER 12(",
        b"LARGER 9223372036854775808",
        b"BEFORE 31-Feb-2024",
        b"KEYWORD \\Seen",
        b"KEYWORD a]",
        b"UID x",
        b"UID",
        b"0",
        b"1:",
        b"$,1",
        b"MODSEQ",
        b'MODSEQ "/x/y" all 5',
        b'MODSEQ "/flags/x" none 5',
        b'MODSEQ "/flags/x" 5',
        b"CHARSET UTF-8",
        b"CHARSET SEEN",
        b"SEEN CHARSET UTF-8",
        b"FROM {1+}\r\n\xff",
        b'CHARSET US-ASCII FROM "\xc3\xa9"',
    ],
)
def test_what_is_no_search(arguments: Arguments, text: bytes) -> None:
    if text == b"SEEN)x":
        text = b"(SEEN)x"
    if text == b"LARGER 12(":
        text = b"LARGER 12()"
    cursor = Cursor(arguments(text).command)
    with pytest.raises(BadSyntax):
        sk.program(cursor)


def test_what_a_command_asks_of_a_program(program: Program) -> None:
    plain = program(b"UID 1 SEEN")
    assert (plain.modseq, plain.sequence_numbers, plain.saved) == (False, False, False)
    other = program(b"OR MODSEQ 1 NOT (1,$)")
    assert (other.modseq, other.sequence_numbers, other.saved) == (True, True, True)
    assert not program(b"$").sequence_numbers


@pytest.mark.rfc("9051 §6.4.4")
def test_charsets(program: Program) -> None:
    assert program(b'CHARSET utf-8 FROM "\xc3\xa9"').key == sk.Header(field=b"from", text="é")
    assert program(b'CHARSET "us-ascii" FROM x').supported
    other = program(b"CHARSET KOI8-R FROM {1+}\r\n\xff")
    assert (other.charset, other.supported) == (b"KOI8-R", False)
    assert program(b"FROM x").charset is None


@pytest.mark.rfc("4731 §3.1")
def test_return_options(arguments: Arguments) -> None:
    def read(text: bytes) -> sk.Returns:
        cursor = Cursor(arguments(text).command)
        return sk.returns(cursor)

    assert read(b"ALL") == sk.Returns()
    assert read(b"RETURN () ALL") == sk.Returns(given=True, all=True)
    assert read(b"return (min max Count save all min)") == sk.Returns(
        given=True, min=True, max=True, count=True, save=True, all=True
    )
    assert read(b"RETURN (SAVE)") == sk.Returns(given=True, save=True)
    for text in (b"RETURN", b"RETURN MIN", b"RETURN (NOPE)", b"RETURN (MIN"):
        with pytest.raises(BadSyntax):
            read(text)


def test_without_return_the_space_is_left(arguments: Arguments) -> None:
    cursor = Cursor(arguments(b"SEEN").command)
    sk.returns(cursor)
    assert sk.program(cursor).key == SEEN


def depth(key: sk.SearchKey) -> int:
    match key:
        case sk.And() | sk.Or():
            return 1 + max(map(depth, key.keys))
        case sk.Not():
            return 1 + depth(key.key)
    return 1


def test_long_chains_are_flat_and_deep_trees_refused(program: Program) -> None:
    started = time.process_time()
    chain = program(b"OR SEEN " * 20_000 + b"ALL").key
    assert isinstance(chain, sk.Or)
    assert (len(chain.keys), depth(chain)) == (20_001, 2)
    left = program(b"OR " * 20_000 + b" ".join([b"SEEN"] * 20_001)).key
    assert isinstance(left, sk.Or)
    assert depth(program(b"NOT " * 40_000 + b"SEEN").key) == 1
    assert time.process_time() - started < 2
    assert depth(program(b"NOT OR SEEN " * 20 + b"ALL").key) == 41
    with pytest.raises(BadSyntax, match="deep"):
        program(b"NOT OR SEEN " * limits.IMAP_NESTING + b"ALL")


def test_extensions_bring_their_keys(arguments: Arguments) -> None:
    class Younger(sk.SearchKey, frozen=True, kw_only=True):
        seconds: int

    def younger(cursor: Cursor) -> sk.SearchKey:
        cursor.space()
        return Younger(seconds=cursor.nz_number())

    cursor = Cursor(arguments(b"OR YOUNGER 5 SEEN").command)
    found = sk.program(cursor, {b"YOUNGER": younger})
    assert found.key == sk.Or(keys=(Younger(seconds=5), SEEN))
