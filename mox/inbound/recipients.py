"""Who receives mail for an address.    spec/smtp-server.md section 9."""

from typing import Protocol

from mox.config.live import AliasTarget, Live, Target
from mox.config.lookup import Miss, find_recipient, is_disabled_domain, may_send_as
from mox.smtp.address import Address


class Directory(Protocol):
    """Addresses → accounts.    Answers come from memory and agree with each other within a call."""

    def resolve(self, address: Address) -> Target | AliasTarget | Miss:
        """Where mail for an address goes; the bare postmaster has an empty domain."""
        ...

    def may_send_as(self, account: str, address: Address) -> bool:
        """Does the address belong to the account?"""
        ...

    def is_disabled(self, domain: str) -> bool:
        """Is this one of our domains, out of use for now?"""
        ...


class ConfigDirectory:
    """What the current configuration says."""

    __slots__ = ("_live",)

    def __init__(self, live: Live) -> None:
        self._live = live

    def resolve(self, address: Address) -> Target | AliasTarget | Miss:
        """Where mail for an address goes; the bare postmaster has an empty domain."""
        return find_recipient(self._live.config, address.localpart, address.domain)

    def may_send_as(self, account: str, address: Address) -> bool:
        """Does the address belong to the account?"""
        return may_send_as(self._live.config, account, address.localpart, address.domain)

    def is_disabled(self, domain: str) -> bool:
        """Is this one of our domains, out of use for now?"""
        return is_disabled_domain(self._live.config, domain)
