"""Options of ``mox queue`` that say which messages are meant, and in which order."""

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from mox.base.clock import SystemClock
from mox.cli.lookup import not_understood
from mox.config.duration import Duration
from mox.queue.filter import Filter, Sort, Span

F = TypeVar("F", bound=Callable[..., Any])

_DAYS = re.compile(r"([0-9]{1,5})d")
_BOUND = re.compile(r"([<>])\s*(-?)\s*(.+)")


def filter_options(command: F) -> F:
    """As the parameter ``filters``, to be given to ``read_filter``; without any, all messages."""
    options = (
        click.option("--ids", default="", metavar="1,2", help="Only these numbers."),
        click.option("--account", default="", metavar="NAME", help="Only those of an account."),
        click.option(
            "--from",
            "sender",
            default="",
            metavar="TEXT",
            help="Only those whose sender has this in it: an address, or @domain.",
        ),
        click.option(
            "--to", "recipient", default="", metavar="TEXT", help="The same of the recipient."
        ),
        click.option(
            "--submitted",
            default="",
            metavar="<1h|>1h",
            help="Only those sent less, or more, than so long ago.",
        ),
        click.option(
            "--transport",
            default=None,
            metavar="NAME",
            help='Only those with this transport; "" none.',
        ),
        click.option(
            "-n", "--max", "limit", default=0, type=click.IntRange(0), help="At most so many."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def waiting_options(command: F) -> F:
    """More of ``filter_options``: for messages that wait."""
    command = click.option(
        "--hold", default=None, type=bool, metavar="true|false", help="Only those on hold, or not."
    )(command)
    return click.option(
        "--nextattempt",
        default="",
        metavar="<1h|>1h",
        help="Only those tried next within, or after, so long; <now: those that are due.",
    )(command)


def done_options(command: F) -> F:
    """More of ``filter_options``: for messages that are done."""
    command = click.option(
        "--result",
        default=None,
        type=click.Choice(["success", "failure"]),
        help="Only those delivered, or not.",
    )(command)
    return click.option(
        "--lastactivity",
        default="",
        metavar="<1h|>1h",
        help="Only those done less, or more, than so long ago.",
    )(command)


def read_filter(options: dict[str, Any]) -> Filter:
    """The filter of these options.    Errors: click.BadParameter."""
    result = options.get("result")
    return Filter(
        ids=_ids(options["ids"]),
        account=options["account"],
        sender=options["sender"],
        recipient=options["recipient"],
        queued=past("--submitted", options["submitted"]),
        next=future("--nextattempt", options.get("nextattempt", "")),
        last_activity=past("--lastactivity", options.get("lastactivity", "")),
        transport=options["transport"],
        hold=options.get("hold"),
        success=None if result is None else result == "success",
    )


def sort_options(*sorts: Sort) -> Callable[[F], F]:
    """``--sort`` with these orders, the first by default, and ``--asc``."""

    def add(command: F) -> F:
        command = click.option(
            "--asc/--desc",
            "ascending",
            default=True,
            help="Order: ascending (default), descending.",
        )(command)
        return click.option(
            "--sort",
            default=sorts[0].value,
            type=click.Choice([sort.value for sort in sorts]),
            help="By what.",
        )(command)

    return add


def _ids(text: str) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word.isascii() and word.isdigit() and len(word) < 19 for word in words):
        raise not_understood("--ids", f"{text!r} is not a list of numbers like 1,2,3")
    return tuple(int(word) for word in words)


def future(option: str, text: str) -> Span:
    """``<2h``: before two hours from now; ``>2h``: after that."""
    return _span(option, text)


def past(option: str, text: str) -> Span:
    """``<2h``: less than two hours ago; ``>2h``: longer ago.

    With a sign it is a time relative to now, as the reference has it: ``<-2h`` is before two hours ago.
    """
    found = _BOUND.fullmatch(text)
    if found is not None and not found[2] and found[3] != "now":
        text = f"{'<' if found[1] == '>' else '>'}-{found[3]}"
    return _span(option, text)


def _span(option: str, text: str) -> Span:
    if not text:
        return Span()
    found = _BOUND.fullmatch(text)
    if found is None:
        raise not_understood(option, f"{text!r} does not begin with < or >")
    now = SystemClock().now_ms()
    length = 0 if found[3] == "now" else duration_ms(option, found[3])
    time_ms = now - length if found[2] else now + length
    return Span(before_ms=time_ms) if found[1] == "<" else Span(after_ms=time_ms)


def duration_ms(option: str, text: str) -> int:
    """``90s``, ``1h30m``, ``3d``.    Errors: click.BadParameter."""
    days = _DAYS.fullmatch(text)
    if days is not None:
        return int(days[1]) * 86_400_000
    try:
        return Duration(text).ms
    except ValueError as error:
        raise not_understood(option, str(error)) from error


def signed_duration_ms(option: str, text: str) -> int:
    """The same, also with a minus sign."""
    if text.startswith("-"):
        return -duration_ms(option, text[1:])
    return duration_ms(option, text)
