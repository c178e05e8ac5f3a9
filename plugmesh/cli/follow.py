"""Watching a run to its end: a table that changes on a terminal, a line for each change elsewhere."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from plugmesh.cli.session import Session
from plugmesh.cli.steps import ENDED, duration, result, run_line, steps_table, waiting_lines
from plugmesh.cli.terminal_text import brief, one_line, plain
from plugmesh.errors import NotReachable

LOOK_S = 0.4
"""A run is looked at so often; its end is told at once."""
AWAY_S = 120.0
"""A mesh that is started again within this time finds us still there: runs survive it."""
STEPS_SHOWN = 40


def follow(session: Session, run: str) -> Any:
    """Wait for the end of a run, showing how it goes; returns the run. Raises `NotReachable`, `Refusal`."""
    if session.as_json:
        return _watch(session, run, _Silent())
    if session.console.is_terminal:
        with Live(console=session.console, auto_refresh=False, transient=True) as live:
            return _watch(session, run, _Table(live))
    return _watch(session, run, _Lines(session))


class _Silent:
    def show(self, run: dict[str, Any]) -> None:
        """Nothing."""

    def away(self, error: NotReachable) -> None:
        """Nothing."""


class _Table(_Silent):
    def __init__(self, live: Live) -> None:
        self._live = live

    def show(self, run: dict[str, Any]) -> None:
        steps = run["steps"]
        shown = steps if len(steps) <= STEPS_SHOWN else [step for step in steps if step["state"] != "succeeded"]
        lines: list[RenderableType] = [Text(brief(run_line(run)), style="bold"), steps_table(shown[:STEPS_SHOWN])]
        if len(steps) > STEPS_SHOWN:
            done = sum(step["state"] == "succeeded" for step in steps)
            lines.append(Text(f"{done:,} of {len(steps):,} steps have succeeded"))
        self._live.update(Group(*lines), refresh=True)

    def away(self, error: NotReachable) -> None:
        self._live.update(Text(plain(f"{error}; waiting for it")), refresh=True)


class _Lines(_Silent):
    def __init__(self, session: Session) -> None:
        self._session = session
        self._seen: dict[str, str] = {}
        self._waits: set[str] = set()
        self._is_away = False

    def show(self, run: dict[str, Any]) -> None:
        self._is_away = False
        for step in run["steps"]:
            if step["state"] != self._seen.get(step["id"], "pending"):
                self._seen[step["id"]] = step["state"]
                took = duration(step.get("started_at") or step.get("ready_at"), step.get("ended_at"))
                parts = [step["id"], step["state"], f"({took})" if took else "", result(step)]
                self._session.say(one_line(" ".join(part for part in parts if part)))
        for line in waiting_lines(run):
            if line not in self._waits:
                self._waits.add(line)
                self._session.say(line)

    def away(self, error: NotReachable) -> None:
        if not self._is_away:
            self._is_away = True
            self._session.warn(f"{error}; waiting for it, the run is not lost")


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
