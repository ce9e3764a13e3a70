"""The pages of ``docs/reference``, made from the texts that the program itself has.

``python -m mox.cli.reference docs/reference`` writes them; a test compares.
"""

import inspect
import sys
from pathlib import Path

import click

from mox.base import metrics
from mox.base.limits import REGEXP_SUBJECT
from mox.cli.group import leaves, usage
from mox.cli.main import mox
from mox.config.describe import describe_domains, describe_sendmail, describe_static

_MADE = "<!-- Made by: bash ci/reference -->\n"


def pages() -> dict[str, str]:
    """File name → content."""
    return {"cli.md": _cli(), "config.md": _config(), "metrics.md": _metrics()}


def _cli() -> str:
    text = (
        f"# Command line\n\n{_MADE}\n"
        "Exit codes: 0 done; 1 could not be done, with one line per problem on standard error;"
        " 2 not understood.\n\n"
        "`--config PATH` before the command names `mox.toml`; else it is `$MOX_CONFIG`, else"
        " `config/mox.toml`.\n"
    )
    with click.Context(mox, info_name="mox") as ctx:
        for words, command in leaves(mox, ctx):
            text += f"\n## mox {' '.join(words)}\n\n    {usage(words, command, ctx)}\n\n"
            text += f"{inspect.cleandoc(command.help or '')}\n"
            options = [one for one in command.params if isinstance(one, click.Option)]
            if options:
                text += "\n" + "".join(f"- `{'`, `'.join(o.opts)}` {o.help}\n" for o in options)
    return text


def _config() -> str:
    return (
        f"# Configuration\n\n{_MADE}\n"
        "Two TOML files in one folder. An unknown key is an error. `mox config test` checks both.\n\n"
        "Lengths of time are written like `300ms`, `15s`, `10m`, `72h`, `1h30m`. Regular expressions"
        " have the syntax of RE2 without Unicode classes: nothing that looks ahead or behind, no back"
        " references, so that no message takes long. They are searched for; `^` and `$` tie them to"
        f" the ends. The first {REGEXP_SUBJECT} characters of a text are searched.\n"
        f"\n## mox.toml\n\n```toml\n{describe_static()}```\n"
        f"\n## domains.toml\n\n```toml\n{describe_domains()}```\n"
        f"\n## moxsubmit.toml\n\nFor `mox sendmail`.\n\n```toml\n{describe_sendmail()}```\n"
    )


def _metrics() -> str:
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.text} |\n"
        for one in metrics.descriptions()
    ]
    return (
        f"# Metrics\n\n{_MADE}\n"
        "Served as `/metrics` by listeners with `metrics_http`, beside the usual metrics of the"
        " process and of Python.\n\n"
        "| name | type | labels | meaning |\n|---|---|---|---|\n" + "".join(rows)
    )


def write(folder: Path) -> None:
    """Write all pages."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
