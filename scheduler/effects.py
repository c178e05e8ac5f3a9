"""What a walk asks for: done once its changes are committed.

Nobody changes one. They are not frozen all the same: a frozen one takes three times as long to make, and each step
needs a dozen.
"""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.changes import Change, Outputs
from scheduler.step import Step


@dataclass(slots=True)
class Ready:
    """A step waits for an instance."""

    step: Step


@dataclass(slots=True)
class Wake:
    """Send `TimeCame` for the step at the Unix time `at`."""

    step: str
    at: float


@dataclass(slots=True)
class Stop:
    """Cancel an attempt that is out there."""

    step: str
    epoch: int
    instance: str
    reason: str


@dataclass(slots=True)
class TakeBack:
    """Take an attempt back, if it has not started."""

    step: str
    epoch: int
    instance: str


@dataclass(slots=True)
class Supersede:
    """Kill an attempt that is no longer current, at once."""

    step: str
    epoch: int
    instance: str


@dataclass(slots=True)
class Convict:
    """A supervisor saw the process of an attempt die, or its instance was lost while it was alone there: that speaks
    against the version of its module. `trace` says where its code was, if that is known."""

    step: str
    epoch: int
    module: str
    version: str
    reason: str
    trace: str = ""


@dataclass(slots=True)
class Queued:
    """The run waits for its turn."""


@dataclass(slots=True)
class Discard:
    """These outputs of an attempt will never be read."""

    step: str
    epoch: int
    outputs: Outputs


@dataclass(slots=True)
class Ended:
    """The run is in a terminal state."""


Effect = Ready | Wake | Stop | TakeBack | Supersede | Convict | Queued | Discard | Ended


@dataclass(slots=True)
class Outcome:
    """What an event changed, and what is to be done once that is committed."""

    changes: tuple[Change, ...]
    effects: tuple[Effect, ...]
