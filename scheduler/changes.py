"""What a walk changes: the content of event rows. Replaying them, in order, gives the tables.

Nobody changes one. They are not frozen all the same: a frozen one takes three times as long to make, and each step
needs a dozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from plugmesh.contracts.data import FileRef, Reference
from plugmesh.contracts.messages import AttemptStats, LogRef
from plugmesh.contracts.run import AttemptState, Progress, RunState, StepError, StepState

Outputs = Mapping[str, Reference]


@dataclass(slots=True)
class RunChange:
    """The run has a new state. `outputs` maps flow outputs to lists of references."""

    state: RunState
    at: float
    reason: str | None = None
    outputs: Mapping[str, tuple[Reference, ...]] | None = None

    def document(self) -> dict[str, Any]:
        """Its JSON form."""
        document: dict[str, Any] = {"change": "run", "state": self.state.value, "at": self.at}
        _add(document, reason=self.reason, outputs=self.outputs)
        return document


_STEP_FIELDS = (
    "epoch", "failures", "losses", "reason", "instance", "version", "error", "stats", "log", "wake_at", "artifacts",
)  # fmt: skip


@dataclass(slots=True)
class StepChange:
    """A step has a new state; the other fields are what the step is from now on."""

    step: str
    state: StepState
    at: float
    epoch: int = 0
    failures: int = 0
    losses: int = 0
    reason: str | None = None
    instance: str | None = None
    version: str | None = None
    outputs: Outputs | None = None
    error: StepError | None = None
    stats: AttemptStats | None = None
    log: LogRef | None = None
    wake_at: float | None = None
    artifacts: tuple[FileRef, ...] = ()
    pieces: tuple[int, ...] | None = None

    def document(self) -> dict[str, Any]:
        """Its JSON form; counters that are zero and fields that are unset are left out."""
        document: dict[str, Any] = {"change": "step", "step": self.step, "state": self.state, "at": self.at}
        if self.outputs is not None:  # a sink has none, and says so
            document["outputs"] = self.outputs
        for name in _STEP_FIELDS:
            if value := getattr(self, name):
                document[name] = value
        if self.pieces is not None:
            document["pieces"] = self.pieces
        return document


@dataclass(slots=True)
class AttemptChange:
    """An attempt ended without becoming its step's result."""

    step: str
    epoch: int
    state: AttemptState
    at: float
    instance: str | None = None
    reason: str | None = None
    error: StepError | None = None
    log: LogRef | None = None
    stats: AttemptStats | None = None

    def document(self) -> dict[str, Any]:
        """Its JSON form."""
        document: dict[str, Any] = {
            "change": "attempt",
            "step": self.step,
            "epoch": self.epoch,
            "state": self.state.value,
            "at": self.at,
        }
        _add(document, instance=self.instance, reason=self.reason, error=self.error, log=self.log, stats=self.stats)
        return document


@dataclass(slots=True)
class ProgressChange:
    """The live attempt of a step says how far it is."""

    step: str
    progress: Progress
    at: float

    def document(self) -> dict[str, Any]:
        """Its JSON form."""
        return {"change": "progress", "step": self.step, "progress": self.progress, "at": self.at}


Change = RunChange | StepChange | AttemptChange | ProgressChange


def changes_json(changes: list[Change]) -> str:
    """The text of an event row."""
    return to_json([change.document() for change in changes], exclude_none=True).decode()


def text(value: Any) -> str | None:
    """JSON text of a value made of contracts; `None` stays."""
    return None if value is None else to_json(value, exclude_none=True).decode()


def _add(document: dict[str, Any], **fields: Any) -> None:
    document.update((name, value) for name, value in fields.items() if value is not None)


def read_changes(documents: list[dict[str, Any]]) -> list[Change]:
    """The changes of an event row, from its decoded JSON."""
    return [_KINDS[document["change"]].validate_python(document) for document in documents]


_KINDS: Mapping[str, TypeAdapter[Any]] = {
    "run": TypeAdapter(RunChange),
    "step": TypeAdapter(StepChange),
    "attempt": TypeAdapter(AttemptChange),
    "progress": TypeAdapter(ProgressChange),
}
