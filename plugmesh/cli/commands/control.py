"""`plugmesh cancel`, `pause` and `resume`: what can be asked of runs that are under way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from plugmesh.cli.api.client import Refusal
from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session, exit_code
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.display.steps import ENDED
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import NotFound

RunIds = Annotated[list[str], typer.Argument(metavar="RUN", help="The ids of one or more runs.")]
Reason = Annotated[str, typer.Option(help="Why, for whoever looks at the run later.")]


def cancel(runs: RunIds, reason: Reason = "", as_json: AsJson = False, url: Url = HERE) -> None:
    """Cancel runs. Nothing new starts, and steps at work have ten seconds to stop."""
    _ask(url, as_json, runs, "cancel", reason)


def pause(runs: RunIds, reason: Reason = "", as_json: AsJson = False, url: Url = HERE) -> None:
    """Pause runs. Nothing new starts; steps at work go on to their end, and their results count."""
    _ask(url, as_json, runs, "pause", reason)


def resume(runs: RunIds, reason: Reason = "", as_json: AsJson = False, url: Url = HERE) -> None:
    """Let paused runs go on where they were."""
    _ask(url, as_json, runs, "resume", reason)


def _ask(url: str, as_json: bool, runs: Sequence[str], wish: str, reason: str) -> None:
    """Ask the same of each run; one that refuses does not keep the others from being asked."""
    with Session(url, as_json) as session:
        answers: list[dict[str, Any]] = []
        failed = ExitCode.OK
        for run in dict.fromkeys(runs):
            try:
                answer = session.client.send("POST", at("runs", run, wish), {"reason": reason})
                session.say(_said(answer, wish))
            except (Refusal, NotFound) as error:
                if len(runs) == 1:
                    raise
                answer = {"id": run, "error": {"code": error.code, "message": str(error)}}
                failed = failed or exit_code(error)
                session.warn(f"plugmesh: {error}")
            answers.append(answer)
        session.answer(answers[0] if len(runs) == 1 else {"runs": answers}, lambda: None)
        if failed:
            raise typer.Exit(failed)


def _said(answer: dict[str, Any], wish: str) -> str:
    # A run that had not begun is cancelled at once; one that was cancelled before says the same, for nothing is lost.
    over = wish == "cancel" and answer["state"] in ENDED - {"cancelled"}
    return f"{answer['id']} {'had already ended: it ' if over else ''}is {answer['state']}"
