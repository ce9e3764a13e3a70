"""TOML text → structs.    Every problem of both files is gathered before any is told."""

import re
import tomllib
from typing import TypeVar

from msgspec import Struct

from mox.base.limits import CONFIG_FILE
from mox.config.check import check_domains, check_static, check_together
from mox.config.domains import DomainsConfig
from mox.config.live import Config, make_config
from mox.config.locate import Places
from mox.config.problems import ConfigInvalid, Problem
from mox.config.sendmail import SendmailConfig
from mox.config.shape import Flaws, to_struct
from mox.config.static import StaticConfig
from mox.config.toml import format_path

S = TypeVar("S", bound=Struct)
_AT = re.compile(r" \(at line (\d+), column \d+\)$")


class Source:
    """The text of one file, and its name as problems shall show it."""

    __slots__ = ("_places", "file", "text")

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self._places: Places | None = None

    def problems(self, flaws: Flaws) -> list[Problem]:
        """Flaws with file and line, in the order of the file."""
        if flaws and self._places is None:
            self._places = Places(self.text)
        found = [
            Problem(
                file=self.file,
                line=self._places.line(path) if self._places else 0,
                key=format_path(path),
                text=text,
            )
            for path, text in flaws
        ]
        return sorted(found, key=lambda problem: problem.line)


def parse_static(text: str, file: str = "mox.toml") -> StaticConfig:
    """``mox.toml`` → struct, checked as far as it can be alone.    Errors: ConfigInvalid."""
    source = Source(text, file)
    static, problems = _parse(StaticConfig, source)
    if static is None:
        raise ConfigInvalid(problems)
    problems = source.problems(check_static(static))
    if problems:
        raise ConfigInvalid(problems)
    return static


def parse_sendmail(text: str, file: str = "moxsubmit.toml") -> SendmailConfig:
    """How ``mox sendmail`` submits.    Errors: ConfigInvalid."""
    source = Source(text, file)
    found, problems = _parse(SendmailConfig, source)
    if found is not None and found.tls and found.starttls:
        problems += source.problems([(("starttls",), "not together with tls")])
    if found is not None and found.username and not found.password:
        problems += source.problems([(("password",), "required with a username")])
    if problems or found is None:
        raise ConfigInvalid(problems)
    return found


def load(
    static_text: str,
    domains_text: str,
    *,
    static_file: str = "mox.toml",
    domains_file: str = "domains.toml",
    fallback_account: str = "",
) -> Config:
    """Both files → the configuration.    ``fallback_account`` as in ``make_config``.

    Errors  ConfigInvalid with everything that is wrong with both.
    """
    static_source = Source(static_text, static_file)
    domains_source = Source(domains_text, domains_file)
    static, problems = _parse(StaticConfig, static_source)
    domains, more = _parse(DomainsConfig, domains_source)
    problems += more
    if static is not None:
        problems += static_source.problems(check_static(static))
    if domains is not None:
        problems += domains_source.problems(check_domains(domains))
    if static is not None and domains is not None:
        in_static, in_domains = check_together(static, domains)
        problems += static_source.problems(in_static) + domains_source.problems(in_domains)
    if problems or static is None or domains is None:
        raise ConfigInvalid(problems)
    return make_config(static, domains, fallback_account=fallback_account)


def load_domains(
    static: StaticConfig, text: str, *, file: str = "domains.toml", fallback_account: str = ""
) -> Config:
    """A new ``domains.toml`` beside the running ``mox.toml``.    Errors: ConfigInvalid."""
    source = Source(text, file)
    domains, problems = _parse(DomainsConfig, source)
    if domains is not None:
        problems += source.problems(check_domains(domains))
        in_static, in_domains = check_together(static, domains)
        problems += source.problems(in_domains)
        problems += [
            Problem(file=file, line=0, key="", text=f"{words} ({format_path(path)} of mox.toml)")
            for path, words in in_static
        ]
    if problems or domains is None:
        raise ConfigInvalid(problems)
    return make_config(static, domains, fallback_account=fallback_account)


def _parse(kind: type[S], source: Source) -> tuple[S | None, list[Problem]]:
    def refuse(line: int, text: str) -> tuple[None, list[Problem]]:
        return None, [Problem(file=source.file, line=line, key="", text=text)]

    if len(source.text) > CONFIG_FILE:
        return refuse(0, f"the file is larger than {CONFIG_FILE} characters")
    try:
        values = tomllib.loads(source.text)
    except tomllib.TOMLDecodeError as error:
        at = _AT.search(str(error))
        text = _AT.sub("", str(error))
        return refuse(int(at[1]) if at else source.text.count("\n") + 1, f"not TOML: {text}")
    except RecursionError:
        return refuse(0, "arrays or tables are nested too deeply")
    flaws: Flaws = []
    struct = to_struct(kind, values, (), flaws)
    return struct, source.problems(flaws)
