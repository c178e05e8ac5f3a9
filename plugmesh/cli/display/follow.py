"""Watching a run to its end: a table that changes on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from plugmesh.cli.api.routes import step_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.display.steps import (
    ENDED,
    attempt_line,
    duration,
    lasting_waits,
    result,
    run_line,
    steps_table,
    waiting_lines,
)
from plugmesh.cli.display.terminal_text import brief, one_line, plain
from plugmesh.errors import NotReachable, PlugmeshError

LOOK_S = 0.4
"""A run is looked at so often; its end is told at once."""
AWAY_S = 120.0
"""A mesh that is started again within this time finds us still there: runs survive it."""
STEPS_SHOWN = 40
TRIES_LOOKED_UP = 20
"""The attempts of so many steps are asked for one by one; in a run where more go wrong, that is no help any more."""
TOLD = {"lost", "failed"}


def follow(session: Session, run: str) -> Any:
    """Wait for the end of a run, showing how it goes; returns the run. Raises `NotReachable`, `Refusal`."""
    if session.as_json:
        return _watch(session, run, _Silent())
    if session.console.is_terminal:
        with Live(console=session.console, auto_refresh=False, transient=True) as live:
            return _watch(session, run, _Table(live, Tries(session, run)))
    return _watch(session, run, _Lines(session, run))


class Tries:
    """Tells of each attempt that came to nothing, once, with where it was and why."""

    def __init__(self, session: Session, run: str) -> None:
        self._session, self._run = session, run
        self._counted: dict[str, tuple[int, int]] = {}
        self._told: set[tuple[str, int, str]] = set()

    def lines(self, steps: list[dict[str, Any]]) -> list[str]:
        """A line for each attempt that was lost or failed since the last time; one that ended a step is not among
        them, for its step is told of."""
        found = []
        for step in steps:
            counts = (step.get("losses") or 0, step.get("failures") or 0)
            if counts == self._counted.get(step["id"], (0, 0)):
                continue
            self._counted[step["id"]] = counts
            over = (step["id"], step["epoch"]) if step["state"] in {"failed", "cancelled"} else None
            if len(self._counted) <= TRIES_LOOKED_UP and (counts[0] or over is None or step["epoch"] > 1):
                found += self._of(step["id"], over)
            elif len(self._counted) == TRIES_LOOKED_UP + 1:
                found.append("more steps had attempts that were lost or failed: plugmesh show RUN --step STEP")
        return found

    def _of(self, step: str, over: tuple[str, int] | None) -> list[str]:
        try:
            attempts = self._session.client.get(step_at(self._run, step))["attempts"]
        except PlugmeshError:
            return []  # it will be told with the next one
        found = []
        for attempt in attempts:
            key = (step, attempt["epoch"], attempt["state"])
            if attempt["state"] in TOLD and key not in self._told and (step, attempt["epoch"]) != over:
                self._told.add(key)
                found.append(attempt_line(step, attempt))
        return found


class _Silent:
    def show(self, run: dict[str, Any]) -> None:
        """Nothing."""

    def away(self, error: NotReachable) -> None:
        """Nothing."""


class _Table(_Silent):
    def __init__(self, live: Live, tries: Tries) -> None:
        self._live, self._tries = live, tries

    def show(self, run: dict[str, Any]) -> None:
        steps = run["steps"]
        shown = steps if len(steps) <= STEPS_SHOWN else [step for step in steps if step["state"] != "succeeded"]
        lines: list[RenderableType] = [Text(brief(run_line(run)), style="bold"), steps_table(shown[:STEPS_SHOWN])]
        if len(steps) > STEPS_SHOWN:
            done = sum(step["state"] == "succeeded" for step in steps)
            lines.append(Text(f"{done:,} of {len(steps):,} steps have succeeded"))
        for line in self._tries.lines(steps):
            self._live.console.print(Text(line, style="yellow"))  # above the table, where it stays
        self._live.update(Group(*lines), refresh=True)

    def away(self, error: NotReachable) -> None:
        self._live.update(Text(plain(f"{error}; waiting for it")), refresh=True)


class _Lines(_Silent):
    def __init__(self, session: Session, run: str) -> None:
        self._session = session
        self._tries = Tries(session, run)
        self._seen: dict[str, str] = {}
        self._waits: set[str] = set()
        self._is_away = False

    def show(self, run: dict[str, Any]) -> None:
        self._is_away = False
        told_below = {(one["step"], one["state"]) for one in lasting_waits(run)}
        for step in run["steps"]:
            for line in self._tries.lines([step]):
                self._session.say(line)
            if step["state"] != self._seen.get(step["id"], "pending"):
                self._seen[step["id"]] = step["state"]
                if (step["id"], step["state"]) not in told_below:
                    self._session.say(_change(step))
        for line in waiting_lines(run):
            if line not in self._waits:
                self._waits.add(line)
                self._session.say(line)

    def away(self, error: NotReachable) -> None:
        if not self._is_away:
            self._is_away = True
            self._session.warn(f"{error}; waiting for it, the run is not lost")


def _change(step: dict[str, Any]) -> str:
    took = duration(step.get("started_at") or step.get("ready_at"), step.get("ended_at"))
    parts = [step["id"], step["state"], f"({took})" if took else "", result(step)]
    return one_line(" ".join(part for part in parts if part))


def _watch(session: Session, run: str, shown: _Silent) -> Any:
    away_since: float | None = None
    while True:
        begun = time.monotonic()
        try:
            document = session.client.run(run, wait_s=LOOK_S)
        except NotReachable as error:
            away_since = away_since or begun
            if begun - away_since > AWAY_S:
                raise
            shown.away(error)
        else:
            away_since = None
            shown.show(document)
            if document["state"] in ENDED:
                return document
        time.sleep(max(0.0, LOOK_S / 2 - (time.monotonic() - begun)))  # a mesh that stops answers at once
