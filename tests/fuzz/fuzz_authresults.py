"""Authentication-Results: any bytes are read or refused; what was read is written and read again."""

from mox.message.authresults import BadAuthResults, format_field, parse

TARGET_NAME: str = "authresults"
SEEDS = (
    b'mx.example (c (d)) 1; dkim/1=pass (x) reason="y z" header.i=@a.example (k);\r\n\tspf=fail',
    b"h; none;",
    b'"h \\" x"; auth=pass smtp.auth="a b"@c.example policy.x=',
)


def run(data: bytes) -> None:
    """As the value of a field."""
    try:
        results = parse(data)
    except BadAuthResults:
        return
    field = format_field(results)
    if field.count(b"\n") != field.count(b"\r\n\t") + 1 or not field.endswith(b"\r\n"):
        raise AssertionError("a line of the field belongs to nobody")
    again = parse(field.partition(b":")[2])
    if [one.method for one in again.methods] != [one.method[:64] for one in results.methods]:
        raise AssertionError("written otherwise than read")
