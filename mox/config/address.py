"""The canonical form of a local part.    spec/config.md section 7."""

from collections.abc import Collection

from mox.config.domains import Domain, DomainsConfig, ReportAddress

POSTMASTER = "postmaster"


def canonical_localpart(domain: Domain, localpart: str, reports: Collection[str] = ()) -> str:
    """The local part under which an address of the domain is looked up.

    Input   localpart: without quotes, as the peer wrote it.
            reports: canonical local parts of the domain that receive reports; they may have a
            separator in them.
    Output  lower case unless the domain says otherwise, cut at each separator in turn; a local part
            that begins with a separator keeps nothing and becomes the empty one.
    """
    cased = localpart if domain.localpart_case_sensitive else localpart.lower()
    for report in reports:
        if cased == report or cased.startswith(tuple(report + one for one in domain.separators)):
            return report
    for separator in domain.separators:
        cased = cased.partition(separator)[0]
    # RFC 5321 §4.5.1: in any case.
    return POSTMASTER if cased.lower() == POSTMASTER else cased


def report_localpart(domain: Domain, report: ReportAddress) -> str:
    """The canonical local part of a report address in a domain: not cut at separators."""
    return report.localpart if domain.localpart_case_sensitive else report.localpart.lower()


def report_localparts(domains: DomainsConfig) -> dict[str, tuple[str, ...]]:
    """For each domain, the canonical local parts that receive reports; the longest goes first."""
    found: dict[str, set[str]] = {name: set() for name in domains.domains}
    for name, domain in domains.domains.items():
        for report in (domain.dmarc, domain.tlsrpt):
            home = (report.domain or name) if report else ""
            if report and home in found:
                found[home].add(report_localpart(domains.domains[home], report))
    return {
        name: tuple(sorted(localparts, key=len, reverse=True)) for name, localparts in found.items()
    }
