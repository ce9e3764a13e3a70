"""``mox queue suppress``."""

from typing import Any

import click
import msgspec

from mox.cli.group import LazyGroup
from mox.cli.queue import Printer, time_text
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import queuecommands as ctl
from mox.queue.entry import Suppression

suppress = LazyGroup(
    name="suppress",
    help="Addresses that accounts do not send to, since mail for them failed.",
    table={
        "list": "mox.cli.suppress:suppress_list",
        "add": "mox.cli.suppress:suppress_add",
        "remove": "mox.cli.suppress:suppress_remove",
        "lookup": "mox.cli.suppress:suppress_lookup",
    },
)


def _line(one: Suppression) -> str:
    how = "manual" if one.manual else "automatic"
    words = (one.account, one.original_address, one.base_address, how, time_text(one.created_ms))
    return "\t".join((*words, one.reason))


def _plain(one: Suppression) -> dict[str, Any]:
    return msgspec.structs.asdict(one)


@click.command("list")
@click.option("--account", default="", metavar="NAME", help="Only those of an account.")
@json_option
@click.pass_context
def suppress_list(ctx: click.Context, account: str, as_json: bool) -> None:
    """Print suppressed addresses: account, address, the form that is compared, how, since when, why."""
    printer = Printer(Suppression, _line, as_json)
    with connect(ctx) as client:
        wanted = ctl.SuppressionsWanted(account=account)
        client.call(ctl.QUEUE_SUPPRESSIONS, wanted, progress=printer.show)
    printer.end()


@click.command("add")
@click.argument("account")
@click.argument("address")
@click.option("--reason", default="", metavar="TEXT", help="Why, for people.")
@click.pass_context
def suppress_add(ctx: click.Context, account: str, address: str, reason: str) -> None:
    """Let ACCOUNT send nothing more to ADDRESS, nor to what differs in dots and after + or -."""
    wanted = ctl.SuppressedAddress(account=account, address=address, reason=reason)
    with connect(ctx) as client:
        client.call(ctl.QUEUE_SUPPRESS, wanted)
    click.echo("address suppressed")


@click.command("remove")
@click.argument("account")
@click.argument("address")
@click.pass_context
def suppress_remove(ctx: click.Context, account: str, address: str) -> None:
    """Let ACCOUNT send to ADDRESS again."""
    wanted = ctl.SuppressedAddress(account=account, address=address)
    with connect(ctx) as client:
        client.call(ctl.QUEUE_RELEASE, wanted)
    click.echo("address no longer suppressed")


@click.command("lookup")
@click.option("--account", default="", metavar="NAME", help="Only the list of an account.")
@click.argument("address")
@json_option
@click.pass_context
def suppress_lookup(ctx: click.Context, account: str, address: str, as_json: bool) -> int:
    """Tell whether ADDRESS is suppressed, and why. Exits with 1 when it is not."""
    wanted = ctl.SuppressedAddress(account=account, address=address)
    with connect(ctx) as client:
        found = client.call(ctl.QUEUE_SUPPRESSED, wanted).suppressions
    if as_json:
        print_json([_plain(one) for one in found])
    elif not found:
        click.echo("not suppressed", err=True)
    else:
        for one in found:
            click.echo(_line(one))
    return 0 if found else 1
