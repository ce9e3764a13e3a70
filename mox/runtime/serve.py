"""``mox serve``: the supervisor in the process that was called, the worker in its child."""

import os
import sys
from pathlib import Path

from mox.base import log as logging
from mox.base.errors import MoxError
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.inheritance import taken_from
from mox.runtime.supervisor import supervise
from mox.runtime.worker import WorkerOptions, run_worker


def run_serve(config_path: Path) -> int:
    """Serve until stopped; the exit code.    Errors: MoxError when it cannot start."""
    files = ConfigFiles(config_path)
    static = files.live.config.static
    logging.configure(static.log_level, dict(static.package_log_levels))
    return supervise(files)


def run_child(arguments: list[str]) -> int:
    """The worker's process; the exit code.    What it needs comes from the parent."""
    try:
        handed = taken_from(os.environ)
        files = ConfigFiles(Path(arguments[0]), static_text=handed.static_text())
        options = WorkerOptions(supervised=True, ready=handed.tell_ready, handed_file=handed.path)
        return run_worker(files, options, handed.bound())
    except MoxError as error:
        for line in error.public.splitlines():
            sys.stderr.write(f"mox: {line}\n")
        return 1


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[1:]))
