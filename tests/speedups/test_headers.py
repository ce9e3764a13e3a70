"""Headers and boundaries: compiled and plain see the same fields, lines and boundary lines."""

import mmap
import tempfile
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox import _speedups
from mox._speedups import headers as compiled
from mox._speedups.reference import headers as plain

BOUNDARIES = (b"b", b"bb", b"x y")
pieces = st.lists(
    st.sampled_from(
        [
            b"\r\n", b"\n", b"\r", b"a: b", b"A:", b":", b" ", b"\t", b"x", b"--", b"--b", b"--bb",
            b"--x y", b"--b--", b"--bb-- ", b"--b-", b"--b x", b"Subject", b"\0", b"\xff",
        ]  # fmt: skip
    )
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)  # fmt: skip


@pytest.fixture(params=["c", "py"])
def module(request: pytest.FixtureRequest) -> ModuleType:
    return compiled if request.param == "c" else plain


def test_the_door_gives_the_one_it_says() -> None:
    chosen = compiled if _speedups.IMPLEMENTATION == "cython" else plain
    assert _speedups.scan_header is chosen.scan_header
    assert _speedups.header_values is chosen.header_values
    assert _speedups.scan_body is chosen.scan_body
    assert _speedups.filter_fields is chosen.filter_fields
    assert _speedups.count_line_ends is chosen.count_line_ends
    assert _speedups.text_before_dot is chosen.text_before_dot


def test_faults_have_the_same_numbers() -> None:
    names = [name for name in dir(plain) if name.isupper()]
    assert len(names) == 7
    assert all(getattr(compiled, name) == getattr(plain, name) for name in names)


@given(
    pieces,
    st.integers(0, 20),
    st.integers(0, 60),
    st.integers(0, 4),
    st.sampled_from([(), BOUNDARIES]),
    st.sampled_from([None, frozenset({b"a", b"x"})]),
)
def test_scan_header_is_the_twin(
    data: bytes,
    start: int,
    parse_end: int,
    max_fields: int,
    boundaries: tuple[bytes, ...],
    wanted: frozenset[bytes] | None,
) -> None:
    start = min(start, len(data))
    arguments = (data, start, len(data), start + parse_end, max_fields, boundaries, wanted)
    assert compiled.scan_header(*arguments) == plain.scan_header(*arguments)
    assert compiled.header_values(*arguments) == plain.header_values(*arguments)


@given(pieces, st.integers(0, 20), st.integers(0, 20), st.sampled_from([(), BOUNDARIES]))
def test_scan_body_is_the_twin(
    data: bytes, start: int, cut: int, boundaries: tuple[bytes, ...]
) -> None:
    end = max(0, len(data) - cut)
    start = min(start, end)
    assert compiled.scan_body(data, start, end, boundaries) == plain.scan_body(
        data, start, end, boundaries
    )


@given(pieces, st.lists(st.sampled_from([b"a", b"A", b"subject", b"", b"x"])), st.booleans())
def test_filter_fields_is_the_twin(data: bytes, names: list[bytes], exclude: bool) -> None:
    assert compiled.filter_fields(data, 0, len(data), names, exclude) == plain.filter_fields(
        data, 0, len(data), names, exclude
    )


def test_fields_have_spans_with_their_continuations(module: ModuleType) -> None:
    data = b"From: a\r\nsubject: b\r\n c\r\n\r\nbody"
    fields, body, lines, faults = module.scan_header(data, 0, len(data), 99, 99, (), None)
    assert fields == [(b"from", 0, 5, 9), (b"subject", 9, 17, 25)]
    assert (body, lines, faults) == (27, 4, 0)
    assert data[body:] == b"body"


def test_values_are_raw_and_in_order_by_name(module: ModuleType) -> None:
    data = b"To: a\r\nsubject: b\r\n c\r\nTO:\r\nFrom: x\r\n\r\nbody"
    wanted = frozenset({b"to", b"subject"})
    values, body, lines, faults = module.header_values(data, 0, len(data), 99, 99, (), wanted)
    assert values == {b"to": [b" a\r\n", b"\r\n"], b"subject": [b" b\r\n c\r\n"]}
    assert (body, lines, faults) == (39, 6, 0)


def test_a_boundary_line_ends_a_header(module: ModuleType) -> None:
    data = b"A: b\r\n--b\r\n"
    fields, body, lines, faults = module.scan_header(data, 0, len(data), 99, 99, (b"b",), None)
    assert (body, lines, faults) == (6, 1, module.AT_BOUNDARY)
    assert fields == [(b"a", 0, 2, 6)]


def test_fields_beyond_the_limits_are_walked_over(module: ModuleType) -> None:
    data = b"A: b\r\nC: d\r\nE: f\r\n\r\nbody"
    for parse_end, count in ((99, 1), (6, 99)):
        fields, body, _, faults = module.scan_header(data, 0, len(data), parse_end, count, (), None)
        assert fields == [(b"a", 0, 2, 6)]
        assert body == 20
        assert faults == module.TOO_LARGE


def test_a_field_that_reaches_beyond_is_cut(module: ModuleType) -> None:
    data = b"A: bcdefgh\r\n ij\r\n\r\n"
    fields = module.scan_header(data, 0, len(data), 5, 99, (), None)[0]
    assert fields == [(b"a", 0, 2, 5)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"--b", (0, False)),
        (b"--b--", (0, True)),
        (b"--b \t", (0, False)),
        (b"--b--trailing", (0, True)),
        (b"--b-", None),
        (b"--bc", None),
        (b"-b", None),
        (b" --b", None),
        (b"--bb", (1, False)),
        (b"--bb--", (1, True)),
    ],
)
@pytest.mark.rfc("2046 §5.1.1")
def test_what_a_boundary_line_is(
    module: ModuleType, line: bytes, expected: tuple[int, bool] | None
) -> None:
    data = b"one\r\ntwo\r\n" + line + b"\r\nrest"
    found = module.scan_body(data, 0, len(data), (b"b", b"bb"))
    if expected is None:
        assert found[3] == -1
        assert found[:3] == (len(data),) * 3
    else:
        assert found[3:5] == expected
        # the line end before the boundary belongs to the boundary
        assert found[:3] == (8, 10, 10 + len(line) + 2)
        assert found[5:7] == (1, 0)


def test_the_innermost_of_equal_boundaries_wins(module: ModuleType) -> None:
    assert module.scan_body(b"--b\r\n", 0, 5, (b"b", b"b"))[3] == 1


def test_a_body_before_its_boundary_may_be_empty(module: ModuleType) -> None:
    data = b"\r\n--b"
    assert module.scan_body(data, 2, 5, (b"b",))[:4] == (2, 2, 5, 0)
    assert module.scan_body(data, 0, 5, (b"b",))[:4] == (0, 2, 5, 0)


def test_lines_are_counted(module: ModuleType) -> None:
    data = b"a\nbb\r\nccc\n"
    assert module.scan_body(data, 0, len(data), ())[5:] == (3, 2, 4)


def test_fields_are_filtered_in_any_case(module: ModuleType) -> None:
    data = b"A: 1\r\nB: 2\r\n 3\r\nnonsense\r\na : 4\r\nA: 5\r\n\r\nbody"
    size = len(data)
    assert module.filter_fields(data, 0, size, [b"a"], False) == b"A: 1\r\nA: 5\r\n\r\n"
    assert module.filter_fields(data, 0, size, [b"a"], True) == (
        b"B: 2\r\n 3\r\nnonsense\r\na : 4\r\n\r\n"
    )
    assert module.filter_fields(data, 0, size, [b"B"], False) == b"B: 2\r\n 3\r\n\r\n"


def test_many_names_are_found(module: ModuleType) -> None:
    names = [b"n%d" % n for n in range(500)]
    data = b"".join(name + b": x\r\n" for name in reversed(names))
    assert module.filter_fields(data, 0, len(data), names, False) == data
    assert module.filter_fields(data, 0, len(data), names, True) == b""


def test_content_may_be_a_map_or_a_view(module: ModuleType) -> None:
    data = b"A: b\r\n\r\nbody\r\n--b--\r\n"
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            for content in (mapped, memoryview(data)):
                assert module.scan_header(content, 0, 8, 8, 9, (), None)[1] == 8
                assert module.header_values(content, 0, 8, 8, 9, (), None)[0] == {b"a": [b" b\r\n"]}
                assert module.scan_body(content, 8, len(data), (b"b",))[0] == 12
                assert module.filter_fields(content, 0, 8, [b"a"], False) == data[:8]
            del content


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 99), (3, 2)])
def test_a_range_outside_is_refused(module: ModuleType, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="range"):
        module.scan_header(b"abcd", start, end, 4, 9, (), None)
    with pytest.raises(ValueError, match="range"):
        module.header_values(b"abcd", start, end, 4, 9, (), None)
    with pytest.raises(ValueError, match="range"):
        module.scan_body(b"abcd", start, end, ())
    with pytest.raises(ValueError, match="range"):
        module.filter_fields(b"abcd", start, end, [], False)


def test_large_ranges_run_without_the_lock(module: ModuleType) -> None:
    head = b"A: b\r\n" * 20_000 + b"\r\n"
    body = b"line\r\n" * 20_000 + b"--b\r\n"
    data = head + body
    fields, at, lines, _ = module.scan_header(data, 0, len(data), 6, 1, (), None)
    assert (len(fields), at, lines) == (1, len(head), 20_001)
    assert module.scan_body(data, at, len(data), (b"b",))[5] == 19_999
    assert module.filter_fields(data, 0, len(head), [b"b"], True) == head


_ends = st.lists(
    st.sampled_from([b"\r\n", b"\n", b"\r", b".", b"x", b"\n.\n", b"\r\n.\r\n"]), max_size=12
).map(b"".join)


@given(_ends)
def test_count_line_ends_is_the_twin(data: bytes) -> None:
    assert compiled.count_line_ends(data) == plain.count_line_ends(data)


@given(_ends, st.integers(0, 6), st.integers(0, 6))
def test_text_before_dot_is_the_twin(data: bytes, start: int, cut: int) -> None:
    end = max(0, len(data) - cut)
    start = min(start, end)
    found = compiled.text_before_dot(data, start, end)
    assert found == plain.text_before_dot(data, start, end)
    assert type(found[1]) is bool


def test_text_before_dot(module: ModuleType) -> None:
    assert module.text_before_dot(b"a\r\nb\r\n.\r\nc\r", 0, 11) == (6, True)
    assert module.text_before_dot(b"a\rb\n.c", 0, 6) == (4, False)
    assert module.text_before_dot(b"a\r", 0, 2) == (2, False)
    assert module.text_before_dot(b"", 0, 0) == (0, True)
    for start, end in ((-1, 1), (2, 1), (0, 4)):
        with pytest.raises(ValueError, match="range"):
            module.text_before_dot(b"abc", start, end)
