"""DMARC aggregate reports as structs.    RFC 7489 §7.2, Appendix C.

Values are kept as they were written, also those that RFC 7489 does not know; times are seconds since
1970, UTC.  ``feedbackxml`` reads and writes them.
"""

import msgspec


class Reason(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Why the policy was not applied: forwarded, sampled_out, mailing_list, ..."""

    type: str
    comment: str = ""


class DkimAuth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What DKIM found for one signature."""

    domain: str
    selector: str = ""
    result: str
    human_result: str = ""


class SpfAuth(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What SPF found for one identity."""

    domain: str
    scope: str = ""  # "helo" or "mfrom"
    result: str


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that came from one address and fared alike."""

    source_ip: str
    count: int
    disposition: str = ""  # what was done: "none", "quarantine", "reject"
    dkim: str = ""  # "pass" or "fail": aligned and passed
    spf: str = ""
    reasons: tuple[Reason, ...] = ()
    envelope_to: str = ""
    envelope_from: str = ""
    header_from: str = ""
    dkim_results: tuple[DkimAuth, ...] = ()
    spf_results: tuple[SpfAuth, ...] = ()


class PolicyPublished(msgspec.Struct, frozen=True, kw_only=True):
    """The policy as the reporter found it."""

    domain: str  # as written; where the record was found
    adkim: str = ""
    aspf: str = ""
    p: str = ""
    sp: str = ""
    pct: int | None = None
    fo: str = ""


class Feedback(msgspec.Struct, frozen=True, kw_only=True):
    """A whole report."""

    version: str = ""
    org_name: str = ""
    email: str = ""
    extra_contact_info: str = ""
    report_id: str
    begin_s: int  # seconds since 1970, UTC
    end_s: int
    errors: tuple[str, ...] = ()
    policy: PolicyPublished
    records: tuple[Record, ...] = ()
