"""`plugmesh explain`: which columns a flow uses of which, before it runs; and the bytes that a run saved by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from plugmesh.cli.api.flowfile import find_flow
from plugmesh.cli.api.routes import at
from plugmesh.cli.api.session import Session
from plugmesh.cli.api.submitting import Asked, request_of
from plugmesh.cli.arguments import HERE, AsJson, Url
from plugmesh.cli.display.amounts import bytes_text
from plugmesh.cli.display.console import cells, table
from plugmesh.cli.display.terminal_text import one_line
from plugmesh.cli.exits import ExitCode
from plugmesh.errors import ConfigurationError

_NAMES_SHOWN = 6
_WIDEST = 60
_SENT = ("flow", "inputs", "params")


def explain(
    flow: Annotated[
        str | None,
        typer.Argument(
            metavar="[FLOW]", help="A flow file, YAML or JSON; - is standard input; or a saved flow: NAMESPACE/NAME."
        ),
    ] = None,
    *,
    run: Annotated[
        str | None, typer.Option(metavar="RUN", help="What this run handed over and saved, instead of a plan.")
    ] = None,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="NAME=PATH", help="An input, as for run: without it, less is known."),
    ] = None,
    param: Annotated[list[str] | None, typer.Option("--param", "-p", metavar="NAME=VALUE", help="A param.")] = None,
    columns: Annotated[bool, typer.Option("--columns", help="Name the columns with their types, too.")] = False,
    as_json: AsJson = False,
    url: Url = HERE,
) -> None:
    """Say which columns a flow reads, passes on and leaves out, without running it.

    Exits with 2 if something is wrong with its columns. With --run, say what a run handed over, wrote and saved.
    """  # fmt: skip
    if (flow is None) == (run is None):
        raise ConfigurationError("say which flow to explain, or with --run which run: one of the two")
    with Session(url, as_json, flow_file=flow or "") as session:
        if run is not None:
            found = session.client.get(at("runs", run, "edges"))
            session.answer(found, lambda: _show_run(session, found))
            return
        request = request_of(session, find_flow(str(flow)), Asked(input or (), param or ()))
        found = session.client.send("POST", "/flows:explain", {name: request[name] for name in _SENT})
        if not as_json:
            session.warnings([*found["problems"], *found["warnings"]])
        session.answer(found, lambda: _show_plan(session, found, columns))
        if not found["valid"]:
            raise typer.Exit(ExitCode.USAGE)


# -- a plan --------------------------------------------------------------------------------------------------------------


def _show_plan(session: Session, found: Mapping[str, Any], columns: bool) -> None:
    if not found["nodes"]:
        return  # its problems are all that can be said
    made = table("NODE", "MODULE", "READS", "NEEDS", "GIVES", "NOTE", whole=("NODE",), spare=("MODULE", "NEEDS"))
    for node in found["nodes"]:
        for row in plan_rows(node):
            made.add_row(*cells(*row))
    session.console.print(made)
    if columns:
        for node in found["nodes"]:
            for line in type_lines(node):
                session.say(line)
    unknown = [f"{node['node']}: {reason}" for node in found["nodes"] for reason in node["unknown"]]
    if unknown:
        session.say("\nnot known, so that all columns count as used:")
        for line in unknown:
            session.say(one_line(f"  {line}"))


def plan_rows(node: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The lines of one node: an input and an output beside each other."""
    rows: list[tuple[str, ...]] = []
    count = max(len(node["inputs"]), len(node["outputs"]), 1)
    several = len(node["inputs"]) > 1
    for number in range(count):
        taken = node["inputs"][number] if number < len(node["inputs"]) else None
        given = node["outputs"][number] if number < len(node["outputs"]) else None
        first = number == 0
        rows.append(
            (
                node["node"] if first else "",
                node["module"] if first else "",
                _used(taken, "reads", taken["port"] if several and taken else ""),
                _used(taken, "needs"),
                _used(given, "wanted"),
                _note(node) if first else "",
            )
        )
    return rows


def _used(port: Mapping[str, Any] | None, key: str, label: str = "") -> str:
    """`3 of 19: carrier, arr_delay, …`, or why it is not so exact."""
    if port is None:
        return ""
    names, known = port[key], port["columns"]
    if names is None:
        text = f"all {len(known)}" if known is not None else "all"
    else:
        of = f" of {len(known)}" if known is not None else ""
        text = f"{len(names)}{of}{f': {_listed(names)}' if names else ''}"
    return f"{label}: {text}" if label else text


def _note(node: Mapping[str, Any]) -> str:
    parts = [f"rows where {' AND '.join(node['filters'])}"] if node["filters"] else []
    return "; ".join([*parts, *(() if node["exact"] else ("not all is known",))])


def _listed(names: Sequence[str]) -> str:
    """A few names, and how many more."""
    shown: list[str] = []
    for name in names[:_NAMES_SHOWN]:
        if shown and len(", ".join([*shown, name])) > _WIDEST:
            break
        shown.append(name)
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def type_lines(node: Mapping[str, Any]) -> list[str]:
    """The columns of a node's outputs with their types; those that nobody uses in brackets."""
    lines = []
    for port in node["outputs"]:
        head = f"{node['node']}.{port['port']}"
        if port["columns"] is None:
            lines.append(f"{head}: not known before the run")
            continue
        used = None if port["wanted"] is None else {name.casefold() for name in port["wanted"]}
        texts = [
            text if used is None or one["name"].casefold() in used else f"({text})"
            for one in port["columns"]
            for text in [f"{one['name']} {one['type']}"]
        ]
        lines.append(one_line(f"{head}: {', '.join(texts)}"))
    return lines


# -- a run ---------------------------------------------------------------------------------------------------------------


def _show_run(session: Session, found: Mapping[str, Any]) -> None:
    if found["edges"]:
        made = table("FROM", "TO", "COLUMNS", "HANDED OVER", "OF", "SAVED", right=("HANDED OVER", "OF", "SAVED"))
        for edge in found["edges"]:
            sizes = (edge["bytes_handed"], edge["bytes_whole"], edge["bytes_saved"])
            names = "" if edge["columns"] is None else _listed(edge["columns"])
            made.add_row(*cells(edge["from"], edge["to"], names, *map(bytes_text, sizes)))
        session.console.print(made)
        session.say("")
    made = table("NODE", "STEPS", "WRITTEN", "PASSED ON", "PLANNED", right=("STEPS", "WRITTEN", "PASSED ON"))
    for node in found["nodes"]:
        written, passed = bytes_text(node["bytes_written"]), bytes_text(node["bytes_passed"])
        made.add_row(*cells(node["node"], node["steps"], written, passed, planned_text(node)))
    session.console.print(made)
    saved = sum(edge["bytes_saved"] or 0 for edge in found["edges"])
    written = sum(node["bytes_written"] for node in found["nodes"])
    passed = sum(node["bytes_passed"] for node in found["nodes"])
    session.say(
        f"\n{bytes_text(saved)} did not have to be handed over; {bytes_text(written)} were written and "
        f"{bytes_text(passed)} passed on without being written again"
    )
    if not found["complete"]:
        session.say("the run has more steps than were counted")


def planned_text(node: Mapping[str, Any]) -> str:
    """What the plan told a node to give."""
    parts = []
    for port, names in node["wanted"].items():
        of = f" of {node['widths'][port]}" if port in node["widths"] else ""
        parts.append(f"{len(names)}{of} columns: {_listed(names)}")
    if node["filters"]:
        parts.append(f"rows where {' AND '.join(node['filters'])}")
    return "; ".join(parts)
