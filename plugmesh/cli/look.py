"""Commands that only look: `runs`, `show`, `logs`, `modules`, `instances`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.outputs import show_outputs
from plugmesh.cli.run import TableFormat, finish
from plugmesh.cli.session import Session, cells, table
from plugmesh.cli.steps import clock, duration, run_line, state_text, steps_table, waiting_lines
from plugmesh.cli.terminal_text import brief, one_line

RunId = Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")]


def runs(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="So many of the newest.")] = 20,
    state: Annotated[str | None, typer.Option(help="Only in this state; several: with commas.")] = None,
    flow: Annotated[str | None, typer.Option(help="Only of this flow, by its name without the namespace.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the newest runs."""
    with Session(url, as_json) as session:
        page = session.client.runs(limit, state, flow)
        session.answer(page, lambda: _show_runs(session, page["runs"]))


def show(
    run: RunId,
    *,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", "-f", help="Stay until it has ended.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save the outputs to this folder; waits for the end.")
    ] = None,
    format: Annotated[TableFormat, typer.Option(help="Format of saved tables.")] = TableFormat.PARQUET,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Show a run, its steps, and the first rows of its outputs. With --follow the exit code is 1 unless it succeeds."""
    with Session(url, as_json) as session:
        if follow or out is not None:
            finish(session, run, out, format.value)
        else:
            document = session.client.run(run)
            session.answer(document, lambda: _show_run(session, document))


def logs(
    run: RunId,
    step: Annotated[str | None, typer.Argument(metavar="[STEP]", help="Only of this step.")] = None,
    attempt: Annotated[int | None, typer.Option(min=1, help="Of this attempt; the newest otherwise.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Print what the steps of a run printed and logged."""
    with Session(url, as_json) as session:
        steps = [step] if step else [found["id"] for found in session.client.run(run)["steps"]]
        found = {name: session.client.log(run, name, attempt) for name in steps}
        session.answer(found if step is None else found[step], lambda: _show_logs(session, found, named=step is None))


def modules(as_json: AsJson = False, url: Url = HERE) -> None:
    """List the modules of the mesh: the palette, and those that were here before."""
    with Session(url, as_json) as session:
        answer = session.client.modules()
        session.answer(answer["modules"], lambda: _show_modules(session, answer["modules"]))


def instances(as_json: AsJson = False, url: Url = HERE) -> None:
    """List the processes that serve modules."""
    with Session(url, as_json) as session:
        answer = session.client.instances()
        session.answer(answer["instances"], lambda: _show_instances(session, answer["instances"]))


def _show_runs(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("no runs")
        return
    made = table("RUN", "FLOW", "STATE", "SUBMITTED", "TIME", "REASON")
    for run in found:
        took = duration(run["started_at"] or run["submitted_at"], run["ended_at"])
        flow = f"{run['namespace']}/{run['flow']}"
        made.add_row(
            *cells(run["id"], flow),
            state_text(run["state"]),
            *cells(clock(run["submitted_at"]), took, brief(run["reason"] or "")),
        )
    session.console.print(made)


def _show_run(session: Session, run: dict[str, Any]) -> None:
    session.console.print(Text(run_line(run), style="bold"))
    session.say(f"flow {run['namespace']}/{run['flow']}, submitted {clock(run['submitted_at'])}")
    session.console.print(steps_table(run["steps"]))
    for line in waiting_lines(run):
        session.say(line)
    if run["state"] == "succeeded":
        show_outputs(session, run)


def _show_logs(session: Session, found: dict[str, dict[str, Any]], *, named: bool) -> None:
    for name, log in found.items():
        for line in log["lines"]:
            before = f"{name}: " if named else ""
            session.say(f"{before}{clock(line.get('at'))} {one_line(line.get('level') or '')} {line.get('text', '')}")
        if log.get("truncated"):
            session.say(f"{name}: the log was longer; this is all that was kept")
    if not any(log["lines"] for log in found.values()):
        session.say("nothing was printed (yet: a log is there when its step has ended)")


def _show_modules(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("no modules yet: plugmesh module serve FILE.py plugs one in")
        return
    made = table("MODULE", "VERSION", "KIND", "SERVED BY", "WHAT IT DOES")
    for module in found:
        served = f"{module['live']} instance{'s' if module['live'] != 1 else ''}" if module["live"] else "nobody now"
        first = (module["title"] or module["doc"]).strip().partition("\n")[0]
        versions = ", ".join(module["live_versions"] or module["versions"])
        made.add_row(*cells(module["name"], versions, module["kind"], served, brief(first)))
    session.console.print(made)


def _show_instances(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("no instances")
        return
    made = table("INSTANCE", "HOST", "PROCESS", "STATE", "WORK", "MODULES")
    for one in found:
        state = "draining" if one["draining"] else one["liveness"]
        work = f"{one['running']} of {one['slots']}"
        refused = [
            f"{entry['module']}@{entry['version']} (refused: {brief(entry['difference'])})" for entry in one["refused"]
        ]
        listed = ", ".join([*one["modules"], *refused])
        made.add_row(*cells(one["id"], one["host"], one["pid"], state, work, listed))
    session.console.print(made)
