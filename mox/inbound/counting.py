"""Metrics of what was found out and decided about incoming mail.    spec/mail-auth.md section 12."""

from mox.base import metrics
from mox.base.metrics import series
from mox.mailauth import dnsbl, iprev, spf
from mox.mailauth.dkim import verify as dkim
from mox.mailauth.dmarc import evaluate as dmarc

_ALGORITHMS = frozenset({"rsa-sha256", "rsa-sha1", "ed25519-sha256"})


def answered(facts: object, seconds: float) -> None:
    """A check has its result; those that are judged later are counted then."""
    match facts:
        case iprev.Result():
            series(metrics.IPREV_LOOKUPS, facts.status).inc()
        case dnsbl.Result():
            series(metrics.DNSBL_SECONDS, facts.zone, facts.status).observe(seconds)
        case spf.Result():
            series(metrics.SPF_SECONDS, facts.status).observe(seconds)


def signature(result: dkim.Result, seconds: float) -> None:
    """A DKIM signature was judged."""
    algorithm = "" if result.signature is None else result.signature.algorithm
    known = algorithm if algorithm in _ALGORITHMS else "unknown"
    series(metrics.DKIM_SECONDS, known, result.status).observe(seconds)


def policy(evaluation: dmarc.Evaluation, seconds: float) -> None:
    """DMARC was evaluated."""
    series(
        metrics.DMARC_SECONDS,
        evaluation.status,
        "yes" if evaluation.rejects else "no",
        "yes" if evaluation.is_sampled else "no",
    ).observe(seconds)
