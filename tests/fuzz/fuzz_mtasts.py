"""MTA-STS: any bytes are a record or a policy or refused; what was read can be written and read again."""

from mox.tlspolicy.mtasts import BadPolicy, BadRecord, choose_record, format_policy, parse_policy

TARGET_NAME: str = "mtasts"
SEEDS = (
    b"v=STSv1; id=20160831085700Z;",
    b"version: STSv1\r\nmode: enforce\r\nmx: mail.example.org\r\nmx: *.example.net\r\nmax_age: 604800\r\n",
    b"version: STSv1\nmode: none\nmax_age: 0\n",
)


def run(data: bytes) -> None:
    """As a record, and as a policy."""
    try:
        number = choose_record([data])
    except BadRecord:
        number = None
    if number is not None and not (number.isascii() and number.isalnum()):
        raise AssertionError("an id of other characters")
    try:
        policy = parse_policy(data)
    except BadPolicy:
        return
    again = parse_policy(format_policy(policy).encode())
    if (again.mode, again.mx, again.max_age_s) != (policy.mode, policy.mx, policy.max_age_s):
        raise AssertionError("not what was written")
    if policy.allows("example.org") and not policy.mx:
        raise AssertionError("a host that nobody named")
