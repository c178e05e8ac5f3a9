"""How an instance shows that it lives: beats to the phone book, renewals of leases to the schedulers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import islice

from module_sdk.supervisor.attempts import Attempts
from module_sdk.supervisor.outbox import Outbox
from module_sdk.supervisor.settings import Settings
from plugmesh.contracts.instance import Beat, Registration
from plugmesh.contracts.messages import Renew
from plugmesh.contracts.run import SHARDS
from plugmesh.discovery.port import Discovery
from plugmesh.errors import NotReachable
from plugmesh.runtime import Runtime

HELD_IN_BEAT = 256
IDS_IN_RENEW = 500

_log = logging.getLogger(__name__)


class Presence:
    """One instance in the phone book. `each_beat` is called after every beat."""

    def __init__(  # noqa: PLR0917  everything it touches is given to it
        self,
        runtime: Runtime,
        discovery: Discovery,
        registration: Registration,
        attempts: Attempts,
        outbox: Outbox,
        settings: Settings,
        each_beat: Callable[[], None],
    ) -> None:
        self._runtime, self._discovery, self._registration = runtime, discovery, registration
        self._attempts, self._outbox, self._settings = attempts, outbox, settings
        self._each_beat = each_beat
        self._renewing: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self.draining = False
        self._unheard: set[int] = set()
        """Shards whose scheduler has not answered the farewell."""
        self._answered = asyncio.Event()

    async def enter(self) -> None:
        """Register, for as long as that takes; then beat and renew until `leave`."""
        while True:
            try:
                await self._discovery.register(self._registration)
                break
            except NotReachable as error:
                _log.info("not registered yet: %s", error)
                await self._runtime.sleep(self._settings.beat_s / 4)
        self._tasks.append(self._runtime.spawn(self._beat_on(), "beats"))
        self._tasks.append(self._runtime.spawn(self._renew_on(), "renewals"))

    async def enter_again(self, registration: Registration) -> None:
        """Something about the instance has changed."""
        self._registration = registration
        try:
            await self._discovery.register(registration)
        except NotReachable as error:  # it is told when the mesh is back
            _log.info("not registered again yet: %s", error)
        await self.beat()

    async def say_goodbye(self) -> None:
        """Wait until the schedulers of all shards have answered that they send nothing more.

        What one had decided before it heard of the drain arrives before its answer: both come on one partition. Who does not
        answer is told again, because answers may be lost.
        """
        if not self._tasks:
            return  # nobody knows it
        self._unheard = set(range(SHARDS))
        while self._unheard:
            await asyncio.gather(*(self._farewell(shard) for shard in sorted(self._unheard)))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._settings.farewell_s / 4):
                    while self._unheard:
                        self._answered.clear()
                        await self._answered.wait()

    def goodbye_heard(self, shard: int) -> None:
        """The scheduler of a shard has answered."""
        self._unheard.discard(shard)
        self._answered.set()

    async def _farewell(self, shard: int) -> None:
        message = Renew(instance=self._registration.instance, shard=shard, attempts=(), draining=True)
        await self._outbox.publish(shard, message.encode())

    async def leave(self) -> None:
        """Deregister."""
        for task in self._tasks:
            task.cancel()
        self._tasks.clear()
        await self._discovery.deregister(self._registration.instance)

    async def beat(self) -> None:
        """One sign of life."""
        attempts = self._attempts
        held = tuple(attempt.id for attempt in islice(attempts.held.values(), HELD_IN_BEAT))
        running = len(attempts.running)
        instance = self._registration.instance
        await self._discovery.beat(Beat(instance=instance, held=held, running=running, draining=self.draining))

    async def _beat_on(self) -> None:
        while True:
            await self.beat()
            await self._runtime.sleep(self._settings.beat_s)
            self._each_beat()

    async def _renew_on(self) -> None:
        while True:
            await self._runtime.sleep(self._settings.renew_s)
            for shard, ids in self._attempts.by_shard().items():
                if shard not in self._renewing:  # one at a time, while the mesh cannot be reached
                    self._renewing.add(shard)
                    self._runtime.spawn(self._renew(shard, ids), "renew")

    async def _renew(self, shard: int, ids: list[str]) -> None:
        for start in range(0, len(ids), IDS_IN_RENEW):
            some = tuple(ids[start : start + IDS_IN_RENEW])
            renew = Renew(instance=self._registration.instance, shard=shard, attempts=some)
            await self._outbox.publish(shard, renew.encode())
        self._renewing.discard(shard)
