"""Checks of a domain.    spec/config.md section 7."""

import re

from mox.base.limits import MTASTS_AGE_MAX_S
from mox.config.checkoutgoing import check_routes
from mox.config.checktext import say, say_distinct, say_localpart
from mox.config.domains import MTASTS, Domain, DomainsConfig, ReportAddress
from mox.config.names import domain_problem, mailbox_problem
from mox.config.shape import Flaws
from mox.config.signing import DKIM
from mox.config.toml import Path

_POLICY_ID = re.compile(r"[A-Za-z0-9]{1,32}")  # RFC 8461 §3.1
_FIELD_NAME = re.compile(r"[\x21-\x39\x3b-\x7e]+")  # RFC 5322 §3.6.8


def check_domain(name: str, domain: Domain, domains: DomainsConfig, flaws: Flaws) -> None:
    """One domain, but for its aliases."""
    path: Path = ("domains", name)
    say(flaws, path, domain_problem(name))
    if domain.client_settings_domain:
        where = (*path, "client_settings_domain")
        say(flaws, where, domain_problem(domain.client_settings_domain))
    _check_separators(domain, path, flaws)
    _check_dkim(domain.dkim, (*path, "dkim"), flaws)
    for key, report in (("dmarc", domain.dmarc), ("tlsrpt", domain.tlsrpt)):
        if report is not None:
            _check_report(report, domains, (*path, key), flaws)
    if domain.mtasts is not None:
        _check_mtasts(domain.mtasts, (*path, "mtasts"), flaws)
    check_routes(domain.routes, (*path, "routes"), flaws)


def _check_separators(domain: Domain, path: Path, flaws: Flaws) -> None:
    several = domain.localpart_catchall_separators
    where = (*path, "localpart_catchall_separators")
    if several and domain.localpart_catchall_separator:
        text = "give either localpart_catchall_separator or localpart_catchall_separators"
        flaws.append((where, text))
    if len(set(several)) != len(several):
        flaws.append((where, "a separator is named twice"))
    if any(not separator for separator in several):
        flaws.append((where, "a separator is empty"))
    if any("@" in separator for separator in domain.separators):
        flaws.append((path, "a separator has an @"))


def _check_dkim(dkim: DKIM, path: Path, flaws: Flaws) -> None:
    for name, selector in dkim.selectors.items():
        where = (*path, "selectors", name)
        say(flaws, where, domain_problem(name))
        if not selector.private_key_file:
            flaws.append(((*where, "private_key_file"), "must not be empty"))
        # RFC 6376 §5.4: From is always signed.
        if "from" not in map(str.lower, selector.signed):
            flaws.append(((*where, "headers"), "From must be one of them"))
        for number, field in enumerate(selector.headers):
            if not _FIELD_NAME.fullmatch(field):
                flaws.append(((*where, "headers", number), f"{field!r} is not a field name"))
    for number, name in enumerate(dkim.sign):
        if name not in dkim.selectors:
            flaws.append(((*path, "sign", number), f"there is no selector {name!r}"))
    say_distinct(flaws, (*path, "sign"), dkim.sign)


def _check_report(report: ReportAddress, domains: DomainsConfig, path: Path, flaws: Flaws) -> None:
    say_localpart(flaws, (*path, "localpart"), report.localpart)
    if report.domain and report.domain not in domains.domains:
        flaws.append(((*path, "domain"), f"there is no domain {report.domain!r}"))
    if report.account not in domains.accounts:
        flaws.append(((*path, "account"), f"there is no account {report.account!r}"))
    say(flaws, (*path, "mailbox"), mailbox_problem(report.mailbox))


def _check_mtasts(policy: MTASTS, path: Path, flaws: Flaws) -> None:
    if not _POLICY_ID.fullmatch(policy.policy_id):
        text = "must be 1 to 32 letters and digits (RFC 8461 section 3.1)"
        flaws.append(((*path, "policy_id"), text))
    if not 0 < policy.max_age.seconds <= MTASTS_AGE_MAX_S:
        flaws.append(((*path, "max_age"), f"must be at most {MTASTS_AGE_MAX_S} seconds, and not 0"))
    for number, name in enumerate(policy.mx):
        # RFC 8461 §4.1: a wildcard stands for one label.
        say(flaws, (*path, "mx", number), domain_problem(name.removeprefix("*.")))
