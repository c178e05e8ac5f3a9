"""Changing switches: a person's are kept before they hold, the mesh's own hold before they are kept."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from plugmesh.runtime import Runtime
from plugmesh.state.modules import ModuleSwitch
from registry.catalogue import ContractBook
from registry.switches import Switches

FOLLOW_S = 3.0
"""So soon a process knows what another one has switched in the book that they share."""
KEEP_AGAIN_S = 1.0
"""A quarantine that could not be kept is tried again after this time."""
_log = logging.getLogger(__name__)


class Switchboard:
    """The switches and the book that they are kept in. `changed` is told the module, and what was enabled of it."""

    def __init__(
        self, book: ContractBook, runtime: Runtime, changed: Callable[[str, tuple[str, str] | None], None]
    ) -> None:
        self._book, self._runtime, self._changed = book, runtime, changed
        self._writing = asyncio.Lock()
        self._unkept: dict[tuple[str, str], ModuleSwitch] = {}
        self.switches = Switches()

    async def load(self) -> None:
        """Read what is kept. Raises what the book raises."""
        self.switches = Switches(await self._book.switches())

    async def disable(self, switch: ModuleSwitch) -> None:
        """A person's switch. Raises what the book raises; nothing has changed then."""
        async with self._writing:
            await self._book.disable(switch)
            self.switches.add(switch)
        self._changed(switch.module, None)

    async def enable(self, module: str, version: str) -> None:
        """Take a switch away, or with `*` all of a module. Raises what the book raises, and `Conflict`."""
        async with self._writing:
            self.switches.check_enable(module, version)
            await self._book.enable(module, version)
            self.switches.remove(module, version)
        self._changed(module, (module, version))

    def quarantine(self, switch: ModuleSwitch) -> bool:
        """The mesh's switch, which `keep` has to write down. Whether it is news: a person's word stays."""
        if self.switches.exactly(switch.module, switch.version) is not None:
            return False
        self.switches.add(switch)
        self._unkept[switch.module, switch.version] = switch
        self._changed(switch.module, None)
        return True

    async def keep(self, switch: ModuleSwitch) -> None:
        """Write a quarantine down, however often it takes, unless somebody decides otherwise meanwhile."""
        while not await self._kept(switch):
            await self._runtime.sleep(KEEP_AGAIN_S)

    async def _kept(self, switch: ModuleSwitch) -> bool:
        async with self._writing:
            if self.switches.exactly(switch.module, switch.version) is switch:
                try:
                    await self._book.disable(switch)
                except Exception as error:  # noqa: BLE001  whatever is wrong with the book, the switch in memory holds
                    _log.warning("the quarantine of %s is not kept yet, trying again: %s", switch.module, error)
                    return False
            if self._unkept.get((switch.module, switch.version)) is switch:
                del self._unkept[switch.module, switch.version]
            return True

    async def follow(self) -> None:
        """Learn for ever what others switch. With a book of its own a process knows it all."""
        while not self._book.exclusive:
            await self._runtime.sleep(FOLLOW_S)
            try:
                await self._reread()
            except Exception as error:  # noqa: BLE001  whatever is wrong with the book, what is known holds
                _log.warning("what others have switched is not known: %s", error)

    async def _reread(self) -> None:
        async with self._writing:
            kept = Switches(await self._book.switches())
            before, self.switches = self.switches, kept
            for key, switch in self._unkept.items():
                if before.exactly(*key) is switch and kept.exactly(*key) is None:
                    kept.add(switch)
        for module, version in self.switches.differences(before):
            gone = self.switches.exactly(module, version) is None
            self._changed(module, (module, version) if gone else None)
