"""The engine: drains its inbox, walks the runs, places steps, commits once, then lets the effects happen.

    inbox -> advance -> place -> rows -> commit -> effects

It commits at once when idle; what arrives meanwhile is the next group. Nothing leaves the process before the
transaction that it belongs to is committed. If a commit fails, or its outcome is unknown, the shards that it
touched are dropped and read again from SQL.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from plugmesh.bus.port import Bus, Delivery
from plugmesh.contracts.run import Command, Receipt, Submission, shard_of
from plugmesh.discovery.port import Watch
from plugmesh.errors import StateUnavailable, StoreFull
from plugmesh.figures import Latency
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime
from plugmesh.state.permits import Given
from plugmesh.state.records import Commit, StoredRun
from plugmesh.state.store import State as Store
from plugmesh.telemetry.off import OFF
from plugmesh.telemetry.port import Telemetry
from registry.registry import MemberChange, Registry
from scheduler import journal
from scheduler.admission import Admission
from scheduler.arrivals import Arrivals, Arrived
from scheduler.assignment import AttemptDefaults
from scheduler.board import Board
from scheduler.claims import Claims
from scheduler.events import asked
from scheduler.inbound import Inbound
from scheduler.judge import TICK_S, Judge
from scheduler.outbound import Outbound
from scheduler.placing import Placing
from scheduler.plans import Plans
from scheduler.quarantines import Quarantines
from scheduler.restore import restore
from scheduler.runstate import RunState
from scheduler.shards import RENEW_EVERY_S, Shards
from scheduler.tracing import Tracing
from scheduler.work import Work, make_commit

_log = logging.getLogger(__name__)

CYCLE_ITEMS = 500
"""Most inbox items of one cycle: a flood must not make one commit (and everyone's wait) endless."""
_RELOAD_AFTER_S = 0.5


@dataclass(frozen=True, slots=True)
class _Submitted:
    submission: Submission
    receipt: asyncio.Future[Receipt]


@dataclass(frozen=True, slots=True)
class _Commanded:
    command: Command
    done: asyncio.Future[None]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What arrived while the shard was owned with `term`."""

    term: int
    delivery: Delivery


class _Tick:
    """Time to judge. It waits in line like everything else: what arrived before it counts before anyone is judged."""


_Item: TypeAlias = _Heard | MemberChange | _Submitted | _Commanded | Given | Arrived | _Tick


class Engine:
    """One scheduler. It serves the `Intake` port to a gateway in the same process.

    `defaults` are asked for at each assignment. `on_notifications` is called when a commit has left some to send.
    """

    def __init__(
        self,
        runtime: Runtime,
        store: Store,
        *,
        bus: Bus,
        registry: Registry,
        objects: ObjectStore,
        owner: str,
        defaults: Callable[[], AttemptDefaults] = AttemptDefaults,
        on_notifications: Callable[[], None] = lambda: None,
        telemetry: Telemetry = OFF,
    ) -> None:
        self._runtime, self._store = runtime, store
        self._registry = registry
        self.board = Board(runtime)
        self._tracing = Tracing(telemetry, self.board.runs)
        self.board.is_traced = self._tracing.is_traced
        self._inbox: deque[_Item] = deque()
        self._wake = asyncio.Event()
        self._inbound = Inbound(runtime, self.board, self._drains)
        self._outbound = Outbound(runtime, self.board, bus, objects, self._wake.set)
        self._placing = Placing(runtime, self.board, registry, defaults)
        self._bus = bus
        self._judge = Judge(runtime, self.board, registry, self._placing, is_deaf=lambda: bus.is_away)
        self._shards = Shards(
            runtime,
            store,
            bus=bus,
            registry=registry,
            board=self.board,
            owner=owner,
            deliver=self._hear,
            moved=self._owned,
        )
        self._arrivals = Arrivals(runtime, store, bus, put=self._put, known=self.board.runs.__contains__)
        self._admission = Admission(runtime, store, self.board, owner=owner, give=self._put)
        self.quarantines = Quarantines(store, registry, self.board.suspects)
        self._plans = Plans()
        self._on_notifications = on_notifications
        self._claims = Claims(runtime, store)
        self._tasks: list[asyncio.Task[None]] = []
        self._watch: Watch | None = None
        self._stopping = self._stopped = False
        self._tick_due = False
        self.commits = 0
        self.thinking = Latency("plugmesh_engine_cycle_seconds", "Time to take in, walk and place before each commit")
        self.trouble: str | None = "it has not started yet"
        """Why runs cannot be accepted now, or `None`: the last thing that was written, or could not be."""
        self._full: StoreFull | None = None

    # -- life --------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take the shards, load what they hold, and begin. The registry must have been started."""
        self._watch = self._registry.watch(self._put)
        await self.quarantines.start()
        self._placing.refresh()
        await self._shards.acquire()
        self._works()
        self._tasks = [
            self._runtime.spawn(self._run(), "engine"),
            self._runtime.spawn(self._tick(), "engine-tick"),
            self._runtime.spawn(self._own(), "engine-shards"),
            self._runtime.spawn(self._admission.run(), "engine-admission"),
        ]
        if not self._store.exclusive:  # gateways of other processes write, too
            self.board.on_left = self._arrivals.left
            self._tasks.append(self._runtime.spawn(self._arrivals.run(), "engine-arrivals"))
        self._wake.set()
        self._admission.wake()

    async def failed(self) -> None:
        """Wait until a part of the engine ends by itself, which is an error; raises it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    async def stop(self) -> None:
        """Finish the cycle at hand, write what is left, give the shards back."""
        self._stopping = True
        if self._watch is not None:
            self._watch.close()
        self.quarantines.stop()
        self._arrivals.close()
        self._wake.set()
        for task in self._tasks[1:]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._outbound.close()
        self._stopped = True
        while self._inbox:
            _turn_away(self._inbox.popleft(), "this scheduler has stopped: submit again when it is back")
        await self._shards.release()

    @property
    def inbox(self) -> int:
        """Things that wait for the next cycle."""
        return len(self._inbox)

    async def submit(self, submission: Submission) -> Receipt:
        """See `Intake.submit`."""
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        earlier = await self._claims.earlier(submission, receipt)
        if earlier is not None:
            return earlier
        self._put(_Submitted(submission, receipt))
        return await asyncio.shield(receipt)  # who does not wait for the answer any more has submitted all the same

    async def command(self, command: Command) -> None:
        """See `Intake.command`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._put(_Commanded(command, future))
        await asyncio.shield(future)

    # -- the cycle ---------------------------------------------------------------------------------------------------

    def _put(self, item: _Item) -> None:
        if self._stopped:
            _turn_away(item, "this scheduler has stopped: submit again when it is back")
            return
        self._inbox.append(item)
        self._wake.set()

    def _hear(self, term: int, delivery: Delivery) -> None:
        self._put(_Heard(term, delivery))

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            stopping = self._stopping  # then this cycle writes what is left
            await self.cycle()
            if self._inbox:
                self._wake.set()
                await asyncio.sleep(0)  # the commit may have been instant: let others run between two cycles
            elif stopping:
                return

    async def cycle(self) -> None:
        """One round: everything in the inbox (at most `CYCLE_ITEMS`), one commit, the effects."""
        begun = self._runtime.now()
        flush = self._stopping
        for _ in range(min(len(self._inbox), CYCLE_ITEMS)):
            item = self._inbox.popleft()
            flush = flush or isinstance(item, _Tick)
            self._take(item)
        if not self._bus.is_away:  # else nobody would hear of it, and each attempt would be lost
            self._placing.place(self._inbound.resting)
        work, self.board.work = self.board.work, Work()
        if work.eager or work.submissions or work.commands or flush:
            dirty, self.board.dirty = list(self.board.dirty.values()), {}
            commit = make_commit(
                work,
                dirty,
                owner=self._shards.owner,
                terms=self.board.terms,
                positions=self.board.positions,
                at=self._runtime.wall(),
                keep=journal.is_kept(),
            )
            if commit:
                self.thinking.observe(self._runtime.now() - begun)
                outcome = self._store.commit(commit)
                self._outbound.prepare(work)  # while the database is at it
                committed = await self._committed(work, commit, outcome)
                self._judge.stood_still(self._runtime.now() - begun)
                if not committed:
                    return
                self._admission.wake()
        await self._outbound.send(work)
        if work.changed:
            self._tracing.committed(work.changed)
            if journal.is_kept():
                journal.keep(work.changed)

    def _take(self, item: _Item) -> None:
        match item:
            case _Heard():
                self._deliver(item.term, item.delivery)
            case _Submitted():
                self._submitted(item)
            case _Commanded():
                self._commanded(item)
            case MemberChange():
                self._member_changed(item)
            case Given():
                self._admission.carry_out(item)
            case Arrived():
                self._arrived(item)
            case _Tick():
                self._tick_due = False
                self._judge.look()

    def _deliver(self, term: int, delivery: Delivery) -> None:
        shard = delivery.partition
        if self.board.terms.get(shard) != term:
            return  # dropped meanwhile: it comes again after the reload, and in order
        for payload in delivery.messages:
            try:
                self._inbound.receive(payload, shard)
            except Exception:  # noqa: BLE001  it would come again and again: better that its lease ends
                _log.exception("a message was dropped, the scheduler failed with it: %.200r", payload)
        self.board.positions[shard] = delivery.offset
        self.board.work.acks.append(delivery.ack)
        self.board.work.heard.add(shard)

    def _submitted(self, item: _Submitted) -> None:
        submission = item.submission
        shard = shard_of(submission.run)
        if shard not in self.board.terms:
            message = f"shard {shard} is being taken over: submit again in a moment"
            _turn_away(item, message, self._full)
            return
        try:
            plan = self._plans.of(submission.flow)
        except Exception as error:  # noqa: BLE001  nothing is written yet: only its sender learns of it
            item.receipt.set_exception(error)
            return
        run = RunState(
            submission.run,
            shard,
            plan,
            namespace=submission.namespace,
            inputs=submission.inputs,
            params=submission.params,
            deadline=submission.deadline,
            timeout_s=submission.timeout_s or submission.flow.timeout_s,
            priority=submission.priority,
            permit=submission.permit,
            rerun=submission.rerun,
            planned=submission.planned,
            notify=submission.notify,
            submitted_at=submission.submitted_at or None,
        )
        self.board.work.submissions.append(submission)
        self.board.enter(run)
        self.board.work.receipts.append((item.receipt, Receipt(run=run.id, state=run.state)))

    def _commanded(self, item: _Commanded) -> None:
        command = item.command
        if (shard := shard_of(command.run)) not in self.board.terms:
            _turn_away(item, f"shard {shard} is being taken over: ask again in a moment", self._full)
            return
        run = self.board.runs.get(command.run)
        if run is not None:
            self.board.happen(run, asked(command, self._runtime.wall()))
        self.board.work.commands.append((item.done, command))

    def _arrived(self, item: Arrived) -> None:
        """What gateways wrote. A shard that was dropped meanwhile has, or will have, read it itself."""
        ours = {shard for shard, term in item.terms.items() if self.board.terms.get(shard) == term}
        for run in restore(item.found, unreadable=_log_unreadable):
            if run.shard in ours and run.id not in self.board.runs and not self._arrivals.is_old(item, run.id):
                self.board.enter(run)
        for command in item.found.commands:
            about = self.board.runs.get(command.run)
            if about is not None and about.shard in ours:
                self.board.happen(about, asked(command, self._runtime.wall()))
                self.board.work.commands.append((None, command))

    def _owned(self) -> None:
        """Other shards are this scheduler's now."""
        if not self._store.exclusive:
            self._arrivals.listen(self.board.terms)

    def _drains(self, instance: str) -> None:
        """From this cycle on nothing is placed there: the news of it would only come with the next one."""
        if self._registry.drains(instance):
            self._placing.refresh()

    def _member_changed(self, change: MemberChange) -> None:
        self._placing.refresh()
        self._placing.unpark(_modules_of(change))
        if change.instance is None:
            self._placing.take_back()
            return
        before, after = change.before, change.after
        if after is None or after.connected is False:
            self.board.departures.left(change.instance, self._runtime.now())
            return
        self.board.departures.back(change.instance)
        if before is None or before.connected is False:
            for held in self.board.leases.of_instance(change.instance):
                self.board.remind(held)  # what was sent while it was away did not arrive

    # -- what is done from time to time --------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await self._runtime.sleep(TICK_S)
            if self._judge.tick() and not self._tick_due:
                self._tick_due = True
                self._put(_Tick())

    async def _own(self) -> None:
        while True:
            await self._runtime.sleep(RENEW_EVERY_S)
            try:
                await self._shards.renew()
                await self._shards.acquire()
                await self.quarantines.follow()
                self._works()
            except Exception as error:  # noqa: BLE001  whatever it was, the leases must be tried again
                self._fails("the database cannot be written", error)
                _log_failure("the leases of the shards could not be renewed; trying again", error)
            self._wake.set()
            self._admission.look_again()

    # -- commit and effects ------------------------------------------------------------------------------------------

    async def _committed(self, work: Work, commit: Commit, outcome: Awaitable[dict[str, int]]) -> bool:
        try:
            keys = await outcome
        except Exception as error:  # noqa: BLE001  any error leaves the outcome unknown
            _log_failure(f"a commit failed; reading {len(commit.positions)} shards again", error)
            self._fails("the last commit failed", error)
            self.quarantines.count(commit.convictions)
            work.fail(error if isinstance(error, StoreFull) else _unknown(error))
            for shard in sorted(work.heard.union(commit.positions)):  # what was heard must be heard again, too
                self._shards.drop(shard)
            await self._runtime.sleep(_RELOAD_AFTER_S)
            try:
                await self._shards.acquire()
            except Exception as again:  # noqa: BLE001  what broke the commit; it is tried again every few seconds
                _log_failure("the shards could not be read again yet", again)
            self._wake.set()
            self._admission.wake()
            return False
        self.commits += 1
        self.board.tally.committed(commit)
        self._works()
        for run, *_ in work.announced:
            run.key = keys.get(run.id, run.key)
            self.board.queues.changed(run)
        if commit.acquitted or commit.convictions:
            self.quarantines.acquit(commit.acquitted)
            self.quarantines.count(commit.convictions)
        if commit.notifications:
            self._on_notifications()
        return True

    def _works(self) -> None:
        self.trouble = self._full = None

    def _fails(self, what: str, error: Exception) -> None:
        self.trouble, self._full = f"{what}: {error}", error if isinstance(error, StoreFull) else None


def _unknown(error: Exception) -> StateUnavailable:
    return StateUnavailable(f"the outcome is unknown, ask again with the same idempotency key: {error}")


def _log_unreadable(stored: StoredRun, error: Exception) -> None:
    _log.error("run %s cannot be read by this version, it waits for one that can: %r", stored.id, error)


def _log_failure(what: str, error: Exception) -> None:
    foreseen = isinstance(error, StoreFull | StateUnavailable)
    _log.error("%s: %s", what, error, exc_info=None if foreseen else error)


def _turn_away(item: _Item, reason: str, full: StoreFull | None = None) -> None:
    """Tell who waits for it that nothing was done; `full` says more than the reason."""
    future: asyncio.Future[Receipt] | asyncio.Future[None]
    match item:
        case _Submitted(_, future) | _Commanded(_, future):
            if not future.done():
                future.set_exception(full or StateUnavailable(reason))
        case _:
            return


def _modules_of(change: MemberChange) -> frozenset[str]:
    """Modules that steps may be parked for and that may now be served: by a new version, or by one more instance."""
    after, before = change.after, change.before
    if after is None or not after.usable or (before is not None and before.usable):
        return change.modules_changed
    return change.modules_changed | after.offers.keys()
