"""The annotated example files are themselves right."""

import re
import tomllib

import msgspec

from mox.config import load
from mox.config.describe import describe_domains, describe_static
from mox.config.domains import DomainsConfig
from mox.config.shape import plain_type
from mox.config.static import StaticConfig

OPTION = re.compile(r"# (\[+[a-z].*\]|[a-z0-9_]+ = .*)")


def everything_on(text: str) -> str:
    return "\n".join(
        found[1] if (found := OPTION.fullmatch(line)) else line for line in text.splitlines()
    )


def test_the_files_load_as_they_are() -> None:
    static = load.parse_static(describe_static())
    assert static.hostname == "mail.example.org"
    config = load.load(describe_static(), describe_domains())
    assert list(config.domains.domains) == ["example.org"]


def test_the_files_load_with_every_option() -> None:
    """What excludes each other, and defaults that do not go with their table, are put right."""
    static, *transports = re.split(
        r"(?m)(?=^\[transports\.relay\.)", everything_on(describe_static())
    )
    assert len(transports) == 9
    static += transports[0] + transports[-1][transports[-1].index("[queue]") :]
    static = static.replace("additional_to_system = false", "additional_to_system = true")
    domains = everything_on(describe_domains()).replace(
        'verified_domain = ""', 'verified_domain = "x"'
    )
    config = load.load(static, domains)
    assert list(config.static.transports["relay"].__struct_fields__)[0] == "submissions"
    assert len(config.domains.accounts["me"].destinations["you@example.org"].rulesets) == 1
    assert config.static.listeners["public"].tls is not None
    assert "you@example.org" in config.domains.accounts["me"].destinations


def field_names(kind: type[msgspec.Struct]) -> set[str]:
    names: set[str] = set()
    for field in msgspec.structs.fields(kind):
        names.add(field.name)
        core = plain_type(field.type)
        inner = [core, *(plain_type(one) for one in getattr(core, "__args__", ()))]
        for one in inner:
            if isinstance(one, type) and issubclass(one, msgspec.Struct):
                names |= field_names(one)
    return names


def keys(value: object) -> set[str]:
    if isinstance(value, dict):
        return set(value).union(*map(keys, value.values()))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


def test_every_option_is_there_and_explained() -> None:
    for text, kind in ((describe_static(), StaticConfig), (describe_domains(), DomainsConfig)):
        assert field_names(kind) <= keys(tomllib.loads(everything_on(text)))
        lines = text.splitlines()
        for before, line in zip(lines, lines[1:], strict=False):
            if OPTION.fullmatch(line) or re.match(r"[\[a-z]", line):
                assert before.startswith("# "), line
                assert not OPTION.fullmatch(before), line
            assert len(line) <= 98
