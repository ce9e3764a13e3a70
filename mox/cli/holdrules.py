"""``mox queue holdrules``."""

import click

from mox.cli.group import LazyGroup
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import queuecommands as ctl
from mox.ctl.commands import Nothing
from mox.queue.entry import HoldRule

holdrules = LazyGroup(
    name="holdrules",
    help="Rules by which new messages are put on hold.",
    table={
        "list": "mox.cli.holdrules:rules_list",
        "add": "mox.cli.holdrules:rules_add",
        "remove": "mox.cli.holdrules:rules_remove",
    },
)


def _text(rule: HoldRule) -> str:
    fields = {
        "account": rule.account,
        "sender domain": rule.sender_domain,
        "recipient domain": rule.recipient_domain,
    }
    given = [f"{name} {value}" for name, value in fields.items() if value]
    return f"{rule.id}  {', '.join(given) or 'all messages'}"


def _plain(rule: HoldRule) -> dict[str, object]:
    return {
        "id": rule.id,
        "account": rule.account,
        "sender_domain": rule.sender_domain,
        "recipient_domain": rule.recipient_domain,
    }


@click.command("list")
@json_option
@click.pass_context
def rules_list(ctx: click.Context, as_json: bool) -> None:
    """Print the hold rules: number, and what a message must match."""
    with connect(ctx) as client:
        rules = client.call(ctl.QUEUE_HOLDRULES, Nothing()).rules
    if as_json:
        print_json([_plain(rule) for rule in rules])
        return
    for rule in rules:
        click.echo(_text(rule))
    if not rules:
        click.echo("(none)")


@click.command("add")
@click.option("--account", default="", metavar="NAME", help="Messages of this account.")
@click.option("--senderdom", default="", metavar="DOMAIN", help="From this domain.")
@click.option("--recipientdom", default="", metavar="DOMAIN", help="To this domain.")
@json_option
@click.pass_context
def rules_add(
    ctx: click.Context, account: str, senderdom: str, recipientdom: str, as_json: bool
) -> None:
    """Hold messages that match everything given, those in the queue and new ones; without options, all."""
    arguments = ctl.HoldRuleAdd(
        account=account, sender_domain=senderdom, recipient_domain=recipientdom
    )
    with connect(ctx) as client:
        added = client.call(ctl.QUEUE_HOLDRULE_ADD, arguments)
    if as_json:
        print_json({"rule": _plain(added.rule), "count": added.count})
        return
    click.echo(f"{_text(added.rule)}: {added.count} in the queue put on hold")


@click.command("remove")
@click.argument("number", type=int)
@click.pass_context
def rules_remove(ctx: click.Context, number: int) -> None:
    """Remove a rule. Messages on hold stay so; release them with: mox queue unhold"""
    with connect(ctx) as client:
        client.call(ctl.QUEUE_HOLDRULE_REMOVE, ctl.QueueNumber(number=number))
    click.echo("hold rule removed")
