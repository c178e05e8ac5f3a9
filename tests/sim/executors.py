"""Virtual executors: they take virtual time, write to the simulated store, fail when told to, and may die."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass, field
from typing import Any

from module_sdk.context import Context
from module_sdk.executor.fingerprint import fingerprint
from module_sdk.frames import Kind
from module_sdk.supervisor.executor import Executor, Exit, Listener
from module_sdk.workspace import Workspace
from plugmesh.contracts.data import ColumnGroup, ColumnSpan, DataRef, FileRef, Fragment
from plugmesh.contracts.messages import AskPlan, Assign, AttemptStats, Done, Failed, PlanAnswered
from plugmesh.contracts.plan import PlanAnswer
from plugmesh.contracts.run import StepError
from plugmesh.data.digest import content_hash
from plugmesh.errors import ErrorClass, PlugmeshError
from plugmesh.objects.port import ObjectStore
from tests.sim.modules import (
    PASS,
    ROWWISE,
    SINK,
    TABLE,
    TABLE_ROWS,
    TALLY,
    UPSERT,
    output_bytes,
    row_bytes,
    tally_bytes,
)
from tests.sim.process import SimProcess

UPSERT_ROWS = 3


@dataclass(slots=True)
class Outside:
    """What lies outside the mesh and outlives its processes: how often a step has failed, what a sink has got."""

    failures: dict[tuple[str, str], int] = field(default_factory=dict)
    stuck: dict[tuple[str, str], int] = field(default_factory=dict)
    effects: list[str] = field(default_factory=list)
    """Of sinks that apply an effect each time they run."""
    table: dict[str, str] = field(default_factory=dict)
    """What idempotent sinks have written, by its key."""
    table_effects: list[str] = field(default_factory=list)
    """Which row of which step was written, each time that a key was new to the table."""
    executions: int = 0
    die: float = 0.0
    """Chance that an executor dies during an attempt."""

    def upsert(self, key: str, row: str) -> None:
        """What an idempotent sink does: nothing, if the key is there already."""
        if key not in self.table:
            self.table[key] = row
            self.table_effects.append(row)

    def again(self, counts: dict[tuple[str, str], int], step: tuple[str, str], most: object) -> bool:
        """Whether it happens to a step once more, of `most` times."""
        if counts.get(step, 0) >= int(str(most)):
            return False
        counts[step] = counts.get(step, 0) + 1
        return True


class VirtualExecutors:
    """Starts them inside an instance's process."""

    def __init__(self, process: SimProcess, objects: ObjectStore, dice: random.Random, outside: Outside) -> None:
        self.process, self.objects, self.dice, self.outside = process, objects, dice, outside
        self.live: list[VirtualExecutor] = []

    def start(self, listener: Listener, *, shared: bool) -> Executor:
        executor = VirtualExecutor(self, listener, shared)
        self.live.append(executor)
        return executor


class VirtualExecutor:
    """One executor."""

    def __init__(self, house: VirtualExecutors, listener: Listener, shared: bool) -> None:
        self._house, self._listener, self._shared = house, listener, shared
        self._dice = house.dice
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._messages: dict[int, Assign] = {}
        self._ready = asyncio.Event()
        self._over = False
        self._killed = False
        house.process.spawn(self._come_up(), "executor")

    @property
    def shared(self) -> bool:
        return self._shared

    @property
    def pid(self) -> int | None:
        return None

    @property
    def log(self) -> int | None:
        return None

    def assign(self, number: int, payload: bytes) -> None:
        message = self._messages[number] = Assign.model_validate_json(payload)
        self._tasks[number] = self._house.process.spawn(self._run(number, message), "user code")

    def plan(self, number: int, payload: bytes) -> None:
        asked = AskPlan.model_validate_json(payload)
        answer = PlanAnswered(instance=asked.instance, id=asked.id, answer=PlanAnswer())
        self._say(Kind.PLANNED, number, answer.encode())

    def cancel(self, number: int) -> None:
        if number in self._tasks and self._dice.random() < 0.7:  # others do not listen, and are killed
            self._house.process.spawn(self._cancelled(number), "cancelled")

    def dump(self) -> None:
        return None

    def kill(self) -> None:
        self._killed = True
        self.die("it was killed by signal 9 (SIGKILL)")

    def retire(self) -> None:
        if not self._tasks:
            self._end(Exit("it exited with code 0"))

    def die(self, reason: str) -> None:
        """End at once."""
        self._end(Exit(reason, killed=self._killed))

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _come_up(self) -> None:
        await asyncio.sleep(self._dice.uniform(0.005, 0.1))
        self._say(Kind.READY, 0, b"")
        self._ready.set()

    async def _run(self, number: int, message: Assign) -> None:
        await self._ready.wait()
        outside, point = self._house.outside, self._house.process.runtime.point
        outside.executions += 1
        started = self._house.process.runtime.now()
        if self._dice.random() < 0.2:
            self._say(Kind.PREPARING, number, b"")
            await asyncio.sleep(self._dice.uniform(0.0, 0.05))
            self._say(Kind.STARTED, number, b"")
        doomed = self._dice.random() < outside.die
        wanted = message.params.get("s", 0.0)
        assert isinstance(wanted, int | float)
        await asyncio.sleep(self._dice.uniform(0.0005, 0.003) + wanted * self._dice.uniform(0.5, 1.5))
        if outside.again(outside.stuck, (message.run, message.step), message.params.get("stuck", 0)):
            await asyncio.Event().wait()  # until its timeout ends it
        if message.module == UPSERT.name:
            await self._upsert(message)
        if doomed:
            self.die("it was killed by signal 11 (SIGSEGV)")
            return
        point("executor.before_write")
        result = self._result(message, self._house.process.runtime.now() - started)
        await asyncio.sleep(self._dice.uniform(0.0002, 0.002))
        if self._tasks.pop(number, None) is not None:  # else it was cancelled, or the executor died, meanwhile
            self._say(Kind.RESULT, number, result)

    def _result(self, message: Assign, wall_s: float) -> bytes:
        stats = AttemptStats(wall_s=wall_s)
        error = self._error(message)
        if error is not None:
            return Failed(**_who(message), error=error, stats=stats).encode()
        try:
            return Done(**_who(message), outputs={"out": self._output(message)}, stats=stats).encode()
        except PlugmeshError as problem:
            error = StepError(error_class=problem.error_class, type=type(problem).__name__, message=str(problem))
            return Failed(**_who(message), error=error, stats=stats).encode()

    def _error(self, message: Assign) -> StepError | None:
        if message.params.get("fatal"):
            return StepError(error_class=ErrorClass.FATAL, type="Broken", message="it can never work")
        outside = self._house.outside
        if message.params.get("breaks") and message.root in {None, message.run} and not _begins(message):
            return StepError(error_class=ErrorClass.FATAL, type="Broken", message="it does not work in the first run")
        if not outside.again(outside.failures, (message.run, message.step), message.params.get("fails", 0)):
            return None
        return StepError(error_class=ErrorClass.TRANSIENT, type="Flaky", message="not yet")

    async def _upsert(self, message: Assign) -> None:
        """Write some rows, as a module would that was given this context."""
        context = context_of(message, self._house.objects)
        for row in range(UPSERT_ROWS):
            self._house.process.check()
            self._house.outside.upsert(context.sink_key(row), f"{message.root or message.run}/{message.step}/{row}")
            await asyncio.sleep(self._dice.uniform(0.0005, 0.003))

    def _output(self, message: Assign) -> FileRef | DataRef:
        if message.module in {TABLE.name, ROWWISE.name}:
            return self._table(message)
        if message.module == TALLY.name:
            return self._file(message, self._tally(message))
        inputs = [reference for reference in message.inputs.get("into", ()) if isinstance(reference, FileRef)]
        if message.module == PASS.name:
            return inputs[0]
        read = [bytes(self._house.objects.read(reference.key)) for reference in inputs]
        if message.module == SINK.name:
            self._house.outside.effects.append(f"{message.run}/{message.step}")
        return self._file(message, output_bytes(str(message.params["label"]), read))

    def _file(self, message: Assign, data: bytes) -> FileRef:
        nonce = self._house.process.runtime.new_id("n")
        key = f"{message.prefix}/{nonce}/out"
        writer = self._house.objects.create(key)
        writer.write(data)
        writer.commit()
        return FileRef(name="out", key=key, bytes=len(data), hash=content_hash(data))

    def _table(self, message: Assign) -> DataRef:
        """A table with an object for each fragment that was read; a source has one."""
        label = str(message.params["label"])
        ranges = [(first, end) for _, first, end in self._rows(message)] or [(0, TABLE_ROWS)]
        fragments = []
        for first, end in ranges:
            file = self._file(message, row_bytes(label, first))
            span = ColumnSpan(name="x", offset=0, length=file.bytes, hash=file.hash)
            fragments.append(Fragment(rows=end - first, groups=(ColumnGroup(key=file.key, columns=(span,)),)))
        rows = sum(fragment.rows for fragment in fragments)
        return DataRef(schema_ipc="", rows=rows, fragments=tuple(fragments))

    def _rows(self, message: Assign) -> list[tuple[str, int, int]]:
        """Of each fragment that is read, who wrote it and which rows of the whole it has."""
        found = []
        for reference in message.inputs.get("into", ()):
            assert isinstance(reference, DataRef)
            for fragment in reference.fragments:
                group = fragment.groups[0]
                inside = json.loads(bytes(self._house.objects.read(group.key)))
                first = inside["first"] + group.start
                found.append((inside["label"], first, first + fragment.rows))
        return found

    def _tally(self, message: Assign) -> bytes:
        rows = self._rows(message)
        ranges = [(first, end) for _, first, end in rows]
        return tally_bytes(str(message.params["label"]), [label for label, _, _ in rows], ranges)

    async def _cancelled(self, number: int) -> None:
        await asyncio.sleep(self._dice.uniform(0.001, 0.02))
        task = self._tasks.pop(number, None)
        if task is None or self._over:
            return
        task.cancel()
        error = StepError(error_class=ErrorClass.FATAL, type="Cancelled", message="cancelled", code="cancelled")
        self._say(Kind.RESULT, number, Failed(**_who(self._messages[number]), error=error).encode())

    def _end(self, exit: Exit) -> None:
        if self._over:
            return
        self._over = True
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self._house.live.remove(self)
        self._house.process.call_later(self._dice.uniform(0.0005, 0.01), self._listener.on_exit, self, exit)

    def _say(self, kind: Kind, number: int, payload: bytes) -> None:
        if not self._over:
            self._house.process.call_soon(self._listener.on_frame, self, kind, number, payload)


def context_of(message: Assign, objects: ObjectStore) -> Context:
    """What the product's own executor gives to a module, as far as sinks need it."""
    workspace = Workspace(lambda: objects, lambda name: f"{message.prefix}/{name}")
    names = {"run": message.run, "root": message.root, "step": message.step, "attempt": message.epoch}
    return Context(workspace, **names, fingerprint=lambda: fingerprint(message.inputs))  # type: ignore[arg-type]


def _begins(message: Assign) -> bool:
    """It has the first rows of a table, or the whole of it."""
    tables = [one for one in message.inputs.get("into", ()) if isinstance(one, DataRef)]
    return bool(tables) and tables[0].fragments[0].groups[0].start == 0


def _who(message: Assign) -> dict[str, Any]:
    return {"instance": message.instance, "run": message.run, "step": message.step, "epoch": message.epoch}
