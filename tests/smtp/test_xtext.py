"""xtext and unitext."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.smtp.xtext import decode_original_recipient, decode_xtext, encode_xtext


@pytest.mark.rfc("3461 §4")
def test_the_form() -> None:
    assert encode_xtext("a b+c=d") == "a+20b+2Bc+3Dd"
    assert decode_xtext("a+20b+2Bc+3Dd") == "a b+c=d"
    with pytest.raises(UnicodeEncodeError):
        encode_xtext("ü")


@given(st.text(st.characters(max_codepoint=127)))
def test_what_is_written_is_read(text: str) -> None:
    assert decode_xtext(encode_xtext(text)) == text


@pytest.mark.parametrize("text", ["+", "+2", "+2b", "a+zz", "ü"])
def test_what_is_not_encoded_stays(text: str) -> None:
    assert decode_xtext(text) == text


@pytest.mark.rfc("6533 §3")
@pytest.mark.parametrize(
    ("value", "kind", "address"),
    [
        ("rfc822;You+2Bx@d.example", "rfc822", "You+x@d.example"),
        ("UTF-8;j\\x{FC}@d.example", "utf-8", "jü@d.example"),
        ("utf-8;jü\\x{2B}@d.example", "utf-8", "jü+@d.example"),
        ("utf-8;\\x{D800}", "utf-8", "\\x{D800}"),
        ("utf-8;\\x{110000}", "utf-8", "\\x{110000}"),
        ("x", "x", ""),
    ],
)
def test_original_recipients(value: str, kind: str, address: str) -> None:
    assert decode_original_recipient(value) == (kind, address)
