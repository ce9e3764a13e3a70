"""Command groups whose sub-commands are imported when they are called.

A line in a table names the module, so that ``mox stop`` does not wait for the import of a server.
"""

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module

import click


class LazyGroup(click.Group):
    """A group made of a table: name → ``package.module:attribute``."""

    def __init__(self, *, table: Mapping[str, str], name: str, help: str) -> None:
        super().__init__(name=name, help=help, add_help_option=True)
        self._table = dict(table)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names, in the order of the table."""
        return list(self._table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        place = self._table.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{place} is no command")
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without a command: the list of commands, and exit code 2 (spec/cli.md section 1)."""
        if not args and not ctx.resilient_parsing:
            print_list(self, ctx, to_stderr=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)


def leaves(
    group: click.Group, ctx: click.Context, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command below a group that runs something, with its words."""
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        if isinstance(command, click.Group):
            yield from leaves(command, ctx, (*words, name))
        elif command is not None:
            yield (*words, name), command


def usage(words: tuple[str, ...], command: click.Command, ctx: click.Context) -> str:
    """A command with its arguments, in one line."""
    with click.Context(command, info_name=" ".join(("mox", *words)), parent=None) as own:
        pieces = [piece for piece in command.collect_usage_pieces(own) if piece != "[OPTIONS]"]
    options = [
        _option(option)
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ]
    return " ".join(("mox", *words, *options, *pieces))


def _option(option: click.Option) -> str:
    name = max(option.opts, key=len)
    if option.is_flag:
        return f"[{name}]"
    text = f"{name} {option.metavar or 'TEXT'}"
    return text if option.required else f"[{text}]"


def print_list(group: click.Group, ctx: click.Context, *, to_stderr: bool) -> None:
    """The commands below a group with their arguments, one line each."""
    words = tuple(ctx.command_path.split()[1:])
    lines = [usage(found, command, ctx) for found, command in leaves(group, ctx, words)]
    click.echo("\n".join(lines), err=to_stderr)


def find(group: click.Group, ctx: click.Context, words: tuple[str, ...]) -> click.Command | None:
    """The command that these words name; None when there is none."""
    command: click.Command | None = group
    for word in words:
        if not isinstance(command, click.Group):
            return None
        command = command.get_command(ctx, word)
    return command


def print_error(text: str) -> None:
    """A problem, as a line on standard error, each line with our name before it."""
    for line in text.splitlines() or [""]:
        print(f"mox: {line}", file=sys.stderr)
