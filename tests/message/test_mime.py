"""The part tree: examples of the RFCs, what the wild sends, limits."""

import mmap
import tempfile
import time

import pytest

from mox._speedups import IMPLEMENTATION
from mox.base import limits
from mox.message import mime
from mox.message.mime import BadMessage, Part, parse, parse_strict


def message(*lines: str) -> bytes:
    return "\r\n".join(lines).encode()


def types(part: Part) -> list[bytes]:
    return [found.media_type + b"/" + found.media_subtype for found, _ in mime.walk(part)]


def body(content: bytes, part: Part) -> bytes:
    return content[part.body_offset : part.end_offset]


EXAMPLE = message(
    "Subject: x",
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed; boundary=b",
    "",
    "pre",
    "--b",
    "",
    "ab",
    "--b",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: base64",
    "",
    "aGkK",
    "--b--",
    "epi",
    "",
)


def test_offsets_of_the_worked_example() -> None:
    part = parse(EXAMPLE)
    assert len(EXAMPLE) == 193
    assert (part.boundary_offset, part.header_offset, part.body_offset) == (-1, 0, 76)
    # improvement: the body of a message has its epilogue, so header and text are the whole
    assert part.end_offset == 193
    assert part.error is None
    first, second = part.parts
    assert (first.boundary_offset, first.header_offset, first.body_offset) == (81, 86, 88)
    assert (first.end_offset, first.lines, first.decoded_size) == (90, 1, 2)
    assert (first.media_type, first.media_subtype, first.encoding) == (b"", b"", None)
    assert (second.boundary_offset, second.header_offset, second.body_offset) == (92, 97, 175)
    assert (second.end_offset, second.lines, second.decoded_size) == (179, 1, 4)
    assert (second.media_type, second.encoding) == (b"TEXT", b"BASE64")
    assert second.params == ((b"charset", b"utf-8"),)


@pytest.mark.rfc("5322 §2.1")
def test_a_message_may_be_headers_only_or_body_only() -> None:
    part = parse(b"\r\nx")
    assert (part.body_offset, part.end_offset, part.lines) == (2, 3, 1)
    assert part.media_type == b""
    part = parse(b"header: test\r\n\r\ntest")
    assert body(b"header: test\r\n\r\ntest", part) == b"test"
    part = parse(b"header: test\r\n")
    assert (part.body_offset, part.end_offset, part.error) == (14, 14, None)
    assert parse(b"").end_offset == 0


def test_a_header_line_without_end_is_a_fault() -> None:
    part = parse(b"header: test")
    assert part.error == "unexpected end of data in a header"
    with pytest.raises(BadMessage, match="unexpected end"):
        parse_strict(b"header: test")


@pytest.mark.parametrize(
    ("value", "expected", "is_multipart"),
    [
        ("text/html;;", b"TEXT/HTML", False),
        ("not a content type;;", b"APPLICATION/OCTET-STREAM", False),
        ("multipart/mixed;;", b"APPLICATION/OCTET-STREAM", False),
        ("text", b"APPLICATION/OCTET-STREAM", False),
        # improvement: the reference gives up on parameters where one is broken
        ("multipart/mixed;; boundary=b", b"MULTIPART/MIXED", True),
    ],
)
def test_a_broken_content_type(value: str, expected: bytes, is_multipart: bool) -> None:
    content = message(f"Content-Type: {value}", "", "--b", "", "x", "--b--", "")
    part = parse(content)
    assert types(part)[0] == expected
    assert part.is_multipart == is_multipart
    assert body(content, part) == b"--b\r\n\r\nx\r\n--b--\r\n"
    with pytest.raises(BadMessage, match="bad content-type"):
        parse_strict(content)


@pytest.mark.parametrize("content", [b"a: b\rc\r\n\r\nx", b"a: b\r\n\r\nx\ry"])
def test_a_bare_cr_is_data(content: bytes) -> None:
    assert parse(content).error is None
    with pytest.raises(mime.BadLine, match="bare CR"):
        parse_strict(content)


def test_a_bare_lf_ends_a_line() -> None:
    # improvement: the reference makes any message with a bare LF one opaque part
    content = EXAMPLE.replace(b"\r\n", b"\n")
    part = parse(content)
    assert types(part) == types(parse(EXAMPLE))
    assert [body(content, child) for child in part.parts] == [b"ab", b"aGkK"]
    with pytest.raises(mime.BadLine, match="bare LF"):
        parse_strict(content)


def test_text_is_counted_with_crlf() -> None:
    part = parse(b"\n\na\nb\r\nc")
    assert (part.body_offset, part.end_offset) == (1, 8)
    assert (part.lines, part.decoded_size) == (4, 7 + 2)
    part = parse(b"Content-Type: application/x\n\na\nb\r\nc")
    assert part.decoded_size == 6


def test_long_lines() -> None:
    # improvement: the reference refuses lines over 8,192 bytes
    content = b"\r\n" + b"x" * 10_000 + b"\r\n"
    assert parse(content).error is None
    with pytest.raises(mime.BadLine, match="line too long"):
        parse_strict(content)
    assert parse_strict(b"\r\n" + b"x" * 998 + b"\r\n").lines == 1
    with pytest.raises(mime.BadLine, match="line too long"):
        parse_strict(b"\r\n" + b"x" * 999 + b"\r\n")
    assert parse(b"\r\n" + b"x" * (limits.MIME_LINE + 1)).error == "line too long"


@pytest.mark.rfc("2046 §5.1.1")
def test_the_sample_with_preamble_and_epilogue() -> None:
    content = message(
        "From: Nathaniel Borenstein <nsb@bellcore.com>",
        "To: Ned Freed <ned@innosoft.com>",
        "Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)",
        "Subject: Sample message",
        "MIME-Version: 1.0",
        'Content-type: multipart/mixed; boundary="simple boundary"',
        "",
        "This is the preamble.  It is to be ignored.",
        "",
        "--simple boundary",
        "",
        "This is implicitly typed plain US-ASCII text.",
        "It does NOT end with a linebreak.",
        "--simple boundary",
        "Content-type: text/plain; charset=us-ascii",
        "",
        "This is explicitly typed plain US-ASCII text.",
        "It DOES end with a linebreak.",
        "",
        "--simple boundary--",
        "",
        "This is the epilogue.  It is also to be ignored.",
        "",
    )
    part = parse_strict(content)
    first, second = part.parts
    assert (first.lines, second.lines) == (2, 2)
    assert body(content, first).endswith(b"NOT end with a linebreak.")
    assert body(content, second).endswith(b"DOES end with a linebreak.\r\n")
    assert part.envelope is not None
    assert part.envelope.subject == b"Sample message"
    assert first.envelope is None


def test_a_missing_closing_boundary_ends_with_the_data() -> None:
    # improvement: the reference makes the whole message one opaque part
    content = EXAMPLE[: EXAMPLE.index(b"--b--")]
    part = parse(content)
    assert types(part) == [b"MULTIPART/MIXED", b"/", b"TEXT/PLAIN"]
    assert part.error == "no closing boundary"
    assert body(content, part.parts[1]) == b"aGkK\r\n"
    assert part.envelope is not None
    assert part.envelope.subject == b"x"
    with pytest.raises(BadMessage, match="no closing boundary"):
        parse_strict(content)


def test_a_closing_boundary_may_end_the_data() -> None:
    content = EXAMPLE[: EXAMPLE.index(b"--b--") + 5]
    assert parse_strict(content).parts[1].lines == 1


@pytest.mark.parametrize("tail", ["", "x", "--b--", "--bc"])
def test_a_multipart_without_parts_is_opaque(tail: str) -> None:
    content = message("Content-Type: multipart/mixed; boundary=b", "Subject: s", "", tail, "")
    part = parse(content)
    assert types(part) == [b"APPLICATION/OCTET-STREAM"]
    assert part.params == ((b"boundary", b"b"),)
    assert part.error == "multipart without parts"
    assert part.envelope is not None
    assert part.envelope.subject == b"s"
    assert part.end_offset == len(content)


def test_an_inner_boundary_that_begins_like_the_outer() -> None:
    content = message(
        "Content-Type: multipart/related; boundary=bound",
        "",
        "--bound",
        "Content-Type: multipart/alternative; boundary=bound-inner",
        "",
        "--bound-inner",
        "Content-Type: text/plain",
        "",
        "one",
        "--bound-inner",
        "Content-Type: text/html",
        "",
        "two",
        "--bound-inner--",
        "",
        "--bound",
        "Content-Type: image/png",
        "",
        "three",
        "--bound--",
        "",
    )
    part = parse_strict(content)
    inner, image = part.parts
    assert [body(content, child) for child in inner.parts] == [b"one", b"two"]
    assert body(content, image) == b"three"
    assert body(content, inner).endswith(b"--bound-inner--\r\n")


@pytest.mark.rfc("2231 §4")
def test_a_boundary_may_be_charset_encoded() -> None:
    content = message(
        "Content-Type: multipart/mixed; boundary*=us-ascii''%62", "", "--b", "", "x", "--b--"
    )
    assert [body(content, child) for child in parse_strict(content).parts] == [b"x"]


def test_the_boundary_after_a_closing_one_takes_its_line_end() -> None:
    content = message(
        "Content-Type: multipart/mixed; boundary=o",
        "",
        "--o",
        "Content-Type: multipart/mixed; boundary=i",
        "",
        "--i",
        "",
        "x",
        "--i--",
        "--o--",
        "",
    )
    inner = parse_strict(content).parts[0]
    assert body(content, inner).endswith(b"--i--")
    assert inner.lines == 4


def test_an_outer_boundary_ends_an_inner_multipart() -> None:
    # improvement: an error in the reference
    content = message(
        "Content-Type: multipart/mixed; boundary=o",
        "",
        "--o",
        "Content-Type: multipart/mixed; boundary=i",
        "",
        "--i",
        "",
        "x",
        "--o",
        "",
        "y",
        "--i--",
        "z",
        "--o--",
        "",
    )
    part = parse(content)
    inner, second = part.parts
    assert inner.error == "no closing boundary"
    assert body(content, inner.parts[0]) == b"x"
    assert body(content, second) == b"y\r\n--i--\r\nz"
    assert part.error is None


@pytest.mark.rfc("2049 §A")
def test_the_complex_sample() -> None:
    content = message(
        "MIME-Version: 1.0",
        "From: Nathaniel Borenstein <nsb@nsb.fv.com>",
        "To: Ned Freed <ned@innosoft.com>",
        "Subject: A multipart example",
        "Content-Type: multipart/mixed;",
        "              boundary=unique-boundary-1",
        "",
        "preamble",
        "--unique-boundary-1",
        "",
        "  ... Some text appears here ...",
        "--unique-boundary-1",
        "Content-type: text/plain; charset=US-ASCII",
        "",
        "This could have been part of the previous part",
        "--unique-boundary-1",
        "Content-Type: multipart/parallel; boundary=unique-boundary-2",
        "",
        "--unique-boundary-2",
        "Content-Type: audio/basic",
        "Content-Transfer-Encoding: base64",
        "",
        "AAAA",
        "--unique-boundary-2",
        "Content-Type: image/jpeg",
        "Content-Transfer-Encoding: base64",
        "",
        "//8=",
        "--unique-boundary-2--",
        "",
        "--unique-boundary-1",
        "Content-type: text/enriched",
        "",
        "This is <bold>enriched.</bold>",
        "",
        "--unique-boundary-1",
        "Content-Type: message/rfc822",
        "",
        "From: (mailbox in US-ASCII)",
        "To: (address in US-ASCII)",
        "Subject: (subject in US-ASCII)",
        "Content-Type: Text/plain; charset=ISO-8859-1",
        "Content-Transfer-Encoding: Quoted-printable",
        "",
        "... Additional text in =",
        "ISO-8859-1 goes here ...",
        "",
        "--unique-boundary-1--",
        "",
    )
    part = parse_strict(content)
    assert [len(child.parts) for child in part.parts] == [0, 0, 2, 0, 0]
    assert [child.decoded_size for child in part.parts[2].parts] == [3, 2]
    outer = part.parts[4]
    inner = outer.message
    assert inner is not None
    assert (outer.media_type, outer.lines) == (b"MESSAGE", 8)
    assert not outer.message_decoded
    # the offsets count in the whole content
    assert inner.header_offset == outer.body_offset
    assert inner.end_offset == outer.end_offset
    assert content[inner.header_offset :].startswith(b"From: (mailbox")
    assert (inner.boundary_offset, inner.lines, inner.encoding) == (-1, 2, b"QUOTED-PRINTABLE")
    assert inner.decoded_size == len("... Additional text in ISO-8859-1 goes here ...\r\n")
    assert inner.envelope is not None
    assert inner.envelope.subject == b"(subject in US-ASCII)"


def report(original: list[str], subtype: str = "report", end: bool = True) -> bytes:
    return message(
        f"Content-Type: multipart/{subtype}; boundary=b",
        "",
        "--b",
        "",
        "It failed.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Action: failed",
        "--b",
        "Content-Type: message/rfc822",
        "",
        *original,
        *(["--b--", ""] if end else []),
    )


@pytest.mark.parametrize("subtype", ["report", "mixed"])
@pytest.mark.rfc("3464 §2")
def test_a_truncated_original_keeps_the_structure(subtype: str) -> None:
    # improvement: the reference accepts this in reports only, and then as an opaque part
    content = report(
        ["Subject: gone", "Content-Type: multipart/mixed; boundary=i", "To: x"], subtype
    )
    part = parse(content)
    assert types(part)[:4] == [
        b"MULTIPART/" + subtype.upper().encode(),
        b"/",
        b"MESSAGE/DELIVERY-STATUS",
        b"MESSAGE/RFC822",
    ]
    inner = part.parts[2].message
    assert inner is not None
    assert inner.envelope is not None
    assert inner.envelope.subject == b"gone"
    assert inner.error == "boundary inside a header; multipart without parts"


def test_an_embedded_message_without_last_line_end() -> None:
    content = report(["Subject: s", "", "body"])
    inner = parse_strict(content).parts[2].message
    assert inner is not None
    assert body(content, inner) == b"body"
    assert inner.lines == 1


def test_an_empty_embedded_message() -> None:
    content = message("Content-Type: message/rfc822", "", "")
    part = parse(content)
    assert part.message is not None
    assert part.message.end_offset == len(content)
    assert types(part) == [b"MESSAGE/RFC822", b"/"]


@pytest.mark.rfc("2046 §5.1.5")
def test_in_a_digest_parts_are_messages() -> None:
    content = message(
        "Content-Type: multipart/digest; boundary=b",
        "",
        "--b",
        "",
        "From: someone-else",
        "Subject: my opinion",
        "",
        "body",
        "--b",
        "Content-Type: text/plain",
        "",
        "x",
        "--b--",
    )
    part = parse_strict(content)
    assert types(part) == [b"MULTIPART/DIGEST", b"MESSAGE/RFC822", b"/", b"TEXT/PLAIN"]
    inner = part.parts[0].message
    assert inner is not None
    assert body(content, inner) == b"body"


@pytest.mark.rfc("6532 §3.7")
@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_an_encoded_message_counts_in_its_decoded_body(encoding: str) -> None:
    inner_text = {
        "base64": "U3ViamVjdDogaW5uZXINCg0KaGVsbG8NCg==",
        "quoted-printable": "Subject: =69nner\r\n\r\nhello\r\n",
    }[encoding]
    content = message(
        "Subject: outer",
        "Content-Type: message/global",
        f"Content-Transfer-Encoding: {encoding}",
        "",
        inner_text,
    )
    part = parse_strict(content)
    inner = part.message
    assert inner is not None
    assert part.message_decoded
    assert (inner.header_offset, inner.body_offset, inner.end_offset) == (0, 18, 25)
    assert part.decoded_size == 25
    assert inner.envelope is not None
    assert inner.envelope.subject == b"inner"
    assert [depth for _, depth in mime.walk(part)] == [0, 1]


def test_encoded_messages_within_encoded_messages_end_somewhere() -> None:
    import base64

    content = b"Subject: core\r\n\r\nx"
    for _ in range(limits.MIME_DECODED_DEPTH + 1):
        content = (
            b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes(content)
        )
    found = [part for part, _ in mime.walk(parse(content))]
    assert len(found) == limits.MIME_DECODED_DEPTH + 1
    assert found[-1].media_type == b"APPLICATION"
    assert found[-1].error == "encoded message too large or nested too deep"


def test_fields_of_a_part_are_read() -> None:
    part = parse(
        message(
            'Content-Type: TEXT/Plain ; Charset=utf-8 ; format="flo\\wed"',
            "Content-Transfer-Encoding: (comment) Quoted-Printable (really)",
            "Content-ID:  <id@host> ",
            "Content-Description: two",
            "\twords",
            'Content-Disposition: Attachment; filename="a b.txt"',
            "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==",
            "Content-Language: en, (x) de ,",
            "Content-Location: http://x/",
            "Content-ID: <second@host>",
            "",
            "",
        )
    )
    assert part.params == ((b"charset", b"utf-8"), (b"format", b"flowed"))
    assert part.encoding == b"QUOTED-PRINTABLE"
    assert part.content_id == b"<id@host>"
    assert part.description == b"two words"
    assert part.disposition is not None
    assert part.disposition.value == b"attachment"
    assert part.disposition.params == ((b"filename", b"a b.txt"),)
    assert part.disposition_raw == b'Attachment; filename="a b.txt"'
    assert part.md5 == b"Q2hlY2sgSW50ZWdyaXR5IQ=="
    assert part.languages == (b"en", b"de")
    assert part.location == b"http://x/"
    assert part.error is None


def test_header_lines_that_are_none_are_skipped() -> None:
    # improvement: the reference refuses the message
    content = message(
        "From nobody Thu Jan  1 00:00:00 1970",
        "Subject: s",
        "broken line",
        " and what continues it",
        ": no name",
        "Subject : not this",
        "To: a@b",
        "",
        "body",
    )
    part = parse(content)
    assert part.envelope is not None
    assert part.envelope.subject == b"s"
    assert part.envelope.to[0].spec == b"a@b"
    assert body(content, part) == b"body"
    assert part.error == "header line without colon; header field without name"
    with pytest.raises(BadMessage, match="without colon"):
        parse_strict(content)


def test_a_header_that_begins_with_space() -> None:
    part = parse(b" x\r\nSubject: s\r\n\r\n")
    assert part.error == "header begins with a continuation line"
    assert part.envelope is not None
    assert part.envelope.subject == b"s"


def test_nul_is_no_part_of_values() -> None:
    part = parse(b'Subject: a\0b\r\nContent-Type: text/x; a="\0"\r\n\r\n\0')
    assert part.envelope is not None
    assert part.envelope.subject == b"ab"
    assert part.params == ((b"a", b""),)
    assert part.body_size == 1


def test_content_may_be_a_map_or_a_view() -> None:
    expected = parse(EXAMPLE)
    assert parse(memoryview(EXAMPLE)) == expected
    with tempfile.TemporaryFile() as file:
        file.write(EXAMPLE)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert parse(mapped) == expected


def test_the_tree_survives_storing() -> None:
    part = parse(report(["Subject: s", "From: A <a@b>, g: c@d;", "", "body"]))
    assert mime.decode_part(mime.encode_part(part)) == part


# Limits and hostile input


def nested(depth: int) -> bytes:
    lines = ["Content-Type: multipart/mixed; boundary=b0", ""]
    for level in range(1, depth):
        lines += [f"--b{level - 1}", f"Content-Type: multipart/mixed; boundary=b{level}", ""]
    return message(*lines, f"--b{depth - 1}", "", "core")


def test_nested_multiparts_end_at_the_limit() -> None:
    part = parse(nested(1000))
    found = [part for part, _ in mime.walk(part)]
    assert len(found) == limits.MIME_DEPTH + 1
    assert found[-1].media_type == b"APPLICATION"
    assert found[-1].error == "parts nested too deep"
    assert mime.decode_part(mime.encode_part(part)) == part
    assert len([0 for _ in mime.walk(parse(nested(50)))]) == 51


def test_nested_messages_end_at_the_limit() -> None:
    part = parse(b"Content-Type: message/rfc822\r\n\r\n" * 1000)
    found = [part for part, _ in mime.walk(part)]
    assert len(found) == limits.MIME_DEPTH + 1
    assert found[-1].media_type == b"APPLICATION"
    assert found[0].lines == 1998


def test_parts_end_at_the_limit() -> None:
    content = message("Content-Type: multipart/mixed; boundary=b", "") + b"\r\n--b\r\n" * 20_000
    part = parse(content)
    assert len(part.parts) == limits.MIME_PARTS - 1
    assert "too many parts" in (part.error or "")
    assert part.end_offset == len(content)


def test_the_limit_of_parts_holds_across_decoded_messages() -> None:
    import base64

    inner = b"Content-Type: multipart/mixed; boundary=i\r\n\r\n" + b"--i\r\n\r\n" * 6000
    one = (
        b"--o\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.encodebytes(inner)
    )
    part = parse(b"Content-Type: multipart/mixed; boundary=o\r\n\r\n" + one * 3 + b"--o--")
    assert sum(1 for _ in mime.walk(part)) <= limits.MIME_PARTS + 10


@pytest.mark.parametrize("boundary", [b"", b"x" * (limits.MIME_BOUNDARY + 1)])
def test_a_boundary_has_a_size(boundary: bytes) -> None:
    content = b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n--%s\r\n\r\nx' % (
        boundary,
        boundary,
    )
    assert parse(content).error == "multipart without usable boundary"


def test_fields_beyond_the_limit_are_not_read() -> None:
    filler = b"x: y\r\n" * limits.HEADER_FIELDS
    part = parse(filler + b"z: z\r\n" + b"Subject: s\r\n\r\nbody")
    assert part.envelope is not None
    assert part.envelope.subject == b"s"  # only wanted fields count
    part = parse(b"To: a@b\r\n" * limits.HEADER_FIELDS + b"Subject: s\r\n\r\nbody")
    assert part.envelope is not None
    assert part.envelope.subject is None
    assert part.error == "header too large"
    part = parse(b"x: " + b"y" * limits.HEADER_PARSE + b"\r\nSubject: s\r\n\r\nbody")
    assert part.envelope is not None
    assert part.envelope.subject is None
    assert part.body_size == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        b"To: " + b"a@b, " * 500_000 + b"\r\n\r\n",
        b"To: " + b"(" * 5_000_000 + b"\r\n\r\n",
        b"To: " + b"<@" * 5_000_000 + b"\r\n\r\n",
        b"To: " + b'"\\' * 5_000_000 + b"\r\n\r\n",
        b"a:\r\n" * 2_500_000,
        b"To: " + b"\r\n x" * 2_500_000 + b"\r\n\r\n",
        b"Content-Type: text/plain; " + b"a*0=" * 2_500_000 + b"\r\n\r\n",
        b"Content-Type: text/plain" + b";a" * 500_000 + b"\r\n\r\n",
        b"Content-Type: text/plain; a=" + b'"' * 500_001 + b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * 2_000_000,
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b--\r\n" * 1_500_000,
        nested(100) + b"\r\n--" * 2_500_000,
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b" " * 10_000_000 + b"x",
        b"Content-Transfer-Encoding: base64\r\n\r\n" + b"A=" * 5_000_000,
    ],
    ids=range(14),
)
def test_hostile_input_takes_linear_time(content: bytes) -> None:
    start = time.process_time()
    part = parse(content)
    # the plain twin makes no promise of speed
    assert IMPLEMENTATION == "python" or time.process_time() - start < 2.5
    assert part.end_offset == len(content)
