"""A supervisor with real executor processes, over an in-process hub; the test plays the scheduler."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import pyarrow as pa

from module_sdk.decorator import Module
from module_sdk.launch import Served, Source, sources_of
from module_sdk.loading import load_file, modules_in
from module_sdk.supervisor.attempts import NO_LIMITS
from module_sdk.supervisor.processes import Processes
from module_sdk.supervisor.settings import Settings
from module_sdk.supervisor.supervisor import Supervisor
from plugmesh.bus.embedded import HubBus
from plugmesh.bus.port import Delivery
from plugmesh.contracts.data import DataRef
from plugmesh.contracts.instance import Offer, Registration, dispatch_partition
from plugmesh.contracts.messages import (
    DISPATCH,
    RESULTS,
    Assign,
    Done,
    Failed,
    LogRef,
    Renew,
    Renewed,
    Returned,
    decode_result,
)
from plugmesh.data.table import read_table, write_table
from plugmesh.hub.hub import Hub
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.steplog import finished_lines
from tests.waiting import wait_until

AUTHORED = Path(__file__).with_name("authored.py")
INSTANCE = "inst-test"
SHARD = 3


class House:
    """One instance on one hub."""

    def __init__(
        self,
        folder: Path,
        slots: int = 1,
        settings: Settings | None = None,
        prefetch: int = 2,
        file: Path = AUTHORED,
    ) -> None:
        self.file = file
        self.runtime = SystemRuntime()
        self.folder = folder
        self.store = LocalStore(folder / "store", keep_free_bytes=0)
        self.hub = Hub(self.runtime, mesh="test", objects=f"file://{folder}/store")
        self.bus = HubBus(self.hub)
        self.messages: list[Any] = []
        self.notices: list[str] = []
        self.modules: dict[str, Module[..., Any]] = {m.contract.name: m for m in modules_in(load_file(str(file)))}
        self.supervisor = self._supervisor(slots, prefetch, settings)
        self._hold: list[Delivery] | None = None
        self.knows_farewells = True
        """Its scheduler answers them; one of an older version does not know of them."""
        self._held_kind: type[Any] = object
        self._steps = itertools.count(1)
        self._keys = itertools.count(1)

    async def open(self) -> None:
        self.bus.subscribe(RESULTS, range(32), self._deliver)
        await self.supervisor.start()

    async def close(self) -> None:
        await self.supervisor.stop()
        await wait_until(lambda: not self.processes.live, message="all executors ended")
        await self.bus.close()

    # -- as the scheduler ----------------------------------------------------------------------------------------

    async def assign(self, module: str, inputs: Any = None, epoch: int = 1, **options: Any) -> Assign:
        contract = self.modules[module].contract
        step = options.pop("step", f"s{next(self._steps)}")
        run = options.pop("run", "run-1")
        message = Assign(
            instance=INSTANCE,
            shard=SHARD,
            term=options.pop("term", 1),
            run=run,
            step=step,
            epoch=epoch,
            namespace="default",
            module=contract.name,
            version=contract.version,
            digest=contract.digest,
            inputs={port: tuple(refs) for port, refs in (inputs or {}).items()},
            prefix=f"data/default/{run}/{step}/{epoch}",
            limits=options.pop("limits", None if contract.limits == NO_LIMITS else contract.limits),
            **options,
        )
        await self.send(message)
        return message

    async def send(self, message: Any) -> None:
        await self.bus.publish(DISPATCH, dispatch_partition(INSTANCE), message.encode())

    def table(self, columns: Any = None) -> DataRef:
        """A table in the store."""
        table = pa.table(columns or {"x": [1, 2, 3], "y": ["a", "b", "c"]})
        return write_table(self.store, f"in/{next(self._keys)}", table)

    async def result(self, assign: Assign, within_s: float = 20) -> Any:
        """The first `Done`, `Failed` or `Returned` of an attempt."""
        return await wait_until(
            lambda: next(iter(self.results(assign)), None), within_s, message=f"{assign.attempt} ends"
        )

    async def done(self, assign: Assign) -> Done:
        result = await self.result(assign)
        assert isinstance(result, Done), result
        return result

    async def failed(self, assign: Assign) -> Failed:
        result = await self.result(assign)
        assert isinstance(result, Failed), result
        return result

    def results(self, assign: Assign) -> list[Any]:
        return [m for m in self.of(assign) if isinstance(m, Done | Failed | Returned)]

    def of(self, assign: Assign) -> list[Any]:
        return [m for m in self.messages if not isinstance(m, Renew) and m.attempt == assign.attempt]

    async def told(self, assign: Assign, kind: type[Any]) -> None:
        """Wait for a message of a kind about an attempt."""
        await wait_until(lambda: any(isinstance(message, kind) for message in self.of(assign)))

    def read(self, reference: Any) -> pa.Table:
        assert isinstance(reference, DataRef)
        return read_table(self.store, reference, verify=True)

    def log(self, reference: LogRef | None) -> str:
        assert reference is not None
        if reference.chunks:
            return "\n".join(json.dumps(line) for line in finished_lines(self.store, reference))
        data = bytes(self.store.read(reference.key))
        assert len(data) == reference.bytes
        assert data.count(b"\n") == reference.lines
        return data.decode()

    def hold(self, kind: type[Any] = object) -> None:
        """Acknowledge nothing of this kind until `release`."""
        self._hold, self._held_kind = [], kind

    def release(self) -> None:
        held, self._hold = self._hold or [], None
        for delivery in held:
            self._hear(delivery, [decode_result(payload) for payload in delivery.messages])

    # -- inside --------------------------------------------------------------------------------------------------

    def _deliver(self, delivery: Delivery) -> None:
        messages = [decode_result(payload) for payload in delivery.messages]
        self.messages.extend(messages)
        if self._hold is None or not any(isinstance(message, self._held_kind) for message in messages):
            self._hear(delivery, messages)
        else:
            self._hold.append(delivery)

    def _hear(self, delivery: Delivery, messages: list[Any]) -> None:
        for message in messages:
            if isinstance(message, Renew) and message.draining and self.knows_farewells:
                answer = Renewed(instance=INSTANCE, shard=message.shard, term=1, draining=True)
                self.runtime.spawn(self.send(answer), "answer")
        delivery.ack()

    def _supervisor(self, slots: int, prefetch: int, settings: Settings | None) -> Supervisor:
        contracts = [module.contract for module in self.modules.values()]
        served = [Served(contract, Source(file=str(self.file))) for contract in contracts]
        self.processes = Processes(f"file://{self.folder}/store?keep_free_bytes=0", (), sources_of(served))
        offers = tuple(Offer(name=c.name, version=c.version, digest=c.digest) for c in contracts)
        registration = Registration(
            instance=INSTANCE,
            host="here",
            slots=slots,
            prefetch=prefetch,
            partition=dispatch_partition(INSTANCE),
            offers=offers,
        )
        return Supervisor(
            self.runtime,
            HubBus(self.hub),
            self.hub.directory,
            self.store,
            registration,
            contracts,
            self.processes,
            settings,
            self.notices.append,
        )


async def exists(path: Path) -> None:
    """Wait for a file that user code makes."""
    await wait_until(path.exists, 20, message=str(path))


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


async def turns(count: int = 5) -> None:
    """Let the loop run what is ready."""
    for _ in range(count):
        await asyncio.sleep(0)
