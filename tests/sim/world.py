"""One simulated mesh from its start to the end of all runs, under one seed."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from plugmesh.contracts.module import ModuleContract
from plugmesh.errors import PlugmeshError
from plugmesh.objects.port import ObjectStore
from plugmesh.state import schema
from scheduler.invariants.check import check
from scheduler.invariants.violation import Violation
from tests.sim import findings
from tests.sim.bus import LogBroker
from tests.sim.chaos import Plan, Trap
from tests.sim.client import Client
from tests.sim.database import SimDatabase, io_error
from tests.sim.discovery import Book
from tests.sim.executors import Outside
from tests.sim.faults import Strikes
from tests.sim.hubwire import Switchboard
from tests.sim.instance import Instance
from tests.sim.loop import SimLoop, Stuck
from tests.sim.modules import LATE, USUAL
from tests.sim.objects import Disk, MemoryStore
from tests.sim.process import EPOCH, Crashed, SimProcess
from tests.sim.server import Server
from tests.sim.trace import Trace
from tests.sim.workload import Job

HORIZON_S = 400.0
"""All runs have ended by then, or there is no progress: every patience in the system is far shorter."""
SETTLE_S = 40.0
"""After the last run's end: leases run out, stragglers report, and nothing may be left."""
CLOCK_SKEW_S = 300.0
"""Clocks are set in simulations: of runs that overlap by less the database has to be asked while they do (`WatchedWriter`)."""
SLOTS = (1, 2, 2, 4)
LATE_AT = 16.0
"""When the third instance comes, with the module that was missing."""
IN_DOUBT_S = 8.0
"""How long at most a transaction whose outcome its server does not know keeps its lock."""


class World:
    """See the module's text. `with_hub`: the product's own hub and links instead of `SimBus` and `SimDiscovery`; it lives
    in the one server. Without it there may be several servers over one database."""

    def __init__(
        self,
        seed: int,
        jobs: Sequence[Job],
        plan: Plan | None = None,
        *,
        with_hub: bool = False,
        servers: int = 1,
        executions: int | None = None,
    ) -> None:
        self.seed, self.jobs, self.plan, self.with_hub = seed, list(jobs), plan or Plan(until=0.0), with_hub
        self.executions = executions
        """How often steps may be executed at most, if that is known."""
        self.dice = random.Random(seed)
        self.luck = random.Random(seed + 3)
        self.trace = Trace()
        self.faults = 0
        self.violations: list[Violation] = []
        self.loop = SimLoop(self.fault)
        self.broker = LogBroker(random.Random(seed + 1), self.plan.weather)
        self.book = Book(self.broker)
        self.switchboard = Switchboard(self.broker)
        self.database = SimDatabase(self._database_clock, self._violated, exclusive=servers == 1)
        self.disk = Disk()
        self.beyond = Outside(die=self.plan.executor_dies)
        self.servers: list[Server | None] = [None] * servers
        self.instances: list[Instance | None] = [None, None, None]
        self.client = Client(self.servers, random.Random(seed + 2), self.note, self.plan.answer_lost)
        self.points: Counter[tuple[str, str]] = Counter()
        self.sprung: list[Trap] = []
        """What the chances of the plan have done."""
        self.attempts: list[str] = []
        """At the end: the states of the attempts that became no result."""
        self.runs = 0
        self.image = b""
        """At the end: the database, as SQLite's file has it."""
        self._strikes = Strikes(self)
        self._processes: list[SimProcess] = []
        self._healed = False

    @property
    def server(self) -> Server | None:
        """The first one."""
        return self.servers[0]

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

    def ended_at(self, job: str) -> float:
        """The virtual time at which a job's run ended."""
        return float(self.client.ends[job]["ended_at"]) - EPOCH

    def report(self) -> str:
        """What a failed test prints."""
        wire = "hub" if self.with_hub else f"log, {len(self.servers)} servers"
        violated = "\n".join(f"  {violation}" for violation in self.violations)
        return f"{self.trace.tail()}\nseed {self.seed} ({wire}), plan {self.plan}\nviolated:\n{violated}"

    # -- what processes ask of the world -----------------------------------------------------------------------------

    def outside(self, when: float, function: Callable[..., Any], *args: Any) -> None:
        self.loop.call_at(when, function, *args, context=contextvars.Context())

    def later(self, delay_s: float, function: Callable[..., Any], *args: Any) -> None:
        """Call something that belongs to no process after a delay."""
        self.outside(self.loop.time() + delay_s, function, *args)

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
        trap = self._trap(process.kind, point) or self._bad_luck(process.kind, point)
        if trap is None:
            return
        self.faults += 1
        if trap.fails:
            self.note(process.name, f"SQL error at {point}, {trap.locked_s:.2f}")
            self.database.lock(trap.locked_s, "")
            raise io_error(point)
        process.kill(f"at {point}")
        raise Crashed(point)

    def _trap(self, kind: str, point: str) -> Trap | None:
        here = (kind, point, self.points[kind, point])
        return next((trap for trap in self.plan.traps if (trap.kind, trap.point, trap.nth) == here), None)

    def _bad_luck(self, kind: str, point: str) -> Trap | None:
        """What the chances of the plan do here, as the trap that would do the same."""
        nth = self.points[kind, point]
        if self._unlucky(self.plan.crash.get(kind, 0.0)):
            self.sprung.append(Trap(kind, point, nth))
        elif point.startswith("state.") and self._unlucky(self.plan.sql_error):
            in_doubt = self.luck.random() < 0.3
            self.sprung.append(Trap(kind, point, nth, True, self.luck.uniform(0.1, IN_DOUBT_S) if in_doubt else 0.0))
        else:
            return None
        return self.sprung[-1]

    def _unlucky(self, chance: float) -> bool:
        return not self._healed and chance > 0 and self.luck.random() < chance

    def _database_clock(self) -> float:
        return EPOCH + self.loop.time()

    # -- the course of events ----------------------------------------------------------------------------------------

    async def _main(self) -> None:
        if len(self.servers) > 1:
            self.database.leave_leases(self.dice)
        for place in range(len(self.servers)):
            self._start_server(place)
        for index in (0, 1):
            self._start_instance(index, USUAL)
        self.outside(LATE_AT, self._start_instance, 2, (LATE,))
        for fault in self.plan.faults:
            self.outside(fault.at, self._strikes.strike, fault)
        if self.plan.until:
            self.outside(self.plan.until, self._heal)
        else:
            self._heal()
        modules = [contract.name for contract in (*USUAL, LATE)]
        operator = self.loop.create_task(self.client.lift_quarantines(modules))
        try:
            async with asyncio.timeout(HORIZON_S):
                await asyncio.gather(*(self.client.carry_out(job) for job in self.jobs))
        except TimeoutError:
            self._violated("progress", f"not all runs have ended after {HORIZON_S:g} virtual seconds:\n{self._state()}")
            self._check(())
            return
        except PlugmeshError as error:
            self._violated("requests", f"what nobody should have to expect: {error!r}")
            self._check(())
            return
        finally:
            operator.cancel()
        await asyncio.sleep(max(0.0, self.plan.until - self.loop.time()) + SETTLE_S)
        self._found(findings.of_ends(self.client))
        self._found(findings.of_servers(self.servers))
        self._found(findings.of_instances(self.instances))
        if self.executions is not None and self.beyond.executions > self.executions:
            self._violated("repeated", f"steps were executed {self.beyond.executions} times, not {self.executions}")
        self._check(list(self.client.promised.values()))

    def _process(self, name: str, kind: str) -> SimProcess:
        skewed = kind == "instance" or len(self.servers) > 1
        skew = self.dice.uniform(-2.0, 2.0) if skewed else 0.0
        process = SimProcess(self, name, kind, self.dice.getrandbits(32), skew)
        self._processes.append(process)
        self.note(name, "starts")
        return process

    def _start_server(self, place: int) -> None:
        number = 1 + sum(process.kind == "server" for process in self._processes)
        process = self._process(f"server-{number}", "server")
        server = self.servers[place] = Server(self, process, place)
        process.on_death.append(lambda: self.later(self.dice.uniform(0.05, 3.0), self._start_server, place))
        process.spawn(server.run(), "server")

    def _start_instance(self, index: int, contracts: Sequence[ModuleContract]) -> None:
        number = 1 + sum(process.kind == "instance" for process in self._processes)
        process = self._process(f"inst-{index}.{number}", "instance")
        dice = random.Random(self.dice.getrandbits(32))
        instance = Instance(self, process, contracts, dice=dice, outside=self.beyond, slots=dice.choice(SLOTS))
        self.instances[index] = instance
        process.on_death.append(lambda: self.later(self.dice.uniform(0.1, 8.0), self._start_instance, index, contracts))
        process.spawn(instance.run(), "instance")

    def _heal(self) -> None:
        self.note("world", "is healed")
        self._healed = True
        self.broker.quiet = True
        self.beyond.die = 0.0
        for process in self._processes:
            process.spare()

    # -- at the end --------------------------------------------------------------------------------------------------

    def _state(self) -> str:
        with self.database.connect() as connection:
            return findings.of_progress(connection)

    def _check(self, submitted: Collection[str]) -> None:
        store = MemoryStore(self.disk, self._processes[0].runtime)
        with self.database.connect() as connection:
            in_flight = sum(1 for instance in self.instances if instance) * max(SLOTS) * 9
            allowed = (self.faults + self.broker.lost) * in_flight
            effects = self.beyond.table_effects
            facts = {"submitted": submitted, "effects": effects, "lost_allowed": allowed, "clock_skew_s": CLOCK_SKEW_S}
            self._found(check(connection, store, **facts).violations)  # type: ignore[arg-type]
            self.attempts = list(connection.execute(sa.select(schema.attempt.c.state)).scalars())
            self.runs = connection.execute(sa.select(sa.func.count()).select_from(schema.run)).scalar_one()
            self._found(findings.of_outputs(connection, store, self.client))
            self._found(findings.of_sinks(connection, self.beyond, self.client))
        self.image = self.database.raw.serialize()

    def _found(self, violations: Iterable[Violation]) -> None:
        for violation in violations:
            self.note("world", f"VIOLATED {violation}")
            self.violations.append(violation)

    def _violated(self, invariant: str, text: str) -> None:
        self._found([Violation(invariant, text)])

    def _close(self) -> None:
        for task in asyncio.all_tasks(self.loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.get_coro().close()
        self.loop.close()
        self.database.dispose()
