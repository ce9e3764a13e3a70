"""Checks of addresses: each is one account's, one alias's, or for reports.

Source  spec/config.md sections 7 and 8.
"""

from mox.config.address import canonical_localpart, report_localpart, report_localparts
from mox.config.checktext import say
from mox.config.domains import DomainsConfig, ReportAddress
from mox.config.names import Address, domain_problem, parse_address
from mox.config.shape import Flaws
from mox.config.toml import Path, format_path

_Key = tuple[str | None, str]


class _Addresses:
    """What is taken, and by whom."""

    __slots__ = ("domains", "flaws", "reports", "taken")

    def __init__(self, domains: DomainsConfig, flaws: Flaws) -> None:
        self.domains = domains
        self.flaws = flaws
        self.reports = report_localparts(domains)
        self.taken: dict[_Key, Path] = {}

    def take(self, text: str, path: Path) -> None:
        """An address of an account, or that of an alias."""
        address = parse_address(text)
        if address is None:
            self.flaws.append((path, "not an address; write you@example.org or @example.org"))
            return
        key = self.key(address)
        if key is None:
            self.flaws.append((path, f"there is no domain {address.domain!r}"))
            return
        say(self.flaws, path, domain_problem(text.rpartition("@")[2]))
        localpart = address.localpart
        if localpart is not None and key[0] not in self.reports[address.domain]:
            separators = self.domains.domains[address.domain].separators
            separator = next((one for one in separators if one in localpart), None)
            if separator is not None:
                self.flaws.append((path, f"the local part has the separator {separator!r}"))
                return
        self._own(key, path)

    def take_report(self, report: ReportAddress, home: str, path: Path) -> None:
        """The address for reports."""
        domain = self.domains.domains.get(home)
        if domain is not None:
            self._own((report_localpart(domain, report), home), path)

    def key(self, address: Address) -> _Key | None:
        """Under which it is looked up; None when the domain is not ours."""
        domain = self.domains.domains.get(address.domain)
        if domain is None or address.localpart is None:
            return None if domain is None else (None, address.domain)
        reports = self.reports[address.domain]
        return canonical_localpart(domain, address.localpart, reports), address.domain

    def _own(self, key: _Key, path: Path) -> None:
        other = self.taken.setdefault(key, path)
        if other is not path:
            self.flaws.append((path, f"the same address as {format_path(other)}"))


def check_addresses(domains: DomainsConfig, flaws: Flaws) -> None:
    """All addresses of the file."""
    addresses = _Addresses(domains, flaws)
    _check_reports(addresses)
    for name, account in domains.accounts.items():
        for text in account.destinations:
            addresses.take(text, ("accounts", name, "destinations", text))
    members = dict(addresses.taken)
    for name, domain in domains.domains.items():
        for localpart, alias in domain.aliases.items():
            path: Path = ("domains", name, "aliases", localpart)
            address = f"{localpart}@{name}"
            if localpart and parse_address(address) is not None:
                addresses.take(address, path)
            else:
                flaws.append((path, "not the local part of an address"))
            _check_members(addresses, alias.addresses, members, (*path, "addresses"))
    for name, account in domains.accounts.items():
        path = ("accounts", name, "from_id_login_addresses")
        for number, text in enumerate(account.from_id_login_addresses):
            say(flaws, (*path, number), _from_id_problem(addresses, name, text))


def _check_reports(addresses: _Addresses) -> None:
    """Reports of several kinds and domains may go to one address, if all say the same of it."""
    seen: dict[tuple[str, str], tuple[Path, ReportAddress]] = {}
    for name, domain in addresses.domains.domains.items():
        for key, report in (("dmarc", domain.dmarc), ("tlsrpt", domain.tlsrpt)):
            if report is None:
                continue
            home, path = report.domain or name, ("domains", name, key)
            place = (report.localpart.lower(), home)
            if place not in seen:
                seen[place] = (path, report)
                addresses.take_report(report, home, path)
                continue
            other_path, other = seen[place]
            if (other.account, other.mailbox) != (report.account, report.mailbox):
                text = f"the same address as {format_path(other_path)}, but for another mailbox"
                addresses.flaws.append((path, text))


def _check_members(
    addresses: _Addresses, texts: tuple[str, ...], members: dict[_Key, Path], path: Path
) -> None:
    if not texts:
        addresses.flaws.append((path, "at least one address is needed"))
    seen: set[_Key] = set()
    for number, text in enumerate(texts):
        address = parse_address(text)
        key = addresses.key(address) if address else None
        if key is None or key[0] is None or key not in members:
            addresses.flaws.append(((*path, number), f"{text!r} is not an address of an account"))
        elif key in seen:
            addresses.flaws.append(((*path, number), f"{text!r} is named twice"))
        else:
            seen.add(key)


def _from_id_problem(addresses: _Addresses, account: str, text: str) -> str | None:
    address = parse_address(text)
    key = addresses.key(address) if address else None
    if address is None or key is None or key[0] is None:
        return f"{text!r} is not an address of one of our domains"
    owner = addresses.taken.get(key) or addresses.taken.get((None, key[1]))
    if owner is None or owner[:2] != ("accounts", account):
        return f"{text!r} is not an address of the account"
    if not addresses.domains.domains[key[1]].separators:
        return f"domain {key[1]!r} needs a localpart_catchall_separator"
    return None
