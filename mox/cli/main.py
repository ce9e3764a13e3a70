"""The command ``mox``.

Exit codes: 0 done, 1 could not be done (one sentence per problem on standard error), 2 not
understood (usage and help of the command on standard error).    spec/cli.md section 1.
"""

import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from mox.base.errors import MoxError
from mox.cli.group import LazyGroup, print_error

COMMANDS = {
    "serve": "mox.cli.serve:serve",
    "localserve": "mox.cli.localserve:localserve",
    "stop": "mox.cli.control:stop",
    "loglevels": "mox.cli.control:loglevels",
    "setaccountpassword": "mox.cli.control:setaccountpassword",
    "deliver": "mox.cli.control:deliver",
    "config": "mox.cli.config:config",
    "queue": "mox.cli.queue:queue",
    "verdict": "mox.cli.verdict:verdict",
    "verifydata": "mox.cli.verify:verifydata",
    "retrain": "mox.cli.junk:retrain",
    "junk": "mox.cli.junk:junk",
    "spf": "mox.cli.spf:spf",
    "dkim": "mox.cli.dkim:dkim",
    "dmarc": "mox.cli.dmarc:dmarc",
    "tlsrpt": "mox.cli.tlsrpt:tlsrpt",
    "mtasts": "mox.cli.mtasts:mtasts",
    "dane": "mox.cli.dane:dane",
    "sendmail": "mox.cli.sendmail:sendmail",
    "dnsbl": "mox.cli.dnsbl:dnsbl",
    "dns": "mox.cli.dns:dns",
    "version": "mox.cli.about:version",
    "help": "mox.cli.about:help_",
}
TRACE_VARIABLE = "MOX_TRACEBACK"  # set: an internal error shows its trace

mox = LazyGroup(table=COMMANDS, name="mox", help="A mail server.")
mox.params.append(
    click.Option(
        ["--config"],
        metavar="PATH",
        help="The file mox.toml; default: $MOX_CONFIG, else config/mox.toml.",
    )
)


def main() -> NoReturn:
    """Run the command line and exit."""
    arguments = sys.argv[1:]
    if os.path.basename(sys.argv[0]) == "sendmail":
        # Linked to /usr/sbin/sendmail, for programs that know nothing else.
        arguments.insert(0, "sendmail")
    sys.exit(run(arguments))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    try:
        code = mox.main(args=list(arguments), prog_name="mox", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.UsageError as error:
        return _explain(error)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        print_error(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        print_error("interrupted")
    except MoxError as error:
        print_error(error.public)
    except BrokenPipeError:
        # Whoever read our output went away (mox ... | head): nothing is left to say, and Python
        # must not try to say it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print_error(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except Exception as error:
        if os.environ.get(TRACE_VARIABLE):
            raise
        print_error(
            f"internal error: {type(error).__name__}: {error} ({TRACE_VARIABLE}=1 shows the trace)"
        )
    return 1


def _explain(error: click.UsageError) -> int:
    """Usage and help of the command whose arguments were not understood."""
    if error.ctx is not None:
        print(error.ctx.get_help(), file=sys.stderr)
        print(file=sys.stderr)
    print_error(error.format_message())
    return 2


if __name__ == "__main__":
    main()
