"""TLS reports and records: any bytes are one or refused; what was read can be written and read again."""

from mox.base.errors import Malformed
from mox.tlspolicy.extract import extract
from mox.tlspolicy.tlsreport import BadReport, format_report, merge, parse_report
from mox.tlspolicy.tlsrpt import BadRecord, choose_record

TARGET_NAME: str = "tls_report"
_JSON = (
    b'{"organization-name":"o","date-range":{"start-datetime":"2026-11-28T00:00:00Z",'
    b'"end-datetime":"2026-11-28T23:59:59"},"report-id":"i","contact-info":null,"policies":['
    b'{"policy":{"policy-type":"sts","policy-string":["a"],"policy-domain":"d","mx-host":"h"},'
    b'"summary":{"total-successful-session-count":1,"total-failure-session-count":"2"},'
    b'"failure-details":[{"result-type":"x","failed-session-count":1}]}]}'
)
SEEDS = (
    _JSON,
    b"v=TLSRPTv1; rua=mailto:a@b.example,https://c/;",
    b"Content-Type: application/tlsrpt+json\r\n\r\n" + _JSON,
    b"Content-Type: multipart/report; report-type=tlsrpt; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: application/tlsrpt+json\r\n\r\n" + _JSON + b"\r\n--b--\r\n",
)


def run(data: bytes) -> None:
    """As a document, as a record, and as a message."""
    try:
        report = parse_report(data)
    except BadReport:
        pass
    else:
        if parse_report(format_report(report)) != report:
            raise AssertionError("not what was written")
        merge(report.results)
    try:
        record = choose_record([data])
    except BadRecord:
        record = None
    if record is not None and not record.rua:
        raise AssertionError("a record without addresses")
    try:
        extract(data)
    except Malformed as error:
        if not error.public.isprintable():
            raise AssertionError("a reason that is no line") from error
