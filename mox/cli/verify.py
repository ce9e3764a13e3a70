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
    from mox.store.verify import verify_folder

    problems = verify_folder(datadir, junk=junk)
    if as_json:
        print_json([{"where": problem.where, "text": problem.text} for problem in problems])
    elif not problems:
        click.echo(f"{datadir} is consistent")
    else:
        for problem in problems:
            click.echo(f"{problem.where}: {problem.text}")
    return 1 if problems else 0
