"""Rows of a file that cannot be read, gathered while it is read, perhaps several times, and told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from module_sdk import Context
from modules.csv_lines import BadLine

LISTED = 10_000
"""So many are told one by one; the others are only counted."""
Reject = Callable[[BadLine | None, int], None]
"""Is told of a line that is left out, or (`None`) of how many others are."""
_SAMPLE_CHARS = 200


class BadRows:
    """The rows of one reading; `begin` forgets what an earlier one found."""

    def __init__(self, reject: Reject) -> None:
        self._reject = reject
        self._found: list[BadLine] = []
        self._more = 0

    def begin(self) -> None:
        """The file is read from its beginning."""
        self._found, self._more = [], 0

    def add(self, line: BadLine) -> None:
        """One more."""
        if len(self._found) < LISTED:
            self._found.append(line)
        else:
            self._more += 1

    def tell(self) -> None:
        """All of them, in the order of their lines."""
        for line in sorted(self._found, key=lambda one: one.number):
            self._reject(line, 1)
        if self._more:
            self._reject(None, self._more)


def to_dead_letters(ctx: Context) -> Reject:
    """Number and text of a line go to the dead letters of the step."""

    def reject(line: BadLine | None, rows: int) -> None:
        if line is None:
            ctx.reject(rows, "these are more than are listed one by one")
        else:
            sample = f"line {line.number}: {line.sample[:_SAMPLE_CHARS]}"
            ctx.reject({"line": line.number, "text": line.sample}, line.reason, sample)

    return reject


def told_rejects(reject: Reject) -> Callable[[Any], None]:
    """What takes what is told of lines that are left out."""

    def told(value: Any) -> None:
        line, rows = value
        reject(None if line is None else BadLine(*line), rows)

    return told
