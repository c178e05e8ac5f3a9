"""Owning shards: leases in SQL, loading what they hold, and dropping them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from plugmesh.bus.port import EARLIEST, Bus, Delivery, Subscription
from plugmesh.contracts.messages import RESULTS
from plugmesh.contracts.run import SHARDS, StepState
from plugmesh.contracts.run import RunState as State
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.state.records import Lease, Unfinished
from plugmesh.state.schedulers import attend, leave
from plugmesh.state.store import State as Store
from registry.registry import Registry
from scheduler.assignment import Misfit, make_assign
from scheduler.balance import View, moves
from scheduler.board import Board, need_of
from scheduler.events import AttemptLost, ModuleFound, asked
from scheduler.placing import is_patient
from scheduler.restore import restore
from scheduler.runstate import RunState
from scheduler.step import Step

_log = logging.getLogger(__name__)

SHARD_LEASE_S = 10.0
RENEW_EVERY_S = 3.0


class Shards:
    """The shards of one scheduler. `owner` is a fresh id at each boot, so that terms rise at each change of owner."""

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        *,
        bus: Bus,
        registry: Registry,
        board: Board,
        owner: str,
        deliver: Callable[[int, Delivery], None],
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self._runtime, self._store, self._bus = runtime, store, bus
        self._registry, self._board, self.owner, self._deliver = registry, board, owner, deliver
        self._subscriptions: dict[int, Subscription] = {}
        self._moved = moved
        self._acquiring = asyncio.Lock()
        self._draining = False

    async def acquire(self) -> None:
        """Take every shard that is free, or one's share of them where there are other schedulers, and load it. One that
        cannot be loaded is left for the next time."""
        async with self._acquiring:  # two at once would load the same shard twice
            held = frozenset(self._board.terms) if self._store.exclusive else await self._share()
            if len(held) == SHARDS:
                return
            for lease in await self._store.acquire(self.owner, SHARD_LEASE_S, held):
                try:
                    await self._load(lease)
                except Exception:  # noqa: BLE001  the other shards must not wait for this one
                    _log.exception("shard %d could not be loaded; its runs stand still until it can", lease.shard)
                    self.drop(lease.shard)
            self._moved()

    async def _share(self) -> frozenset[int]:
        """Give back what others should have; the shards that are not to be taken now."""
        present = await self._store.write(attend, self.owner, SHARD_LEASE_S, draining=self._draining)
        held = frozenset(self._board.terms)
        # What the database calls ours, and we have dropped, is to be read again at once: for us it is free.
        others = {shard: owner for shard, owner in present.shards.items() if owner != self.owner}
        view = View(present.schedulers, {**dict.fromkeys(range(SHARDS)), **others, **dict.fromkeys(held, self.owner)})
        plan = moves(view, self.owner)
        if plan.give:
            _log.info("shards %s go to other schedulers", ", ".join(map(str, plan.give)))
            await self._give_back(plan.give)
        return frozenset(range(SHARDS)) - frozenset(plan.take)

    async def _give_back(self, shards: Sequence[int]) -> None:
        for shard in shards:
            self.drop(shard)
        if shards:
            await self._store.release(self.owner, shards)
        self._moved()

    async def renew(self) -> None:
        """Prolong the leases; drop shards that someone else has taken."""
        for shard in await self._store.renew(self.owner, list(self._board.terms.items()), SHARD_LEASE_S):
            _log.warning("shard %d has another owner now", shard)
            self.drop(shard)

    async def release(self) -> None:
        """Give all shards back; others learn first that this scheduler wants none of them."""
        self._draining = True
        if not self._store.exclusive:
            await self._store.write(attend, self.owner, SHARD_LEASE_S, draining=True)
        await self._give_back(range(SHARDS))  # also those that were dropped, and not read again yet
        if not self._store.exclusive:
            await self._store.write(leave, self.owner)

    def drop(self, shard: int) -> None:
        """Forget a shard; what was not committed comes again from SQL and from the bus."""
        subscription = self._subscriptions.pop(shard, None)
        if subscription is not None:
            subscription.close()
        self._board.drop_shard(shard)

    async def _load(self, lease: Lease) -> None:
        unfinished = await self._store.unfinished(lease.shard)
        board = self._board
        board.terms[lease.shard] = lease.term
        for run in restore(unfinished):
            self._take_over(run)
        self._carry_out(unfinished)
        start = lease.position or EARLIEST
        deliver = partial(self._deliver, lease.term)
        self._subscriptions[lease.shard] = self._bus.subscribe(RESULTS, (lease.shard,), deliver, start)

    def _take_over(self, run: RunState) -> None:
        if not run.seq:
            self._board.enter(run)
            return
        self._board.admit(run)
        if run.state is State.QUEUED:
            if run.permit is None:
                self._board.begin(run)
            else:
                self._board.queues.add(run)
            return
        for step in list(run.steps.values()):
            self._resume(run, step)

    def _resume(self, run: RunState, step: Step) -> None:
        if step.state is StepState.READY:
            self._board.line_up(run, step)
        elif step.live:
            self._expect(run, step)
        elif step.wake_at is not None:
            self._board.wake(run.id, step.id, step.wake_at)
        if step.state is StepState.PARKED:
            self._board.park(run, step)
            if self._board.placement.served(need_of(run, step)):  # its module came while nobody watched over it
                self._board.happen(run, ModuleFound(self._runtime.wall(), step.id))

    def _expect(self, run: RunState, step: Step) -> None:
        """An attempt is out: its instance gets one whole lease to say so, and the message again when it is back."""
        module = run.plan.nodes[step.node].module
        contract = self._registry.contract(module, step.version or "")
        try:
            if contract is None:
                raise Misfit(f"the contract of {module}@{step.version} is gone from the catalogue")
            term = self._board.terms[run.shard]
            at = self._runtime.wall()
            message = make_assign(
                run,
                step,
                contract,
                instance=step.instance or "",
                epoch=step.epoch,
                term=term,
                at=at,
                left_s=self._board.left_s(run),
            )
        except (Misfit, PlugmeshError) as error:
            self._board.happen(run, AttemptLost(self._runtime.wall(), step.id, step.epoch, str(error)))
            return
        self._board.leases.assign(
            message, self._runtime.now(), patient=is_patient(contract), alone=step.alone, taken_over=True
        )
        member = self._registry.members().get(message.instance)
        held = self._board.leases.get(message.attempt)
        if held is not None and member is not None and member.connected is not False:
            self._board.remind(held)  # nobody knows whether the message has left this process

    def _carry_out(self, unfinished: Unfinished) -> None:
        for command in unfinished.commands:
            run = self._board.runs.get(command.run)
            if run is not None:
                self._board.happen(run, asked(command, self._runtime.wall()))
                self._board.work.commands.append((None, command))
