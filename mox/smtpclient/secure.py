"""STARTTLS under a plan, and the verdict on the server's certificates.    RFC 3207, 7672, 8461."""

import ssl
from typing import Final

import msgspec
from cryptography import x509

from mox.sasl.binding import end_point_binding
from mox.smtpclient.dialogue import Dialogue
from mox.smtpclient.errors import TlsUnavailable
from mox.smtpclient.link import TlsState
from mox.tlspolicy import dane
from mox.tlspolicy.choose import Demand, Plan
from mox.tlspolicy.pkix import Authorities, Verdict

NO_STARTTLS: Final = "starttls-not-supported"
VALIDATION_FAILURE: Final = "validation-failure"
DANE_MISMATCH: Final = "dane-no-match"  # failure-reason-code


class Secured(msgspec.Struct, frozen=True, kw_only=True):
    """The TLS of a connection, and what was found out about the server.

    Both verdicts are there whatever the plan enforced: TLS reports tell of what would have failed.
    """

    state: TlsState
    pkix: Verdict
    dane: dane.Result | None  # None where the plan has no records


def make_context() -> ssl.SSLContext:
    """For all connections: certificates are judged afterwards, by ``secure``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    return context


async def secure(
    dialogue: Dialogue,
    plan: Plan,
    context: ssl.SSLContext,
    authorities: Authorities,
    *,
    now_s: float,
) -> Secured | None:
    """Bring the connection to TLS as the plan demands, and judge the server; None where it is in clear.

    Whoever sends calls ``enforce`` with the result first.
    Errors  TlsUnavailable: no TLS where it is demanded; nothing has been sent.  DeliveryError.
    """
    state = dialogue.connection.tls
    if state is None:
        if plan.demand is Demand.NONE:
            return None
        if not dialogue.extensions.has("STARTTLS"):
            if plan.demand is not Demand.REQUIRED:
                return None
            # RFC 7672 §2.2, RFC 8461 §4.2: a server, or somebody between, that leaves it out.
            raise TlsUnavailable("the server does not offer STARTTLS", result_type=NO_STARTTLS)
        state = await dialogue.start_tls(context, plan.server_name)
    return Secured(
        state=state,
        pkix=authorities.verify(state.chain, plan.server_name, now_s=now_s),
        dane=dane.verify(plan.records, state.chain, plan.names, now_s=now_s)
        if plan.records
        else None,
    )


def enforce(plan: Plan, secured: Secured | None) -> None:
    """Is the server who the plan wants it to be?    Errors: TlsUnavailable."""
    if secured is None or plan.ignores_problems:
        return
    found = secured.dane
    if found is not None and found.status is dane.Status.MISMATCH:
        raise TlsUnavailable(
            f"DANE: {'; '.join(found.problems[:5])}",
            result_type=VALIDATION_FAILURE,
            reason=DANE_MISMATCH,
        )
    if plan.verify_pkix and secured.pkix.problem is not None:
        raise TlsUnavailable(
            f"certificate: {secured.pkix.text}", result_type=secured.pkix.problem.value
        )


def binding_of(state: TlsState | None) -> bytes | None:
    """Channel binding ``tls-server-end-point`` of a connection, None where there is none."""
    if state is None or not state.chain:
        return None
    try:
        return end_point_binding(x509.load_der_x509_certificate(state.chain[0]))
    except ValueError:
        return None  # then only mechanisms without binding are left
