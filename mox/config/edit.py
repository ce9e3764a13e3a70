"""One edit of the text of ``domains.toml``: comments, order and layout of the rest stay.

Cost    the whole text is parsed, 0.3 s for each 1,000 accounts: call it in a thread.
"""

import copy
import tomllib
from collections.abc import Callable
from typing import Any

import tomlkit
from msgspec import UNSET, UnsetType
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import InlineTable

from mox.base.errors import Refused
from mox.config.toml import Path, format_path

Value = dict[str, Any] | list[str] | str | bool | float


class ChangeRefused(Refused):
    """An edit that does not fit the configuration."""

    default = "config error"


def edit(text: str, path: Path, value: Value | UnsetType) -> str:
    """Set or remove one key.    The result is compared with the same edit of the plain values."""
    wanted = tomllib.loads(text)
    _apply(wanted, path, value, lambda _parent, plain: copy.deepcopy(plain))
    try:
        document = tomlkit.parse(text)
        _apply(document, path, value, _item)
        edited = tomlkit.dumps(document)
        got = tomllib.loads(edited)
        if got == wanted or got == _without_empty(wanted, path):
            return edited
    except (TOMLKitError, tomllib.TOMLDecodeError) as error:
        raise _cannot(path, error) from error
    raise _cannot(path, None)


def _without_empty(values: dict[str, Any], path: Path) -> dict[str, Any] | None:
    """A table that has become empty may be gone as well, where it has no header of its own."""
    parent = values
    for key in path[:-1]:
        parent = parent[str(key)]
    if parent or len(path) < 3:
        return None
    fewer = copy.deepcopy(values)
    _apply(fewer, path[:-1], UNSET, lambda _parent, plain: plain)
    return fewer


def _cannot(path: Path, cause: Exception | None) -> ChangeRefused:
    return ChangeRefused(
        f"domains.toml is laid out in a way that cannot be edited at {format_path(path)};"
        " please edit it by hand",
        cause=cause,
    )


def _apply(
    top: Any,
    path: Path,
    value: Value | UnsetType,
    make: Callable[[Any, Any], Any],
) -> None:
    parent = top
    for key in path[:-1]:
        parent = parent[key]
    if not isinstance(value, UnsetType):
        parent[path[-1]] = make(parent, value)
    elif path[-1] in parent:
        del parent[path[-1]]


def _item(parent: Any, value: Any) -> Any:
    """A value as tomlkit writes it: inline inside an inline table, else as tables of their own."""
    if not isinstance(value, dict):
        return tomlkit.item(value)
    inline = isinstance(parent, InlineTable)
    only_tables = bool(value) and all(isinstance(one, dict) for one in value.values())
    table: Any = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=only_tables)
    for key, one in value.items():
        table[key] = _item(table, one)
    return table
