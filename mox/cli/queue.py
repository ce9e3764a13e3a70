"""``mox queue``: messages on their way, and those that came to an end."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from mox.cli.group import LazyGroup
from mox.cli.queuefilter import (
    done_options,
    filter_options,
    read_filter,
    signed_duration_ms,
    sort_options,
    waiting_options,
)
from mox.cli.setting import connect, json_option, print_json
from mox.ctl import queuecommands as ctl
from mox.queue.entry import Attempt, Entry, Retired
from mox.queue.explain import explain, span
from mox.queue.filter import Filter, Sort

if TYPE_CHECKING:
    from mox.ctl.protocol import Command

F = TypeVar("F", bound=Callable[..., Any])

queue = LazyGroup(
    name="queue",
    help="Outgoing mail. Without filters, commands mean all messages.",
    table={
        "list": "mox.cli.queue:queue_list",
        "explain": "mox.cli.queue:queue_explain",
        "hold": "mox.cli.queue:queue_hold",
        "unhold": "mox.cli.queue:queue_unhold",
        "kick": "mox.cli.queue:queue_kick",
        "schedule": "mox.cli.queue:queue_schedule",
        "transport": "mox.cli.queue:queue_transport",
        "requiretls": "mox.cli.queue:queue_requiretls",
        "fail": "mox.cli.queue:queue_fail",
        "drop": "mox.cli.queue:queue_drop",
        "dump": "mox.cli.queue:queue_dump",
        "holdrules": "mox.cli.holdrules:holdrules",
        "retired": "mox.cli.queue:retired",
        "suppress": "mox.cli.suppress:suppress",
    },
)

retired = LazyGroup(
    name="retired",
    help="Messages that are done, as long as they are remembered.",
    table={
        "list": "mox.cli.queue:retired_list",
        "print": "mox.cli.queue:retired_print",
    },
)


def as_builtins(value: Any) -> Any:
    """A record with the names of its fields."""
    if isinstance(value, msgspec.Struct):
        return {name: as_builtins(one) for name, one in msgspec.structs.asdict(value).items()}
    if isinstance(value, tuple):
        return [as_builtins(one) for one in value]
    if isinstance(value, dict):
        return {name: as_builtins(one) for name, one in value.items()}
    return value


class Printer:
    """Prints records as they come; many of them are never in memory together."""

    def __init__(
        self, kind: type[msgspec.Struct], line: Callable[[Any], str], as_json: bool
    ) -> None:
        self._kind = kind
        self._line = line
        self._as_json = as_json
        self.count = 0

    def show(self, value: msgspec.Raw) -> None:
        """One more."""
        record = msgspec.json.decode(value, type=self._kind)
        if self._as_json:
            text = msgspec.json.encode(as_builtins(record)).decode()
            click.echo(("," if self.count else "[") + "\n  " + text, nl=False)
        else:
            click.echo(self._line(record))
        self.count += 1

    def end(self) -> None:
        """No more."""
        if self._as_json:
            click.echo("\n]" if self.count else "[]")
        elif not self.count:
            click.echo("(none)")


@click.command("list")
@filter_options
@waiting_options
@sort_options(Sort.NEXT_ATTEMPT, Sort.QUEUED)
@json_option
@click.pass_context
def queue_list(
    ctx: click.Context, /, sort: str, ascending: bool, as_json: bool, limit: int, **filters: Any
) -> None:
    """Print messages in the queue: number, when it was queued, from, to, next and last attempt, error."""
    if not as_json:
        click.echo("messages:")
    _show(ctx, ctl.QUEUE_LIST, Entry, _line, filters, (sort, ascending, limit), as_json)


def _show(
    ctx: click.Context,
    command: "Command[ctl.QueueWanted, ctl.QueueShown]",
    kind: type[msgspec.Struct],
    line: Callable[[Any], str],
    filters: dict[str, Any],
    order: tuple[str, bool, int],
    as_json: bool,
) -> None:
    printer = Printer(kind, line, as_json)
    sort, ascending, limit = order
    wanted = ctl.QueueWanted(
        filter=read_filter(filters), sort=Sort(sort), ascending=ascending, limit=limit
    )
    with connect(ctx) as client:
        client.call(command, wanted, progress=printer.show)
    printer.end()


def _line(entry: Entry) -> str:
    now = _now_ms()
    words = [
        str(entry.id),
        time_text(entry.queued_ms),
        entry.sender.path(),
        entry.recipient.path(),
        "held" if entry.hold else f"next {_relative(entry.next_ms, now)}",
        f"last {_relative(entry.last_ms, now)}" if entry.last_ms else "last never",
    ]
    if entry.transport:
        words.append(f"transport {entry.transport}")
    if entry.require_tls is not None:
        words.append(f"requiretls {'yes' if entry.require_tls else 'no'}")
    if entry.ending:
        words.append(f"to {entry.ending}")
    words.append(f"error {entry.last_error}" if entry.last_error else "no error")
    return "  ".join(words)


def _now_ms() -> int:
    from mox.base.clock import SystemClock

    return SystemClock().now_ms()


def _relative(time_ms: int, now_ms: int) -> str:
    if time_ms > now_ms:
        return f"in {span(time_ms - now_ms)}"
    return f"{span(now_ms - time_ms)} ago"


def time_text(time_ms: int) -> str:
    """For people, in UTC."""
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@click.command("explain")
@click.argument("number", type=int)
@json_option
@click.pass_context
def queue_explain(ctx: click.Context, number: int, as_json: bool) -> None:
    """Tell what happened to message NUMBER, also after its end, and what comes next.

    Every attempt with its hosts, addresses, the TLS that was asked for and why, the certificate, the
    replies, how long it took, and what was done then.
    """
    attempts: list[Attempt] = []
    with connect(ctx) as client:
        found = client.call(
            ctl.QUEUE_EXPLAIN,
            ctl.QueueNumber(number=number),
            progress=lambda value: attempts.append(msgspec.json.decode(value, type=Attempt)),
        )
    message = found.entry or found.retired
    assert message is not None
    if as_json:
        print_json({"message": as_builtins(message), "attempts": as_builtins(tuple(attempts))})
    else:
        click.echo("\n".join(explain(message, attempts, found.now_ms, found.schedule)))


def _changing(command: F) -> F:
    return waiting_options(filter_options(json_option(command)))


def _changed(count: int, what: str, as_json: bool) -> None:
    if as_json:
        print_json({"count": count})
    else:
        click.echo(f"{count} message{'' if count == 1 else 's'} {what}")


@click.command("hold")
@_changing
@click.pass_context
def queue_hold(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """Put messages on hold: they are not delivered until they are released."""
    arguments = ctl.QueueHold(filter=read_filter(filters), limit=limit, on=True)
    with connect(ctx) as client:
        _changed(client.call(ctl.QUEUE_HOLD, arguments).count, "on hold", as_json)


@click.command("unhold")
@_changing
@click.pass_context
def queue_unhold(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """Release messages that are on hold."""
    arguments = ctl.QueueHold(filter=read_filter(filters), limit=limit, on=False)
    with connect(ctx) as client:
        _changed(client.call(ctl.QUEUE_HOLD, arguments).count, "released", as_json)


def _schedule(ctx: click.Context, wanted: Filter, limit: int, delay_ms: int, from_now: bool) -> int:
    arguments = ctl.QueueSchedule(filter=wanted, limit=limit, delay_ms=delay_ms, from_now=from_now)
    with connect(ctx) as client:
        return client.call(ctl.QUEUE_SCHEDULE, arguments).count


@click.command("kick")
@_changing
@click.pass_context
def queue_kick(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """Try messages now. The same as: mox queue schedule --now 0"""
    _changed(_schedule(ctx, read_filter(filters), limit, 0, True), "scheduled", as_json)


@click.command("schedule", context_settings={"ignore_unknown_options": True})
@click.option("--now", "from_now", is_flag=True, help="Count from now, not from the next attempt.")
@click.argument("duration")
@_changing
@click.pass_context
def queue_schedule(
    ctx: click.Context, /, duration: str, from_now: bool, limit: int, as_json: bool, **filters: Any
) -> None:
    """Shift the next attempt of messages by DURATION, like 1h30m, 2d or -10m; with --now 0: try them now.

    Attempts made stay counted.
    """
    delay_ms = signed_duration_ms("DURATION", duration)
    count = _schedule(ctx, read_filter(filters), limit, delay_ms, from_now)
    _changed(count, "scheduled", as_json)


@click.command("transport")
@click.argument("name")
@_changing
@click.pass_context
def queue_transport(
    ctx: click.Context, /, name: str, limit: int, as_json: bool, **filters: Any
) -> None:
    """Send messages by transport NAME of mox.toml, whatever routes say; "" lets routes decide again."""
    arguments = ctl.QueueTransport(filter=read_filter(filters), limit=limit, transport=name)
    with connect(ctx) as client:
        _changed(client.call(ctl.QUEUE_TRANSPORT, arguments).count, "changed", as_json)


@click.command("requiretls")
@click.argument("value", type=click.Choice(["yes", "no", "default"]))
@_changing
@click.pass_context
def queue_requiretls(
    ctx: click.Context, /, value: str, limit: int, as_json: bool, **filters: Any
) -> None:
    """Send messages with verified TLS only (yes), over anything there is (no), or as policies say.

    RFC 8689. With "no", policies and certificates of the receiving side do not count.
    """
    require_tls = {"yes": True, "no": False, "default": None}[value]
    arguments = ctl.QueueRequireTls(
        filter=read_filter(filters), limit=limit, require_tls=require_tls
    )
    with connect(ctx) as client:
        _changed(client.call(ctl.QUEUE_REQUIRETLS, arguments).count, "changed", as_json)


@click.command("fail")
@_changing
@click.pass_context
def queue_fail(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """Give messages up; their senders get a notification that names the administrator.

    What is being delivered right now is given up when its attempt ends, unless it succeeds.
    """
    arguments = ctl.QueueMeant(filter=read_filter(filters), limit=limit)
    with connect(ctx) as client:
        _changed(client.call(ctl.QUEUE_FAIL, arguments).count, "given up", as_json)


@click.command("drop")
@_changing
@click.pass_context
def queue_drop(ctx: click.Context, /, limit: int, as_json: bool, **filters: Any) -> None:
    """Remove messages; their senders are not told.

    What is being delivered right now is removed when its attempt ends.
    """
    arguments = ctl.QueueMeant(filter=read_filter(filters), limit=limit)
    with connect(ctx) as client:
        _changed(client.call(ctl.QUEUE_DROP, arguments).count, "removed", as_json)


@click.command("dump")
@click.argument("number", type=int)
@click.pass_context
def queue_dump(ctx: click.Context, number: int) -> None:
    """Print message NUMBER as it is sent."""
    start = 0
    with connect(ctx) as client:
        while True:
            wanted = ctl.QueuePieceWanted(number=number, start=start)
            piece = client.call(ctl.QUEUE_DUMP, wanted)
            sys.stdout.buffer.write(piece.data)
            start += len(piece.data)
            if start >= piece.size or not piece.data:
                break
    sys.stdout.buffer.flush()


@click.command("list")
@filter_options
@done_options
@sort_options(Sort.LAST_ACTIVITY, Sort.QUEUED)
@json_option
@click.pass_context
def retired_list(
    ctx: click.Context, /, sort: str, ascending: bool, as_json: bool, limit: int, **filters: Any
) -> None:
    """Print messages that are done: number, when it was queued and done, from, to, what became of it."""
    if not as_json:
        click.echo("retired messages:")
    _show(
        ctx, ctl.QUEUE_RETIRED, Retired, _retired_line, filters, (sort, ascending, limit), as_json
    )


def _retired_line(done: Retired) -> str:
    entry = done.entry
    words = [
        str(entry.id),
        time_text(entry.queued_ms),
        f"done {time_text(done.last_activity_ms)}",
        entry.sender.path(),
        entry.recipient.path(),
        done.event,
        f"{entry.attempts} attempt{'' if entry.attempts == 1 else 's'}",
    ]
    words.append(f"error {entry.last_error}" if entry.last_error else "no error")
    return "  ".join(words)


@click.command("print")
@click.argument("number", type=int)
@click.pass_context
def retired_print(ctx: click.Context, number: int) -> None:
    """Print everything known of message NUMBER that is done, with its attempts, as JSON."""
    from mox.base.errors import Refused

    attempts: list[Attempt] = []
    with connect(ctx) as client:
        found = client.call(
            ctl.QUEUE_EXPLAIN,
            ctl.QueueNumber(number=number),
            progress=lambda value: attempts.append(msgspec.json.decode(value, type=Attempt)),
        )
    if found.retired is None:
        raise Refused(f"message {number} is not done; see: mox queue explain {number}")
    done = as_builtins(found.retired)
    print_json({**done, "attempts": as_builtins(tuple(attempts))})
