"""`plugmesh artifacts`: files that steps left for people."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from plugmesh.cli.api.routes import at, step_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.transfer import save
from plugmesh.cli.arguments import HERE, AsJson, RunId, Url
from plugmesh.cli.display.amounts import bytes_text
from plugmesh.cli.display.console import cells, table


def artifacts(
    run: RunId,
    step: Annotated[str | None, typer.Argument(metavar="STEP", help="Only of this step.")] = None,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Save this one.")] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="FILE", help="Save it to this file; to one of its name otherwise."),
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the files that the steps of a run left, or save one.

    They are what modules hand over with `ctx.artifact`: reports, images, models.
    """
    with Session(url, as_json) as session:
        if step is not None and name is not None:
            _save(session, run, step, name, out)
            return
        found = _listed(session, run, step)
        session.answer({"artifacts": found}, lambda: _show(session, found))


def _listed(session: Session, run: str, step: str | None) -> list[dict[str, Any]]:
    if step is not None:
        steps = [session.client.get(step_at(run, step))]
    else:
        steps = list(session.client.pages(at("runs", run, "steps"), "steps"))
    return [{"step": one["id"], **artifact} for one in steps for artifact in one.get("artifacts") or ()]


def _save(session: Session, run: str, step: str, name: str, out: Path | None) -> None:
    target = out or Path(Path(name).name)
    target = target / Path(name).name if target.is_dir() else target
    with session.transferring(target.name) as progress:
        save(session.client, step_at(run, step, "artifacts", name), target, progress)
    size = target.stat().st_size
    session.answer({"file": str(target), "bytes": size}, lambda: session.say(f"{target}: {bytes_text(size)}"))


def _show(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("the steps left no artifacts")
        return
    made = table("STEP", "NAME", "SIZE", "TYPE", right=("SIZE",))
    for one in found:
        made.add_row(*cells(one["step"], one["name"], bytes_text(one["bytes"]), one.get("media_type")))
    session.console.print(made)
