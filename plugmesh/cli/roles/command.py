"""`plugmesh serve …`: becomes one process of a mesh that has several."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.options import DEFAULT_DATA, become_server
from plugmesh.cli.root import group
from plugmesh.runtime_loader import VARIABLE

Data = Annotated[
    Path,
    typer.Option(metavar="DIR", envvar="PLUGMESH_DATA", help="Folder with tokens, keys, and plugmesh.toml."),
]
SettingsFile = Annotated[
    Path | None, typer.Option(metavar="FILE", help="File with settings. [default: plugmesh.toml in the data folder]")
]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting; may be given several times.")
]
Host = Annotated[str | None, typer.Option(help="Address to listen on. [default: 127.0.0.1]")]
RuntimeName = Annotated[str, typer.Option(envvar=VARIABLE, hidden=True)]
HERE = Path(DEFAULT_DATA)


def gateway(
    *,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one. [default: 8720]")] = None,
    host: Host = None,
    data: Data = HERE,
    settings: SettingsFile = None,
    assignments: Assignments = None,
    runtime: RuntimeName = "",
) -> None:
    """Take runs and answer questions; schedulers begin the runs. There may be several, unless the bus is embedded.

    Needs a database that others can have open (PLUGMESH_STATE). Exits as `plugmesh up` does.
    """
    become_server({"port": port, "host": host}, data, settings, assignments, runtime, role="gateway")


def scheduler(
    *,
    port: Annotated[int | None, typer.Option(help="Port for health and metrics; 0: none. [default: 0]")] = None,
    host: Host = None,
    data: Data = HERE,
    settings: SettingsFile = None,
    assignments: Assignments = None,
    runtime: RuntimeName = "",
) -> None:
    """Run flows: one of several schedulers, which share the runs and take over from each other.

    With an embedded bus it joins the gateway at PLUGMESH_URL. Stopped with Ctrl-C or SIGTERM it hands its runs to the others.
    """
    become_server({"scheduler_port": port, "host": host}, data, settings, assignments, runtime, role="scheduler")


def builtins(
    *,
    slots: Annotated[int | None, typer.Option(help="Steps that it runs at a time. [default: one a processor]")] = None,
    drain_s: Annotated[
        float | None, typer.Option(help="Seconds that steps at work have to finish when it is stopped. [default: 10]")
    ] = None,
    data: Data = HERE,
    settings: SettingsFile = None,
    assignments: Assignments = None,
    runtime: RuntimeName = "",
) -> None:
    """Serve the built-in modules, as `plugmesh module serve` serves those of a file."""
    become_server({"slots": slots, "drain_s": drain_s}, data, settings, assignments, runtime, role="builtins")


def serve_app() -> typer.Typer:
    """The commands that are one process of a mesh."""
    app = group("serve", "Start one process of a mesh that has several: a gateway, a scheduler, or built-in modules.")
    for command in (gateway, scheduler, builtins):
        app.command()(command)
    return app
