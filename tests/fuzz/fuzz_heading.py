"""Headings of messages being judged: any header section gives at most one author, and ends."""

from mox.base.limits import RULESET_FIELDS
from mox.inbound.heading import Heading
from mox.message.envelope import BadFrom, from_address
from mox.smtp.address import Address

TARGET_NAME: str = "heading"
SEEDS = (
    b'From: "A B" <a@b.example>\r\nTo: me@example.org, g: x@y;\r\nSubject: x\r\n y\r\n\r\n',
    b"From: a@b, c@d\r\nFrom : e@f\r\nMessage-ID: <x@y>\r\n\r\nbody",
    "From: móx@bücher.example\r\nCc: <<>>, (((\r\n\r\n".encode(),
)


def run(data: bytes) -> None:
    """As a header section."""
    heading = Heading(data)
    if heading.author is not None:
        if heading.is_ambiguous or heading.author_problem:
            raise AssertionError("an author in spite of a problem")
        try:
            strict = from_address(data)
        except BadFrom as error:
            raise AssertionError("an author that the strict reader refuses") from error
        if strict != heading.author.written:
            raise AssertionError("another author than the strict reader finds")
    elif not heading.author_problem:
        raise AssertionError("no author and no reason")
    heading.is_addressed_to(Address("me", "example.org"))
    if len(heading.fields(RULESET_FIELDS)) > RULESET_FIELDS:
        raise AssertionError("more fields than the limit")
    if "\n" in heading.message_id:
        raise AssertionError("a message id over several lines")
    if b"\n" in heading.subject:
        raise AssertionError("a subject over several lines")
