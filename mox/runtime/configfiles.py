"""The two configuration files on disk: read, watched, rewritten.

Source  spec/config.md section 10.  A file that became invalid is logged and the old configuration stays;
it is tried again when the file changes.  Rewriting replaces the file as a whole and refuses when
somebody edited it meanwhile.
"""

from pathlib import Path

from mox.base.errors import Refused
from mox.base.files import write_atomic
from mox.base.log import get_logger
from mox.config.live import Config, Live
from mox.config.load import load, load_domains
from mox.config.problems import ConfigInvalid

log = get_logger("config")

DOMAINS_FILE = "domains.toml"
Stamp = tuple[int, int, int]


class ConfigFiles:
    """``mox.toml`` at the given path and ``domains.toml`` beside it."""

    def __init__(self, path: Path, *, fallback_account: str = "") -> None:
        self.path = path
        self.domains_path = path.parent / DOMAINS_FILE
        self._fallback = fallback_account
        self._stamp: Stamp | None = None
        self._tried: Stamp | None = None
        self.live = Live(self._read())

    @property
    def data_dir(self) -> Path:
        """Where accounts and the control socket are."""
        return (self.path.parent / self.live.config.static.data_dir).resolve()

    def relative(self, name: str) -> Path:
        """A path named in ``mox.toml``."""
        return self.path.parent / name

    def _read(self) -> Config:
        """Errors: ConfigInvalid, Refused when a file cannot be read."""
        self._stamp = self._tried = _stamp(self.domains_path)
        return load(
            _text(self.path),
            _text(self.domains_path),
            static_file=str(self.path),
            domains_file=str(self.domains_path),
            fallback_account=self._fallback,
        )

    def poll(self) -> bool:
        """Take up a changed ``domains.toml``.    True when there is a new configuration.    Blocks."""
        stamp = _stamp(self.domains_path)
        if stamp in {self._stamp, self._tried}:
            return False
        self._tried = stamp
        try:
            config = self._parse(_text(self.domains_path))
        except (ConfigInvalid, Refused) as error:
            log.error("config.reload_refused", file=str(self.domains_path), problem=error.public)
            return False
        self._stamp = stamp
        self.live.swap(config)
        log.info("config.reloaded", file=str(self.domains_path))
        return True

    def domains_text(self) -> str:
        """The text that the current configuration was made of.

        Errors  Refused, when the file was edited since and that edit is not in force.
        """
        self.poll()
        if _stamp(self.domains_path) != self._stamp:
            raise Refused(
                f"{self.domains_path} was edited and is not valid; put that right first"
                " (mox config test says what is wrong)"
            )
        return _text(self.domains_path)

    def rewrite(self, text: str) -> None:
        """Check a new ``domains.toml``, put it in place and make it current.

        Errors  ConfigInvalid; then file and configuration are as before.
        """
        config = self._parse(text)
        write_atomic(self.domains_path, text.encode(), mode=0o640)
        self._stamp = self._tried = _stamp(self.domains_path)
        self.live.swap(config)

    def _parse(self, text: str) -> Config:
        return load_domains(
            self.live.config.static,
            text,
            file=str(self.domains_path),
            fallback_account=self._fallback,
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise Refused(f"{path} is not UTF-8 text (byte {error.start})", cause=error) from error
    except OSError as error:
        raise Refused(f"cannot read {path}: {error.strerror}", cause=error) from error


def _stamp(path: Path) -> Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
