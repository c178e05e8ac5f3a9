"""A process whose mesh is gone, and another mesh has taken its address."""

from functools import partial

from plugmesh.discovery.embedded import LinkDiscovery
from plugmesh.errors import Conflict
from plugmesh.hub.hub import Hub
from plugmesh.hub.link import HubLink
from plugmesh.hub.pipe import pipe
from plugmesh.runtime import SystemRuntime
from tests.waiting import wait_until


async def test_a_process_does_not_slip_into_another_mesh() -> None:
    runtime = SystemRuntime(seed=1)
    hubs = [Hub(runtime, mesh=mesh, objects="file:///objects") for mesh in ("m-1", "m-1", "m-2")]
    dialled: list[Hub] = []

    async def dial():
        near, far = pipe()
        dialled.append(hubs[len(dialled)])
        runtime.spawn(dialled[-1].serve(far), "serve")
        return near

    link = HubLink(dial, runtime)
    discovery = LinkDiscovery(link, runtime)

    def is_linked(hub: Hub) -> bool:
        return link.is_up and hub.links == 1

    link.start()
    for hub in hubs[:2]:
        await wait_until(partial(is_linked, hub))
        await hub.close()
    await wait_until(lambda: link.failure is not None)
    assert isinstance(link.failure, Conflict)
    assert "m-2" in str(link.failure)
    await discovery.deregister("i-1")  # it can still end in order
    await link.close()
