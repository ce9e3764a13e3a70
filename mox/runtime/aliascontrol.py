"""What the control socket's commands for aliases do."""

from functools import partial

from mox.base.errors import Refused
from mox.config import changealias
from mox.config.live import AliasTarget
from mox.ctl import commands as ctl
from mox.ctl.server import Call, Handlers
from mox.runtime.configfiles import ConfigFiles


class AliasControl:
    """Handlers of one worker."""

    def __init__(self, files: ConfigFiles) -> None:
        self._files = files

    def add_to(self, table: Handlers) -> None:
        """Put the handlers into a table."""
        on = table.on
        on(ctl.ALIAS_LIST, self._on_list)
        on(ctl.ALIAS_PRINT, self._on_print)
        on(ctl.ALIAS_ADD, self._on_add)
        on(ctl.ALIAS_UPDATE, self._on_update)
        on(ctl.ALIAS_RM, self._on_rm)
        on(ctl.ALIAS_ADDADDR, self._on_addaddr)
        on(ctl.ALIAS_RMADDR, self._on_rmaddr)

    async def _on_list(self, wanted: ctl.DomainName, _: Call) -> ctl.AliasList:
        config = self._files.live.config
        if wanted.domain not in config.domains.domains:
            raise Refused(f"there is no domain {wanted.domain!r}")
        found = [one for (_, domain), one in config.aliases.items() if domain == wanted.domain]
        found.sort(key=lambda one: one.address)
        return ctl.AliasList(aliases=tuple(map(_line, found)))

    async def _on_print(self, wanted: ctl.Address, _: Call) -> ctl.AliasLine:
        return _line(changealias.find_alias(self._files.live.config, wanted.address))

    async def _on_add(self, wanted: ctl.AliasMembers, _: Call) -> ctl.Nothing:
        await self._files.edit(
            partial(changealias.add_alias, alias=wanted.alias, addresses=wanted.addresses)
        )
        return ctl.Nothing()

    async def _on_update(self, wanted: ctl.AliasUpdate, _: Call) -> ctl.Nothing:
        await self._files.edit(
            partial(
                changealias.update_alias,
                alias=wanted.alias,
                post_public=wanted.post_public,
                list_members=wanted.list_members,
                allow_msg_from=wanted.allow_msg_from,
            )
        )
        return ctl.Nothing()

    async def _on_rm(self, wanted: ctl.Address, _: Call) -> ctl.Nothing:
        await self._files.edit(partial(changealias.remove_alias, alias=wanted.address))
        return ctl.Nothing()

    async def _on_addaddr(self, wanted: ctl.AliasMembers, _: Call) -> ctl.Nothing:
        await self._files.edit(
            partial(changealias.add_members, alias=wanted.alias, addresses=wanted.addresses)
        )
        return ctl.Nothing()

    async def _on_rmaddr(self, wanted: ctl.AliasMembers, _: Call) -> ctl.Nothing:
        await self._files.edit(
            partial(changealias.remove_members, alias=wanted.alias, addresses=wanted.addresses)
        )
        return ctl.Nothing()


def _line(found: AliasTarget) -> ctl.AliasLine:
    return ctl.AliasLine(
        alias=found.address,
        addresses=tuple(member.address for member in found.members),
        post_public=found.alias.post_public,
        list_members=found.alias.list_members,
        allow_msg_from=found.alias.allow_msg_from,
    )
