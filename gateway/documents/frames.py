"""What the frames of event streams carry."""

from __future__ import annotations

from pydantic import Field, JsonValue

from gateway.documents.document import Document
from gateway.documents.instances import ShownInstance
from gateway.documents.retention import Swept
from plugmesh.contracts.run import RunState, StepState


class Resync(Document):
    """Something was missed, or this is the beginning: read what you show, then follow."""

    topics: list[str]


class StepTold(Document):
    """What is new of a step."""

    state: StepState | None = None
    reason: str | None = None
    progress: dict[str, JsonValue] | None = None


class RunTold(Document):
    """A run as it is now. `steps` is null when too many changed: read the run."""

    run: str
    seq: int
    state: RunState
    at: float
    steps: dict[str, StepTold] | None


class InstanceGone(Document):
    """An instance that nobody knows any more."""

    id: str
    gone: bool


class InstanceTold(ShownInstance):
    """An instance as it is now."""

    gone: bool


class SweptTold(Swept):
    """What a round of the sweeper did."""

    swept_at: float


class RunChange(Document):
    """One event row of a run: what changed at one moment."""

    run: str
    seq: int
    at: float
    changes: list[dict[str, JsonValue]] = Field(description="Each with `change`: what it is about")


class RunEnd(Document):
    """The end of a run."""

    run: str
    state: RunState
    reason: str | None
    seq: int
