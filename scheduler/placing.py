"""Giving ready steps to instances, parking those that nobody can run, and waking them when someone can."""

from __future__ import annotations

import logging
from collections.abc import Callable

from plugmesh.contracts.module import ModuleContract, ModuleKind
from plugmesh.contracts.run import StepError
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.state.modules import ModuleSwitch
from registry.registry import Registry
from registry.versions import fitting_versions
from scheduler.assignment import AttemptDefaults, Misfit, failure, make_assign
from scheduler.awaited import Awaited
from scheduler.board import Board, need_of
from scheduler.events import Assigned, ModuleFound, NoModule, Split, Unassignable
from scheduler.pieces import pieces_of
from scheduler.placement import Need, Placed
from scheduler.retry import left_s
from scheduler.roster import seat_of
from scheduler.runstate import LEAST_WINDOW, RunState
from scheduler.step import Step

_log = logging.getLogger(__name__)

PARK_AFTER_S = 1.0
"""A step parks when nobody has served its module for this long: an instance that only restarts is waited for."""

MOST_WINDOW = 4096
"""Most steps of one run that are issued at a time, however many places there are."""


class Placing:
    """Placement over the board, with the registry's view of who is there."""

    def __init__(
        self, runtime: Runtime, board: Board, registry: Registry, defaults: Callable[[], AttemptDefaults]
    ) -> None:
        self._runtime, self._board, self._registry = runtime, board, registry
        self._defaults = defaults
        self._unserved_since: dict[Need, float] = {}
        self._awaited = Awaited()
        self._waited_for: frozenset[tuple[str, str]] = frozenset()

    def refresh(self) -> None:
        """The roster has changed."""
        seats = [seat_of(member, self._registry) for member in self._registry.members().values()]
        self._waited_for = self._look()
        self._board.placement.roster(seats, self._registry.quarantined(), self._waited_for, self._is_disabled)
        places = sum(seat.slots + seat.prefetch for seat in seats)
        self._board.window = max(LEAST_WINDOW, min(places, MOST_WINDOW))

    def _is_disabled(self, name: str, version: str) -> bool:
        return self._registry.disabled(name, version) is not None

    def _look(self) -> frozenset[tuple[str, str]]:
        quarantined = self._registry.quarantined()
        served = {one for one in quarantined if one[1] in self._registry.served_versions(one[0])}
        return self._awaited.look(quarantined, served, self._runtime.now())

    def wait_no_longer(self) -> None:
        """Where a quarantined version has not come back, others may be used."""
        if self._waited_for and (given_up := self._waited_for - self._look()):
            self.refresh()
            self.unpark(frozenset(name for name, _ in given_up))

    def place(self, resting: dict[str, float]) -> None:
        """Send out whatever has someone with credit for it."""
        now = self._runtime.now()
        for instance in [name for name, until in resting.items() if until <= now]:
            del resting[instance]
        board = self._board
        for placed in board.placement.place(board.leases, board.is_ready, resting):
            self._send(placed)

    def _send(self, placed: Placed) -> None:
        board = self._board
        run = board.runs[placed.run]
        step = run.steps[placed.step]
        need = need_of(run, step)
        if need.pinned not in (None, placed.version) and board.placement.version(need) != placed.version:
            board.line_up(run, step)  # the run was pinned to another version while this step stood in line
            return
        contract = self._registry.contract(need.name, placed.version)
        at = self._runtime.wall()
        left = left_s(run.plan.nodes[step.node].node.retry, step.ready_at, at)
        if left is not None and left <= 0:
            board.happen(run, Unassignable(at, step.id, _too_late(run, step)))
            return
        if contract is None:
            self.park_step(run, step, f"the contract of {placed.version} is not known yet")
            return
        try:
            message = make_assign(
                run,
                step,
                contract,
                instance=placed.seat.instance,
                epoch=step.epoch + 1,
                term=board.terms[run.shard],
                at=at,
                left_s=board.left_s(run),
                defaults=self._defaults(),
            )
        except Misfit as error:
            self.park_step(run, step, f"{contract.ref} is live but does not fit: {error}")
            return
        except Exception as error:  # noqa: BLE001  values that nobody foresaw fail their own step, not the scheduler
            if not isinstance(error, PlugmeshError):
                _log.exception("run %s: the assignment of %s could not be made", run.id, step.id)
            board.happen(run, Unassignable(at, step.id, failure(error)))
            return
        if contract.traits.rowwise:
            ends = pieces_of(run.plan.nodes[step.node], step, contract, message.inputs)
            if ends is not None:
                board.happen(run, Split(at, step.id, placed.version, ends))
                return
        board.happen(run, Assigned(at, step.id, placed.seat.instance, placed.version))
        board.assigned += 1
        board.retried += message.epoch > 1
        board.leases.assign(message, self._runtime.now(), patient=is_patient(contract), alone=placed.alone)
        board.work.outgoing.append(message)

    def park_unserved(self) -> None:
        """Park steps whose module nobody has served for a while."""
        board, now = self._board, self._runtime.now()
        unserved = board.placement.unserved()
        self._unserved_since = {line.need: self._unserved_since.get(line.need, now) for line, _ in unserved}
        for line, waiting in unserved:
            if now - self._unserved_since[line.need] < PARK_AFTER_S:
                continue
            board.placement.remove(line)
            reason = self._why(line.need)
            for entry in waiting:
                if board.is_ready(entry.run, entry.step):
                    run = board.runs[entry.run]
                    self.park_step(run, run.steps[entry.step], reason)

    def park_step(self, run: RunState, step: Step, reason: str) -> None:
        """Let a step wait for a module, as long as its flow says."""
        at = self._runtime.wall()
        self._board.park(run, step)
        self._board.happen(run, NoModule(at, step.id, reason, at + run.plan.flow.park_s))

    def unpark(self, modules: frozenset[str]) -> None:
        """Wake steps that are parked for one of these modules, if someone now serves it."""
        if not modules:
            return
        board, at = self._board, self._runtime.wall()
        parked = [(run, step, need) for run, steps in board.parked.items() for step, need in steps.items()]
        for run_id, step_id, need in parked:
            run = board.runs.get(run_id)
            if run is not None and need.name in modules and board.placement.served(need):
                board.unpark(run_id, step_id)
                board.happen(run, ModuleFound(at, step_id))

    def take_back(self) -> None:
        """Ask for what is out of versions that are quarantined by now, and has not begun: let it end no more processes."""
        board, quarantined = self._board, self._registry.quarantined()
        for held in board.leases.of_versions(quarantined) if quarantined else ():
            run = board.runs.get(held.message.run)
            if run is not None:
                board.recall(run, held)

    def _why(self, need: Need) -> str:
        if (withheld := self._board.placement.withheld(need)) is not None:
            none_before = "; no version before it that would do is served" if need.previous else ""
            return f"{self._registry.disabled(need.name, withheld)}{none_before}"
        if (switch := self._switch(need)) is not None:
            return str(switch)
        wanted = f"{need.name}@{need.pinned}" if need.pinned else need.module
        live = self._registry.live_versions(need.name)
        if live and need.labels:
            labels = ", ".join(f"{key}={value}" for key, value in sorted(need.labels))
            return f"no live instance serves {wanted} with the labels {labels}; start one"
        if live:
            return f"no live instance serves {wanted}; live versions are {', '.join(live)}"
        if self._registry.versions(need.name):
            return f"no live instance serves {wanted}; it was here before: start it again"
        return f"no instance has ever served {wanted}; start a module with this name"

    def _switch(self, need: Need) -> ModuleSwitch | None:
        """What keeps every version that would do from being used."""
        served, known = self._registry.served_versions(need.name), self._registry.versions(need.name)
        fitting = fitting_versions(need.module, need.pinned, served) or fitting_versions(
            need.module, need.pinned, known
        )
        switches = [self._registry.disabled(need.name, version) for version in fitting]
        return switches[-1] if switches and None not in switches else None


def _too_late(run: RunState, step: Step) -> StepError:
    policy = run.plan.nodes[step.node].node.retry
    message = (
        f"all tries of the step together may take {0.0 if policy is None else policy.total_s:g} s (retry.total), and that "
        f"time was over before try {step.failures + 1} could begin"
    )
    return StepError(type="Timeout", message=message, code="tries-timeout")


def is_patient(contract: ModuleContract) -> bool:
    """Only the lease decides that an attempt of it is lost: its effects must not be doubled lightly."""
    return contract.kind is ModuleKind.SINK and not contract.traits.idempotent
