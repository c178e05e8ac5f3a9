"""The intake of a gateway without a scheduler: it writes rows, and tells the owner of the run's shard to look at them.

What it has answered is committed; the message on `runs` only makes the owner look at once instead of within a second.
"""

from __future__ import annotations

import asyncio
import logging

from plugmesh.bus.port import Bus
from plugmesh.contracts.messages import RUNS, Wake
from plugmesh.contracts.run import Command, Receipt, RunState, Submission, shard_of
from plugmesh.errors import Conflict, PlugmeshError
from plugmesh.runtime import Runtime
from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredRun
from plugmesh.state.store import State
from plugmesh.state.writes import Writer

NAMED = 500
"""Most runs that one message names."""
_log = logging.getLogger(__name__)


class RowsIntake:
    """Serves the `Intake` port to a gateway of any process; `close` after use."""

    def __init__(self, runtime: Runtime, state: State, bus: Bus) -> None:
        self._runtime, self._state, self._bus = runtime, state, bus
        self._news: dict[int, dict[str, None]] = {}
        self._telling: dict[int, asyncio.Task[None]] = {}

    async def submit(self, submission: Submission) -> Receipt:
        """See `Intake.submit`."""
        earlier = await self._earlier(submission)
        if earlier is not None:
            return earlier
        try:
            await self._state.write(Writer.submit, submission, self._runtime.wall())
        except Exception:
            written = await self._written(submission)
            if written is None:
                raise
            if written.repeated:
                return written
        self._tell(submission.run)
        return Receipt(run=submission.run, state=RunState.QUEUED)

    async def command(self, command: Command) -> None:
        """See `Intake.command`."""
        await self._state.append_command(command)
        self._tell(command.run)

    async def close(self) -> None:
        """Tell nobody any more; the owners look by themselves."""
        tasks = tuple(self._telling.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _earlier(self, submission: Submission) -> Receipt | None:
        if submission.idempotency_key is None:
            return None
        stored = await self._state.read(Reader.run_by_key, submission.namespace, submission.idempotency_key)
        return None if stored is None else repeated(stored, submission.request_hash)

    async def _written(self, submission: Submission) -> Receipt | None:
        """After a transaction that failed, or of which nobody knows whether it did: what is there. Another gateway may have
        been faster with the same key."""
        stored = await self._state.read(Reader.run, submission.run)
        if stored is not None:
            return Receipt(run=stored.id, state=RunState(stored.state))
        return await self._earlier(submission)

    # -- telling the owner -------------------------------------------------------------------------------------------

    def _tell(self, run: str) -> None:
        """One message a shard is on its way at a time: what comes meanwhile goes into the next one."""
        shard = shard_of(run)
        self._news.setdefault(shard, {})[run] = None
        if shard not in self._telling:
            self._telling[shard] = self._runtime.spawn(self._announce(shard), f"announce shard {shard}")

    async def _announce(self, shard: int) -> None:
        try:
            await self._announce_all(shard)
        finally:
            self._telling.pop(shard, None)  # here and not later: what comes next must find nobody at it

    async def _announce_all(self, shard: int) -> None:
        while runs := tuple(self._news.pop(shard, ())):
            named = runs if len(runs) <= NAMED else ()
            try:
                await self._bus.publish(RUNS, shard, Wake(shard=shard, runs=named).encode())
            except PlugmeshError as error:
                _log.warning(
                    "shard %d could not be told of %d runs, its owner looks by itself: %s", shard, len(runs), error
                )


def repeated(stored: StoredRun, request_hash: str | None) -> Receipt:
    """The answer to a request whose idempotency key has made a run before. Raises `Conflict` if it was another request."""
    if request_hash is not None and stored.request_hash not in (None, request_hash):
        raise Conflict(
            f"the idempotency key {stored.idempotency_key!r} was used for run {stored.id} with another body: repeat a request "
            "exactly as it was sent, and use a new key for another one"
        )
    return Receipt(run=stored.id, state=RunState(stored.state), repeated=True)
