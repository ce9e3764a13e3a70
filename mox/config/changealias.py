"""Edits of the aliases of a domain.    spec/config.md section 11; the rules are those of ``change``."""

from collections.abc import Collection, Sequence

from msgspec import UNSET

from mox.config.edit import ChangeRefused, edit
from mox.config.live import AliasTarget, Config, Target
from mox.config.lookup import find_exact
from mox.config.named import address_named, domain_named, free_address
from mox.config.toml import Path


def add_alias(config: Config, text: str, *, alias: str, addresses: Sequence[str]) -> str:
    """A new alias, to which anybody may send.    Errors: ChangeRefused."""
    free = free_address(config, alias)
    if free.localpart is None:
        raise ChangeRefused(f"{alias!r} is every address of the domain; an alias is one address")
    if not addresses:
        raise ChangeRefused("an alias has one member at least")
    localpart = str(free).rpartition("@")[0]
    section = {"addresses": _members(config, addresses), "post_public": True}
    if not domain_named(config, free.domain).aliases:
        return edit(text, ("domains", free.domain, "aliases"), {localpart: section})
    return edit(text, ("domains", free.domain, "aliases", localpart), section)


def update_alias(
    config: Config,
    text: str,
    *,
    alias: str,
    post_public: bool | None = None,
    list_members: bool | None = None,
    allow_msg_from: bool | None = None,
) -> str:
    """What members and others may do; None: as it is.    Errors: ChangeRefused."""
    path = _path(config, find_alias(config, alias))
    wanted = {
        "post_public": post_public,
        "list_members": list_members,
        "allow_msg_from": allow_msg_from,
    }
    for key, value in wanted.items():
        if value is not None:
            text = edit(text, (*path, key), value)
    return text


def remove_alias(config: Config, text: str, *, alias: str) -> str:
    """An alias; its members keep their addresses.    Errors: ChangeRefused."""
    return edit(text, _path(config, find_alias(config, alias)), UNSET)


def add_members(config: Config, text: str, *, alias: str, addresses: Sequence[str]) -> str:
    """More members.    Errors: ChangeRefused."""
    found = find_alias(config, alias)
    targets = [find_exact(config, address_named(one)) for one in addresses]
    known = next((one for one in targets if one in found.members), None)
    if isinstance(known, Target):
        raise ChangeRefused(f"{known.address} already is a member of {found.address}")
    members = [*found.alias.addresses, *_members(config, addresses)]
    return edit(text, (*_path(config, found), "addresses"), members)


def remove_members(config: Config, text: str, *, alias: str, addresses: Sequence[str]) -> str:
    """Fewer members, but one at least.    Errors: ChangeRefused."""
    found = find_alias(config, alias)
    gone: list[Target] = []
    for one in addresses:
        target = find_exact(config, address_named(one))
        if not isinstance(target, Target) or target not in found.members:
            raise ChangeRefused(f"{one} is no member of {found.address}")
        gone.append(target)
    return _without(config, text, found, gone)


def remove_from_aliases(config: Config, text: str, target: Target) -> str:
    """An address is no member of any alias any more.    Errors: ChangeRefused."""
    for alias in config.aliases.values():
        if target in alias.members:
            text = _without(config, text, alias, [target])
    return text


def find_alias(config: Config, alias: str) -> AliasTarget:
    """An alias by its address, however that is written.    Errors: ChangeRefused."""
    found = find_exact(config, address_named(alias))
    if not isinstance(found, AliasTarget):
        raise ChangeRefused(f"there is no alias {alias}")
    return found


def _without(config: Config, text: str, alias: AliasTarget, gone: Collection[Target]) -> str:
    pairs = zip(alias.alias.addresses, alias.members, strict=True)
    left = [written for written, member in pairs if member not in gone]
    if not left:
        raise ChangeRefused(
            f"{alias.address} would have no member left; remove it with:"
            f" mox config alias rm {alias.address}"
        )
    return edit(text, (*_path(config, alias), "addresses"), left)


def _members(config: Config, addresses: Sequence[str]) -> list[str]:
    """As they are written in the file.    Errors: ChangeRefused."""
    found: list[str] = []
    for one in addresses:
        target = find_exact(config, address_named(one))
        if not isinstance(target, Target):
            raise ChangeRefused(f"{one} is not an address of an account")
        if target.address in found:
            raise ChangeRefused(f"{target.address} is named twice")
        found.append(target.address)
    return found


def _path(config: Config, alias: AliasTarget) -> Path:
    domain = address_named(alias.address).domain
    written = config.domains.domains[domain].aliases
    key = next(
        one for one in written if find_exact(config, address_named(f"{one}@{domain}")) is alias
    )
    return ("domains", domain, "aliases", key)
