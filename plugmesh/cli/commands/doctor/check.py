"""What a check of one part came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Check:
    """One part, what was found, and, unless it is well, one sentence that says what to do. `setting` is the one that decides
    about the part, `seconds` what it took to try it."""

    part: str
    verdict: Verdict
    found: str
    todo: str = ""
    setting: str = ""
    seconds: float | None = None


def ok(part: str, found: str) -> Check:
    """All is well."""
    return Check(part, Verdict.OK, found)


def warning(part: str, found: str, todo: str) -> Check:
    """It works, but somebody should look at it."""
    return Check(part, Verdict.WARNING, found, todo)


def problem(part: str, found: str, todo: str) -> Check:
    """It does not work, or soon will not."""
    return Check(part, Verdict.PROBLEM, found, todo)
