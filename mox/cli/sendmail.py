"""``mox sendmail``: hand a message of cron or a script to a mail server.    spec/cli.md section 7."""

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from mox.base.errors import MoxError, Refused
from mox.base.limits import MESSAGE_SIZE

CONFIG = "/etc/moxsubmit.toml"
CONFIG_VARIABLE = "MOX_SENDMAIL_CONFIG"
_WITH_VALUE = frozenset("fFrBCNRVXLhOp")  # flags of sendmail that may be followed by their value


@click.command(
    "sendmail",
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
    add_help_option=True,
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def sendmail(arguments: tuple[str, ...]) -> None:
    """Read a message from standard input and submit it, as programs expect of sendmail.

    With -t the recipients are those of To, Cc and Bcc, otherwise they are arguments. Other flags of
    sendmail are taken and ignored. How it is submitted is in /etc/moxsubmit.toml (mox config
    describe-sendmail prints one; $MOX_SENDMAIL_CONFIG names another). What cannot be submitted is
    kept in ~/moxsubmit.failures.
    """
    import asyncio

    from mox.base.clock import SystemClock
    from mox.config.load import parse_sendmail
    from mox.outbound.handover import hand_over, prepare, recipients_in, recipients_of
    from mox.runtime.authorities import system_authorities
    from mox.tlspolicy.pkix import Authorities

    named, from_header = _parse(arguments)
    message = sys.stdin.buffer.read(MESSAGE_SIZE + 1)
    if len(message) > MESSAGE_SIZE:
        raise Refused(f"the message is larger than {MESSAGE_SIZE} bytes")
    try:
        path = os.environ.get(CONFIG_VARIABLE, CONFIG)
        config = parse_sendmail(Path(path).read_text(), path)
        recipients = recipients_of(config, recipients_in(message) if from_header else named)
        if not recipients:
            raise Refused("no recipients")
        asyncio.run(
            hand_over(
                config,
                prepare(config, message, recipients),
                recipients,
                authorities=Authorities.from_pem(system_authorities()),
                clock=SystemClock(),
            )
        )
    except (MoxError, OSError) as error:
        reason = error.public if isinstance(error, MoxError) else str(error)
        raise Refused(f"{reason}; the message is kept in {_keep(message)}", cause=error) from error


def _parse(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """Recipients, and whether -t was given."""
    named: list[str] = []
    from_header = False
    left = list(arguments)
    while left:
        one = left.pop(0)
        if one == "--":
            return named + left, from_header
        if not one.startswith("-") or one == "-":
            named.append(one)
        elif one == "-t" or one == "-ti":
            from_header = True
        elif len(one) == 2 and one[1] in _WITH_VALUE and left:
            left.pop(0)
    return named, from_header


def _keep(message: bytes) -> Path:
    """Save a message that could not be submitted.    Errors: OSError."""
    folder = Path.home() / "moxsubmit.failures"
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix="newmsg.", dir=folder)
    with os.fdopen(descriptor, "wb") as file:
        file.write(message)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
