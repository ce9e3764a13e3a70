"""Metrics of what was found out and decided about incoming mail.    spec/mail-auth.md section 12."""

from mox.base import metrics
from mox.mailauth import dnsbl, iprev, spf
from mox.mailauth.dkim import verify as dkim
from mox.mailauth.dmarc import evaluate as dmarc

_ALGORITHMS = frozenset({"rsa-sha256", "rsa-sha1", "ed25519-sha256"})


def answered(facts: object, seconds: float) -> None:
    """A check has its result; those that are judged later are counted then."""
    match facts:
        case iprev.Result():
            metrics.IPREV_LOOKUPS.labels(facts.status.value).inc()
        case dnsbl.Result():
            metrics.DNSBL_SECONDS.labels(facts.zone, facts.status.value).observe(seconds)
        case spf.Result():
            metrics.SPF_SECONDS.labels(facts.status.value).observe(seconds)


def signature(result: dkim.Result, seconds: float) -> None:
    """A DKIM signature was judged."""
    algorithm = "" if result.signature is None else result.signature.algorithm
    known = algorithm if algorithm in _ALGORITHMS else "unknown"
    metrics.DKIM_SECONDS.labels(known, result.status.value).observe(seconds)


def policy(evaluation: dmarc.Evaluation, seconds: float) -> None:
    """DMARC was evaluated."""
    metrics.DMARC_SECONDS.labels(
        evaluation.status.value,
        "yes" if evaluation.rejects else "no",
        "yes" if evaluation.is_sampled else "no",
    ).observe(seconds)
