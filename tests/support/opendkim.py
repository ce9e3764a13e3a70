"""Debian's opendkim: as a milter, and its programs that judge or sign single messages."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from support import privatedns
from support.counterparts import program
from support.daemon import Daemon, answers_tcp, free_port
from support.ports import HOST

RESOLVER = """\
server:
    do-not-query-localhost: no
    do-ip6: no
forward-zone:
    name: "."
    forward-addr: {host}@{port}
"""
_RESULT = re.compile(r"dkim=([a-z]+)")
_ADDED = re.compile(r"### INSHEADER: idx=\d+ hname='([^']+)' hvalue='([^']*)'")


@dataclass(frozen=True)
class Key:
    """What signs."""

    domain: str
    selector: str
    file: Path
    algorithm: str = "rsa-sha256"


class _Settings:
    """A configuration file in a folder."""

    def __init__(self, folder: Path, lines: Mapping[str, str]) -> None:
        self.file = folder / "opendkim.conf"
        self.file.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))


def _signing(key: Key, canonicalisation: str, oversigned: Sequence[str]) -> dict[str, str]:
    lines = {
        "Domain": key.domain,
        "Selector": key.selector,
        "KeyFile": str(key.file),
        "SignatureAlgorithm": key.algorithm,
        "Canonicalization": canonicalisation,
        "RequireSafeKeys": "no",
    }
    if oversigned:
        lines["OversignHeaders"] = ",".join(oversigned)
    return lines


class Signer(Daemon):
    """A milter that signs whatever comes; Postfix is told ``milter``."""

    name = "opendkim"

    def __init__(self, key: Key, *, canonicalisation: str = "relaxed/simple") -> None:
        self.executable = program("opendkim")
        super().__init__()
        self.port = free_port()
        lines = {"Mode": "s", "Socket": f"inet:{self.port}@{HOST}", "Syslog": "no"}
        lines |= _signing(key, canonicalisation, ["From"])
        self.settings = _Settings(self.folder, lines)

    @property
    def milter(self) -> str:
        """Where it listens, as Postfix says it."""
        return f"inet:{HOST}:{self.port}"

    def arguments(self) -> list[str]:
        """The command."""
        return [self.executable, "-f", "-x", str(self.settings.file)]

    def is_ready(self) -> bool:
        """Whether it takes connections."""
        return answers_tcp(self.port)


def _run(lines: Mapping[str, str], message: bytes, folder: Path) -> str:
    with tempfile.TemporaryDirectory(dir=folder) as name:
        settings = _Settings(Path(name), lines)
        file = Path(name) / "message"
        file.write_bytes(message)
        return _said(settings, file)


def _said(settings: _Settings, file: Path) -> str:
    done = subprocess.run(
        [program("opendkim"), "-x", str(settings.file), "-t", str(file), "-v", "-v"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=120,
        check=False,
    )
    return done.stdout


def judge(message: bytes, dns_port: int, folder: Path) -> list[str]:
    """The results of the signatures, as in its Authentication-Results; empty for no judgement."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        resolver = Path(name) / "resolver.conf"
        resolver.write_text(RESOLVER.format(host=HOST, port=dns_port))
        lines = {"Mode": "v", "ResolverConfiguration": str(resolver)}
        said = _run(lines, message, Path(name))
    if "### SETREPLY: rcode='4" in said:
        return ["temperror"]
    fields = [value for name, value in _ADDED.findall(said) if name == "Authentication-Results"]
    return _RESULT.findall(fields[0]) if fields else []


def sign(
    message: bytes,
    key: Key,
    folder: Path,
    *,
    canonicalisation: str = "relaxed/simple",
    oversigned: Sequence[str] = (),
) -> bytes:
    """The message with its signature before it."""
    lines = {"Mode": "s", **_signing(key, canonicalisation, oversigned)}
    said = _run(lines, message, folder)
    fields = [value for name, value in _ADDED.findall(said) if name == "DKIM-Signature"]
    if len(fields) != 1:
        raise RuntimeError(f"opendkim did not sign: {said}")
    value: str = fields[0].replace("\r\n", "\n").replace("\n", "\r\n")
    return b"DKIM-Signature: " + value.encode() + b"\r\n" + message


def testmsg_signs(message: bytes, key: Key) -> bytes:
    """The message as opendkim-testmsg signs it: rsa-sha1, relaxed/simple."""
    done = subprocess.run(
        [
            *(program("opendkim-testmsg", "opendkim-tools"), "-C"),
            *("-d", key.domain, "-s", key.selector, "-k", str(key.file)),
        ],
        input=message,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return bytes(done.stdout)


def testmsg_judges(
    messages: Sequence[bytes], texts: Mapping[str, Sequence[str]], folder: Path
) -> list[str]:
    """What opendkim-testmsg says of each; nothing where all is well.

    It asks port 53 alone; so it is run by ``support.privatedns``.   texts: name → TXT records.
    """
    executable = program("opendkim-testmsg", "opendkim-tools")
    return privatedns.run_all(texts, [executable], messages, folder)
