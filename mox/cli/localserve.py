"""``mox localserve``."""

from ipaddress import ip_address
from pathlib import Path

import click


def _check_ip(_ctx: click.Context, _param: click.Parameter, value: str | None) -> str | None:
    if value is not None:
        try:
            ip_address(value)
        except ValueError as error:
            raise click.BadParameter(f"{value!r} is not an IP address") from error
    return value


@click.command()
@click.option(
    "--dir",
    "folder",
    metavar="FOLDER",
    # What is wrong with it is said in a sentence by localserve itself.
    type=click.Path(file_okay=False, readable=False, path_type=Path),
    help="Configuration and data; made at the first start. Default: mox-localserve in your"
    " configuration folder.",
)
@click.option(
    "--ip", metavar="ADDRESS", callback=_check_ip, help="Address to listen on. Default: 127.0.0.1."
)
@click.option(
    "--port-offset",
    metavar="NUMBER",
    type=click.IntRange(0, 64000),
    help="Added to the standard ports. Default: 1000, so IMAP is on 1143.",
)
@click.option("--initonly", is_flag=True, help="Make the files, then exit.")
def localserve(folder: Path | None, ip: str | None, port_offset: int | None, initonly: bool) -> int:
    """Run a mail server for tests on this machine, with a ready account.

    All mail, to whatever address, is delivered to the account mox@localhost. It prints what it
    listens on and how to log in. --ip and --port-offset count at the first start.
    """
    from mox.runtime.localserve import run_localserve

    return run_localserve(folder, ip, port_offset, initonly)
