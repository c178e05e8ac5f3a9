"""`plugmesh rerun`: an ended run once more, with what of it is still good."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plugmesh.cli.api.flowfile import hand_in, pairs, params_like
from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.submitting import key_of, submit, uploader
from plugmesh.cli.arguments import HERE, TIMEOUT_MOST_S, AsJson, Deadline, FollowRun, RunId, SaveTo, Url
from plugmesh.cli.commands.run import TableFormat, finish
from plugmesh.cli.display.moments import later
from plugmesh.errors import ConfigurationError


def rerun(
    run: RunId,
    *,
    from_steps: Annotated[
        list[str] | None,
        typer.Option("--from", metavar="STEP", help="This step and all below it run again; may be said several times."),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--only", metavar="STEP", help="Only this step runs, or NODE.3; may be said several times."),
    ] = None,
    start: Annotated[bool, typer.Option("--start", help="Everything runs again.")] = False,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=PATH", help="Another input than it had, as for `plugmesh run`."),
    ] = None,
    param: Annotated[
        list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="Another param than it had.")
    ] = None,
    follow_run: FollowRun = False,
    out: SaveTo = None,
    format: Annotated[TableFormat, typer.Option(help="Format of saved tables.")] = TableFormat.PARQUET,
    label: Annotated[
        list[str] | None, typer.Option("--label", "-l", metavar="NAME=VALUE", help="A label, in place of those it had.")
    ] = None,
    notify: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Call this address at its end, not those named for the run.")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option(min=0.001, max=TIMEOUT_MOST_S, help="Its longest time; the old run's otherwise.")
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(min=-100, max=100, help="Steps of runs with a higher one go first; the old run's otherwise."),
    ] = None,
    deadline: Deadline = None,
    key: Annotated[
        str | None,
        typer.Option(help="A word for this very rerun: submitted again with the same word, there is no second one."),
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Run an ended run again: what did not succeed, and what reads another param or input.

    Makes a new run of the same revision of the flow. The data of the other steps is used as it is.
    """  # fmt: skip
    with Session(url, as_json) as session:
        if sum(map(bool, (from_steps, only, start))) > 1:
            raise ConfigurationError("--from, --only and --start ask for different things: choose one of them")
        key = key_of(session, key)
        request = {
            "from": "start" if start else from_steps,
            "only": only,
            "params": _params(session, run, param or []),
            "inputs": hand_in(input or [], uploader(session)),
            "labels": pairs(label or [], "--label"),
            "notify": [{"url": address} for address in notify or ()],
            "timeout_s": timeout_s,
            "priority": priority,
            "deadline": None if deadline is None else later(deadline, session.runtime.wall(), "--deadline"),
        }
        asked = {name: value for name, value in request.items() if value not in (None, [], {})}
        accepted = submit(session, asked, key, at("runs", run, "rerun"))
        session.warnings(accepted["warnings"])
        if follow_run or out is not None:
            session.say(f"{accepted['id']} is accepted: {reused(accepted)}")
            finish(session, accepted["id"], out, format.value)
        else:
            session.answer(accepted, lambda: _accepted(session, accepted))


def reused(accepted: dict[str, Any]) -> str:
    """What a rerun takes over and what it executes."""
    recovered, again = accepted["recovered"], accepted.get("again")
    told = f"{recovered:,} step{'' if recovered == 1 else 's'} recovered"
    return told if again is None else f"{told}, {again:,} {'runs' if again == 1 else 'run'} again"


def _accepted(session: Session, accepted: dict[str, Any]) -> None:
    is_in = "was made before, it is" if accepted["repeated"] else "is"
    told = f"{accepted['id']} {is_in} {accepted['state']}, a rerun of {accepted['origin']}: {reused(accepted)}"
    session.say(told)
    session.say(f"watch it: plugmesh show {accepted['id']} --follow")


def _params(session: Session, run: str, given: list[str]) -> dict[str, Any]:
    return params_like(session.client.run(run)["params"], given) if given else {}
