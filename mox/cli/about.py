"""``mox version`` and ``mox help``."""

import platform
import sys

import click

from mox.base.version import mox_version
from mox.cli.group import LazyGroup, find, leaves, print_error, print_list, usage
from mox.cli.setting import json_option, print_json


@click.command()
@json_option
def version(as_json: bool) -> None:
    """Print the version and what it runs on."""
    from mox import _speedups

    found = {
        "version": mox_version(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "speedups": _speedups.IMPLEMENTATION,
    }
    if as_json:
        print_json(found)
        return
    click.echo(f"mox {found['version']}")
    click.echo(f"Python {found['python']}, {found['platform']}, hot paths: {found['speedups']}")


@click.command("help")
@click.argument("words", nargs=-1)
@click.pass_context
def help_(ctx: click.Context, words: tuple[str, ...]) -> int:
    """Print the help of a command, or list the commands that begin with these words."""
    root = ctx.find_root()
    if not isinstance(root.command, LazyGroup):
        raise TypeError("help belongs to the command mox")
    command = find(root.command, root, words)
    if isinstance(command, click.Group):
        if not words:
            click.echo(f"{command.help}\n")
            print_list(command, root, to_stderr=False)
            return 0
        below = leaves(command, root, words)
        click.echo(
            "\n".join(f"{usage(found, one, root)}\n    {_first(one)}" for found, one in below)
        )
        return 0
    if command is not None:
        click.echo(f"{usage(words, command, root)}\n")
        with click.Context(command, info_name=f"mox {' '.join(words)}") as own:
            click.echo(command.get_help(own))
        return 0
    return _prefix(root.command, root, words)


def _prefix(group: LazyGroup, ctx: click.Context, words: tuple[str, ...]) -> int:
    """The last word may be the beginning of one."""
    fitting = [
        (found, command)
        for found, command in leaves(group, ctx)
        if found[: len(words) - 1] == words[:-1]
        and len(found) >= len(words)
        and found[len(words) - 1].startswith(words[-1])
    ]
    if not fitting:
        print_error(f"unknown command: {' '.join(words)}; mox help lists all")
        return 2
    for found, command in fitting:
        print(f"{usage(found, command, ctx)}\n    {_first(command)}", file=sys.stdout)
    return 0


def _first(command: click.Command) -> str:
    return (command.help or "").strip().split("\n", maxsplit=1)[0]
