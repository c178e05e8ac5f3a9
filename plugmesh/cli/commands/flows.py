"""`plugmesh flows …`: the flows that the mesh keeps, by name and revision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from plugmesh.cli.api.flowfile import read_flow
from plugmesh.cli.api.routes import flow_at
from plugmesh.cli.api.session import Session
from plugmesh.cli.arguments import HERE, AsJson, Limit, Url, Yes
from plugmesh.cli.display.amounts import clock
from plugmesh.cli.display.console import cells, table
from plugmesh.cli.display.terminal_text import brief, one_line, plain
from plugmesh.cli.root import group
from plugmesh.errors import ConfigurationError

_YAML = "application/yaml"
_PARTS = ("nodes", "edges", "params", "inputs", "outputs", "settings")
_DIFF_STYLES = {"+": "green", "-": "red", "@": "cyan"}

FlowName = Annotated[str, typer.Argument(metavar="FLOW", help="The saved flow: NAME, or NAMESPACE/NAME.")]


def flows_app() -> typer.Typer:
    """The commands about saved flows."""
    app = group("flows", "Keep flows on the mesh.")
    for command in (put, get, history, diff):
        app.command()(command)
    app.command("ls")(list_flows)
    app.command("rm")(remove)
    return app


def put(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A flow file, YAML or JSON; - is standard input.")],
    *,
    name: Annotated[
        str | None, typer.Option("--as", metavar="FLOW", help="Under this name; the one in the file otherwise.")
    ] = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="What changed, for its history.")] = None,
    over: Annotated[
        int | None, typer.Option(metavar="REVISION", help="Only if this is the newest revision now.")
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Save a flow as the next revision of its name. Nothing changes if it is the same as the newest one."""
    with Session(url, as_json, flow_file=file) as session:
        flow = read_flow(file)
        headers = {"content-type": _YAML, **({} if over is None else {"if-match": f'"{over}"'})}
        path = flow_at(name or _name_in(flow.text, file))
        saved = session.client.put(path, flow.text.encode(), headers, message=message)
        session.warnings(saved.get("warnings") or ())
        session.answer(saved, lambda: session.say(_saved(saved)))


def get(
    name: FlowName,
    revision: Annotated[int | None, typer.Option(min=1, help="This revision; the newest otherwise.")] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write the text to this file.")
    ] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Print a saved flow as it was written."""
    with Session(url, as_json) as session:
        found = session.client.get(flow_at(name), revision=revision)
        if out is None:
            session.answer(found, lambda: print(plain(found["text"]), end="" if found["text"].endswith("\n") else "\n"))
            return
        try:
            out.write_text(found["text"], encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"{out} cannot be written: {error.strerror}") from error
        session.answer(found, lambda: session.say(f"{out}: revision {found['revision']} of {name}"))


def list_flows(
    namespace: Annotated[str | None, typer.Option(help="Only in this namespace.")] = None,
    limit: Limit = 1000,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """List the saved flows."""
    with Session(url, as_json) as session:
        found = list(session.client.pages("/flows", "flows", limit, namespace=namespace))
        session.answer({"flows": found}, lambda: _show(session, found, named=True))


def history(name: FlowName, as_json: AsJson = False, url: Url = HERE) -> None:
    """List the revisions of a saved flow, with who saved them and why."""
    with Session(url, as_json) as session:
        found = session.client.get(flow_at(name, "revisions"))
        session.answer(found, lambda: _show(session, found["revisions"], named=False))


def diff(
    name: FlowName,
    old: Annotated[
        int | None, typer.Argument(metavar="FROM", help="A revision; the one before the newest otherwise.")
    ] = None,
    new: Annotated[int | None, typer.Argument(metavar="TO", help="Another one; the newest otherwise.")] = None,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Say what changed between two revisions of a saved flow."""
    with Session(url, as_json) as session:
        last = new if new is not None else session.client.get(flow_at(name))["revision"]
        first = old if old is not None else last - 1
        if first < 1:
            raise ConfigurationError(f"{name} has one revision only: there is nothing to compare it with")
        found = session.client.get(flow_at(name, "diff"), **{"from": first, "to": last})
        session.answer(found, lambda: _show_diff(session, found))


def remove(name: FlowName, yes: Yes = False, as_json: AsJson = False, url: Url = HERE) -> None:
    """Remove a saved flow. Its runs stay."""
    with Session(url, as_json) as session:
        session.confirm(f"Remove the flow {name} with all its revisions?", yes)
        session.client.send("DELETE", flow_at(name))
        session.answer({"flow": name, "removed": True}, lambda: session.say(f"{name} is removed"))


def _name_in(text: str, file: str) -> str:
    from plugmesh.flows.parse import parse_flow_text  # noqa: PLC0415  slow; few commands read a flow

    flow = parse_flow_text(text).flow
    if flow is None:
        raise ConfigurationError(f"{file} has errors: `plugmesh validate {file}` lists them")
    return f"{flow.namespace}/{flow.name}"


def _saved(saved: dict[str, Any]) -> str:
    name = f"{saved['namespace']}/{saved['name']}"
    if saved.get("unchanged"):
        return f"{name} is unchanged: it is revision {saved['revision']}"
    return f"{name} is saved as revision {saved['revision']}: plugmesh run {name}@{saved['revision']}"


def _show(session: Session, found: list[dict[str, Any]], *, named: bool) -> None:
    if not found:
        session.say("no saved flows yet: plugmesh flows put FLOW.yaml")
        return
    names = ("FLOW", "REVISION", "SAVED", "BY", "MESSAGE") if named else ("REVISION", "SAVED", "BY", "MESSAGE")
    made = table(*names, right=("REVISION",), whole=("SAVED",), spare=("BY", "SAVED", "MESSAGE"))
    for one in found:
        rest = (one["revision"], clock(one.get("created_at")), one.get("actor"), brief(one.get("message") or ""))
        made.add_row(*cells(*((f"{one['namespace']}/{one['name']}", *rest) if named else rest)))
    session.console.print(made)


def _show_diff(session: Session, found: dict[str, Any]) -> None:
    for part in _PARTS:
        lines = list(changes(part, found.get(part)))
        for line in lines:
            session.say(line)
    text = found.get("text") or ""
    for line in text.splitlines():
        session.console.print(Text(plain(line), style=_DIFF_STYLES.get(line[:1], "")), soft_wrap=True)
    if not text and not any(found.get(part) for part in _PARTS):
        session.say("they are the same")


def changes(part: str, found: Any) -> list[str]:
    """What changed in one part of a flow, a line for each kind of change."""
    if not isinstance(found, dict):
        return [] if not found else [one_line(f"{part}: {_words(found)}")]
    return [one_line(f"{part} {kind}: {_words(names)}") for kind, names in found.items() if names]


def _words(names: Any) -> str:
    if isinstance(names, str | int | float):
        return str(names)
    if isinstance(names, dict):
        return ", ".join(names)
    return ", ".join(_word(name) for name in names)


def _word(name: Any) -> str:
    if isinstance(name, dict):
        return " → ".join(str(name[key]) for key in ("from", "to") if key in name) or str(name.get("name", name))
    return str(name)
