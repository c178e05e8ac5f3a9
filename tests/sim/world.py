"""One simulated mesh from its start to the end of all runs, under one seed."""

from __future__ import annotations

import asyncio
import contextvars
import json
import random
import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.module import ModuleContract
from plugmesh.errors import ObjectMissing
from plugmesh.objects.port import ObjectStore
from plugmesh.state import schema
from tests.checker import Violation, check
from tests.sim.bus import LogBroker
from tests.sim.chaos import BUSIEST, Fault, Plan, Trap
from tests.sim.client import Client
from tests.sim.database import SimDatabase
from tests.sim.discovery import Book
from tests.sim.executors import Outside
from tests.sim.hubwire import Switchboard
from tests.sim.instance import Instance
from tests.sim.loop import SimLoop, Stuck
from tests.sim.modules import LATE, USUAL, expected_outputs
from tests.sim.objects import Disk, MemoryStore
from tests.sim.process import EPOCH, Crashed, SimProcess
from tests.sim.server import Server
from tests.sim.trace import Trace
from tests.sim.workload import Job

HORIZON_S = 400.0
"""All runs have ended by then, or there is no progress: every patience in the system is far shorter."""
SETTLE_S = 40.0
"""After the last run's end: leases run out, stragglers report, and nothing may be left."""
SLOTS = (1, 2, 2, 4)
LATE_AT = 16.0
"""When the third instance comes, with the module that was missing."""


class World:
    """See the module's text. `with_hub`: the product's own hub and links instead of `SimBus` and `SimDiscovery`."""

    def __init__(self, seed: int, jobs: Sequence[Job], plan: Plan | None = None, *, with_hub: bool = False) -> None:
        self.seed, self.jobs, self.plan, self.with_hub = seed, list(jobs), plan or Plan(until=0.0), with_hub
        self.dice = random.Random(seed)
        self.trace = Trace()
        self.faults = 0
        self.violations: list[Violation] = []
        self.loop = SimLoop(self.fault)
        self.broker = LogBroker(random.Random(seed + 1), self.plan.weather)
        self.book = Book(self.broker)
        self.switchboard = Switchboard(self.broker)
        self.database = SimDatabase(lambda: EPOCH + self.loop.time())
        self.disk = Disk()
        self.beyond = Outside(die=self.plan.executor_dies)
        self.client = Client(self._server, random.Random(seed + 2), self.note, self.plan.answer_lost)
        self.points: Counter[tuple[str, str]] = Counter()
        self.server: Server | None = None
        self.instances: list[Instance | None] = [None, None, None]
        self.attempts: list[str] = []
        """At the end: the states of the attempts that became no result."""
        self.runs = 0
        self.image = b""
        """At the end: the database, as SQLite's file has it."""
        self._processes: list[SimProcess] = []
        self._healed = False

    def run(self) -> list[Violation]:
        """Run it all; what was violated."""
        asyncio.set_event_loop(None)
        try:
            self.loop.run_until_complete(self._main())
        except Stuck as error:
            self._violated("progress", str(error))
        finally:
            for process in self._processes:
                process.bury()
            self._close()
        return self.violations

    # -- what processes ask of the world -----------------------------------------------------------------------------

    def outside(self, when: float, function: Any, *args: Any) -> None:
        self.loop.call_at(when, function, *args, context=contextvars.Context())

    def note(self, who: str, what: str) -> None:
        self.trace.note(self.loop.time(), who, what)

    def fault(self, text: str) -> None:
        self._violated("alive", text)

    def simulated(self, error: Exception) -> bool:
        return "(simulated)" in str(error)

    def store(self, process: SimProcess) -> ObjectStore:
        return MemoryStore(self.disk, process.runtime, process.check)

    def reached(self, process: SimProcess, point: str) -> None:
        if self.loop.time() >= self.plan.armed_at:
            self.points[process.kind, point] += 1
        trap = self._trap(process.kind, point)
        if trap is not None and trap.fails:
            self._fail(process, point)
        if trap is not None or self._unlucky(self.plan.crash.get(process.kind, 0.0)):
            self.faults += 1
            process.kill(f"at {point}")
            raise Crashed(point)
        if point.startswith("state.") and self._unlucky(self.plan.sql_error):
            self._fail(process, point)

    def _fail(self, process: SimProcess, point: str) -> None:
        self.faults += 1
        self.note(process.name, f"SQL error at {point}")
        raise sqlite3.OperationalError("disk I/O error (simulated)")

    def _trap(self, kind: str, point: str) -> Trap | None:
        here = (kind, point, self.points[kind, point])
        return next((trap for trap in self.plan.traps if (trap.kind, trap.point, trap.nth) == here), None)

    def _unlucky(self, chance: float) -> bool:
        return not self._healed and chance > 0 and self.dice.random() < chance

    # -- the course of events ----------------------------------------------------------------------------------------

    async def _main(self) -> None:
        self._start_server()
        for index in (0, 1):
            self._start_instance(index, USUAL)
        self.outside(LATE_AT, self._start_instance, 2, (LATE,))
        for fault in self.plan.faults:
            self.outside(fault.at, self._strike, fault)
        if self.plan.until:
            self.outside(self.plan.until, self._heal)
        else:
            self._heal()
        try:
            async with asyncio.timeout(HORIZON_S):
                await asyncio.gather(*(self.client.carry_out(job) for job in self.jobs))
        except TimeoutError:
            self._violated("progress", f"not all runs have ended after {HORIZON_S:g} virtual seconds:\n{self._state()}")
            self._check(())
            return
        await asyncio.sleep(max(0.0, self.plan.until - self.loop.time()) + SETTLE_S)
        self._check_ends()
        self._check_rest()
        self._check(self.client.promised.values())

    def _server(self) -> Server | None:
        return self.server

    def _process(self, name: str, kind: str) -> SimProcess:
        skew = self.dice.uniform(-2.0, 2.0) if kind == "instance" else 0.0
        process = SimProcess(self, name, kind, self.dice.getrandbits(32), skew)
        self._processes.append(process)
        self.note(name, "starts")
        return process

    def _start_server(self) -> None:
        number = 1 + sum(process.kind == "server" for process in self._processes)
        process = self._process(f"server-{number}", "server")
        server = self.server = Server(self, process)
        process.on_death.append(lambda: self._later(self.dice.uniform(0.05, 3.0), self._start_server))
        process.spawn(server.run(), "server")

    def _start_instance(self, index: int, contracts: Sequence[ModuleContract]) -> None:
        number = 1 + sum(process.kind == "instance" for process in self._processes)
        process = self._process(f"inst-{index}.{number}", "instance")
        dice = random.Random(self.dice.getrandbits(32))
        instance = Instance(self, process, contracts, dice=dice, outside=self.beyond, slots=dice.choice(SLOTS))
        self.instances[index] = instance
        process.on_death.append(
            lambda: self._later(self.dice.uniform(0.1, 8.0), self._start_instance, index, contracts)
        )
        process.spawn(instance.run(), "instance")

    def _later(self, delay_s: float, function: Any, *args: Any) -> None:
        self.outside(self.loop.time() + delay_s, function, *args)

    # -- faults ------------------------------------------------------------------------------------------------------

    def _strike(self, fault: Fault) -> None:
        server, instance = self.server, self._victim(fault)
        victim = server if fault.kind.startswith(("server", "clock")) else instance
        if victim is None or not victim.process.alive or victim.process.stalled:
            return
        self.faults += 1
        self.note(victim.process.name, f"fault: {fault.kind} for {fault.seconds:.2f} s")
        match fault.kind:
            case "server-crash" | "instance-crash":
                victim.process.kill("kill -9")
            case "server-stall" | "instance-stall":
                victim.process.stall()
                self._later(fault.seconds, victim.process.go_on)
            case "server-restart":
                assert isinstance(victim, Server)
                victim.process.spawn(self._restart(victim), "restart")
            case "instance-drain":
                assert isinstance(victim, Instance)
                victim.process.spawn(victim.supervisor.drain(), "drain")
            case "instance-vanish":
                assert isinstance(victim, Instance)
                victim.link.freeze(1000.0)
                victim.process.kill("its host vanishes")
            case "server-freeze":
                assert isinstance(victim, Server)
                if victim.link is not None:
                    victim.link.freeze(fault.seconds)
            case "clock-set":
                victim.process.runtime.set_clock(self.dice.choice((-1.0, 1.0)) * self.dice.choice((1.0, 60.0)))
            case "store-full":
                self.disk.full = True
                self._later(fault.seconds, self._make_room)
            case "results-late":
                self.broker.held[victim.process.name] = self.loop.time() + fault.seconds
            case "link-cut":
                assert isinstance(victim, Instance)
                victim.link.cut(fault.seconds)
            case "link-freeze":
                assert isinstance(victim, Instance)
                victim.link.freeze(fault.seconds)

    def _victim(self, fault: Fault) -> Instance | None:
        if fault.victim != BUSIEST:
            return self.instances[fault.victim]
        there = [instance for instance in self.instances if instance is not None and instance.process.alive]
        return max(there, key=lambda instance: len(instance.supervisor._attempts.held), default=None)

    async def _restart(self, server: Server) -> None:
        try:
            if server.ready:
                await server.stop()
        except sqlite3.OperationalError as error:
            server.process.kill(f"stopped, but {error}")
        server.process.kill("stopped in order")

    def _make_room(self) -> None:
        self.disk.full = False

    def _heal(self) -> None:
        self.note("world", "is healed")
        self._healed = True
        self.broker.quiet = True
        self.beyond.die = 0.0

    # -- at the end --------------------------------------------------------------------------------------------------

    def _check_ends(self) -> None:
        for job in self.jobs:
            end = self.client.ends[job.name]
            if end["state"] not in job.may_end:
                self._violated("ends", f"{job.name} has {end['state']}: {end.get('reason')}")
        for promise in self.client.broken_promises:
            self._violated("idempotency", promise)

    def _check_rest(self) -> None:
        server = self.server
        if server is None or not server.ready:
            self._violated("progress", "the server is not there at the end")
            return
        board = server.engine.board
        rest = {
            "runs": len(board.runs),
            "leases": len(board.leases),
            "steps in line": len(board.placement),
            "parked steps": len(board.parked),
            "departures": len(board.departures),
        }
        for what, count in rest.items():
            if count:
                self._violated("leftovers", f"the scheduler still has {count} {what}")
        for instance in self.instances:
            if instance is not None and instance.process.alive and instance.supervisor._attempts.held:
                held = [attempt.id for attempt in instance.supervisor._attempts.held.values()]
                self._violated("leftovers", f"{instance.process.name} still holds {held}")

    def _state(self) -> str:
        """The runs that have not ended, and those of their steps that have not, as SQL has them."""
        run, step = schema.run, schema.step
        shown = (run.c.id, run.c.state, step.c.id, step.c.state, step.c.epoch, step.c.instance, step.c.reason)
        query = sa.select(*shown).join(step, run.c.key == step.c.run, isouter=True)
        query = query.where(run.c.ended_at.is_(None), step.c.ended_at.is_(None))
        with self.database.connect() as connection:
            return "\n".join(f"    {tuple(row)}" for row in connection.execute(query))

    def _check(self, submitted: Any) -> None:
        store = MemoryStore(self.disk, self._processes[0].runtime)
        with self.database.connect() as connection:
            in_flight = sum(1 for instance in self.instances if instance) * max(SLOTS) * 9
            allowed = (self.faults + self.broker.lost) * in_flight
            found = check(connection, store, tuple(submitted), lost_allowed=allowed)
            self.violations.extend(found)
            self.attempts = list(connection.execute(sa.select(schema.attempt.c.state)).scalars())
            self.runs = connection.execute(sa.select(sa.func.count()).select_from(schema.run)).scalar_one()
            self._check_outputs(connection, store)
        self.image = self.database.raw.serialize()

    def _check_outputs(self, connection: sa.Connection, store: MemoryStore) -> None:
        """Every run that succeeded has exactly the bytes that its flow computes."""
        for job in self.jobs:
            if self.client.ends.get(job.name, {}).get("state") != "succeeded":
                continue
            run = self.client.promised[job.name]
            text = connection.execute(sa.select(schema.run.c.outputs).where(schema.run.c.id == run)).scalar_one()
            for name, expected in expected_outputs(job.flow).items():
                found = [self._content(store, reference["key"]) for reference in json.loads(text)[name]]
                if found != expected:
                    self._violated("result", f"{job.name}: output {name} is {found}, not {expected}")

    @staticmethod
    def _content(store: MemoryStore, key: str) -> bytes | None:
        try:
            return bytes(store.read(key))
        except ObjectMissing:
            return None

    def _violated(self, invariant: str, text: str) -> None:
        self.note("world", f"VIOLATED {invariant}: {text}")
        self.violations.append(Violation(invariant, text))

    def _close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.get_coro().close()
        self.loop.close()
        self.database.dispose()

    def ended_at(self, job: str) -> float:
        """The virtual time at which a job's run ended."""
        return float(self.client.ends[job]["ended_at"]) - EPOCH

    def report(self) -> str:
        """What a failed test prints."""
        wire = "hub" if self.with_hub else "log"
        violated = "\n".join(f"  {violation}" for violation in self.violations)
        return f"{self.trace.tail()}\nseed {self.seed} ({wire}), plan {self.plan}\nviolated:\n{violated}"
