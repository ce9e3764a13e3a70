"""Checks of listeners.    spec/config.md section 4."""

from mox.base.limits import FIRST_TIME_DELAY
from mox.config.checktext import is_loopback, say, say_domains, say_ip
from mox.config.names import domain_problem
from mox.config.shape import Flaws
from mox.config.static import Listener, SMTPService, StaticConfig
from mox.config.toml import Path, format_path

_SERVICES = ("smtp", "lmtp", "submission", "submissions", "imap", "imaps", "metrics_http")


def check_listener(listener: Listener, path: Path, flaws: Flaws) -> None:
    """One listener alone."""
    if not listener.ips:
        flaws.append(((*path, "ips"), "at least one address is needed"))
    for number, text in enumerate(listener.ips):
        say_ip(flaws, (*path, "ips", number), text)
    if listener.hostname:
        say(flaws, (*path, "hostname"), domain_problem(listener.hostname))
    _check_smtp(listener.smtp, (*path, "smtp"), flaws)
    _check_lmtp(listener, (*path, "lmtp"), flaws)
    if listener.tls is None:
        needing = _services_with_tls(listener)
        if needing:
            flaws.append((path, f"a tls table is needed for {', '.join(needing)}"))
    elif not listener.tls.key_certs:
        flaws.append(((*path, "tls", "key_certs"), "at least one certificate is needed"))


def _check_smtp(smtp: SMTPService, path: Path, flaws: Flaws) -> None:
    if smtp.no_starttls and smtp.require_starttls:
        flaws.append((path, "no_starttls and require_starttls exclude each other"))
    say_domains(flaws, (*path, "dnsbls"), smtp.dnsbls)
    if smtp.first_time_sender_delay.seconds > FIRST_TIME_DELAY:
        text = f"senders do not wait longer than {FIRST_TIME_DELAY} seconds"
        flaws.append(((*path, "first_time_sender_delay"), text))


def _check_lmtp(listener: Listener, path: Path, flaws: Flaws) -> None:
    """Whoever can connect can deliver: nobody on another machine can."""
    lmtp = listener.lmtp
    if lmtp.users and not lmtp.socket:
        flaws.append(((*path, "users"), "who connects is only known of a socket"))
    if lmtp.enabled and not lmtp.socket and not all(map(is_loopback, listener.ips)):
        flaws.append((path, "a socket is needed, or a listener with loopback addresses only"))


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


def check_ports(static: StaticConfig, flaws: Flaws) -> None:
    """Two services cannot have one address and port: told here and not by the kernel."""
    taken: dict[tuple[str, int], Path] = {}
    for name, listener in static.listeners.items():
        for service in _SERVICES:
            section = getattr(listener, service)
            path: Path = ("listeners", name, service)
            on_port = section.enabled and not (service == "lmtp" and listener.lmtp.socket)
            for ip in listener.ips if on_port else ():
                other = taken.setdefault((ip, section.port), path)
                if other is not path:
                    text = f"port {section.port} on {ip} is already that of {format_path(other)}"
                    flaws.append((path, text))
