"""DKIM keys of our domains, read from their files when the configuration names them."""

from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mox.base.log import get_logger
from mox.config.domains import Domain
from mox.config.live import Config, Live
from mox.config.names import unicode_domain
from mox.config.signing import Selector
from mox.dns.name import parse_domain
from mox.mailauth.dkim.canonical import Canon
from mox.mailauth.dkim.sign import PrivateKey, SigningKey

log = get_logger("outbound")


class SigningKeys:
    """``outbound.signer.Keys`` over the configuration.    A key that cannot be read is logged."""

    def __init__(self, live: Live, folder: Path) -> None:
        """Reads the keys.    Blocks.    Input: folder: paths are relative to it."""
        self._folder = folder
        self._files: dict[Path, PrivateKey | None] = {}
        self._by_domain: dict[str, tuple[SigningKey, ...]] = {}
        self._read(live.config)
        live.listen(self._reconfigured)

    def of(self, domain: str) -> Sequence[SigningKey]:
        """The keys a domain signs with, in the order of its list."""
        return self._by_domain.get(unicode_domain(domain) or "", ())

    def _reconfigured(self, _old: Config, new: Config) -> None:
        # A few small files, and only when somebody changed the configuration.
        self._read(new)

    def _read(self, config: Config) -> None:
        self._files.clear()
        self._by_domain = {
            name: keys
            for name, domain in config.domains.domains.items()
            if (keys := self._keys(name, domain))
        }

    def _keys(self, name: str, domain: Domain) -> tuple[SigningKey, ...]:
        found = []
        for selector in domain.dkim.sign:
            settings = domain.dkim.selectors[selector]
            private = self._private(self._folder / settings.private_key_file, name, selector)
            if private is not None:
                found.append(_signing_key(name, selector, settings, private))
        return tuple(found)

    def _private(self, path: Path, domain: str, selector: str) -> PrivateKey | None:
        if path not in self._files:
            self._files[path] = _load(path, domain, selector)
        return self._files[path]


def _load(path: Path, domain: str, selector: str) -> PrivateKey | None:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        log.error("dkim.key_unreadable", error, domain=domain, selector=selector, file=str(path))
        return None
    if isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        return key
    log.error("dkim.key_unfit", domain=domain, selector=selector, file=str(path))
    return None


def _signing_key(domain: str, selector: str, settings: Selector, private: PrivateKey) -> SigningKey:
    canon = settings.canonicalization
    return SigningKey(
        domain=parse_domain(domain).ascii,
        selector=parse_domain(selector, lax=True).ascii,
        private=private,
        header_canon=Canon.RELAXED if canon.header_relaxed else Canon.SIMPLE,
        body_canon=Canon.RELAXED if canon.body_relaxed else Canon.SIMPLE,
        names=tuple(name.lower().encode() for name in settings.signed),
        seals=not settings.dont_seal_headers,
        lifetime_s=round(settings.expiration.seconds) or None,
    )
