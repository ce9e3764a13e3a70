"""What must fit together in a configuration.    Gathers everything that is wrong.

Source  the validation columns of spec/config.md sections 2, 4, 6, 7, 8.
Input   structs whose types and ranges are right.
Output  flaws: path and text.
"""

import re
from ipaddress import ip_address

from mox.base.limits import CONFIG_TEXT
from mox.config.address import canonical_localpart
from mox.config.domains import Account, Destination, Domain, DomainsConfig
from mox.config.names import domain_problem, mailbox_problem, parse_address
from mox.config.shape import Flaws
from mox.config.static import InitialMailboxes, Listener, StaticConfig
from mox.config.toml import Path, format_path

_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_CAPABILITY = re.compile(r"[A-Za-z0-9!#$&'+,./:;<=>?@^_`|~-]+")
_SERVICES = ("smtp", "submission", "submissions", "imap", "imaps", "metrics_http")


def check_static(static: StaticConfig) -> Flaws:
    """``mox.toml`` alone."""
    flaws: Flaws = []
    _say(flaws, ("hostname",), domain_problem(static.hostname))
    _say(flaws, ("postmaster", "mailbox"), mailbox_problem(static.postmaster.mailbox))
    if not static.data_dir:
        flaws.append((("data_dir",), "must not be empty"))
    if not static.user:
        flaws.append((("user",), "must not be empty"))
    _check_initial(static.initial_mailboxes, flaws)
    for name, listener in static.listeners.items():
        _check_listener(listener, ("listeners", name), flaws)
    if not static.listeners:
        flaws.append((("listeners",), "at least one listener is needed"))
    _check_ports(static, flaws)
    return flaws


def check_domains(domains: DomainsConfig) -> Flaws:
    """``domains.toml`` alone."""
    flaws: Flaws = []
    for name, domain in domains.domains.items():
        path: Path = ("domains", name)
        _say(flaws, path, domain_problem(name))
        _check_separators(domain, path, flaws)
    taken: dict[tuple[str | None, str], Path] = {}
    for name, account in domains.accounts.items():
        _check_account(name, account, domains, flaws)
        for text in account.destinations:
            path = ("accounts", name, "destinations", text)
            _check_address(text, domains, path, taken, flaws)
    return flaws


def check_together(static: StaticConfig, domains: DomainsConfig) -> Flaws:
    """Both files; the paths are those of ``mox.toml``."""
    account = static.postmaster.account
    if account in domains.accounts:
        return []
    return [(("postmaster", "account"), f"there is no account {account!r} in domains.toml")]


def _say(flaws: Flaws, path: Path, problem: str | None) -> None:
    if problem:
        flaws.append((path, problem))


def _check_initial(initial: InitialMailboxes, flaws: Flaws) -> None:
    special = initial.special_use
    named: list[tuple[Path, str]] = [
        (("initial_mailboxes", "special_use", role), name)
        for role in special.__struct_fields__
        if (name := getattr(special, role))
    ]
    named += [(("initial_mailboxes", "regular", n), name) for n, name in enumerate(initial.regular)]
    seen: set[str] = set()
    for path, name in named:
        _say(flaws, path, mailbox_problem(name))
        if name.lower() == "inbox":
            flaws.append((path, "Inbox is always made; leave it out"))
        elif "/" in name:
            flaws.append(
                (path, f"{name!r} would be a mailbox in another; these are not possible here")
            )
        elif name in seen:
            flaws.append((path, f"{name!r} is named twice"))
        seen.add(name)


def _check_listener(listener: Listener, path: Path, flaws: Flaws) -> None:
    if not listener.ips:
        flaws.append(((*path, "ips"), "at least one address is needed"))
    for number, text in enumerate(listener.ips):
        try:
            ip_address(text)
        except ValueError:
            flaws.append(((*path, "ips", number), f"{text!r} is not an IP address"))
    if listener.hostname:
        _say(flaws, (*path, "hostname"), domain_problem(listener.hostname))
    if listener.smtp.no_starttls and listener.smtp.require_starttls:
        flaws.append(((*path, "smtp"), "no_starttls and require_starttls exclude each other"))
    if listener.tls is None:
        needing = _services_with_tls(listener)
        if needing:
            flaws.append((path, f"a tls table is needed for {', '.join(needing)}"))
    elif not listener.tls.key_certs:
        flaws.append(((*path, "tls", "key_certs"), "at least one certificate is needed"))


def _services_with_tls(listener: Listener) -> list[str]:
    """Services that offer TLS and cannot without a certificate.    spec/config.md section 4."""
    wants = {
        "imaps": listener.imaps.enabled,
        "imap (or imap.no_require_starttls)": (
            listener.imap.enabled and not listener.imap.no_require_starttls
        ),
        "smtp (or smtp.no_starttls)": listener.smtp.enabled and not listener.smtp.no_starttls,
        "submissions": listener.submissions.enabled,
        "submission (or submission.no_require_starttls)": (
            listener.submission.enabled and not listener.submission.no_require_starttls
        ),
    }
    return [name for name, wanted in wants.items() if wanted]


def _check_ports(static: StaticConfig, flaws: Flaws) -> None:
    """Two services cannot have one address and port: told here and not by the kernel."""
    taken: dict[tuple[str, int], Path] = {}
    for name, listener in static.listeners.items():
        for service in _SERVICES:
            section = getattr(listener, service)
            path: Path = ("listeners", name, service)
            for ip in listener.ips if section.enabled else ():
                other = taken.setdefault((ip, section.port), path)
                if other is not path:
                    text = f"port {section.port} on {ip} is already that of {format_path(other)}"
                    flaws.append((path, text))


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


def _check_account(name: str, account: Account, domains: DomainsConfig, flaws: Flaws) -> None:
    path: Path = ("accounts", name)
    _say(flaws, path, account_name_problem(name))
    if account.domain not in domains.domains:
        text = domain_problem(account.domain) or f"there is no domain {account.domain!r}"
        flaws.append(((*path, "domain"), text))
    disabled = account.login_disabled
    if len(disabled) > CONFIG_TEXT or not _PRINTABLE.fullmatch(disabled):
        text = f"must be printable ASCII of at most {CONFIG_TEXT} characters"
        flaws.append(((*path, "login_disabled"), text))
    for number, capability in enumerate(account.imap_capabilities_disabled):
        if not _CAPABILITY.fullmatch(capability):
            where = (*path, "imap_capabilities_disabled", number)
            flaws.append((where, f"{capability!r} cannot be the name of a capability"))
    for text, destination in account.destinations.items():
        _check_destination(destination, (*path, "destinations", text), flaws)


def account_name_problem(name: str) -> str | None:
    """Why an account cannot have this name, or None."""
    if not 0 < len(name) <= CONFIG_TEXT:
        return f"the name of an account has 1 to {CONFIG_TEXT} characters"
    if not name.isprintable() or name != name.strip() or "/" in name or name in (".", ".."):
        return "the name of an account has no control characters, no / and no space around it"
    return None


def _check_destination(destination: Destination, path: Path, flaws: Flaws) -> None:
    if destination.mailbox:
        _say(flaws, (*path, "mailbox"), mailbox_problem(destination.mailbox))
    error = destination.smtp_error
    if not error:
        return
    where = (*path, "smtp_error")
    if error[:3] not in ("421", "550") or error[3:4] not in ("", " "):
        flaws.append((where, "must begin with 421 or 550, then a space and a text"))
    if len(error) > CONFIG_TEXT or not _PRINTABLE.fullmatch(error):
        flaws.append((where, f"must be printable ASCII of at most {CONFIG_TEXT} characters"))
    if destination.mailbox:
        flaws.append((where, "smtp_error and mailbox exclude each other"))


def _check_address(
    text: str,
    domains: DomainsConfig,
    path: Path,
    taken: dict[tuple[str | None, str], Path],
    flaws: Flaws,
) -> None:
    address = parse_address(text)
    if address is None:
        flaws.append((path, "not an address; write you@example.org or @example.org"))
        return
    domain = domains.domains.get(address.domain)
    if domain is None:
        flaws.append((path, f"there is no domain {address.domain!r}"))
        return
    _say(flaws, path, domain_problem(text.rpartition("@")[2]))
    localpart = address.localpart
    if localpart is not None:
        separator = next((one for one in domain.separators if one and one in localpart), None)
        if separator is not None:
            flaws.append((path, f"the local part has the separator {separator!r}"))
            return
        localpart = canonical_localpart(domain, localpart)
    other = taken.setdefault((localpart, address.domain), path)
    if other is not path:
        flaws.append((path, f"the same address as {format_path(other)}"))
