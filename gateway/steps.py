"""Steps of a run: pages of them, one whole, when each was in which state, what is needed to run one again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from gateway.errors import BadRequest
from gateway.replay import Contracts, replay
from gateway.timeline import Spans
from gateway.views import Views
from plugmesh.contracts.data import FileRef
from plugmesh.contracts.run import StepState
from plugmesh.state.reads import Reader
from plugmesh.state.records import StoredRun
from plugmesh.state.store import State

_STATES = frozenset(state.value for state in StepState)
_EVENTS = 200
"""Event rows read at a time for a timeline, so that other questions get their turn."""


class Steps:
    """What can be asked about steps. Every question raises `NotFound` for a run or step that is not there."""

    def __init__(self, state: State, views: Views, contracts: Contracts) -> None:
        self._state, self._views, self._contracts = state, views, contracts

    async def page(self, run: str, states: Sequence[str], cursor: str, limit: int) -> dict[str, Any]:
        """Steps that something happened to, in the order of their ids. Raises `BadRequest`."""
        unknown = [state for state in states if state not in _STATES]
        if unknown:
            raise BadRequest(f"{unknown[0][:40]!r} is no state of a step: there are {', '.join(StepState)}")
        return await self._state.read(self._views.steps, run, states, cursor, limit)

    async def get(self, run: str, step: str) -> dict[str, Any]:
        """One step with its attempts."""
        return await self._state.read(self._views.step, run, step)

    async def artifact(self, run: str, step: str, name: str) -> FileRef:
        """A file that a step left for people."""
        return await self._state.read(self._views.artifact, run, step, name)

    async def replay(self, run: str, step: str) -> dict[str, Any]:
        """What is needed to run a step again. Raises `Conflict`, `ObjectMissing`."""
        return await self._state.read(replay, self._views, self._contracts, run, step)

    async def timeline(self, run: str, cursor: str, limit: int) -> dict[str, Any]:
        """The times of a run, and the spans of a page of its steps, in the order of their ids."""
        stored, rows = await self._state.read(self._views.timeline, run, cursor, limit)
        following = rows[limit - 1].id if len(rows) > limit else None
        spans = Spans([row.id for row in rows[:limit]])
        seq: int | None = 0
        while seq is not None:
            seq = await self._state.read(_collect, stored, spans, seq)
        times = ("id", "state", "submitted_at", "started_at", "ended_at")
        return {
            "run": {name: getattr(stored, name) for name in times},
            "steps": [{"id": row.id, "spans": spans.of(row)} for row in rows[:limit]],
            "next_cursor": following,
        }


def _collect(reader: Reader, run: StoredRun, spans: Spans, after: int) -> int | None:
    """Take some event rows; returns the number of the last, `None` at the end."""
    rows = reader.events(run, after=after, limit=_EVENTS)
    for row in rows:
        spans.add(from_json(row.changes))
    return rows[-1].seq if len(rows) == _EVENTS else None
