"""``mox verdict``: why a message was accepted, put aside or refused."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
import msgspec

from mox.cli.lookup import not_understood
from mox.cli.period import since_ms
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import commands

if TYPE_CHECKING:
    from mox.inbound.verdict import Verdict

_LABEL = 10  # characters before the text of a line


@click.command()
@click.argument("message_id", metavar="MESSAGE-ID", required=False, default="")
@click.option("--account", default="", metavar="NAME", help="Only decisions for this account.")
@click.option(
    "--since", default="", metavar="TIME", help="Only those of the last 30m, 12h, 1d, 2w, ..."
)
@click.option(
    "--limit", default=20, metavar="N", type=click.IntRange(1, 10_000), help="At most so many: 20."
)
@json_option
@click.pass_context
def verdict(
    ctx: click.Context, message_id: str, account: str, since: str, limit: int, as_json: bool
) -> int:
    """Tell why messages were accepted, put aside or refused, the newest first.

    Name a MESSAGE-ID, as it stands in the message, an account, or a time. Each check is shown with
    what it was asked and what it found, then the rule that decided, and what would have changed the
    outcome. Exits with 1 when nothing is found.
    """
    if not (message_id or account or since):
        raise click.UsageError("name a MESSAGE-ID, --account or --since", ctx)
    wanted = commands.VerdictsWanted(
        message_id=_canonical(message_id) if message_id else "",
        account=account,
        since_ms=since_ms(since),
        limit=limit,
    )
    found: list[Verdict] = []
    with connect(ctx) as client:
        client.call(commands.VERDICTS, wanted, progress=lambda value: found.append(_decoded(value)))
    if as_json:
        print_json([as_builtins(one) for one in found])
    elif not found:
        click.echo("no decision is remembered", err=True)
    else:
        click.echo("\n\n".join("\n".join(lines(one)) for one in found))
    return 0 if found else 1


def _canonical(message_id: str) -> str:
    from mox.message.messageid import canonical

    text = message_id.strip()
    found = canonical((text if text.startswith("<") else f"<{text}>").encode())
    if found is None:
        raise not_understood("MESSAGE-ID", f"{message_id!r} is not a message id")
    return found.value


def _decoded(value: msgspec.Raw) -> "Verdict":
    from mox.inbound.verdict import Verdict

    return msgspec.json.decode(value, type=Verdict)


def as_builtins(value: Any) -> Any:
    """A record with the names of its fields, as they are stored without."""
    if isinstance(value, msgspec.Struct):
        return {name: as_builtins(one) for name, one in msgspec.structs.asdict(value).items()}
    if isinstance(value, tuple):
        return [as_builtins(one) for one in value]
    return value


def lines(one: "Verdict") -> Iterator[str]:
    """A verdict for people."""
    when = datetime.fromtimestamp(one.at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    yield f"{when} UTC  {_headline(one)}"
    author = one.author or "nobody"
    envelope = "" if one.mail_from == one.author else f" (envelope: {one.mail_from or '<>'})"
    yield _line("from", author + envelope)
    via = f" for {one.member}" if one.member else ""
    yield _line("to", f"{one.rcpt_to}{via}, account {one.account}")
    yield _line(
        "message",
        f"<{one.message_id}>, {one.size} bytes" if one.message_id else f"{one.size} bytes",
    )
    client = " ".join(filter(None, (one.remote_ip, one.remote_name, f"EHLO {one.hello}")))
    yield _line("client", f"{client}, {one.tls or 'no TLS'}, connection {one.connection}")
    yield _line("kept", _kept(one))
    for number, check in enumerate(one.checks):
        note = f" ({check.note})" if check.note else ""
        took = f" {check.took_ms} ms" if check.took_ms else ""
        asked = f" {check.asked}" if check.asked else ""
        text = f"{check.check:<11} {check.result}{asked}{note}{took}"
        yield _line("" if number else "checks", text)
    yield from _history(one)
    yield from _content(one)
    for number, change in enumerate(one.changes):
        yield _line("" if number else "otherwise", f"{change.what}: {change.then}")


def _line(label: str, text: str) -> str:
    return f"  {label:<{_LABEL}}{text}"


def _headline(one: "Verdict") -> str:
    if one.error:
        return f"NOT STORED  {one.error} (judged: {one.reason})"
    if one.accepted:
        return f"ACCEPTED  {one.reason}"
    if one.code == 250:
        return f"PUT ASIDE  {one.reason}"
    return f"REFUSED  {one.code} {one.enhanced}  {one.reason}"


def _kept(one: "Verdict") -> str:
    if not one.mailbox:
        return "nowhere"
    text = f"in {one.mailbox}"
    if one.destined:
        text += f", meant for {one.destined}"
    if one.delayed_s:
        text += f", after {one.delayed_s:g} seconds"
    return text


def _history(one: "Verdict") -> Iterator[str]:
    known = one.history
    if known is None:
        return
    word = {True: "junk", False: "not junk", None: "unknown"}[known.junk]
    sure = "conclusive" if known.conclusive else "inconclusive"
    yield _line("history", f"{known.method}: {word}, {sure}")
    for signal in known.signals:
        votes = f"{signal.junk} of {signal.messages} messages junk"
        yield _line("", f"{signal.kind.replace('_', ' ')} {signal.value}: {votes}")


def _content(one: "Verdict") -> Iterator[str]:
    found = one.content
    if found is None:
        return
    strict = ", the strict threshold" if found.strict else ""
    sure = "" if found.significant else ", from too little to count"
    yield _line(
        "content",
        f"junk probability {found.probability:.2f}, limit {found.threshold:.2f}{strict}{sure}",
    )
    for kind, words in (("junk", found.spam), ("not junk", found.ham)):
        if words:
            said = ", ".join(f"{word.word} {word.score:.2f}" for word in words)
            yield _line("", f"words for {kind}: {said}")
