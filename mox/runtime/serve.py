"""``mox serve``: the supervisor in the process that was called, the worker in its child."""

import os
import sys
from pathlib import Path

from mox.base import log as logging
from mox.runtime.configfiles import ConfigFiles
from mox.runtime.listeners import VARIABLE, inherit
from mox.runtime.supervisor import supervise
from mox.runtime.worker import WorkerOptions, run_worker


def run_serve(config_path: Path) -> int:
    """Serve until stopped; the exit code.    Errors: MoxError when it cannot start."""
    files = ConfigFiles(config_path)
    static = files.live.config.static
    logging.configure(static.log_level, dict(static.package_log_levels))
    return supervise(files)


def run_child(arguments: list[str]) -> int:
    """The worker's process: sockets come from the parent."""
    files = ConfigFiles(Path(arguments[0]))
    bound = inherit(os.environ.pop(VARIABLE))
    return run_worker(files, WorkerOptions(supervised=True), bound)


if __name__ == "__main__":
    sys.exit(run_child(sys.argv[1:]))
