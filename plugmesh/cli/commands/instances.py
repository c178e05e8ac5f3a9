"""`plugmesh instances` and `plugmesh drain`: the processes that serve modules."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.display.amounts import clock, seconds_text
from plugmesh.cli.display.console import cells, cut, facts, table
from plugmesh.cli.display.terminal_text import brief, one_line


def instances(
    instance: Annotated[str | None, typer.Argument(metavar="INSTANCE", help="Only this one, with its work.")] = None,
    slots: Annotated[
        int | None, typer.Option(min=1, max=1024, help="Let it run so many steps at a time from now on.")
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the processes that serve modules."""
    with Session(url, as_json) as session:
        if instance is None:
            if slots is not None:
                raise typer.BadParameter("say which instance", param_hint="--slots")
            answer = session.client.get("/instances")
            session.answer(answer["instances"], lambda: _show_instances(session, answer["instances"]))
            return
        if slots is not None:
            session.client.send("PATCH", at("instances", instance), {"slots": slots})
        found = session.client.get(at("instances", instance))
        session.answer(found, lambda: _show_instance(session, found))


def drain(
    instance: Annotated[str, typer.Argument(metavar="INSTANCE", help="The instance.")],
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Let an instance finish what it has begun, and end."""
    with Session(url, as_json) as session:
        answer = session.client.send("POST", at("instances", instance, "drain"))
        session.answer(answer, lambda: session.say(f"{instance} takes no more work, and ends when it has finished"))


def _show_instances(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("no instances: plugmesh module serve FILE.py starts one")
        return
    whole = ("INSTANCE", "PROCESS", "STATE", "WORK")
    spare = ("PROCESS", "HOST", "MODULES")
    made = table(
        "INSTANCE", "HOST", "PROCESS", "STATE", "WORK", "MODULES", right=("PROCESS",), whole=whole, spare=spare
    )
    for one in found:
        refused = [
            f"{entry['module']}@{entry['version']} (refused: {brief(entry['difference'])})" for entry in one["refused"]
        ]
        listed = ", ".join([*refused, *one["modules"]])
        made.add_row(*cells(one["id"], one["host"], one["pid"], _state(one), _work(one)), cut(listed))
    session.console.print(made)


def _show_instance(session: Session, one: dict[str, Any]) -> None:
    session.console.print(Text(one_line(f"{one['id']} {_state(one)}"), style="bold"))
    labels = ", ".join(f"{name}={value}" for name, value in (one.get("labels") or {}).items())
    load = one.get("load")
    known = (
        ("host", f"{one['host']}, process {one['pid']}"),
        ("work", _work(one) + (f", load {load:g}" if isinstance(load, int | float) else "")),
        ("heard from", f"{seconds_text(one['beat_age_s'])} ago" if one.get("beat_age_s") is not None else ""),
        ("started", clock(one.get("started_at"))),
        ("labels", labels),
        ("SDK", str(one.get("sdk") or "")),
        ("modules", ", ".join(one["modules"])),
        *(("refused", f"{entry['module']}@{entry['version']}: {entry['difference']}") for entry in one["refused"]),
        *(("holds", _held(attempt)) for attempt in one.get("attempts") or one.get("held") or ()),
    )
    session.console.print(facts(known))


def _held(attempt: Any) -> str:
    if not isinstance(attempt, dict):
        return str(attempt)
    words = [str(attempt[name]) for name in ("run", "step", "epoch", "state") if attempt.get(name) is not None]
    return " ".join(words) or str(attempt.get("attempt", ""))


def _state(one: dict[str, Any]) -> str:
    return "draining" if one.get("draining") else str(one["liveness"])


def _work(one: dict[str, Any]) -> str:
    return f"{one['running']} of {one['slots']}"
