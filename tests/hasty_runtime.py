"""A machine on which time runs faster: what waits for seconds is over soon."""

from plugmesh.runtime import SystemRuntime


class HastyRuntime(SystemRuntime):
    """`haste` seconds of its clock pass in each second of ours."""

    def __init__(self, haste: float) -> None:
        super().__init__()
        self.haste = haste

    def now(self) -> float:
        return super().now() * self.haste

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self.haste)
