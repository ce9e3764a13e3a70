"""Every metric, declared once with its help text; the only door to prometheus-client.

Names are those of spec/cli.md section 12, so that existing dashboards and alert rules fit.  Labels
come from closed sets in our code, never from a peer: an unknown command is ``(unknown)``.
"""

from functools import cache
from typing import Final, TypeVar

import msgspec
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

# Otherwise there is a second series per metric that nobody asked for.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""Media type of what ``exposition`` returns."""

REGISTRY: Final = CollectorRegistry()

# Upper bounds in seconds: S for work on this machine, L where a peer is waited for.
_SECONDS_S: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20)
_SECONDS_L: Final = (*_SECONDS_S, 30, 60, 120)

AREAS: Final = (
    "ctl",
    "imapserver",
    "inbound",
    "metrics",
    "queue",
    "reports",
    "serve",
    "smtpserver",
    "store",
)
"""Parts of the server that count their unhandled errors."""


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of ours, for the reference page."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


_described: list[Description] = []


Family = TypeVar("Family", Counter, Histogram)


@cache
def series(family: Family, *labels: str) -> Family:
    """The series of a family for these labels, looked up once.    For labels of few values."""
    return family.labels(*labels)


def _describe(name: str, kind: str, text: str, labels: tuple[str, ...] = ()) -> None:
    _described.append(Description(name=name, kind=kind, labels=labels, text=text))


def descriptions() -> tuple[Description, ...]:
    """Our metrics, in the order of their declaration."""
    return tuple(_described)


def _counter(name: str, text: str, *labels: str) -> Counter:
    _describe(name, "counter", text, labels)
    return Counter(name, text, labels, registry=REGISTRY)


def _gauge(name: str, text: str, *labels: str) -> Gauge:
    _describe(name, "gauge", text, labels)
    return Gauge(name, text, labels, registry=REGISTRY)


def _histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
    _describe(name, "histogram", text, labels)
    return Histogram(name, text, labels, buckets=buckets, registry=REGISTRY)


PANICS: Final = _counter(
    "mox_panic_total", "Unhandled exceptions, by part of the server. Each is a bug.", "pkg"
)
AUTHENTICATIONS: Final = _counter(
    "mox_authentication_total",
    "Authentication attempts. kind: submission, imap. variant: login, plain, cram-md5, scram-sha-1,"
    " scram-sha-256 (and -plus). result: ok, baduser, badpassword, badcreds, badchanbind, error,"
    " aborted, badprotocol, logindisabled.",
    "kind",
    "variant",
    "result",
)
AUTHENTICATIONS_RATELIMITED: Final = _counter(
    "mox_authentication_ratelimited_total",
    "Connections and attempts refused before any password was looked at.",
    "kind",
)
CONNECTIONS_OPEN: Final = _gauge(
    "mox_connections_count",
    "Connections open now. protocol: smtp, imap.",
    "protocol",
    "listener",
)
SMTP_CONNECTIONS: Final = _counter(
    "mox_smtpserver_connection_total", "SMTP connections. kind: deliver, submit, lmtp.", "kind"
)
SMTP_COMMAND_SECONDS: Final = _histogram(
    "mox_smtpserver_command_duration_seconds",
    "Time from an SMTP command to its reply, with its code and enhanced code.",
    _SECONDS_L,
    "kind",
    "cmd",
    "code",
    "ecode",
)
SMTP_DELIVERIES: Final = _counter(
    "mox_smtpserver_delivery_total",
    "Recipients of incoming messages. result: delivered, reject, unknownuser, accounterror,"
    " delivererror, clientgone. reason: the rule that decided.",
    "result",
    "reason",
)
SMTP_SUBMISSIONS: Final = _counter(
    "mox_smtpserver_submission_total",
    "Submitted messages. result: ok, badmessage, badfrom, badheader, messagelimiterror,"
    " recipientlimiterror, localserveerror, queueerror.",
    "result",
)

MTASTS_GETS: Final = _counter(
    "mox_mtastsdb_get_total",
    "MTA-STS policies asked for by deliveries. result: enforce, testing, none, fallback (what is"
    " kept, since nothing newer could be had), error.",
    "result",
)
DNS_SECONDS: Final = _histogram(
    "mox_dns_lookup_duration_seconds",
    "Time to get an answer from the configured resolvers. result: ok, nxdomain, temporary, timeout.",
    _SECONDS_L,
    "pkg",
    "type",
    "result",
)
IPREV_LOOKUPS: Final = _counter(
    "mox_iprev_lookup_total",
    "Reverse names of clients looked up. status: pass, fail, temperror, permerror.",
    "status",
)
DNSBL_SECONDS: Final = _histogram(
    "mox_dnsbl_lookup_duration_seconds",
    "Time to ask a DNS list about a client. status: pass (not listed), fail (listed), temperror.",
    _SECONDS_L,
    "zone",
    "status",
)
SPF_SECONDS: Final = _histogram(
    "mox_spf_verify_duration_seconds",
    "Time to evaluate SPF. status: none, neutral, pass, fail, softfail, temperror, permerror.",
    _SECONDS_L,
    "status",
)
DKIM_SECONDS: Final = _histogram(
    "mox_dkim_verify_duration_seconds",
    "Time to look the keys of a message's signatures up, by signature. status: none, pass, fail,"
    " policy, neutral, temperror, permerror.",
    _SECONDS_L,
    "algorithm",
    "status",
)
DMARC_SECONDS: Final = _histogram(
    "mox_dmarc_verify_duration_seconds",
    "Time to look a DMARC policy up. status: none, pass, fail, temperror, permerror; reject: the"
    " policy wants it; use: the policy is meant for this message (pct).",
    _SECONDS_L,
    "status",
    "reject",
    "use",
)
SUBJECTPASS_GENERATED: Final = _counter(
    "mox_subjectpass_generate_total", "Refusals that gave a word for the subject."
)
SUBJECTPASS_VERIFIED: Final = _counter(
    "mox_subjectpass_verify_total",
    "Such words looked for in a subject. result: ok, fail.",
    "result",
)
SMTP_DELIVERY_STARTTLS: Final = _counter(
    "mox_smtpserver_delivery_starttls_total", "STARTTLS handshakes begun on port 25."
)
SMTP_DELIVERY_STARTTLS_ERRORS: Final = _counter(
    "mox_smtpserver_delivery_starttls_errors_total",
    "STARTTLS handshakes on port 25 that failed. reason: eof, sslv2, unsupportedversions, nottls,"
    " alert-<n>-<message>, other.",
    "reason",
)
QUEUE_HOLD: Final = _gauge("mox_queue_hold", "Messages in the queue that are on hold.")
QUEUE_CONNECTIONS: Final = _counter(
    "mox_queue_connection_total",
    "Connections to hosts for outgoing mail; those that are used again count once. result: ok,"
    " timeout, canceled, error.",
    "result",
)
QUEUE_DELIVERY_SECONDS: Final = _histogram(
    "mox_queue_delivery_duration_seconds",
    "Time of a try at one host, with connecting. attempt: its number, 10 for later ones too."
    " transport: as configured, (direct) without one. tlsmode: immediate, requiredstarttls,"
    " opportunistic, skip, with +mtasts and +dane where these prove the host. result: ok, okpartial"
    " (some recipients), timeout, canceled, temperror, permerror, error.",
    _SECONDS_L,
    "attempt",
    "transport",
    "tlsmode",
    "result",
)
QUEUE_DESTINATIONS: Final = _counter(
    "mox_queue_destinations_total", "Hosts of recipients' domains turned to."
)
QUEUE_DESTINATIONS_AUTHENTIC: Final = _counter(
    "mox_queue_destinations_authentic_total", "Of them, those whose names DNSSEC vouched for."
)
QUEUE_DANE_REQUIRED: Final = _counter(
    "mox_queue_destination_dane_required_total", "Hosts with TLSA records, which make TLS a must."
)
QUEUE_DANE_UNVERIFIED: Final = _counter(
    "mox_queue_destination_dane_starttlsunverified_total",
    "Hosts none of whose TLSA records can be used: TLS is a must, who answers is not proven.",
)
QUEUE_DANE_ERRORS: Final = _counter(
    "mox_queue_destination_dane_gathertlsa_errors_total",
    "Hosts whose TLSA records could not be looked up.",
)
QUEUE_TLSREQUIREDNO_IGNORED: Final = _counter(
    "mox_queue_tlsrequiredno_ignored_total",
    "What mail with TLS-Required: No passed over. ignored: mtastspolicy (it could not be had),"
    " mtastsmx (it does not name the host), badtls (TLS failed), badtlsa (the look-up failed).",
    "ignored",
)
QUEUE_REQUIRETLS_UNSUPPORTED: Final = _counter(
    "mox_queue_requiretls_unsupported_total",
    "Hosts that mail with REQUIRETLS did not go to. reason: nopolicy (nothing proves the host),"
    " norequiretls (it lacks the extension).",
    "reason",
)
QUEUE_PLAINTEXT_FALLBACKS: Final = _counter(
    "mox_queue_plaintext_fallback_total", "Tries in clear at a host where TLS failed."
)
QUEUE_DMARC_REPORT_FAILURES: Final = _counter(
    "mox_queue_dmarcreport_failure_total",
    "DMARC reports of ours that the queue gave up, by recipient.",
)
SMTPCLIENT_COMMAND_SECONDS: Final = _histogram(
    "mox_smtpclient_command_duration_seconds",
    "Time from the last bytes of an SMTP command of ours, enddata for the end of a message, to the"
    " reply, with its code and enhanced code. Of combinations beyond the first 500 these are, for"
    " example, 4xx and (other).",
    _SECONDS_L,
    "cmd",
    "code",
    "secode",
)
IMAP_CONNECTIONS: Final = _counter(
    "mox_imap_connection_total", "IMAP connections. service: imap, imaps.", "service"
)
IMAP_COMMAND_SECONDS: Final = _histogram(
    "mox_imap_command_duration_seconds",
    "Time from an IMAP command to its tagged reply. result: ok, panic, ioerror, badsyntax,"
    " servererror, usererror, error.",
    _SECONDS_S,
    "cmd",
    "result",
)
DMARC_EVALUATED: Final = _counter(
    "mox_dmarcdb_policy_evaluated_total",
    "Messages in DMARC reports received, by the policy domain they are about. disposition: none,"
    " quarantine, reject, other. dkim and spf, aligned: pass, fail, other.",
    "domain",
    "disposition",
    "dkim",
    "spf",
)
DMARC_DKIM_RESULTS: Final = _counter(
    "mox_dmarcdb_dkim_result_total",
    "DKIM results in DMARC reports received, weighted by messages. result: none, pass, fail, policy,"
    " neutral, temperror, permerror, other.",
    "result",
)
DMARC_SPF_RESULTS: Final = _counter(
    "mox_dmarcdb_spf_result_total",
    "SPF results in DMARC reports received, weighted by messages. result: none, neutral, pass, fail,"
    " softfail, temperror, permerror, other.",
    "result",
)
TLSRPT_LOOKUP_SECONDS: Final = _histogram(
    "mox_tlsrpt_lookup_duration_seconds",
    "Time to find out who wants TLS reports. result: ok, notfound, malformed, temporary.",
    _SECONDS_S,
    "result",
)
TLS_SESSIONS: Final = _counter(
    "mox_tlsrptdb_session_total",
    "Sessions in TLS reports received. type: success, a result type of RFC 8460, other.",
    "type",
)
LEARNING_LAG: Final = _gauge(
    "mox_store_learning_lag_changes",
    "Change sets of open accounts that the junk filters and reputations have not learnt yet.",
)
DMARC_REPORTS_QUEUED: Final = _counter(
    "mox_dmarcdb_report_queued_total",
    "DMARC reports of ours put into the queue, and messages that one is too large, by recipient.",
)
DMARC_REPORT_ERRORS: Final = _counter(
    "mox_dmarcdb_report_error_total", "DMARC reports of ours that the queue did not take."
)
TLS_REPORTS_QUEUED: Final = _counter(
    "mox_tlsrptsend_report_queued_total", "TLS reports of ours put into the queue, by recipient."
)
TLS_REPORT_ERRORS: Final = _counter(
    "mox_tlsrptsend_report_error_total", "TLS reports of ours that the queue did not take."
)
LOG_LINES: Final = {
    level: _counter(f"mox_logging_level_{level}_total", f"Log lines written at level {level}.")
    for level in ("info", "warn", "error")
}
_SPEEDUPS_TEXT: Final = "Which implementation of the hot paths runs: cython, python."
_describe("mox_speedups_info", "info", _SPEEDUPS_TEXT, ("implementation",))
SPEEDUPS: Final = Info("mox_speedups", _SPEEDUPS_TEXT, registry=REGISTRY)

ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)
GCCollector(registry=REGISTRY)

# An alert on "any panic" needs the series to exist before the first one.
for _area in AREAS:
    PANICS.labels(_area)


def unhandled(area: str) -> None:
    """Count an exception that reached the top of a command, a task or a worker.

    Errors  KeyError for an area that is not in ``AREAS``.
    """
    if area not in AREAS:
        raise KeyError(area)
    PANICS.labels(area).inc()


def unhandled_total() -> int:
    """Unhandled errors of all areas since the start; tests want it to stay the same."""
    samples = (sample for metric in PANICS.collect() for sample in metric.samples)
    return int(sum(sample.value for sample in samples if sample.name == "mox_panic_total"))


def log_line(level: str) -> None:
    """Count a log line.    Levels that nobody counts are passed over."""
    counter = LOG_LINES.get(level)
    if counter is not None:
        counter.inc()


def set_speedups(implementation: str) -> None:
    """State which hot paths run: ``cython`` or ``python``."""
    SPEEDUPS.info({"implementation": implementation})


def exposition() -> bytes:
    """All metrics in the Prometheus text format.    Reads /proc; takes about a millisecond."""
    return generate_latest(REGISTRY)
