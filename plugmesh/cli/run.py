"""Commands that change something: `run`, `cancel`, and `validate`, which would."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.exits import ExitCode
from plugmesh.cli.flowfile import hand_in, params_of, read_flow
from plugmesh.cli.follow import follow
from plugmesh.cli.outputs import save_outputs, show_outputs
from plugmesh.cli.session import Session
from plugmesh.cli.steps import failed_steps, run_line, steps_table


class TableFormat(StrEnum):
    """Formats of a downloaded table."""

    PARQUET = "parquet"
    CSV = "csv"
    JSONL = "jsonl"
    ARROW = "arrow"


def run(
    *,
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="A flow file, YAML or JSON; - is standard input.")],
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
    follow_run: Annotated[
        bool, typer.Option("--follow/--no-follow", "-f", help="Wait for its end, and show how it goes and its outputs.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Save the outputs to this folder; waits for the end.")
    ] = None,
    format: Annotated[TableFormat, typer.Option(help="Format of saved tables.")] = TableFormat.PARQUET,
    strict: Annotated[bool, typer.Option(help="Refuse a flow with modules that nobody serves.")] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Run a flow.

    Prints the run's id and returns, or with --follow stays until its end: then the exit code is 1 unless it succeeded.
    """  # fmt: skip
    with Session(url, as_json, flow_file=flow) as session:
        file = read_flow(flow)
        params = params_of(file, param or ())
        accepted = session.client.submit(file.text, hand_in(session.client, input or ()), params, strict=strict)
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
    session.say(f"{accepted['id']} is {accepted['state']}; watch it with: plugmesh show {accepted['id']} --follow")


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


def cancel(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    reason: Annotated[str, typer.Option(help="Why, for whoever looks at the run later.")] = "",
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Cancel a run: nothing new starts, and steps at work have ten seconds to stop."""
    with Session(url, as_json) as session:
        answer = session.client.cancel(run, reason)
        session.answer(answer, lambda: session.say(f"{answer['id']} is {answer['state']}"))


def validate(
    flow: Annotated[str, typer.Argument(metavar="FLOW", help="A flow file, YAML or JSON; - is standard input.")],
    strict: Annotated[bool, typer.Option(help="Modules that nobody serves are errors.")] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Say everything that is wrong with a flow, without running it. Exits with 2 if it is not valid."""
    with Session(url, as_json, flow_file=flow) as session:
        checked = session.client.validate(read_flow(flow).text, strict=strict)
        if not as_json:
            session.warnings([*checked["problems"], *checked["warnings"]])
        verdict = "is valid" if checked["valid"] else "is not valid"
        session.answer(checked, lambda: session.say(f"{checked['flow'] or flow} {verdict}"))
        if not checked["valid"]:
            raise typer.Exit(ExitCode.USAGE)
