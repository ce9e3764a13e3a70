"""What TLS is asked of a host, and why.

Source  RFC 7672 §2.2, §5.1 (DANE), RFC 8461 §4.2, §5 (MTA-STS), RFC 8689 §4 (REQUIRETLS, and
        TLS-Required: No), RFC 7435 (opportunistic); spec/smtp-client-queue.md sections 4 and 5.
"""

from enum import StrEnum
from typing import Final

import msgspec

from mox.dns.base import Tlsa
from mox.tlspolicy import dane
from mox.tlspolicy.mtasts import Mode, Policy


class Demand(StrEnum):
    """How TLS comes about."""

    OPTIONAL = "opportunistic"  # where the server offers it
    REQUIRED = "required"  # STARTTLS, or nothing is sent
    IMMEDIATE = "immediate"  # from the first byte
    NONE = "none"


class DaneState(StrEnum):
    """What DNS says of a host's certificates."""

    NONE = "none"  # no records, or not authentic ones
    RECORDS = "records"  # at least one that can be used
    UNUSABLE = "unusable"  # records, none of which can be used: TLS, without authentication
    FAILED = "failed"  # the look-up failed where DNSSEC is in force


class DaneFinding(msgspec.Struct, frozen=True, kw_only=True):
    """The records of a host."""

    state: DaneState = DaneState.NONE
    records: tuple[Tlsa, ...] = ()
    names: tuple[str, ...] = ()  # any of them may be the server's; the first is told it (SNI)
    problem: str = ""


NO_DANE: Final = DaneFinding()


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of one host."""

    demand: Demand
    server_name: str  # told to the server, and what a certificate of the web must name
    verify_pkix: bool = False
    records: tuple[Tlsa, ...] = ()  # DANE: the certificate must fit one of them
    names: tuple[str, ...] = ()
    may_fall_back: bool = False  # to a second connection in clear, when TLS fails
    ignores_problems: bool = False  # TLS-Required: No
    refusal: str = ""  # why nothing may be sent to this host at all
    why: tuple[str, ...] = ()  # for people

    @property
    def verifies(self) -> bool:
        """Whether the server's identity is proven before anything is sent."""
        return self.verify_pkix or bool(self.records)


def choose(
    host: str,
    *,
    policy: Policy | None = None,
    found: DaneFinding = NO_DANE,
    require_tls: bool | None = None,
    may_fall_back: bool = True,
) -> Plan:
    """The plan for one mail host.

    Input   policy: MTA-STS of the recipient's domain.  require_tls: True for REQUIRETLS, False for
            TLS-Required: No.  may_fall_back: False for mail that is not to go out in clear.
    """
    ignores = require_tls is False
    name = found.names[0] if found.names else host
    why: list[str] = []
    refusal = ""
    enforced = policy is not None and policy.mode is Mode.ENFORCE
    if policy is not None:
        listed = policy.allows(host)
        why.append(f"MTA-STS {policy.mode}" + ("" if listed else f", which does not name {host}"))
        if enforced and not listed:
            refusal = f"the MTA-STS policy does not name {host}"
    match found.state:
        case DaneState.RECORDS:
            why.append(f"DANE, {len(dane.usable(found.records))} usable TLSA records")
        case DaneState.UNUSABLE:
            why.append("DANE, no usable TLSA record: TLS without authentication")
        case DaneState.FAILED:
            why.append("TLSA look-up failed")
            refusal = refusal or f"TLSA records cannot be looked up: {found.problem}"
    has_dane = found.state in (DaneState.RECORDS, DaneState.UNUSABLE)
    if ignores:
        why.append("TLS-Required: No")
        refusal = ""
    if require_tls:
        why.append("REQUIRETLS")
        if not (enforced or found.state is DaneState.RECORDS):
            # RFC 8689 §4.2.1: the server's identity must be proven by one of the two.
            refusal = refusal or "REQUIRETLS needs DANE or an enforced MTA-STS policy"
    required = enforced or has_dane or bool(require_tls)
    if not why:
        why.append("no policy: TLS where offered")
    return Plan(
        demand=Demand.REQUIRED if required and not ignores else Demand.OPTIONAL,
        server_name=name,
        verify_pkix=enforced and not ignores,
        records=found.records if found.state is DaneState.RECORDS and not ignores else (),
        names=found.names or (host,),
        may_fall_back=ignores or (may_fall_back and not required),
        ignores_problems=ignores,
        refusal=refusal,
        why=tuple(why),
    )
