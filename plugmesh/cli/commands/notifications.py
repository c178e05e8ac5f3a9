"""`plugmesh notifications …`: whom the mesh told that a run had ended, and whom it could not reach."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Limit, Url
from plugmesh.cli.display.amounts import clock
from plugmesh.cli.display.console import cells, cut, table
from plugmesh.cli.display.steps import state_text
from plugmesh.cli.root import group


def notifications_app() -> typer.Typer:
    """The commands about notifications."""
    app = group("notifications", "See whom the mesh told that a run had ended.")
    app.command("ls")(list_notifications)
    app.command("retry")(retry)
    return app


def list_notifications(
    run: Annotated[str | None, typer.Option(help="Only of this run.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state: pending, delivered, failed.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the newest notifications."""
    with Session(url, as_json) as session:
        found = list(session.client.pages("/notifications", "notifications", limit, run=run, state=state))
        session.answer({"notifications": found}, lambda: _show(session, found))


def retry(
    notification: Annotated[str, typer.Argument(metavar="ID", help="The notification.")],
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Try a notification again now."""
    with Session(url, as_json) as session:
        answer = session.client.send("POST", at("notifications", notification, "retry"))
        session.answer(answer, lambda: session.say(f"{notification} is tried again"))


def _show(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("no notifications")
        return
    whole = ("ID", "STATE", "NEXT TRY")
    made = table(
        "ID",
        "RUN",
        "STATE",
        "TRIES",
        "NEXT TRY",
        "ADDRESS",
        "LAST ANSWER",
        right=("TRIES",),
        whole=whole,
        spare=("NEXT TRY", "RUN", "LAST ANSWER", "TRIES"),
    )
    for one in found:
        answer = one.get("error") or one.get("status") or ""
        made.add_row(
            *cells(one["id"], one["run"]),
            state_text(one["state"]),
            *cells(one.get("attempts"), clock(one.get("next_at")), one["url"]),
            cut(str(answer)),
        )
    session.console.print(made)
