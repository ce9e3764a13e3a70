"""Regular expressions: any text is refused, or answers the same however often, as ``re`` does."""

import re
import warnings

from mox.base.regexp import Regexp

TARGET_NAME: str = "regexp"
SEEDS = (
    b"^(junk|spam)\njunk/2026",
    rb"(?i)^\s*[^a-z\d]+@example\.(org|net)$" + b"\n  @EXAMPLE.net",
    b"(a|b)*a(a|b){3}c\nababababc",
    rb"(?m)^\bx{2,}(?:y|[[:alpha:]-])?$" + b"\nxx\nxxy",
)
_SAME = re.compile(r"[ab1_^.|()]{0,12}")  # where both read the same; short, so that re is quick


def run(data: bytes) -> None:
    """An expression, and after a line end a text."""
    text, _, subject = data.decode("utf-8", "surrogateescape").partition("\n")
    try:
        expression = Regexp(text)
    except ValueError as error:
        if "regular expression" not in str(error):
            raise AssertionError("no text for the operator") from error
        return
    found = expression.found_in(subject)
    if expression.found_in(subject) is not found or Regexp(text).found_in(subject) is not found:
        raise AssertionError("not the same again")
    if _SAME.fullmatch(text):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if (re.search(text, subject) is not None) is not found:
                raise AssertionError("re says otherwise")
