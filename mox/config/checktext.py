"""Checks of single texts, each told with its path."""

import re
from collections.abc import Callable, Sequence
from ipaddress import ip_address

from mox.base.limits import CONFIG_TEXT
from mox.base.regexp import Regexp
from mox.config.names import Address, domain_problem, mailbox_problem, parse_address
from mox.config.shape import Flaws
from mox.config.toml import Path

_PRINTABLE = re.compile(r"[\x20-\x7e]*")


def say(flaws: Flaws, path: Path, problem: str | None) -> None:
    """Note a problem, if there is one."""
    if problem:
        flaws.append((path, problem))


def say_printable(flaws: Flaws, path: Path, text: str) -> None:
    """A text that is sent to clients and servers."""
    if len(text) > CONFIG_TEXT or not _PRINTABLE.fullmatch(text):
        flaws.append((path, f"must be printable ASCII of at most {CONFIG_TEXT} characters"))


def say_regexp(flaws: Flaws, path: Path, text: str) -> None:
    """A regular expression."""
    try:
        Regexp(text)
    except ValueError as error:
        flaws.append((path, str(error)))


def say_mailbox(flaws: Flaws, path: Path, name: str) -> None:
    """A mailbox that is not Inbox."""
    say(flaws, path, mailbox_problem(name))
    if name.lower() == "inbox":
        flaws.append((path, "must not be Inbox"))


def say_localpart(flaws: Flaws, path: Path, localpart: str) -> None:
    """A local part of ASCII, without quotes."""
    address = parse_address(str(Address(localpart=localpart, domain="example.org")))
    if address is None or not localpart.isascii() or not localpart:
        flaws.append((path, f"{localpart!r} is not a local part of ASCII"))


def say_domains(flaws: Flaws, path: Path, names: Sequence[str]) -> None:
    """Domains, each named once."""
    for number, name in enumerate(names):
        say(flaws, (*path, number), domain_problem(name))
    say_distinct(flaws, path, names)


def say_distinct(
    flaws: Flaws, path: Path, texts: Sequence[str], key: Callable[[str], str] = str.lower
) -> None:
    """Each text stands there once."""
    seen: set[str] = set()
    for number, text in enumerate(texts):
        if key(text) in seen:
            flaws.append(((*path, number), f"{text!r} is named twice"))
        seen.add(key(text))


def say_ip(flaws: Flaws, path: Path, text: str) -> None:
    """An IP address."""
    if not _is_ip(text):
        flaws.append((path, f"{text!r} is not an IP address"))


def say_resolver(flaws: Flaws, path: Path, text: str) -> None:
    """An IP address, with a port or without."""
    host, port = split_port(text)
    if not _is_ip(host) or not _is_port(port):
        text = f"{text!r} is not an IP address, or not one with a port such as [2001:db8::1]:53"
        flaws.append((path, text))


def say_host_port(flaws: Flaws, path: Path, text: str) -> None:
    """A name or an IP address, and a port."""
    host, port = split_port(text)
    if not is_host(host) or not port or not _is_port(port):
        flaws.append((path, f"{text!r} is not a host and a port such as 127.0.0.1:1080"))


def split_port(text: str) -> tuple[str, str]:
    """Host, without brackets, and port; the port is empty where there is none."""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        if not port:
            return host, "" if bracket else "?"
        # What does not begin with a colon is no port and is told as such.
        return host, (port[1:] or "?") if port.startswith(":") else "?"
    if text.count(":") > 1:
        return text, ""
    host, colon, port = text.partition(":")
    return host, port or colon and "?"


def is_host(text: str) -> bool:
    """A domain name in the form of a file, or an IP address."""
    return _is_ip(text) or domain_problem(text) is None


def is_loopback(text: str) -> bool:
    """An IP address of this machine that no other reaches."""
    return _is_ip(text) and ip_address(text).is_loopback


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _is_port(text: str) -> bool:
    number = text.isascii() and text.isdigit() and len(text) <= 5
    return not text or (number and 1 <= int(text) <= 65535)
