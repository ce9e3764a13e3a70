"""Header sections: fields, unfolding, selecting.    RFC 5322 §2.2, §3.6.

Fields are found leniently: a line without a colon and the lines that continue it are skipped, a
field without a name is skipped.  A name with a space before the colon is kept with its space and
so matches nothing.
"""

from collections.abc import Iterable, Sequence

import msgspec

from mox._speedups import filter_fields, header_values, scan_header
from mox.message.buffer import Buffer


class Field(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One header field; ``start`` .. ``end`` are its lines in the block, line ends included."""

    name: bytes  # lower case
    value_raw: bytes  # after the colon, still folded, without the last line end
    start: int
    end: int

    @property
    def value(self) -> bytes:
        """The unfolded value."""
        return unfold(self.value_raw)


def fields(block: Buffer) -> list[Field]:
    """The fields of a header section, in order; reading stops at the first empty line.

    Cost  one pass; every field becomes an object, so a hostile 10 MB block is slow: cut it before.
    """
    size = len(block)
    found = scan_header(block, 0, size, size, size, (), None)[0]
    return [
        Field(
            name=name,
            value_raw=_without_line_end(bytes(block[value:end])),
            start=start,
            end=end,
        )
        for name, start, value, end in found
    ]


def _without_line_end(raw: bytes) -> bytes:
    return raw[:-2] if raw.endswith(b"\r\n") else raw.removesuffix(b"\n")


def unfold(value_raw: bytes) -> bytes:
    """One line: lines joined with one space, space around each taken away.    RFC 5322 §2.2.3."""
    value = value_raw.strip(b" \t\r\n")
    if b"\n" not in value:
        return value
    lines = [line.strip(b" \t\r") for line in value.split(b"\n")]
    return b" ".join([line for line in lines if line])


def first(found: Iterable[Field], name: bytes) -> bytes | None:
    """Unfolded value of the first field of that name (any case), or None."""
    wanted = name.lower()
    return next((field.value for field in found if field.name == wanted), None)


def all_values(found: Iterable[Field], name: bytes) -> list[bytes]:
    """Unfolded values of all fields of that name (any case), in order."""
    wanted = name.lower()
    return [field.value for field in found if field.name == wanted]


def select(block: Buffer, names: Sequence[bytes], *, exclude: bool = False) -> bytes:
    """The lines of the named fields (or of all others), with the empty line if there is one.

    Source  RFC 9051 §6.4.5.1: HEADER.FIELDS and HEADER.FIELDS.NOT; names match in any case.
    Cost    one pass in compiled code, whatever the number of names.
    """
    return filter_fields(block, 0, len(block), [name.lower() for name in names], exclude)


def values_of(block: Buffer, names: Sequence[bytes]) -> dict[bytes, list[bytes]]:
    """Unfolded values of the wanted fields by lower-case name; reads only these.

    The last line may lack its line end.  Names that do not occur are absent.
    """
    wanted = frozenset(name.lower() for name in names)
    size = len(block)
    values = header_values(block, 0, size, size, size, (), wanted)[0]
    return {name: [unfold(raw) for raw in found] for name, found in values.items()}


def end_of_header(content: Buffer, start: int = 0) -> int:
    """Offset behind the header section that begins at start: after its empty line, or the end."""
    size = len(content)
    return scan_header(content, start, size, start, 0, (), None)[1]
