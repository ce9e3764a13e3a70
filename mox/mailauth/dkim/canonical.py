"""What is hashed: the fields of a header section in a signature's order, a body as it arrives.

Source  RFC 6376 §3.4, §3.7, §5.4.2.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum

from mox._speedups import (
    LEADING_SPACE,
    NO_COLON,
    NO_NAME,
    TOO_LARGE,
    BodyCanonicalizer,
    relax_header,
    scan_header,
)
from mox.base.errors import Malformed
from mox.base.limits import HEADER_FIELDS, HEADER_PARSE
from mox.message.buffer import Buffer

_NAME = re.compile(rb"[\x21-\x39\x3b-\x7e]++[ \t]*+")


class Canon(StrEnum):
    """How much a message may change on its way.    RFC 6376 §3.4."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


class BadHeader(Malformed):
    """A header section that has more than one reading, so that no signature over it means much."""

    default = "malformed header section"


class HeaderFields:
    """The fields of a header section, for signatures over them.

    Errors  BadHeader: a line that is no field, an unprintable name, beyond limits.HEADER_PARSE or
            HEADER_FIELDS.
    """

    __slots__ = ("_instances", "_relaxed", "_spans", "_text", "body_offset")

    def __init__(self, header: Buffer) -> None:
        size = len(header)
        spans, self.body_offset, _, faults = scan_header(
            header, 0, size, HEADER_PARSE, HEADER_FIELDS, (), None
        )
        if faults & (NO_COLON | LEADING_SPACE | NO_NAME | TOO_LARGE):
            raise BadHeader
        if any(not _NAME.fullmatch(span[0]) for span in spans):
            raise BadHeader("malformed field name")
        self._text = bytes(header[: self.body_offset])
        self._spans = spans
        self._relaxed: dict[int, bytes] = {}  # by index: signatures share what they sign
        self._instances: dict[bytes, list[int]] = {}
        for index, span in enumerate(spans):
            # RFC 6376 §3.4.2: white space before the colon is no part of the name.
            self._instances.setdefault(span[0].rstrip(b" \t"), []).append(index)

    def find(self, name: bytes) -> list[int]:
        """Indexes of the fields of that name (lower case), from the top."""
        return self._instances.get(name, [])

    def raw(self, index: int) -> bytes:
        """A field as it stands, with its line end."""
        _, start, _, end = self._spans[index]
        field = self._text[start:end]
        return field if field.endswith(b"\n") else field + b"\r\n"

    def value(self, index: int) -> bytes:
        """What stands behind the colon, folded, with its line end."""
        _, _, value, end = self._spans[index]
        return self._text[value:end]

    def canonical(self, index: int, canon: Canon) -> bytes:
        """A field as it is hashed, with its line end."""
        if canon is Canon.SIMPLE:
            return self.raw(index)
        known = self._relaxed.get(index)
        if known is None:
            known = self._relaxed[index] = relax_header(self.raw(index))
        return known

    def select(self, names: Sequence[bytes], without: int | None = None) -> Iterator[int]:
        """The fields that a list of names means: each mention the next one from the bottom.

        A mention beyond the last one means nothing: that is how a signature forbids additions.
        ``without``: the signature itself, which never signs itself by name (§3.5, h=).
        Source  RFC 6376 §5.4.2.
        """
        left: dict[bytes, int] = {}
        for name in names:
            instances = self._instances.get(name)
            if instances is None:
                continue
            at = left.get(name, len(instances)) - 1
            if at >= 0 and instances[at] == without:
                at -= 1
            left[name] = max(at, 0)
            if at >= 0:
                yield instances[at]


def hash_input(
    fields: HeaderFields,
    names: Sequence[bytes],
    canon: Canon,
    unsigned: bytes,
    without: int | None = None,
) -> bytes:
    """What a signature signs: the chosen fields, then its own field without the value of b=.

    Source  RFC 6376 §3.7; the last field has no line end.
    """
    parts = [fields.canonical(index, canon) for index in fields.select(names, without)]
    parts.append(
        unsigned if canon is Canon.SIMPLE else relax_header(unsigned).removesuffix(b"\r\n")
    )
    return b"".join(parts)


class BodyHashes:
    """Hashes of one body by canonicalisation, however many signatures; fed as it arrives."""

    __slots__ = ("_canonicalizers", "_digests")

    def __init__(self, wanted: Iterable[Canon]) -> None:
        self._digests = {canon: hashlib.sha256() for canon in wanted}
        self._canonicalizers = [
            BodyCanonicalizer(canon is Canon.RELAXED, digest.update)
            for canon, digest in self._digests.items()
        ]

    def feed(self, data: Buffer) -> None:
        """Take the next piece of the body."""
        for canonicalizer in self._canonicalizers:
            canonicalizer.feed(data)

    def finish(self) -> None:
        """The body has ended."""
        for canonicalizer in self._canonicalizers:
            canonicalizer.finish()

    def digest(self, canon: Canon) -> bytes:
        """The SHA-256 of the body; after ``finish``."""
        return self._digests[canon].digest()
