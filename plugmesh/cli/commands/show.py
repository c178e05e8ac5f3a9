"""`plugmesh show`: a run, one of its steps, or when everything was."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from plugmesh.cli.api.routes import at, step_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, RunId, SaveTo, Url
from plugmesh.cli.commands.run import TableFormat, finish
from plugmesh.cli.display.outputs import show_outputs
from plugmesh.cli.display.run_view import header, run_view
from plugmesh.cli.display.step_view import step_view
from plugmesh.cli.display.steps import ENDED, STYLES
from plugmesh.cli.display.timeline import FOLDED_LEGEND, LEGEND, draw, is_folded, text_of
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError

LOOK_S = 0.5
WIDEST = 120
"""A timeline that is wider says no more."""
_PAGE = 1000


def show(
    run: RunId,
    *,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Stay until it has ended.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch/--no-watch", "-w", help="The same, showing all of this page all the time.")
    ] = False,
    steps: Annotated[bool, typer.Option("--steps", help="All steps, however many there are.")] = False,
    step: Annotated[
        str | None, typer.Option(metavar="STEP", help="One step, with its attempts, errors and artifacts.")
    ] = None,
    timeline: Annotated[bool, typer.Option("--timeline", help="When each step waited and when it ran.")] = False,
    out: SaveTo = None,
    format: Annotated[TableFormat, typer.Option(help="Format of saved tables.")] = TableFormat.PARQUET,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Show a run: its steps, and the first rows of its outputs.

    With --follow the exit code is 1 unless it succeeds.
    """
    with Session(url, as_json) as session:
        if sum((step is not None, timeline, follow or watch or out is not None)) > 1:
            raise ConfigurationError(
                "--step, --timeline and --follow, --watch or --out show different things: choose one"
            )
        if step is not None:
            document = session.client.get(step_at(run, step))
            session.answer(document, lambda: session.console.print(step_view(document)))
        elif timeline:
            _timeline(session, run)
        elif watch and out is None and session.console.is_terminal and not as_json:
            _watch(session, run, every_step=steps)
        elif follow or watch or out is not None:
            session.client.run(run)  # a mesh that was never there is not waited for
            finish(session, run, out, format.value)
        else:
            _once(session, run, every_step=steps)


def _once(session: Session, run: str, *, every_step: bool) -> None:
    document = session.client.run(run)
    found = steps_of(session, run)
    if session.as_json:
        session.answer({**document, "steps": _merged(document["steps"], found)}, lambda: None)
        return
    view = run_view(document, _merged(document["steps"], found), now=session.runtime.wall(), every_step=every_step)
    session.console.print(view)
    if document["state"] == "succeeded":
        show_outputs(session, document)


def steps_of(session: Session, run: str) -> list[dict[str, Any]]:
    """What is known of every step that something happened to: more than a run's own document says."""
    return list(session.client.pages(at("runs", run, "steps"), "steps"))


def _merged(short: list[dict[str, Any]], whole: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps in the flow's order, then those that the run's document left out."""
    by_id = {step["id"]: step for step in whole}
    found = [{**step, **by_id.pop(step["id"], {})} for step in short]
    return [*found, *by_id.values()]


def _watch(session: Session, run: str, *, every_step: bool) -> None:
    try:
        with Live(console=session.console, auto_refresh=False, transient=True) as live:
            document = session.client.run(run)
            while True:
                steps = _merged(document["steps"], steps_of(session, run))
                view = run_view(document, steps, now=session.runtime.wall(), every_step=every_step)
                live.update(view, refresh=True)
                if document["state"] in ENDED:
                    break
                begun = time.monotonic()
                document = session.client.run(run, wait_s=LOOK_S)
                time.sleep(max(0.0, LOOK_S / 2 - (time.monotonic() - begun)))
    except KeyboardInterrupt:
        session.warn(f"\nnot watching any more; the run is not touched: plugmesh show {run}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    session.console.print(view)
    if document["state"] != "succeeded":
        raise typer.Exit(ExitCode.RUN_FAILED)
    show_outputs(session, document)


def _timeline(session: Session, run: str) -> None:
    document = session.client.run(run)
    steps = list(session.client.pages(at("runs", run, "timeline"), "steps"))
    session.answer(
        {"run": _times(document), "steps": steps},
        lambda: session.console.print(
            timeline_view(document, steps, min(session.console.width, WIDEST), session.runtime.wall())
        ),
    )


def timeline_view(run: dict[str, Any], steps: list[dict[str, Any]], width: int, now: float) -> RenderableType:
    """The header of a run, and its Gantt."""
    parts: list[RenderableType] = [header(run, now), Text()]
    lines = draw(run, steps, width, now)
    if len(lines) == 1:
        return Group(header(run, now), Text("nothing has happened yet"))
    parts += [Text(text_of(line), style=STYLES.get(line.state, "")) for line in lines]
    parts.append(Text(FOLDED_LEGEND if is_folded(steps) else LEGEND, style="dim"))
    return Group(*parts)


def _times(run: dict[str, Any]) -> dict[str, Any]:
    names = ("id", "state", "submitted_at", "started_at", "ended_at")
    return {name: run.get(name) for name in names}
