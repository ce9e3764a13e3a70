"""``mox config alias``."""

import click

from mox.cli.group import LazyGroup
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import commands

alias = LazyGroup(
    name="alias",
    help="Addresses that stand for several.",
    table={
        "list": "mox.cli.alias:alias_list",
        "print": "mox.cli.alias:alias_print",
        "add": "mox.cli.alias:alias_add",
        "update": "mox.cli.alias:alias_update",
        "rm": "mox.cli.alias:alias_rm",
        "addaddr": "mox.cli.alias:alias_addaddr",
        "rmaddr": "mox.cli.alias:alias_rmaddr",
    },
)


@click.command("list")
@click.argument("domain")
@json_option
@click.pass_context
def alias_list(ctx: click.Context, domain: str, as_json: bool) -> None:
    """Print the aliases of a domain, one a line."""
    with connect(ctx) as client:
        found = client.call(commands.ALIAS_LIST, commands.DomainName(domain=domain)).aliases
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(one.alias)


@click.command("print")
@click.argument("alias")
@json_option
@click.pass_context
def alias_print(ctx: click.Context, alias: str, as_json: bool) -> None:
    """Print what an alias allows, and its members, one a line."""
    with connect(ctx) as client:
        found = client.call(commands.ALIAS_PRINT, commands.Address(address=alias))
    if as_json:
        print_json(found)
        return
    for key in ("post_public", "list_members", "allow_msg_from"):
        click.echo(f"# {key} {'true' if getattr(found, key) else 'false'}")
    for address in found.addresses:
        click.echo(address)


@click.command("add")
@click.argument("alias")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def alias_add(ctx: click.Context, alias: str, addresses: tuple[str, ...]) -> None:
    """Add an alias with members, which are addresses of accounts. Anybody may send to it."""
    with connect(ctx) as client:
        client.call(commands.ALIAS_ADD, commands.AliasMembers(alias=alias, addresses=addresses))
    click.echo("alias added")


@click.command("update")
@click.argument("alias")
@click.option(
    "--postpublic", type=bool, metavar="true|false", help="May anybody send to it, or only members?"
)
@click.option(
    "--listmembers", type=bool, metavar="true|false", help="May members see who the others are?"
)
@click.option(
    "--allowmsgfrom",
    type=bool,
    metavar="true|false",
    help="May members send with its address as From?",
)
@click.pass_context
def alias_update(
    ctx: click.Context,
    alias: str,
    postpublic: bool | None,
    listmembers: bool | None,
    allowmsgfrom: bool | None,
) -> None:
    """Set what an alias allows, each to true or false."""
    arguments = commands.AliasUpdate(
        alias=alias,
        post_public=postpublic,
        list_members=listmembers,
        allow_msg_from=allowmsgfrom,
    )
    with connect(ctx) as client:
        client.call(commands.ALIAS_UPDATE, arguments)
    click.echo("alias updated")


@click.command("rm")
@click.argument("alias")
@click.pass_context
def alias_rm(ctx: click.Context, alias: str) -> None:
    """Remove an alias. Its members keep their addresses."""
    with connect(ctx) as client:
        client.call(commands.ALIAS_RM, commands.Address(address=alias))
    click.echo("alias removed")


@click.command("addaddr")
@click.argument("alias")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def alias_addaddr(ctx: click.Context, alias: str, addresses: tuple[str, ...]) -> None:
    """Add members to an alias."""
    arguments = commands.AliasMembers(alias=alias, addresses=addresses)
    with connect(ctx) as client:
        client.call(commands.ALIAS_ADDADDR, arguments)
    click.echo("addresses added")


@click.command("rmaddr")
@click.argument("alias")
@click.argument("addresses", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_context
def alias_rmaddr(ctx: click.Context, alias: str, addresses: tuple[str, ...]) -> None:
    """Remove members from an alias. One must remain."""
    arguments = commands.AliasMembers(alias=alias, addresses=addresses)
    with connect(ctx) as client:
        client.call(commands.ALIAS_RMADDR, arguments)
    click.echo("addresses removed")
