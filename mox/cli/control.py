"""Commands for the running server: ``stop``, ``loglevels``, ``setaccountpassword``, ``deliver``."""

import sys
from collections.abc import Iterator

import click

from mox.base.errors import Refused
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import commands
from mox.ctl.client import wait_for_end
from mox.ctl.commands import Nothing

STOP_TIMEOUT_S = 30.0
_PIECE = 64 * 1024  # bytes of a message sent at a time


@click.command()
@click.pass_context
def stop(ctx: click.Context) -> None:
    """Stop the running server gracefully, and wait until it has ended."""
    with connect(ctx) as client:
        stopping = client.call(commands.STOP, Nothing())
    if not wait_for_end(stopping.processes, STOP_TIMEOUT_S):
        raise Refused(f"the server has not ended after {STOP_TIMEOUT_S:.0f} seconds")
    click.echo("mox stopped")


@click.command()
@click.argument("level", required=False)
@click.argument("area", required=False, default="")
@json_option
@click.pass_context
def loglevels(ctx: click.Context, level: str | None, area: str, as_json: bool) -> None:
    """Print the log levels of the running server, or set one.

    LEVEL is error, warn, info or debug. With an AREA, such as imapserver, it is set for that part
    only; the empty LEVEL "" takes an area's own level away. A restart forgets what was set.
    """
    with connect(ctx) as client:
        if level is not None:
            client.call(commands.LOG_LEVEL_SET, commands.LogLevel(level=level, area=area))
            return
        levels = client.call(commands.LOG_LEVELS, Nothing()).levels
    if as_json:
        print_json(levels)
        return
    for name, value in levels.items():
        click.echo(f"{name}: {value}")


@click.command()
@click.argument("account")
@click.pass_context
def setaccountpassword(ctx: click.Context, account: str) -> None:
    """Set the password of an account, by its name.

    On a terminal it is asked for twice and not shown; otherwise it is one line of standard input.
    """
    with connect(ctx) as client:
        password = _read_password(account)
        client.call(commands.PASSWORD_SET, commands.SetPassword(account=account, password=password))
    click.echo(f"password of {account} set", err=True)


def _read_password(account: str) -> str:
    if sys.stdin.isatty():
        asked = click.prompt(
            f"New password for account {account}",
            hide_input=True,
            confirmation_prompt="The same again",
            err=True,
        )
        return str(asked)
    line = sys.stdin.buffer.readline(10_000)
    try:
        password = line.rstrip(b"\r\n").decode()
    except UnicodeDecodeError as error:
        raise Refused("the password is not UTF-8 text", cause=error) from error
    if not password:
        raise Refused("no password on standard input")
    return password


@click.command()
@click.argument("address")
@json_option
@click.pass_context
def deliver(ctx: click.Context, address: str, as_json: bool) -> None:
    """Deliver the message on standard input to a local ADDRESS, without checks of its sender."""
    with connect(ctx) as client:
        done = client.call(
            commands.DELIVER, commands.Deliver(address=address), body=_standard_input()
        )
    if as_json:
        print_json(done)
    else:
        click.echo(f"delivered to mailbox {done.mailbox} of account {done.account}")


def _standard_input() -> Iterator[bytes]:
    while piece := sys.stdin.buffer.read(_PIECE):
        yield piece
