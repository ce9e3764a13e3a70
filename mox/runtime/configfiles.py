"""The two configuration files on disk: read, watched, rewritten.

Source  spec/config.md section 10.  A file that became invalid is logged and the old configuration stays;
it is tried again when the file changes.  Rewriting replaces the file as a whole and refuses when
somebody edited it meanwhile.
Laws    files are read, parsed and written in a thread; the swap happens on the event loop; one
        reload or edit at a time.
"""

import asyncio
from collections.abc import Callable
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
Change = Callable[[Config, str], str]
"""An edit: the current configuration and the text it was made of → the new text."""


class ConfigFiles:
    """``mox.toml`` at the given path and ``domains.toml`` beside it."""

    def __init__(
        self, path: Path, *, fallback_account: str = "", static_text: str | None = None
    ) -> None:
        """Read both.    Blocks.

        Input   fallback_account: as in ``make_config``.
                static_text: of ``mox.toml``, where a parent process read it already.
        Errors  ConfigInvalid, Refused when a file cannot be read.
        """
        self.path = path
        self.domains_path = path.parent / DOMAINS_FILE
        self.static_text = _text(path) if static_text is None else static_text
        self._fallback = fallback_account
        self._turn = asyncio.Lock()
        self._stamp = self._tried = stamp_of(self.domains_path)
        self.live = Live(
            load(
                self.static_text,
                _text(self.domains_path),
                static_file=str(path),
                domains_file=str(self.domains_path),
                fallback_account=fallback_account,
            )
        )

    @property
    def data_dir(self) -> Path:
        """Where accounts and the control socket are."""
        return (self.path.parent / self.live.config.static.data_dir).resolve()

    def relative(self, name: str) -> Path:
        """A path named in ``mox.toml``."""
        return self.path.parent / name

    async def poll(self) -> bool:
        """Take up a changed ``domains.toml``.    True when there is a new configuration."""
        async with self._turn:
            return await self._take_up()

    async def edit(self, change: Change) -> None:
        """Change ``domains.toml`` and make the result current.

        Errors  those of ``change``; ConfigInvalid; Refused when the file was edited by hand and that is
                not in force, or when it cannot be written.  Then file and configuration are as before.
        """
        async with self._turn:
            await self._take_up()
            self.live.swap(await asyncio.to_thread(self._rewrite, change))

    async def _take_up(self) -> bool:
        config = await asyncio.to_thread(self._read_changed)
        if config is None:
            return False
        log.info("config.reloaded", file=str(self.domains_path))
        self.live.swap(config)
        return True

    def _read_changed(self) -> Config | None:
        # Before reading: what is written while we read shows as a change next time.
        stamp = stamp_of(self.domains_path)
        if stamp in {self._stamp, self._tried}:
            return None
        self._tried = stamp
        try:
            config = self._parse(_text(self.domains_path))
        except (ConfigInvalid, Refused) as error:
            log.error("config.reload_refused", file=str(self.domains_path), problem=error.public)
            return None
        self._stamp = stamp
        return config

    def _rewrite(self, change: Change) -> Config:
        text = _text(self.domains_path)
        if stamp_of(self.domains_path) != self._stamp:
            raise Refused(
                f"{self.domains_path} was edited and is not valid; put that right first"
                " (mox config test says what is wrong)"
            )
        new_text = change(self.live.config, text)
        config = self._parse(new_text)
        if stamp_of(self.domains_path) != self._stamp:
            raise Refused(f"{self.domains_path} was edited at this moment; try again")
        try:
            write_atomic(self.domains_path, new_text.encode(), mode=0o640)
        except OSError as error:
            raise Refused(
                f"cannot replace {self.domains_path}: {error.strerror}; its folder must be writable"
                " for the server's user",
                cause=error,
            ) from error
        stamp = stamp_of(self.domains_path)
        # Whoever saved in between is not to be overlooked.
        self._stamp = self._tried = stamp if _text(self.domains_path) == new_text else None
        return config

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


def stamp_of(path: Path) -> Stamp | None:
    """What changes when a file does: time, size, inode; None when it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
