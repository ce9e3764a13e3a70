"""The grammar of FETCH."""

from collections.abc import Callable

import pytest

from mox.imap import fetchitem
from mox.imap.cursor import Cursor
from mox.imap.errors import BadSyntax
from mox.imap.fetchitem import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchItem,
    FetchModifiers,
    Partial,
    Section,
)

Arguments = Callable[[bytes], Cursor]


@pytest.mark.rfc("9051 §6.4.5")
@pytest.mark.parametrize(
    ("text", "items"),
    [
        (b"FLAGS", [FetchItem(b"FLAGS")]),
        (b"(uid Flags)", [FetchItem(b"UID"), FetchItem(b"FLAGS")]),
        (b"BODY", [FetchItem(b"BODY")]),
        (b"BODY[]", [BodySection(section=Section())]),
        (b"body.peek[]", [BodySection(section=Section(), peek=True)]),
        (b"BODY[TEXT]", [BodySection(section=Section(text=b"TEXT"))]),
        (b"BODY[1]", [BodySection(section=Section(part=(1,)))]),
        (b"BODY[4.2.mime]", [BodySection(section=Section(part=(4, 2), text=b"MIME"))]),
        (b"BODY[4.HEADER]", [BodySection(section=Section(part=(4,), text=b"HEADER"))]),
        (
            b"BODY[]<0.4294967296>",
            [BodySection(section=Section(), partial=Partial(0, 1 << 32))],
        ),
        (
            b'BODY.PEEK[HEADER.FIELDS (From "X-A" {2+}\r\nTo)]<5.1>',
            [
                BodySection(
                    section=Section(text=b"HEADER.FIELDS", fields=(b"From", b"X-A", b"To")),
                    peek=True,
                    partial=Partial(5, 1),
                )
            ],
        ),
        (
            b"BODY[1.HEADER.FIELDS.NOT (a])]",
            [BodySection(section=Section(part=(1,), text=b"HEADER.FIELDS.NOT", fields=(b"a]",)))],
        ),
        (b"BINARY[]", [BinarySection()]),
        (b"BINARY.PEEK[1.2]<1.2>", [BinarySection(part=(1, 2), peek=True, partial=Partial(1, 2))]),
        (b"BINARY.SIZE[1]", [BinarySize(part=(1,))]),
        (b"RFC822.HEADER", [FetchItem(b"RFC822.HEADER")]),
    ],
)
def test_items(arguments: Arguments, text: bytes, items: list[object]) -> None:
    cursor = arguments(text)
    assert list(fetchitem.items(cursor)) == items
    cursor.end()


def test_macros(arguments: Arguments) -> None:
    def names(text: bytes) -> list[bytes]:
        return [item.label for item in fetchitem.items(arguments(text))]  # type: ignore[union-attr]

    fast = [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"]
    assert names(b"fast") == fast
    assert names(b"ALL") == [*fast, b"ENVELOPE"]
    assert names(b"FULL") == [*fast, b"ENVELOPE", b"BODY"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"()",
        b"(ALL)",
        b"(FLAGS FAST)",
        b"NOPE",
        b"FLAGS[]",
        b"BINARY",
        b"BINARY.SIZE",
        b"BINARY[TEXT]",
        b"BINARY[1.MIME]",
        b"BINARY.SIZE[1]<0.1>",
        b"BODY[",
        b"BODY[1",
        b"BODY[]x",
        b"BODY[0]",
        b"BODY[1.0]",
        b"BODY[01]",
        b"BODY[1.]",
        b"BODY[.TEXT]",
        b"BODY[1TEXT]",
        b"BODY[1..2]",
        b"BODY[4294967296]",
        b"BODY[99999999999]",
        b"BODY[" + b"1." * 100 + b"1]",
        b"BODY[MIME]",
        b"BODY[NOPE]",
        b"BODY[HEADER.FIELDS]",
        b"BODY[HEADER.FIELDS ()]",
        b"BODY[HEADER.FIELDS (a)",
        b"BODY[HEADER.FIELDS (a) ]",
        b"BODY[HEADER.FIELDS(a)]",
        b"BODY[HEADER.FIELDS (a)x]",
        b"BODY[]<0>",
        b"BODY[]<0.0>",
        b"BODY[]<0.01>",
        b"BODY[]<.1>",
        b"BODY[]<0.1>>",
        b"BODY[]<0.9999999999999999999>",
        b"BODY[]<9223372036854775808.1>",
        b"BODY.PEEK",
    ],
)
def test_what_is_no_item(arguments: Arguments, text: bytes) -> None:
    cursor = arguments(text)
    with pytest.raises(BadSyntax):
        fetchitem.items(cursor)


def test_labels_repeat_what_was_asked(arguments: Arguments) -> None:
    asked = b'(BODY.PEEK[1.2.HEADER.FIELDS (MESSAGE-ID "a b")]<3.10> BINARY[2]<0.1> BINARY.SIZE[] BODY[])'
    labels = [item.label for item in fetchitem.items(arguments(asked))]  # type: ignore[union-attr]
    assert labels == [
        b'BODY[1.2.HEADER.FIELDS (Message-Id "a b")]<3>',
        b"BINARY[2]<0>",
        b"BINARY.SIZE[]",
        b"BODY[]",
    ]


def test_extensions_bring_their_items(arguments: Arguments) -> None:
    def preview(cursor: Cursor) -> FetchItem:
        if cursor.try_space():
            assert cursor.list_of(cursor.name) == [b"LAZY"]
        return FetchItem(b"PREVIEW")

    cursor = arguments(b"(PREVIEW (LAZY) UID)")
    found = fetchitem.items(cursor, {b"PREVIEW": preview})
    assert found == (FetchItem(b"PREVIEW"), FetchItem(b"UID"))


@pytest.mark.rfc("7162 §3.1.4.1")
def test_modifiers(arguments: Arguments) -> None:
    def read(text: bytes) -> FetchModifiers:
        cursor = arguments(b"x" + text)
        cursor.atom()
        found = fetchitem.modifiers(cursor)
        cursor.end()
        return found

    assert read(b"") == FetchModifiers()
    assert read(b" (CHANGEDSINCE 5)") == FetchModifiers(changed_since=5)
    assert read(b" (vanished changedsince 0)") == FetchModifiers(changed_since=0, vanished=True)
    for text in (b" ()", b" (VANISHED)", b" (CHANGEDSINCE)", b" (CHANGEDSINCE 1 CHANGEDSINCE 2)"):
        with pytest.raises(BadSyntax):
            read(text)
    for text in (b" (NOPE)", b" CHANGEDSINCE 1", b" (CHANGEDSINCE 9223372036854775808)", b"(x)"):
        with pytest.raises(BadSyntax):
            read(text)
