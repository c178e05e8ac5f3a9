"""A gateway with everything around it real but the scheduler: a database, a store, a hub, a registry, reader processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pyarrow as pa

from gateway.app import create_app
from gateway.core import Gateway
from gateway.reader.pool import Reader as DataReader
from plugmesh.bus.embedded import HubBus
from plugmesh.contracts.data import Reference
from plugmesh.contracts.instance import Offer, Registration, dispatch_partition
from plugmesh.contracts.messages import EVENTS, RunChanged
from plugmesh.contracts.module import ModuleContract, OutputPort, contract_key
from plugmesh.contracts.run import Command, Receipt, RunState, Submission, shard_of
from plugmesh.data.table import write_table
from plugmesh.errors import Conflict
from plugmesh.hub.hub import Hub
from plugmesh.objects.local import LocalStore
from plugmesh.objects.reach import put_marker
from plugmesh.runtime import SystemRuntime
from plugmesh.settings.settings import Settings
from plugmesh.state.reads import Reader
from plugmesh.state.records import Commit, EventRow, RunUpdate, StepRow
from plugmesh.state.store import State
from registry.registry import Registry
from tests.databases import new_database
from tests.waiting import wait_until

URL = "http://127.0.0.1:8720"
ENDED = {"succeeded", "failed", "cancelled", "timed_out"}


class RowsIntake:
    """An `Intake` that only writes rows, and lets a test play the scheduler."""

    def __init__(self, state: State, bus: HubBus) -> None:
        self._state = state
        self._bus = bus
        self._terms: dict[int, int] = {}
        self.keys: dict[str, int] = {}
        self._seqs: dict[str, int] = {}
        self.commands: list[Command] = []
        self.submissions: list[Submission] = []

    async def start(self) -> None:
        self._terms = {lease.shard: lease.term for lease in await self._state.acquire("test", 3600, ())}

    async def submit(self, submission: Submission) -> Receipt:
        key = submission.idempotency_key
        if key is not None:
            known = await self._state.read(Reader.run_by_key, submission.namespace, key)
            if known is not None:
                if submission.request_hash not in {None, known.request_hash}:
                    raise Conflict(f"the idempotency key {key!r} was used for run {known.id} with another body")
                return Receipt(run=known.id, state=RunState(known.state), repeated=True)
        self.keys |= await self.commit(submission.run, inserts=[submission])
        self.submissions.append(submission)
        return Receipt(run=submission.run, state=RunState.QUEUED)

    async def command(self, command: Command) -> None:
        self.commands.append(command)
        await self._state.append_command(command)

    async def advance(
        self,
        run: str,
        state: str,
        *steps: StepRow,
        reason: str | None = None,
        announce: bool = True,
        outputs: Any = None,
        changes: list[dict[str, Any]] | None = None,
    ) -> int:
        """Commit a change of a run and its steps, as the scheduler would, and tell the watchers."""
        seq = self._seqs[run] = self._seqs.get(run, 0) + 1
        changes = changes or [{"step": step.id, "state": step.state} for step in steps] or [{"run": state}]
        update = RunUpdate(run, state, reason, outputs and json.dumps(outputs), 1.0, 2.0 if state in ENDED else None)
        event = EventRow(run, seq, 3.0, json.dumps(changes))
        await self.commit(run, keys={run: self.keys[run]}, runs=[update], events=[event], steps=list(steps))
        if announce:
            change = RunChanged(run=run, seq=seq, state=state, at=3.0, changes=tuple(changes))
            await self._bus.publish(EVENTS, shard_of(run), change.encode())
        return seq

    async def commit(self, run: str, **rows: Any) -> dict[str, int]:
        """Write rows about a run."""
        shard = shard_of(run)
        return await self._state.commit(Commit(owner="test", positions={shard: (self._terms[shard], None)}, **rows))


class House:
    """What a test needs in one place."""

    def __init__(self, folder: Path) -> None:
        self.runtime = SystemRuntime()
        self.folder = folder
        self.objects_url = f"file://{folder}/objects"
        self.objects = LocalStore(folder / "objects", self.runtime)
        self.hub = Hub(
            self.runtime,
            mesh="mesh-test",
            objects=self.objects_url,
            objects_marker=put_marker(self.objects, self.runtime),
        )
        self.bus = HubBus(self.hub)
        self.state: State
        self.intake: RowsIntake
        self.registry: Registry
        self.gateway: Gateway
        self.client: httpx2.AsyncClient
        self.app: Any

    async def start(self, settings: Settings) -> None:
        self.state = await State.open(new_database(self.folder), self.runtime)
        self.intake = RowsIntake(self.state, self.bus)
        await self.intake.start()
        self.registry = Registry(self.runtime, self.hub.directory, self.objects, self.bus, self.state)
        await self.registry.start()
        self.gateway = Gateway(
            runtime=self.runtime,
            state=self.state,
            intake=self.intake,
            registry=self.registry,
            bus=self.bus,
            objects=self.objects,
            reader=DataReader(self.runtime, self.objects_url, settings),
            settings=settings,
        )
        self.gateway.start()
        self.app = create_app(self.gateway, self.hub)
        self.client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=self.app), base_url=URL)

    async def stop(self) -> None:
        await self.client.aclose()
        await self.gateway.close()
        await self.registry.stop()
        await self.bus.close()
        await self.hub.close()
        await self.state.close()

    async def plug_in(self, contract: ModuleContract, instance: str = "i-1") -> None:
        """Register an instance that serves a module."""
        writer = self.objects.create(contract_key(contract.digest))
        writer.write(contract.encode())
        writer.commit()
        offer = Offer(name=contract.name, version=contract.version, digest=contract.digest)
        await self.hub.directory.register(
            Registration(
                instance=instance, host="here", slots=2, partition=dispatch_partition(instance), offers=(offer,)
            )
        )
        await wait_until(lambda: contract.version in self.registry.live_versions(contract.name))

    async def submit(self, **body: Any) -> str:
        """Submit a run of the tests' flow; returns its id."""
        answer = await self.client.post("/api/v1/runs", json={"flow": FLOW, **body})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def put_table(self, key: str, table: pa.Table) -> Reference:
        return write_table(self.objects, key, table)

    async def finished(self, output: Reference, **columns: Any) -> str:
        """A run whose step `only` succeeded with this output at `out`."""
        run = await self.submit()
        await self.intake.advance(run, "succeeded", step_row(run, "only", "succeeded", output, **columns))
        return run


FLOW = {"flow": "checks/one", "nodes": {"only": {"module": "table.make"}}, "outputs": {"result": "only"}}


def step_row(run: str, step: str, state: str, output: Reference | None = None, **columns: Any) -> StepRow:
    """A step's row; `output` is at port `out`."""
    outputs = None if output is None else json.dumps({"out": output.model_dump(mode="json", exclude_none=True)})
    values: dict[str, Any] = dict.fromkeys(StepRow._fields)
    values |= {"run": run, "id": step, "state": state, "epoch": 1, "failures": 0, "losses": 0, "outputs": outputs}
    return StepRow(**{**values, **columns})


def contract_of(name: str = "table.make", version: str = "1.0.0", **fields: Any) -> ModuleContract:
    """A source module."""
    return ModuleContract(name=name, version=version, outputs=(OutputPort(name="out"),), **fields)
