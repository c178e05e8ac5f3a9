"""A registry's book that remembers nothing."""

from collections.abc import Sequence

from plugmesh.contracts.module import ModuleContract
from plugmesh.state.modules import ModuleSwitch


class EmptyBook:
    exclusive = True

    async def load(self) -> Sequence[ModuleContract]:
        return ()

    async def record(self, contract: ModuleContract) -> None:
        return None

    async def switches(self) -> Sequence[ModuleSwitch]:
        return ()

    async def disable(self, switch: ModuleSwitch) -> None:
        return None

    async def enable(self, module: str, version: str) -> None:
        return None
