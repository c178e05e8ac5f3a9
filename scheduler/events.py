"""What can happen to a run: the inputs of the walk. `at` is Unix time, in seconds.

Nobody changes one. They are not frozen all the same: a frozen one takes three times as long to make, and each step
needs a dozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from plugmesh.contracts.data import FileRef, Reference
from plugmesh.contracts.messages import AttemptStats, LogRef
from plugmesh.contracts.run import Command, Progress, Rerun, StepError
from scheduler.changes import Outputs


@dataclass(slots=True)
class Queue:
    """The run is new and has to wait for its turn, because of `reason`."""

    at: float
    reason: str


@dataclass(slots=True)
class Recover:
    """The run repeats another one: some of its steps are not executed again."""

    at: float
    rerun: Rerun


@dataclass(slots=True)
class Begin:
    """The run may start."""

    at: float


@dataclass(slots=True)
class Assigned:
    """Placement chose an instance and a version for a ready step."""

    at: float
    step: str
    instance: str
    version: str


@dataclass(slots=True)
class Split:
    """A ready step of a rowwise module has a large input: it is done in pieces, which end after these rows."""

    at: float
    step: str
    version: str
    ends: tuple[int, ...]


@dataclass(slots=True)
class Unassignable:
    """A ready step cannot be sent to anyone: its params or inputs cannot be filled in."""

    at: float
    step: str
    error: StepError


@dataclass(slots=True)
class NoModule:
    """No live module fits a ready step; it parks until `until`."""

    at: float
    step: str
    reason: str
    until: float


@dataclass(slots=True)
class ModuleFound:
    """A module that may fit a parked step is there."""

    at: float
    step: str


@dataclass(slots=True)
class AttemptStarted:
    """User code of an attempt runs."""

    at: float
    step: str
    epoch: int
    instance: str


@dataclass(slots=True)
class AttemptProgressed:
    """An attempt says how far it is."""

    at: float
    step: str
    epoch: int
    instance: str
    progress: Progress


@dataclass(slots=True)
class AttemptDone:
    """An attempt has outputs to offer."""

    at: float
    step: str
    epoch: int
    instance: str
    outputs: Outputs
    stats: AttemptStats | None = None
    log: LogRef | None = None
    artifacts: tuple[FileRef, ...] = ()


@dataclass(slots=True)
class AttemptFailed:
    """An attempt ended with an error. `jitter` in [0, 1) draws the delay of a retry. `convicting`: a supervisor saw that
    its process died of it. `rejected`: the rows that it had put aside until then."""

    at: float
    step: str
    epoch: int
    instance: str
    error: StepError
    jitter: float
    stats: AttemptStats | None = None
    log: LogRef | None = None
    artifacts: tuple[FileRef, ...] = ()
    convicting: bool = False
    rejected: Reference | None = None


@dataclass(slots=True)
class AttemptReturned:
    """An attempt came back unstarted."""

    at: float
    step: str
    epoch: int
    instance: str
    reason: str


@dataclass(slots=True)
class AttemptLost:
    """Nobody holds the attempt any more: its lease ended, or its instance is `gone`: it closed its connection."""

    at: float
    step: str
    epoch: int
    reason: str
    gone: bool = False


@dataclass(slots=True)
class TimeCame:
    """A waiting step's delay is over, or a parked step's patience."""

    at: float
    step: str


@dataclass(slots=True)
class CancelAsked:
    """A person wants the run to stop."""

    at: float
    actor: str
    reason: str


@dataclass(slots=True)
class PauseAsked:
    """A person wants nothing new of the run to begin."""

    at: float
    actor: str
    reason: str


@dataclass(slots=True)
class ResumeAsked:
    """A person wants a paused run to go on."""

    at: float


@dataclass(slots=True)
class RunTimedOut:
    """The run's own time is over."""

    at: float


Event = (
    Queue
    | Recover
    | Begin
    | Assigned
    | Split
    | Unassignable
    | NoModule
    | ModuleFound
    | AttemptStarted
    | AttemptProgressed
    | AttemptDone
    | AttemptFailed
    | AttemptReturned
    | AttemptLost
    | TimeCame
    | CancelAsked
    | PauseAsked
    | ResumeAsked
    | RunTimedOut
)


def asked(command: Command, at: float) -> CancelAsked | PauseAsked | ResumeAsked:
    """What a person's command is to the run."""
    match command.kind:
        case "cancel":
            return CancelAsked(at, command.actor, command.reason)
        case "pause":
            return PauseAsked(at, command.actor, command.reason)
        case "resume":
            return ResumeAsked(at)
