"""A simulated instance: the real supervisor with virtual executors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from module_sdk.supervisor.supervisor import Supervisor
from plugmesh.bus.embedded import LinkBus
from plugmesh.bus.port import Bus
from plugmesh.contracts.instance import Offer, Registration, dispatch_partition
from plugmesh.contracts.module import ModuleContract
from plugmesh.discovery.embedded import LinkDiscovery
from plugmesh.discovery.port import Discovery
from plugmesh.errors import StoreFull
from plugmesh.hub.link import HubLink
from tests.sim.bus import SimBus
from tests.sim.discovery import SimDiscovery
from tests.sim.executors import Outside, VirtualExecutors
from tests.sim.network import Link
from tests.sim.process import SimProcess
from tests.sim.server import Ground


class Instance:
    """One life of one instance; another start is another instance with another id."""

    def __init__(
        self,
        ground: Ground,
        process: SimProcess,
        contracts: Sequence[ModuleContract],
        *,
        dice: random.Random,
        outside: Outside,
        slots: int,
    ) -> None:
        self.ground, self.process, self.contracts = ground, process, tuple(contracts)
        self.link = Link(process)
        self.slots = slots
        store = ground.store(process)
        self.executors = VirtualExecutors(process, store, dice, outside)
        self.id = process.runtime.new_id("i")
        bus, discovery, hub_link = self._wire()
        self.supervisor = Supervisor(
            process.runtime, bus, discovery, store, self._registration(), self.contracts, self.executors
        )
        if hub_link is not None:
            hub_link.listen(self.supervisor.link_changed)
            hub_link.start()

    async def run(self) -> None:
        """Join the mesh and serve until the supervisor ends."""
        try:
            await self.supervisor.start()
        except StoreFull as error:  # the process ends with this message
            self.process.kill(f"could not start: {error}")
            return
        self.process.house.note(self.process.name, f"has joined as {self.id}")
        await self.supervisor.ended.wait()
        self.process.kill("left")

    def _registration(self) -> Registration:
        offers = tuple(Offer(name=c.name, version=c.version, digest=c.digest) for c in self.contracts)
        partition = dispatch_partition(self.id)
        return Registration(
            instance=self.id, host=self.process.name, slots=self.slots, partition=partition, offers=offers
        )

    def _wire(self) -> tuple[Bus, Discovery, HubLink | None]:
        if not self.ground.with_hub:
            return SimBus(self.ground.broker, self.link), SimDiscovery(self.ground.book, self.link), None
        dial: Any = self.ground.switchboard.dialer(self.link)
        link = HubLink(dial, self.process.runtime)
        return LinkBus(link), LinkDiscovery(link, self.process.runtime), link
