"""When each step was in which state, from the event rows of a run. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from plugmesh.contracts.run import STEP_TERMINAL, StepState
from plugmesh.state.records import StepRow

_ENDED = frozenset(state.value for state in STEP_TERMINAL)

Span = dict[str, Any]


class Spans:
    """Collects the spans of some steps from changes in their order.

    A span is `state`, `from`, `to` (`None`: it goes on), `epoch` and `instance`. An end is a span without length.
    """

    def __init__(self, steps: Collection[str]) -> None:
        self._spans: dict[str, list[Span]] = {step: [] for step in steps}

    def add(self, changes: Iterable[dict[str, Any]]) -> None:
        """Take the changes of one event row."""
        for change in changes:
            if change.get("change") == "step" and (spans := self._spans.get(change["step"])) is not None:
                _add(spans, change)

    def of(self, row: StepRow) -> list[Span]:
        """The spans of a step; from its row alone if its event rows are gone."""
        return self._spans[row.id] or _from_row(row)


def _add(spans: list[Span], change: dict[str, Any]) -> None:
    state, at = change["state"], float(change["at"])
    before = spans[-1] if spans else None
    if before is not None and before["to"] is None:
        begun = _begun(before, change, at)
        if begun is not None:
            before["to"] = begun
            before = {**before, "state": StepState.RUNNING.value, "from": begun}
            spans.append(before)
        before["to"] = max(at, before["from"])
    ended = at if state in _ENDED else None
    spans.append(_span(state, at, ended, change.get("epoch") or None, change.get("instance")))


def _begun(before: Span, change: dict[str, Any], at: float) -> float | None:
    """When a step began to run that was so quick that nobody said so."""
    stats = change.get("stats")
    if before["state"] != StepState.ASSIGNED.value or not stats or change.get("epoch") != before["epoch"]:
        return None
    return max(float(before["from"]), at - float(stats["wall_s"]))


def _from_row(row: StepRow) -> list[Span]:
    ended = row.ended_at if row.state in _ENDED else None
    times = ((StepState.READY.value, row.ready_at), (StepState.RUNNING.value, row.started_at))
    starts = [(state, at) for state, at in times if at is not None]
    ends = [at for _, at in starts[1:]]
    spans = [
        _span(state, at, end, row.epoch or None, row.instance)
        for (state, at), end in zip(starts, [*ends, ended], strict=False)
    ]
    if ended is not None:
        spans.append(_span(row.state, ended, ended, row.epoch or None, row.instance))
    return spans


def _span(state: str, start: float, end: float | None, epoch: int | None, instance: str | None) -> Span:
    return {"state": state, "from": start, "to": end, "epoch": epoch, "instance": instance}
