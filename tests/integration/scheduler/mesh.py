"""An engine with real SQL, hub, registry and object store in one process, and instances that speak the protocol."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.data import ValueRef
from plugmesh.contracts.instance import Beat, Offer, Registration, dispatch_partition
from plugmesh.contracts.messages import (
    DISPATCH,
    RESULTS,
    Accepted,
    Assign,
    Cancel,
    Done,
    Failed,
    Recall,
    Renew,
    Renewed,
    Returned,
    decode_dispatch,
)
from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind, Traits, contract_key
from plugmesh.contracts.run import RUN_TERMINAL, Command, Submission
from plugmesh.errors import Conflict
from plugmesh.hub.hub import Hub
from plugmesh.objects.local import LocalStore
from plugmesh.runtime import SystemRuntime
from plugmesh.state.reads import Reader
from plugmesh.state.store import State
from plugmesh.telemetry.off import OFF
from plugmesh.telemetry.port import Telemetry
from registry.registry import Registry
from scheduler.engine import Engine
from tests.databases import new_database
from tests.waiting import wait_until

STEP = ModuleContract(
    name="test.step",
    version="1.0.0",
    inputs=(InputPort(name="into", kind=PortKind.VALUE, optional=True, variadic=True),),
    outputs=(OutputPort(name="out", kind=PortKind.VALUE),),
    params={"type": "object"},
    traits=Traits(),
)
OUT = {"out": ValueRef(value=1)}


class Instance:
    """An instance without a process: it registers, and `answer` says what it does with each assignment."""

    def __init__(self, mesh: Mesh, name: str, contracts: tuple[ModuleContract, ...], slots: int) -> None:
        self.mesh, self.name = mesh, name
        self.offers = tuple(Offer(name=c.name, version=c.version, digest=c.digest) for c in contracts)
        self.contracts, self.slots = contracts, slots
        self.bus = HubBus(mesh.hub)
        self.assigned: list[Assign] = []
        self.cancelled: list[str] = []
        self.recalled: list[str] = []
        self.superseded: list[str] = []
        self.farewells: list[int] = []
        """Shards whose scheduler has answered that it heard of the drain."""
        self.answer: Callable[[Assign], None] = self.done

    async def start(self) -> None:
        for contract in self.contracts:
            writer = self.mesh.objects.create(contract_key(contract.digest))
            writer.write(contract.model_dump_json().encode())
            try:
                writer.commit()
            except Conflict:  # another instance of the test has put it there
                writer.abort()
        partition = dispatch_partition(self.name)
        self.bus.subscribe(DISPATCH, (partition,), self._deliver)
        registration = Registration(
            instance=self.name, host="h", slots=self.slots, partition=partition, offers=self.offers
        )
        await self.mesh.directory.register(registration)
        await wait_until(lambda: self.name in self.mesh.registry.members() and self._usable())

    def _usable(self) -> bool:
        return len(self.mesh.registry.members()[self.name].offers) == len({offer.name for offer in self.offers})

    def _deliver(self, delivery) -> None:
        for payload in delivery.messages:
            message = decode_dispatch(payload)
            if message.instance != self.name:
                continue
            match message:
                case Assign():
                    self.assigned.append(message)
                    self.answer(message)
                case Cancel():
                    self.cancelled.append(message.attempt)
                case Recall():
                    self.recalled.append(message.attempt)
                case Renewed():
                    self.superseded.extend(message.superseded)
                    if message.draining:
                        self.farewells.append(message.shard)

    def who(self, message: Assign) -> dict[str, object]:
        return {"instance": self.name, "run": message.run, "step": message.step, "epoch": message.epoch}

    def send(self, message: Assign, result: Accepted | Done | Failed | Returned) -> None:
        self.mesh.runtime.spawn(self.bus.publish(RESULTS, message.shard, result.encode()), "result")

    def accept(self, message: Assign) -> None:
        self.send(message, Accepted(**self.who(message)))

    def done(self, message: Assign) -> None:
        self.send(message, Done(**self.who(message), outputs=OUT))

    def silent(self, message: Assign) -> None:
        """Says nothing at all."""

    async def renew(self, shard: int, *attempts: str, draining: bool = False) -> None:
        message = Renew(instance=self.name, shard=shard, attempts=attempts, draining=draining)
        await self.bus.publish(RESULTS, shard, message.encode())

    async def beat(self) -> None:
        await self.mesh.directory.beat(Beat(instance=self.name))


class Mesh:
    """The server's parts. `stop` is a clean end; `crash` leaves SQL as it is. `elsewhere`: the database of every mesh that names
    none; by default one of SQLite in the mesh's folder."""

    elsewhere = ""

    def __init__(self, folder: Path, synchronous: str = "full", url: str = "", telemetry: Telemetry = OFF) -> None:
        """`url`: another database than one of SQLite in the folder."""
        self.telemetry = telemetry
        self.synchronous = synchronous
        self.folder, self.url = folder, url or self.elsewhere
        self.runtime = SystemRuntime(seed=1)
        self.instances: list[Instance] = []

    async def start(self) -> Mesh:
        url = self.url or f"{new_database(self.folder)}?synchronous={self.synchronous}"
        self.state = await State.open(url, self.runtime)
        self.objects = LocalStore(self.folder / "objects", self.runtime)
        self.hub = Hub(self.runtime, mesh="m", objects=f"file://{self.folder}/objects")
        self.bus = HubBus(self.hub)
        self.directory = self.hub.directory
        self.registry = Registry(self.runtime, self.directory, self.objects, self.bus, self.state)
        await self.registry.start()
        self.engine = Engine(
            self.runtime, self.state, bus=self.bus, registry=self.registry, objects=self.objects,
            owner=self.runtime.new_id("sch"), telemetry=self.telemetry,
        )  # fmt: skip
        await self.engine.start()
        return self

    async def stop(self) -> None:
        await self.engine.stop()
        await self.registry.stop()
        for instance in self.instances:
            await instance.bus.close()
        await self.bus.close()
        await self.state.close()

    async def instance(self, name: str = "i-1", contracts=(STEP,), slots: int = 1, answer: str = "done") -> Instance:
        instance = Instance(self, name, contracts, slots)
        instance.answer = getattr(instance, answer)
        self.instances.append(instance)
        await instance.start()
        return instance

    async def submit(self, flow, **fields) -> str:
        submission = Submission(run=self.runtime.new_id("r"), flow=flow, submitted_at=self.runtime.wall(), **fields)
        return (await self.engine.submit(submission)).run

    async def command(self, run: str, kind: str, reason: str = "") -> None:
        await self.engine.command(Command(command=self.runtime.new_id("c"), run=run, kind=kind, reason=reason))

    async def cancel(self, run: str) -> None:
        await self.command(run, "cancel")

    async def run(self, run: str):
        return await self.state.read(Reader.run, run)

    async def steps(self, run: str):
        return {row.id: row for row in await self.state.read(Reader.steps, await self.run(run))}

    async def ended(self, run: str):
        await wait_until(lambda: self._is_over(run))
        return await self.run(run)

    async def _is_over(self, run):
        return (await self.run(run)).state in RUN_TERMINAL
