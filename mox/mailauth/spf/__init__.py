"""SPF: may this client send for this domain?    RFC 7208.

    sender = Sender(ip=ip_address("192.0.2.1"), helo="mx.example", localpart="x", domain="a.example")
    result = await evaluate(resolver, sender)
    result.status, result.mechanism, result.explanation

``parse`` and ``lookup`` give the record alone.
"""

from mox.mailauth.spf.errors import RecordError
from mox.mailauth.spf.evaluate import evaluate, lookup
from mox.mailauth.spf.received import format_received_spf
from mox.mailauth.spf.record import Mechanism, Record, is_record, parse
from mox.mailauth.spf.result import Identity, Result, Sender, Status

__all__ = [
    "Identity",
    "Mechanism",
    "Record",
    "RecordError",
    "Result",
    "Sender",
    "Status",
    "evaluate",
    "format_received_spf",
    "is_record",
    "lookup",
    "parse",
]
