"""The supervisor: takes assignments, hands them to executors, keeps leases, and sends results until they are safe.

One attempt's way: `Assign` arrives (`inbox.py`) and is queued; a free executor gets its bytes (`work.py`); the
executor's `done` or `failed` goes to `results` as it is, and is kept until the bus says that it cannot be lost.
`accepted` and `started` are only sent for attempts that take longer than about 10 ms: the result says both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from module_sdk.storing import put
from module_sdk.supervisor.attempts import Attempts
from module_sdk.supervisor.executor import Executors
from module_sdk.supervisor.inbox import Inbox
from module_sdk.supervisor.outbox import Outbox
from module_sdk.supervisor.presence import Presence
from module_sdk.supervisor.settings import Settings
from module_sdk.supervisor.work import Work
from plugmesh.bus.port import Bus, Subscription
from plugmesh.contracts.instance import Registration
from plugmesh.contracts.messages import DISPATCH, Drain, Refused, Renewed, SetSlots
from plugmesh.contracts.module import ModuleContract, contract_key
from plugmesh.discovery.port import Discovery
from plugmesh.errors import Conflict, PlugmeshError
from plugmesh.first_contact import first_contact
from plugmesh.objects.port import ObjectStore
from plugmesh.runtime import Runtime

MOST_PREFETCH = 16_384
ALL_REFUSED = 3
"""Exit code when the mesh refused every module."""

_log = logging.getLogger(__name__)


class Supervisor:
    """One instance. `notice` gets the few lines that a person in front of the process should see, `on_spans` what executors
    traced."""

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        runtime: Runtime,
        bus: Bus,
        discovery: Discovery,
        objects: ObjectStore,
        registration: Registration,
        contracts: Sequence[ModuleContract],
        executors: Executors,
        settings: Settings | None = None,
        notice: Callable[[str], None] = _log.info,
        on_spans: Callable[[bytes], None] = lambda _: None,
    ) -> None:
        self._runtime, self._bus, self._objects = runtime, bus, objects
        self._registration, self._contracts = registration, contracts
        self._configured = registration
        self._settings = settings = settings or Settings()
        self._notice = notice
        outbox = Outbox(runtime, bus)
        self._work = Work(runtime, objects, executors, outbox, settings, registration.slots, on_spans)
        self._inbox = Inbox(
            runtime, registration.instance, contracts, self._work, outbox, settings, self._refusal, self._about_instance
        )
        self._presence = Presence(runtime, discovery, registration, self._attempts, outbox, settings, self._look_around)
        self._drain_until: float | None = None
        self._down_since: float | None = None
        self._subscription: Subscription | None = None
        self.ended = asyncio.Event()
        self.exit_code = 0

    @property
    def _attempts(self) -> Attempts:
        return self._work.attempts

    async def start(self) -> None:
        """Publish the contracts, listen, register. Returns when the instance is in the phone book."""
        for contract in self._contracts:
            await first_contact(partial(self._runtime.run_sync, self._store_contract, contract), self._runtime)
        partition = self._registration.partition
        end = await self._bus.end(DISPATCH, partition)
        self._subscription = self._bus.subscribe(DISPATCH, [partition], self._inbox.deliver, end)
        await self._presence.enter()
        self._runtime.point("supervisor.registered")

    async def drain(self, within_s: float | None = None) -> None:
        """Take nothing new, give back what has not begun, finish the rest, leave; `ended` is set at the end.

        What has not ended `within_s` (`None`: `drain_s` of the settings) is ended and given back. Beats and renewals go on
        until all results are acknowledged. Asked again, it can be told to take less time.
        """
        until = self._runtime.now() + (self._settings.drain_s if within_s is None else within_s)
        self._drain_until = until if self._drain_until is None else min(until, self._drain_until)
        if self._presence.draining:
            self._work.changed.set()
            return
        self._presence.draining = True
        goodbye = self._runtime.spawn(self._say_goodbye(), "goodbye")
        self._work.withdraw()
        while (self._attempts.held or not goodbye.done()) and self._runtime.now() < self._drain_until:
            await self._wait_for_change(self._drain_until)
        self._work.end_all()
        last = self._runtime.now() + self._settings.shared_grace_s + self._settings.farewell_s
        while (self._attempts.held or not goodbye.done()) and self._runtime.now() < last:
            await self._wait_for_change(last)
        await self.stop()

    async def _say_goodbye(self) -> None:
        with suppress(TimeoutError, PlugmeshError):  # a scheduler is away: the next one finds nobody here
            async with asyncio.timeout(self._settings.farewell_s):
                await self._presence.beat()
                if self._down_since is None:
                    await self._presence.say_goodbye()
        self._work.changed.set()

    async def stop(self) -> None:
        """Leave at once: executors are killed, results that are not acknowledged are lost with this process."""
        if self._subscription is not None:
            self._subscription.close()
        self._work.kill_all()
        await self._presence.leave()
        self.ended.set()

    def is_refused(self, contract: ModuleContract) -> bool:
        """Whether the mesh has said that it does not take this module."""
        return (contract.name, contract.version) in self._inbox.refused

    def link_changed(self, up: bool) -> None:
        """The link to the mesh is up or down; work goes on either way."""
        self._down_since = None if up else self._down_since or self._runtime.now()

    def _refusal(self) -> str | None:
        """Why no assignment is taken."""
        if self._presence.draining:
            return "draining"
        room = self._registration.slots + self._registration.prefetch
        return "busy" if self._attempts.unended() >= room else None

    def _about_instance(self, message: Refused | Drain | SetSlots | Renewed) -> None:
        match message:
            case Refused():
                self._refused(message)
            case Drain():
                self._notice(f"{message.actor} asked this process to drain: what has started is finished first")
                self._runtime.spawn(self.drain(message.within_s), "drain")
            case SetSlots():
                self._set_slots(message.slots)
            case Renewed():
                self._presence.goodbye_heard(message.shard)

    def _set_slots(self, slots: int) -> None:
        """Run so many attempts at a time from now on; what runs goes on."""
        if slots == self._registration.slots or self._presence.draining:
            return
        configured = self._configured  # not what it is now: shares would be lost in rounding, step by step
        prefetch = min(configured.prefetch * slots // configured.slots, MOST_PREFETCH)
        self._registration = configured.model_copy(update={"slots": slots, "prefetch": prefetch})
        self._work.slots = slots
        while len(self._attempts.queue) > prefetch:
            self._work.give_back(self._attempts.queue[-1], "busy")
        self._work.fill()
        self._runtime.spawn(self._presence.enter_again(self._registration), "register again")

    def _refused(self, message: Refused) -> None:
        self._notice(
            f"{message.module}@{message.version} is refused: the mesh knows this version with another contract. "
            f"Give it a new version. The difference: {message.difference}"
        )
        if self._inbox.all_refused:
            self.exit_code = ALL_REFUSED
            self.ended.set()

    def _look_around(self) -> None:
        """After each beat: end executors without work, and this process if nobody needs it."""
        self._work.retire_idle()
        limit = self._settings.orphan_exit_s
        if limit is None or self._down_since is None or not self._work.idle:
            return  # a result that nobody fetches is no reason to stay: its step is done again
        if self._runtime.now() - self._down_since >= limit:
            self._notice(f"the mesh has been away for {limit:g} s and nothing is at work: this process ends")
            self.ended.set()

    def _store_contract(self, contract: ModuleContract) -> None:
        try:
            put(self._objects, contract_key(contract.digest), contract.encode())
        except Conflict:  # another instance brought it
            return

    async def _wait_for_change(self, deadline: float) -> None:
        """Until something ended, or the time is over."""
        self._work.changed.clear()
        waker = self._runtime.spawn(self._wake_at(deadline), "drain clock")
        await self._work.changed.wait()
        waker.cancel()

    async def _wake_at(self, deadline: float) -> None:
        await self._runtime.sleep(max(0.0, deadline - self._runtime.now()))
        self._work.changed.set()
