"""Plain values of a TOML file → structs, with every problem and the path to it.

``msgspec.convert`` stops at the first problem and does not name keys of maps; so the walk over
tables is ours and only single values go to ``msgspec``.  Depth is bounded by the types.
"""

import re
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from mox.config.duration import Duration
from mox.config.toml import Path

S = TypeVar("S", bound=Struct)
Flaws = list[tuple[Path, str]]

_WORDS = {
    "str": "a text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "an array",
    "object": "a table",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time",
}


def to_struct(kind: type[S], value: object, path: Path, flaws: Flaws) -> S | None:
    """Make a struct of a table.    None, and what is wrong added to ``flaws``, when it cannot be."""
    if not isinstance(value, dict):
        flaws.append((path, f"expected a table, got {_kind_of(value)}"))
        return None
    before = len(flaws)
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    flaws.extend(((*path, key), "unknown key") for key in value if key not in fields)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in value:
            values[name] = _convert(field.type, value[name], (*path, name), flaws)
        elif field.default is NODEFAULT and field.default_factory is NODEFAULT:
            flaws.append(((*path, name), "required, but missing"))
    return kind(**values) if len(flaws) == before else None


def _convert(kind: Any, value: object, path: Path, flaws: Flaws) -> Any:
    core = plain_type(kind)
    if isinstance(core, type) and issubclass(core, Struct):
        return to_struct(core, value, path, flaws)
    if get_origin(core) is dict:
        return _convert_map(get_args(core)[1], value, path, flaws)
    if core is Duration:
        return _convert_duration(value, path, flaws)
    if get_origin(core) is tuple and isinstance(value, list):
        return _convert_array(get_args(core), value, path, flaws)
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        flaws.append((path, _say(core, value, str(error))))
        return None


def _convert_map(item: Any, value: object, path: Path, flaws: Flaws) -> dict[str, Any]:
    if not isinstance(value, dict):
        flaws.append((path, f"expected a table, got {_kind_of(value)}"))
        return {}
    return {key: _convert(item, one, (*path, key), flaws) for key, one in value.items()}


def _convert_array(
    items: tuple[Any, ...], value: list[object], path: Path, flaws: Flaws
) -> tuple[Any, ...]:
    if items[-1] is not Ellipsis and len(items) != len(value):
        flaws.append((path, f"expected {len(items)} values, got {len(value)}"))
    return tuple(_convert(items[0], one, (*path, n), flaws) for n, one in enumerate(value))


def _convert_duration(value: object, path: Path, flaws: Flaws) -> Duration | None:
    if not isinstance(value, str):
        flaws.append((path, f'expected a duration such as "1h30m", got {_kind_of(value)}'))
        return None
    try:
        return Duration(value)
    except ValueError as error:
        flaws.append((path, str(error)))
        return None


def plain_type(kind: Any) -> Any:
    """A type without its annotations and without ``| None``."""
    while True:
        origin = get_origin(kind)
        if origin is Annotated:
            kind = get_args(kind)[0]
        elif origin is Union or (origin is not None and type(None) in get_args(kind)):
            kind = next(one for one in get_args(kind) if one is not type(None))
        else:
            return kind


def _kind_of(value: object) -> str:
    name = {"dict": "object", "list": "array"}.get(type(value).__name__, type(value).__name__)
    return _WORDS.get(name, name)


def _say(kind: Any, value: object, error: str) -> str:
    if get_origin(kind) is Literal:
        return f"must be one of {', '.join(map(str, get_args(kind)))}; it is {value!r}"
    text = re.sub(r"`(\w+)`", lambda found: _WORDS.get(found[1], found[1]), error)
    return text[0].lower() + text[1:]
