"""What was found out about a message's origin, as header fields.    RFC 8601, RFC 7208 §9.1."""

from mox.inbound.evidence import Origin
from mox.inbound.trace import Arrival, written
from mox.mailauth.arc import verify as arc
from mox.mailauth.dkim import report
from mox.mailauth.dmarc import evaluate as dmarc
from mox.mailauth.spf import Identity, format_received_spf
from mox.message.authresults import AuthResults, Method, Property, format_field
from mox.smtp.address import Address

_NO_CHAIN = Method(method="arc", result=arc.Status.NONE.value)


def authentication_results(
    origin: Origin, arrival: Arrival, mail_from: Address, *, override: str = ""
) -> bytes:
    """The Authentication-Results field.

    Input   override: why the policy of the author's domain was not followed.
    """
    methods = [_iprev(origin), *report.methods(origin.dkim.facts), _spf(origin, arrival, mail_from)]
    if origin.dmarc is not None:
        methods.append(dmarc.method(origin.dmarc.facts, override=override))
    methods.append(_arc(origin))
    return format_field(AuthResults(host=arrival.hostname, methods=tuple(methods)))


def received_spf(origin: Origin, arrival: Arrival) -> bytes:
    """The Received-SPF field."""
    return format_received_spf(origin.spf.facts, receiver=arrival.hostname)


def _iprev(origin: Origin) -> Method:
    # RFC 8601 §2.7.3
    found = origin.iprev.facts
    return Method(
        method="iprev",
        result=found.status,
        comment=_dnssec(found.authentic),
        reason=found.problem,
        properties=(Property(type="policy", name="iprev", value=str(found.ip)),),
    )


def _spf(origin: Origin, arrival: Arrival, mail_from: Address) -> Method:
    # RFC 8601 §2.7.2
    found = origin.spf.facts
    if found.identity is Identity.MAILFROM:
        checked = Property(
            type="smtp", name="mailfrom", value=written(mail_from, arrival), is_address=True
        )
    else:
        checked = Property(type="smtp", name="helo", value=found.domain)
    return Method(
        method="spf",
        result=found.status,
        comment=_dnssec(found.authentic),
        reason=found.problem,
        properties=(checked,),
    )


def _arc(origin: Origin) -> Method:
    # RFC 8617 §6; §10.2 for smtp.remote-ip: who sent it, for hands after ours
    result = origin.arc.facts.result
    if result.status is arc.Status.NONE:
        return _NO_CHAIN
    return arc.method(result, remote_ip=str(origin.iprev.facts.ip))


def _dnssec(authentic: bool) -> str:
    return "with dnssec" if authentic else "without dnssec"
