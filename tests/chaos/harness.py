"""One run of chaos from its start to its verdict."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import evidence, recovery
from tests.chaos.clients import Clients
from tests.chaos.disk import disk_for
from tests.chaos.distributed import DistributedChaosMesh
from tests.chaos.faults import Hands
from tests.chaos.mesh import ChaosMesh
from tests.chaos.plan import Event, draw
from tests.chaos.verdict import judge
from tests.chaos.watcher import Watcher
from tests.chaos.workload import orders
from tests.e2e.tmpfs import SmallDisk

TICK_S = 0.02
STUCK_S = 120.0
"""When nothing has come any nearer to its end for so long after all was healed, it never will."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is wanted: so many processes killed by `kill -9` and so many runs submitted in so many seconds."""

    seed: int
    kills: int
    seconds: float
    runs: int
    distributed: bool = False
    say: Callable[[str], None] = print


@dataclass(slots=True)
class Outcome:
    """What came of it. `violations` is empty when everything is right; else `kept` is a folder with all that is left."""

    options: Options
    took_s: float = 0.0
    healed_s: float = 0.0
    faults: dict[str, int] = field(default_factory=dict)
    kills: int = 0
    small_disk: bool = False
    states: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    effects: int = 0
    attempts: dict[str, int] = field(default_factory=dict)
    waits: list[recovery.Wait] = field(default_factory=list)
    data_bytes: int = 0
    lifted: int = 0
    starts: dict[str, int] = field(default_factory=dict)
    timeline: list[Event] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    kept: Path | None = None


def run(options: Options) -> Outcome:
    """Start a mesh, hurt it, heal it, and judge what is left. Leaves no process, and no file unless something is wrong."""
    folder = Path(tempfile.mkdtemp(prefix=f"plugmesh-chaos-{options.seed}-"))
    outcome = Outcome(options)
    begun = time.monotonic()
    mesh: ChaosMesh | DistributedChaosMesh
    with ExitStack() as stack:
        disk = None
        if options.distributed:
            mesh = DistributedChaosMesh(folder, options.seed)
        else:
            mesh = ChaosMesh(folder, options.seed)
            disk = stack.enter_context(disk_for(mesh.mesh.data, options.runs))
        outcome.small_disk = disk is not None
        try:
            _Run(options, outcome, mesh, disk, folder / "effects.db").go()
        except Exception as error:  # noqa: BLE001  also a harness that fails has to say what it saw, and to end everybody
            outcome.violations.append(f"the run broke off: {type(error).__name__}: {error}")
        finally:
            mesh.kill()
        outcome.took_s = time.monotonic() - begun
        if outcome.violations and disk is not None:
            with suppress(shutil.Error):  # what can be copied has been
                shutil.copytree(disk.path, folder / "kept-data", ignore=shutil.ignore_patterns("ballast"))
    if outcome.violations:
        outcome.kept = folder
    else:
        shutil.rmtree(folder)
    return outcome


class _Run:
    """The parts of one run, wired."""

    def __init__(
        self,
        options: Options,
        outcome: Outcome,
        mesh: ChaosMesh | DistributedChaosMesh,
        disk: SmallDisk | None,
        database: Path,
    ) -> None:
        self._options, self._outcome, self._mesh, self._database = options, outcome, mesh, database
        plan = draw(
            options.seed, options.kills, options.seconds, small_disk=disk is not None, distributed=options.distributed
        )
        self._hands = Hands(mesh, disk, list(plan), timeline=outcome.timeline)
        self._orders = orders(options.seed, options.runs, options.seconds, str(database))
        self._clients: Clients
        self._watcher: Watcher
        self._begun, self._told = 0.0, 0

    def go(self) -> None:
        """All of it, in order."""
        evidence.make_database(self._database)
        self._mesh.up()
        self._clients = Clients(self._mesh.ports, self._orders, self._options.seed)
        self._watcher = Watcher(self._mesh.ports[0])
        self._begun = time.monotonic()
        self._clients.start()
        self._watcher.start()
        try:
            self._hurt()
            self._hands.heal(self._now)
            healed = time.monotonic()
            self._wait()
            self._outcome.healed_s = time.monotonic() - healed
            self._look()
        finally:
            self._clients.agenda.close()
            self._watcher.close()
            self._add_up()
        self._stop()

    @property
    def _now(self) -> float:
        return time.monotonic() - self._begun

    # -- while it hurts ------------------------------------------------------------------------------------------------

    def _hurt(self) -> None:
        until = self._options.seconds + STUCK_S
        while (self._hands.plan or self._now < self._options.seconds) and self._now < until:
            self._tick()
            self._hands.tick(self._now)
        if self._hands.plan:
            self._outcome.violations.append(f"faults without a victim: {[fault.kind for fault in self._hands.plan]}")

    def _tick(self) -> None:
        self._mesh.tend()
        for event in self._outcome.timeline[self._told :]:
            self._options.say(told(event))
        self._told = len(self._outcome.timeline)
        time.sleep(TICK_S)

    # -- when it is healed ---------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Until all orders are carried out and all runs have ended, or nothing moves any more."""
        last, since, asked = -1, time.monotonic(), 0.0
        while True:
            self._tick()
            if time.monotonic() - asked < 1.0:
                continue
            asked = time.monotonic()
            idle = self._clients.agenda.idle  # asked first: whatever was made before it is among those that are counted
            left = evidence.unfinished(self._mesh.ports[0])
            if idle and left == 0:
                return
            if left is not None and left != last:
                last, since = left, asked
            if asked - since > STUCK_S:
                self._outcome.violations.append(
                    f"{left} runs do not end, orders are left: {not self._clients.agenda.idle}"
                )
                return

    def _look(self) -> None:
        runs = evidence.seen(self._mesh.ports[0])
        effects = evidence.effects(self._database)
        self._outcome.effects = len(effects)
        for one in runs:
            self._outcome.states[one.state] = self._outcome.states.get(one.state, 0) + 1
        self._outcome.violations += self._clients.agenda.broken + judge(self._clients.receipts, runs, effects)

    def _stop(self) -> None:
        """End the processes in order; what is on the disk then must keep the invariants."""
        self._outcome.violations += self._mesh.stop()
        remains = self._mesh.remains()
        self._outcome.violations += remains.violations
        self._outcome.data_bytes, self._outcome.attempts = remains.data_bytes, remains.attempts
        self._outcome.waits = recovery.waits(remains.lost, self._outcome.timeline, self._watcher.pids)
        self._outcome.violations += recovery.lost_by_drains(self._outcome.waits)

    def _add_up(self) -> None:
        outcome = self._outcome
        outcome.faults, outcome.kills = dict(sorted(self._hands.done.items())), self._hands.kills
        outcome.requests = sum(receipt.requests for receipt in self._clients.receipts)
        outcome.lifted = self._watcher.lifted
        outcome.starts = {service.name: service.starts for service in self._mesh.services}


def told(event: Event) -> str:
    """A line of the timeline."""
    return f"{event.at_s:8.2f} s  {event.text}{' ' + str(list(event.pids)) if event.pids else ''}"
