"""What was found to be wrong, and what was looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: its name, how, and in which run and step (if in one)."""

    invariant: str
    text: str
    run: str = ""
    step: str = ""

    def __str__(self) -> str:
        run = f"run {self.run}: " if self.run else ""
        step = f"step {self.step}: " if self.step else ""
        return f"{self.invariant}: {run}{step}{self.text}"


@dataclass(slots=True)
class Report:
    """What a check came to: the violations (at most `most`; `more` were found besides), and how much was looked at."""

    most: int = 10_000
    violations: list[Violation] = field(default_factory=list)
    more: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)

    @property
    def ok(self) -> bool:
        """Nothing is violated."""
        return not self.violations

    def add(self, violation: Violation) -> None:
        """One more."""
        self.kinds[violation.invariant] += 1
        if len(self.violations) < self.most:
            self.violations.append(violation)
        else:
            self.more += 1
