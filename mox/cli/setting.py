"""What every command shares: where the configuration is, the running server, output as JSON."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from mox.base.errors import Refused

if TYPE_CHECKING:
    from mox.ctl.client import Client

CONFIG_VARIABLE = "MOX_CONFIG"
DEFAULT_CONFIG = Path("config/mox.toml")

F = TypeVar("F", bound=Callable[..., Any])


def config_path(ctx: click.Context) -> Path:
    """``--config``, else the environment, else the default, relative to the current folder."""
    given = ctx.find_root().params.get("config")
    return Path(given or os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG)


def data_dir(path: Path) -> Path:
    """The data folder that ``mox.toml`` names.    Errors: Refused, ConfigInvalid.

    ``domains.toml`` is not read: it may be broken and the server still be there to be stopped.
    """
    from mox.config.load import parse_static

    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 text", cause=error) from error
    except FileNotFoundError as error:
        raise Refused(
            f"there is no {path}; name the configuration with --config or {CONFIG_VARIABLE}",
            cause=error,
        ) from error
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}", cause=error) from error
    return path.parent / parse_static(text, str(path)).data_dir


def connect(ctx: click.Context) -> "Client":
    """The running server.    Errors: NotRunning with the socket's path, Unavailable."""
    from mox.ctl.client import Client

    return Client(data_dir(config_path(ctx)))


def json_option(command: F) -> F:
    """``--json`` as the parameter ``as_json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def print_json(value: object) -> None:
    """A value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())
