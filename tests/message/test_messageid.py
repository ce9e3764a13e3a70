"""Message ids and references."""

import pytest

from mox.base import limits
from mox.message import messageid
from mox.message.messageid import MessageId


@pytest.mark.rfc("5322 §3.6.4")
@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"bogus", None),
        (b"<bogus@host", None),
        (b"bogus@host>", None),
        (b"<>", None),
        (b"", None),
        (b" <ok@host>\r\n", MessageId("ok@host", False)),
        (b"<OK@Host>", MessageId("ok@host", False)),
        (b'<"a b"@host>', MessageId('"a b"@host', False)),
        (b'<"ok"@host>', MessageId("ok@host", False)),
        (b"<ok@[192.0.2.1]>", MessageId("ok@[192.0.2.1]", True)),
        (b"<ok@host> (comment)", MessageId("ok@host", False)),
        (b"<ok@host>x", None),
        (b"<a@b@c>", MessageId("a@b@c", True)),
        (b"<nothing>", MessageId("nothing", True)),
        (b"<a@>", MessageId("a@", True)),
        ("<Ü@Ä>".encode(), MessageId("ü@ä", False)),
        (b"<\xff@x>", MessageId("\ufffd@x", False)),
    ],
)
def test_canonical(raw: bytes, expected: MessageId | None) -> None:
    assert messageid.canonical(raw) == expected


def ids(*values: bytes, reply: tuple[bytes, ...] = ()) -> list[str]:
    return [found.value for found in messageid.references(values, reply)]


@pytest.mark.rfc("5322 §3.6.4")
def test_references() -> None:
    assert ids(b"<A@b>\r\n <c@d>", b"<e@f>") == ["a@b", "c@d", "e@f"]
    assert ids(b"junk <a@b> more> <c@d>") == ["a@b", "c@d"]
    assert ids(b"<a@b <c@d>") == ["c@d"]
    assert ids(b"<a@ \r\n\tb>") == ["a@b"]
    assert ids(b"<nohost> <> <a@b") == ["nohost"]
    assert ids(b"", b"  ") == []
    assert ids(b'<"a"@b>') == ["a@b"]


def test_in_reply_to_stands_in() -> None:
    assert ids(reply=(b"nothing", b"<a@b> of today", b"<c@d>")) == ["a@b"]
    assert ids(b"junk", reply=(b"<a@b> <c@d>",)) == ["a@b"]
    assert ids(b"<x@y>", reply=(b"<a@b>",)) == ["x@y"]


def test_the_last_references_are_kept() -> None:
    many = b" ".join(b"<%d@x>" % number for number in range(limits.REFERENCES + 5))
    found = ids(many)
    assert len(found) == limits.REFERENCES
    assert found[-1] == f"{limits.REFERENCES + 4}@x"


def test_make() -> None:
    assert messageid.make(bytes(range(16)), "mx.example") == "AAECAwQFBgcICQoLDA0ODw@mx.example"
    with pytest.raises(ValueError, match="16"):
        messageid.make(b"short", "mx.example")
