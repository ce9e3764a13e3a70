"""A domain comes with DKIM keys and goes with them.    spec/config.md sections 10 and 11.

A new domain has two keys of which one signs, so that the other can be published early and take over
without a gap.  Keys of a domain that is removed are kept, out of the way.
Laws  everything here that touches files or makes keys blocks: it runs in a thread.
"""

import asyncio
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox.base.errors import Refused
from mox.base.files import sync_folder, write_atomic
from mox.base.log import get_logger
from mox.config import change
from mox.config.live import Config
from mox.ctl.commands import DomainAdd
from mox.dns.name import parse_domain
from mox.runtime.configfiles import ConfigFiles

log = get_logger("config")

FOLDER = "dkim"
OLD_FOLDER = "dkim/old"
_RSA_BITS = 2048  # the most that fits a DNS answer by UDP with room to spare; RFC 8301 §3.2
_SELECTORS = ("a", "b")


async def add_domain(files: ConfigFiles, wanted: DomainAdd, *, now_ms: int) -> None:
    """A new domain with new keys.    Errors: those of ``ConfigFiles.edit``; then no key is left."""
    folder = files.path.parent
    made: list[Path] = []

    def edit(config: Config, text: str) -> str:
        add = partial(
            change.add_domain,
            config,
            text,
            domain=wanted.domain,
            account=wanted.account,
            localpart=wanted.localpart,
            disabled=wanted.disabled,
        )
        add()  # refuses before keys are made
        return add(key_files=_make_keys(folder, wanted.domain, now_ms, made))

    try:
        await files.edit(edit)
    except BaseException:
        await asyncio.to_thread(_remove, made)
        raise


async def remove_domain(files: ConfigFiles, domain: str) -> None:
    """A domain goes; keys that no other domain uses are put away.

    Errors  those of ``ConfigFiles.edit``.
    """
    before = _key_files(files.live.config)
    await files.edit(partial(change.remove_domain, domain=domain))
    unused = before - _key_files(files.live.config)
    await asyncio.to_thread(_put_away, files.path.parent, sorted(unused))


def _make_keys(folder: Path, domain: str, now_ms: int, made: list[Path]) -> dict[str, str]:
    """New key files by selector.    ``made`` names them also when this fails.    Errors: Refused."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    found: dict[str, str] = {}
    for letter in _SELECTORS:
        selector = f"{now:%Y}{letter}"
        name = (
            f"{selector}._domainkey.{parse_domain(domain).ascii}.{now:%Y%m%dT%H%M%S}"
            ".rsa2048.privatekey.pkcs8.pem"
        )
        key = generate_private_key(public_exponent=65537, key_size=_RSA_BITS)
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = folder / FOLDER / name
        try:
            path.parent.mkdir(mode=0o750, exist_ok=True)
            write_atomic(path, pem)
            made.append(path)
            sync_folder(folder)
        except OSError as error:
            raise Refused(
                f"cannot write {path}: {error.strerror}; its folder must be writable for the"
                " server's user",
                cause=error,
            ) from error
        found[selector] = f"{FOLDER}/{name}"
    return found


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _key_files(config: Config) -> set[str]:
    return {
        selector.private_key_file
        for domain in config.domains.domains.values()
        for selector in domain.dkim.selectors.values()
    }


def _put_away(folder: Path, names: list[str]) -> None:
    """Keys we made go to the folder of old ones; others stay where the operator put them."""
    for name in names:
        path = folder / name
        if path.parent != folder / FOLDER or not path.is_file():
            continue
        old = folder / OLD_FOLDER / path.name
        try:
            old.parent.mkdir(mode=0o750, exist_ok=True)
            path.rename(old)
            sync_folder(old.parent)
            sync_folder(path.parent)
        except OSError as error:
            log.error("dkim.key_not_put_away", error, file=str(path))
