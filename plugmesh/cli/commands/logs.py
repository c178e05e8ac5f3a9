"""`plugmesh logs`: what the steps of a run printed and logged."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.text import Text

from plugmesh.cli.api.client import Refusal
from plugmesh.cli.api.routes import at, step_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsLines, RunId, Url
from plugmesh.cli.display.amounts import clock
from plugmesh.cli.display.steps import ENDED
from plugmesh.cli.display.terminal_text import one_line, plain
from plugmesh.errors import NotReachable

LOOK_S = 0.5
AWAY_S = 120.0
_STYLES = {"error": "red", "critical": "red", "warning": "yellow", "debug": "dim"}
_UNTOUCHED = {"pending", "skipped"}
_STEP_ENDED = {"succeeded", "failed", "cancelled", "skipped", "cached", "recovered"}


class Level(StrEnum):
    """How grave a line is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def logs(
    run: RunId,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="Only of this step.")] = None,
    *,
    epoch: Annotated[
        int | None, typer.Option("--epoch", "--attempt", min=1, help="Of this attempt; the newest otherwise.")
    ] = None,
    level: Annotated[Level | None, typer.Option(help="Only lines of this level and above.")] = None,
    search: Annotated[str | None, typer.Option(help="Only lines with this text.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the step, or the run, has ended.")
    ] = False,
    as_json: AsLines = False,
    url: Url = HERE,
) -> None:
    """Print what the steps of a run printed and logged.

    A line begins with the step's name, unless one step was asked for. With --json each line is an object with `step`,
    `n`, `at`, `level`, `stream` and `text`.
    """
    with Session(url, as_json) as session:
        query = {"epoch": epoch, "level": level.value if level else None, "search": search}
        reading = _Reading(session, run, step, query)
        reading.follow() if follow else reading.all_steps(None if step is None else [step])
        if not reading.printed and not as_json:
            looked = "no such lines" if level or search else "nothing was printed"
            session.warn(f"{looked}{'' if follow else ' (yet)'}")


@dataclass(slots=True)
class _Reading:
    """Prints lines; remembers of each step and attempt which line was the last."""

    session: Session
    run: str
    step: str | None
    query: dict[str, Any]
    printed: int = 0
    _seen: dict[str, int] = field(default_factory=dict)
    _epochs: dict[str, int] = field(default_factory=dict)
    _missing: set[str] = field(default_factory=set)

    def all_steps(self, steps: list[str] | None = None) -> None:
        """What there is now."""
        for step in steps if steps is not None else [found["id"] for found in self._touched()]:
            self._new_lines(step, named=self.step is None)

    def follow(self) -> None:
        """What there is, and what comes, until the end."""
        self._over()  # a mesh that was never there is not waited for
        away_since: float | None = None
        while True:
            try:
                over = self._round()
                away_since = None
            except NotReachable as error:
                now = time.monotonic()
                if away_since is None:
                    self.session.warn(f"{error}; waiting for it, the run is not lost")
                away_since = away_since or now
                if now - away_since > AWAY_S:
                    raise
                over = False
            if over:
                return
            time.sleep(LOOK_S)

    def _round(self) -> bool:
        """One look at everything; whether nothing will come any more. What came before the end was seen is read after
        it."""
        if self.step is not None:
            state = self.session.client.get(step_at(self.run, self.step))
            self._at_attempt(state)
            self._new_lines(self.step, named=False)
            return state["state"] in _STEP_ENDED or self._over()
        over = self._over()
        for step in self._touched():
            self._at_attempt(step)
            self._new_lines(step["id"], named=True)
        return over

    def _over(self) -> bool:
        return self.session.client.run(self.run)["state"] in ENDED

    def _touched(self) -> Iterator[dict[str, Any]]:
        pages = self.session.client.pages(at("runs", self.run, "steps"), "steps")
        return (step for step in pages if step["state"] not in _UNTOUCHED)

    def _at_attempt(self, step: dict[str, Any]) -> None:
        """Begin at the first line again when another attempt has begun."""
        if self._epochs.get(step["id"]) != step["epoch"]:
            self._epochs[step["id"]] = step["epoch"]
            self._seen.pop(step["id"], None)

    def _new_lines(self, step: str, *, named: bool) -> None:
        path = step_at(self.run, step, "logs")
        try:
            for line in self.session.client.lines(path, after=self._seen.get(step), **self.query):
                self._seen[step] = max(self._seen.get(step, 0), int(line.get("n") or 0))
                self._print(step, line, named=named)
        except Refusal as error:
            if self.step is not None:
                raise
            if step not in self._missing:  # the logs of the other steps are no less there for it
                self._missing.add(step)
                self.session.warn(f"{one_line(step)}: {error}")

    def _print(self, step: str, line: dict[str, Any], *, named: bool) -> None:
        self.printed += 1
        if self.session.as_json:
            print(json.dumps({"step": step, **line}, ensure_ascii=False), flush=True)
            return
        level = one_line(str(line.get("level") or ""))
        said = f"{f'{one_line(step)}: ' if named else ''}{clock(line.get('at'))} {level} {plain(str(line.get('text', '')))}"
        self.session.console.print(Text(said, style=_STYLES.get(level, "")), soft_wrap=True)
