"""Header sections: fields lie in order inside, selections divide the section."""

from mox._speedups import scan_header
from mox._speedups.reference import headers as plain
from mox.message import encodedword, envelope, header, messageid, parameters, subject

TARGET_NAME: str = "headers"
SEEDS = (
    b"From: a@b\r\nSubject: =?utf-8?B?SsO2cmc=?=\r\n =?utf-8?Q?x?=\r\nTo: c@d\r\n\r\nbody",
    b"Content-Type: text/plain; a*0*=utf-8''%c3; a*1=\"x\"; b=c (d)\nReferences: <a@b> <c@d\n\n",
    b"From x\n:\n y\nSubject : no\nFrom: a@b",
)


def run(data: bytes) -> None:
    """As a header section."""
    found = header.fields(data)
    end = header.end_of_header(data)
    at = 0
    for field in found:
        if not at <= field.start < field.end <= end:
            raise AssertionError("fields overlap or leave the section")
        at = field.end
        if b"\n" in field.value or b":" in field.name:
            raise AssertionError("not unfolded")
    _selections(data, end, [field.name for field in found[:3]])
    arguments = (data, 0, len(data), len(data) // 2, 5, (b"b",), None)
    if scan_header(*arguments) != plain.scan_header(*arguments):
        raise AssertionError("compiled and plain differ")
    _values(data)


def _selections(data: bytes, end: int, names: list[bytes]) -> None:
    chosen = header.select(data, names)
    others = header.select(data, names, exclude=True)
    empty = next((line for line in (b"\r\n", b"\n") if chosen.endswith(line)), b"")
    if len(chosen) + len(others) not in (end, end + len(empty)):
        raise AssertionError("a selection and its rest are not the whole")
    if [field.name for field in header.fields(chosen) if field.name not in names]:
        raise AssertionError("another field was chosen")


def _values(data: bytes) -> None:
    """Readers of values accept anything."""
    base, _ = subject.base_subject(encodedword.decode(data))
    if base != base.lower():
        raise AssertionError("not lower case")
    parameters.parse_value(data)
    params = parameters.parse_content_type(data).params
    for name, _ in params:
        if name != name.lower():
            raise AssertionError("a name in upper case")
        parameters.text(params, name)
    for one in messageid.references([data], [data]):
        if "\n" in one.value or not one.value:
            raise AssertionError("not an id")
    try:
        author = envelope.from_address(data)
    except envelope.BadFrom:
        return
    if not author.host or not author.mailbox:
        raise AssertionError("an author without address")
