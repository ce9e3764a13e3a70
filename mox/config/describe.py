"""Structs → an annotated example file.

Every option is there: a required one with an example, another commented out with its default.
"""

from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Meta, Struct
from msgspec.structs import FieldInfo

from mox.config.domains import DomainsConfig
from mox.config.duration import Duration
from mox.config.sendmail import SendmailConfig
from mox.config.shape import plain_type
from mox.config.static import StaticConfig
from mox.config.toml import format_key, format_string

_WIDTH = 98  # characters of a comment line


def describe_static() -> str:
    """The annotated ``mox.toml``."""
    return _describe(StaticConfig)


def describe_domains() -> str:
    """The annotated ``domains.toml``."""
    return _describe(DomainsConfig)


def describe_sendmail() -> str:
    """The annotated ``moxsubmit.toml``."""
    return _describe(SendmailConfig)


def _describe(kind: type[Struct]) -> str:
    intro = (
        f"{_job(kind)} Options that are commented out show their default; the others are required."
    )
    lines = [*_comment(intro), ""]
    _table(kind, (), required=True, lines=lines)
    return "\n".join(lines).rstrip() + "\n"


def _table(kind: type[Struct], path: tuple[str, ...], *, required: bool, lines: list[str]) -> None:
    """Single values first: in TOML they must stand before the tables in the table."""
    fields = msgspec.structs.fields(kind)
    for field in fields:
        if _inner(field) is None:
            _value(field, required, lines)
    for field in fields:
        inner = _inner(field)
        if inner is not None:
            _inner_table(field, inner, (*path, field.name), required, lines)


def _inner_table(
    field: FieldInfo, inner: type[Struct], path: tuple[str, ...], required: bool, lines: list[str]
) -> None:
    meta = _meta(field)
    wanted = required and field.required
    core = plain_type(field.type)
    lines.append("")
    lines += _comment(meta.description or _job(inner))
    brackets = "[[{}]]" if get_origin(core) is tuple else "[{}]"
    if get_origin(core) is dict:
        path = (*path, str((meta.examples or ["name"])[0]))
    header = brackets.format(".".join(map(format_key, path)))
    lines.append(header if wanted else f"# {header}")
    _table(inner, path, required=wanted, lines=lines)


def _inner(field: FieldInfo) -> type[Struct] | None:
    """The struct behind a table, a map of tables or an array of tables."""
    core = plain_type(field.type)
    if get_origin(core) is dict:
        core = plain_type(get_args(core)[1])
    elif get_origin(core) is tuple:
        core = plain_type(get_args(core)[0])
    return core if isinstance(core, type) and issubclass(core, Struct) else None


def _value(field: FieldInfo, required: bool, lines: list[str]) -> None:
    meta = _meta(field)
    text = meta.description or ""
    core = plain_type(field.type)
    if get_origin(core) is Literal:
        text += f" One of: {', '.join(map(str, get_args(core)))}."
    lines += _comment(text)
    if field.required:
        examples = meta.examples or [""]
        line = f"{field.name} = {_toml(examples[0])}"
        lines.append(line if required else f"# {line}")
    else:
        lines.append(f"# {field.name} = {_toml(_default(field))}")


def _default(field: FieldInfo) -> Any:
    return field.default if field.default is not NODEFAULT else field.default_factory()


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, dict):
        return "{}" if not value else _refuse(value)
    if isinstance(value, (str, Duration)):
        return format_string(str(value))
    return _refuse(value)


def _refuse(value: object) -> str:
    raise TypeError(f"no TOML form for {value!r}")


def _meta(field: FieldInfo) -> Meta:
    """The last annotation with a description: the field's own, not its type's."""
    found = Meta()
    kind = field.type
    while get_origin(kind) is Annotated:
        kind, *extras = get_args(kind)
        found = next((e for e in extras if isinstance(e, Meta) and e.description), found)
    return found


def _job(kind: type[Struct]) -> str:
    return " ".join((kind.__doc__ or "").replace("``", "").split("\n\n")[0].split())


def _comment(text: str) -> list[str]:
    lines, line = [], "#"
    for word in text.split():
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = "#"
        line += f" {word}"
    return [*lines, line] if line != "#" else lines
