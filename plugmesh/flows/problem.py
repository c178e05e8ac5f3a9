"""What is wrong with a flow: found all at once, each with its place and, where possible, what was probably meant."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from plugmesh.flows.places import KeyPath, Places

SYNTAX, SCHEMA, REFERENCES, COLUMNS, LIVE = 1, 2, 3, 4, 5
"""The levels of validation."""

MAX_PROBLEMS = 200
"""Problems listed one by one; the rest is counted."""

_MAX_SUGGESTIONS = 50  # each compares with every candidate: thousands of typos must not take minutes
_LONGEST_SUGGESTED = 100
_MORE = "more-problems"

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `code` is stable, `line` and `column` are 1-based (`None` for a document without text)."""

    level: int
    severity: Severity
    code: str
    message: str
    path: KeyPath = ()
    line: int | None = None
    column: int | None = None
    file: str = "flow"
    hint: str = ""

    def __str__(self) -> str:
        if self.line is not None:
            place = f"{self.file}:{self.line}:{self.column}"
        else:
            place = ": ".join(part for part in (self.file, ".".join(str(key) for key in self.path)) if part)
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}: {self.severity}: {self.message}{hint}"


class Report:
    """Collects the problems of one document."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.failed = False
        self._problems: list[Problem] = []
        self._unlisted = 0
        self._suggestions = 0

    def error(
        self, level: int, code: str, message: str, path: KeyPath = (), *, hint: str = "", key: bool = False
    ) -> None:
        """A problem that must be solved before the flow can run. `key`: it is the key at `path`, not its value."""
        self.add(level, "error", code, message, path, hint=hint, key=key)

    def warning(
        self, level: int, code: str, message: str, path: KeyPath = (), *, hint: str = "", key: bool = False
    ) -> None:
        """Something the author should know; the flow can run."""
        self.add(level, "warning", code, message, path, hint=hint, key=key)

    def add(
        self,
        level: int,
        severity: Severity,
        code: str,
        message: str,
        path: KeyPath = (),
        *,
        hint: str = "",
        key: bool = False,
        at: tuple[int, int] | None = None,
    ) -> None:
        """A problem; `at` is its line and column where `places` cannot know them."""
        self.failed = self.failed or severity == "error"
        if len(self._problems) >= MAX_PROBLEMS:
            self._unlisted += 1
            return
        line, column = at or self.places.find(path, key=key) or (None, None)
        self._problems.append(Problem(level, severity, code, message, path, line, column, self.places.file, hint))

    def did_you_mean(self, word: str, candidates: Collection[str]) -> str:
        """A hint for a misspelt `word`, or nothing."""
        if self._suggestions >= _MAX_SUGGESTIONS:
            return ""
        self._suggestions += 1
        return did_you_mean(word, candidates)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """All problems in the order of the text."""
        found = sorted(self._problems, key=_position)
        if self._unlisted:
            more = f"and {self._unlisted} more problems, not listed"
            severity: Severity = "error" if self.failed else "warning"
            found.append(Problem(SCHEMA, severity, _MORE, more, file=self.places.file))
        return tuple(found)


def did_you_mean(word: str, candidates: Collection[str], cutoff: float = 0.6) -> str:
    """`did you mean 'x'?` for the closest of `candidates`, or nothing."""
    if not word or len(word) > _LONGEST_SUGGESTED:
        return ""
    by_lower = {candidate.lower(): candidate for candidate in candidates if len(candidate) <= _LONGEST_SUGGESTED}
    close = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=cutoff)
    return f"did you mean {by_lower[close[0]]!r}?" if close else ""


def merge(*reports: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """The problems of several checks of one document, in the order of the text."""
    everything = [problem for problems in reports for problem in problems]
    return tuple(sorted(everything, key=_position))


def _position(problem: Problem) -> tuple[bool, int, int]:
    return problem.code == _MORE, problem.line or 0, problem.column or 0
