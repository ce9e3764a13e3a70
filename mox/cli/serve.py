"""``mox serve``."""

import click

from mox.cli.setting import config_path


@click.command()
@click.pass_context
def serve(ctx: click.Context) -> int:
    """Run the mail server in the foreground.

    Reads mox.toml, and domains.toml beside it. SIGTERM, SIGINT or "mox stop" end it gracefully.
    """
    from mox.runtime.serve import run_serve

    return run_serve(config_path(ctx))
