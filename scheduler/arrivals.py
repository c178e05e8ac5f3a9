"""Runs and commands that gateways of other processes wrote: hearing of them on `runs`, and looking once a second.

The database is what counts; a message only says where to look now. What was handed to the engine is not handed to it again
while it waits for its commit.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from plugmesh.bus.port import EARLIEST, Bus, Delivery, Subscription
from plugmesh.contracts.messages import RUNS, decode_wake
from plugmesh.contracts.run import shard_of
from plugmesh.errors import PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.state.arrivals import arrived
from plugmesh.state.records import Unfinished
from plugmesh.state.store import State as Store

LOOK_S = 1.0
"""Who was not told waits so long at most."""
PAGE = 500
"""Most runs, and most commands, that are read at a time."""
FULL_S = 0.1
"""How long a look waits when all that it may read has been handed over and not been taken in yet."""
LEFT_S = 60.0
"""Runs that have left are remembered so long: no look takes longer until it is taken in."""
_ASKED_MOST = 5 * PAGE
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was found while shards were owned with `terms`, by the look of this number."""

    terms: Mapping[int, int]
    found: Unfinished
    look: int = 0


class Arrivals:
    """Hands what has arrived to `put`. `listen` says which shards (with their terms) are this scheduler's, `known` which runs
    it has in memory: a command to any other waits until its run is."""

    def __init__(
        self, runtime: Runtime, store: Store, bus: Bus, *, put: Callable[[Arrived], None], known: Callable[[str], bool]
    ) -> None:
        self._runtime, self._store, self._bus, self._put, self._known = runtime, store, bus, put, known
        self._terms: dict[int, int] = {}
        self._listening: dict[int, Subscription] = {}
        self._opening: dict[int, asyncio.Task[None]] = {}
        self._named: set[str] = set()
        self._handed: dict[str, int] = {}
        self._woken = asyncio.Event()
        self._whole_at = 0.0
        self._looks = 0
        self._left: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def left(self, run: str) -> None:
        """A run is not in memory any more."""
        now = self._runtime.now()
        self._left[run] = (self._looks, now)
        while next(iter(self._left.values()))[1] < now - LEFT_S:
            self._left.popitem(last=False)

    def is_old(self, arrived: Arrived, run: str) -> bool:
        """Whether the run was here, and has left, since that look began: what it saw of it is out of date."""
        return self._left.get(run, (-1, 0.0))[0] >= arrived.look

    def listen(self, terms: Mapping[int, int]) -> None:
        """Other shards are owned from now on."""
        self._terms = dict(terms)
        for shard in [shard for shard in self._opening if shard not in terms]:
            self._leave(shard)
        for shard in terms:
            if shard not in self._opening:
                self._opening[shard] = self._runtime.spawn(self._open(shard), f"arrivals of shard {shard}")

    def close(self) -> None:
        """Hear nothing any more."""
        for shard in tuple(self._opening):
            self._leave(shard)

    async def run(self) -> None:
        """Look when told, and now and then."""
        while True:
            named = await self._told()
            try:
                await self._look(named)
            except Exception:  # noqa: BLE001  whatever it was: what has arrived stays in the database
                _log.warning("what gateways wrote could not be read; trying again", exc_info=True)
                await self._runtime.sleep(LOOK_S)

    async def _told(self) -> set[str] | None:
        """The runs that messages have named; `None`: everything is to be looked at."""
        alarm = self._runtime.spawn(self._alarm(), "arrivals clock")
        try:
            await self._woken.wait()
        finally:
            alarm.cancel()
        self._woken.clear()
        named, self._named = self._named, set()
        if named and len(named) <= _ASKED_MOST and self._runtime.now() < self._whole_at:
            return named
        self._whole_at = self._runtime.now() + LOOK_S
        return None

    async def _alarm(self) -> None:
        await self._runtime.sleep(max(0.0, self._whole_at - self._runtime.now()))
        self._woken.set()

    async def _look(self, named: set[str] | None) -> None:
        terms = dict(self._terms)
        if not terms:
            return
        self._looks += 1
        look = self._looks
        found = await self._store.read(arrived, [*terms], named and sorted(named), limit=PAGE)
        seen = {one.id: terms[one.shard] for one in found.runs}
        for command in found.commands:
            if command.run in seen or self._known(command.run):
                seen[command.command] = terms.get(shard_of(command.run), 0)
        new = {name for name, term in seen.items() if self._handed.get(name) != term}
        self._handed = seen if named is None else {**self._handed, **seen}
        if new:
            runs = [one for one in found.runs if one.id in new]
            commands = [one for one in found.commands if one.command in new]
            self._put(Arrived(terms, replace(found, runs=runs, commands=commands), look))
        if len(found.runs) == PAGE or len(found.commands) == PAGE:
            if not new:
                await self._runtime.sleep(FULL_S)
            self._woken.set()

    # -- the bus ---------------------------------------------------------------------------------------------------

    async def _open(self, shard: int) -> None:
        """Listen from now on: what came before is read from the database."""
        try:
            start = await self._bus.end(RUNS, shard)
        except PlugmeshError as error:
            _log.warning(
                "the end of what was announced for shard %d is not known (%s): reading all of it", shard, error
            )
            start = EARLIEST
        self._listening[shard] = self._bus.subscribe(RUNS, (shard,), self._heard, start)
        self._woken.set()

    def _leave(self, shard: int) -> None:
        self._opening.pop(shard).cancel()
        subscription = self._listening.pop(shard, None)
        if subscription is not None:
            subscription.close()

    def _heard(self, delivery: Delivery) -> None:
        for payload in delivery.messages:
            try:
                wake = decode_wake(payload)
            except PlugmeshError as error:
                _log.warning("dropped a message on %s: %s", RUNS, error)
                continue
            self._named.update(wake.runs)
        delivery.ack()
        self._woken.set()
