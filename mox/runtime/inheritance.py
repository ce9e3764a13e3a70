"""What the supervisor hands to its worker: sockets, files that only root may read, a sign of life.

An environment variable names the descriptors.  Files travel as memory files, so that the worker can
open them as often as it likes, and sees when the supervisor renews their content.
"""

import os
import socket
from pathlib import Path

import msgspec
from msgspec import Struct

from mox.base.errors import Refused
from mox.base.files import write_all
from mox.base.limits import CERTIFICATE_FILE
from mox.runtime.configfiles import Stamp, stamp_of
from mox.runtime.listeners import Bound, Place

VARIABLE = "MOX_WORKER"


class _Socket(Struct, frozen=True, kw_only=True):
    place: Place
    descriptor: int


class Inheritance(Struct, frozen=True, kw_only=True):
    """As the variable has it."""

    sockets: tuple[_Socket, ...] = ()
    static: int = -1  # mox.toml, as it was when the supervisor started
    ready: int = -1  # a pipe: a byte when the worker serves
    files: dict[str, int] = {}  # by name as in mox.toml

    def encode(self) -> str:
        """For the environment."""
        return msgspec.json.encode(self).decode()

    @property
    def descriptors(self) -> list[int]:
        """All that the worker needs to have."""
        single = [one for one in (self.static, self.ready) if one >= 0]
        return [one.descriptor for one in self.sockets] + single + list(self.files.values())

    def bound(self) -> Bound:
        """The sockets, in the worker."""
        found: Bound = []
        for one in self.sockets:
            made = socket.socket(fileno=one.descriptor)
            made.setblocking(False)
            made.set_inheritable(False)
            found.append((one.place, made))
        return found

    def static_text(self) -> str:
        """``mox.toml``, in the worker."""
        return path_of(self.static).read_text(encoding="utf-8")

    def path(self, name: str) -> Path | None:
        """Where a file that was handed over can be opened; None for one that was not."""
        descriptor = self.files.get(name)
        return None if descriptor is None else path_of(descriptor)

    def tell_ready(self) -> None:
        """In the worker, once: it serves."""
        if self.ready >= 0:
            os.write(self.ready, b"1")
            os.close(self.ready)


def offer(bound: Bound) -> tuple[_Socket, ...]:
    """Sockets to hand over."""
    return tuple(_Socket(place=place, descriptor=one.fileno()) for place, one in bound)


def taken_from(environment: "os._Environ[str]") -> Inheritance:
    """What this process was handed; the variable is removed, for our own children."""
    return msgspec.json.decode(environment.pop(VARIABLE), type=Inheritance)


def path_of(descriptor: int) -> Path:
    """A path at which a descriptor of this process can be opened anew."""
    return Path(f"/proc/self/fd/{descriptor}")


class Copy:
    """The content of a file in memory, to be handed over.    For root.  Blocks."""

    __slots__ = ("_path", "_stamp", "descriptor")

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        """Copy a file, or the content given instead.    Errors: Refused."""
        self._path = path
        self._stamp: Stamp | None | str = "never"
        # Whoever has the descriptor may open it again, whichever user it is.
        self.descriptor = os.memfd_create(path.name, os.MFD_CLOEXEC)
        if content is None:
            self.renew()
        else:
            self._write(content)

    def renew(self) -> bool:
        """Copy again if the file changed; True if so.

        Errors  Refused, once for each change; the copy is as before.
        """
        stamp = stamp_of(self._path)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            with self._path.open("rb") as file:
                content = file.read(CERTIFICATE_FILE + 1)
        except OSError as error:
            raise Refused(f"cannot read {self._path}: {error.strerror}", cause=error) from error
        if len(content) > CERTIFICATE_FILE:
            raise Refused(f"{self._path} is larger than {CERTIFICATE_FILE} bytes")
        self._write(content)
        return True

    def _write(self, content: bytes) -> None:
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)
        write_all(self.descriptor, [content])
