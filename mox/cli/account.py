"""``mox config account``."""

import click

from mox.cli.group import LazyGroup
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import commands
from mox.ctl.commands import Nothing

account = LazyGroup(
    name="account",
    help="Accounts.",
    table={
        "list": "mox.cli.account:account_list",
        "addresses": "mox.cli.account:account_addresses",
        "add": "mox.cli.account:account_add",
        "rm": "mox.cli.account:account_rm",
        "disable": "mox.cli.account:account_disable",
        "enable": "mox.cli.account:account_enable",
    },
)


@click.command("list")
@json_option
@click.pass_context
def account_list(ctx: click.Context, as_json: bool) -> None:
    """Print the accounts, one a line; those without login are marked."""
    with connect(ctx) as client:
        found = client.call(commands.ACCOUNT_LIST, Nothing()).accounts
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one.account}\t(disabled)" if one.login_disabled else one.account)


@click.command("addresses")
@click.argument("account")
@json_option
@click.pass_context
def account_addresses(ctx: click.Context, account: str, as_json: bool) -> None:
    """Print the addresses of an account, one a line."""
    with connect(ctx) as client:
        found = client.call(commands.ACCOUNT_ADDRESSES, commands.AccountName(account=account))
    if as_json:
        print_json(found.addresses)
        return
    for one in found.addresses:
        click.echo(one)


@click.command("add")
@click.argument("account")
@click.argument("address")
@click.pass_context
def account_add(ctx: click.Context, account: str, address: str) -> None:
    """Add an account with one address."""
    with connect(ctx) as client:
        arguments = commands.AccountAddress(account=account, address=address)
        client.call(commands.ACCOUNT_ADD, arguments)
    click.echo(f"account added; set a password with: mox setaccountpassword {account}")


@click.command("rm")
@click.argument("account")
@click.pass_context
def account_rm(ctx: click.Context, account: str) -> None:
    """Remove an account, its addresses and its mail.

    Large messages leave the disk at once. Small ones share files of up to 256 MiB with those of
    others: such a file is rewritten once less than half of it is in use, and not before it is full.
    """
    with connect(ctx) as client:
        client.call(commands.ACCOUNT_RM, commands.AccountName(account=account))
    click.echo("account removed")


@click.command("disable")
@click.argument("account")
@click.argument("message")
@click.pass_context
def account_disable(ctx: click.Context, account: str, message: str) -> None:
    """Refuse logins to an account with MESSAGE. Mail for it is still delivered."""
    with connect(ctx) as client:
        arguments = commands.AccountDisable(account=account, message=message)
        client.call(commands.ACCOUNT_DISABLE, arguments)
    click.echo("account disabled")


@click.command("enable")
@click.argument("account")
@click.pass_context
def account_enable(ctx: click.Context, account: str) -> None:
    """Allow logins to an account again."""
    with connect(ctx) as client:
        client.call(commands.ACCOUNT_ENABLE, commands.AccountName(account=account))
    click.echo("account enabled")
