"""FETCH lines: what they look like, and that both implementations write the same."""

from array import array
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox._speedups import Columns, fetchlines
from mox._speedups.reference import fetchlines as plain

ALL = 127
NAMES = [b"$label%d" % bit for bit in range(70)]


@pytest.fixture(params=[fetchlines, plain], ids=["c", "py"])
def lines(request: pytest.FixtureRequest) -> ModuleType:
    module = request.param
    assert isinstance(module, ModuleType)
    return module


def one(
    *,
    uid: int = 9,
    size: int = 1,
    flags: int = 0,
    zone: int = 0,
    received: int = 0,
    saved: int = 0,
    modseq: int = 12,
    keywords: int = 0,
) -> Columns:
    columns = Columns()
    columns.append(uid, size, flags, zone, received, saved, modseq, 1, 1, 1, keywords)
    return columns


def item(lines: ModuleType, columns: Columns, items: int) -> bytes:
    line = lines.format_items(columns, 0, 3, items, NAMES)
    assert isinstance(line, bytes)
    head = b"* 3 FETCH ("
    assert line.startswith(head)
    return line.removeprefix(head)


@pytest.mark.rfc("9051 §7.5.2")
def test_all_items_in_order(lines: ModuleType) -> None:
    columns = one(
        uid=7, size=4294967295, flags=1 | 8, zone=-420, received=1136239445000, keywords=0b101
    )
    out = lines.format_fetch(columns, array("I", [0]), array("I", [5]), ALL & ~64, NAMES)
    assert out == (
        b"* 5 FETCH (UID 7 FLAGS (\\Seen \\Deleted $label0 $label2) MODSEQ (12)"
        b' INTERNALDATE " 2-Jan-2006 15:04:05 -0700" RFC822.SIZE 4294967295 SAVEDATE NIL)\r\n',
        1,
    )


def test_every_flag_in_order_of_its_bit(lines: ModuleType) -> None:
    columns = one(flags=0xFFFFFFFF)
    assert item(lines, columns, 2) == (
        b"FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Forwarded $Junk $NotJunk"
        b" $Phishing $MDNSent"
        b")"
    )
    assert item(lines, one(), 2) == b"FLAGS ()"


@pytest.mark.rfc("3501 §2.3.2")
def test_recent_is_shown_from_its_uid_on(lines: ModuleType) -> None:
    columns = one(uid=9, flags=1)
    for first, expected in ((9, b"\\Recent \\Seen"), (10, b"\\Seen"), (0, b"\\Recent \\Seen")):
        line = lines.format_items(columns, 0, 1, 2 | 64, [], recent_from_uid=first)
        assert line == b"* 1 FETCH (FLAGS (" + expected + b")"
    assert lines.format_items(columns, 0, 1, 2, [], recent_from_uid=1).endswith(b"FLAGS (\\Seen)")


@pytest.mark.rfc("9586 §3.3")
def test_uidfetch_begins_with_the_uid(lines: ModuleType) -> None:
    columns = one(uid=77)
    slots = array("I", [0])
    out = lines.format_fetch(columns, slots, array("I"), 2, [], uidfetch=True)
    assert out == (b"* 77 UIDFETCH (FLAGS ())\r\n", 1)
    assert lines.format_items(columns, 0, 0, 1, [], uidfetch=True) == b"* 77 UIDFETCH (UID 77"


def test_keywords_above_the_sixty_fourth(lines: ModuleType) -> None:
    columns = one(keywords=1 << 63 | 1 << 64 | 1 << 69)
    assert item(lines, columns, 2) == b"FLAGS ($label63 $label64 $label69)"
    out = lines.format_fetch(columns, array("I", [0]), array("I", [1]), 2, NAMES)
    assert out == (b"* 1 FETCH (FLAGS ($label63 $label64 $label69))\r\n", 1)


@pytest.mark.parametrize("bit", [2, 63, 64, 200])
def test_keyword_without_a_name_is_an_error(lines: ModuleType, bit: int) -> None:
    columns = one(keywords=1 << bit)
    with pytest.raises(ValueError, match="no name"):
        lines.format_items(columns, 0, 1, 2, [b"a", b"b"])
    with pytest.raises(ValueError, match="no name"):
        lines.format_fetch(columns, array("I", [0]), array("I", [1]), 2, [b"a", b"b"])
    # Not asked for flags: no name is needed.
    assert lines.format_items(columns, 0, 1, 1, []) == b"* 1 FETCH (UID 9"


@pytest.mark.rfc("9051 §9")
@pytest.mark.parametrize(
    ("ms", "zone", "expected"),
    [
        (0, 0, b" 1-Jan-1970 00:00:00 +0000"),
        (-1, 0, b"31-Dec-1969 23:59:59 +0000"),
        (951782400000, 0, b"29-Feb-2000 00:00:00 +0000"),
        (951868800000, 0, b" 1-Mar-2000 00:00:00 +0000"),
        (1709164800000, 330, b"29-Feb-2024 05:30:00 +0530"),
        (1709251199999, 1, b" 1-Mar-2024 00:00:59 +0001"),
        (4102444799000, -1, b"31-Dec-2099 23:58:59 -0001"),
        (-62135596800000, 0, b" 1-Jan-0001 00:00:00 +0000"),
        (-62135596800001, 0, b" 1-Jan-0001 00:00:00 +0000"),
        (-(2**63), -(2**15), b" 1-Jan-0001 00:00:00 -9959"),
        (253402300799999, 0, b"31-Dec-9999 23:59:59 +0000"),
        (253402300800000, 0, b"31-Dec-9999 23:59:59 +0000"),
        (2**63 - 1, 2**15 - 1, b"31-Dec-9999 23:59:59 +9959"),
        (253402300800000, -60, b"31-Dec-9999 23:00:00 -0100"),
    ],
)
def test_dates(lines: ModuleType, ms: int, zone: int, expected: bytes) -> None:
    assert item(lines, one(received=ms, zone=zone), 8) == b'INTERNALDATE "' + expected + b'"'


@pytest.mark.rfc("8514 §4.2")
def test_savedate_is_in_utc_or_nil(lines: ModuleType) -> None:
    shown = item(lines, one(saved=1136239445000, zone=60), 32)
    assert shown == b'SAVEDATE " 2-Jan-2006 22:04:05 +0000"'
    assert item(lines, one(saved=0), 32) == b"SAVEDATE NIL"


def test_no_items_leave_the_list_open(lines: ModuleType) -> None:
    assert item(lines, one(), 0) == b""


def test_slices_join_to_the_whole(lines: ModuleType) -> None:
    columns = Columns()
    for uid in range(1, 101):
        columns.append(uid, uid, uid % 16, 0, 0, 0, uid, uid, 1, 1, 0)
    slots = array("I", range(100))
    seqs = array("I", range(1, 101))
    whole, end = lines.format_fetch(columns, slots, seqs, 3, [], 0, 1 << 40)
    assert end == 100
    assert whole.count(b"\r\n") == 100
    parts, index = [], 0
    while index < 100:
        part, following = lines.format_fetch(columns, slots, seqs, 3, [], index, 200)
        assert following > index
        # No line is begun once the bound is reached.
        assert len(part.rsplit(b"\r\n", 2)[0]) < 200
        parts.append(part)
        index = following
    assert b"".join(parts) == whole
    # At least one line however small the bound, and nothing after the last.
    assert lines.format_fetch(columns, slots, seqs, 1, [], 99, 0) == (
        b"* 100 FETCH (UID 100)\r\n",
        100,
    )
    assert lines.format_fetch(columns, slots, seqs, 1, [], 100, 9) == (b"", 100)


def test_impossible_arguments_are_refused(lines: ModuleType) -> None:
    columns = one()
    slots, seqs = array("I", [0]), array("I", [1])
    for start in (-1, 2):
        with pytest.raises(ValueError, match="start"):
            lines.format_fetch(columns, slots, seqs, 1, [], start)
    with pytest.raises(ValueError, match="sequence numbers"):
        lines.format_fetch(columns, slots, array("I"), 1, [])
    for items in (128, -1):
        with pytest.raises(ValueError, match="items"):
            lines.format_fetch(columns, slots, seqs, items, [])
        with pytest.raises(ValueError, match="items"):
            lines.format_items(columns, 0, 1, items, [])
    with pytest.raises(IndexError):
        lines.format_fetch(columns, array("I", [1]), seqs, 1, [])
    for slot in (-1, 1):
        with pytest.raises(IndexError):
            lines.format_items(columns, slot, 1, 1, [])


def test_long_list_is_written_without_the_gil() -> None:
    columns = Columns()
    for uid in range(1, 40_001):
        columns.append(uid, uid, uid % 1024, 0, 0, 0, uid, uid, 1, 1, uid % 8)
    slots, seqs = array("I", range(40_000)), array("I", range(1, 40_001))
    names = [b"a", b"b", b"c"]
    whole, end = fetchlines.format_fetch(columns, slots, seqs, 3, names, 0, 1 << 40)
    assert end == 40_000
    tail, _ = plain.format_fetch(columns, slots, seqs, 3, names, 39_000, 1 << 40)
    assert whole.endswith(tail)
    assert whole.startswith(b"* 1 FETCH (UID 1 FLAGS (\\Seen a))\r\n")
    slots[-1] = 40_000
    with pytest.raises(IndexError):
        fetchlines.format_fetch(columns, slots, seqs, 3, names, 0, 1 << 40)


U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
I64 = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(-62135596900000, 253402300900000))
MESSAGE = st.tuples(
    U32,
    st.one_of(st.integers(0, 1023), U32),
    st.integers(-(2**15), 2**15 - 1),
    I64,
    I64,
    U64,
    st.one_of(st.integers(0, 15), st.integers(0, 2**70 - 1)),
)


@given(
    messages=st.lists(MESSAGE, min_size=1, max_size=12),
    items=st.integers(0, ALL),
    names=st.sampled_from([[], NAMES[:4], NAMES[:64], NAMES]),
    bound=st.integers(0, 2000),
    uidfetch=st.booleans(),
    recent=st.integers(0, 14),
)
def test_same_as_the_twin(
    messages: list[tuple[int, ...]],
    items: int,
    names: list[bytes],
    bound: int,
    uidfetch: bool,
    recent: int,
) -> None:
    columns = Columns()
    for uid, (size, flags, zone, received, saved, modseq, keywords) in enumerate(messages, 1):
        columns.append(uid, size, flags, zone, received, saved, modseq, 1, 1, 1, keywords)
    slots = array("I", range(len(messages)))
    seqs = array("I", (3 * slot + 1 for slot in slots))

    def run(module: ModuleType, start: int) -> tuple[bytes, int] | str:
        try:
            answer = module.format_fetch(
                columns,
                slots,
                seqs,
                items,
                names,
                start,
                bound,
                uidfetch=uidfetch,
                recent_from_uid=recent,
            )
        except ValueError as error:
            return str(error)
        assert isinstance(answer, tuple)
        return answer

    index = 0
    while index < len(messages):
        answer = run(fetchlines, index)
        assert answer == run(plain, index)
        if isinstance(answer, str):
            break
        index = answer[1]
