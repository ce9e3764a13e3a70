"""Files that survive a crash: atomic write, sync of file and folder, spool files."""

import os
import secrets
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make names made, renamed or removed in a folder durable.    Blocks: call it in a thread."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace a file as a whole: after a crash it is old or new, never mixed.    Blocks."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_all(fd: int, parts: list[bytes]) -> None:
    """``writev`` until everything is written, also after short writes.    Blocks."""
    views = [memoryview(part) for part in parts if part]
    while views:
        written = os.writev(fd, views[:512])
        while written:
            head = views[0]
            if written >= len(head):
                written -= len(head)
                views.pop(0)
            else:
                views[0] = head[written:]
                written = 0
