"""Response codes and capabilities."""

import pytest

from mox.imap import capability, codes


@pytest.mark.rfc("9051 §7.1")
def test_codes_with_arguments() -> None:
    assert codes.number(codes.UIDNEXT, 7) == b"UIDNEXT 7"
    assert codes.append_uid(1, [(5, 6)]) == b"APPENDUID 1 5:6"
    assert codes.copy_uid(1, [(3, 3)], [(9, 9)]) == b"COPYUID 1 3 9"
    assert codes.modified([(2, 2), (5, 7)]) == b"MODIFIED 2,5:7"
    assert codes.bad_charset([b"US-ASCII", b"UTF-8"]) == b"BADCHARSET (US-ASCII UTF-8)"
    assert codes.capability([b"IMAP4rev2", b"ID"]) == b"CAPABILITY IMAP4rev2 ID"
    assert codes.permanent_flags(b"\\Seen \\*") == b"PERMANENTFLAGS (\\Seen \\*)"


def test_a_code_is_the_name_it_has() -> None:
    for name, value in vars(codes).items():
        if name.isupper():
            assert value == name.replace("_", "-").encode()


def test_a_capability_is_listed_once() -> None:
    assert len(capability.BY_NAME) == len(capability.CAPABILITIES)
    assert capability.known(b"literal+") is capability.BY_NAME[b"LITERAL+"]
    assert capability.known(b"NOPE") is None


@pytest.mark.rfc("9051 §E")
def test_what_a_capability_implies_is_known_and_found() -> None:
    for entry in capability.CAPABILITIES:
        for name in entry.implies:
            assert name in capability.BY_NAME
    found = capability.implied([b"imap4rev2", b"QRESYNC", b"X"])
    assert {b"IMAP4REV2", b"MOVE", b"LITERAL-", b"CONDSTORE", b"X"} <= found
    assert b"BINARY" not in found
