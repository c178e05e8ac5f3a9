"""`plugmesh runs`: which runs there are."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.display.amounts import clock
from plugmesh.cli.display.console import cells, cut, table
from plugmesh.cli.display.moments import earlier
from plugmesh.cli.display.steps import duration, state_text
from plugmesh.errors import ConfigurationError


def runs(
    *,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="So many of the newest.")] = 20,
    state: Annotated[
        list[str] | None, typer.Option(help="Only in this state; several: with commas, or given several times.")
    ] = None,
    flow: Annotated[str | None, typer.Option(help="Only of this flow: NAME, or NAMESPACE/NAME.")] = None,
    namespace: Annotated[str | None, typer.Option(help="Only in this namespace.")] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", "-l", metavar="NAME=VALUE", help="Only with this label; several: with all of them."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only submitted since then: 2h, 7d, 2026-12-24, 18:30.")
    ] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only submitted before then.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the newest runs."""
    with Session(url, as_json) as session:
        now = session.runtime.wall()
        filters = {
            "state": [part for given in state or () for part in given.split(",") if part] or None,
            "flow": flow,
            "namespace": namespace,
            "label": [_label(word) for word in label or ()] or None,
            "since": None if since is None else earlier(since, now, "--since"),
            "until": None if until is None else earlier(until, now, "--until"),
        }
        found = list(session.client.pages(at("runs"), "runs", limit, **filters))
        session.answer({"runs": found}, lambda: _show(session, found, now, some=any(filters.values())))


def _label(word: str) -> str:
    name, sign, value = word.partition("=")
    if not sign or not name:
        raise ConfigurationError(f"--label {word!r}: write --label NAME=VALUE")
    return f"{name}:{value}"


def _show(session: Session, found: list[dict[str, Any]], now: float, *, some: bool) -> None:
    if not found:
        session.say("no such runs" if some else "no runs yet: plugmesh run FLOW.yaml --follow")
        return
    made = table(
        "RUN",
        "FLOW",
        "STATE",
        "SUBMITTED",
        "TIME",
        "REASON",
        right=("TIME",),
        whole=("RUN", "STATE", "SUBMITTED"),
        spare=("REASON", "SUBMITTED", "TIME"),
    )
    for run in found:
        took = duration(run["started_at"] or run["submitted_at"], run["ended_at"] or now)
        flow = f"{run['namespace']}/{run['flow']}"
        made.add_row(
            *cells(run["id"], flow),
            state_text(run["state"]),
            *cells(clock(run["submitted_at"]), took),
            cut(run["reason"] or ""),
        )
    session.console.print(made)
