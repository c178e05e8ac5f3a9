"""Commands that make a run or end its keeping: `run`, `rm`, `pin`, `unpin`, `validate`."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from plugmesh.cli.api.flowfile import find_flow, pairs, read_flow
from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.submitting import Asked, key_of, read_lines, request_of, submit, submit_each
from plugmesh.cli.arguments import HERE, TIMEOUT_MOST_S, AsJson, Deadline, FollowRun, Priority, RunId, SaveTo, Url, Yes
from plugmesh.cli.display.follow import follow
from plugmesh.cli.display.moments import later
from plugmesh.cli.display.outputs import save_outputs, show_outputs
from plugmesh.cli.display.steps import ENDED, failed_steps, run_line, steps_table
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError

_REFUSALS_SHOWN = 10
_WAIT_S = 30.0


class TableFormat(StrEnum):
    """Formats of a downloaded table."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    ARROW = "arrow"


def run(
    *,
    flow: Annotated[
        str,
        typer.Argument(
            metavar="FLOW",
            help="A flow file, YAML or JSON; - is standard input; or a saved flow: NAMESPACE/NAME[@REVISION].",
        ),
    ],
    input: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            "-i",
            metavar="NAME=PATH",
            help="An input: a local file, which is uploaded; NAME=@FILE: a file on the mesh; NAME:=JSON: a value.",
        ),
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A param.")] = None,
    follow_run: FollowRun = False,
    out: SaveTo = None,
    format: Annotated[TableFormat, typer.Option(help="Format of saved tables.")] = TableFormat.PARQUET,
    strict: Annotated[bool, typer.Option(help="Refuse a flow with modules that nobody serves.")] = False,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="NAME=VALUE", help="A label, to find it by.")
    ] = None,
    notify: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Call this address when the run has ended.")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option(min=0.001, max=TIMEOUT_MOST_S, help="The longest time that it may take.")
    ] = None,
    priority: Priority = None,
    deadline: Deadline = None,
    each: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="A run for each line of this file, JSON with `inputs`, `params`, `labels`, …"
        ),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="A word for this very run: submitted again with the same word, there is no second one."),
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Run a flow.

    Prints the run's id and returns, or with --follow stays until its end: then the exit code is 1 unless it succeeded.
    """  # fmt: skip
    with Session(url, as_json, flow_file=flow) as session:
        if each is not None and out is not None:
            raise ConfigurationError("--out saves the outputs of one run, and --each makes many: leave one of them out")
        key = key_of(session, key)
        labels = pairs(label or (), "--label")
        end = None if deadline is None else later(deadline, session.runtime.wall(), "--deadline")
        asked = Asked(input or (), param or (), labels, notify or (), timeout_s, strict, priority, end)
        lines = None if each is None else read_lines(each)
        request = request_of(session, find_flow(flow), asked)
        if lines is not None:
            _finish_each(session, submit_each(session, request, lines, key), follow_run)
            return
        accepted = submit(session, request, key)
        session.warnings(accepted["warnings"])
        if follow_run or out is not None:
            session.say(f"{accepted['id']} is accepted")
            finish(session, accepted["id"], out, format.value)
        else:
            session.answer(accepted, lambda: _accepted(session, accepted))


def finish(session: Session, run: str, out: Path | None, format: str) -> None:
    """Follow a run to its end and show what it came to. Raises `typer.Exit` unless it succeeded."""
    try:
        document = follow(session, run)
    except KeyboardInterrupt:
        session.warn(
            f"\nnot following any more; the run goes on: plugmesh show {run} --follow (or plugmesh cancel {run})"
        )
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    succeeded = document["state"] == "succeeded"
    session.answer(document, lambda: _ended(session, document))
    if succeeded and out is not None:
        save_outputs(session, document, out, format)
    if not succeeded:
        raise typer.Exit(ExitCode.RUN_FAILED)


def _accepted(session: Session, accepted: dict[str, Any]) -> None:
    is_in = "was made before, it is" if accepted.get("repeated") else "is"
    session.say(f"{accepted['id']} {is_in} {accepted['state']}")
    session.say(f"watch it: plugmesh show {accepted['id']} --follow")


def _ended(session: Session, run: dict[str, Any]) -> None:
    succeeded = run["state"] == "succeeded"
    failed = failed_steps(run)
    if session.console.is_terminal:  # elsewhere each step has had its line
        session.console.print(steps_table(run["steps"]))
    session.say(run_line(run, reason=not failed), style="bold green" if succeeded else "bold red")
    if succeeded:
        show_outputs(session, run)
        return
    if failed:
        session.say(f"what it printed: plugmesh logs {run['id']} {failed[0]}")


def _finish_each(session: Session, answers: list[dict[str, Any]], follow_runs: bool) -> None:
    refused = [answer for answer in answers if "problem" in answer]
    for answer in refused[:_REFUSALS_SHOWN]:
        session.warn(f"line {answer['index'] + 1}: {answer['problem'].get('detail', 'refused')}")
    if len(refused) > _REFUSALS_SHOWN:
        session.warn(f"… and {len(refused) - _REFUSALS_SHOWN:,} more were refused; --json lists them")
    made = [answer for answer in answers if "id" in answer]
    repeated = sum(bool(answer.get("repeated")) for answer in made)
    again = f" ({repeated:,} of them were there already)" if repeated else ""
    session.say(f"{len(made):,} of {len(answers):,} runs accepted{again}")
    failed = _wait_for_all(session, made) if follow_runs else False
    session.answer({"runs": answers}, lambda: None)
    if refused or failed:
        raise typer.Exit(ExitCode.RUN_FAILED if failed else ExitCode.USAGE)


def _wait_for_all(session: Session, made: list[dict[str, Any]]) -> bool:
    """Wait for the end of every run; whether one of them did not succeed."""
    try:
        for answer in made:
            while answer["state"] not in ENDED:
                answer["state"] = session.client.run(answer["id"], wait_s=_WAIT_S)["state"]
    except KeyboardInterrupt:
        session.warn("\nnot following any more; the runs go on: plugmesh runs")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    counts = Counter(answer["state"] for answer in made)
    session.say(", ".join(f"{number:,} {state}" for state, number in counts.most_common()))
    return any(state != "succeeded" for state in counts)


def remove(run: RunId, yes: Yes = False, as_json: AsJson = False, url: Url = HERE) -> None:
    """Remove a run that has ended. Its steps and logs go, and the data that nothing else uses."""
    with Session(url, as_json) as session:
        session.confirm(f"Remove {run} with its logs and outputs?", yes)
        session.client.send("DELETE", at("runs", run))
        session.answer({"id": run, "removed": True}, lambda: session.say(f"{run} is removed"))


def pin(
    run: RunId,
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the run later.")] = "",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Until then: 30d, or 2026-12-24; for good otherwise.")
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Keep a run and its data, whatever retention says."""
    with Session(url, as_json) as session:
        end = None if until is None else later(until, session.runtime.wall(), "--until")
        document = {"reason": reason, **({} if end is None else {"until": end})}
        answer = session.client.send("POST", at("runs", run, "pin"), document)
        session.answer(answer, lambda: session.say(f"{run} is kept{f' until {until}' if until else ''}"))


def unpin(run: RunId, as_json: AsJson = False, url: Url = HERE) -> None:
    """Let retention decide again how long a run is kept."""
    with Session(url, as_json) as session:
        session.client.send("DELETE", at("runs", run, "pin"))
        session.answer({"id": run, "pinned": False}, lambda: session.say(f"{run} is pinned no more"))


def validate(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="A flow file, YAML or JSON; - is standard input.")],
    strict: Annotated[bool, typer.Option(help="Modules that nobody serves are errors.")] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Say what is wrong with a flow, without running it. Exits with 2 if it is not valid."""
    with Session(url, as_json, flow_file=flow) as session:
        checked = session.client.validate(read_flow(flow).text, strict=strict)
        if not as_json:
            session.warnings([*checked["problems"], *checked["warnings"]])
        verdict = "is valid" if checked["valid"] else "is not valid"
        session.answer(checked, lambda: session.say(f"{checked['flow'] or flow} {verdict}"))
        if not checked["valid"]:
            raise typer.Exit(ExitCode.USAGE)
