"""``mox verifydata``."""

from pathlib import Path

import click

from mox.cli.setting import json_option, print_json


@click.command()
@click.argument("datadir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--junk", is_flag=True, help="Count the words of junk filters again; reads all mail.")
@json_option
def verifydata(datadir: Path, junk: bool, as_json: bool) -> int:
    """Check that everything in a data folder is there and fits together.

    The server must not be running on it; check a copy, or stop the server first. Prints each
    problem and exits with 1 when there are any.
    """
    from mox.queue.verify import verify_queue_folder
    from mox.reports.verify import verify_folder as verify_reports
    from mox.store.verify import verify_folder

    problems = [(one.where, one.text) for one in verify_folder(datadir, junk=junk)]
    for server in (datadir / "server", datadir / "data" / "server"):
        problems += [("reports", text) for text in verify_reports(server)]
    for folder in (datadir / "queue", datadir / "data" / "queue"):
        problems += [(f"queue: {one.where}", one.text) for one in verify_queue_folder(folder)]
    if as_json:
        print_json([{"where": where, "text": text} for where, text in problems])
    elif not problems:
        click.echo(f"{datadir} is consistent")
    else:
        for where, text in problems:
            click.echo(f"{where}: {text}")
    return 1 if problems else 0
