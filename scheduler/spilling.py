"""Assignments too large for a message: their references are written to the object store first, beside the engine.

The store may be slow, or away for a minute. Meanwhile the attempt's clock stands, and everybody else's work goes on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from plugmesh.contracts.messages import DISPATCH, Assign
from plugmesh.errors import NotReachable, PlugmeshError, StoreFull
from plugmesh.hub.topics import check_message
from plugmesh.objects.port import ObjectStore, store_call
from plugmesh.runtime import Runtime
from scheduler.assignment import failure, spilled
from scheduler.board import Board
from scheduler.events import AttemptFailed, AttemptReturned

AGAIN_S = 1.0
"""How long an attempt waits before it is given back because the store did not take its references."""
_PASSING = (NotReachable, StoreFull)
"""What the step is not to blame for."""
_log = logging.getLogger(__name__)


class Spilling:
    """Writes references and hands the smaller message to `send`. `wake` asks the engine for another cycle."""

    def __init__(
        self,
        runtime: Runtime,
        board: Board,
        objects: ObjectStore,
        send: Callable[[Assign, bytes], Awaitable[None]],
        wake: Callable[[], None],
    ) -> None:
        self._runtime, self._board, self._objects, self._send, self._wake = runtime, board, objects, send, wake
        self._under_way: dict[str, asyncio.Task[None]] = {}

    def begin(self, message: Assign) -> None:
        """Returns at once; an attempt that is being written already is not written twice."""
        if message.attempt not in self._under_way:
            self._board.leases.hold_back(message.attempt)
            self._under_way[message.attempt] = self._runtime.spawn(self._spill(message), f"spill {message.attempt}")

    async def close(self) -> None:
        """Leave what is under way to whoever takes the shards over."""
        tasks = [*self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _spill(self, message: Assign) -> None:
        try:
            nonce = self._runtime.new_id("in")
            smaller = await store_call(self._objects, self._runtime, spilled, message, self._objects, nonce)
            payload = smaller.encode()
            check_message(DISPATCH, payload)  # params are not spilled
        except _PASSING as error:
            _log.warning("the references for %s could not be written, it is given back: %s", message.attempt, error)
            await self._runtime.sleep(AGAIN_S)
            self._end(message, error)
        except Exception as error:  # noqa: BLE001  whatever it is fails its own step, not the scheduler
            if not isinstance(error, PlugmeshError):
                _log.exception("the references for %s could not be written", message.attempt)
            self._end(message, error)
        else:
            if self._board.leases.send(message.attempt, self._runtime.now()):
                await self._send(message, payload)
        finally:
            self._under_way.pop(message.attempt, None)

    def _end(self, message: Assign, error: Exception) -> None:
        held = self._board.leases.get(message.attempt)
        if held is None or held.message is not message:
            return  # its shard has been dropped meanwhile, or the step has been decided
        self._board.leases.end(message.attempt)
        run = self._board.runs.get(message.run)
        if run is None:
            return
        at, who = self._runtime.wall(), (message.step, message.epoch, message.instance)
        if isinstance(error, _PASSING):
            self._board.happen(run, AttemptReturned(at, *who, f"its references could not be written: {error}"))
        else:
            jitter = self._runtime.random().random()
            self._board.happen(run, AttemptFailed(at, *who, failure(error), jitter))
        self._wake()
