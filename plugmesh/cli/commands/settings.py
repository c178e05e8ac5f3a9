"""`plugmesh settings …`: what is set, where that comes from, and what can be changed while the mesh runs."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.display.console import cells, cut, table
from plugmesh.cli.root import group

WIDE_FROM = 120
"""A terminal this wide has room for what each setting does."""

SettingName = Annotated[str, typer.Argument(metavar="NAME", help="The setting.")]


def settings_app() -> typer.Typer:
    """The commands about settings."""
    app = group("settings", "See and change what is set.")
    app.command("ls")(list_settings)
    app.command("set")(set_one)
    app.command("unset")(unset)
    return app


def list_settings(
    changed: Annotated[bool, typer.Option("--changed", help="Only those that are not as they come.")] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the settings of the mesh, with their values and where these come from."""
    with Session(url, as_json) as session:
        found = session.client.get("/settings")["settings"]
        if changed:
            found = [one for one in found if one["value"] != one["default"]]
        session.answer({"settings": found}, lambda: _show(session, found))


def set_one(
    name: SettingName,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="The new value: JSON, or a word.")],
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Change a setting of the running mesh; it stays so when the mesh is started again."""
    with Session(url, as_json) as session:
        answer = session.client.send("PUT", at("settings", name), {"value": value_of(value)})
        session.answer(answer, lambda: session.say(f"{name} is {_value((answer or {}).get('value', value_of(value)))}"))


def unset(name: SettingName, as_json: AsJson = False, url: Url = HERE) -> None:
    """Put a setting back to what the configuration says."""
    with Session(url, as_json) as session:
        session.client.send("DELETE", at("settings", name))
        session.answer({"name": name, "unset": True}, lambda: session.say(f"{name} is as configured again"))


def value_of(word: str) -> Any:
    """A word of the command line as a value: JSON where it is JSON."""
    try:
        return json.loads(word)
    except (ValueError, RecursionError):
        return word


def _show(session: Session, found: list[dict[str, Any]]) -> None:
    if not found:
        session.say("every setting is as it comes")
        return
    made = table(
        "SETTING",
        "VALUE",
        "FROM",
        "WHAT IT DOES",
        whole=("SETTING", "FROM"),
        spare=() if session.console.width >= WIDE_FROM else ("WHAT IT DOES", "FROM"),
    )
    for one in sorted(found, key=lambda one: str(one["name"])):
        fixed = "" if one.get("changeable", True) else " (at start only)"
        source = f"{one['source']}{fixed}"
        made.add_row(*cells(one["name"], _value(one["value"]), source), cut(one.get("doc") or ""))
    session.console.print(made)


def _value(value: Any) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
