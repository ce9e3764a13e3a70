"""Typed reads over tokens: which characters each rule of the grammar allows."""

import datetime
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.base import flags as bits
from mox.imap import writer
from mox.imap.cursor import Cursor
from mox.imap.errors import BadSyntax
from mox.imap.flags import FlagSet
from mox.imap.reader import Reader

Arguments = Callable[[bytes], Cursor]

ATOM_SPECIALS = b'(){ %*"\\]' + bytes(range(0x20)) + b"\x7f"


def bad(cursor: Cursor, read: Callable[[Cursor], object]) -> BadSyntax:
    def read_all() -> None:
        read(cursor)
        cursor.end()

    with pytest.raises(BadSyntax) as caught:
        read_all()
    return caught.value


@pytest.mark.rfc("9051 §9")
def test_atom_characters_are_exactly_those_of_the_grammar(arguments: Arguments) -> None:
    for code in range(256):
        if code in b"\0\r\n":
            continue  # no line has them
        word = b"a%cz" % code
        if code < 0x80 and code not in ATOM_SPECIALS:
            assert arguments(word).atom() == word
        elif code not in b'{")':  # the tokenizer's
            bad(arguments(word), Cursor.atom)


@pytest.mark.rfc("9051 §9")
def test_astring_and_patterns_allow_more(arguments: Arguments) -> None:
    assert arguments(b"a]b").astring() == b"a]b"
    bad(arguments(b"a%"), Cursor.astring)
    assert arguments(b"a]%*").list_mailbox() == b"a]%*"
    bad(arguments(b"\\x"), Cursor.list_mailbox)
    bad(arguments(b"a\x01"), Cursor.list_mailbox)


def test_errors_name_the_byte(arguments: Arguments) -> None:
    # "a X " comes first.
    assert bad(arguments(b"abc\x7f"), Cursor.atom).offset == 7
    assert bad(arguments(b"abc def"), Cursor.atom).offset == 7
    assert bad(arguments(b"12x"), Cursor.number).offset == 4


@pytest.mark.rfc("9051 §4.3")
@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (b'""', b""),
        (b'"a b"', b"a b"),
        (b'"a\\"b\\\\c"', b'a"b\\c'),
        (b'"\\\\\\""', b'\\"'),
        (b'"\\\\\\\\"', b"\\\\"),
        (b'"\x01\t%*(){"', b"\x01\t%*(){"),
        (b'"\xc3\xa9"', b"\xc3\xa9"),
        (b"{3+}\r\na\r\n", b"a\r\n"),
        (b"{0+}\r\n", b""),
        (b"{2+}\r\n\xff\xfe", b"\xff\xfe"),
    ],
)
def test_strings(arguments: Arguments, sent: bytes, value: bytes) -> None:
    for read in (Cursor.string, Cursor.astring, Cursor.nstring, Cursor.mailbox):
        cursor = arguments(sent)
        assert read(cursor) == value
        cursor.end()


@pytest.mark.parametrize("sent", [b'"\xff"', b"{1+}\r\n\0", b"~{1+}\r\nx", b"x", b"(x)", b""])
def test_what_is_no_string(arguments: Arguments, sent: bytes) -> None:
    bad(arguments(sent), Cursor.string)


def test_nstring_knows_nil_in_any_case(arguments: Arguments) -> None:
    assert arguments(b"nIl").nstring() is None
    assert arguments(b'"NIL"').nstring() == b"NIL"
    assert arguments(b"NIL").astring() == b"NIL"
    bad(arguments(b"NILS"), Cursor.nstring)


@given(st.binary(max_size=40).filter(lambda value: b"\0" not in value), st.booleans())
def test_written_strings_are_read_back(value: bytes, utf8: bool) -> None:
    for form in (writer.string(value, utf8=utf8), writer.astring(value, utf8=utf8)):
        reader = Reader()
        reader.feed(
            b"a X " + form.replace(b"}\r\n", b"+}\r\n", 1 if form[:1] == b"{" else 0) + b"\r\n"
        )
        command = reader.next()
        cursor = Cursor(command)  # type: ignore[arg-type]
        cursor.space()
        assert cursor.astring() == value
        cursor.end()


@pytest.mark.rfc("9051 §9")
@pytest.mark.parametrize(
    ("read", "good", "wrong"),
    [
        (
            Cursor.number,
            {b"0": 0, b"007": 7, b"4294967295": 2**32 - 1},
            [b"4294967296", b"-1", b"1a"],
        ),
        (Cursor.nz_number, {b"1": 1, b"4294967295": 2**32 - 1}, [b"0", b"01", b"4294967296"]),
        (Cursor.number64, {b"0": 0, b"9223372036854775807": 2**63 - 1}, [b"9223372036854775808"]),
        (Cursor.nz_number64, {b"9223372036854775807": 2**63 - 1}, [b"0", b"9" * 100]),
        (Cursor.mod_sequence_value, {b"1": 1}, [b"0", b"9223372036854775808"]),
        (
            Cursor.mod_sequence_valzer,
            {b"0": 0, b"0" * 5000 + b"1": 1},
            [b"9" * 5000, b'"1"', b"\xb2"],
        ),
    ],
)
def test_numbers(
    arguments: Arguments,
    read: Callable[[Cursor], int],
    good: dict[bytes, int],
    wrong: list[bytes],
) -> None:
    for text, value in good.items():
        assert read(arguments(text)) == value
    for text in wrong:
        bad(arguments(text), read)


def test_exactly_one_space_and_nothing_left(arguments: Arguments) -> None:
    cursor = arguments(b"x y")
    cursor.atom()
    bad(cursor, Cursor.atom)
    cursor.space()
    cursor.atom()
    assert cursor.at_end()
    cursor.end()
    leftover = arguments(b"x ")
    leftover.atom()
    with pytest.raises(BadSyntax, match="leftover data"):
        leftover.end()


def test_lists(arguments: Arguments) -> None:
    cursor = arguments(b"(a b c)")
    assert cursor.list_of(cursor.atom) == [b"a", b"b", b"c"]
    empty = arguments(b"()")
    assert empty.list_of(empty.atom, empty=True) == []
    for text in (b"()", b"(a b", b"(a b ", b"(a )", b"( a)", b"a"):
        bad(arguments(text), lambda cursor: cursor.list_of(cursor.atom))


def test_looking_changes_nothing(arguments: Arguments) -> None:
    cursor = arguments(b"word (x) {1+}\r\ny")
    assert cursor.peek_word() == b"WORD"
    assert not cursor.try_name(b"OTHER")
    assert not cursor.try_open()
    assert not cursor.try_close()
    assert not cursor.try_space()
    mark = cursor.mark()
    assert cursor.try_name(b"WORD")
    cursor.back(mark)
    assert cursor.atom() == b"word"
    assert cursor.at_space()
    cursor.space()
    assert cursor.at_open()
    assert cursor.peek_word() == b""
    cursor.list_of(cursor.atom)
    cursor.space()
    assert cursor.at_literal()
    assert cursor.literal().data == b"y"


def test_base64(arguments: Arguments) -> None:
    assert arguments(b"=").base64() == b"="
    assert arguments(b"ab+/==").base64() == b"ab+/=="
    bad(arguments(b"a-b"), Cursor.base64)


@pytest.mark.rfc("9051 §2.3.2")
def test_flags_with_and_without_parentheses(arguments: Arguments) -> None:
    expected = FlagSet(bits=bits.SEEN | bits.JUNK, keywords=("a", "b"))
    assert arguments(b"(\\sEEN B $jUNK a A)").flags() == expected
    assert arguments(b"\\Seen b $Junk a").flags() == expected
    assert arguments(b"()").flags() == FlagSet()
    assert arguments(b"()").flag_list() == FlagSet()


@pytest.mark.parametrize(
    "text",
    [
        b"(\\Recent)",
        b"(\\Bad)",
        b"(\\*)",
        b"(\\)",
        b"(a]b)",
        b"(a\x7f)",
        b"(\xc3\xa9)",
        b'("a")',
        b"(a)(b)",
    ],
)
def test_bad_flags(arguments: Arguments, text: bytes) -> None:
    assert bad(arguments(text), Cursor.flags).offset >= 4


def test_a_keyword_for_search(arguments: Arguments) -> None:
    assert arguments(b"$MDNSent").flag_keyword() == FlagSet(bits=bits.MDNSENT)
    assert arguments(b"Label").flag_keyword() == FlagSet(keywords=("label",))
    bad(arguments(b"\\Seen"), Cursor.flag_keyword)


@pytest.mark.rfc("9051 §9")
def test_dates(arguments: Arguments) -> None:
    day = datetime.date(2024, 2, 9)
    for text in (b"9-Feb-2024", b"09-feb-2024", b'"9-FEB-2024"'):
        assert arguments(text).date() == day
    for text in (b"31-Feb-2024", b"9-Foo-2024", b"9-Feb-24", b'" 9-Feb-2024"', b"(9-Feb-2024)"):
        bad(arguments(text), Cursor.date)
    assert arguments(b'" 9-Feb-2024 00:00:00 +0000"').date_time() == (1707436800000, 0)
    bad(arguments(b"9-Feb-2024"), Cursor.date_time)
    bad(arguments(b'"9-Feb-2024 00:00:00 +0000"'), Cursor.date_time)


def test_number_sets(arguments: Arguments) -> None:
    assert arguments(b"1:*,$").sequence_set().ranges == ((1, 0),)
    bad(arguments(b"1:*"), lambda cursor: cursor.sequence_set(star=False))
    bad(arguments(b"1,$"), lambda cursor: cursor.sequence_set(saved=False))
    bad(arguments(b"x"), Cursor.sequence_set)


@pytest.mark.rfc("2971 §3.3")
def test_id(arguments: Arguments) -> None:
    assert arguments(b"nil").id_params() is None
    assert arguments(b"()").id_params() == {}
    assert arguments(b'("Name" "x" "os" NIL)').id_params() == {b"name": b"x", b"os": None}
    full = b"(" + b" ".join(b'"%030d" "%01024d"' % (n, n) for n in range(30)) + b")"
    assert len(arguments(full).id_params() or ()) == 30
    more = full[:-1] + b' "x" "y")'
    for text in (more, b'("a" "1" "A" "2")', b'("a")', b'("a" b)', b'(a "b")', b'("a" "b" )'):
        bad(arguments(text), Cursor.id_params)


@pytest.mark.rfc("4466 §3")
def test_values_of_unknown_extensions_can_be_skipped(arguments: Arguments) -> None:
    for text in (b"x", b"1:5,7", b'"a"', b"()", b"(a (b ()) {1+}\r\nc)", b"((a) b)"):
        cursor = arguments(text)
        cursor.skip_value()
        cursor.end()
    for text in (b"(a", b"(a(b))", b"( a)", b")"):
        if text != b")":
            bad(arguments(text), Cursor.skip_value)
