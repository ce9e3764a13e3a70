"""EHLO keywords, written and read.    RFC 5321 §4.1.1.1."""

import re

import msgspec

from mox.base.errors import Malformed
from mox.smtp.reply import Reply

# RFC 5321 §4.1.1.1: ehlo-keyword and ehlo-param; "AUTH=" is an old form still seen.
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")


class Keyword(msgspec.Struct, frozen=True):
    """A service extension: its name in upper case and its parameters."""

    name: str
    params: tuple[str, ...] = ()


def format_ehlo(hostname: str, keywords: list[Keyword]) -> Reply:
    """The reply to EHLO: our name, then one keyword a line."""
    lines = [hostname, *(" ".join((keyword.name, *keyword.params)) for keyword in keywords)]
    return Reply(code=250, lines=tuple(lines))


def parse_ehlo(reply: Reply) -> tuple[str, dict[str, tuple[str, ...]]]:
    """The server's name and its keywords (upper case) with parameters; odd lines are skipped.

    Errors  Malformed: not a 250.
    """
    if reply.code != 250:
        raise Malformed("not a positive reply to EHLO")
    hostname = reply.lines[0].split(" ")[0]
    keywords: dict[str, tuple[str, ...]] = {}
    for line in reply.lines[1:]:
        name, *params = line.split()[:100] or [""]
        if _KEYWORD.fullmatch(name):
            keywords[name.upper()] = tuple(params)
    return hostname, keywords
