"""Whether those whom a process asks for something answer, counted the same for every port."""

from __future__ import annotations

from collections.abc import Iterator

from plugmesh.figures import Figure, amount, count
from plugmesh.runtime import Runtime


class Answering:
    """What a driver notes of its server, from any thread, and what `/metrics` tells of it.

    `port` is the word in the names of the metrics (`bus`, `objects`, `discovery`, `state`), `whom` who it is in words.
    """

    __slots__ = ("_answered_at", "_runtime", "_since", "failures", "port", "whom")

    def __init__(self, port: str, whom: str, runtime: Runtime) -> None:
        self.port, self.whom = port, whom
        self._runtime = runtime
        self._answered_at: float | None = None
        self._since: float | None = None
        self.failures = 0

    def answered(self) -> None:
        """There was an answer, whatever it said."""
        self._answered_at = self._runtime.now()
        self._since = None

    def failed(self) -> None:
        """There was none, or one that says that it cannot be done now."""
        self.failures += 1
        if self._since is None:
            self._since = self._runtime.now()

    @property
    def outage_s(self) -> float:
        """How long all calls have failed; 0 when the last one was answered."""
        since = self._since
        return 0.0 if since is None else self._runtime.now() - since

    @property
    def answer_age_s(self) -> float:
        """How long ago the last answer came; 0 before the first."""
        at = self._answered_at
        return 0.0 if at is None else self._runtime.now() - at

    def figures(self) -> Iterator[Figure]:
        """Failures, the outage of now, and the age of the last answer."""
        yield count(f"plugmesh_{self.port}_failures", f"Calls that {self.whom} did not answer", self.failures)
        yield outage(self.port, self.whom, self.outage_s)
        age = f"How long ago {self.whom} answered last; 0 before the first answer"
        yield amount(f"plugmesh_{self.port}_answer_age_seconds", age, self.answer_age_s)


def outage(port: str, whom: str, seconds: float) -> Figure:
    """The metric that tells of an outage, of whichever port."""
    return amount(f"plugmesh_{port}_outage_seconds", f"How long {whom} has not answered; 0 while it does", seconds)
