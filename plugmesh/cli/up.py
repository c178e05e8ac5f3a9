"""`plugmesh up`: becomes a clean server process."""

from __future__ import annotations

import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from plugmesh.cli.options import DEFAULT_DRAIN_S, DEFAULT_PORT, ServerOptions
from plugmesh.runtime_loader import VARIABLE

_MOST_SLOTS = 8


class Synchronous(StrEnum):
    """How the database writes."""

    FULL = "full"
    NORMAL = "normal"


class LogLevel(StrEnum):
    """How much the server logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def up(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = DEFAULT_PORT,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    data: Annotated[Path, typer.Option(metavar="DIR", help="Folder for everything that is kept.")] = Path(
        "plugmesh-data"
    ),
    modules: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="Folder whose module files are plugged in; may be given several times."),
    ] = None,
    slots: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Steps that the built-in modules run at a time. [default: one a processor]"),
    ] = None,
    drain_s: Annotated[
        float, typer.Option(min=0, help="Seconds that steps at work have to finish when the mesh is stopped.")
    ] = DEFAULT_DRAIN_S,
    synchronous: Annotated[
        Synchronous, typer.Option(help="full: what was accepted survives power loss; normal: it survives any crash.")
    ] = Synchronous.FULL,
    builtins: Annotated[bool, typer.Option("--builtins/--no-builtins", help="Serve the built-in modules.")] = True,
    log_level: Annotated[LogLevel, typer.Option(help="How much the server logs.")] = LogLevel.WARNING,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Log JSON lines.")] = False,
    runtime: Annotated[str, typer.Option(envvar=VARIABLE, hidden=True)] = "",
) -> None:
    """Start a mesh on this machine and leave it running.

    Stop it with Ctrl-C: steps at work may finish, and open runs go on at the next start. Exits with 0 when it was
    stopped, 1 when a part of it failed, 2 when the port or the data folder cannot be used.
    """
    options = ServerOptions(
        host=host,
        port=port,
        data=str(data),
        modules=tuple(str(folder) for folder in modules or ()),
        slots=slots or min(os.cpu_count() or 1, _MOST_SLOTS),
        synchronous=synchronous.value,
        builtins=builtins,
        drain_s=drain_s,
        log_level=log_level.value,
        json_logs=json_logs,
        runtime=runtime,
    )
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", "plugmesh.cli.server", options.encode()])  # noqa: S606  no shell
